//! What live processes have used so far, from /proc, once per window; and whether they still live, for the
//! case that an exit event was lost.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use super::{
    proc_tree::Stat,
    resources::{self, Dear},
};
use crate::model::{
    id::{ProcessId, Slot},
    observation::Observation,
    time::Timestamp,
};

/// What is known of a live process.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Whose it is.
    slot: Slot,
    /// CPU ticks at the last reading; `None` before the first.
    ticks: Option<u64>,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// CPU time of all its threads, ns.
    pub(super) cpu_ns: u64,
    /// Largest resident set, bytes.
    pub(super) peak_rss_bytes: u64,
}

/// How long may be spent in one window on what is dear to read: every thread's switches, and descriptors.
const BUDGET: Duration = Duration::from_millis(20);

/// The live processes of all agents.
#[derive(Debug)]
pub(super) struct Live {
    /// Counts readings, so that it is not always the same whose turn comes when the budget is spent.
    turn: usize,
    processes: FxHashMap<ProcessId, Known>,
    tick_ns: u64,
    page_bytes: u64,
}

impl Live {
    pub(super) fn new() -> Self {
        Self {
            turn: 0,
            processes: FxHashMap::default(),
            tick_ns: 1_000_000_000 / procfs::ticks_per_second().max(1),
            page_bytes: procfs::page_size(),
        }
    }

    /// The process lives, and belongs to the agent in `slot`.
    pub(super) fn insert(&mut self, process: ProcessId, slot: Slot) {
        self.processes.entry(process).or_insert(Known { slot, ticks: None }).slot = slot;
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
        let (mut ran, mut vanished) = (Vec::new(), Vec::new());
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn.checked_rem(self.processes.len()).unwrap_or(0);
        let turns = self.processes.iter().skip(first).chain(self.processes.iter().take(first));
        let dear_until = Instant::now() + BUDGET;
        // Of one process in each window.
        let mut pages = Dear::Pages;
        for (process, known) in turns {
            match Stat::read(process.pid()) {
                Some(stat) if self.matches(*process, &stat) => {
                    if Some(stat.cpu_ticks) != known.ticks {
                        ran.push((*process, stat.cpu_ticks));
                        let (process, Used { cpu_ns, peak_rss_bytes }) =
                            (*process, self.read(*process, &stat));
                        let is_late = Instant::now() >= dear_until;
                        let dear =
                            if is_late { Dear::Nothing } else { std::mem::replace(&mut pages, Dear::Counts) };
                        let resources = resources::read(process.pid(), dear);
                        let usage = Observation::ProcessUsage { process, cpu_ns, peak_rss_bytes, resources };
                        observations.push(usage);
                    }
                }
                _ => vanished.push(*process),
            }
        }
        for (process, ticks) in ran {
            if let Some(known) = self.processes.get_mut(&process) {
                known.ticks = Some(ticks);
            }
        }
        for process in vanished {
            self.processes.remove(&process);
            observations.push(Observation::ProcessVanished { process, at: now });
        }
        observations
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
