//! How much of what the processes of agents say is seen: kept by the thread that reads it, shown by the API.
//!
//! Bounded by the live processes of agents; those that are gone go with their agent, or when there are too many. Of those that
//! ended unread the last are remembered.

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
};

use lru::LruCache;

use crate::model::{
    attachment::Attachment,
    id::{ProcessId, Slot},
    time::Timestamp,
    wire::{Seen, Unread},
};

/// Processes that are remembered; of more, those that were silent longest go.
const MOST: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Processes that ended unread which are remembered.
const MOST_UNREAD: usize = 1024;

/// The book.
#[derive(Debug)]
pub struct Coverage {
    live: Mutex<LruCache<ProcessId, (Slot, Seen)>>,
    unread: Mutex<VecDeque<Unread>>,
}

impl Default for Coverage {
    fn default() -> Self {
        // Not `new`, which takes memory for all that may come at once.
        Self { live: Mutex::new(LruCache::unbounded()), unread: Mutex::default() }
    }
}

impl Coverage {
    fn lock(&self) -> MutexGuard<'_, LruCache<ProcessId, (Slot, Seen)>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of a process.
    pub fn note(&self, (process, slot): (ProcessId, Slot), change: impl FnOnce(&mut Seen)) {
        let mut book = self.lock();
        change(&mut book.get_or_insert_mut(process, || (slot, Seen::default())).1);
        if book.len() > MOST.get() {
            book.pop_lru();
        }
    }

    /// Forgets the processes of an agent that is let go.
    pub fn forget(&self, slot: Slot) {
        let mut book = self.lock();
        let gone: Vec<ProcessId> =
            book.iter().filter(|(_, (of, _))| *of == slot).map(|(process, _)| *process).collect();
        for process in gone {
            book.pop(&process);
        }
    }

    /// What is known of a process.
    #[must_use]
    pub fn of(&self, process: ProcessId) -> Option<Seen> {
        self.lock().peek(&process).map(|(_, seen)| seen.clone())
    }

    /// A process is gone, on whose TLS libraries probes stood so; tells whether it asked models unseen.
    pub fn exited(&self, process: ProcessId, ended: Timestamp, tls: Vec<Attachment>) -> bool {
        let Some((_, seen)) = self.lock().pop(&process).filter(|(_, seen)| seen.ends_unread(ended)) else {
            return false;
        };
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        if unread.len() >= MOST_UNREAD {
            unread.pop_front();
        }
        unread.push_back(Unread { process, ended, seen, tls });
        true
    }

    /// Those that ended unread, the first first.
    #[must_use]
    pub fn unread(&self) -> Vec<Unread> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Processes that ask models while what they say is not seen.
    #[must_use]
    pub fn blind(&self, now: Timestamp) -> usize {
        self.lock().iter().filter(|(_, (_, seen))| seen.is_blind(now)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_known_until_their_agent_goes() {
        let book = Coverage::default();
        for (process, slot) in [(1, 1), (2, 1), (3, 2)] {
            book.note((ProcessId(process), Slot(slot)), |seen| seen.llm_calls += process);
            book.note((ProcessId(process), Slot(slot)), |seen| seen.llm_calls += 1);
        }
        assert_eq!(book.of(ProcessId(2)).map(|seen| seen.llm_calls), Some(3));
        book.forget(Slot(1));
        assert!(book.of(ProcessId(2)).is_none() && book.of(ProcessId(3)).is_some());
        assert!(!book.exited(ProcessId(3), Timestamp::UNIX_EPOCH, Vec::new()), "it asked no model");
        assert!(book.of(ProcessId(3)).is_none());
    }

    #[test]
    fn who_ends_unread_is_remembered_a_while() {
        let (book, at) = (Coverage::default(), |s| Timestamp::from_second(s).unwrap());
        let ask = |process, is_read| {
            book.note((ProcessId(process), Slot(1)), |seen| {
                (seen.model_requests, seen.is_read) = (2, is_read)
            });
            book.exited(ProcessId(process), at(1), Vec::new())
        };
        assert!(!ask(1, true) && ask(2, false));
        let [unread] = &book.unread()[..] else { panic!("one") };
        assert_eq!((unread.process, unread.seen.model_requests), (ProcessId(2), 2));
        for process in 3..3 + MOST_UNREAD as u64 {
            ask(process, false);
        }
        let all = book.unread();
        assert_eq!((all.len(), all[0].process), (MOST_UNREAD, ProcessId(3)));
    }

    #[test]
    fn who_asks_a_model_unseen_is_counted() {
        let (book, at) = (Coverage::default(), |s| Timestamp::from_second(s).unwrap());
        for process in 0..3 {
            book.note((ProcessId(process), Slot(1)), |seen| {
                (seen.unseen_since, seen.last_model_request) = (Some(at(10)), Some(at(10)));
            });
        }
        book.note((ProcessId(0), Slot(1)), |seen| seen.unseen_since = None);
        assert_eq!((book.blind(at(12)), book.blind(at(13))), (0, 2));
    }

    #[test]
    fn there_are_not_too_many() {
        let book = Coverage::default();
        for process in 0..5000 {
            book.note((ProcessId(process), Slot(1)), |seen| seen.connections = 1);
        }
        let known = (0..5000).filter(|process| book.of(ProcessId(*process)).is_some()).count();
        assert_eq!(known, MOST.get());
        assert!(book.of(ProcessId(0)).is_none() && book.of(ProcessId(4999)).is_some());
    }
}
