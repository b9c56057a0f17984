//! How long connections to models took to be made, as sockets tell, for the calls that were first on them. Which socket a
//! library of TLS speaks by is not known: a call is told the handshake after which its process sent at about the same time.

use std::{collections::VecDeque, num::NonZeroUsize};

use lru::LruCache;

use crate::model::id::ProcessId;

/// Processes of which something is remembered.
const PROCESSES: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Connections of one.
const CONNECTIONS: usize = 256;
/// How far apart the request's plaintext and what goes on the socket may be, ns: event loops send later, and HTTP/2 sends
/// its settings first.
const APART: u64 = 500_000_000;

/// Handshakes that are over and no call was told yet, by process.
pub(super) struct Handshakes(LruCache<ProcessId, VecDeque<Handshake>>);

/// That of one connection.
struct Handshake {
    /// When the first request went out (ns, monotonic).
    over_ns: u64,
    took_ns: u64,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self(LruCache::new(PROCESSES))
    }
}

impl Handshakes {
    /// A process sent the first request on a connection that took so long to be made.
    pub(super) fn over(&mut self, process: ProcessId, over_ns: u64, took_ns: u64) {
        let all = self.0.get_or_insert_mut(process, VecDeque::new);
        if all.len() == CONNECTIONS {
            all.pop_front();
        }
        all.push_back(Handshake { over_ns, took_ns });
    }

    /// How long the connection took to be made whose first call began then. Each is told once.
    pub(super) fn take(&mut self, process: ProcessId, started_ns: u64) -> Option<u64> {
        let all = self.0.get_mut(&process)?;
        let apart = |handshake: &Handshake| handshake.over_ns.abs_diff(started_ns);
        let near = all.iter().enumerate().filter(|(_, handshake)| apart(handshake) <= APART);
        let (nearest, _) = near.min_by_key(|(_, handshake)| apart(handshake))?;
        all.remove(nearest).map(|handshake| handshake.took_ns)
    }

    /// A process is gone.
    pub(super) fn exited(&mut self, process: ProcessId) {
        self.0.pop(&process);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROCESS: ProcessId = ProcessId(7);

    #[test]
    fn a_call_is_told_the_nearest_handshake_once() {
        let mut handshakes = Handshakes::default();
        handshakes.over(PROCESS, 1_000, 5);
        handshakes.over(PROCESS, 9_000, 6);
        assert_eq!(handshakes.take(ProcessId(8), 1_000), None, "another process's");
        assert_eq!(handshakes.take(PROCESS, 8_000), Some(6));
        assert_eq!(handshakes.take(PROCESS, 8_000), Some(5), "of two at once");
        assert_eq!(handshakes.take(PROCESS, 8_000), None);
    }

    #[test]
    fn what_is_long_over_or_too_much_is_forgotten() {
        let mut handshakes = Handshakes::default();
        for n in 0..=CONNECTIONS as u64 {
            handshakes.over(PROCESS, n, n + 1);
        }
        assert_eq!(handshakes.take(PROCESS, 0), Some(2), "the first gave way");
        assert_eq!(handshakes.take(PROCESS, APART * 2), None);
        handshakes.exited(PROCESS);
        assert_eq!(handshakes.take(PROCESS, 5), None);
    }
}
