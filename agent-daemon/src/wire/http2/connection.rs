//! Two directions of HTTP/2 put together: an exchange for each stream.

use std::collections::BTreeMap;

use super::{
    frames::{Frames, Step},
    hpack::{Decoder, Header},
};
use crate::{
    model::wire::{Reason, Role},
    wire::{
        Direction, Piece,
        body::Side,
        derived::Derived,
        exchange::{Context, Ending, Exchange},
        head::{Head, method},
        under_way::UnderWay,
    },
};

/// Streams that are followed at once.
const MOST_STREAMS: usize = 256;
/// HTTP/2's error code for what the client does not want any more.
const CANCEL: u32 = 8;

#[derive(Default)]
struct Half {
    frames: Frames,
    headers: Decoder,
}

/// A connection that speaks HTTP/2.
pub(in crate::wire) struct Http2 {
    context: Context,
    sent: Half,
    received: Half,
    streams: BTreeMap<u32, Exchange>,
    /// Whether it is known who asks; else the first headers will tell.
    settled: bool,
    late: bool,
    /// Whether a call was recognised on it: such a connection is never of no interest again, since nobody can enter it in
    /// its middle.
    recognised: bool,
}

impl Http2 {
    /// A connection whose beginning was seen, or was not.
    pub(in crate::wire) fn new(context: Context, late: bool) -> Self {
        let half = || Half {
            frames: Frames::default(),
            headers: if late { Decoder::late() } else { Decoder::default() },
        };
        let context = Context { version: "2", ..context };
        Self {
            context,
            sent: half(),
            received: half(),
            streams: BTreeMap::new(),
            settled: !late,
            late,
            recognised: false,
        }
    }

    /// Which end the observed process is.
    pub(in crate::wire) fn role(&self) -> Role {
        self.context.role
    }

    /// Whether an exchange is under way.
    pub(in crate::wire) fn is_busy(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Whether something of interest is under way, or was.
    pub(in crate::wire) fn is_wanted(&mut self) -> bool {
        self.recognised || self.streams.values_mut().any(Exchange::is_wanted)
    }

    /// The calls to models that are not over.
    pub(in crate::wire) fn under_way(&mut self) -> impl Iterator<Item = UnderWay> {
        self.streams.values_mut().filter_map(Exchange::under_way)
    }

    fn half(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Sent => &mut self.sent,
            Direction::Received => &mut self.received,
        }
    }

    fn side(&self, direction: Direction) -> Side {
        match (direction, self.context.role) {
            (Direction::Sent, Role::Client) | (Direction::Received, Role::Server) => Side::Request,
            _ => Side::Response,
        }
    }

    /// Takes a piece.
    pub(in crate::wire) fn take(
        &mut self,
        direction: Direction,
        piece: Piece<'_>,
        at_ns: u64,
        derived: &mut Derived,
    ) {
        let mut bytes = match piece {
            Piece::Gap(length) => {
                let step = self.half(direction).frames.gap(length);
                return self.step(direction, step, at_ns, derived);
            }
            Piece::Bytes(bytes) => bytes,
        };
        if !self.half(direction).frames.resume(bytes) {
            return;
        }
        while let Some(step) = self.half(direction).frames.next(&mut bytes, at_ns) {
            self.step(direction, step, at_ns, derived);
        }
    }

    fn step(&mut self, direction: Direction, step: Step<'_>, at_ns: u64, derived: &mut Derived) {
        match step {
            Step::Block { stream, block, ends, pushed, began_ns } => {
                let head = self.unpack(direction, &block);
                if pushed {
                    return;
                }
                let side = self.settle(direction, &head);
                self.head(side, stream, head, began_ns, at_ns, derived);
                if ends {
                    self.end(side, stream, at_ns, derived);
                }
            }
            Step::Data(stream, piece) => {
                let side = self.side(direction);
                if let Some(exchange) = self.streams.get_mut(&stream) {
                    exchange.body(side, piece, at_ns, derived);
                }
            }
            Step::End(stream) => self.end(self.side(direction), stream, at_ns, derived),
            Step::Reset(stream, code) => {
                let given_up = code == CANCEL && self.side(direction) == Side::Request;
                let ending = if given_up { Ending::Cancelled } else { Ending::CutOff };
                if let Some(mut exchange) = self.streams.remove(&stream) {
                    exchange.last_ns = exchange.last_ns.max(at_ns);
                    exchange.finish(ending, derived);
                }
            }
            Step::GoAway(last) => {
                let dropped = match self.side(direction) {
                    Side::Response => self.streams.split_off(&last.saturating_add(1)),
                    Side::Request => BTreeMap::new(),
                };
                dropped.into_values().for_each(|exchange| exchange.finish(Ending::CutOff, derived));
            }
            Step::Lost => self.lose(direction, at_ns, derived),
        }
    }

    fn unpack(&mut self, direction: Direction, block: &[u8]) -> Head {
        let mut head = Head::default();
        let decoded = self.half(direction).headers.decode(block, &mut |header| match header {
            Header::Known(b":method", name) => head.method = Some(method(name)),
            Header::Known(b":path", path) => head.target(path),
            Header::Known(b":authority", authority) => head.authority(authority),
            Header::Known(b":status", status) => {
                head.status = std::str::from_utf8(status).ok().and_then(|status| status.parse().ok());
            }
            Header::Known(name, value) => head.header(name, value),
            Header::Unknown => head.unknown = true,
        });
        head.unknown |= decoded.is_err();
        head
    }

    /// Which side this is; headers know better than a guess.
    fn settle(&mut self, direction: Direction, head: &Head) -> Side {
        let told = match (head.method.is_some(), head.status.is_some()) {
            (true, false) => Some(Side::Request),
            (false, true) => Some(Side::Response),
            _ => None,
        };
        if let (false, Some(told)) = (self.settled, told) {
            self.settled = true;
            let asks = (told == Side::Request) == (direction == Direction::Sent);
            self.context.role = if asks { Role::Client } else { Role::Server };
        }
        self.side(direction)
    }

    fn head(
        &mut self,
        side: Side,
        stream: u32,
        head: Head,
        began_ns: u64,
        at_ns: u64,
        derived: &mut Derived,
    ) {
        let exchange = match (self.streams.contains_key(&stream), side) {
            (false, Side::Request) => self.open(stream, derived),
            // An answer to what was asked before anybody looked, or in what was lost.
            (false, Side::Response) if head.status.is_some() => {
                let late = self.late;
                let exchange = self.open(stream, derived);
                if let Some(exchange) = exchange {
                    exchange.partial.add(if late { Reason::AttachedLate } else { Reason::BytesLost });
                    exchange.response_head(Box::new(head), began_ns);
                }
                return;
            }
            _ => self.streams.get_mut(&stream),
        };
        let Some(exchange) = exchange else { return };
        let interim = head.status.is_some_and(|status| (100..200).contains(&status));
        match side {
            Side::Request if exchange.request.head.is_none() => {
                exchange.request_head(Box::new(head), began_ns);
                self.recognised |= exchange.recognised.is_some();
            }
            Side::Response if interim => {}
            Side::Response if exchange.response.head.is_none() => {
                exchange.response_head(Box::new(head), began_ns);
            }
            Side::Response => exchange.trailers(&head, at_ns),
            Side::Request => {}
        }
    }

    fn open(&mut self, stream: u32, derived: &mut Derived) -> Option<&mut Exchange> {
        if self.streams.len() >= MOST_STREAMS {
            derived.losses.exchanges += 1;
            if let Some((_, oldest)) = self.streams.pop_first() {
                oldest.finish(Ending::Unseen(Reason::Evicted), derived);
            }
        }
        let exchange = Exchange::new(self.context, derived);
        self.context.is_first = false;
        self.streams.insert(stream, exchange);
        self.streams.get_mut(&stream)
    }

    fn end(&mut self, side: Side, stream: u32, at_ns: u64, derived: &mut Derived) {
        let Some(exchange) = self.streams.get_mut(&stream) else { return };
        exchange.body_end(side, at_ns, derived);
        if side == Side::Response
            && let Some(exchange) = self.streams.remove(&stream)
        {
            exchange.finish(Ending::Answered, derived);
        }
    }

    /// Headers may have been lost, data of any stream, and ends.
    fn lose(&mut self, direction: Direction, at_ns: u64, derived: &mut Derived) {
        derived.losses.lost_directions += 1;
        self.half(direction).headers.lose();
        let side = self.side(direction);
        for exchange in self.streams.values_mut() {
            exchange.partial.add(Reason::BytesLost);
            exchange.body(side, Piece::Gap(None), at_ns, derived);
        }
    }

    /// The connection ended.
    pub(in crate::wire) fn close(&mut self, at_ns: u64, derived: &mut Derived) {
        self.streams.values_mut().for_each(|exchange| exchange.waited_until(at_ns));
        self.finish_all(Ending::CutOff, derived);
    }

    /// It is not followed any more.
    pub(in crate::wire) fn let_go(&mut self, reason: Reason, derived: &mut Derived) {
        self.finish_all(Ending::Unseen(reason), derived);
    }

    fn finish_all(&mut self, ending: Ending, derived: &mut Derived) {
        for exchange in std::mem::take(&mut self.streams).into_values() {
            exchange.finish(ending, derived);
        }
    }
}
