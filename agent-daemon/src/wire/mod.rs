//! Protocols read off TLS and pipes: plaintext in, metadata out. Pure: no I/O, no clock, no panic, bounded memory.
//!
//! In go [`Chunk`]s: pieces of the two directions of a connection, in their order, with marks where bytes are missing. Out
//! come [`WireRecord`]s. What a connection speaks is found out ([`sniff`]), taken apart ([`http1`], [`http2`],
//! [`websocket`], lines), put together to exchanges ([`exchange`]), whose bodies ([`body`]: codings, events, JSON) are
//! read in the words of a [`dialect`] that a [`provider`] speaks, or as JSON-RPC ([`rpc`], [`mcp`]).
//!
//! Content never leaves, unless the connection is of an agent of whom it is kept ([`said`]; [`Opened::keep`]): a scanner
//! copies what stands at a few paths, and of strings only identifiers; headers are looked at for framing and recognition. Where something was missed, records say so ([`Partial`](crate::model::wire::Partial)),
//! and what is not known is `None`.

mod body;
mod call;
mod coding;
mod connection;
mod derived;
mod dialect;
pub mod dns;
pub mod event_stream;
mod exchange;
mod facts;
pub mod field;
mod head;
pub mod http1;
pub mod http2;
pub mod json;
mod lines;
mod mcp;
mod provider;
mod retries;
mod rpc;
mod said;
mod sniff;
pub mod sse;
#[cfg(test)]
mod tests;
mod under_way;
pub mod websocket;

use std::num::NonZeroUsize;

use lru::LruCache;

use self::{connection::Connection, derived::Derived};
use crate::model::{
    content::{Content, Keep, Unmasked},
    wire::{Reason, WireRecord},
};

pub use derived::Losses;
pub use under_way::UnderWay;

/// Connections that are followed at once, unless told otherwise.
pub const USUAL_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Which way bytes went, seen from the observed process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It wrote them.
    Sent,
    /// It read them.
    Received,
}

/// Bytes, or a mark that some are missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Plaintext.
    Bytes(&'a [u8]),
    /// So many bytes were lost or skipped; `None` if their number is not known.
    Gap(Option<u64>),
}

impl std::fmt::Debug for Piece<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Gap(length) => write!(f, "gap of {length:?}"),
        }
    }
}

impl Piece<'_> {
    /// Bytes on the wire, as far as known.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Gap(length) => length.unwrap_or(0),
        }
    }
}

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A stream socket, with or without TLS: the protocol is found out.
    Stream,
    /// The standard input and output of a process: lines of JSON-RPC.
    Stdio,
}

/// A connection as the capture knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its number; never used again.
    pub connection: u64,
    /// Whose it is: calls are linked within one owner.
    pub owner: u64,
    /// What it carries.
    pub transport: Transport,
    /// What is kept of what is said on it, word by word.
    pub keep: Keep,
}

/// A piece of one direction of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The connection. One that was not opened is taken for a stream socket with an owner of its own.
    pub connection: u64,
    /// Which way.
    pub direction: Direction,
    /// How many bytes went this way before, those not captured too; `None` if it follows what came last.
    pub offset: Option<u64>,
    /// When it went through, monotonic, ns.
    pub at_ns: u64,
    /// What went.
    pub piece: Piece<'a>,
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The process is asked on it.
    pub is_served: bool,
    /// An exchange is under way.
    pub is_busy: bool,
    /// Whoever lets it go cannot enter it again.
    pub is_entered_once: bool,
    /// Positions of what is sent and received that the bodies go to which are under way, where that is known; else 0.
    pub bodies_end: [u64; 2],
}

/// All connections, and what is derived from them.
pub struct Wire {
    connections: LruCache<u64, Connection>,
    derived: Derived,
}

impl Default for Wire {
    fn default() -> Self {
        Self::new(USUAL_CONNECTIONS)
    }
}

impl Wire {
    /// Follows so many connections at most; of more, those that were silent longest are let go.
    #[must_use]
    pub fn new(most: NonZeroUsize) -> Self {
        Self { connections: LruCache::new(most), derived: Derived::default() }
    }

    /// A connection begins, or is seen from now on.
    pub fn open(&mut self, opened: Opened) {
        self.insert(Connection::new(opened));
    }

    fn insert(&mut self, connection: Connection) {
        let id = connection.id();
        if let Some((_, mut gone)) = self.connections.push(id, connection) {
            gone.evict(&mut self.derived);
        }
    }

    /// Takes a piece.
    pub fn take(&mut self, chunk: &Chunk<'_>) {
        self.derived.pass(chunk.at_ns);
        if !self.connections.contains(&chunk.connection) {
            let (connection, transport) = (chunk.connection, Transport::Stream);
            self.open(Opened { connection, owner: connection, transport, keep: Keep::NOTHING });
        }
        if let Some(connection) = self.connections.get_mut(&chunk.connection) {
            connection.take(chunk, &mut self.derived);
        }
    }

    /// A connection ended, or is not seen any more.
    pub fn close(&mut self, connection: u64, at_ns: u64) {
        if let Some(mut connection) = self.connections.pop(&connection) {
            connection.close(at_ns, &mut self.derived);
        }
    }

    /// Whether something of interest is under way on a connection, or may be; what is not followed is of none.
    pub fn is_wanted(&mut self, connection: u64) -> bool {
        self.connections.peek_mut(&connection).is_some_and(Connection::is_wanted)
    }

    /// How often an exchange has begun or ended, on all connections.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.derived.turns()
    }

    /// How a connection stands.
    #[must_use]
    pub fn standing(&self, connection: u64) -> Standing {
        self.connections.peek(&connection).map(Connection::standing).unwrap_or_default()
    }

    /// What comes up to the ends of the bodies on a connection is not handed in.
    pub fn pass_over(&mut self, connection: u64) {
        self.connections.peek_mut(&connection).into_iter().for_each(Connection::pass_over);
    }

    /// Nobody watches whose connection it is any more.
    pub fn let_go(&mut self, connection: u64) {
        if let Some(mut connection) = self.connections.pop(&connection) {
            connection.let_go(Reason::DetachedEarly, &mut self.derived);
        }
    }

    /// Whose connections these were is gone, which are closed: what still waits for an answer gets none.
    pub fn owner_ended(&mut self, owner: u64, at_ns: u64) {
        let ended = self.derived.calls.owner_ended(owner, at_ns);
        ended.into_iter().for_each(|record| self.derived.record(record));
    }

    /// Nobody watches any more whose these connections are, or were: what still waits for an answer is told as far as it came.
    pub fn let_go_waiting(&mut self, is_of: impl Fn(u64) -> bool) {
        let ended = self.derived.calls.let_go(is_of);
        ended.into_iter().for_each(|record| self.derived.record(record));
    }

    /// Has masked what is kept of requests that wait for their answers, which may be long.
    pub fn mask_waiting(&mut self, mask: impl FnMut(Unmasked) -> Option<Content>) {
        self.derived.calls.mask(mask);
    }

    /// A connection is not followed any more: what is under way on it is of no interest.
    pub fn dismiss(&mut self, connection: u64) {
        if let Some(mut connection) = self.connections.pop(&connection) {
            connection.let_go(Reason::TooLong, &mut self.derived);
        }
    }

    /// What was derived since the last time, in the order in which it ended.
    #[must_use]
    pub fn records(&mut self) -> Vec<WireRecord> {
        self.derived.records()
    }

    /// What was dropped so far.
    #[must_use]
    pub fn losses(&self) -> Losses {
        self.derived.losses
    }
}
