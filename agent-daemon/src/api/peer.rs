//! Who is at the other end of a connection: which agent's process, found out when first needed and remembered for a little.

use std::{
    iter,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    ingest::sender::{self, Sender},
    model::time::{TimeRange, Timestamp},
    store::Store,
};

/// How long a process that was found is believed to be there: it may have let another have its connection.
const FOUND: Duration = Duration::from_secs(10);
/// How long nobody is believed to be there: it may be attached just now.
const NOT_FOUND: Duration = Duration::from_secs(1);

/// When somebody was looked for, and who was found.
type Known = (Instant, Option<Sender>);

/// The two ends of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    client: SocketAddr,
    server: SocketAddr,
    known: Arc<Mutex<Option<Known>>>,
}

impl Peer {
    pub(super) fn new(client: SocketAddr, server: SocketAddr) -> Self {
        Self { client, server, known: Arc::default() }
    }

    /// The agent's process that sends. Reads /proc and the store, so for a thread that may block.
    pub(super) fn sender(&self, store: &dyn Store) -> Option<Sender> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, found)) = known.as_ref()
            && at.elapsed() < if found.is_some() { FOUND } else { NOT_FOUND }
        {
            return found.clone();
        }
        let found = self.find(store);
        *known = Some((Instant::now(), found.clone()));
        found
    }

    fn find(&self, store: &dyn Store) -> Option<Sender> {
        let now = TimeRange { from: Timestamp::now(), to: Timestamp::MAX };
        let live = store.agents().into_iter().filter(|agent| agent.ended.is_none());
        let processes = live.flat_map(|agent| {
            let processes = store.processes(&agent.id, now).unwrap_or_default();
            let living = processes.into_iter().filter(|process| process.ended.is_none());
            // Processes are stored when a window closes; the root is known since the attach.
            let living = iter::once(agent.root).chain(living.map(|process| process.id));
            living.map(move |process| (agent.id.clone(), process))
        });
        sender::find(self.client, self.server, processes)
    }
}
