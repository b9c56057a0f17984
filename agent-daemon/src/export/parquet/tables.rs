//! The tables and their columns: what is written, and `docs/parquet.md`.
//!
//! A new kind of stored record is a table here, and its rows in [`rows`](super::rows).

mod devices;
mod gpu;
mod host;
mod http;
mod operations;

use std::fmt::Write;

use super::{
    column::{Column, Type},
    table_id::TableId,
};

const fn column(name: &'static str, kind: Type, doc: &'static str) -> Column {
    Column { name, kind, optional: false, doc }
}

const fn optional(name: &'static str, kind: Type, doc: &'static str) -> Column {
    Column { name, kind, optional: true, doc }
}

const AGENT: Column = column("agent", Type::Text, "the agent's id");
const START: Column = column("start", Type::Time, "the window's start");
const END: Column = column("end", Type::Time, "the window's end");
const PID: Column = column("pid", Type::Int, "the process's pid, which may be another's later");
const PROCESS: Column = column("process", Type::Text, "the process's identity, which is never another's");
const STACK: Column = column("stack", Type::Int, "the stack's number in these files");
const NUMBER: Column = column("number", Type::Int, "number of the call in the x86-64 table");
const PROJECT: Column = column("project", Type::Text, "whose key the sender showed");
const SOURCE: Column = column("source", Type::Text, "otlp, otlp_metrics, collect, frontend, kernel or wire");
const KIND: Column = column("kind", Type::Text, "what sort of work, as http_server or db");
const NAME: Column = column("name", Type::Text, "the route or endpoint");
const MODEL: Column = optional("model", Type::Text, "the language model");
const SENDER: Column =
    optional("agent", Type::Text, "id of the agent whose process sent it, where that was seen");
const CALLS: Column = column("count", Type::Int, "calls");

/// Every table, with its columns in order.
pub(super) const TABLES: [(TableId, &[Column]); 33] = [
    (
        TableId::Agents,
        &[
            AGENT,
            column("name", Type::Text, "what it is called"),
            column("root_pid", Type::Int, "pid of the root process"),
            column("root", Type::Text, "identity of the root process"),
            column("created", Type::Time, "when the root process was created"),
            column("attached", Type::Time, "since when it is watched, the last time"),
            optional("expires", Type::Time, "when watching ends by itself"),
            optional("ended", Type::Time, "when watching ended"),
            optional("end_reason", Type::Text, "exited, detached, expired or interrupted"),
            optional("rule", Type::Text, "the rule that matched it; none where it was attached"),
            column("probes", Type::Text, "what it is watched by, joined by commas"),
            column("boot_id", Type::Text, "the kernel's boot id"),
        ],
    ),
    (
        TableId::Processes,
        &[
            AGENT,
            PID,
            PROCESS,
            optional("parent", Type::Text, "the parent's identity"),
            column("parent_pid", Type::Int, "the parent's pid"),
            optional("executable", Type::Text, "path of the program"),
            column("comm", Type::Text, "the kernel's 15-byte name"),
            column("argv", Type::Text, "the redacted command line, as an array in JSON"),
            column("start", Type::Time, "creation time"),
            optional("end", Type::Time, "when it exited"),
            optional("exit_code", Type::Int, "its exit code, 0 to 255"),
            optional("signal", Type::Int, "the signal that ended it"),
            column("core_dumped", Type::Bool, "whether a core was dumped"),
            column("cpu_ns", Type::Int, "CPU time of all its threads, ns"),
            column("cpu_before_ns", Type::Int, "what of that it had used before it was watched, ns"),
            column("peak_rss_bytes", Type::Int, "largest resident set, bytes"),
            optional("rss_bytes", Type::Int, "resident set when it was read last, bytes"),
            optional("pss_bytes", Type::Int, "the same, but what is shared counts by its share"),
            optional("threads", Type::Int, "threads then"),
            optional("descriptors", Type::Int, "open file descriptors then"),
            optional("voluntary_switches", Type::Int, "how often its threads of then had left a CPU to wait"),
            optional("involuntary_switches", Type::Int, "how often for another task"),
            optional(
                "killer",
                Type::Text,
                "who sent the signal that ended it: `out_of_memory`, `kernel` or `process`",
            ),
            optional("killer_pid", Type::Int, "that process's pid"),
            optional("killer_comm", Type::Text, "that process's name"),
        ],
    ),
    (
        TableId::Windows,
        &[
            AGENT,
            START,
            END,
            column("cpu_samples", Type::Int, "CPU samples"),
            column("cpu_ns", Type::Int, "CPU time that they stand for, ns"),
            column("blocked_ns", Type::Int, "time blocked, over all threads, ns"),
            column("run_queue_ns", Type::Int, "time runnable but not running, over all threads, ns"),
            column("waits", Type::Int, "waits that ended"),
            column("syscalls", Type::Int, "calls that returned"),
            column("syscall_ns", Type::Int, "time in calls, over all threads, ns"),
        ],
    ),
    (
        TableId::Cpu,
        &[
            AGENT,
            START,
            END,
            PID,
            PROCESS,
            STACK,
            column("samples", Type::Int, "samples"),
            column("cpu_ns", Type::Int, "CPU time that they stand for, ns"),
        ],
    ),
    (
        TableId::OffCpu,
        &[
            AGENT,
            START,
            END,
            PID,
            PROCESS,
            column("cause", Type::Text, "what was waited for"),
            optional("syscall", Type::Int, "number of the call that waited"),
            optional("syscall_name", Type::Text, "its name"),
            optional("descriptor", Type::Text, "kind of the descriptor that it waited on"),
            optional("waker_pid", Type::Int, "pid of the process that ended the wait"),
            STACK,
            column("blocked_ns", Type::Int, "time blocked, ns"),
            column("run_queue_ns", Type::Int, "time runnable but not running, ns"),
            column("count", Type::Int, "waits that ended"),
            column("max_ns", Type::Int, "the longest wait, ns"),
        ],
    ),
    (
        TableId::Syscalls,
        &[
            AGENT,
            START,
            END,
            PID,
            PROCESS,
            NUMBER,
            optional("name", Type::Text, "the call's name"),
            column("count", Type::Int, "calls that returned"),
            column("errors", Type::Int, "calls that returned an error"),
            column("total_ns", Type::Int, "time in the call, ns"),
            column("max_ns", Type::Int, "the longest call, ns"),
        ],
    ),
    (
        TableId::SyscallErrors,
        &[
            AGENT,
            START,
            END,
            PID,
            PROCESS,
            NUMBER,
            column("errno", Type::Int, "the error's number"),
            optional("error", Type::Text, "its name"),
            CALLS,
        ],
    ),
    (
        TableId::SyscallLatencies,
        &[
            AGENT,
            START,
            END,
            PID,
            PROCESS,
            NUMBER,
            column("log2_ns", Type::Int, "log2 of the latency in ns, rounded down"),
            CALLS,
        ],
    ),
    (
        TableId::Cuda,
        &[
            AGENT,
            START,
            END,
            PID,
            PROCESS,
            column("call", Type::Text, "what the calls do"),
            column("calls", Type::Int, "how many"),
            column("errors", Type::Int, "those that returned an error, where that is seen"),
            column("bytes", Type::Int, "bytes that they asked for"),
            column("total_ns", Type::Int, "time inside, where their return is seen, ns"),
            column("max_ns", Type::Int, "the longest, ns"),
        ],
    ),
    (TableId::Network, &devices::NETWORK),
    (TableId::NetworkFailures, &devices::NETWORK_FAILURES),
    (TableId::NetworkConnectTimes, &devices::NETWORK_CONNECT_TIMES),
    (TableId::Disk, &devices::DISK),
    (TableId::DiskLatencies, &devices::DISK_LATENCIES),
    (TableId::Http, &http::HTTP),
    (TableId::HttpDurations, &http::HTTP_DURATIONS),
    (
        TableId::Files,
        &[
            AGENT,
            START,
            END,
            PID,
            PROCESS,
            column("path", Type::Text, "the file; `other` for those that have no row of their own"),
            column("read_opens", Type::Int, "times it was opened for reading alone"),
            column("write_opens", Type::Int, "times it was opened for writing"),
            column("creates", Type::Int, "times it came to be"),
            column("changes", Type::Int, "writes and truncations"),
            column("deletes", Type::Int, "times its name was taken away"),
            column("renames", Type::Int, "times it got this name by a rename"),
            column("read_bytes", Type::Int, "bytes that were read"),
            column("written_bytes", Type::Int, "bytes that were written"),
            column("syncs", Type::Int, "calls of fsync and fdatasync"),
            column("sync_ns", Type::Int, "time in these, ns"),
        ],
    ),
    (
        TableId::Ledger,
        &[
            AGENT,
            START,
            END,
            column("cause", Type::Text, "the one cause that the time goes to"),
            column("states", Type::Text, "what threads did and what was in flight, joined by +"),
            column("ns", Type::Int, "for how long all of it was true together, ns"),
        ],
    ),
    (
        TableId::ThreadTime,
        &[
            AGENT,
            START,
            END,
            column("state", Type::Text, "role and state of the threads, or the phase of a call"),
            column("ns", Type::Int, "how long, one beside the other, ns"),
        ],
    ),
    (
        TableId::InterpretersUnread,
        &[AGENT, START, END, PID, PROCESS, column("reason", Type::Text, "why, in words")],
    ),
    (
        TableId::Stacks,
        &[
            STACK,
            column("end", Type::Text, "how the walk of its user part ended"),
            column("depth", Type::Int, "its frames"),
        ],
    ),
    (
        TableId::Frames,
        &[
            STACK,
            column("position", Type::Int, "0 is the innermost; kernel frames stand before user frames"),
            column("kind", Type::Text, "native, python, javascript or kernel"),
            column("function", Type::Text, "the function's name; [unknown] where there is none"),
            optional("file", Type::Text, "source file"),
            optional("line", Type::Int, "source line"),
            optional("binary", Type::Text, "path of the binary"),
            optional("build_id", Type::Text, "its GNU build id"),
            column(
                "address",
                Type::Unsigned,
                "offset in the binary's file, or the address where there is none",
            ),
        ],
    ),
    (TableId::Operations, &operations::OPERATIONS),
    (TableId::OperationSums, &operations::SUMS),
    (TableId::Host, &host::HOST),
    (TableId::HostCpus, &host::CPUS),
    (TableId::HostFileSystems, &host::FILE_SYSTEMS),
    (TableId::HostDisks, &host::DISKS),
    (TableId::HostInterfaces, &host::INTERFACES),
    (TableId::Gpus, &gpu::GPUS),
    (TableId::GpuThrottled, &gpu::THROTTLED),
    (TableId::GpuXids, &gpu::XIDS),
    (TableId::GpuProcesses, &gpu::PROCESSES),
];

/// The reference, docs/parquet.md.
#[must_use]
pub fn reference() -> String {
    let mut text = "# Tables of `agentperf store export --format parquet`\n\nMade from the table in \
        `agent-daemon/src/export/parquet/tables.rs` by `UPDATE_GOLDEN=1 cargo test -p agentperf --lib`.\nEvery table \
        is a file `NAME.parquet`. Times are UTC; a column that may be null says so.\n"
        .to_owned();
    for (id, columns) in &TABLES {
        // Writing to a String cannot fail.
        let _ =
            write!(text, "\n## {}\n{}\n\n| Column | Type | Meaning |\n|---|---|---|\n", id.name(), id.doc());
        for column in *columns {
            let null = if column.optional { ", or null" } else { "" };
            let _ = writeln!(text, "| `{}` | {}{null} | {} |", column.name, column.type_name(), column.doc);
        }
    }
    text
}
