//! A window's ledger before calls to models have been entered.
//!
//! The kernel programs do not read what is said: from a connection to a model they guess that one waits or that an answer
//! comes. Where the plaintext was read, it is known when each call was asked, when its answer began and when it was over.
//! These instants are marked in the kernel as they pass, and time is summed from mark to mark, so that what was guessed
//! can be replaced by what was the case. Time between two marks is not divided: a call that begins and ends within one
//! (1 ms) has none.

use std::collections::BTreeMap;

use super::{Bit, Ledger, Role, StateSet, ThreadState};

/// The place of a stretch of time among what an agent sent and received: the number of the mark before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub u32);

impl Mark {
    /// It is not known where the stretch was.
    pub const UNKNOWN: Self = Self(u32::MAX);
}

/// What the kernel programs counted in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MarkedLedger {
    /// Stretches of the wall clock by set and mark, ns.
    pub sets: Vec<(StateSet, Mark, u64)>,
    /// Thread-time by state, ns, sorted. Of calls to models it is a guess.
    pub threads: Vec<(Bit, u64)>,
    /// When the window began and ended (ns, monotonic).
    pub range: (u64, u64),
}

/// An instant of a call: the mark, and when it was (ns, monotonic).
pub type Instant = (Mark, u64);

/// A call to a model that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    /// When it was asked.
    pub asked: Instant,
    /// When the answer began, if it has.
    pub first: Option<Instant>,
    /// When the answer was over, if it is.
    pub over: Option<Instant>,
}

/// The calls of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flights {
    /// Those that went on in the window, or did not long ago.
    pub calls: Vec<Flight>,
    /// Whether these are all: what every process says to models is read.
    pub complete: bool,
}

const GUESSED: [Bit; 2] = [Bit::LLM_FIRST_TOKEN, Bit::LLM_STREAM];

impl MarkedLedger {
    /// Whether nothing was watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty() && self.threads.is_empty()
    }

    /// The ledger with these calls in it: instead of what was guessed where they are all, else beside it.
    #[must_use]
    pub fn settle(self, flights: &Flights) -> Ledger {
        if !flights.complete && flights.calls.is_empty() {
            let sets = self.sets.iter().map(|(set, _, ns)| (*set, *ns));
            return Ledger { sets: summed(sets), threads: self.threads };
        }
        let phases = Phases::of(&flights.calls);
        let sets = self.sets.iter().map(|(set, mark, ns)| match *mark {
            Mark::UNKNOWN => (*set, *ns),
            mark => (settled(*set, phases.at(mark), flights.complete), *ns),
        });
        let sets = summed(sets);
        let threads = if flights.complete { self.read_threads(&flights.calls) } else { self.threads };
        Ledger { sets, threads }
    }

    /// Thread-time with that of calls which were read.
    fn read_threads(&self, calls: &[Flight]) -> Vec<(Bit, u64)> {
        let (from, to) = self.range;
        let within = |start: u64, end: u64| end.min(to).saturating_sub(start.max(from));
        let (mut first_token, mut stream) = (0u64, 0u64);
        for call in calls {
            let over = call.over.map_or(to, |(_, at)| at);
            let first = call.first.map_or(over, |(_, at)| at.min(over));
            first_token = first_token.saturating_add(within(call.asked.1, first));
            stream = stream.saturating_add(within(first, over));
        }
        let others = self.threads.iter().copied().filter(|(bit, _)| !GUESSED.contains(bit));
        let read = [(Bit::LLM_FIRST_TOKEN, first_token), (Bit::LLM_STREAM, stream)];
        let mut threads: Vec<_> = others.chain(read.into_iter().filter(|(_, ns)| *ns > 0)).collect();
        threads.sort_unstable();
        threads
    }
}

/// A set with the phases of calls that were read.
fn settled(set: StateSet, (first_token, stream): (bool, bool), complete: bool) -> StateSet {
    let guessed = |bit: &Bit| complete && GUESSED.contains(bit);
    let read = [(Bit::LLM_FIRST_TOKEN, first_token), (Bit::LLM_STREAM, stream)];
    let read = read.into_iter().filter(|(_, is)| *is).map(|(bit, _)| bit);
    let exact = (complete && (first_token || stream)).then_some(Bit::LLM_READ);
    set.iter().filter(|bit| !guessed(bit)).chain(read).chain(exact).collect()
}

/// Sums by set. The clock stands while no thread of the agent's own is left: what its tools left behind is watched, but
/// nobody is there who waits.
fn summed(sets: impl Iterator<Item = (StateSet, u64)>) -> Vec<(StateSet, u64)> {
    let mut sums: BTreeMap<StateSet, u64> = BTreeMap::new();
    for (set, ns) in sets.filter(|(set, ns)| *ns > 0 && set.any(Role::Own, &ThreadState::ALL)) {
        let sum = sums.entry(set).or_default();
        *sum = sum.saturating_add(ns);
    }
    sums.into_iter().collect()
}

/// How many calls are in which phase, from mark to mark.
struct Phases(Vec<(Mark, i64, i64)>);

impl Phases {
    fn of(calls: &[Flight]) -> Self {
        let mut changes: BTreeMap<Mark, (i64, i64)> = BTreeMap::new();
        let mut change = |mark: Mark, first_token: i64, stream: i64| {
            let sum = changes.entry(mark).or_default();
            *sum = (sum.0 + first_token, sum.1 + stream);
        };
        for call in calls {
            // What begins and ends at one mark was never between two.
            change(call.asked.0, 1, 0);
            match (call.first, call.over) {
                (None, None) => {}
                (None, Some((over, _))) => change(over, -1, 0),
                (Some((first, _)), over) => {
                    change(first, -1, 1);
                    over.into_iter().for_each(|(over, _)| change(over, 0, -1));
                }
            }
        }
        let mut now = (0, 0);
        let phases = changes.into_iter().map(|(mark, (first_token, stream))| {
            now = (now.0 + first_token, now.1 + stream);
            (mark, now.0, now.1)
        });
        Self(phases.collect())
    }

    /// Whether any call waits for its answer, and whether any answer comes, from this mark to the next.
    fn at(&self, mark: Mark) -> (bool, bool) {
        let after = self.0.partition_point(|(begins, ..)| *begins <= mark);
        let last = after.checked_sub(1).and_then(|last| self.0.get(last));
        last.map_or((false, false), |(_, first_token, stream)| (*first_token > 0, *stream > 0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    fn set(text: &str) -> StateSet {
        text.parse().unwrap()
    }

    fn marked(sets: &[(&str, u32, u64)]) -> MarkedLedger {
        let sets = sets.iter().map(|(text, mark, ns)| (set(text), Mark(*mark), *ns)).collect();
        MarkedLedger { sets, threads: Vec::new(), range: (0, 1000) }
    }

    fn call(asked: u32, first: u32, over: u32) -> Flight {
        let at = |mark: u32| (Mark(mark), u64::from(mark) * 10);
        Flight { asked: at(asked), first: Some(at(first)), over: Some(at(over)) }
    }

    fn settled(ledger: MarkedLedger, calls: &[Flight], complete: bool) -> Vec<(String, u64)> {
        let ledger = ledger.settle(&Flights { calls: calls.to_vec(), complete });
        ledger.sets.iter().map(|(set, ns)| (set.to_string(), *ns)).collect()
    }

    #[test]
    fn what_was_read_replaces_what_was_guessed() {
        // Session tickets were taken for the answer, and the answer was not known to be over.
        let ledger = marked(&[
            ("own.network+llm_stream", 1, 300),
            ("own.network+llm_stream", 2, 40),
            ("own.network+llm_stream", 3, 60),
            ("own.poll+llm_stream+tool_alive", 4, 500),
        ]);
        assert_eq!(
            settled(ledger.clone(), &[call(1, 2, 4)], true),
            [
                ("own.poll+tool_alive".to_owned(), 500),
                ("own.network+llm_first_token+llm_read".to_owned(), 300),
                ("own.network+llm_stream+llm_read".to_owned(), 100),
            ]
        );
        // Where another process is not read, the guess stays beside it, and says that it is one.
        let beside = settled(ledger.clone(), &[call(1, 2, 4)], false);
        assert_eq!(beside.len(), 3, "{beside:?}");
        assert!(beside.iter().all(|(set, _)| set.contains("llm_stream") && !set.contains("llm_read")));
        assert_eq!(settled(ledger, &[], false).iter().map(|(_, ns)| ns).sum::<u64>(), 900);
    }

    #[test]
    fn calls_that_go_on_are_in_their_phase() {
        let ledger = marked(&[("own.poll", 1, 10), ("own.poll", 2, 20), ("own.poll", 9, 30)]);
        let waits = Flight { asked: (Mark(2), 0), first: None, over: None };
        assert_eq!(
            settled(ledger.clone(), &[waits], true),
            [("own.poll".to_owned(), 10), ("own.poll+llm_first_token+llm_read".to_owned(), 50)]
        );
        let comes = Flight { first: Some((Mark(9), 0)), ..waits };
        let names: Vec<_> =
            settled(ledger, &[waits, comes], true).into_iter().map(|(name, _)| name).collect();
        assert!(names.contains(&"own.poll+llm_first_token+llm_stream+llm_read".to_owned()), "{names:?}");
    }

    #[test]
    fn time_of_unknown_place_keeps_the_guess() {
        let ledger = marked(&[("own.poll+llm_stream", u32::MAX, 7)]);
        assert_eq!(settled(ledger, &[call(1, 2, 3)], true), [("own.poll+llm_stream".to_owned(), 7)]);
    }

    #[test]
    fn the_clock_stands_while_nobody_waits() {
        let ledger = marked(&[("own.poll+tool.cpu+tool_alive", 0, 5), ("tool.cpu+tool_alive", 0, 90)]);
        assert_eq!(settled(ledger, &[], false), [("own.poll+tool.cpu+tool_alive".to_owned(), 5)]);
    }

    #[test]
    fn calls_side_by_side_each_count_in_the_window() {
        let mut ledger = marked(&[]);
        ledger.threads = vec![(Bit::LLM_STREAM, 77), (Bit::TOOL_ALIVE, 5)];
        ledger.range = (15, 55);
        let flights = Flights { calls: vec![call(1, 2, 4), call(2, 5, 9)], complete: true };
        // 15 to 20 and 20 to 50; 20 to 40 and 50 to 55.
        let told = [(Bit::LLM_FIRST_TOKEN, 35), (Bit::LLM_STREAM, 25), (Bit::TOOL_ALIVE, 5)];
        assert_eq!(ledger.settle(&flights).threads, told);
    }

    proptest! {
        #[test]
        fn settling_moves_no_time(rows: Vec<(u64, u32, u32)>, calls: Vec<(u32, u32, u32)>, complete in any::<bool>()) {
            let own = 1 << Bit::of(Role::Own, ThreadState::Poll).number();
            let row = |(bits, mark, ns): &(u64, u32, u32)| {
                (StateSet::from_bits(bits | own), Mark(*mark), u64::from(*ns))
            };
            let sets: Vec<_> = rows.iter().map(row).collect();
            let wall: u64 = sets.iter().map(|(_, _, ns)| ns).sum();
            let calls = calls.iter().map(|(a, b, c)| call(*a, *b, *c)).collect();
            let ledger = MarkedLedger { sets, threads: Vec::new(), range: (0, 9) };
            prop_assert_eq!(ledger.settle(&Flights { calls, complete }).wall_ns(), wall);
        }
    }
}
