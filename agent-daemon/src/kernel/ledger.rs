//! Reads the ledgers of the agents when a window closes: the stretches that ended in it, and what of the open one
//! lies in it. What was told of a stretch that still goes on is taken off when it ends, so that windows follow each
//! other without a gap.

use agent_common::ledger::{Connection, Ledger as Raw, Marks, QUIET, SetKey, UNMARKED, bit, over};
use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError},
};
use rustc_hash::FxHashMap;

use super::error::KernelError;
use crate::model::{
    id::Slot,
    ledger::{Bit, Mark, MarkedLedger, StateSet},
};

// The model imports nothing of ours, so what both sides must agree on is written twice.
const _: () = assert!(Bit::LLM_CONNECT.number() as u32 == bit::LLM_CONNECT);
const _: () = assert!(Bit::LLM_FIRST_TOKEN.number() as u32 == bit::LLM_FIRST_TOKEN);
const _: () = assert!(Bit::LLM_STREAM.number() as u32 == bit::LLM_STREAM);
const _: () = assert!(Bit::TOOL_ALIVE.number() as u32 == bit::TOOL_ALIVE);
const _: () = assert!(Bit::NETWORK_RESPONSE.number() as u32 == bit::NETWORK_RESPONSE);
const _: () = assert!(Bit::NETWORK_REQUEST.number() as u32 == bit::NETWORK_REQUEST);

/// What may turn out to have been over after it was told.
const MAY_BE_OVER: u64 = 1 << bit::LLM_STREAM | 1 << bit::NETWORK_RESPONSE | 1 << bit::NETWORK_REQUEST;

/// `BPF_F_LOCK`: with the element's lock held.
const LOCKED: u64 = 4;

/// Time by set, and by the mark at its end.
type Sets = FxHashMap<(u64, u32), u64>;

/// What has been told of each agent.
#[derive(Debug, Default)]
pub(super) struct LedgerReader {
    told: FxHashMap<Slot, Told>,
    generation: u64,
}

/// A set, the mark, and for how long the set has held, ns.
type Open = (u64, u32, u64);

/// What has been told of one agent.
#[derive(Debug, Default)]
struct Told {
    /// The set that held when the last window closed with the mark then, and for how long it had, ns.
    open: Open,
    /// What of it was told, and has not come by since: the stretch ended while that window was being closed.
    owed: Open,
    /// When the last window closed (ns, monotonic).
    at: u64,
    /// Thread-time by bit, ns.
    threads: FxHashMap<Bit, u64>,
}

impl LedgerReader {
    /// A new agent comes to `slot`.
    pub(super) fn begin(&mut self, ebpf: &mut Ebpf, slot: Slot) -> Result<(), KernelError> {
        self.generation += 1;
        self.told.insert(slot, Told { at: monotonic_ns(), ..Told::default() });
        Ok(ledgers(ebpf)?.set(slot.0, Raw::new(self.generation), LOCKED)?)
    }

    /// The agent in `slot` is let go. Connections that it leaves are nobody's.
    pub(super) fn end(&mut self, ebpf: &mut Ebpf, slot: Slot) -> Result<(), KernelError> {
        match self.told.remove(&slot) {
            Some(_) => {
                ledgers(ebpf)?.set(slot.0, Raw::new(0), LOCKED)?;
                self.forget_connections(ebpf, slot)
            }
            None => Ok(()),
        }
    }

    /// The ledgers of a window, from the generation in which no program counts any more.
    pub(super) fn drain(
        &mut self,
        ebpf: &mut Ebpf,
        map: &'static str,
    ) -> Result<Vec<(Slot, MarkedLedger)>, KernelError> {
        let mut ended: FxHashMap<Slot, Sets> = FxHashMap::default();
        super::counts::drain(ebpf, map, |key: SetKey, values: &[u64]| {
            let sets = ended.entry(Slot(key.agent)).or_default();
            *sets.entry((in_any_period(key.set), key.mark)).or_default() += values.iter().sum::<u64>();
        })?;
        let mut marks: FxHashMap<Slot, u32> = FxHashMap::default();
        for slot in self.told.keys() {
            marks.insert(*slot, last_mark(ebpf, *slot)?);
        }
        let ledgers = ledgers(ebpf)?;
        let mut rows = Vec::new();
        for (slot, told) in &mut self.told {
            let sets = ended.remove(slot).unwrap_or_default();
            // Before the look: what begins after it is the next window's.
            let now = monotonic_ns();
            let mark = marks.get(slot).copied().unwrap_or(UNMARKED);
            let ledger = told.take(&ledgers.get(&slot.0, LOCKED)?, mark, now, sets);
            if !ledger.is_empty() {
                rows.push((*slot, ledger));
            }
        }
        Ok(rows)
    }

    /// Connections that an agent leaves are nobody's, and so are those whose end nobody saw.
    fn forget_connections(&self, ebpf: &mut Ebpf, slot: Slot) -> Result<(), KernelError> {
        let map = ebpf.map_mut("CONNECTIONS").ok_or(KernelError::NoMap("CONNECTIONS"))?;
        let mut connections: HashMap<_, u64, Connection> = HashMap::try_from(map)?;
        let is_over = |connection: &Connection| {
            connection.agent == slot.0 || !self.told.contains_key(&Slot(connection.agent))
        };
        let known: Vec<_> = connections.iter().filter_map(Result::ok).collect();
        for (socket, _) in known.into_iter().filter(|(_, connection)| is_over(connection)) {
            match connections.remove(&socket) {
                // It was closed meanwhile.
                Ok(()) | Err(MapError::SyscallError(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Told {
    /// What is new: stretches that ended, and the open one up to `now`.
    fn take(&mut self, seen: &Raw, mark: u32, now: u64, mut sets: Sets) -> MarkedLedger {
        let (set, held) = open(seen, now);
        let open = (set, mark, held);
        *sets.entry((set, mark)).or_default() += held;
        let told = std::mem::replace(&mut self.open, open);
        pay(&mut sets, std::mem::take(&mut self.owed));
        self.owed = pay(&mut sets, told);
        let named = |((set, mark), ns)| (StateSet::from_bits(set), Mark(mark), ns);
        let mut told: Vec<_> = sets.into_iter().filter(|(_, ns)| *ns > 0).map(named).collect();
        told.sort_unstable();
        let range = (std::mem::replace(&mut self.at, now), now);
        MarkedLedger { sets: told, threads: self.threads(seen, now), range }
    }

    fn threads(&mut self, seen: &Raw, now: u64) -> Vec<(Bit, u64)> {
        let mut new = Vec::new();
        // How many hosts were asked at once says nothing: they are given up late, and what was counted till then with them.
        let hosts = [Bit::NETWORK_REQUEST, Bit::NETWORK_RESPONSE];
        for bit in Bit::all().filter(|bit| !hosts.contains(bit)) {
            let sum = time_under(seen, bit.number().into(), now);
            let told = self.threads.entry(bit).or_default();
            if sum > *told {
                new.push((bit, sum - *told));
                *told = sum;
            }
        }
        new
    }
}

/// What the count under a bit comes to over time, thread-ns.
fn time_under(seen: &Raw, bit: u32, now: u64) -> u64 {
    let index = bit as usize;
    let of = |words: &[u64]| words.get(index).copied().unwrap_or(0);
    let count = seen.counts.counts.get(index).copied().unwrap_or(0);
    let open = now.saturating_sub(of(&seen.counts.at)).saturating_mul(u64::from(count));
    of(&seen.counts.times).saturating_add(open)
}

/// Takes off what was told already; what could not be.
fn pay(sets: &mut Sets, (set, mark, mut owed): Open) -> Open {
    // What turned out to be over was told with its bit, and ended without.
    for set in without_any(set, MAY_BE_OVER) {
        // While the agent was on a CPU there may have been marks; what was told without one may end at any.
        let mut ends: Vec<u32> = sets
            .keys()
            .filter(|(s, m)| *s == set && (mark == UNMARKED || *m >= mark))
            .map(|(_, m)| *m)
            .collect();
        ends.sort_unstable();
        for end in ends {
            if let Some(ns) = sets.get_mut(&(set, end)) {
                let paid = owed.min(*ns);
                (*ns, owed) = (*ns - paid, owed - paid);
            }
        }
    }
    (set, mark, owed)
}

/// The mark of what goes on.
fn last_mark(ebpf: &mut Ebpf, slot: Slot) -> Result<u32, KernelError> {
    let marks: Array<_, Marks> = Array::try_from(ebpf.map("MARKS").ok_or(KernelError::NoMap("MARKS"))?)?;
    Ok(marks.get(&slot.0, 0)?.mark())
}

/// The set that holds at `now`, and for how long it has, ns.
fn open(seen: &Raw, now: u64) -> (u64, u64) {
    let counts = &seen.counts;
    if counts.since == 0 || now <= counts.since {
        return (in_any_period(counts.set), 0);
    }
    (in_any_period(counts.set & !over(counts, now, QUIET)), now - counts.since)
}

/// The set, whatever period its requests are of.
fn in_any_period(set: u64) -> u64 {
    const ODD: u64 = 1 << bit::NETWORK_REQUEST_ODD;
    if set & ODD == 0 { set } else { set & !ODD | 1 << bit::NETWORK_REQUEST }
}

/// The set itself, and then without some of these bits or all, the largest first.
fn without_any(set: u64, bits: u64) -> impl Iterator<Item = u64> {
    let has = set & bits;
    // The subsets of `has`, downwards.
    let next = move |subset: &u64| subset.checked_sub(1).map(|less| less & has);
    std::iter::successors(Some(has), next).map(move |subset| set & !bits | subset)
}

fn ledgers(ebpf: &mut Ebpf) -> Result<Array<&mut MapData, Raw>, KernelError> {
    Ok(Array::try_from(ebpf.map_mut("LEDGERS").ok_or(KernelError::NoMap("LEDGERS"))?)?)
}

/// The clock that the kernel programs read.
fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for the write; the clock exists everywhere.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLL: u64 = 1 << 10;
    const STREAM: u64 = 1 << bit::LLM_STREAM;

    fn seen(set: u64, since: u64) -> Raw {
        let mut raw = Raw::new(1);
        (raw.counts.set, raw.counts.since) = (set, since);
        raw
    }

    fn take(told: &mut Told, seen: &Raw, now: u64, ended: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let ended = ended.iter().map(|(set, ns)| ((*set, 1), *ns)).collect();
        let ledger = told.take(seen, 1, now, ended);
        ledger.sets.into_iter().map(|(set, _, ns)| (set.bits(), ns)).collect()
    }

    #[test]
    fn windows_follow_each_other_without_a_gap() {
        let mut told = Told::default();
        assert_eq!(take(&mut told, &seen(POLL, 100), 150, &[(2, 40)]), [(2, 40), (POLL, 50)]);
        assert_eq!(take(&mut told, &seen(POLL, 100), 250, &[]), [(POLL, 100)], "it goes on");
        assert_eq!(take(&mut told, &seen(2, 300), 310, &[(POLL, 200)]), [(2, 10), (POLL, 50)]);
        assert_eq!(take(&mut told, &seen(2, 400), 390, &[(2, 60), (POLL, 30)]), [(2, 50), (POLL, 30)]);
        assert_eq!(take(&mut told, &seen(0, 0), 500, &[(2, 5)]), [(2, 5)], "nobody is left");
    }

    #[test]
    fn a_stretch_that_ends_while_a_window_is_closed_is_told_once() {
        let mut told = Told::default();
        assert_eq!(take(&mut told, &seen(POLL, 100), 150, &[]), [(POLL, 50)]);
        // It ended at 190, after the generation was closed that is read at 200.
        assert_eq!(take(&mut told, &seen(2, 190), 200, &[]), [(2, 10)]);
        assert_eq!(take(&mut told, &seen(2, 190), 300, &[(POLL, 90)]), [(2, 100), (POLL, 40)]);
        assert_eq!(take(&mut told, &seen(2, 190), 400, &[(POLL, 70)]), [(2, 100), (POLL, 70)], "it is paid");
    }

    #[test]
    fn marks_while_on_a_cpu_change_no_sum() {
        let mut told = Told::default();
        let ended = |mark, ns| [((2, mark), ns)].into_iter().collect();
        assert_eq!(told.take(&seen(2, 100), 3, 150, Sets::default()).sets.len(), 1);
        let ledger = told.take(&seen(POLL, 180), 7, 200, ended(5, 80));
        let sums: Vec<_> = ledger.sets.iter().map(|(set, mark, ns)| (set.bits(), mark.0, *ns)).collect();
        assert_eq!((sums, ledger.range), (vec![(2, 5, 30), (POLL, 7, 20)], (150, 200)));
    }

    #[test]
    fn what_was_told_without_a_mark_is_paid_by_any() {
        let mut told = Told::default();
        told.take(&seen(POLL, 100), UNMARKED, 150, Sets::default());
        let ended = [((POLL, 7), 80)].into_iter().collect();
        let ledger = told.take(&seen(2, 180), 7, 190, ended);
        let sums: Vec<_> = ledger.sets.iter().map(|(set, mark, ns)| (set.bits(), mark.0, *ns)).collect();
        assert_eq!(sums, [(2, 7, 10), (POLL, 7, 30)]);
    }

    #[test]
    fn an_answer_that_has_been_quiet_is_over() {
        let second = 1_000_000_000;
        let mut told = Told::default();
        let mut raw = seen(POLL | STREAM, 10 * second);
        raw.counts.stream_at = 10 * second;
        assert_eq!(take(&mut told, &raw, 11 * second, &[]), [(POLL | STREAM, second)]);
        assert_eq!(take(&mut told, &raw, 13 * second, &[]), [(POLL, 2 * second)], "as it turns out");
        assert_eq!(
            take(&mut told, &seen(2, 15 * second), 15 * second, &[(POLL, 5 * second)]),
            [(POLL, 2 * second)]
        );
    }

    #[test]
    fn requests_that_nobody_answers_are_given_up() {
        const EVEN: u64 = 1 << bit::NETWORK_REQUEST;
        const ODD: u64 = 1 << bit::NETWORK_REQUEST_ODD;
        let period = 1 << 36;
        let of = |set, of_latest| {
            let mut raw = seen(POLL | set, 10);
            raw.counts.period = of_latest;
            raw
        };
        let held = |raw: &Raw, now: u64| open(raw, now).0;
        assert_eq!(held(&of(EVEN, 2), 3 * period + 1), POLL | EVEN);
        assert_eq!(held(&of(ODD, 3), 4 * period + 1), POLL | EVEN, "of whatever period");
        assert_eq!(held(&of(EVEN, 2), 4 * period), POLL);
        assert_eq!(held(&of(EVEN | ODD, 3), 4 * period), POLL | EVEN, "the later one is waited for");
        assert_eq!(held(&of(EVEN | ODD, 3), 5 * period), POLL);

        let mut told = Told::default();
        let raw = of(EVEN | 1 << bit::NETWORK_RESPONSE, 0);
        let both = POLL | EVEN | 1 << bit::NETWORK_RESPONSE;
        assert_eq!(take(&mut told, &raw, 110, &[]), [(both, 100)]);
        let ended = [(POLL, 300)];
        assert_eq!(
            take(&mut told, &seen(2, 310), 310, &ended),
            [(POLL, 200)],
            "it was told with what was over"
        );
    }

    #[test]
    fn threads_side_by_side_each_count() {
        let mut told = Told::default();
        let mut raw = seen(POLL, 0);
        (raw.counts.counts[10], raw.counts.times[10], raw.counts.at[10]) = (3, 1000, 100);
        let bit = Bit::new(10).unwrap();
        assert_eq!(told.take(&raw, 0, 110, Sets::default()).threads, [(bit, 1030)]);
        assert_eq!(told.take(&raw, 0, 120, Sets::default()).threads, [(bit, 30)]);
    }
}
