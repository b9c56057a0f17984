//! The metrics of agents and their processes.

use prometheus_client::registry::Unit::{Bytes, Joules, Seconds};

use super::{
    Family as F,
    Kind::{Counter, Gauge},
    Row, row,
};

/// Labels of everything that is told of one agent.
const AGENT: &[&str] = &["agent", "agent_id"];
/// Labels of what an agent does with a GPU.
const GPU: &[&str] = &["agent", "agent_id", "gpu"];

pub(super) static ROWS: [Row; 22] = [
    row(F::Agents, "agents", None, Gauge, &[], "Agents that are watched"),
    row(
        F::AgentInfo,
        "agent_info",
        None,
        Gauge,
        &["agent", "agent_id", "pid", "source", "rule"],
        "1. An agent: its root's pid, whether a rule matched it or somebody attached it",
    ),
    row(F::AgentUp, "agent_up", None, Gauge, AGENT, "1 while the agent is watched, 0 after it ended"),
    row(
        F::AgentCpuSeconds,
        "agent_cpu",
        Some(Seconds),
        Counter,
        AGENT,
        "CPU time of all its processes, user and system, since it is watched",
    ),
    row(F::AgentCpuSamples, "agent_cpu_samples", None, Counter, AGENT, "CPU samples taken of it"),
    row(F::AgentProcesses, "agent_processes", None, Gauge, AGENT, "Its processes that live"),
    row(
        F::AgentResidentMemory,
        "agent_resident_memory",
        Some(Bytes),
        Gauge,
        AGENT,
        "Resident sets of its processes that live, added up: what they share counts for each",
    ),
    row(F::AgentThreads, "agent_threads", None, Gauge, AGENT, "Threads of its processes that live"),
    row(F::AgentDescriptors, "agent_descriptors", None, Gauge, AGENT, "Their open file descriptors"),
    row(
        F::AgentProcessesStarted,
        "agent_processes_started",
        None,
        Counter,
        AGENT,
        "Processes that it had or started",
    ),
    row(
        F::AgentProcessExits,
        "agent_process_exits",
        None,
        Counter,
        &["agent", "agent_id", "result"],
        "Processes that ended: success (exit code 0), failure (another), signal, unknown",
    ),
    row(
        F::AgentOffCpuSeconds,
        "agent_off_cpu",
        Some(Seconds),
        Counter,
        &["agent", "agent_id", "cause"],
        "Time that its threads were blocked, by what they waited for",
    ),
    row(
        F::AgentRunQueueSeconds,
        "agent_run_queue",
        Some(Seconds),
        Counter,
        AGENT,
        "Time that its threads could have run, but had no CPU",
    ),
    row(
        F::AgentWaits,
        "agent_waits",
        None,
        Counter,
        &["agent", "agent_id", "cause"],
        "Waits of its threads that ended, by what they waited for",
    ),
    row(
        F::AgentSyscalls,
        "agent_syscalls",
        None,
        Counter,
        &["agent", "agent_id", "syscall"],
        "System calls that returned (probe syscalls)",
    ),
    row(
        F::AgentSyscallSeconds,
        "agent_syscall",
        Some(Seconds),
        Counter,
        &["agent", "agent_id", "syscall"],
        "Time inside system calls (probe syscalls)",
    ),
    row(
        F::AgentSyscallErrors,
        "agent_syscall_errors",
        None,
        Counter,
        &["agent", "agent_id", "syscall", "errno"],
        "System calls that failed (probe syscalls)",
    ),
    row(
        F::ProcessCpuSeconds,
        "process_cpu",
        Some(Seconds),
        Counter,
        &["agent", "agent_id", "pid", "comm"],
        "CPU time of one process, since it is watched",
    ),
    row(
        F::ProcessPeakBytes,
        "process_resident_memory_peak",
        Some(Bytes),
        Gauge,
        &["agent", "agent_id", "pid", "comm"],
        "Largest resident set of one process so far",
    ),
    row(
        F::AgentGpuSeconds,
        "agent_gpu",
        Some(Seconds),
        Counter,
        GPU,
        "Time in which work of its processes ran on a GPU; work of several at once counts once, divided",
    ),
    row(
        F::AgentGpuEnergy,
        "agent_gpu_energy",
        Some(Joules),
        Counter,
        GPU,
        "Energy that a GPU drew for it: by its share of the time, so that idle time is nobody's",
    ),
    row(
        F::AgentGpuMemory,
        "agent_gpu_memory",
        Some(Bytes),
        Gauge,
        GPU,
        "Memory of a GPU that its processes have, as of the last window",
    ),
];
