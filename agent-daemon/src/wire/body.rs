//! A body on its way: out of its coding, out of its framing, through one or more scanners, into facts.
//!
//! A body is read by each of its lanes at once. There is one, unless it is not known yet which dialect is spoken.
//! Nothing of a body is kept beyond what a scanner holds of one value.

use std::io::{self, Write};

use super::{
    Piece,
    coding::{Coding, CodingError, Decoded},
    dialect::Dialect,
    event_stream::{self, Messages},
    facts::Facts,
    head::Media,
    json::{Scanner, Shape},
    said::Said,
    sse::{self, Events},
};
use crate::model::{
    content::Keep,
    wire::{Partial, Reason},
};

/// Which side of an exchange a body is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// A dialect that may be spoken, and what was understood by it.
pub(super) struct Lane {
    pub(super) dialect: &'static Dialect,
    pub(super) facts: Facts,
    side: Side,
    scanner: Scanner,
}

impl Lane {
    fn new(dialect: &'static Dialect, side: Side, shape: Shape, keep: Keep) -> Self {
        let paths = if side == Side::Request { dialect.request } else { dialect.response };
        let mut facts = Facts::default();
        let scanner = match dialect.spoken(side).filter(|spoken| spoken.is_in(keep)) {
            // Whose content is not kept is read by tables that have no place of content.
            None => Scanner::new(paths, shape),
            Some(spoken) => {
                facts.said = Some(Box::new(Said::new(keep)));
                Scanner::new(spoken.paths, shape).with_spoken(Said::most(keep))
            }
        };
        Self { dialect, facts, side, scanner }
    }

    fn run(
        &mut self,
        at_ns: u64,
        step: impl FnOnce(&mut Scanner, &mut dyn FnMut(&super::json::Document<'_>)),
    ) {
        let fold =
            if self.side == Side::Request { self.dialect.fold_request } else { self.dialect.fold_response };
        let facts = &mut self.facts;
        step(&mut self.scanner, &mut |document| fold(facts, document, at_ns));
    }

    fn feed(&mut self, bytes: &[u8], at_ns: u64) {
        self.run(at_ns, |scanner, found| scanner.feed(bytes, found));
    }

    fn finish(&mut self, at_ns: u64) {
        self.run(at_ns, |scanner, found| scanner.finish(found));
    }

    fn done(&mut self, at_ns: u64) {
        self.finish(at_ns);
        self.facts.ended = true;
    }

    /// What was said until now has a gap of so many bytes behind it, 0 if nobody knows: told when all of it is taken.
    pub(super) fn said_gap(&mut self, bytes: u64) {
        self.facts.said.iter_mut().for_each(|said| said.gap(bytes));
    }

    /// What is being read will not be read to its end.
    fn break_off(&mut self, at_ns: u64) {
        self.run(at_ns, |scanner, found| scanner.gap(found));
    }
}

enum Framing {
    Documents,
    Events(Events),
    Messages(Box<Messages>),
}

/// Where decoded bytes go.
struct Pipe {
    framing: Framing,
    lanes: Vec<Lane>,
    at_ns: u64,
    bytes: u64,
    partial: Partial,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        let (lanes, at_ns) = (&mut self.lanes, self.at_ns);
        match &mut self.framing {
            Framing::Documents => lanes.iter_mut().for_each(|lane| lane.feed(bytes, at_ns)),
            Framing::Events(events) => events.feed(bytes, &mut |part| match part {
                sse::Part::Data(data) => lanes.iter_mut().for_each(|lane| lane.feed(data, at_ns)),
                sse::Part::End => lanes.iter_mut().for_each(|lane| lane.finish(at_ns)),
                sse::Part::Done => lanes.iter_mut().for_each(|lane| lane.done(at_ns)),
            }),
            Framing::Messages(messages) => {
                let read = messages.feed(bytes, &mut |part| match part {
                    event_stream::Part::Payload(data) => {
                        lanes.iter_mut().for_each(|lane| lane.feed(data, at_ns))
                    }
                    event_stream::Part::End => lanes.iter_mut().for_each(|lane| lane.finish(at_ns)),
                    event_stream::Part::Exception(name) => {
                        lanes.iter_mut().for_each(|lane| lane.facts.exception(name));
                    }
                });
                if read.is_err() {
                    self.partial.add(Reason::Undecodable);
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pipe {
    fn gap(&mut self, length: Option<u64>) {
        self.partial.add(Reason::BytesLost);
        self.bytes = self.bytes.saturating_add(length.unwrap_or(0));
        let at_ns = self.at_ns;
        self.lanes.iter_mut().for_each(|lane| lane.facts.pace.gap());
        match &mut self.framing {
            Framing::Documents => self.lanes.iter_mut().for_each(|lane| lane.break_off(at_ns)),
            // The event that was cut is lost, as a whole.
            Framing::Events(events) => {
                events.gap();
                self.abandon();
            }
            Framing::Messages(messages) => {
                messages.gap(length);
                self.lanes.iter_mut().for_each(|lane| lane.break_off(at_ns));
            }
        }
        self.lanes.iter_mut().for_each(|lane| lane.said_gap(length.unwrap_or(0)));
    }

    fn abandon(&mut self) {
        let at_ns = self.at_ns;
        for lane in &mut self.lanes {
            lane.break_off(at_ns);
            lane.finish(at_ns);
        }
    }
}

/// A body.
pub(super) struct Body {
    decoded: Decoded<Pipe>,
    /// Bytes on the wire, those of gaps too where their number is known.
    pub(super) bytes: u64,
    partial: Partial,
    dead: bool,
    media: Media,
}

impl Body {
    /// A body of this format and coding, to be read in these dialects; what is said in it is kept as far as it is to be.
    pub(super) fn new(
        media: Media,
        coding: Coding,
        side: Side,
        (dialects, keep): (&[&'static Dialect], Keep),
    ) -> Self {
        let shape = if media == Media::JsonLines { Shape::Lines } else { Shape::Body };
        let framing = match media {
            Media::EventStream => Framing::Events(Events::default()),
            Media::AwsEventStream => Framing::Messages(Box::default()),
            Media::Json | Media::JsonLines | Media::Other => Framing::Documents,
        };
        let lanes = dialects.iter().map(|dialect| Lane::new(dialect, side, shape, keep)).collect();
        let pipe = Pipe { framing, lanes, at_ns: 0, bytes: 0, partial: Partial::default() };
        let decoded = Decoded::new(coding, pipe);
        let partial = if coding == Coding::Unknown { Reason::Undecodable.into() } else { Partial::default() };
        Self { decoded, bytes: 0, partial, dead: dialects.is_empty(), media }
    }

    /// One that nobody reads.
    pub(super) fn unread() -> Self {
        Self::new(Media::Other, Coding::Identity, Side::Request, (&[], Keep::NOTHING))
    }

    /// The format it came in.
    pub(super) fn media(&self) -> Media {
        self.media
    }

    /// Takes what came at this time, ns.
    pub(super) fn feed(&mut self, piece: Piece<'_>, at_ns: u64) {
        self.bytes = self.bytes.saturating_add(piece.length());
        if self.dead {
            // What nobody reads cannot be missed.
            return;
        }
        if let Some(pipe) = self.decoded.inner() {
            pipe.at_ns = at_ns;
        }
        match piece {
            Piece::Bytes(bytes) => {
                if let Err(error) = self.decoded.feed(bytes) {
                    self.fail(match error {
                        CodingError::TooLong => Reason::TooLong,
                        CodingError::Undecodable => Reason::Undecodable,
                    });
                }
            }
            Piece::Gap(length) => self.gap(length),
        }
    }

    fn gap(&mut self, length: Option<u64>) {
        match self.decoded.is_identity() {
            true => self.decoded.inner().into_iter().for_each(|pipe| pipe.gap(length)),
            false => self.fail(Reason::BytesLost),
        }
    }

    /// Nothing more can be read.
    fn fail(&mut self, reason: Reason) {
        self.partial.add(reason);
        self.dead = true;
        if let Some(pipe) = self.decoded.inner() {
            pipe.lanes.iter_mut().for_each(|lane| lane.facts.pace.gap());
            pipe.abandon();
            pipe.lanes.iter_mut().for_each(|lane| lane.said_gap(0));
        }
    }

    /// The body is over; whether it is known to be complete.
    pub(super) fn finish(&mut self, complete: bool) {
        if self.dead {
            return;
        }
        let Some(pipe) = self.decoded.inner() else { return };
        // An event without its end, or half a document's tail, counts for nothing.
        match (&pipe.framing, complete) {
            (Framing::Documents, true) => {
                let at_ns = pipe.at_ns;
                pipe.lanes.iter_mut().for_each(|lane| lane.finish(at_ns));
            }
            _ => pipe.abandon(),
        }
        self.dead = true;
    }

    /// Bytes of it that were read, out of their coding; those of gaps too where their number is known.
    pub(super) fn decoded_bytes(&mut self) -> u64 {
        self.decoded.inner().map_or(0, |pipe| pipe.bytes)
    }

    /// The dialects, and what was understood by each.
    pub(super) fn lanes(&mut self) -> &mut [Lane] {
        self.decoded.inner().map(|pipe| pipe.lanes.as_mut_slice()).unwrap_or_default()
    }

    /// The same, to be taken.
    pub(super) fn lanes_mut(&mut self) -> Option<&mut Vec<Lane>> {
        self.decoded.inner().map(|pipe| &mut pipe.lanes)
    }

    /// Why not everything was understood.
    pub(super) fn partial(&mut self) -> Partial {
        let mut partial = self.partial;
        let Some(pipe) = self.decoded.inner() else { return partial };
        partial.merge(pipe.partial);
        if pipe.lanes.iter().any(|lane| lane.scanner.too_long()) {
            partial.add(Reason::TooLong);
        }
        partial
    }
}
