//! The standard input and output of a process as MCP uses them: a message of JSON-RPC in each line.

use super::{
    Direction, Opened, Piece,
    body::{Body, Side},
    coding::Coding,
    derived::Derived,
    head::Media,
    mcp::Way,
    rpc::RPC,
};
use crate::model::{
    content::Keep,
    hash::{FNV_START, fnv1a},
    wire::{Origin, Reason},
};

/// Both directions of a pipe, or of a pair of them.
pub(super) struct Lines {
    owner: u64,
    connection: u64,
    keep: Keep,
    sent: Body,
    received: Body,
    /// Whether any message was one of JSON-RPC.
    speaks_rpc: bool,
}

impl Lines {
    pub(super) fn new(opened: &Opened) -> Self {
        let Opened { owner, connection, keep, .. } = *opened;
        let body = || Body::new(Media::JsonLines, Coding::Identity, Side::Request, (&[&RPC], keep));
        Self { owner, connection, keep, sent: body(), received: body(), speaks_rpc: false }
    }

    /// What the messages on it have in common. Not the connection's number alone, which may be a session of HTTP's, too.
    fn session(&self) -> u64 {
        fnv1a(FNV_START, self.connection.to_le_bytes().into_iter().chain(*b"stdio"))
    }

    /// Takes a piece.
    pub(super) fn take(&mut self, direction: Direction, piece: Piece<'_>, at_ns: u64, derived: &mut Derived) {
        let body = match direction {
            Direction::Sent => &mut self.sent,
            Direction::Received => &mut self.received,
        };
        body.feed(piece, at_ns);
        let messages: Vec<_> =
            body.lanes().iter_mut().flat_map(|lane| std::mem::take(&mut lane.facts.messages)).collect();
        for lane in body.lanes() {
            derived.losses.rpc_messages += std::mem::take(&mut lane.facts.messages_lost);
        }
        self.speaks_rpc |= !messages.is_empty();
        for mut message in messages {
            message.said = message.said.and_then(|said| derived.admit(said, self.keep));
            let sent = direction == Direction::Sent;
            // Each way is told from the other, whichever of the two opened the session.
            let way = Way {
                origin: Origin {
                    owner: self.owner,
                    connection: self.connection,
                    exchange: derived.exchange(),
                },
                session: self.session(),
                stdio: true,
                from_client: sent,
                sent,
            };
            if let Some(record) = derived.calls.take(&way, message, &mut derived.losses) {
                derived.record(record);
            }
        }
    }

    /// Whether it speaks what is read here, as far as was seen.
    pub(super) fn is_wanted(&self) -> bool {
        self.speaks_rpc
    }

    /// The pipe was closed, or is not followed any more.
    pub(super) fn close(&mut self, reason: Reason, at_ns: u64, derived: &mut Derived) {
        for record in derived.calls.session_ended(self.session(), reason, at_ns) {
            derived.record(record);
        }
    }
}
