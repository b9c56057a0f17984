//! What stands in for walks that ended since the walker had not been told yet what it takes: copies of their stacks,
//! unwound by another unwinder. What that finds is believed where it goes on from where the walk ended.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    copy::CopyEnd,
    unwinders::{Refusal, Unwound},
};
use crate::{
    kernel::unwind::CopiedStack,
    model::{id::ProcessId, stack::StackEnd},
};

/// Copies that wait for their process to be told: 64 KiB each.
const WAITING: usize = 16;
/// How long they wait: the mappings of a new process are read for the second time after 25 ms.
const PATIENCE: Duration = Duration::from_secs(1);

/// What to do about a copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// These frames take the place of the walk's.
    Found(Vec<u64>, StackEnd),
    /// Not enough is known about the process yet.
    Wait,
    /// The walk stays.
    Keep,
}

/// Judges what was made of a copy.
pub(super) fn judge(copied: &CopiedStack, outcome: Result<Unwound, Refusal>) -> Verdict {
    let found = match outcome {
        Ok(found) if !found.is_astray => found.frames,
        Ok(_) | Err(Refusal::UnknownProcess) => return Verdict::Wait,
        Err(Refusal::Unread) => return Verdict::Keep,
    };
    // What the walker saw, it saw right. Without it, one frame alone is what is left where even frame pointers end.
    let seen = if copied.is_known { copied.walked.as_slice() } else { copied.walked.get(..1).unwrap_or(&[]) };
    if !found.addresses.starts_with(seen) || found.addresses.len() <= seen.len() {
        return Verdict::Keep;
    }
    let end = match found.end {
        CopyEnd::Complete => StackEnd::Complete,
        CopyEnd::Truncated => StackEnd::Truncated,
        // Longer than the walk, but not all.
        CopyEnd::BeyondCopy if copied.is_known => StackEnd::NoTable,
        CopyEnd::BeyondCopy | CopyEnd::Lost => return Verdict::Keep,
    };
    Verdict::Found(found.addresses, end)
}

/// Copies of stacks of processes that the walker is about to be told of.
#[derive(Default)]
pub(super) struct Waiting(VecDeque<CopiedStack>);

impl Waiting {
    /// Keeps a copy for a while; the oldest goes where there are too many.
    pub(super) fn push(&mut self, copied: CopiedStack) {
        if self.0.len() == WAITING {
            self.0.pop_front();
        }
        self.0.push_back(copied);
    }

    /// Takes the copies of a process.
    pub(super) fn take(&mut self, process: ProcessId) -> Vec<CopiedStack> {
        let (taken, kept) = self.0.drain(..).partition(|c: &CopiedStack| c.process == process);
        self.0 = kept;
        Vec::from(taken)
    }

    /// Drops those that have waited long enough.
    pub(super) fn expire(&mut self, now: Instant) {
        self.0.retain(|copied| now.saturating_duration_since(copied.taken) < PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unwind::copy::CopyFrames;

    fn copied(process: u64, walked: &[u64], is_known: bool) -> CopiedStack {
        CopiedStack {
            process: ProcessId(process),
            id: 0,
            stands_in: true,
            is_known,
            taken: Instant::now(),
            registers: [0; 3],
            bytes: Vec::new(),
            walked: walked.to_vec(),
            is_complete: false,
        }
    }

    fn made(addresses: &[u64], end: CopyEnd) -> Result<Unwound, Refusal> {
        Ok(Unwound { frames: CopyFrames { addresses: addresses.to_vec(), end }, is_astray: false })
    }

    #[test]
    fn a_copy_goes_on_where_the_walk_ended() {
        let cut = copied(1, &[10, 20], true);
        let whole = Verdict::Found(vec![10, 20, 30], StackEnd::Complete);
        assert_eq!(judge(&cut, made(&[10, 20, 30], CopyEnd::Complete)), whole);
        let longer = Verdict::Found(vec![10, 20, 30], StackEnd::NoTable);
        assert_eq!(judge(&cut, made(&[10, 20, 30], CopyEnd::BeyondCopy)), longer);
        let contradictions = [
            made(&[10, 21, 30], CopyEnd::Complete),
            made(&[10, 20], CopyEnd::Complete),
            made(&[10], CopyEnd::Complete),
            made(&[10, 20, 30], CopyEnd::Lost),
            Err(Refusal::Unread),
        ];
        for contradiction in contradictions {
            assert_eq!(judge(&cut, contradiction), Verdict::Keep);
        }
    }

    #[test]
    fn frame_pointers_are_not_believed() {
        let guessed = copied(1, &[10, 99], false);
        let whole = Verdict::Found(vec![10, 20], StackEnd::Complete);
        assert_eq!(judge(&guessed, made(&[10, 20], CopyEnd::Complete)), whole);
        assert_eq!(judge(&guessed, made(&[10], CopyEnd::Complete)), Verdict::Keep);
        assert_eq!(judge(&guessed, made(&[10, 20], CopyEnd::BeyondCopy)), Verdict::Keep);
    }

    #[test]
    fn a_copy_waits_until_its_code_is_known() {
        let early = copied(1, &[10, 99], false);
        assert_eq!(judge(&early, Err(Refusal::UnknownProcess)), Verdict::Wait);
        let frames = CopyFrames { addresses: vec![10, 20], end: CopyEnd::Complete };
        assert_eq!(judge(&early, Ok(Unwound { frames, is_astray: true })), Verdict::Wait);
    }

    #[test]
    fn few_copies_wait_and_not_for_long() {
        let mut waiting = Waiting::default();
        (0..WAITING as u64 + 2).for_each(|n| waiting.push(copied(n % 2, &[n], false)));
        let walked = |all: Vec<CopiedStack>| all.into_iter().flat_map(|c| c.walked).collect::<Vec<_>>();
        let odd: Vec<u64> = (3..WAITING as u64 + 2).step_by(2).collect();
        assert_eq!(walked(waiting.take(ProcessId(1))), odd);
        assert!(waiting.take(ProcessId(1)).is_empty());
        waiting.expire(Instant::now());
        assert_eq!(waiting.0.len(), WAITING / 2);
        waiting.expire(Instant::now() + PATIENCE);
        assert!(waiting.0.is_empty());
    }
}
