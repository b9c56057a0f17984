//! Calls over a WebSocket, as OpenAI's responses have them: a message of the client asks, and events come, each a message,
//! until one says that the answer is over.

use super::frames::{Frames, Step};
use crate::{
    model::wire::{Reason, Role},
    wire::{
        Piece,
        body::Side,
        derived::Derived,
        dialect::responses,
        exchange::{Context, Ending, Exchange},
        head::{Head, Media},
        provider::Recognised,
        under_way::UnderWay,
    },
};

/// The status with which it was opened: that of all that is asked over it, but for errors that name their own.
const SWITCHED: u16 = 101;

/// A WebSocket over which a model is called, or which is not read.
pub(in crate::wire) struct Socket {
    context: Context,
    recognised: Option<Recognised>,
    asked: Head,
    client: Frames,
    server: Frames,
    /// The call that goes on.
    call: Option<Exchange>,
    /// Whether the client is in the middle of a message.
    asking: bool,
}

impl Socket {
    /// One that was opened by this request.
    pub(in crate::wire) fn new(context: Context, asked: Head, deflate: bool) -> Self {
        let recognised =
            asked.path.as_deref().and_then(|path| Recognised::by_path(asked.host.as_deref(), path));
        let recognised = recognised
            .filter(|recognised| std::ptr::eq(recognised.dialect, &responses::DIALECT))
            .map(|recognised| Recognised { stream: Some(true), ..recognised });
        let (client, server) = (Frames::new(deflate), Frames::new(deflate));
        Self { context, recognised, asked, client, server, call: None, asking: false }
    }

    /// Which end the observed process is.
    pub(in crate::wire) fn role(&self) -> Role {
        self.context.role
    }

    /// Whether calls may be made over it.
    pub(in crate::wire) fn is_wanted(&self) -> bool {
        self.recognised.is_some()
    }

    /// The call that is not over.
    pub(in crate::wire) fn under_way(&mut self) -> Option<UnderWay> {
        self.call.as_mut().and_then(Exchange::under_way)
    }

    fn frames(&mut self, side: Side) -> &mut Frames {
        match side {
            Side::Request => &mut self.client,
            Side::Response => &mut self.server,
        }
    }

    /// Takes a piece of one side.
    pub(in crate::wire) fn take(&mut self, side: Side, piece: Piece<'_>, at_ns: u64, derived: &mut Derived) {
        if self.recognised.is_none() {
            return;
        }
        // The frames are put back when they were read: what they tell of changes the rest.
        let mut frames = std::mem::replace(self.frames(side), Frames::new(false));
        let mut step = |step: Step<'_>| match side {
            Side::Request => self.ask(step, at_ns, derived),
            Side::Response => self.answer(step, at_ns, derived),
        };
        match piece {
            Piece::Bytes(bytes) => frames.feed(bytes, &mut step),
            Piece::Gap(length) => frames.gap(length, &mut step),
        }
        *self.frames(side) = frames;
    }

    fn ask(&mut self, step: Step<'_>, at_ns: u64, derived: &mut Derived) {
        match step {
            Step::Data(piece) => {
                if !std::mem::replace(&mut self.asking, true) {
                    self.begin(at_ns, derived);
                }
                if let Some(call) = &mut self.call {
                    call.body(Side::Request, piece, at_ns, derived);
                }
            }
            Step::End => {
                self.asking = false;
                if let Some(call) = &mut self.call {
                    call.body_end(Side::Request, at_ns, derived);
                }
            }
            Step::Lost => self.finish(Ending::Unseen(Reason::BytesLost), derived),
        }
    }

    fn begin(&mut self, at_ns: u64, derived: &mut Derived) {
        // While an answer comes a client has other things to say, and those are no requests.
        if self.call.as_ref().is_some_and(|call| call.response.head.is_some()) {
            return;
        }
        self.finish(Ending::Unseen(Reason::BytesLost), derived);
        let Some(recognised) = self.recognised.clone() else { return };
        let mut call = Exchange::new(self.context, derived);
        self.context.is_first = false;
        call.is_inner = true;
        let asked = Head { path: self.asked.path.clone(), host: self.asked.host.clone(), ..Head::default() };
        call.request_of(recognised, Box::new(asked), at_ns);
        self.call = Some(call);
    }

    fn answer(&mut self, step: Step<'_>, at_ns: u64, derived: &mut Derived) {
        let Some(call) = &mut self.call else { return };
        match step {
            Step::Data(piece) => {
                if call.response.head.is_none() {
                    let head = Head { media: Media::Json, status: Some(SWITCHED), ..Head::default() };
                    call.response_head(Box::new(head), at_ns);
                }
                call.body(Side::Response, piece, at_ns, derived);
            }
            Step::End => {
                if call.is_complete() {
                    call.body_end(Side::Response, at_ns, derived);
                    self.finish(Ending::Answered, derived);
                }
            }
            Step::Lost => self.finish(Ending::Unseen(Reason::BytesLost), derived),
        }
    }

    fn finish(&mut self, ending: Ending, derived: &mut Derived) {
        let Some(mut call) = self.call.take() else { return };
        // Clients say other things, too.
        let lanes = call.request.body.lanes();
        if lanes.iter().any(|lane| lane.facts.asked) {
            call.finish(ending, derived);
        }
    }

    /// The connection ended.
    pub(in crate::wire) fn close(&mut self, at_ns: u64, derived: &mut Derived) {
        self.call.iter_mut().for_each(|call| call.waited_until(at_ns));
        self.finish(Ending::CutOff, derived);
    }

    /// It is not followed any more.
    pub(in crate::wire) fn let_go(&mut self, reason: Reason, derived: &mut Derived) {
        self.finish(Ending::Unseen(reason), derived);
    }
}
