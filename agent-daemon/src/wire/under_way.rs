//! Calls to models that are not over: what of them is known by now.

use super::{Wire, connection::Connection, exchange::Exchange, head::Media};
use crate::model::wire::{Evidence, Role};

/// A call that the observed process made, and that is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnderWay {
    /// The connection.
    pub connection: u64,
    /// When the request's first byte came by.
    pub asked_ns: u64,
    /// When the answer began: a stream with its first content, any other with its first byte.
    pub first_ns: Option<u64>,
}

impl Wire {
    /// The calls that are not over, of all connections.
    #[must_use]
    pub fn under_way(&mut self) -> Vec<UnderWay> {
        self.connections.iter_mut().flat_map(|(_, connection)| Connection::under_way(connection)).collect()
    }
}

impl Exchange {
    /// What is known of it, if it is a call to a model that was made by the observed process.
    pub(super) fn under_way(&mut self) -> Option<UnderWay> {
        let recognised = self.recognised.as_ref().filter(|_| self.context.role == Role::Client)?;
        recognised.dialect.operation?;
        let is_proven = recognised.evidence != Evidence::Path;
        let asked_ns = self.request.began_ns?;
        if !is_proven && !self.request.body.lanes().iter().any(|lane| lane.facts.asked) {
            return None;
        }
        Some(UnderWay { connection: self.origin.connection, asked_ns, first_ns: self.first_ns() })
    }

    fn first_ns(&mut self) -> Option<u64> {
        let began_ns = self.response.began_ns?;
        match self.response.body.media() {
            Media::EventStream | Media::AwsEventStream | Media::JsonLines => {
                let paces = self.response.body.lanes().iter().map(|lane| &lane.facts.pace);
                paces.filter(|pace| pace.chunks > 0).map(|pace| pace.first().unwrap_or(began_ns)).min()
            }
            Media::Json | Media::Other => Some(began_ns),
        }
    }
}
