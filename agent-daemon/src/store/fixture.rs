//! Agents, processes and windows for the tests of this crate.

mod calls;
mod devices;

pub(crate) use calls::{llm_call_at, mcp_call_at, tool_call_at};
pub(crate) use devices::{exchanges, requests, traffic};

use std::{sync::Arc, time::Duration};

use super::{
    Store,
    query::{
        self, By, CudaFold, DiskBy, DiskFold, FileBy, FileFold, HttpBy, HttpFold, NetworkBy, NetworkFold,
        OffCpuFold, ProfileFold, ProfileKind, QualityFold, SyscallFold,
    },
};
use crate::model::{
    agent::{Agent, AgentSource},
    cgroup::{Cgroup, MemoryLimit},
    cuda::{CudaCall, CudaStat},
    file::FileStat,
    host::{
        Activity, Cpu, Disk, FileSystem, HostWindow, Interface, Memory, Pressure, Stall,
        gpu::{Amounts, Gpu, GpuPart, GpuProcess, Levels, Share, Throttled, XidCount},
    },
    id::{AgentId, ProcessId},
    ledger::{Bit, Ledger, StateSet},
    off_cpu::{OffCpuStat, WaitCause},
    operation::{Call, Operation, Source, Sums, TraceContext},
    probe::ProbeSet,
    process::{ContextSwitches, Process, Resources},
    stack::{Frame, FrameKind, Stack, StackEnd},
    syscall::{Histogram, SyscallStat},
    time::{TimeRange, Timestamp},
    window::{CpuStat, Window},
};

/// A second of the past, counted from an arbitrary moment.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_763_738_400 + seconds).unwrap()
}

/// The process with this pid that started at time 0.
pub(crate) fn process_id(pid: u32) -> ProcessId {
    ProcessId(1 << 22 | u64::from(pid))
}

/// A live agent whose root is process 100.
pub(crate) fn agent_at(attached: Timestamp) -> Agent {
    numbered_agent(100, attached)
}

/// A live agent whose root has this pid.
pub(crate) fn numbered_agent(pid: u32, attached: Timestamp) -> Agent {
    Agent {
        id: AgentId::new(pid, attached.as_millisecond()),
        name: "worker".to_owned(),
        root: process_id(pid),
        created: attached,
        attached,
        expires: None,
        ended: None,
        source: AgentSource::Attach,
        probes: ProbeSet::ALL,
        boot_id: "0".repeat(36),
    }
}

/// A live process without a parent.
pub(crate) fn process_at(pid: u32, started: Timestamp) -> Process {
    Process {
        id: process_id(pid),
        parent: None,
        parent_pid: 1,
        executable: Some("/usr/bin/python3.11".to_owned()),
        comm: "python3".to_owned(),
        args: vec!["python3".to_owned(), "agent.py".to_owned()],
        started,
        ended: None,
        exit: None,
        killer: None,
        cpu_ns: 1_500_000_000,
        cpu_before_ns: 0,
        peak_rss_bytes: 1 << 20,
        resources: Some(Resources {
            rss_bytes: 1 << 19,
            pss_bytes: Some(1 << 18),
            threads: 3,
            descriptors: Some(7),
            context_switches: Some(ContextSwitches { voluntary: 20, involuntary: 5 }),
            rss_slope: Some(-77),
            cgroup: Some(Cgroup {
                id: 9,
                cpu_limit_millis: Some(1_500),
                throttled_ns: 2_000_000,
                memory: Some(MemoryLimit { limit_bytes: 1 << 30, used_bytes: 1 << 29 }),
            }),
        }),
    }
}

/// A window of five seconds with this many syscall rows.
pub(crate) fn window_at(agent: &AgentId, start: Timestamp, rows: u32) -> Window {
    Window {
        agent: agent.clone(),
        start,
        end: start + Duration::from_secs(5),
        syscalls: (0..rows).map(|number| syscall(100, number, 1000)).collect(),
        off_cpu: Vec::new(),
        cpu: Vec::new(),
        cuda: Vec::new(),
        files: Vec::new(),
        network: Vec::new(),
        disk: Vec::new(),
        http: Vec::new(),
        ledger: Ledger::default(),
        unread: Vec::new(),
    }
}

/// One call that took this long.
pub(crate) fn syscall(pid: u32, number: u32, ns: u64) -> SyscallStat {
    let mut histogram = Histogram::default();
    let bucket = ns.max(1).ilog2() as usize;
    histogram.0[bucket.min(histogram.0.len() - 1)] = 1;
    SyscallStat {
        process: process_id(pid),
        number,
        count: 1,
        errors: vec![(2, 1)],
        total_ns: ns,
        max_ns: ns,
        histogram,
    }
}

/// A stack of native frames, innermost first.
pub(crate) fn stack(functions: &[&str]) -> Arc<Stack> {
    let frame = |function: &&str| {
        Arc::new(Frame {
            kind: if function.starts_with("k_") { FrameKind::Kernel } else { FrameKind::Native },
            function: (*function).to_owned(),
            file: None,
            line: None,
            binary: None,
            address: 0x1000,
        })
    };
    Arc::new(Stack { frames: functions.iter().map(frame).collect(), end: StackEnd::Complete })
}

/// Samples of a stack.
pub(crate) fn cpu(pid: u32, functions: &[&str], samples: u64) -> CpuStat {
    CpuStat { process: process_id(pid), stack: stack(functions), samples, cpu_ns: samples * 10_000_000 }
}

/// One wait.
pub(crate) fn off_cpu(
    pid: u32,
    cause: WaitCause,
    functions: &[&str],
    blocked_ns: u64,
    run_queue_ns: u64,
) -> OffCpuStat {
    OffCpuStat {
        process: process_id(pid),
        cause,
        syscall: Some(0),
        descriptor: None,
        waker: None,
        stack: stack(functions),
        blocked_ns,
        run_queue_ns,
        count: 1,
        max_ns: blocked_ns + run_queue_ns,
    }
}

/// Five seconds, of which `n` ms are CPU time.
pub(crate) fn ledger(n: u64) -> Ledger {
    let (ms, wall) = (n * 1_000_000, 5_000_000_000);
    let set = |text: &str| text.parse::<StateSet>().unwrap();
    let rows = [
        ("own.cpu", ms),
        ("own.network+llm_first_token", 1_000_000),
        ("own.terminal", wall - ms - 1_000_000),
    ];
    let bit = |text: &str| text.parse::<Bit>().unwrap();
    let mut ledger = Ledger::default();
    ledger.merge(&Ledger {
        sets: rows.map(|(states, ns)| (set(states), ns)).to_vec(),
        threads: vec![(bit("own.cpu"), 2 * ms), (bit("llm_first_token"), 1_000_000)],
    });
    ledger
}

/// An agent's windows in a range, in the order in which the store shows them.
pub(crate) fn windows(store: &dyn Store, agent: &AgentId, range: TimeRange) -> Vec<Window> {
    let mut windows = Vec::new();
    store.visit(agent, range, &mut |window| windows.push(window.clone())).unwrap();
    windows
}

/// Calls of CUDA by the process with this pid.
pub(crate) fn cuda(pid: u32, call: CudaCall, calls: u64) -> CudaStat {
    let (bytes, total_ns, max_ns) = (4096 * calls, if call.is_wait() { 1000 * calls } else { 0 }, 1500);
    CudaStat { calls, errors: calls / 7, bytes, total_ns, max_ns, ..CudaStat::new(process_id(pid), call) }
}

/// What the process with this pid did with a file.
pub(crate) fn file(pid: u32, path: &str, n: u64) -> FileStat {
    let amounts = [n, n + 1, n % 2, 2 * n, n % 3, n % 5, 4096 * n, 512 * n, n % 4, 1_000_000 * n];
    FileStat::with(process_id(pid), path.into(), amounts)
}

/// A window with rows of every kind, told apart by `seed`: few processes and stacks, many numbers.
pub(crate) fn busy_window(agent: &AgentId, start: Timestamp, seed: u32) -> Window {
    const CAUSES: [WaitCause; 3] = [WaitCause::Timer, WaitCause::PageFault, WaitCause::Network];
    const STACKS: [&[&str]; 4] = [&["k_wait", "leaf", "main"], &["leaf", "main"], &["main"], &[]];
    const PATHS: [&str; 4] = ["/a", "/a/b.txt", "/src/main.rs", "/ä"];
    let pick = |n: u32, of: u32| (seed.wrapping_mul(2_654_435_761).wrapping_add(n * 7919) >> 7) % of;
    let ns = |n| 1_000 + u64::from(pick(n, 1 << 20));
    let mut window = window_at(agent, start, 0);
    for n in 0..pick(0, 4) {
        window.syscalls.push(syscall(100 + n, pick(n, 3), ns(n)));
        let (cause, stack) = (CAUSES[pick(n, 3) as usize], STACKS[pick(n + 1, 4) as usize]);
        window.off_cpu.push(off_cpu(100 + n, cause, stack, ns(n + 2), ns(n + 3)));
        window.cpu.push(cpu(100 + n, STACKS[pick(n + 4, 4) as usize], 1 + ns(n) % 7));
        window.cuda.push(cuda(100 + n, CudaCall::ALL[pick(n + 5, 9) as usize], ns(n)));
        window.files.push(file(100 + n, PATHS[pick(n + 6, 4) as usize], ns(n) % 9));
        window.network.push(traffic(100 + n, [10, 0, 0, pick(n, 3) as u8], 443, ns(n)));
        window.disk.push(requests(100 + n, "vda", 1 + ns(n) % 9));
        window.http.push(exchanges(
            100 + n,
            ["/v1/items", "/v1/items/{id}", "/ä"][pick(n, 3) as usize],
            ns(n) % 9,
        ));
    }
    if seed.is_multiple_of(3) {
        window.unread.push((process_id(100 + seed % 2), format!("reason {}", seed % 5)));
    }
    window
}

/// Everything that the sinks ask about an agent in a range.
pub(crate) fn answers(store: &dyn Store, agent: &AgentId, range: TimeRange) -> String {
    let processes = store.processes(agent, range).unwrap();
    format!("{:?}\n{processes:?}\n{}", store.agent(agent), sums(store, agent, range))
}

/// What is summed over an agent's windows in a range.
pub(crate) fn sums(store: &dyn Store, agent: &AgentId, range: TimeRange) -> String {
    let syscalls = (SyscallFold::new(By::Agent), SyscallFold::new(By::Process));
    let profiles = (ProfileFold::new(ProfileKind::Cpu, None), ProfileFold::new(ProfileKind::OffCpu, None));
    let devices = (NetworkFold::new(NetworkBy::Peer), DiskFold::new(DiskBy::Process));
    let devices = (devices, HttpFold::new(HttpBy::Endpoint));
    let files = FileFold::new(FileBy::Process);
    let more =
        ((OffCpuFold::default(), QualityFold::default()), (CudaFold::new(By::Process), (files, devices)));
    format!("{:#?}", query::over(store, agent, range, (syscalls, (profiles, more))).unwrap())
}

/// Five seconds of a host with two CPUs; what it did grows with `n`.
pub(crate) fn host_window_at(start: Timestamp, n: u32) -> HostWindow {
    let (ns, ms) = (|n: u32| u64::from(n) * 1_000_000, u64::from(n));
    let stall = |n: u32| Stall { some: ns(n), full: ns(n) / 2 };
    let cpu = |number| Cpu::new(number, [ns(n), 1, 2, 5_000_000_000 - ns(n), 3, 4, 5, 6]);
    let file_system = FileSystem {
        mount: "/".to_owned(),
        device: "/dev/vda1".to_owned(),
        kind: "ext4".to_owned(),
        size: 1 << 40,
        available: (1 << 39) - ms,
        inodes: 1 << 20,
        inodes_free: 1000,
        read_only: n.is_multiple_of(2),
    };
    HostWindow {
        start,
        end: start + Duration::from_secs(5),
        cpus: vec![cpu(0), cpu(3)],
        activity: Activity {
            load: [0.5 * n as f32, 1.25, 0.75],
            processes: 100 + n,
            running: 1,
            blocked: n % 2,
            forks: ms,
            context_switches: 10 * ms,
        },
        pressure: Some(Pressure { cpu: stall(n), memory: stall(n + 1), io: stall(n + 2) }),
        memory: Memory::from([
            1 << 34,
            (1 << 33) - ms,
            (1 << 33) - ms,
            1 << 30,
            1 << 31,
            4096,
            1 << 32,
            1 << 31,
        ]),
        file_systems: vec![file_system],
        disks: vec![Disk::new("vda".to_owned(), [ms, 4096 * ms, ns(n), ms, 8192 * ms, ns(n), ns(n)])],
        interfaces: vec![Interface {
            name: "eth0".to_owned(),
            received: [1500 * ms, ms, 0, 1].into(),
            sent: [1000 * ms, ms, ms, 0].into(),
        }],
        gpus: vec![gpu_at(n)],
    }
}

/// A GPU that has everything; what it did grows with `n`.
pub(crate) fn gpu_at(n: u32) -> Gpu {
    let (ns, n) = (u64::from(n) * 1_000_000, u64::from(n));
    let process = |process, host_pid| GpuProcess {
        process,
        host_pid,
        busy_ns: Some(ns),
        energy_mj: Some(10 * n),
        memory: Some(1 << 30),
    };
    Gpu {
        uuid: "GPU-1".to_owned(),
        index: 3,
        name: "NVIDIA H100".to_owned(),
        down: n.is_multiple_of(7).then(|| "the GPU is lost".to_owned()),
        busy: [Share { ns: 2 * ns, of_ns: 5_000_000_000 }; 4],
        levels: Levels::from(
            [1 << 34, 1 << 36, 350_000, 700_000, 60 + n % 30, 1980, 1980, 2619, 1545].map(Some),
        ),
        amounts: Amounts::from([30 * n, n % 3, 0, 100 * n, 200 * n, n, 2 * n].map(Some)),
        most_memory_used: Some((1 << 34) + n),
        hottest_celsius: Some(60 + n % 30),
        energy_is_sampled: false,
        throttled: vec![Throttled { reason: "sw_power_cap".to_owned(), ns }],
        parts: vec![GpuPart { uuid: "MIG-1".to_owned(), memory_used: None, memory_total: Some(1 << 33) }],
        xids: vec![XidCount { number: 31, count: n }],
        processes: vec![process(Some(process_id(100)), 100), process(None, 4711)],
    }
}

/// An operation that has everything, and takes `n` ms.
pub(crate) fn operation_at(start: Timestamp, n: u64) -> Operation {
    Operation {
        id: n,
        project: "shop".into(),
        source: Source::Otlp,
        kind: "http_server".to_owned(),
        name: "/orders/{id}".to_owned(),
        start,
        duration_ns: n * 1_000_000,
        bytes: Some(n),
        success: !n.is_multiple_of(10),
        error_type: n.is_multiple_of(10).then(|| "timeout".to_owned()),
        method: Some("GET".to_owned()),
        status: Some(200),
        model: Some("m-1".to_owned()),
        user: Some(format!("u{}", n % 7)),
        session: Some(format!("s{}", n % 3)),
        trace: Some(TraceContext { trace: [1; 16], span: [2; 8], parent: Some([3; 8]) }),
        labels: vec![("http.route".to_owned(), "/orders/{id}".to_owned())],
        calls: vec![Call { depth: 0, name: "load".to_owned(), duration_ns: 7 }],
        agent: Some(AgentId::new(100, 5)),
        process: Some(process_id(100)),
        tool: None,
        llm: None,
    }
}

/// A minute's sums of `n` operations.
pub(crate) fn sums_at(start: Timestamp, n: u64) -> Sums {
    let mut sums = Sums::new(start, start + Duration::from_secs(60));
    (1..=n).for_each(|n| sums.add(&operation_at(start, n)));
    sums
}
