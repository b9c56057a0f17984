//! What live processes have used so far, from /proc, once per window; and whether they still live, for the
//! case that an exit event was lost.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use super::{
    cgroups::Groups,
    proc_tree::Stat,
    resources::{self, Dear},
};
use crate::model::{
    id::{ProcessId, Slot},
    observation::Observation,
    process::Resources,
    slope::Slope,
    time::Timestamp,
};

/// What is known of a live process.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Whose it is.
    slot: Slot,
    /// CPU ticks at the last reading; `None` before the first.
    ticks: Option<u64>,
    /// Its memory at the last reading, and the line through all of them.
    memory: Memory,
}

/// How a process's memory goes.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    slope: Slope,
    at: Option<Instant>,
    /// What was told of it last, bytes per second.
    told: Option<i64>,
}

impl Memory {
    /// The slope with one more reading, bytes per second; what is small beside the size of a page is none.
    fn add(&mut self, rss_bytes: u64, now: Instant) -> Option<i64> {
        let since = self.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64());
        self.slope.add(since, rss_bytes as f64);
        self.at = Some(now);
        let slope = self.slope.per_second().map(|slope| slope as i64);
        self.told = slope.map(|slope| if slope.abs() < FLAT { 0 } else { slope });
        self.told
    }
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// CPU time of all its threads, ns.
    pub(super) cpu_ns: u64,
    /// Largest resident set, bytes.
    pub(super) peak_rss_bytes: u64,
}

/// Growth that is told as none, bytes per second: less than a page in half a minute.
const FLAT: i64 = 128;

/// How long may be spent in one window on what is dear to read: every thread's switches, and descriptors.
const BUDGET: Duration = Duration::from_millis(20);

/// What may still be spent in one window.
struct Budget {
    until: Instant,
    pages: Dear,
}

impl Budget {
    /// What may be read of the next process: pages of one in each window, and nothing dear once the time is over.
    fn next(&mut self) -> Dear {
        if Instant::now() >= self.until {
            Dear::Nothing
        } else {
            std::mem::replace(&mut self.pages, Dear::Counts)
        }
    }
}

/// The live processes of all agents.
#[derive(Debug)]
pub(super) struct Live {
    /// Counts readings, so that it is not always the same whose turn comes when the budget is spent.
    turn: usize,
    processes: FxHashMap<ProcessId, Known>,
    groups: Groups,
    tick_ns: u64,
    page_bytes: u64,
}

impl Live {
    pub(super) fn new() -> Self {
        Self {
            turn: 0,
            processes: FxHashMap::default(),
            groups: Groups::new(),
            tick_ns: 1_000_000_000 / procfs::ticks_per_second().max(1),
            page_bytes: procfs::page_size(),
        }
    }

    /// The process lives, and belongs to the agent in `slot`.
    pub(super) fn insert(&mut self, process: ProcessId, slot: Slot) {
        self.processes
            .entry(process)
            .or_insert(Known { slot, ticks: None, memory: Memory::default() })
            .slot = slot;
    }

    pub(super) fn remove(&mut self, process: ProcessId) {
        self.processes.remove(&process);
    }

    /// The agent in `slot` is let go: its processes are nobody's, and are read no more.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.processes.retain(|_, known| known.slot != slot);
    }

    pub(super) fn contains(&self, process: ProcessId) -> bool {
        self.processes.contains_key(&process)
    }

    /// The agent that the live process with this pid belongs to.
    pub(super) fn slot_of(&self, pid: u32) -> Option<Slot> {
        self.processes.iter().find(|(process, _)| process.pid() == pid).map(|(_, known)| known.slot)
    }

    /// /proc tells starts by clock ticks, so one tick of rounding is allowed.
    fn matches(&self, process: ProcessId, stat: &Stat) -> bool {
        (process.start_ns() / self.tick_ns).abs_diff(stat.start_ticks) <= 1
    }

    /// What a process has used so far; `None` if it is gone.
    pub(super) fn used(&self, process: ProcessId) -> Option<Used> {
        Stat::read(process.pid()).filter(|stat| self.matches(process, stat)).map(|s| self.read(process, &s))
    }

    /// Reads every live process: usage of those that ran since the last reading, and who vanished.
    pub(super) fn observe(&mut self, now: Timestamp) -> Vec<Observation> {
        let mut observations = Vec::new();
        self.groups.begin();
        let mut budget = Budget { until: Instant::now() + BUDGET, pages: Dear::Pages };
        for process in self.in_turn() {
            let stat = Stat::read(process.pid()).filter(|stat| self.matches(process, stat));
            let Some(stat) = stat else {
                self.processes.remove(&process);
                observations.push(Observation::ProcessVanished { process, at: now });
                continue;
            };
            let Some(known) = self.processes.get_mut(&process) else { continue };
            // What sleeps keeps what it has, but its memory no longer grows.
            let is_settled = known.memory.told.is_none_or(|slope| slope == 0);
            if known.ticks.replace(stat.cpu_ticks) != Some(stat.cpu_ticks) || !is_settled {
                let Used { cpu_ns, peak_rss_bytes } = self.read(process, &stat);
                let resources = self.resources(process, budget.next());
                observations.push(Observation::ProcessUsage { process, cpu_ns, peak_rss_bytes, resources });
            }
        }
        observations
    }

    /// All processes, another one first each time.
    fn in_turn(&mut self) -> Vec<ProcessId> {
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn.checked_rem(self.processes.len()).unwrap_or(0);
        let keys = || self.processes.keys().copied();
        keys().skip(first).chain(keys().take(first)).collect()
    }

    fn resources(&mut self, process: ProcessId, dear: Dear) -> Option<Resources> {
        let read = resources::read(process.pid(), dear)?;
        let memory = self.processes.get_mut(&process).map(|known| &mut known.memory);
        let rss_slope = memory.and_then(|memory| memory.add(read.rss_bytes, Instant::now()));
        let cgroup = if dear == Dear::Nothing { None } else { self.groups.of(process.pid()) };
        Some(Resources { rss_slope, cgroup, ..read })
    }

    fn read(&self, process: ProcessId, stat: &Stat) -> Used {
        let now = stat.rss_pages * self.page_bytes;
        let peak_rss_bytes = high_water_bytes(process.pid()).unwrap_or(0).max(now);
        let cpu_ns = cpu_clock_ns(process.pid()).unwrap_or(stat.cpu_ticks * self.tick_ns);
        Used { cpu_ns, peak_rss_bytes }
    }
}

/// A process's CPU clock: what /proc tells in ticks, exactly, as exits are told.
fn cpu_clock_ns(pid: u32) -> Option<u64> {
    let pid = libc::pid_t::try_from(pid).ok()?;
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `clock` is valid for the write.
    let known = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) } == 0;
    // SAFETY: `time` is valid for the write; a clock that there is not is an error.
    let read = known && unsafe { libc::clock_gettime(clock, &raw mut time) } == 0;
    let seconds = u64::try_from(time.tv_sec).ok().filter(|_| read)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(u64::try_from(time.tv_nsec).ok()?)
}

/// `VmHWM` of /proc/PID/status.
fn high_water_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::{Live, Observation, ProcessId, Slot, Stat, Timestamp};

    /// This process, as the kernel programs would name it.
    fn own(live: &Live) -> ProcessId {
        let pid = std::process::id();
        let start_ns = Stat::read(pid).expect("this process lives").start_ticks * live.tick_ns;
        ProcessId::new(pid, start_ns)
    }

    #[test]
    fn what_was_used_before_the_watch_is_known() {
        let live = Live::new();
        let used = live.used(own(&live)).unwrap();
        assert!(used.peak_rss_bytes > 0);
        let begin = super::cpu_clock_ns(std::process::id()).unwrap();
        assert!(used.cpu_ns > 0 && used.cpu_ns <= begin);
        assert_eq!(live.used(ProcessId(1 << 22 | 4_000_000)), None);
    }

    #[test]
    fn processes_of_an_agent_that_was_let_go_are_read_no_more() {
        let mut live = Live::new();
        let (own, gone) = (own(&live), ProcessId(1 << 22 | 4_000_000));
        live.insert(own, Slot(1));
        live.insert(gone, Slot(2));
        live.forget(Slot(1));
        assert!(!live.contains(own));
        let seen = live.observe(Timestamp::now());
        assert!(matches!(seen[..], [Observation::ProcessVanished { process, .. }] if process == gone));
        assert!(live.observe(Timestamp::now()).is_empty(), "it is told once");
    }
}
