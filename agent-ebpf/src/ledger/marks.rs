//! Marks in an agent's time: whoever reads the plaintext tells afterwards from which mark to which a call was under way.

use agent_common::{
    agent::SLOTS,
    ledger::{MARK_EVERY, Marks, UNMARKED},
};
use aya_ebpf::{macros::map, maps::Array};

use crate::{
    atomics::{add, compare_exchange},
    clock, epoch,
};

/// The marks of every agent.
#[map]
static MARKS: Array<Marks> = Array::with_max_entries(SLOTS, 0);

/// The mark of what ends now.
#[inline(always)]
pub(super) fn marked(slot: u32) -> u32 {
    marks(slot).map_or(UNMARKED, |marks| marks.mark())
}

/// The marks of the agent in `slot`, in this window.
#[inline(always)]
fn marks(slot: u32) -> Option<&'static mut Marks> {
    // SAFETY: an element of the map, whose words are written one by one.
    let marks = unsafe { &mut *MARKS.get_ptr_mut(slot)? };
    let epoch = u64::from(epoch::current());
    if marks.epoch != epoch {
        marks.before = marks.number;
        marks.epoch = epoch;
    }
    Some(marks)
}

/// An own thread of the agent in `slot` sends or has received plaintext: returns the mark of that. May be preempted, and
/// takes no lock; the thread is on a CPU, so that no stretch in which the agent waits has a mark in its middle.
#[inline(always)]
pub(crate) fn mark(slot: u32) -> u32 {
    let Some(marks) = marks(slot) else { return 0 };
    let (now, at) = (clock::now(), marks.at);
    if now > at + MARK_EVERY && !marks.are_spent() && compare_exchange(&mut marks.at, at, now) {
        add(&mut marks.number, 1);
    }
    marks.number as u32
}
