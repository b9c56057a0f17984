//! The table of kernel programs: one row for each.

use super::{Hook, Need, Row};
use crate::{kernel::uprobes::UprobeProgram, model::probe::Probe};

const fn uprobe(program: UprobeProgram, need: Need, purpose: &'static str) -> Row {
    row(program.name(), Hook::Uprobe(program), need, purpose)
}

const fn row(name: &'static str, hook: Hook, need: Need, purpose: &'static str) -> Row {
    Row { name, hook, need, purpose }
}

/// Whose states are told by the scheduler.
const WAITS: &[Probe] = &[Probe::OffCpu, Probe::Ledger];

const FILES: Need = Need::Probes(&[Probe::Files]);

const CUDA: Need = Need::Probes(&[Probe::Cuda]);

const NETWORK: Need = Need::Probes(&[Probe::Network]);

const DISK: Need = Need::Probes(&[Probe::Disk]);

pub(super) static ROWS: [Row; 48] = [
    row("process_fork", Hook::Tracepoint("sched_process_fork"), Need::Agents, "follows agents through fork"),
    row(
        "process_exec",
        Hook::Tracepoint("sched_process_exec"),
        Need::Always,
        "sees programs start, for rules",
    ),
    row("process_exit", Hook::Tracepoint("sched_process_exit"), Need::Agents, "exit codes, peak memory"),
    row(
        "signal_generate",
        Hook::Tracepoint("signal_generate"),
        Need::HelpsAgents,
        "who sends signals to whom",
    ),
    row("sched_switch", Hook::Tracepoint("sched_switch"), Need::Agents, "CPU time at exit, off-CPU time"),
    row(
        "walk_switch",
        Hook::After { tracepoint: "sched_switch", array: "WALK" },
        Need::Agents,
        "stacks of waits, when they begin",
    ),
    row(
        "late_switch",
        Hook::After { tracepoint: "sched_switch", array: "LATE" },
        Need::Agents,
        "stacks of long waits, when they end",
    ),
    row("sched_wakeup", Hook::Tracepoint("sched_wakeup"), Need::Probes(WAITS), "run-queue delay"),
    row("sched_waking", Hook::Tracepoint("sched_waking"), Need::Probes(WAITS), "who ended a wait"),
    row("cpu_sample", Hook::Clock, Need::Probes(&[Probe::Cpu]), "on-CPU stacks"),
    row("sys_enter", Hook::Tracepoint("sys_enter"), Need::Probes(&[Probe::Syscalls]), "syscall latency"),
    row(
        "sys_exit",
        Hook::Tracepoint("sys_exit"),
        Need::Probes(&[Probe::Syscalls]),
        "syscall counts and errors",
    ),
    row("file_enter", Hook::Tracepoint("sys_enter"), FILES, "when a file is synced and closed"),
    row("file_exit", Hook::Tracepoint("sys_exit"), FILES, "what is done with files"),
    row(
        "connection_state",
        Hook::Tracepoint("inet_sock_set_state"),
        Need::Helps(&[Probe::Ledger, Probe::Wire]),
        "connections to models and other hosts, in the ledger",
    ),
    row(
        "connection_send",
        Hook::Tracepoint("sock_send_length"),
        Need::Helps(&[Probe::Ledger, Probe::Wire]),
        "requests to models and other hosts, in the ledger",
    ),
    row(
        "connection_receive",
        Hook::Tracepoint("sock_recv_length"),
        Need::Helps(&[Probe::Ledger]),
        "answers of models and other hosts, in the ledger",
    ),
    row(
        "network_state",
        Hook::Tracepoint("inet_sock_set_state"),
        NETWORK,
        "connections that are made, accepted and refused",
    ),
    row(
        "network_send",
        Hook::Tracepoint("sock_send_length"),
        Need::Helps(&[Probe::Network]),
        "bytes sent, by peer",
    ),
    row(
        "network_receive",
        Hook::Tracepoint("sock_recv_length"),
        Need::Helps(&[Probe::Network]),
        "bytes received, by peer, and names of addresses",
    ),
    row(
        "network_retransmit",
        Hook::Tracepoint("tcp_retransmit_skb"),
        Need::Helps(&[Probe::Network]),
        "segments sent again",
    ),
    row(
        "wire_socket_state",
        Hook::Tracepoint("inet_sock_set_state"),
        Need::Helps(&[Probe::Wire]),
        "when connections without TLS end",
    ),
    row(
        "wire_socket_send",
        Hook::Tracepoint("sock_send_length"),
        Need::Helps(&[Probe::Wire]),
        "what is said without TLS",
    ),
    row(
        "wire_socket_receive",
        Hook::Tracepoint("sock_recv_length"),
        Need::Helps(&[Probe::Wire]),
        "what is answered without TLS",
    ),
    row("disk_queue", Hook::Tracepoint("block_bio_queue"), DISK, "whose block I/O is"),
    row("disk_split", Hook::Tracepoint("block_split"), Need::Helps(&[Probe::Disk]), "block I/O in parts"),
    row("disk_issue", Hook::Tracepoint("block_rq_issue"), DISK, "when block I/O leaves its queue"),
    row("disk_complete", Hook::Tracepoint("block_rq_complete"), DISK, "when block I/O is done"),
    row(
        "disk_bio_complete",
        Hook::Tracepoint("block_bio_complete"),
        Need::Helps(&[Probe::Disk]),
        "when block I/O of devices without a queue is done",
    ),
    row(
        "disk_dirty",
        Hook::Tracepoint("writeback_mark_inode_dirty"),
        Need::Helps(&[Probe::Disk]),
        "whose data the kernel writes in the background",
    ),
    row("tool_threads", Hook::Iterator, Need::Helps(&[Probe::Ledger]), "tells helpers from tools"),
    row(
        "carry_out_verdicts",
        Hook::Iterator,
        Need::Helps(&[Probe::Ledger]),
        "counts processes for what they turned out to be",
    ),
    row("seed_threads", Hook::Iterator, Need::Agents, "takes running processes into an agent"),
    row("release_threads", Hook::Iterator, Need::Agents, "lets an agent go"),
    row(
        "show_waits",
        Hook::Iterator,
        Need::Helps(&[Probe::OffCpu]),
        "who waits for whom, when it is asked for",
    ),
    row("account_waits", Hook::Iterator, Need::Agents, "accounts waits that outlast a window"),
    uprobe(
        UprobeProgram::LibraryLoaded,
        Need::Helps(&[Probe::Cuda, Probe::Wire]),
        "libraries that are loaded late",
    ),
    uprobe(UprobeProgram::CudaCall, CUDA, "calls of CUDA that do not wait"),
    uprobe(UprobeProgram::CudaEnter, CUDA, "calls of CUDA that wait or take memory: their begin"),
    uprobe(UprobeProgram::CudaReturn, CUDA, "calls of CUDA that wait or take memory: their end"),
    uprobe(UprobeProgram::WireCall, Need::Probes(&[Probe::Wire]), "what is said by TLS libraries"),
    uprobe(UprobeProgram::WireReturn, Need::Probes(&[Probe::Wire]), "what is answered by TLS libraries"),
    uprobe(UprobeProgram::WireStdio, Need::Helps(&[Probe::Wire]), "what servers read and write on pipes"),
    uprobe(UprobeProgram::WireGo, Need::Helps(&[Probe::Wire]), "what Go programs say by TLS"),
    uprobe(UprobeProgram::WireSeal, Need::Helps(&[Probe::Wire]), "what programs with rustls say"),
    uprobe(UprobeProgram::WireOpened, Need::Helps(&[Probe::Wire]), "what programs with rustls are answered"),
    uprobe(UprobeProgram::WireBlocks, Need::Helps(&[Probe::Wire]), "what programs with rustls over ring say"),
    uprobe(
        UprobeProgram::WireBlock,
        Need::Helps(&[Probe::Wire]),
        "the ends of what programs with rustls over ring say",
    ),
];
