//! What is told of a key alone, because the connection was not known when it was encrypted: held until the two are tied,
//! which is when it is sent, some microseconds later.

use std::collections::VecDeque;

use crate::{
    kernel::wire::{Said, Way, WireKey},
    model::{
        id::{ProcessId, Slot},
        ledger::Mark,
    },
    telemetry::{Loss, Losses},
};

/// Bytes that are held: beyond them, what has waited longest is dropped.
const MAX_BYTES: usize = 4 << 20;
/// The same in records.
const MAX_RECORDS: usize = 4096;

/// What waits.
struct Held {
    key: WireKey,
    slot: Slot,
    at_ns: u64,
    way: Way,
    position: u64,
    source: u32,
    mark: Option<Mark>,
    bytes: Vec<u8>,
}

/// All that waits, the oldest first.
#[derive(Default)]
pub(super) struct Halves {
    held: VecDeque<Held>,
    bytes: usize,
}

impl Halves {
    /// Hands on what was said as soon as its connection is known.
    pub(super) fn pass(&mut self, said: &Said<'_>, losses: &Losses, mut each: impl FnMut(&Said<'_>)) {
        match said.way {
            Way::Tied => {
                let key = said.tied();
                for held in self.take(|held| held.key == said.key) {
                    let Held { slot, at_ns, way, position, source, mark, bytes, .. } = &held;
                    let (slot, at_ns, way, position) = (*slot, *at_ns, *way, *position);
                    each(&Said { key, slot, at_ns, way, position, source: *source, mark: *mark, bytes });
                }
            }
            Way::Sent if said.is_untied() => self.hold(said, losses),
            Way::Sent | Way::Received | Way::Closed => each(said),
        }
    }

    /// The agent in `slot` is let go.
    pub(super) fn forget(&mut self, slot: Slot) {
        drop(self.take(|held| held.slot == slot));
    }

    /// A process is gone.
    pub(super) fn exited(&mut self, process: ProcessId) {
        drop(self.take(|held| held.key.process == process));
    }

    fn take(&mut self, is_it: impl Fn(&Held) -> bool) -> Vec<Held> {
        let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.held).into_iter().partition(is_it);
        self.held = left.into();
        self.bytes -= taken.iter().map(|held| held.bytes.len()).sum::<usize>();
        taken
    }

    fn hold(&mut self, said: &Said<'_>, losses: &Losses) {
        let Said { key, slot, at_ns, way, position, source, mark, bytes } = *said;
        self.bytes += bytes.len();
        self.held.push_back(Held { key, slot, at_ns, way, position, source, mark, bytes: bytes.to_vec() });
        while self.bytes > MAX_BYTES || self.held.len() > MAX_RECORDS {
            let Some(oldest) = self.held.pop_front() else { return };
            self.bytes -= oldest.bytes.len();
            losses.count(Loss::WireUnfollowed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::wire::source;

    const KEY: u64 = 0x7f00_0000_1000;
    const SOCKET: u64 = 1 << 63 | 7;

    fn said(address: u64, way: Way, position: u64, bytes: &[u8]) -> Said<'_> {
        let key = WireKey { process: ProcessId(1), address, opened_ns: 5 };
        Said { key, slot: Slot(0), at_ns: 9, way, position, source: source::RUSTLS, mark: None, bytes }
    }

    /// What is handed on: its connection, place and bytes.
    fn passed(halves: &mut Halves, losses: &Losses, said: &Said<'_>) -> Vec<(u64, u64, Vec<u8>)> {
        let mut all = Vec::new();
        halves.pass(said, losses, |said| all.push((said.key.address, said.position, said.bytes.to_vec())));
        all
    }

    #[test]
    fn what_was_encrypted_is_handed_on_in_order_once_its_connection_is_known() {
        let (mut halves, losses) = (Halves::default(), Losses::default());
        assert!(passed(&mut halves, &losses, &said(KEY, Way::Sent, 0, b"PO")).is_empty());
        assert!(passed(&mut halves, &losses, &said(KEY + 8, Way::Sent, 0, b"other")).is_empty());
        assert!(passed(&mut halves, &losses, &said(KEY, Way::Sent, 2, b"ST")).is_empty());
        let tied = passed(&mut halves, &losses, &said(KEY, Way::Tied, SOCKET, b""));
        assert_eq!(tied, [(SOCKET, 0, b"PO".to_vec()), (SOCKET, 2, b"ST".to_vec())]);
        assert!(passed(&mut halves, &losses, &said(KEY, Way::Tied, SOCKET, b"")).is_empty(), "once");
        let received = passed(&mut halves, &losses, &said(SOCKET, Way::Received, 0, b"HTTP"));
        assert_eq!(received, [(SOCKET, 0, b"HTTP".to_vec())]);
        passed(&mut halves, &losses, &said(KEY, Way::Sent, 4, b"never sent"));
        halves.forget(Slot(0));
        assert_eq!((halves.held.len(), halves.bytes), (0, 0), "nothing of an agent that is let go is kept");
        passed(&mut halves, &losses, &said(KEY, Way::Sent, 4, b"never sent"));
        halves.exited(ProcessId(1));
        assert_eq!((halves.held.len(), halves.bytes), (0, 0));
    }

    #[test]
    fn what_is_never_tied_is_dropped_and_counted() {
        let (mut halves, losses) = (Halves::default(), Losses::default());
        let bytes = vec![0; 1 << 20];
        for n in 0..6 {
            halves.pass(&said(KEY + n, Way::Sent, 0, &bytes), &losses, |_| unreachable!("it is not tied"));
        }
        assert_eq!((halves.held.len(), halves.bytes), (4, 4 << 20));
        assert_eq!(losses.all()[Loss::WireUnfollowed.name()], 2);
    }
}
