//! What is told by halves. Of a key alone, because the connection was not known when it was encrypted: held until the two are
//! tied, which is when it is sent, some microseconds later. And a record whose end was not encrypted yet, and with it its
//! type: held until that is known, cut off there, and dropped if nothing is left.

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
    is_open: bool,
    bytes: Vec<u8>,
}

impl Held {
    /// Hands it on as said on this connection, behind what was sent before.
    fn hand_on(&self, key: WireKey, before: u64, each: &mut impl FnMut(&Said<'_>)) {
        let Self { slot, at_ns, way, position, source, mark, ref bytes, .. } = *self;
        each(&Said {
            key,
            slot,
            at_ns,
            way,
            position: before + position,
            source,
            mark,
            is_open: false,
            bytes,
        });
    }
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
                let taken = self.take(|held| held.key == said.key);
                // Of what is open, the end was lost: the key is of no use any more.
                for held in taken.iter().filter(|held| !held.is_open) {
                    held.hand_on(said.tied(), said.sent_before(), &mut each);
                }
            }
            Way::Sealed => self.seal(said, &mut each),
            Way::Sent if said.is_open => {
                // One at a time: of another, the end was lost.
                drop(self.take(|held| held.key == said.key && held.is_open));
                self.hold(said, losses);
            }
            Way::Sent if said.is_untied() => self.hold(said, losses),
            Way::Sent | Way::Received | Way::Closed => each(said),
        }
    }

    /// What is open of a connection ends.
    fn seal(&mut self, said: &Said<'_>, each: &mut impl FnMut(&Said<'_>)) {
        let Some(at) = self.held.iter().rposition(|held| held.key == said.key && held.is_open) else {
            return;
        };
        let Some(held) = self.held.get_mut(at) else { return };
        let length = usize::try_from(said.position.saturating_sub(held.position)).unwrap_or(usize::MAX);
        // It is another's end: its own was lost, and so was what that end is of.
        let length = if length > held.bytes.len() { 0 } else { length };
        self.bytes -= held.bytes.len().saturating_sub(length);
        held.bytes.truncate(length);
        held.is_open = false;
        if length > 0 && said.is_untied() {
            return;
        }
        let Some(held) = self.held.remove(at) else { return };
        self.bytes -= held.bytes.len();
        if length > 0 {
            held.hand_on(held.key, 0, each);
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
        if !self.held.iter().any(&is_it) {
            return Vec::new();
        }
        let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.held).into_iter().partition(is_it);
        self.held = left.into();
        self.bytes -= taken.iter().map(|held| held.bytes.len()).sum::<usize>();
        taken
    }

    fn hold(&mut self, said: &Said<'_>, losses: &Losses) {
        let Said { key, slot, at_ns, way, position, source, mark, is_open, bytes } = *said;
        self.bytes += bytes.len();
        let bytes = bytes.to_vec();
        self.held.push_back(Held { key, slot, at_ns, way, position, source, mark, is_open, bytes });
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
        let (slot, source) = (Slot(0), source::RUSTLS);
        Said { key, slot, at_ns: 9, way, position, source, mark: None, is_open: false, bytes }
    }

    fn open(address: u64, position: u64, bytes: &[u8]) -> Said<'_> {
        Said { is_open: true, ..said(address, Way::Sent, position, bytes) }
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
    fn what_another_key_encrypts_follows_what_was_sent_before() {
        let (mut halves, losses) = (Halves::default(), Losses::default());
        passed(&mut halves, &losses, &said(KEY, Way::Sent, 0, b"GET"));
        let before = 4096_u64.to_ne_bytes();
        let tied = passed(&mut halves, &losses, &said(KEY, Way::Tied, SOCKET, &before));
        assert_eq!(tied, [(SOCKET, 4096, b"GET".to_vec())]);
    }

    #[test]
    fn a_record_is_handed_on_when_its_end_is_known() {
        let (mut halves, losses) = (Halves::default(), Losses::default());
        let mut pass = |said: &Said<'_>| passed(&mut halves, &losses, said);
        assert!(pass(&open(SOCKET, 10, b"POST / HTTP\x17none of it")).is_empty());
        let sealed = pass(&said(SOCKET, Way::Sealed, 21, b""));
        assert_eq!(sealed, [(SOCKET, 10, b"POST / HTTP".to_vec())]);
        assert!(pass(&said(SOCKET, Way::Sealed, 21, b"")).is_empty(), "once");
        // It was none of what the application says.
        assert!(pass(&open(SOCKET, 21, b"a new key")).is_empty());
        assert!(pass(&said(SOCKET, Way::Sealed, 21, b"")).is_empty());
        // The end of the first is lost, and with it where the second begins.
        assert!(pass(&open(SOCKET, 21, b"lost")).is_empty());
        assert!(pass(&open(SOCKET, 24, b"next?")).is_empty());
        assert_eq!(pass(&said(SOCKET, Way::Sealed, 28, b"")), [(SOCKET, 24, b"next".to_vec())]);
        // The end of the first and all of the second but its end are lost.
        assert!(pass(&open(SOCKET, 28, b"lost?")).is_empty());
        assert!(pass(&said(SOCKET, Way::Sealed, 40, b"")).is_empty());
        // All of it before the connection is known.
        assert!(pass(&open(KEY, 0, b"GET?")).is_empty());
        assert!(pass(&said(KEY, Way::Sealed, 3, b"")).is_empty());
        assert!(pass(&said(KEY, Way::Sent, 3, b" /")).is_empty());
        assert!(pass(&open(KEY, 5, b"?")).is_empty());
        let tied = pass(&said(KEY, Way::Tied, SOCKET, b""));
        assert_eq!(tied, [(SOCKET, 0, b"GET".to_vec()), (SOCKET, 3, b" /".to_vec())]);
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
