//! The connections that are followed: their numbers, whose they are, and how long they have carried nothing of interest.
//!
//! The kernel side knows a connection by an address that is used again; here each gets a number of its own.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::{
    kernel::wire::{WireKey, source},
    model::id::{ProcessId, Slot},
};

/// Connections that are known: as many as the kernel side remembers.
const MOST: NonZeroUsize = NonZeroUsize::new(8192).unwrap();
/// Bytes without anything of interest after which a connection is dismissed, or the bodies on it are passed over.
const PATIENCE: u64 = 64 << 10;
/// The same while an exchange is under way whose end nobody knows: what is let go is not told to its end.
const LONG_PATIENCE: u64 = 1 << 20;

/// A connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    /// Its number.
    pub(super) number: u64,
    /// Bytes that it carried since there was something of interest.
    idle_bytes: u64,
}

/// All of them.
pub(super) struct Connections {
    known: LruCache<WireKey, Connection>,
    /// By number; those of connections that are gone are forgotten with them.
    owners: LruCache<u64, Owner>,
    next: u64,
}

/// Whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) slot: Slot,
    pub(super) process: ProcessId,
    /// It is a socket without TLS.
    pub(super) is_plain: bool,
    /// Its end is seen, which may be that of its process.
    pub(super) has_end: bool,
}

/// A connection that was said something on.
pub(super) struct Met {
    /// Its number.
    pub(super) number: u64,
    /// Whether it is seen for the first time.
    pub(super) is_new: bool,
}

impl Connections {
    pub(super) fn new() -> Self {
        Self { known: LruCache::new(MOST), owners: LruCache::new(MOST), next: 0 }
    }

    /// The connection of this key.
    pub(super) fn meet(&mut self, key: WireKey, slot: Slot, source: u32) -> Met {
        if let Some(known) = self.known.get(&key) {
            self.owners.promote(&known.number);
            return Met { number: known.number, is_new: false };
        }
        self.next += 1;
        self.known.put(key, Connection { number: self.next, idle_bytes: 0 });
        let is_plain = source == source::SOCKET;
        // What frees a connection is not found there.
        let has_end = !matches!(source, source::BORINGSSL | source::OPENSSL_STRIPPED);
        self.owners.put(self.next, Owner { slot, process: key.process, is_plain, has_end });
        Met { number: self.next, is_new: true }
    }

    /// It carried so many bytes more, and something of interest is under way or not, or an exchange. Whether it is time to
    /// dismiss it.
    pub(super) fn carried(&mut self, key: &WireKey, bytes: u64, is_wanted: bool, is_busy: bool) -> bool {
        let Some(connection) = self.known.peek_mut(key) else { return false };
        connection.idle_bytes = if is_wanted { 0 } else { connection.idle_bytes.saturating_add(bytes) };
        connection.idle_bytes > if is_busy { LONG_PATIENCE } else { PATIENCE }
    }

    /// What it carries next is passed over.
    pub(super) fn pass_over(&mut self, key: &WireKey) {
        self.known.peek_mut(key).into_iter().for_each(|connection| connection.idle_bytes = 0);
    }

    /// Its number, where it is followed.
    pub(super) fn number(&self, key: &WireKey) -> Option<u64> {
        self.known.peek(key).map(|connection| connection.number)
    }

    /// Whose a connection is.
    pub(super) fn owner(&self, number: u64) -> Option<Owner> {
        self.owners.peek(&number).copied()
    }

    /// It is over, or dismissed. Whose it was stays known for what is still told of it.
    pub(super) fn remove(&mut self, key: &WireKey) -> Option<u64> {
        self.known.pop(key).map(|connection| connection.number)
    }

    /// The connections of a process, which is gone.
    pub(super) fn remove_all(&mut self, process: ProcessId) -> Vec<u64> {
        self.remove_if(|key, _| key.process == process)
    }

    /// The connections of an agent, which is let go.
    pub(super) fn remove_slot(&mut self, slot: Slot) -> Vec<u64> {
        self.remove_if(|_, owner| owner.is_some_and(|owner| owner.slot == slot))
    }

    fn remove_if(&mut self, is_over: impl Fn(&WireKey, Option<Owner>) -> bool) -> Vec<u64> {
        let all = self.known.iter().map(|(key, connection)| (*key, self.owner(connection.number)));
        let over: Vec<WireKey> =
            all.filter(|(key, owner)| is_over(key, *owner)).map(|(key, _)| key).collect();
        over.iter().filter_map(|key| self.remove(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(process: u64, address: u64, opened_ns: u64) -> WireKey {
        WireKey { process: ProcessId(process), address, opened_ns }
    }

    #[test]
    fn an_address_that_is_used_again_is_another_connection() {
        let mut connections = Connections::new();
        let first = connections.meet(key(1, 16, 5), Slot(1), source::SOCKET);
        assert!(first.is_new && !connections.meet(key(1, 16, 5), Slot(1), source::SOCKET).is_new);
        let second = connections.meet(key(1, 16, 9), Slot(2), source::BORINGSSL);
        assert!(second.is_new && second.number != first.number);
        let owner = |slot, is_plain| {
            Some(Owner { slot: Slot(slot), process: ProcessId(1), is_plain, has_end: is_plain })
        };
        assert_eq!(connections.owner(first.number), owner(1, true));
        assert_eq!(connections.remove_all(ProcessId(1)).len(), 2);
        assert_eq!(connections.owner(second.number), owner(2, false), "what is told late is its");
    }

    #[test]
    fn what_carries_nothing_for_long_is_dismissed() {
        let mut connections = Connections::new();
        let key = key(1, 16, 5);
        connections.meet(key, Slot(1), source::OPENSSL);
        assert!(!connections.carried(&key, PATIENCE, false, false));
        assert!(!connections.carried(&key, 1, true, false), "a call resets it");
        assert!(!connections.carried(&key, PATIENCE, false, false));
        assert!(!connections.carried(&key, 1, false, true), "an exchange is worth waiting for");
        assert!(connections.carried(&key, 1, false, false));
        connections.pass_over(&key);
        assert!(!connections.carried(&key, PATIENCE, false, false));
        assert!(connections.carried(&key, LONG_PATIENCE, false, true));
    }
}
