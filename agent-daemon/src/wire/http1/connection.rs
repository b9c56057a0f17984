//! Two directions put together: each answer belongs to the oldest request that has none.
//!
//! Where a direction was lost, that may be wrong. Clients that do not pipeline send a request only after the answer to the
//! one before, so after a loss a new request means that those before it are over, whatever was seen of them; what is
//! paired after a loss says that bytes were lost.

use std::collections::VecDeque;

use super::parser::{Framing, Kind, Parser, Step};
use crate::{
    model::wire::{Reason, Role},
    wire::{
        Piece,
        body::Side,
        derived::Derived,
        exchange::{Context, Ending, Exchange},
        head::{Head, Media, Upgrade},
        under_way::UnderWay,
    },
};

/// Requests on their way at once; clients that pipeline have a few.
const MOST_OPEN: usize = 64;

/// What has become of the connection.
pub(in crate::wire) enum Became {
    /// It goes on as it is.
    Http1,
    /// A WebSocket, opened by this request; whether messages may be compressed.
    WebSocket(Box<Head>, bool),
    /// HTTP/2.
    Http2,
    /// Something that is not read.
    Opaque,
}

/// A connection that speaks HTTP/1.
pub(in crate::wire) struct Http1 {
    context: Context,
    requests: Parser,
    responses: Parser,
    open: VecDeque<Exchange>,
    /// Whether a direction was lost, and no request came since.
    loose: bool,
    /// The last answer's head was one of those that come before the answer.
    interim: bool,
}

impl Http1 {
    pub(in crate::wire) fn new(context: Context) -> Self {
        Self {
            context,
            requests: Parser::new(Kind::Requests),
            responses: Parser::new(Kind::Responses),
            open: VecDeque::new(),
            loose: false,
            interim: false,
        }
    }

    /// One on which an answer comes that is a stream of events in chunks, and of which nobody saw the beginning.
    pub(in crate::wire) fn amid_events(context: Context, at_ns: u64, derived: &mut Derived) -> Self {
        let mut http1 = Self::new(Context { is_first: false, ..context });
        http1.responses.frame(Framing::Chunked);
        let mut exchange = http1.exchange(context.version, derived);
        exchange.partial.add(Reason::AttachedLate);
        exchange.response_head(Box::new(Head { media: Media::EventStream, ..Head::default() }), at_ns);
        http1.open.push_back(exchange);
        http1
    }

    /// Which end the observed process is.
    pub(in crate::wire) fn role(&self) -> Role {
        self.context.role
    }

    /// Whether an exchange is under way.
    pub(in crate::wire) fn is_busy(&self) -> bool {
        !self.open.is_empty()
    }

    /// Bytes of the body that is under way on this side, where its length is known.
    pub(in crate::wire) fn body_left(&self, side: Side) -> Option<u64> {
        match side {
            Side::Request => self.requests.body_left(),
            Side::Response => self.responses.body_left(),
        }
    }

    /// Whether something of interest is under way.
    pub(in crate::wire) fn is_wanted(&mut self) -> bool {
        self.open.iter_mut().any(Exchange::is_wanted)
    }

    /// The calls to models that are not over.
    pub(in crate::wire) fn under_way(&mut self) -> impl Iterator<Item = UnderWay> {
        self.open.iter_mut().filter_map(Exchange::under_way)
    }

    fn parser(&mut self, side: Side) -> &mut Parser {
        match side {
            Side::Request => &mut self.requests,
            Side::Response => &mut self.responses,
        }
    }

    /// Takes a piece of one side; what is left of it, once the connection has become another.
    pub(in crate::wire) fn take<'a>(
        &mut self,
        side: Side,
        piece: Piece<'a>,
        at_ns: u64,
        derived: &mut Derived,
    ) -> (Became, &'a [u8]) {
        let mut bytes = match piece {
            Piece::Gap(length) => {
                let step = self.parser(side).gap(length);
                self.step(side, step, at_ns, derived);
                return (Became::Http1, &[]);
            }
            Piece::Bytes(bytes) => bytes,
        };
        if !self.parser(side).resume(bytes) {
            return (Became::Http1, &[]);
        }
        while let Some(step) = self.parser(side).next(&mut bytes, at_ns) {
            match self.step(side, step, at_ns, derived) {
                Became::Http1 => {}
                became => return (became, bytes),
            }
        }
        (Became::Http1, &[])
    }

    fn step(&mut self, side: Side, step: Step<'_>, at_ns: u64, derived: &mut Derived) -> Became {
        match (step, side) {
            (Step::Head(head, version, began_ns), Side::Request) => {
                self.request(head, version, began_ns, derived);
            }
            (Step::Head(head, version, began_ns), Side::Response) => {
                return self.response(head, version, began_ns, at_ns, derived);
            }
            (Step::Body(piece), _) => {
                if let Some(exchange) = self.current(side) {
                    exchange.body(side, piece, at_ns, derived);
                }
            }
            (Step::End, Side::Request) => {
                if let Some(exchange) = self.open.back_mut() {
                    exchange.body_end(side, at_ns, derived);
                }
            }
            (Step::End, Side::Response) => self.answered(at_ns, derived),
            (Step::Lost(too_long), _) => self.lose(side, too_long, derived),
        }
        Became::Http1
    }

    fn current(&mut self, side: Side) -> Option<&mut Exchange> {
        match side {
            Side::Request => self.open.back_mut(),
            Side::Response => self.open.front_mut(),
        }
    }

    fn exchange(&mut self, version: &'static str, derived: &mut Derived) -> Exchange {
        let context = Context { version, ..self.context };
        self.context.is_first = false;
        Exchange::new(context, derived)
    }

    fn request(&mut self, head: Box<Head>, version: &'static str, began_ns: u64, derived: &mut Derived) {
        if std::mem::take(&mut self.loose) {
            self.finish_all(Ending::Unseen(Reason::BytesLost), derived);
        }
        if self.open.len() >= MOST_OPEN {
            derived.losses.exchanges += 1;
            if let Some(exchange) = self.open.pop_front() {
                exchange.finish(Ending::Unseen(Reason::Evicted), derived);
            }
        }
        let framing = match (head.chunked, head.length) {
            (true, _) => Framing::Chunked,
            (false, length) => Framing::Length(length.unwrap_or(0)),
        };
        self.requests.frame(framing);
        let mut exchange = self.exchange(version, derived);
        exchange.request_head(head, began_ns);
        self.open.push_back(exchange);
    }

    fn response(
        &mut self,
        head: Box<Head>,
        version: &'static str,
        began_ns: u64,
        at_ns: u64,
        derived: &mut Derived,
    ) -> Became {
        let status = head.status.unwrap_or(0);
        self.interim = matches!(status, 100 | 102..200);
        if self.interim {
            self.responses.frame(Framing::Length(0));
            return Became::Http1;
        }
        if self.open.is_empty() {
            let mut exchange = self.exchange(version, derived);
            let reason = if self.loose { Reason::BytesLost } else { Reason::AttachedLate };
            exchange.partial.add(reason);
            self.open.push_back(exchange);
        }
        let loose = self.loose;
        let Some(exchange) = self.open.front_mut() else { return Became::Http1 };
        if loose {
            exchange.partial.add(Reason::BytesLost);
        }
        let method = exchange.request.head.as_ref().and_then(|head| head.method);
        let deflate = head.deflate;
        let framing = framing(method, status, &head);
        let upgrade = head.upgrade;
        exchange.response_head(head, began_ns);
        let became = match (status, method) {
            (101, _) => self.upgraded(upgrade, deflate),
            (200..300, Some("CONNECT")) => Became::Opaque,
            _ => {
                self.responses.frame(framing);
                return Became::Http1;
            }
        };
        self.answered(at_ns, derived);
        self.finish_all(Ending::Unseen(Reason::Undecodable), derived);
        became
    }

    fn upgraded(&mut self, upgrade: Option<Upgrade>, deflate: bool) -> Became {
        let request = self.open.front_mut().and_then(|exchange| exchange.request.head.as_deref_mut());
        match (upgrade, request) {
            (Some(Upgrade::WebSocket), Some(head)) => {
                let asked = Head { path: head.path.clone(), host: head.host.clone(), ..Head::default() };
                Became::WebSocket(Box::new(asked), deflate)
            }
            (Some(Upgrade::Http2), _) => Became::Http2,
            _ => Became::Opaque,
        }
    }

    /// The oldest exchange has its whole answer.
    fn answered(&mut self, at_ns: u64, derived: &mut Derived) {
        if std::mem::take(&mut self.interim) {
            return;
        }
        if let Some(mut exchange) = self.open.pop_front() {
            exchange.body_end(Side::Response, at_ns, derived);
            exchange.finish(Ending::Answered, derived);
        }
    }

    fn lose(&mut self, side: Side, too_long: bool, derived: &mut Derived) {
        derived.losses.lost_directions += 1;
        derived.losses.long_heads += u64::from(too_long);
        self.loose = true;
        let reason = if too_long { Reason::TooLong } else { Reason::BytesLost };
        if side == Side::Request {
            // The answer may still be seen.
            self.open.iter_mut().for_each(|exchange| exchange.partial.add(reason));
            return;
        }
        while let Some(oldest) = self.open.front_mut() {
            oldest.partial.add(reason);
            if self.open.len() == 1 && self.open.front().is_some_and(|last| last.response.head.is_none()) {
                return;
            }
            if let Some(oldest) = self.open.pop_front() {
                oldest.finish(Ending::Unseen(reason), derived);
            }
        }
    }

    fn finish_all(&mut self, ending: Ending, derived: &mut Derived) {
        for exchange in std::mem::take(&mut self.open) {
            exchange.finish(ending, derived);
        }
    }

    /// The connection ended, and with it what is under way, in this way.
    pub(in crate::wire) fn close(&mut self, ending: Ending, at_ns: u64, derived: &mut Derived) {
        if self.responses.is_until_close() {
            self.answered(at_ns, derived);
        }
        self.open.iter_mut().for_each(|exchange| exchange.waited_until(at_ns));
        self.finish_all(ending, derived);
    }

    /// It is not followed any more.
    pub(in crate::wire) fn let_go(&mut self, reason: Reason, derived: &mut Derived) {
        self.finish_all(Ending::Unseen(reason), derived);
    }
}

/// How long an answer's body is (RFC 9112, 6.3).
fn framing(method: Option<&str>, status: u16, head: &Head) -> Framing {
    match (method, status) {
        (Some("HEAD"), _) | (_, 204 | 304) => Framing::Length(0),
        _ if head.chunked => Framing::Chunked,
        _ => head.length.map_or(Framing::UntilClose, Framing::Length),
    }
}
