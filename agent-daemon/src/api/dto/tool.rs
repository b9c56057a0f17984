//! Tool calls on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    file::ToolFilesDto,
    names::ToolEndDto,
    network::ToolNetworkDto,
    operation::{MAX_GROUPS, StackLinksDto, links},
    seconds,
};
use crate::{
    model::{
        operation::{Bill, Operation, SERVER, Sum, TOOL_REPEATS},
        process::{Exit, Process},
        signal_names::signal_name,
        time::Timestamp,
    },
    store::query::{AskedBy, Group, OperationPage, OperationSummary, ToolLedger, ToolThreads},
};

/// A page of an agent's tool calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ToolList)]
pub struct ToolListDto {
    /// Start of the range.
    pub from: Option<Timestamp>,
    /// End of the range.
    pub to: Option<Timestamp>,
    /// All calls that match and are kept one by one.
    pub total: u64,
    /// Calls that match and are left only as sums: `names` has them.
    pub added_up: u64,
    /// What `offset` gives the next page; null on the last.
    pub next_offset: Option<usize>,
    /// The calls, in the order that was asked for.
    pub tools: Vec<ToolDto>,
    /// The calls of the range added up by name, whether they failed or not, most time first; the 100 first.
    pub names: Vec<ToolNameDto>,
}

impl ToolListDto {
    /// A page that begins at `offset`.
    #[must_use]
    pub fn new(
        page: &OperationPage,
        summary: &OperationSummary,
        (from, to): (Option<Timestamp>, Option<Timestamp>),
        offset: usize,
    ) -> Self {
        Self {
            from,
            to,
            total: page.total,
            added_up: page.added_up,
            next_offset: page.next_offset(offset),
            tools: page.operations.iter().filter_map(ToolDto::of).collect(),
            names: summary.groups.iter().take(MAX_GROUPS).map(ToolNameDto::from).collect(),
        }
    }
}

/// What sort of call it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ToolKind)]
pub enum ToolKindDto {
    /// A call of a tool.
    #[default]
    Tool,
    /// A process that served its agent, as MCP servers do.
    Server,
}

/// A tool call: a process tree that an agent ran, from exec to the last exit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Tool)]
pub struct ToolDto {
    /// `PID-STARTMS` of its first process's exec: unique on this host.
    #[schema(example = "4711-1763738400123")]
    pub id: String,
    /// The agent that ran it.
    pub agent: Option<String>,
    /// Tool or server.
    pub kind: ToolKindDto,
    /// What a person would call it.
    #[schema(example = "cargo test")]
    pub name: String,
    /// Its first process.
    pub pid: Option<u32>,
    /// When that executed the tool's program.
    pub start: Timestamp,
    /// When its last process exited, or as `ended` says.
    pub end: Timestamp,
    /// How it came to its end.
    pub ended: ToolEndDto,
    /// False where its first process ended by another exit code than 0, or by a signal.
    pub success: bool,
    /// How many calls before it were the same: same command line, same end, as much output, and no call in between changed
    /// anything. Only the last 8 calls are compared.
    pub repeats: u64,
    /// Exit code of its first process.
    pub exit_code: Option<u8>,
    /// The signal that killed its first process.
    pub signal: Option<u8>,
    /// That signal's name.
    pub signal_name: Option<String>,
    /// How long it took.
    pub duration_seconds: f64,
    /// What it cost.
    #[serde(flatten)]
    pub bill: BillDto,
    /// What it did to files; null where its agent was not watched by the files probe.
    pub files: Option<ToolFilesDto>,
    /// What it sent and received; null where its agent was not watched by the network probe.
    pub network: Option<ToolNetworkDto>,
    /// Where its first process used the CPU, and waited, meanwhile.
    pub stacks: Option<StackLinksDto>,
}

/// What tool calls cost, with all their processes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ToolBill)]
pub struct BillDto {
    /// CPU time in user mode. Ticks say how CPU time divides; the sum of both is exact.
    pub cpu_user_seconds: f64,
    /// CPU time in the kernel.
    pub cpu_system_seconds: f64,
    /// The largest resident set of any one process.
    pub peak_rss_bytes: u64,
    /// Bytes that were fetched from storage.
    pub storage_read_bytes: u64,
    /// Bytes that were sent to storage, or will be.
    pub storage_written_bytes: u64,
    /// Bytes that calls like read returned, from files, pipes or terminals.
    pub io_read_bytes: u64,
    /// Bytes that calls like write took.
    pub io_written_bytes: u64,
    /// Processes.
    pub processes: u64,
}

/// Tool calls of one name, added up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ToolName)]
pub struct ToolNameDto {
    /// The name; `other` for what came when an agent had too many.
    pub name: String,
    /// Calls.
    pub calls: u64,
    /// Calls that failed.
    pub failures: u64,
    /// How long all took together.
    pub total_seconds: f64,
    /// The longest.
    pub max_seconds: f64,
    /// Half took no longer. To within 3.2 %.
    pub p50_seconds: Option<f64>,
    /// 99 % took no longer.
    pub p99_seconds: Option<f64>,
    /// What they cost; the peak is the largest of any.
    #[serde(flatten)]
    pub bill: BillDto,
}

/// A tool call with its command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ToolDetail)]
pub struct ToolDetailDto {
    /// The call.
    #[serde(flatten)]
    pub tool: ToolDto,
    /// The program that its first process executed last.
    pub executable: Option<String>,
    /// The command line of that, redacted.
    pub argv: Vec<String>,
    /// What all its threads did, most time first: `cpu`, `run_queue`, and what they waited for, as in off-CPU reports. Threads
    /// side by side each count; waits that were merged with others' in their window are missing. Null where waits were not
    /// watched.
    pub thread_seconds: Option<Vec<ToolTimeDto>>,
    /// Where its wall clock went. Null where waits were not watched.
    pub ledger: Option<ToolLedgerDto>,
    /// The call of a model whose answer likely asked for it; null where the last answer before it asked for no tool, or none
    /// was seen.
    pub asked_by: Option<AskedByDto>,
}

/// The wall clock of a tool call, each instant under one cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ToolLedger)]
pub struct ToolLedgerDto {
    /// `cpu`, `run_queue`, `page_fault`, `disk`, `gpu`, `lock`, `network`, `idle` (a timer, a terminal, or for others of the
    /// same call), `unknown`: those that have time, in the order in which they are blamed. The sum is `duration_seconds`.
    pub causes: Vec<ToolTimeDto>,
    /// Whether threads worked or waited side by side: then an earlier cause may hide a later one.
    pub estimated: bool,
}

/// The call of a model whose answer asked for a call: the last of the agent that had ended when this began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AskedBy)]
pub struct AskedByDto {
    /// Its id in `/api/v1/llm-calls`.
    pub llm_call: String,
    /// The tool that it asked for, by the name that it has there; null where it is one of several.
    #[schema(example = "bash")]
    pub tool: Option<String>,
    /// How sure that is: `name` if it asked for a tool of this very name, `single` if for only one, of another name, `several`
    /// if for several.
    #[schema(example = "single")]
    pub confidence: String,
}

impl From<AskedBy> for AskedByDto {
    fn from(asked: AskedBy) -> Self {
        Self {
            llm_call: format!("{:016x}", asked.call),
            tool: asked.tool,
            confidence: asked.confidence.name().to_owned(),
        }
    }
}

/// What threads of a tool call did for so long together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ToolTime)]
pub struct ToolTimeDto {
    /// What they did, or waited for.
    #[schema(example = "disk")]
    pub cause: String,
    /// For how long.
    pub seconds: f64,
}

impl ToolDto {
    /// The tool call; `None` for an operation that is none.
    #[must_use]
    pub fn of(operation: &Operation) -> Option<Self> {
        let tool = operation.tool.as_deref()?;
        let (exit_code, signal) = match tool.exit {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal { number, .. }) => (None, Some(number)),
            None => (None, None),
        };
        let pid = operation.process.map(|process| process.pid());
        Some(Self {
            id: format!("{}-{}", pid.unwrap_or(0), operation.start.as_millisecond()),
            agent: operation.agent.as_ref().map(ToString::to_string),
            kind: if operation.kind == SERVER { ToolKindDto::Server } else { ToolKindDto::Tool },
            name: operation.name.clone(),
            pid,
            start: operation.start,
            end: operation.end(),
            ended: tool.end.into(),
            success: operation.success,
            repeats: repeats(operation),
            exit_code,
            signal,
            signal_name: signal.and_then(signal_name).map(str::to_owned),
            duration_seconds: seconds(operation.duration_ns),
            bill: BillDto::from(&tool.bill),
            files: tool.files.as_ref().map(ToolFilesDto::from),
            network: tool.network.as_ref().map(ToolNetworkDto::from),
            stacks: links(operation),
        })
    }
}

fn times(threads: &ToolThreads) -> Vec<ToolTimeDto> {
    let on_cpu = [("cpu", threads.cpu_ns), ("run_queue", threads.run_queue_ns)];
    let blocked = threads.blocked_ns.iter().map(|(cause, ns)| (cause.name(), *ns));
    let mut all: Vec<_> = on_cpu.into_iter().chain(blocked).filter(|(_, ns)| *ns > 0).collect();
    all.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
    all.into_iter().map(ToolTimeDto::from).collect()
}

impl From<(&'static str, u64)> for ToolTimeDto {
    fn from((cause, ns): (&'static str, u64)) -> Self {
        Self { cause: cause.to_owned(), seconds: seconds(ns) }
    }
}

impl From<ToolLedger> for ToolLedgerDto {
    fn from(ledger: ToolLedger) -> Self {
        let causes = ledger.causes.into_iter().map(ToolTimeDto::from).collect();
        Self { causes, estimated: ledger.is_estimate }
    }
}

fn repeats(operation: &Operation) -> u64 {
    operation.label(TOOL_REPEATS).and_then(|times| times.parse().ok()).unwrap_or(0)
}

impl ToolDetailDto {
    /// The call, with what is known of its first process.
    #[must_use]
    pub fn new(
        tool: ToolDto,
        process: Option<Process>,
        (threads, wall_ns): (Option<&ToolThreads>, u64),
        asked: Option<AskedBy>,
    ) -> Self {
        let (executable, argv) =
            process.map(|process| (process.executable, process.args)).unwrap_or_default();
        let ledger = threads.map(|threads| threads.ledger(wall_ns).into());
        let (thread_seconds, asked_by) = (threads.map(times), asked.map(AskedByDto::from));
        Self { tool, executable, argv, thread_seconds, ledger, asked_by }
    }
}

impl From<&Bill> for BillDto {
    fn from(bill: &Bill) -> Self {
        Self {
            cpu_user_seconds: seconds(bill.user_ns),
            cpu_system_seconds: seconds(bill.system_ns),
            peak_rss_bytes: bill.peak_rss_bytes,
            storage_read_bytes: bill.read_bytes,
            storage_written_bytes: bill.written_bytes,
            io_read_bytes: bill.read_chars,
            io_written_bytes: bill.written_chars,
            processes: bill.processes,
        }
    }
}

impl BillDto {
    /// CPU time.
    #[must_use]
    pub fn cpu_seconds(&self) -> f64 {
        self.cpu_user_seconds + self.cpu_system_seconds
    }
}

impl From<&(Group, Sum)> for ToolNameDto {
    fn from((group, sum): &(Group, Sum)) -> Self {
        let quantile = |q| sum.durations.quantile(q, sum.max_ns).map(seconds);
        Self {
            name: group.name.clone().unwrap_or_else(|| "other".to_owned()),
            calls: sum.count,
            failures: sum.errors,
            total_seconds: seconds(sum.total_ns),
            max_seconds: seconds(sum.max_ns),
            p50_seconds: quantile(0.5),
            p99_seconds: quantile(0.99),
            bill: BillDto::from(&sum.bill),
        }
    }
}
