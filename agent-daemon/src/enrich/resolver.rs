//! The resolver: two threads that turn raw stacks into named ones. "symbol-files" opens files, see
//! [`super::opener`]; "symbol-names" reads symbols and names stacks. Requests keep their order. Both queues are
//! bounded, and nothing here ever blocks who asks: what finds a queue full is counted and goes without names.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, time::timeout};

use super::{
    frames::Budget,
    kallsyms::Taken,
    mappings::{CodeIds, Image},
    opener::Opener,
    resolved::Resolved,
    stacks::{Asked, Stacks, unnamed},
};
use crate::{
    model::{
        id::ProcessId,
        observation::{Counted, Mapping},
    },
    telemetry::{Loss, Telemetry},
    unwind::{Interpreters, Unwinder},
    uprobes::Attacher,
};

/// Requests that may wait for their files to be opened.
const REQUESTS: usize = 1024;
/// Requests that may wait while a window is named.
const WORK: usize = 8192;
/// What naming one window may take. Names that are not ready by then are missing in that window. A host that is
/// so busy that we hardly run is one whose names are wanted: wall time is not what we spare.
const BUDGET: Budget = Budget { cpu: Duration::from_millis(500), wall: Duration::from_secs(10) };
/// How long a window waits for its names, queues and all: for ever only if a file system does not answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often files and tables out of use are looked for.
pub(super) const SWEEP: Duration = Duration::from_secs(5);

/// What the resolver is told and asked.
pub(super) enum Request {
    Mapped { process: ProcessId, execs: u16, mappings: Vec<Mapping> },
    Forked { parent: ProcessId, child: ProcessId },
    Exited(ProcessId),
    Resolve(Arc<Counted>, oneshot::Sender<Resolved>),
}

/// What the second thread is told and asked.
pub(super) enum Work {
    Image(ProcessId, Arc<Image>),
    Forked { parent: ProcessId, child: ProcessId },
    Exited(ProcessId),
    Resolve(Arc<Counted>, oneshot::Sender<Resolved>),
}

/// Asks the resolver. When the last clone is dropped, its threads end.
#[derive(Clone)]
pub struct Resolver {
    requests: SyncSender<Request>,
    telemetry: Arc<Telemetry>,
}

/// The resolver's threads, and those that end when they do.
pub struct ResolverThreads(Vec<JoinHandle<()>>);

impl ResolverThreads {
    /// With one more, which ends when the resolver lets go of it.
    #[must_use]
    pub fn and(mut self, thread: JoinHandle<()>) -> Self {
        self.0.push(thread);
        self
    }

    /// Waits until all have ended: until every [`Resolver`] is dropped, and what they asked is done.
    pub fn join(self) {
        for thread in self.0 {
            if thread.join().is_err() {
                tracing::error!("a thread of the symbol resolver panicked");
            }
        }
    }
}

impl Resolver {
    /// Starts the resolver's threads. The unwinder and the attacher, if there are any, are told what is mapped.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn spawn(
        unwinder: Option<Unwinder>,
        attacher: Option<Attacher>,
        interpreters: Arc<Interpreters>,
        telemetry: Arc<Telemetry>,
    ) -> io::Result<(Self, ResolverThreads)> {
        let (requests, from_all) = sync_channel(REQUESTS);
        let (work, from_files) = sync_channel(WORK);
        let ids = Arc::new(CodeIds::new());
        let opener = Opener::new(Arc::clone(&ids), work, unwinder.clone(), attacher, Arc::clone(&telemetry));
        let for_names = Arc::clone(&telemetry);
        let threads = vec![
            Builder::new().name("symbol-files".to_owned()).spawn(move || opener.run(&from_all))?,
            // Symbolizers cannot change threads: they are made where they are used.
            Builder::new()
                .name("symbol-names".to_owned())
                .spawn(move || name_all(Stacks::new(ids, interpreters, unwinder), &from_files, &for_names))?,
        ];
        Ok((Self { requests, telemetry }, ResolverThreads(threads)))
    }

    /// Tells what a process maps, as early as can be: it must still live for its files to be opened. To be told
    /// again after an exec and whenever its mappings may have changed; telling the same again is cheap. `execs` numbers
    /// its programs, as their stacks do.
    pub fn mapped(&self, process: ProcessId, execs: u16, mappings: Vec<Mapping>) {
        self.tell(Request::Mapped { process, execs, mappings });
    }

    /// Tells that a process was forked: until its own are told, the child has its parent's mappings.
    pub fn forked(&self, parent: ProcessId, child: ProcessId) {
        self.tell(Request::Forked { parent, child });
    }

    /// Tells that a process exited. What it did until then can still be named in the next two windows.
    pub fn exited(&self, process: ProcessId) {
        self.tell(Request::Exited(process));
    }

    fn tell(&self, request: Request) {
        if self.requests.try_send(request).is_err() {
            self.telemetry.losses.count(Loss::ResolverQueueFull);
        }
    }

    /// Names the stacks of a window. The request is queued at once, behind everything told before; the future
    /// borrows nothing, and is ready after some milliseconds, seldom seconds. It always gives all rows: where names
    /// cannot be had in time, without them.
    pub fn resolve(&self, mut counted: Counted) -> impl Future<Output = Resolved> + Send + use<> {
        let syscalls = std::mem::take(&mut counted.syscalls);
        let (cuda, files) = (std::mem::take(&mut counted.cuda), std::mem::take(&mut counted.files));
        let (network, disk) = (std::mem::take(&mut counted.network), std::mem::take(&mut counted.disk));
        let (http, ledgers) = (std::mem::take(&mut counted.http), std::mem::take(&mut counted.ledgers));
        let counted = Arc::new(counted);
        let (reply, answer) = oneshot::channel();
        let queued = self.requests.try_send(Request::Resolve(Arc::clone(&counted), reply)).is_ok();
        let telemetry = Arc::clone(&self.telemetry);
        async move {
            let named = if queued { timeout(PATIENCE, answer).await.ok().and_then(Result::ok) } else { None };
            let resolved = named.unwrap_or_else(|| {
                telemetry.losses.count(Loss::ResolverQueueFull);
                let stacks = asked(&counted).map(|a| Arc::new(unnamed(a.stack))).collect();
                Resolved::of(&counted, stacks)
            });
            Resolved { syscalls, cuda, files, network, disk, http, ledgers, ..resolved }
        }
    }
}

/// The stacks of a window: those of the off-CPU rows, then those of the CPU rows.
fn asked(counted: &Counted) -> impl Iterator<Item = Asked<'_>> {
    let off_cpu = counted.off_cpu.iter().map(|row| Asked {
        process: row.process,
        stack: &row.stack,
        taken: Taken::OffCpu,
        weight: row.blocked_ns.saturating_add(row.run_queue_ns),
    });
    let cpu = counted.cpu.iter().map(|row| Asked {
        process: row.process,
        stack: &row.stack,
        taken: Taken::OnCpu,
        weight: row.cpu_ns,
    });
    off_cpu.chain(cpu)
}

/// The second thread: names stacks.
fn name_all(mut stacks: Stacks, work: &Receiver<Work>, telemetry: &Telemetry) {
    let losses = &telemetry.losses;
    let mut swept = Instant::now();
    loop {
        match work.recv_timeout(SWEEP) {
            Ok(Work::Image(process, image)) => stacks.processes.mapped(process, image, losses),
            Ok(Work::Forked { parent, child }) => stacks.processes.forked(parent, child, losses),
            Ok(Work::Exited(process)) => stacks.processes.exited(process),
            Ok(Work::Resolve(counted, reply)) => resolve(&mut stacks, &counted, reply, telemetry),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if swept.elapsed() >= SWEEP {
            if stacks.frames.sweep() {
                give_back_memory();
            }
            swept = Instant::now();
        }
    }
}

/// Names one window. One that nobody waits for any more is passed over, to catch up.
fn resolve(stacks: &mut Stacks, counted: &Counted, reply: oneshot::Sender<Resolved>, telemetry: &Telemetry) {
    if !reply.is_closed() {
        let asked: Vec<_> = asked(counted).collect();
        let named = stacks.name(&asked, BUDGET, &telemetry.losses);
        let resolved = Resolved { unread: stacks.unread(counted), ..Resolved::of(counted, named) };
        // Nobody waits any more: the caller counts that.
        let _ = reply.send(resolved);
    }
    stacks.processes.end_round();
}

/// Returns freed memory to the kernel: tables are many small pieces, which the allocator would keep.
fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::{
        enrich::{
            binary::{Files, tests::mapping},
            mappings::{Code, Region},
            symbols::tests::{PROGRAM, offset},
        },
        model::{
            id::Slot,
            observation::{Addresses, Interpreter, RawCpu, RawStack, RawUserStack},
            stack::{Frame, StackEnd},
            time::Timestamp,
        },
    };

    const PROCESS: ProcessId = ProcessId(1 << 22 | 7);

    /// A window with samples at these addresses of a process, each a stack of its own.
    fn window(addresses: &[u64]) -> Counted {
        let row = |address: &u64| {
            let user = RawUserStack {
                addresses: [*address].as_slice().into(),
                interpreter: Interpreter::None,
                interpreted: [].into(),
                end: StackEnd::Complete,
                execs: 0,
            };
            let stack = RawStack { kernel: Addresses::Absent, user };
            RawCpu { slot: Slot(0), process: PROCESS, stack, samples: 1, cpu_ns: 1 }
        };
        let (start, end) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let cpu = addresses.iter().map(row).collect();
        let (syscalls, off_cpu, cuda, files, checkpoints) = Default::default();
        let (network, disk, http, ledgers, orders) = Default::default();
        Counted {
            start,
            end,
            syscalls,
            off_cpu,
            cpu,
            cuda,
            files,
            checkpoints,
            network,
            disk,
            http,
            ledgers,
            orders,
        }
    }

    /// Stacks that know a process with one mapping, of this code, from 0x10000 on.
    fn stacks(code: Code, telemetry: &Telemetry) -> Stacks {
        let ids = Arc::new(CodeIds::new());
        let regions = [Region { start: 0x10_000, end: 0x20_000, offset: 0, code }];
        let image = Image { id: ids.next(), execs: 0, regions: regions.into(), generated: Arc::default() };
        let mut stacks = Stacks::new(ids, Arc::default(), None);
        stacks.processes.mapped(PROCESS, Arc::new(image), &telemetry.losses);
        stacks
    }

    /// The innermost frame of the first stack of a window.
    fn innermost(
        stacks: &mut Stacks,
        counted: &Counted,
        budget: Budget,
        telemetry: &Telemetry,
    ) -> Arc<Frame> {
        let asked: Vec<_> = asked(counted).collect();
        Arc::clone(&stacks.name(&asked, budget, &telemetry.losses)[0].frames[0])
    }

    #[test]
    fn what_is_late_keeps_its_place_and_is_named_next_time() {
        let telemetry = Telemetry::default();
        let mut stacks = stacks(Code::Vdso, &telemetry);
        let counted = window(&[0x10_000 + vdso_function()]);
        let none = Budget { cpu: Duration::ZERO, wall: Duration::ZERO };
        let late = innermost(&mut stacks, &counted, none, &telemetry);
        assert_eq!((late.function.as_str(), late.address), ("[unknown]", vdso_function()));
        assert_eq!(late.binary.as_ref().unwrap().path, "[vdso]");
        assert_eq!(telemetry.losses.all()["names_late"], 1);
        let named = innermost(&mut stacks, &counted, BUDGET, &telemetry);
        assert!(named.function.ends_with("clock_gettime"), "{named:?}");
        assert_eq!((named.address, &named.binary), (late.address, &late.binary));
        let known = innermost(&mut stacks, &counted, none, &telemetry);
        assert_eq!(known, named, "what is known costs nothing");
    }

    #[test]
    fn a_file_that_was_closed_has_names_once_it_is_open_again() {
        let directory = tempfile::tempdir().unwrap();
        let [program, other] = ["program", "other"].map(|name| {
            let path = directory.path().join(name);
            std::fs::write(&path, &*PROGRAM).unwrap();
            mapping(&path)
        });
        let telemetry = Telemetry::default();
        let mut files = Files::new(NonZeroUsize::MIN, Arc::new(CodeIds::new()));
        let mut open = |mapping| files.get(std::process::id(), mapping, &telemetry.losses);
        let mut stacks = stacks(Code::File(open(&program)), &telemetry);
        open(&other);
        let counted = window(&[0x10_000 + offset(&PROGRAM, "main")]);
        let closed = innermost(&mut stacks, &counted, BUDGET, &telemetry);
        assert_eq!(closed.function, "[unknown]");
        assert_eq!(telemetry.losses.all()["symbols_unread"], 1);
        open(&program);
        let reopened = innermost(&mut stacks, &counted, BUDGET, &telemetry);
        assert_eq!((reopened.function.as_str(), reopened.address), ("main", closed.address));
    }

    /// Offset of a function in the vdso.
    fn vdso_function() -> u64 {
        offset(&crate::enrich::vdso::bytes().unwrap(), "__vdso_clock_gettime")
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_does_not_answer_costs_names_and_nothing_else() {
        let telemetry = Arc::new(Telemetry::default());
        let (requests, _stuck) = sync_channel(1);
        let resolver = Resolver { requests, telemetry: Arc::clone(&telemetry) };
        let (waiting, refused) =
            (resolver.resolve(window(&[0x5000])), resolver.resolve(window(&[0x5000, 0x6000])));
        resolver.exited(PROCESS);
        assert_eq!(refused.await.cpu.len(), 2);
        let resolved = waiting.await;
        let frame = &resolved.cpu[0].1.stack.frames[0];
        assert_eq!((frame.function.as_str(), frame.address), ("[unknown]", 0x5000));
        assert_eq!(telemetry.losses.all()["resolver_queue_full"], 3);
    }

    #[tokio::test]
    async fn threads_end_when_nobody_asks_any_more() {
        let (resolver, threads) = Resolver::spawn(None, None, Arc::default(), Arc::default()).unwrap();
        let last = resolver.resolve(window(&[0x5000]));
        drop(resolver);
        threads.join();
        assert_eq!(last.await.cpu.len(), 1);
    }
}
