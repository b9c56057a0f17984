//! Programs that know their own stack, and a resolver to ask for its names.

#![allow(dead_code, reason = "two test binaries share this, and use different parts of it")]

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead, BufReader, Write},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
};

use agentperf::{
    collect::mappings,
    enrich::{Resolved, Resolver},
    model::{
        id::{ProcessId, Slot},
        observation::{Addresses, Counted, Interpreter, RawCpu, RawStack, RawUserStack},
        stack::{Frame, Stack, StackEnd},
        time::Timestamp,
    },
    telemetry::Telemetry,
};

/// A user stack of these native frames.
pub(crate) fn user_stack(addresses: &[u64]) -> RawUserStack {
    RawUserStack {
        addresses: addresses.into(),
        interpreter: Interpreter::None,
        interpreted: [].into(),
        end: StackEnd::Complete,
        execs: 0,
    }
}

/// Compiles a program of `tests/workloads/chain` into a directory; or copies it from the directory of prebuilt
/// programs that `AGENTPERF_WORKLOADS` names.
pub(crate) fn build(directory: &Path, source: &str, compiler: &str, flags: &[&str]) -> PathBuf {
    let program = directory.join(source.replace('.', "-"));
    if let Some(prebuilt) = std::env::var_os("AGENTPERF_WORKLOADS") {
        let prebuilt = Path::new(&prebuilt).join(source.replace('.', "-"));
        std::fs::copy(prebuilt, &program).expect("the program was built before");
        return program;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads/chain").join(source);
    let mut command = Command::new(compiler);
    let status = command.args(flags).arg("-o").arg(&program).arg(&source).status();
    assert!(status.expect("the compiler runs").success(), "{compiler} {flags:?}");
    program
}

/// Flags under which a C program keeps frame pointers and the calls it was written with.
pub(crate) const C_FLAGS: [&str; 4] =
    ["-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-falign-functions=1"];

/// A running program that has printed its stack, and now waits.
pub(crate) struct Chain {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Innermost first.
    pub(crate) addresses: Vec<u64>,
    pub(crate) id: ProcessId,
}

impl Chain {
    /// Starts a program, or a command that becomes it.
    pub(crate) fn start(program: impl AsRef<OsStr>, args: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let id = process_id(child.id());
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut chain = Self { input: child.stdin.take(), output, child, addresses: Vec::new(), id };
        chain.addresses = chain.read();
        chain
    }

    fn read(&mut self) -> Vec<u64> {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        let address = |word: &str| u64::from_str_radix(word, 16).expect("an address");
        line.split_whitespace().map(address).collect()
    }

    /// Lets it go on until it prints another stack.
    pub(crate) fn go_on(&mut self) -> Vec<u64> {
        self.input.as_mut().expect("it runs").write_all(b"\n").expect("it reads");
        self.read()
    }

    /// Lets it end, and waits until it has.
    pub(crate) fn end(&mut self) {
        self.input = None;
        self.child.wait().expect("the child is ours");
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.end();
    }
}

/// The identity of a process; of one that does not live, with some start time.
pub(crate) fn process_id(pid: u32) -> ProcessId {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything; the start is the twentieth field behind it.
    let start =
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19)?.parse::<u64>().ok());
    // SAFETY: sysconf takes an integer and touches no memory.
    let ticks_per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).expect("clock ticks");
    ProcessId::new(pid, start.map_or(1 << 20, |ticks| ticks * (1_000_000_000 / ticks_per_second)))
}

/// A resolver with its own counters.
pub(crate) struct Names {
    pub(crate) resolver: Resolver,
    pub(crate) telemetry: Arc<Telemetry>,
    runtime: tokio::runtime::Runtime,
}

impl Names {
    pub(crate) fn new() -> Self {
        let telemetry = Arc::new(Telemetry::default());
        let (resolver, _threads) =
            Resolver::spawn(None, None, Arc::default(), Arc::clone(&telemetry)).expect("threads start");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        Self { resolver, telemetry, runtime: runtime.expect("a runtime") }
    }

    /// A resolver without the capabilities that opening files by their mappings needs, as in the packaged unit.
    pub(crate) fn restricted() -> Self {
        // Capabilities belong to threads: the resolver's own inherit those of the one that starts them.
        let start = || {
            for capability in [caps::Capability::CAP_SYS_ADMIN, caps::Capability::CAP_CHECKPOINT_RESTORE] {
                caps::drop(None, caps::CapSet::Effective, capability).expect("dropping is always allowed");
            }
            Self::new()
        };
        std::thread::spawn(start).join().expect("it starts")
    }

    /// Tells the resolver what a process maps now, which has executed nothing yet.
    pub(crate) fn see(&self, process: ProcessId) {
        self.see_after(0, process);
    }

    /// Tells the resolver what a process maps now that it has executed so many programs.
    pub(crate) fn see_after(&self, execs: u16, process: ProcessId) {
        self.resolver.mapped(process, execs, mappings::read(process.pid()).expect("the process lives"));
    }

    /// Waits until everything told so far has been done.
    pub(crate) fn settle(&self) {
        self.window(Vec::new());
    }

    /// Names the stack of a process that has executed nothing.
    pub(crate) fn stack(&self, process: ProcessId, user: &[u64]) -> Arc<Stack> {
        self.stack_after(0, process, user)
    }

    /// Names the stack of a process that has executed so many programs.
    pub(crate) fn stack_after(&self, execs: u16, process: ProcessId, user: &[u64]) -> Arc<Stack> {
        let user = RawUserStack { execs, ..user_stack(user) };
        let stack = RawStack { kernel: Addresses::Absent, user };
        let row = RawCpu { slot: Slot(0), process, stack, samples: 1, cpu_ns: 1 };
        Arc::clone(&self.window(vec![row]).cpu[0].1.stack)
    }

    /// Names a window of CPU samples.
    pub(crate) fn window(&self, cpu: Vec<RawCpu>) -> Resolved {
        let (start, end) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        self.resolve(Counted {
            start,
            end,
            syscalls: Vec::new(),
            off_cpu: Vec::new(),
            cpu,
            cuda: Vec::new(),
            files: Vec::new(),
            checkpoints: Vec::new(),
            network: Vec::new(),
            disk: Vec::new(),
            http: Vec::new(),
            ledgers: Vec::new(),
            orders: Vec::new(),
        })
    }

    /// Names a window.
    pub(crate) fn resolve(&self, counted: Counted) -> Resolved {
        self.runtime.block_on(self.resolver.resolve(counted))
    }

    /// How often something was lost.
    pub(crate) fn lost(&self, name: &str) -> u64 {
        self.telemetry.losses.all()[name]
    }
}

/// The functions of a stack, innermost first.
pub(crate) fn functions(stack: &Stack) -> Vec<&str> {
    stack.frames.iter().map(|f| f.function.as_str()).collect()
}

/// Where a frame's code comes from.
pub(crate) fn binary(frame: &Frame) -> &str {
    frame.binary.as_ref().map_or("", |b| b.path.as_str())
}

/// The functions of `chain.c`.
pub(crate) const C_CHAIN: [&str; 5] = ["stop", "last", "middle", "outer", "main"];

/// Maps memory of this process as code, all of a file or a page of nothing, and leaves it mapped. Returns its
/// address.
pub(crate) fn executable_page(file: Option<&File>) -> u64 {
    let (fd, flags) =
        file.map_or((-1, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS), |f| (f.as_raw_fd(), libc::MAP_PRIVATE));
    let length = file.map_or(4096, |f| f.metadata().expect("it is open").len().max(1));
    let length = usize::try_from(length).expect("it fits into memory");
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: the kernel chooses a free place, so that no memory in use is touched.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, fd, 0) };
    assert_ne!(page, libc::MAP_FAILED);
    page as u64
}
