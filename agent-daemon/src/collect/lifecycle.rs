//! Life-cycle events of the kernel programs, made into observations: times become wall time, command lines
//! are redacted here, and a process's CPU time is summed over its threads.

use std::{fs, num::NonZeroUsize};

use lru::LruCache;

use super::{
    argv,
    clock::Clock,
    usage::{Live, Used},
};
use crate::{
    kernel::{Event, Seeded},
    model::{
        id::{ProcessId, Slot},
        observation::Observation,
    },
    unwind::identity::is_same,
};

/// Processes whose dead threads' CPU time is remembered. A process is touched whenever a thread of it exits.
const SUMS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

/// CPU time of a process's threads that exited.
#[derive(Clone, Copy, Default)]
struct Sum {
    ns: u64,
    /// The process exited too: a thread that is reported later is added after the fact.
    exited: bool,
    peak_rss_bytes: u64,
}

/// Makes observations of events.
pub(super) struct Lifecycle {
    sums: LruCache<ProcessId, Sum>,
}

impl Lifecycle {
    pub(super) fn new() -> Self {
        Self { sums: LruCache::new(SUMS) }
    }

    /// A process that was taken into an agent while it ran: it started, and it once executed something.
    pub(super) fn seeded(
        &mut self,
        seeded: Seeded,
        slot: Slot,
        clock: &Clock,
        live: &mut Live,
    ) -> [Observation; 2] {
        let process = seeded.process;
        live.insert(process, slot);
        self.sums.put(process, Sum { ns: seeded.dead_cpu_ns, ..Sum::default() });
        let args = fs::read(format!("/proc/{}/cmdline", process.pid())).unwrap_or_default();
        let executed = Observation::ProcessExecuted {
            process,
            executable: executable(process, String::new()),
            comm: seeded.comm.clone(),
            args: argv::sanitise(&args).args,
        };
        let Used { cpu_ns: cpu_before_ns, peak_rss_bytes } = live.used(process).unwrap_or_default();
        let started = Observation::ProcessStarted {
            slot,
            process,
            parent: None,
            parent_pid: seeded.parent_pid,
            comm: seeded.comm,
            started: clock.started(process),
            cpu_before_ns,
            peak_rss_bytes,
        };
        [started, executed]
    }

    /// An event; `None` if it only adds to a sum.
    pub(super) fn event(&mut self, event: Event, clock: &Clock, live: &mut Live) -> Option<Observation> {
        match event {
            Event::Fork { slot, process, parent, parent_pid, comm } => {
                live.insert(process, slot);
                let started = clock.started(process);
                Some(Observation::ProcessStarted {
                    slot,
                    process,
                    parent: Some(parent),
                    parent_pid,
                    comm,
                    started,
                    cpu_before_ns: 0,
                    peak_rss_bytes: 0,
                })
            }
            Event::Exec { process, path, comm, mut args, cut } => {
                if !cut && args.last().is_some_and(|b| *b != 0) {
                    args.push(0);
                }
                let args = argv::sanitise(&args).args;
                let executable = executable(process, path);
                Some(Observation::ProcessExecuted { process, executable, comm, args })
            }
            Event::Exit { process, at, exit, cpu_ns, peak_rss_bytes } => {
                live.remove(process);
                let cpu_ns = self.exited(process, cpu_ns, peak_rss_bytes);
                let at = clock.event(at);
                Some(Observation::ProcessExited { process, at, exit, cpu_ns, peak_rss_bytes })
            }
            Event::ThreadExit { process, cpu_ns } => self.thread_exited(process, cpu_ns),
            Event::ForeignExec { pid } => Some(Observation::ForeignExec { pid }),
            Event::NewStack { .. } | Event::ModelRequest { .. } => None,
        }
    }

    /// The CPU time of all threads of `process`, of which the last one ran for `cpu_ns`.
    fn exited(&mut self, process: ProcessId, cpu_ns: u64, peak_rss_bytes: u64) -> u64 {
        let ns = self.sums.peek(&process).map_or(0, |sum| sum.ns).saturating_add(cpu_ns);
        self.sums.put(process, Sum { ns, exited: true, peak_rss_bytes });
        ns
    }

    fn thread_exited(&mut self, process: ProcessId, cpu_ns: u64) -> Option<Observation> {
        let sum = self.sums.get_or_insert_mut(process, Sum::default);
        sum.ns = sum.ns.saturating_add(cpu_ns);
        let Sum { ns, exited, peak_rss_bytes } = *sum;
        exited.then_some(Observation::ProcessUsage { process, cpu_ns: ns, peak_rss_bytes, resources: None })
    }
}

/// The executable's path as the kernel knows it, else as it was given to exec.
fn executable(process: ProcessId, given: String) -> String {
    match fs::read_link(format!("/proc/{}/exe", process.pid())) {
        Ok(path) if is_same(process) => {
            let path = path.to_string_lossy();
            path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned()
        }
        _ => given,
    }
}
