//! What live processes have used so far, from /proc, once per window; and whether they still live, for the
//! case that an exit event was lost.

use std::fs;

use rustc_hash::FxHashMap;

use super::proc_tree::Stat;
use crate::model::{id::ProcessId, observation::Observation, time::Timestamp};

/// The live processes of all agents.
#[derive(Debug)]
pub(super) struct Live {
    /// CPU ticks at the last reading.
    processes: FxHashMap<ProcessId, u64>,
    tick_ns: u64,
    page_bytes: u64,
}

impl Live {
    pub(super) fn new() -> Self {
        Self {
            processes: FxHashMap::default(),
            tick_ns: 1_000_000_000 / procfs::ticks_per_second().max(1),
            page_bytes: procfs::page_size(),
        }
    }

    pub(super) fn insert(&mut self, process: ProcessId) {
        self.processes.entry(process).or_insert(0);
    }

    pub(super) fn remove(&mut self, process: ProcessId) {
        self.processes.remove(&process);
    }

    pub(super) fn contains(&self, process: ProcessId) -> bool {
        self.processes.contains_key(&process)
    }

    /// Whether the process with this pid is still the one that we mean.
    pub(super) fn is_same(&self, process: ProcessId) -> bool {
        Stat::read(process.pid()).is_some_and(|stat| self.matches(process, &stat))
    }

    /// /proc tells starts by clock ticks, so one tick of rounding is allowed.
    fn matches(&self, process: ProcessId, stat: &Stat) -> bool {
        (process.start_ns() / self.tick_ns).abs_diff(stat.start_ticks) <= 1
    }

    /// Reads every live process: usage of those that ran since the last reading, and who vanished.
    pub(super) fn observe(&mut self, now: Timestamp) -> Vec<Observation> {
        let mut observations = Vec::new();
        let mut vanished = Vec::new();
        for (process, last_ticks) in &self.processes {
            match Stat::read(process.pid()) {
                Some(stat) if self.matches(*process, &stat) => {
                    if stat.cpu_ticks != *last_ticks {
                        observations.push(self.usage(*process, &stat));
                    }
                }
                _ => vanished.push(*process),
            }
        }
        for observation in &observations {
            if let Observation::ProcessUsage { process, cpu_ns, .. } = observation {
                self.processes.insert(*process, cpu_ns / self.tick_ns);
            }
        }
        for process in vanished {
            self.processes.remove(&process);
            observations.push(Observation::ProcessVanished { process, at: now });
        }
        observations
    }

    fn usage(&self, process: ProcessId, stat: &Stat) -> Observation {
        let now = stat.rss_pages * self.page_bytes;
        let peak_rss_bytes = high_water_bytes(process.pid()).unwrap_or(0).max(now);
        Observation::ProcessUsage { process, cpu_ns: stat.cpu_ticks * self.tick_ns, peak_rss_bytes }
    }
}

/// `VmHWM` of /proc/PID/status.
fn high_water_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
