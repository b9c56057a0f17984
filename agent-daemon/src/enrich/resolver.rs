//! The resolver: two threads that turn raw stacks into named ones. "symbol-files" opens the files that are mapped
//! into a process as soon as the process is seen, since it may be gone 20 ms later, and does nothing that takes
//! long; "symbol-names" reads symbols and names stacks. Requests keep their order. Both queues are bounded, and
//! nothing here ever blocks who asks: what finds a queue full is counted and goes without names.

use std::{
    io,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, time::timeout};

use super::{
    binary::Files,
    frames::Budget,
    kallsyms::Taken,
    mappings::{Code, CodeIds, Image, Region},
    perf_map::PerfMap,
    resolved::Resolved,
    stacks::{Asked, Stacks, unnamed},
};
use crate::{
    model::{
        id::ProcessId,
        observation::{Counted, Mapping},
        stack::Binary,
    },
    telemetry::{Loss, Telemetry},
};

/// Requests that may wait for their files to be opened.
const REQUESTS: usize = 1024;
/// Requests that may wait while a window is named.
const WORK: usize = 8192;
/// What naming one window may take. Names that are not ready by then are missing in that window.
const BUDGET: Budget = Budget { cpu: Duration::from_millis(500), wall: Duration::from_secs(2) };
/// How long a window waits for its names, queues and all.
const PATIENCE: Duration = Duration::from_secs(4);
/// How often files and tables out of use are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// Most files held open.
const MAX_FILES: usize = 1024;

/// What the resolver is told and asked.
enum Request {
    Mapped(ProcessId, Vec<Mapping>),
    Forked { child: ProcessId, parent: ProcessId },
    Exited(ProcessId),
    Resolve(Arc<Counted>, oneshot::Sender<Resolved>),
}

/// What the second thread is told and asked.
enum Work {
    Image(ProcessId, Arc<Image>),
    Forked { child: ProcessId, parent: ProcessId },
    Exited(ProcessId),
    Resolve(Arc<Counted>, oneshot::Sender<Resolved>),
}

/// Asks the resolver. When the last clone is dropped, its threads end.
#[derive(Clone)]
pub struct Resolver {
    requests: SyncSender<Request>,
    telemetry: Arc<Telemetry>,
}

/// The resolver's threads.
pub struct ResolverThreads([JoinHandle<()>; 2]);

impl ResolverThreads {
    /// Waits until both have ended: until every [`Resolver`] is dropped, and what they asked is done.
    pub fn join(self) {
        for thread in self.0 {
            if thread.join().is_err() {
                tracing::error!("a thread of the symbol resolver panicked");
            }
        }
    }
}

impl Resolver {
    /// Starts the resolver's threads.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn spawn(telemetry: Arc<Telemetry>) -> io::Result<(Self, ResolverThreads)> {
        let (requests, from_all) = sync_channel(REQUESTS);
        let (work, from_files) = sync_channel(WORK);
        let ids = Arc::new(CodeIds::new());
        let opener = Opener {
            files: Files::new(descriptors(), Arc::clone(&ids)),
            ids: Arc::clone(&ids),
            work,
            telemetry: Arc::clone(&telemetry),
        };
        let for_names = Arc::clone(&telemetry);
        let threads = [
            Builder::new().name("symbol-files".to_owned()).spawn(move || opener.run(&from_all))?,
            // Symbolizers cannot change threads: they are made where they are used.
            Builder::new()
                .name("symbol-names".to_owned())
                .spawn(move || name_all(Stacks::new(ids), &from_files, &for_names))?,
        ];
        Ok((Self { requests, telemetry }, ResolverThreads(threads)))
    }

    /// Tells what a process maps, as early as can be: it must still live for its files to be opened. To be told
    /// again after an exec and whenever its mappings may have changed; telling the same again is cheap.
    pub fn mapped(&self, process: ProcessId, mappings: Vec<Mapping>) {
        self.tell(Request::Mapped(process, mappings));
    }

    /// Tells that a process was forked: until its own are told, it has its parent's mappings.
    pub fn forked(&self, child: ProcessId, parent: ProcessId) {
        self.tell(Request::Forked { child, parent });
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
        let counted = Arc::new(counted);
        let (reply, answer) = oneshot::channel();
        let queued = self.requests.try_send(Request::Resolve(Arc::clone(&counted), reply)).is_ok();
        let telemetry = Arc::clone(&self.telemetry);
        async move {
            let named = if queued { timeout(PATIENCE, answer).await.ok().and_then(Result::ok) } else { None };
            let resolved = named.unwrap_or_else(|| {
                telemetry.losses.count(Loss::ResolverQueueFull);
                let stacks = asked(&counted).map(|a| Arc::new(unnamed(a.stack))).collect();
                Resolved::of(&counted, stacks, Vec::new())
            });
            Resolved { syscalls, ..resolved }
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

/// How many files may be held open: a share of what this process may open.
fn descriptors() -> NonZeroUsize {
    let limits = procfs::process::Process::myself().and_then(|p| p.limits());
    let soft = match limits.map(|l| l.max_open_files.soft_limit) {
        Ok(procfs::process::LimitValue::Value(n)) => usize::try_from(n).unwrap_or(MAX_FILES),
        Ok(procfs::process::LimitValue::Unlimited) => usize::MAX,
        Err(_) => 1024,
    };
    NonZeroUsize::new((soft / 2).min(MAX_FILES)).unwrap_or(NonZeroUsize::MIN)
}

/// The first thread: opens files.
struct Opener {
    files: Files,
    ids: Arc<CodeIds>,
    work: SyncSender<Work>,
    telemetry: Arc<Telemetry>,
}

impl Opener {
    fn run(mut self, requests: &Receiver<Request>) {
        let mut swept = Instant::now();
        loop {
            match requests.recv_timeout(SWEEP) {
                Ok(request) => self.pass_on(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if swept.elapsed() >= SWEEP {
                self.files.sweep();
                swept = Instant::now();
            }
        }
    }

    fn pass_on(&mut self, request: Request) {
        let work = match request {
            Request::Mapped(process, mappings) => {
                Work::Image(process, Arc::new(self.image(process.pid(), &mappings)))
            }
            Request::Forked { child, parent } => Work::Forked { child, parent },
            Request::Exited(process) => Work::Exited(process),
            Request::Resolve(counted, reply) => Work::Resolve(counted, reply),
        };
        // A window that is dropped here is answered by its caller, who counts it.
        let is_window = matches!(work, Work::Resolve(..));
        if self.work.try_send(work).is_err() && !is_window {
            self.telemetry.losses.count(Loss::ResolverQueueFull);
        }
    }

    fn image(&mut self, pid: u32, mappings: &[Mapping]) -> Image {
        let mut regions: Vec<_> = mappings.iter().map(|m| self.region(pid, m)).collect();
        regions.sort_by_key(|r| r.start);
        let generated = regions.iter().any(|r| matches!(r.code, Code::Generated(_)));
        let perf_map = if generated { PerfMap::open(pid) } else { PerfMap::default() };
        Image { id: self.ids.next(), regions: regions.into(), perf_map: Mutex::new(perf_map) }
    }

    fn region(&mut self, pid: u32, mapping: &Mapping) -> Region {
        let Mapping { start, end, offset, inode, ref path, .. } = *mapping;
        let code = match path.as_str() {
            "[vdso]" => Code::Vdso,
            _ if inode == 0 || is_memory(path) => Code::Generated(Arc::new(generated(path))),
            _ => Code::File(self.files.get(pid, mapping, &self.telemetry.losses)),
        };
        Region { start, end, offset, code }
    }
}

/// Whether a mapping with an inode is memory all the same: a shared one, or a file that .NET makes for its code.
fn is_memory(path: &str) -> bool {
    path.starts_with("/dev/zero") || path.starts_with("/SYSV") || path.starts_with("/memfd:doublemapper")
}

/// What frames in generated code say of their binary.
fn generated(path: &str) -> Binary {
    let is_named = path.starts_with('[') && !path.starts_with("[anon");
    Binary { path: if is_named { path.to_owned() } else { "[jit]".to_owned() }, build_id: None }
}

/// The second thread: names stacks.
fn name_all(mut stacks: Stacks, work: &Receiver<Work>, telemetry: &Telemetry) {
    let losses = &telemetry.losses;
    let mut swept = Instant::now();
    loop {
        match work.recv_timeout(SWEEP) {
            Ok(Work::Image(process, image)) => stacks.processes.mapped(process, image, losses),
            Ok(Work::Forked { child, parent }) => stacks.processes.forked(child, parent, losses),
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
        let (named, unmapped) = stacks.name(&asked, BUDGET, &telemetry.losses);
        // Nobody waits any more: the caller counts that.
        let _ = reply.send(Resolved::of(counted, named, unmapped));
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
    use super::*;
    use crate::model::{
        id::Slot,
        observation::{Addresses, RawCpu, RawStack},
        time::Timestamp,
    };

    const PROCESS: ProcessId = ProcessId(1 << 22 | 7);

    /// A window with samples at these addresses of a process, each a stack of its own.
    fn window(addresses: &[u64]) -> Counted {
        let row = |address: &u64| {
            let user = Addresses::Known([*address].as_slice().into());
            let stack = RawStack { kernel: Addresses::Absent, user };
            RawCpu { slot: Slot(0), process: PROCESS, stack, samples: 1, cpu_ns: 1 }
        };
        let (start, end) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let cpu = addresses.iter().map(row).collect();
        Counted { start, end, syscalls: Vec::new(), off_cpu: Vec::new(), cpu }
    }

    /// Stacks that know a process with nothing but a vdso.
    fn with_vdso(telemetry: &Telemetry) -> Stacks {
        let ids = Arc::new(CodeIds::new());
        let regions = [Region { start: 0x10_000, end: 0x20_000, offset: 0, code: Code::Vdso }];
        let image = Image { id: ids.next(), regions: regions.into(), perf_map: Mutex::default() };
        let mut stacks = Stacks::new(ids);
        stacks.processes.mapped(PROCESS, Arc::new(image), &telemetry.losses);
        stacks
    }

    #[test]
    fn what_is_late_keeps_its_place_and_is_named_next_time() {
        let telemetry = Telemetry::default();
        let mut stacks = with_vdso(&telemetry);
        let counted = window(&[0x10_000 + vdso_function()]);
        let none = Budget { cpu: Duration::ZERO, wall: Duration::ZERO };
        let mut frame = |budget| {
            let asked: Vec<_> = asked(&counted).collect();
            let (named, _) = stacks.name(&asked, budget, &telemetry.losses);
            let frame = Arc::clone(&named[0].frames[0]);
            (frame.function.clone(), frame.address, frame.binary.as_ref().map(|b| b.path.clone()))
        };
        let place = (vdso_function(), Some("[vdso]".to_owned()));
        assert_eq!(frame(none), ("[unknown]".to_owned(), place.0, place.1.clone()));
        assert_eq!(telemetry.losses.all()["names_late"], 1);
        let (function, address, binary) = frame(BUDGET);
        assert!(function.ends_with("clock_gettime"), "{function}");
        assert_eq!((address, binary), place);
        assert_eq!(frame(none).0, function, "what is known costs nothing");
    }

    /// Offset of a function in the vdso.
    fn vdso_function() -> u64 {
        use object::{Object, ObjectSymbol};
        let bytes = crate::enrich::vdso::bytes().unwrap();
        let elf = object::read::elf::ElfFile64::<object::LittleEndian>::parse(bytes.as_slice()).unwrap();
        elf.dynamic_symbols().find(|s| s.name() == Ok("__vdso_clock_gettime")).unwrap().address()
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
        let (resolver, threads) = Resolver::spawn(Arc::default()).unwrap();
        let last = resolver.resolve(window(&[0x5000]));
        drop(resolver);
        threads.join();
        assert_eq!(last.await.cpu.len(), 1);
    }
}
