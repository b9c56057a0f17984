//! The ledger of an agent: for how long its threads were in which states together. A stretch of time is told by a
//! [`StateSet`]; to which [`Cause`] it goes is decided when it is asked for, so that what is stored keeps all that was
//! true at once.

mod cause;
mod marked;
mod state;

use std::collections::BTreeMap;

pub use cause::Cause;
pub use marked::{Flight, Flights, Instant, Mark, MarkedLedger};
pub use state::{BITS, Bit, Role, StateSet, ThreadState, UnknownState};

/// What a process turned out to be that was taken for a tool, or for all that the agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The agent itself: what a launcher launched, or the agent's own program again.
    Own,
    /// What a tool left behind, for which nobody waits.
    Left,
    /// The agent's own, and has launched the agent: what it waits for is the agent itself.
    Launcher,
}

/// Where the time of one window went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Stretches of the wall clock by set, ns; each set once, sorted. They sum up to the time that was watched.
    pub sets: Vec<(StateSet, u64)>,
    /// Thread-time by state, ns, sorted: threads side by side each count. Of what is in flight, the time of each.
    pub threads: Vec<(Bit, u64)>,
}

impl Ledger {
    /// Whether nothing was watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty() && self.threads.is_empty()
    }

    /// The wall clock that was watched, ns.
    #[must_use]
    pub fn wall_ns(&self) -> u64 {
        self.sets.iter().fold(0, |sum, (_, ns)| sum.saturating_add(*ns))
    }

    /// The exclusive division: each cause that has time, ns. The sum is [`Ledger::wall_ns`].
    #[must_use]
    pub fn causes(&self) -> BTreeMap<Cause, u64> {
        let mut causes = BTreeMap::new();
        for (set, ns) in &self.sets {
            let sum: &mut u64 = causes.entry(set.cause()).or_default();
            *sum = sum.saturating_add(*ns);
        }
        causes
    }

    /// The part of each cause that is guessed from connections, ns: phases of calls that nobody read, and what other hosts
    /// were asked by an agent that waits for anything.
    #[must_use]
    pub fn guessed(&self) -> BTreeMap<Cause, u64> {
        let is_guessed = |(set, _): &&(StateSet, u64)| match set.cause() {
            Cause::LlmFirstToken | Cause::LlmStream => !set.has(Bit::LLM_READ),
            Cause::Network => !set.has(Bit::of(Role::Own, ThreadState::Network)),
            _ => false,
        };
        let sets = self.sets.iter().filter(is_guessed).copied().collect();
        Self { sets, threads: Vec::new() }.causes()
    }

    /// What was hidden: time of the first cause that went to the second one, ns.
    #[must_use]
    pub fn overlaps(&self) -> BTreeMap<(Cause, Cause), u64> {
        let mut overlaps = BTreeMap::new();
        for (set, ns) in &self.sets {
            let shown = set.cause();
            for hidden in set.present().filter(|cause| *cause != shown) {
                let sum: &mut u64 = overlaps.entry((hidden, shown)).or_default();
                *sum = sum.saturating_add(*ns);
            }
        }
        overlaps
    }

    /// Adds what another stretch of time came to.
    pub fn merge(&mut self, other: &Self) {
        self.sets = merged(&self.sets, &other.sets);
        self.threads = merged(&self.threads, &other.threads);
    }

    /// Keeps the `most` sets of most time; each other one goes to the largest of its cause, which is one of them where
    /// none was kept. Returns how many went. No cause's time changes.
    pub fn bound(&mut self, most: usize) -> usize {
        if self.sets.len() <= most {
            return 0;
        }
        self.sets.sort_unstable_by_key(|(set, ns)| (std::cmp::Reverse(*ns), *set));
        let small = self.sets.split_off(most);
        let folded = small.len();
        for (set, ns) in small {
            let cause = set.cause();
            match self.sets.iter_mut().find(|(known, _)| known.cause() == cause) {
                Some((_, sum)) => *sum = sum.saturating_add(ns),
                None => self.sets.push((set, ns)),
            }
        }
        self.sets.sort_unstable();
        folded
    }
}

fn merged<K: Copy + Ord>(a: &[(K, u64)], b: &[(K, u64)]) -> Vec<(K, u64)> {
    let mut sums = BTreeMap::new();
    for (key, ns) in a.iter().chain(b) {
        let sum: &mut u64 = sums.entry(*key).or_default();
        *sum = sum.saturating_add(*ns);
    }
    sums.into_iter().collect()
}

#[cfg(test)]
mod tests;
