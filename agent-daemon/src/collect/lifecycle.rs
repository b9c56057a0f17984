//! Life-cycle events of the kernel programs, made into observations: times become wall time, command lines
//! are redacted here, and what a process used is summed over its threads.

use std::{fs, num::NonZeroUsize};

use lru::LruCache;

use super::{
    argv,
    clock::Clock,
    usage::{Live, Used},
    worker,
};
use crate::{
    kernel::{Event, Seeded},
    model::{
        account::Account,
        id::{ProcessId, Slot},
        observation::Observation,
        signal::Signal,
    },
    unwind::identity::is_same,
};

/// Processes of which it is remembered what their dead threads used. A process is touched whenever a thread of it exits.
const SUMS: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");

const SIGKILL: u8 = 9;

/// What a process's threads used that exited.
#[derive(Clone, Copy, Default)]
struct Sum {
    account: Account,
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
        self.sums.put(process, Sum { account: seeded.dead, ..Sum::default() });
        let args = fs::read(format!("/proc/{}/cmdline", process.pid())).unwrap_or_default();
        let executed = Observation::ProcessExecuted {
            process,
            at: clock.started(process),
            executable: executable(process, String::new()),
            comm: seeded.comm.clone(),
            args: argv::sanitise(&args).args,
            is_worker: worker::is_worker(&args),
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
            Event::Exec { process, at, path, comm, mut args, cut } => {
                if !cut && args.last().is_some_and(|b| *b != 0) {
                    args.push(0);
                }
                let is_worker = worker::is_worker(&args);
                let args = argv::sanitise(&args).args;
                let (at, executable) = (clock.event(at), executable(process, path));
                Some(Observation::ProcessExecuted { process, at, executable, comm, args, is_worker })
            }
            Event::Exit { process, at, exit, account, peak_rss_bytes, out_of_memory } => {
                live.remove(process);
                let account = self.exited(process, account, peak_rss_bytes);
                let at = clock.event(at);
                // One that was chosen may have ended in another way before it died of that.
                let out_of_memory = out_of_memory && exit.signal() == Some(SIGKILL);
                Some(Observation::ProcessExited { process, at, exit, account, peak_rss_bytes, out_of_memory })
            }
            Event::Signal { at, number, target, sender, outcome } => {
                let at = clock.event(at);
                Some(Observation::Signalled(Box::new(Signal { at, number, target, sender, outcome })))
            }
            Event::ThreadExit { process, account } => self.thread_exited(process, account),
            Event::ForeignExec { pid } => Some(Observation::ForeignExec { pid }),
            Event::NewStack { .. }
            | Event::LibraryLoaded { .. }
            | Event::ModelRequest { .. }
            | Event::NameAnswer { .. } => None,
        }
    }

    /// What all threads of `process` used, of which the last one used `last`.
    fn exited(&mut self, process: ProcessId, last: Account, peak_rss_bytes: u64) -> Account {
        let account = self.sums.peek(&process).map_or(last, |sum| sum.account.and(last));
        self.sums.put(process, Sum { account, exited: true, peak_rss_bytes });
        account
    }

    fn thread_exited(&mut self, process: ProcessId, account: Account) -> Option<Observation> {
        let sum = self.sums.get_or_insert_mut(process, Sum::default);
        sum.account = sum.account.and(account);
        let Sum { account, exited, peak_rss_bytes } = *sum;
        exited.then_some(Observation::ProcessAccounted { process, account, peak_rss_bytes })
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
