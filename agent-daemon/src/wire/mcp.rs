//! Requests of JSON-RPC and their answers, put together to calls: within a pipe, within an HTTP exchange, or, where answers
//! come on a stream of events beside the requests, within all exchanges of one owner with one host.
//!
//! Every JSON-RPC 2.0 on these ways is taken for MCP: what else speaks it there (language servers frame their messages
//! otherwise) has other methods, and those are told as they are.
//!
//! What is asked waits until it is answered, given up or asked anew, or until nobody can answer any more: its exchange or pipe
//! has ended, or its owner, or [`PATIENCE`] has. What it says waits with it, in room of its own ([`MOST_SAID`]).

use std::{collections::VecDeque, num::NonZeroUsize};

use lru::LruCache;

use super::{derived::Losses, rpc::Message};
use crate::model::{
    content::{Content, Text, Unmasked},
    wire::{McpCall, McpTransport, Origin, Partial, Reason, Role, WireRecord},
};

/// Requests that wait for their answers, of all sessions.
const MOST_WAITING: usize = 4096;
/// How long one waits, ns: the SDKs' clients wait for a minute unless told otherwise, and some give up without a word.
const PATIENCE: u64 = 3600 * 1_000_000_000;
/// Bytes of what all that wait say, where that is kept: of more, the oldest is forgotten. The room for what is not stored yet
/// is another, so that nobody who is never answered keeps others out of it.
pub(super) const MOST_SAID: usize = 16 << 20;
/// Sessions whose server's name is kept.
const MOST_SESSIONS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// By which way messages came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) origin: Origin,
    /// What the messages of one client with one server have in common.
    pub(super) session: u64,
    pub(super) stdio: bool,
    /// Whether they came from the side that opened the session.
    pub(super) from_client: bool,
    /// Whether the observed process sent them.
    pub(super) sent: bool,
}

#[derive(Debug)]
struct Waiting {
    session: u64,
    from_client: bool,
    id: u64,
    stdio: bool,
    /// Its exchange is over without the answer, which may come in another.
    is_adrift: bool,
    call: McpCall,
}

impl Waiting {
    /// Whether this side of this session asked it by this id.
    fn is_of(&self, side: (u64, bool), id: u64) -> bool {
        (self.session, self.from_client) == side && self.id == id
    }

    /// It waited until then.
    fn over(&mut self, at_ns: u64) {
        self.call.duration_ns = at_ns.saturating_sub(self.call.started_ns);
    }

    fn said_bytes(&self) -> usize {
        let bytes = |texts: &[Text]| texts.iter().map(|text| text.text.len()).sum::<usize>();
        let unmasked = self.call.said.as_ref().map_or(0, |said| bytes(&said.texts));
        unmasked + self.call.content.as_ref().map_or(0, |content| bytes(&content.texts))
    }
}

/// The requests that wait, and the servers' names.
pub(super) struct Calls {
    /// The oldest first.
    waiting: VecDeque<Waiting>,
    servers: LruCache<u64, String>,
    /// The latest time that was heard of.
    now_ns: u64,
    /// Something that waits may not be masked yet.
    has_unmasked: bool,
}

impl Default for Calls {
    fn default() -> Self {
        let servers = LruCache::new(MOST_SESSIONS);
        Self { waiting: VecDeque::new(), servers, now_ns: 0, has_unmasked: false }
    }
}

impl Calls {
    /// Time has passed, in which some may have waited for too long.
    pub(super) fn pass(&mut self, now_ns: u64) -> Vec<WireRecord> {
        self.now_ns = self.now_ns.max(now_ns);
        let last = |waiting: &Waiting| waiting.call.started_ns.saturating_add(PATIENCE);
        let mut told = Vec::new();
        while let Some(mut late) = self.waiting.pop_front_if(|waiting| last(waiting) <= now_ns) {
            late.call.duration_ns = PATIENCE;
            unanswered(&mut late.call, Some(Reason::TooLong));
            told.push(self.tell(late));
        }
        told
    }

    /// Has what waits masked, once.
    pub(super) fn mask(&mut self, mut mask: impl FnMut(Unmasked) -> Option<Content>) {
        if !std::mem::take(&mut self.has_unmasked) {
            return;
        }
        for waiting in &mut self.waiting {
            let Some(said) = waiting.call.said.take() else { continue };
            waiting.call.content = mask(*said).map(Box::new);
        }
    }

    /// Takes a message; a call, if that was its answer or its end, or if another was forgotten for it.
    pub(super) fn take(&mut self, way: &Way, message: Message, losses: &mut Losses) -> Option<WireRecord> {
        if let Some(id) = message.cancels {
            return self.cancel(way, id, message.at_ns);
        }
        let id = message.id?;
        match (message.answers, message.method) {
            (true, _) => self.answer(way, id, message.error, message.server, message.at_ns),
            (false, Some(method)) => {
                let call = McpCall {
                    origin: way.origin,
                    role: if way.sent { Role::Client } else { Role::Server },
                    transport: if way.stdio { McpTransport::Stdio } else { McpTransport::Http },
                    server: None,
                    method,
                    tool: message.tool,
                    started_ns: message.at_ns,
                    duration_ns: 0,
                    error_type: None,
                    partial: Partial::default(),
                    said: message.said,
                    content: None,
                };
                self.ask(way, id, call, losses)
            }
            (false, None) => None,
        }
    }

    fn ask(&mut self, way: &Way, id: u64, call: McpCall, losses: &mut Losses) -> Option<WireRecord> {
        let Way { session, from_client, stdio, .. } = *way;
        let at_ns = call.started_ns;
        // Who counts anew has lost what it asked before. Over HTTP, several clients of one process may count alike, each in
        // exchanges of its own.
        let is_same = |waiting: &Waiting| {
            (waiting.stdio || waiting.is_adrift) && waiting.is_of((session, from_client), id)
        };
        let before = self.waiting.iter().position(is_same).and_then(|at| self.waiting.remove(at));
        let says = call.said.is_some();
        self.waiting.push_back(Waiting { session, from_client, id, stdio, is_adrift: false, call });
        if says {
            self.has_unmasked = true;
            self.make_room(losses);
        }
        if let Some(mut lost) = before {
            lost.over(at_ns);
            unanswered(&mut lost.call, Some(Reason::CutOff));
            return Some(self.tell(lost));
        }
        if self.waiting.len() <= MOST_WAITING {
            return None;
        }
        losses.rpc_calls += 1;
        let mut forgotten = self.waiting.pop_front()?;
        forgotten.call.partial.add(Reason::Evicted);
        Some(self.tell(forgotten))
    }

    /// Forgets what the oldest say, where all say too much.
    fn make_room(&mut self, losses: &mut Losses) {
        let mut bytes: usize = self.waiting.iter().map(Waiting::said_bytes).sum();
        for waiting in &mut self.waiting {
            if bytes <= MOST_SAID {
                return;
            }
            let said = waiting.said_bytes();
            losses.contents += u64::from(said > 0);
            bytes -= said;
            (waiting.call.said, waiting.call.content) = (None, None);
        }
    }

    fn answer(
        &mut self,
        way: &Way,
        id: u64,
        error: Option<String>,
        server: Option<String>,
        at_ns: u64,
    ) -> Option<WireRecord> {
        if let Some(server) = server {
            self.servers.put(way.session, server);
        }
        let fits = |waiting: &Waiting| waiting.is_of((way.session, !way.from_client), id);
        let own = |waiting: &Waiting| fits(waiting) && waiting.call.origin.exchange == way.origin.exchange;
        let at = self.waiting.iter().position(own).or_else(|| self.waiting.iter().position(fits))?;
        let mut answered = self.waiting.remove(at)?;
        if !way.stdio && answered.call.origin.exchange != way.origin.exchange {
            answered.call.transport = McpTransport::Sse;
        }
        answered.over(at_ns);
        answered.call.error_type = error;
        Some(self.tell(answered))
    }

    /// Who asked gives a request up, and is owed no answer any more.
    fn cancel(&mut self, way: &Way, id: u64, at_ns: u64) -> Option<WireRecord> {
        let fits = |waiting: &Waiting| waiting.is_of((way.session, way.from_client), id);
        // Over HTTP, several clients of one process may count alike.
        let mut fitting = (0..self.waiting.len()).filter(|at| self.waiting.get(*at).is_some_and(fits));
        let (Some(at), None) = (fitting.next(), fitting.next()) else { return None };
        let mut cancelled = self.waiting.remove(at)?;
        cancelled.over(at_ns);
        cancelled.call.error_type = Some("cancelled".to_owned());
        Some(self.tell(cancelled))
    }

    fn tell(&mut self, waiting: Waiting) -> WireRecord {
        let server = self.servers.get(&waiting.session).cloned();
        WireRecord::Mcp(McpCall { server, ..waiting.call })
    }

    /// An HTTP exchange ended in this status, or in none; what waits for an answer in it gets none any more, unless a stream
    /// of events was ended in order, which may go on as another.
    pub(super) fn exchange_ended(
        &mut self,
        exchange: u64,
        status: Option<u16>,
        at_ns: u64,
        (partial, is_in_order): (Partial, bool),
    ) -> Vec<WireRecord> {
        let error = status.filter(|status| *status >= 400).map(|status| status.to_string());
        let is_of = |waiting: &Waiting| !waiting.stdio && waiting.call.origin.exchange == exchange;
        // Accepted: the answer comes on the stream beside it.
        if status == Some(202) || (is_in_order && error.is_none() && !partial.is_partial()) {
            let adrift = self.waiting.iter_mut().filter(|waiting| is_of(waiting));
            adrift.for_each(|waiting| waiting.is_adrift = true);
            return Vec::new();
        }
        self.end(is_of, at_ns, |call| {
            call.error_type = error.clone();
            call.partial.merge(partial);
            if error.is_none() {
                unanswered(call, None);
            }
        })
    }

    /// A pipe was closed, or is not followed any more.
    pub(super) fn session_ended(&mut self, session: u64, reason: Reason, at_ns: u64) -> Vec<WireRecord> {
        let ended =
            self.end(|waiting| waiting.session == session, at_ns, |call| unanswered(call, Some(reason)));
        self.servers.pop(&session);
        ended
    }

    /// Whose these are is gone: what waits in no exchange or pipe any more has waited until then.
    pub(super) fn owner_ended(&mut self, owner: u64, at_ns: u64) -> Vec<WireRecord> {
        let is_of = |waiting: &Waiting| waiting.call.origin.owner == owner;
        self.end(is_of, at_ns, |call| unanswered(call, Some(Reason::CutOff)))
    }

    /// Nobody watches any more whose these connections are, or were.
    pub(super) fn let_go(&mut self, is_of: impl Fn(u64) -> bool) -> Vec<WireRecord> {
        let is = |waiting: &Waiting| is_of(waiting.call.origin.connection);
        self.end(is, self.now_ns, |call| unanswered(call, Some(Reason::DetachedEarly)))
    }

    fn end(
        &mut self,
        is: impl Fn(&Waiting) -> bool,
        at_ns: u64,
        change: impl Fn(&mut McpCall),
    ) -> Vec<WireRecord> {
        if !self.waiting.iter().any(&is) {
            return Vec::new();
        }
        let (ended, others): (VecDeque<Waiting>, _) =
            std::mem::take(&mut self.waiting).into_iter().partition(is);
        self.waiting = others;
        let tell = |mut waiting: Waiting| {
            waiting.over(at_ns);
            change(&mut waiting.call);
            self.tell(waiting)
        };
        ended.into_iter().map(tell).collect()
    }
}

/// A call gets no answer any more, for this reason, or those that it has: whoever lost its connection to it has failed.
fn unanswered(call: &mut McpCall, reason: Option<Reason>) {
    reason.into_iter().for_each(|reason| call.partial.add(reason));
    if call.partial.has(Reason::CutOff) {
        call.error_type = Some(Reason::CutOff.name().to_owned());
    }
}
