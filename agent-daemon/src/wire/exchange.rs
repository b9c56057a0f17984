//! A request and its answer, whatever the version of HTTP: what heads and bodies tell, and when.
//!
//! At the request's head it is decided who may be asked, and with it what of the bodies is read; what nobody reads is
//! counted and dropped at once.

use super::{
    Piece,
    body::{Body, Lane, Side},
    call,
    coding::Coding,
    derived::Derived,
    dialect::{BY_SHAPE, Dialect},
    facts::Facts,
    head::{Head, Media},
    mcp::Way,
    provider::Recognised,
    rpc::RPC,
};
use crate::model::{
    content::{Held, Keep},
    hash::{FNV_START, fnv1a},
    wire::{Origin, Partial, Reason, Role},
};

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The answer was seen to its end.
    Answered,
    /// The connection ended before, or the server gave up.
    CutOff,
    /// The client gave up.
    Cancelled,
    /// It was not followed to its end, for this reason.
    Unseen(Reason),
}

/// One side of an exchange.
pub(super) struct Message {
    pub(super) head: Option<Box<Head>>,
    pub(super) began_ns: Option<u64>,
    pub(super) body: Body,
    /// The body's format is to be guessed from its first byte: its head was not understood.
    guess: bool,
    pub(super) ended: bool,
}

impl Message {
    fn new() -> Self {
        Self { head: None, began_ns: None, body: Body::unread(), guess: false, ended: false }
    }

    /// Whether its body is as long as its head said: a client of HTTP/2 need not wait for the stream's end then.
    fn is_long_enough(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.length == Some(self.body.bytes))
    }
}

/// Whose exchange it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) owner: u64,
    pub(super) connection: u64,
    pub(super) role: Role,
    pub(super) version: &'static str,
    /// It is the first of its connection.
    pub(super) is_first: bool,
    /// What is kept of what is said.
    pub(super) keep: Keep,
}

/// A request and its answer.
pub(super) struct Exchange {
    pub(super) origin: Origin,
    pub(super) context: Context,
    pub(super) request: Message,
    pub(super) response: Message,
    pub(super) recognised: Option<Recognised>,
    /// A hash of what was asked.
    hash: u64,
    pub(super) is_mcp: bool,
    /// It is part of another exchange, which is told as such.
    pub(super) is_inner: bool,
    pub(super) last_ns: u64,
    pub(super) partial: Partial,
    /// What is kept of what is said, and the room for it.
    pub(super) keep: Keep,
    pub(super) held: Option<Held>,
}

impl Exchange {
    pub(super) fn new(context: Context, derived: &mut Derived) -> Self {
        let Context { owner, connection, keep, .. } = context;
        Self {
            origin: Origin { owner, connection, exchange: derived.exchange() },
            context,
            request: Message::new(),
            response: Message::new(),
            recognised: None,
            hash: FNV_START,
            is_mcp: false,
            is_inner: false,
            last_ns: 0,
            partial: Partial::default(),
            keep,
            held: None,
        }
    }

    /// The request's head, whose first byte came at `began_ns`.
    pub(super) fn request_head(&mut self, head: Box<Head>, began_ns: u64) {
        self.begin(Side::Request, began_ns);
        let path = head.path.as_deref();
        let posted = head.method == Some("POST");
        if posted {
            self.recognised = path.and_then(|path| Recognised::by_path(head.host.as_deref(), path));
        }
        for text in [head.method, head.host.as_deref(), path].into_iter().flatten() {
            self.hash = fnv1a(self.hash, text.bytes().chain([0]));
        }
        let dialects: Vec<&Dialect> = match &self.recognised {
            Some(recognised) => vec![recognised.dialect],
            None if posted && path.is_none() => BY_SHAPE.into_iter().chain([&RPC]).collect(),
            None if posted => vec![&RPC],
            None => Vec::new(),
        };
        self.request.guess = head.unknown && head.media == Media::Other;
        // Requests are JSON whatever they are called.
        let media = if head.media == Media::JsonLines { Media::JsonLines } else { Media::Json };
        self.request.body = Body::new(media, head.coding, Side::Request, (&dialects, self.keep));
        self.note_unknown(&head);
        self.request.head = Some(head);
    }

    /// A request that was recognised otherwise than by its head.
    pub(super) fn request_of(&mut self, recognised: Recognised, head: Box<Head>, began_ns: u64) {
        self.begin(Side::Request, began_ns);
        self.request.body =
            Body::new(Media::Json, Coding::Identity, Side::Request, (&[recognised.dialect], self.keep));
        self.recognised = Some(recognised);
        self.request.head = Some(head);
    }

    fn note_unknown(&mut self, head: &Head) {
        if head.unknown {
            self.partial.add(Reason::HeadersUnknown);
        }
    }

    fn begin(&mut self, side: Side, began_ns: u64) {
        self.side(side).began_ns.get_or_insert(began_ns);
        self.last_ns = self.last_ns.max(began_ns);
    }

    pub(super) fn side(&mut self, side: Side) -> &mut Message {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }

    /// The answer's head, whose first byte came at `began_ns`.
    pub(super) fn response_head(&mut self, head: Box<Head>, began_ns: u64) {
        self.begin(Side::Response, began_ns);
        let dialects = self.answering(&head);
        self.response.guess = head.unknown && head.media == Media::Other;
        self.response.body = Body::new(head.media, head.coding, Side::Response, (&dialects, self.keep));
        if self.request.head.is_none() {
            // It may be seen from its middle on.
            self.response.body.lanes().iter_mut().for_each(|lane| lane.said_gap(0));
        }
        self.note_unknown(&head);
        self.response.head = Some(head);
    }

    /// The dialects in which the answer may be.
    fn answering(&mut self, head: &Head) -> Vec<&'static Dialect> {
        if let Some(recognised) = &self.recognised {
            return vec![recognised.dialect];
        }
        let seen = self.request.head.is_some();
        let asked = |lane: &Lane| lane.facts.asked || lane.facts.model.is_some();
        let mut dialects: Vec<&Dialect> =
            self.request.body.lanes().iter().filter(|lane| asked(lane)).map(|lane| lane.dialect).collect();
        let readable = matches!(head.media, Media::Json | Media::EventStream) || head.unknown;
        if !seen && readable {
            dialects.extend(BY_SHAPE);
        }
        // A server of MCP sends events whenever it likes, on a stream that a client asked for.
        if self.is_mcp || !seen && readable || head.media == Media::EventStream {
            dialects.push(&RPC);
        }
        dialects
    }

    /// What follows an answer's body.
    pub(super) fn trailers(&mut self, trailers: &Head, at_ns: u64) {
        self.last_ns = self.last_ns.max(at_ns);
        if let Some(head) = &mut self.response.head {
            head.grpc_status = head.grpc_status.or(trailers.grpc_status);
        }
    }

    /// Of a body.
    pub(super) fn body(&mut self, side: Side, piece: Piece<'_>, at_ns: u64, derived: &mut Derived) {
        self.last_ns = self.last_ns.max(at_ns);
        if side == Side::Request {
            self.hash_body(piece);
        }
        self.hold(side, derived);
        if let (true, Piece::Bytes([first, ..])) = (self.side(side).guess, piece) {
            self.guess(side, *first);
        }
        self.side(side).body.feed(piece, at_ns);
        self.take_messages(side, derived);
    }

    /// A body is over.
    pub(super) fn body_end(&mut self, side: Side, at_ns: u64, derived: &mut Derived) {
        self.last_ns = self.last_ns.max(at_ns);
        let message = self.side(side);
        message.ended = true;
        message.body.finish(true);
        self.take_messages(side, derived);
    }

    fn hash_body(&mut self, piece: Piece<'_>) {
        if let (Piece::Bytes(bytes), false) = (piece, self.request.body.lanes().is_empty()) {
            self.hash = fnv1a(self.hash, bytes.iter().copied());
        }
    }

    /// A hash of what was asked, as far as it was seen, and of how long it was.
    pub(super) fn asked(&self) -> u64 {
        fnv1a(self.hash, self.request.body.bytes.to_le_bytes())
    }

    /// Takes room for what may be said in a call of a model: messages of MCP find their own, whose streams go on for long.
    fn hold(&mut self, side: Side, derived: &mut Derived) {
        let may_say = |lane: &Lane| lane.facts.said.is_some() && !std::ptr::eq(lane.dialect, &RPC);
        if self.held.is_some() || !self.side(side).body.lanes().iter().any(may_say) {
            return;
        }
        self.held = derived.hold(self.keep);
        if self.held.is_none() {
            self.keep = Keep::NOTHING;
            self.side(side).body.lanes().iter_mut().for_each(|lane| lane.facts.said = None);
        }
    }

    /// The format of a body whose head was not understood.
    fn guess(&mut self, side: Side, first: u8) {
        let media = match first {
            b'{' | b'[' => Media::Json,
            b'd' | b'e' | b':' => Media::EventStream,
            _ => Media::Other,
        };
        let keep = self.keep;
        let message = self.side(side);
        message.guess = false;
        let dialects: Vec<&Dialect> = message.body.lanes().iter().map(|lane| lane.dialect).collect();
        message.body = Body::new(media, Coding::Identity, side, (&dialects, keep));
    }

    fn take_messages(&mut self, side: Side, derived: &mut Derived) {
        for lane in self.side(side).body.lanes() {
            derived.losses.rpc_messages += std::mem::take(&mut lane.facts.messages_lost);
        }
        let lanes = self.side(side).body.lanes().iter_mut();
        let messages: Vec<_> = lanes.flat_map(|lane| std::mem::take(&mut lane.facts.messages)).collect();
        if messages.is_empty() {
            return;
        }
        self.is_mcp = true;
        let from_client = side == Side::Request;
        let way = Way {
            origin: self.origin,
            session: self.session(),
            stdio: false,
            from_client,
            sent: from_client == (self.context.role == Role::Client),
        };
        for mut message in messages {
            message.said = message.said.and_then(|said| derived.admit(said, self.keep));
            if let Some(record) = derived.calls.take(&way, message, &mut derived.losses) {
                derived.record(record);
            }
        }
    }

    /// Whether it may become a call of a model or of an MCP server, as far as is known by now.
    pub(super) fn is_wanted(&mut self) -> bool {
        let read = |message: &mut Message| !message.body.lanes().is_empty();
        self.recognised.is_some() || self.is_mcp || read(&mut self.request) || read(&mut self.response)
    }

    /// What exchanges of one owner with one server have in common.
    fn session(&self) -> u64 {
        let owner = fnv1a(FNV_START, self.origin.owner.to_le_bytes());
        let Some(head) = &self.request.head else { return owner };
        let port = head.port.unwrap_or(0).to_le_bytes();
        fnv1a(owner, head.host.as_deref().unwrap_or_default().bytes().chain(port))
    }

    /// How long it is from the request to this time, ns, where the request was seen.
    pub(super) fn waited_ns(&self, at_ns: Option<u64>) -> Option<u64> {
        at_ns.zip(self.request.began_ns).map(|(at_ns, began_ns)| at_ns.saturating_sub(began_ns))
    }

    /// Its connection ended then: whoever waited for more did so until then.
    pub(super) fn waited_until(&mut self, at_ns: u64) {
        if !self.is_complete() {
            self.last_ns = self.last_ns.max(at_ns);
        }
    }

    /// Ends it, and tells what it was.
    pub(super) fn finish(mut self, ending: Ending, derived: &mut Derived) {
        derived.ended += 1;
        self.response.ended |= self.response.is_long_enough();
        match ending {
            Ending::Unseen(reason) => self.partial.add(reason),
            Ending::CutOff | Ending::Cancelled if !self.is_complete() => self.partial.add(Reason::CutOff),
            _ => {}
        }
        for side in [Side::Request, Side::Response] {
            let message = self.side(side);
            let complete = message.ended;
            message.body.finish(complete);
            self.take_messages(side, derived);
        }
        call::tell(self, ending, derived);
    }

    /// Whether the answer said by itself that it was over, though its framing did not.
    pub(super) fn is_complete(&mut self) -> bool {
        self.response.ended
            || self.response.is_long_enough()
            || self.response.body.lanes().iter().any(|lane| lane.facts.ended)
    }

    /// Of the dialects that may have been spoken, the one that was, with what request and answer told.
    pub(super) fn spoken(&mut self) -> Option<(Recognised, Facts, Facts)> {
        let mut responses = std::mem::take(self.response.body.lanes_mut()?);
        let mut requests = std::mem::take(self.request.body.lanes_mut()?);
        let recognised = match self.recognised.take() {
            Some(recognised) => recognised,
            None => {
                let answered = responses.iter().find(|lane| lane.facts.answered);
                Recognised::by_shape(answered?.dialect)
            }
        };
        let of = |lanes: &mut Vec<Lane>| {
            let at = lanes.iter().position(|lane| std::ptr::eq(lane.dialect, recognised.dialect));
            at.map(|at| lanes.swap_remove(at).facts).unwrap_or_default()
        };
        let (request, response) = (of(&mut requests), of(&mut responses));
        Some((recognised, request, response))
    }
}
