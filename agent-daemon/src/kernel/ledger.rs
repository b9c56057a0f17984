//! Reads the ledgers of the agents when a window closes: the stretches that ended in it, and what of the open one
//! lies in it. What was told of a stretch that still goes on is taken off when it ends, so that windows follow each
//! other without a gap.

use agent_common::ledger::{Ledger as Raw, SetKey, ToolThread, bit, is_quiet};
use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError},
};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{batch, error::KernelError, iterate};
use crate::model::{
    id::Slot,
    ledger::{Bit, Ledger, Role, StateSet, ThreadState},
};

// The model imports nothing of ours, so what both sides must agree on is written twice.
const _: () = assert!(Bit::LLM_CONNECT.number() as u32 == bit::LLM_CONNECT);
const _: () = assert!(Bit::LLM_FIRST_TOKEN.number() as u32 == bit::LLM_FIRST_TOKEN);
const _: () = assert!(Bit::LLM_STREAM.number() as u32 == bit::LLM_STREAM);
const _: () = assert!(Bit::TOOL_ALIVE.number() as u32 == bit::TOOL_ALIVE);

/// `BPF_F_LOCK`: with the element's lock held.
const LOCKED: u64 = 4;
/// Helpers that are told to the kernel at once; the map has room for twice as many.
const MAX_HELPERS: usize = 512;

/// What has been told of each agent.
#[derive(Debug, Default)]
pub(super) struct LedgerReader {
    told: FxHashMap<Slot, Told>,
    generation: u64,
}

/// What has been told of one agent.
#[derive(Debug, Default)]
struct Told {
    /// The set that held when the last window closed, and for how long it had, ns.
    open: (u64, u64),
    /// Thread-time by bit, ns.
    threads: FxHashMap<Bit, u64>,
}

impl LedgerReader {
    /// A new agent comes to `slot`.
    pub(super) fn begin(&mut self, ebpf: &mut Ebpf, slot: Slot) -> Result<(), KernelError> {
        self.generation += 1;
        self.told.insert(slot, Told::default());
        Ok(ledgers(ebpf)?.set(slot.0, Raw::new(self.generation), LOCKED)?)
    }

    /// The agent in `slot` is let go. Connections to models that it leaves are nobody's.
    pub(super) fn end(&mut self, ebpf: &mut Ebpf, slot: Slot) -> Result<(), KernelError> {
        match self.told.remove(&slot) {
            Some(_) => Ok(ledgers(ebpf)?.set(slot.0, Raw::new(0), LOCKED)?),
            None => Ok(()),
        }
    }

    /// The ledgers of a window, from the generation in which no program counts any more.
    pub(super) fn drain(
        &mut self,
        ebpf: &mut Ebpf,
        map: &'static str,
    ) -> Result<Vec<(Slot, Ledger)>, KernelError> {
        let mut ended: FxHashMap<Slot, FxHashMap<u64, u64>> = FxHashMap::default();
        super::counts::drain(ebpf, map, |key: SetKey, values: &[u64]| {
            *ended.entry(Slot(key.agent)).or_default().entry(key.set).or_default() +=
                values.iter().sum::<u64>();
        })?;
        let ledgers = ledgers(ebpf)?;
        let mut rows = Vec::new();
        for (slot, told) in &mut self.told {
            let sets = ended.remove(slot).unwrap_or_default();
            // Before the look: what begins after it is the next window's.
            let now = monotonic_ns();
            let ledger = told.take(&ledgers.get(&slot.0, LOCKED)?, now, sets);
            if !ledger.is_empty() {
                rows.push((*slot, ledger));
            }
        }
        Ok(rows)
    }
}

impl Told {
    /// What is new: stretches that ended, and the open one up to `now`.
    fn take(&mut self, seen: &Raw, now: u64, mut sets: FxHashMap<u64, u64>) -> Ledger {
        let open = open(seen, now);
        *sets.entry(open.0).or_default() += open.1;
        let (set, mut owed) = std::mem::replace(&mut self.open, open);
        // An answer that turned out to be over was told with its bit, and ended without.
        for set in [set, set & !(1 << bit::LLM_STREAM)] {
            if let Some(ns) = sets.get_mut(&set) {
                let paid = owed.min(*ns);
                (*ns, owed) = (*ns - paid, owed - paid);
            }
        }
        let mut ledger = Ledger { sets: Vec::new(), threads: self.threads(seen, now) };
        ledger.sets = sets.into_iter().filter(|(_, ns)| *ns > 0).map(|(s, ns)| (named(s), ns)).collect();
        ledger.sets.sort_unstable();
        ledger
    }

    fn threads(&mut self, seen: &Raw, now: u64) -> Vec<(Bit, u64)> {
        let mut new = Vec::new();
        for bit in Bit::all() {
            let index = usize::from(bit.number());
            let of = |words: &[u64]| words.get(index).copied().unwrap_or(0);
            let count = seen.counts.counts.get(index).copied().unwrap_or(0);
            let open = now.saturating_sub(of(&seen.counts.at)).saturating_mul(u64::from(count));
            let sum = of(&seen.counts.times).saturating_add(open);
            let told = self.threads.entry(bit).or_default();
            if sum > *told {
                new.push((bit, sum - *told));
                *told = sum;
            }
        }
        new
    }
}

/// The set that holds at `now`, and for how long it has, ns.
fn open(seen: &Raw, now: u64) -> (u64, u64) {
    let counts = &seen.counts;
    if counts.since == 0 || now <= counts.since {
        return (counts.set, 0);
    }
    let quiet = is_quiet(counts.stream_at, counts.since, now);
    let set = if quiet { counts.set & !(1 << bit::LLM_STREAM) } else { counts.set };
    (set, now - counts.since)
}

fn named(bits: u64) -> StateSet {
    StateSet::from_bits(bits)
}

/// Looks for tools of the agent in `slot` that are helpers by now, and has the kernel programs count them for such: at
/// this moment the agent has asked its model, so what merely waits for input is not what it waits for.
pub(super) fn find_helpers(ebpf: &mut Ebpf, slot: Slot) -> Result<(), KernelError> {
    tools_of(ebpf)?.set(0, slot.0, 0)?;
    let seen = iterate::run(ebpf, "tool_threads")?;
    let threads = seen.chunks_exact(size_of::<ToolThread>()).map(batch::read::<ToolThread>);
    let helpers = helpers(threads);
    if helpers.is_empty() {
        return Ok(());
    }
    let told = tell(ebpf, &helpers).and_then(|()| iterate::run(ebpf, "demote_helpers").map(drop));
    let mut map = helpers_map(ebpf)?;
    for process in &helpers {
        match map.remove(process) {
            // Where an insertion failed, what came after it is not there.
            Ok(()) | Err(MapError::SyscallError(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    told
}

fn tell(ebpf: &mut Ebpf, helpers: &[u64]) -> Result<(), KernelError> {
    let mut map = helpers_map(ebpf)?;
    helpers.iter().try_for_each(|process| Ok(map.insert(process, 1, 0)?))
}

/// The processes of which some thread waits for input, and no thread does anything else.
fn helpers(threads: impl Iterator<Item = ToolThread>) -> Vec<u64> {
    let (mut waiting, mut busy) = (FxHashSet::default(), FxHashSet::default());
    for thread in threads {
        let state = u8::try_from(thread.counted).ok().and_then(Bit::new).and_then(Bit::thread);
        match state {
            Some((
                Role::Tool,
                ThreadState::Ipc | ThreadState::Poll | ThreadState::Terminal | ThreadState::Outside,
            )) => {
                waiting.insert(thread.process);
            }
            Some((Role::Tool, ThreadState::Futex)) => {}
            _ => {
                busy.insert(thread.process);
            }
        }
    }
    waiting.into_iter().filter(|process| !busy.contains(process)).take(MAX_HELPERS).collect()
}

fn ledgers(ebpf: &mut Ebpf) -> Result<Array<&mut MapData, Raw>, KernelError> {
    Ok(Array::try_from(ebpf.map_mut("LEDGERS").ok_or(KernelError::NoMap("LEDGERS"))?)?)
}

fn tools_of(ebpf: &mut Ebpf) -> Result<Array<&mut MapData, u32>, KernelError> {
    Ok(Array::try_from(ebpf.map_mut("TOOLS_OF").ok_or(KernelError::NoMap("TOOLS_OF"))?)?)
}

fn helpers_map(ebpf: &mut Ebpf) -> Result<HashMap<&mut MapData, u64, u32>, KernelError> {
    Ok(HashMap::try_from(ebpf.map_mut("HELPERS").ok_or(KernelError::NoMap("HELPERS"))?)?)
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
        let ledger = told.take(seen, now, ended.iter().copied().collect());
        ledger.sets.into_iter().map(|(set, ns)| (set.bits(), ns)).collect()
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
    fn threads_side_by_side_each_count() {
        let mut told = Told::default();
        let mut raw = seen(POLL, 0);
        (raw.counts.counts[10], raw.counts.times[10], raw.counts.at[10]) = (3, 1000, 100);
        let bit = Bit::new(10).unwrap();
        assert_eq!(told.take(&raw, 110, FxHashMap::default()).threads, [(bit, 1030)]);
        assert_eq!(told.take(&raw, 120, FxHashMap::default()).threads, [(bit, 30)]);
    }

    #[test]
    fn a_helper_waits_with_all_its_threads() {
        let thread = |process, state| ToolThread {
            process,
            agent: 1,
            counted: u32::from(Bit::of(Role::Tool, state).number()),
        };
        let threads = [
            thread(1, ThreadState::Ipc),
            thread(1, ThreadState::Futex),
            thread(2, ThreadState::Poll),
            thread(2, ThreadState::Cpu),
            thread(3, ThreadState::Futex),
            thread(4, ThreadState::Timer),
        ];
        assert_eq!(helpers(threads.into_iter()), [1]);
    }
}
