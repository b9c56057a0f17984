//! The windows of the API's tests: few rows of every kind, with numbers that are easy to add up.

use std::{sync::Arc, time::Duration};

use agentperf::model::{
    cuda::{CudaCall, CudaStat},
    disk::{DiskOperation, DiskStat},
    file::FileStat,
    http::{Endpoint, HttpStat},
    id::AgentId,
    ledger::{Bit, Ledger, StateSet},
    network::{NetworkStat, Peer, Protocol, Side},
    off_cpu::{Descriptor, OffCpuStat, WaitCause},
    stack::{Binary, Frame, FrameKind, Stack, StackEnd},
    syscall::{Histogram, SyscallStat},
    time::Timestamp,
    window::{CpuStat, Window},
    wire::{Carried, Role},
};

use crate::api_world::process_id;

/// Five seconds in which something of every kind happens.
pub(crate) fn busy(agent: &AgentId, start: Timestamp) -> Window {
    let mut histogram = Histogram::default();
    histogram.0[10] = 90;
    histogram.0[20] = 10;
    let reads = SyscallStat {
        process: process_id(100),
        number: 0,
        count: 100,
        errors: vec![(11, 4), (512, 1), (9999, 1)],
        total_ns: 20_000_000,
        max_ns: 1_900_000,
        histogram: histogram.clone(),
    };
    let writes = SyscallStat { process: process_id(101), number: 1, total_ns: 5_000_000, ..reads.clone() };
    let unnamed = SyscallStat { number: 999, errors: vec![], total_ns: 10, max_ns: 10, ..reads.clone() };
    Window {
        agent: agent.clone(),
        start,
        end: start + Duration::from_secs(5),
        syscalls: vec![reads, writes, unnamed],
        off_cpu: vec![
            wait(100, WaitCause::Network, 2_000_000_000, 1_000_000),
            wait(101, WaitCause::PageFault, 3_000_000, 0),
            wait(101, WaitCause::Preempted, 0, 4_000_000),
        ],
        cpu: sampled(agent, start).cpu,
        cuda: vec![
            CudaStat { calls: 40, ..CudaStat::new(process_id(100), CudaCall::Launch) },
            CudaStat {
                calls: 4,
                errors: 1,
                total_ns: 1_500_000_000,
                max_ns: 900_000_000,
                ..CudaStat::new(process_id(101), CudaCall::Synchronize)
            },
        ],
        files: vec![
            file(100, "/src/main.rs", [1, 2, 1, 3, 0, 0, 100, 5000, 1, 20_000_000]),
            file(101, "/src/old.rs", [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]),
            file(101, "/usr/lib/libc.so.6", [2, 0, 0, 0, 0, 0, 832, 0, 0, 0]),
        ],
        network: vec![traffic(100, None, 1000), traffic(101, Some("api.test"), 500)],
        disk: vec![requests(100, false), requests(101, true)],
        http: vec![
            exchanges(100, Role::Client, 200),
            exchanges(100, Role::Client, 503),
            exchanges(101, Role::Server, 200),
        ],
        ledger: ledger(),
        unread: vec![],
    }
}

/// A connection by which so much was sent, and one that was refused.
fn traffic(pid: u32, host: Option<&str>, sent_bytes: u64) -> NetworkStat {
    let peer = Peer {
        address: Some([192, 0, 2, 7].into()),
        port: 443,
        protocol: Protocol::Tcp,
        side: Side::Client,
        host: host.map(Into::into),
    };
    let mut connect_histogram = Histogram::default();
    connect_histogram.0[24] = 1;
    NetworkStat {
        sent_bytes,
        received_bytes: 3 * sent_bytes,
        connects: 1,
        connect_ns: 20_000_000,
        connect_max_ns: 20_000_000,
        connect_histogram,
        failures: vec![(111, 1)],
        ..NetworkStat::new(process_id(pid), peer)
    }
}

/// Four exchanges, of 10 ms each.
fn exchanges(pid: u32, role: Role, status: u16) -> HttpStat {
    let endpoint = Endpoint {
        role,
        server: (role == Role::Client).then(|| "api.test".into()),
        port: Some(443),
        method: Some("GET"),
        route: Some("/v1/items/{id}".into()),
        status: Some(status),
        carried: Carried::Other,
    };
    let mut row = HttpStat::new(process_id(pid), endpoint);
    row.durations.add_many(10_000_000, 4);
    let errors = if status >= 400 { 4 } else { 0 };
    let (total_ns, max_ns) = (40_000_000, 10_000_000);
    HttpStat { count: 4, errors, request_bytes: 8, response_bytes: 400, total_ns, max_ns, ..row }
}

/// Two writes of a page each.
fn requests(pid: u32, background: bool) -> DiskStat {
    let mut histogram = Histogram::default();
    histogram.0[20] = 2;
    DiskStat {
        count: 2,
        bytes: 8192,
        queue_ns: 500_000,
        device_ns: 2_000_000,
        max_ns: 1_500_000,
        histogram,
        ..DiskStat::new(process_id(pid), "vda".into(), DiskOperation::Write, background)
    }
}

fn file(pid: u32, path: &str, amounts: [u64; 10]) -> FileStat {
    FileStat::with(process_id(pid), path.into(), amounts)
}

/// Five seconds: a second of CPU time under half of which a model is asked, then waiting for it, then for a person.
fn ledger() -> Ledger {
    let set = |states: &str, ms: u64| (states.parse::<StateSet>().unwrap(), ms * 1_000_000);
    let bit = |state: &str, ms: u64| (state.parse::<Bit>().unwrap(), ms * 1_000_000);
    Ledger {
        sets: vec![
            set("own.cpu", 500),
            set("own.cpu+llm_first_token", 500),
            set("own.network+llm_first_token", 1500),
            set("own.terminal", 2499),
            set("own.other", 1),
        ],
        threads: vec![bit("own.cpu", 2000), bit("own.terminal", 2499), bit("llm_first_token", 2000)],
    }
}

fn wait(pid: u32, cause: WaitCause, blocked_ns: u64, run_queue_ns: u64) -> OffCpuStat {
    let network = cause == WaitCause::Network;
    OffCpuStat {
        process: process_id(pid),
        cause,
        syscall: network.then_some(232),
        descriptor: network.then_some(Descriptor::InetSocket),
        waker: network.then_some(4242),
        stack: stack(&[("schedule", FrameKind::Kernel), ("wait_for_reply", FrameKind::Python)]),
        blocked_ns,
        run_queue_ns,
        count: 2,
        max_ns: blocked_ns.max(run_queue_ns),
    }
}

/// Five seconds up to `end` with CPU samples alone.
pub(crate) fn sampled(agent: &AgentId, end: Timestamp) -> Window {
    let cpu = |pid, functions: &[(&str, FrameKind)], samples: u64| CpuStat {
        process: process_id(pid),
        stack: stack(functions),
        samples,
        cpu_ns: samples * 10_309_278,
    };
    let hot = [("hot", FrameKind::Native), ("main", FrameKind::Native)];
    let read = [("ksys_read", FrameKind::Kernel), ("load", FrameKind::Python), ("main", FrameKind::Native)];
    Window {
        agent: agent.clone(),
        start: end - Duration::from_secs(1),
        end,
        syscalls: vec![],
        off_cpu: vec![],
        cpu: vec![cpu(100, &hot, 70), cpu(101, &hot, 5), cpu(100, &read, 25)],
        cuda: vec![],
        files: vec![],
        network: vec![],
        disk: vec![],
        http: vec![],
        ledger: Ledger::default(),
        unread: vec![],
    }
}

fn stack(functions: &[(&str, FrameKind)]) -> Arc<Stack> {
    let frame = |(function, kind): &(&str, FrameKind)| {
        let (path, build_id) = match kind {
            FrameKind::Kernel => ("[kernel]", None),
            _ => ("/usr/bin/python3.11", Some("c0ffee".to_owned())),
        };
        let script = *kind == FrameKind::Python;
        Arc::new(Frame {
            kind: *kind,
            function: (*function).into(),
            file: script.then(|| "/srv/agent/agent.py".into()),
            line: script.then_some(12),
            binary: (!script).then(|| Arc::new(Binary { path: path.into(), build_id })),
            address: 0x1000 + function.len() as u64,
        })
    };
    Arc::new(Stack { frames: functions.iter().map(frame).collect(), end: StackEnd::Complete })
}
