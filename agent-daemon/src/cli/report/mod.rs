//! What an agent did, gathered from the API: as text for a person, as JSON for a program.

mod calls;
mod cuda;
mod devices;
mod files;
mod http;
mod ledger;
mod render;
mod tools;
mod turns;
mod verb;

use serde::Serialize;

use super::{
    client::{Client, Range},
    error::CliError,
};
use crate::{
    api::dto::{
        agent::AgentDto,
        coverage::CoverageDto,
        cuda::CudaReportDto,
        disk::DiskReportDto,
        file::FileReportDto,
        http::HttpReportDto,
        ledger::LedgerDto,
        llm::LlmCallListDto,
        locks::LockReportDto,
        mcp::McpCallListDto,
        names::ProbeDto,
        network::NetworkReportDto,
        off_cpu::{LongestWaitsDto, OffCpuReportDto},
        process::ProcessDto,
        profile::ProfileDto,
        syscall::SyscallReportDto,
        tool::ToolListDto,
        turn::TurnListDto,
    },
    model::time::Timestamp,
};

pub(super) use render::render;
pub(in crate::cli) use render::word;
pub(in crate::cli) use verb::find;
pub(super) use verb::{ReportArgs, run};

/// Stacks of a profile that are kept: the heaviest.
const STACKS: usize = 20;

/// Files that are kept, and asked for: what was merged is one row among them.
const FILES: usize = 15;
const ALL_FILES: usize = 1000;

/// Tool calls that are kept beside their sums, and waits.
const CALLS: usize = 10;
const WAITS: usize = 5;

/// What an agent did in a stretch of time.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whose.
    pub(super) agent: AgentDto,
    /// How long it was watched for this report.
    pub(super) seconds: f64,
    /// Where the time went; absent where the agent is not watched by that probe.
    pub(super) ledger: Option<LedgerDto>,
    /// Its turns; absent likewise.
    pub(super) turns: Option<TurnListDto>,
    /// What its tools cost: sums by name, and the calls that came last.
    pub(super) tools: ToolListDto,
    /// The waits that lasted longest, each with whom it was for; absent likewise.
    pub(super) longest_waits: Option<LongestWaitsDto>,
    /// Calls of models; absent likewise.
    pub(super) llm_calls: Option<LlmCallListDto>,
    /// Calls of MCP servers; absent likewise.
    pub(super) mcp_calls: Option<McpCallListDto>,
    /// What it asked for over HTTP, and was asked for; absent likewise.
    pub(super) http: Option<HttpReportDto>,
    /// How much of what its processes say is seen; absent likewise.
    pub(super) coverage: Option<CoverageDto>,
    /// Its processes in the order of the tree.
    pub(super) processes: Vec<ProcessDto>,
    /// Processes that its tools had and that are not among these, since an agent keeps so many; of a whole watch alone.
    pub(super) forgotten_processes: u64,
    /// CPU samples, the heaviest stacks; absent likewise.
    pub(super) cpu: Option<ProfileDto>,
    /// CPU time by innermost function, most first; from all stacks.
    pub(super) functions: Vec<FunctionTime>,
    /// Waits; absent likewise.
    pub(super) off_cpu: Option<OffCpuReportDto>,
    /// Where locks were waited for; absent likewise.
    pub(super) locks: Option<LockReportDto>,
    /// With whom it spoke; absent likewise.
    pub(super) network: Option<NetworkReportDto>,
    /// What it had disks do; absent likewise.
    pub(super) disk: Option<DiskReportDto>,
    /// Calls of CUDA; absent likewise.
    pub(super) cuda: Option<CudaReportDto>,
    /// What it did with files; absent likewise.
    pub(super) files: Option<FileReportDto>,
    /// Syscalls; absent likewise.
    pub(super) syscalls: Option<SyscallReportDto>,
}

/// CPU time of one function itself, what it calls apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct FunctionTime {
    /// Its name.
    pub(super) function: String,
    /// Path of the binary it comes from.
    pub(super) binary: Option<String>,
    /// CPU time.
    pub(super) seconds: f64,
}

impl Report {
    /// Asks the daemon what it knows.
    pub(super) fn gather(client: &Client, id: &str, range: Range) -> Result<Self, CliError> {
        let agent = client.agent(id)?;
        let watched = |probe| agent.probes.contains(&probe);
        let first = (range, devices::ROWS);
        let mut cpu = watched(ProbeDto::Cpu).then(|| client.cpu(id, range)).transpose()?;
        let functions = cpu.as_ref().map(functions).unwrap_or_default();
        if let Some(profile) = &mut cpu {
            profile.stacks.truncate(STACKS);
        }
        let processes = client.processes(id, range)?.processes;
        let tools: ToolListDto = client.rows(id, "tools", (range, CALLS))?;
        let waits = (range, WAITS);
        Ok(Self {
            seconds: seconds(&agent, range),
            ledger: watched(ProbeDto::Ledger).then(|| client.ledger(id, range)).transpose()?,
            turns: watched(ProbeDto::Ledger).then(|| client.turns(id, range)).transpose()?,
            llm_calls: watched(ProbeDto::Wire).then(|| client.llm_calls(id, range)).transpose()?,
            mcp_calls: watched(ProbeDto::Wire).then(|| client.mcp_calls(id, range)).transpose()?,
            http: watched(ProbeDto::Wire).then(|| client.rows(id, "http", first)).transpose()?,
            coverage: watched(ProbeDto::Wire).then(|| client.coverage(id)).transpose()?,
            forgotten_processes: if range.from.is_none() { forgotten(&tools, &processes) } else { 0 },
            processes,
            tools,
            longest_waits: watched(ProbeDto::OffCpu)
                .then(|| client.rows(id, "blocked-on/longest", waits))
                .transpose()?,
            off_cpu: watched(ProbeDto::OffCpu).then(|| client.off_cpu(id, range)).transpose()?,
            locks: watched(ProbeDto::OffCpu).then(|| client.rows(id, "locks", first)).transpose()?,
            network: watched(ProbeDto::Network).then(|| client.rows(id, "network", first)).transpose()?,
            disk: watched(ProbeDto::Disk).then(|| client.rows(id, "disk", first)).transpose()?,
            cuda: watched(ProbeDto::Cuda).then(|| client.cuda(id, range)).transpose()?,
            files: watched(ProbeDto::Files)
                .then(|| client.rows(id, "files", (range, ALL_FILES)))
                .transpose()?
                .map(files::first),
            syscalls: watched(ProbeDto::Syscalls).then(|| client.syscalls(id, range)).transpose()?,
            cpu,
            functions,
            agent,
        })
    }

    /// Whether anything of this time is stored, as far as a probe tells.
    fn has_windows(&self) -> bool {
        let covered = [
            self.ledger.as_ref().map(|report| report.covered.is_some()),
            self.cpu.as_ref().map(|report| report.covered.is_some()),
            self.off_cpu.as_ref().map(|report| report.covered.is_some()),
            self.network.as_ref().map(|report| report.covered.is_some()),
            self.http.as_ref().map(|report| report.covered.is_some()),
            self.disk.as_ref().map(|report| report.covered.is_some()),
            self.cuda.as_ref().map(|report| report.covered.is_some()),
            self.files.as_ref().map(|report| report.covered.is_some()),
            self.syscalls.as_ref().map(|report| report.covered.is_some()),
        ];
        let mut told = covered.into_iter().flatten().peekable();
        told.peek().is_none() || told.any(|is_covered| is_covered)
    }
}

/// Processes of tools that are no longer known: every one of them was told, and the agent's root beside them.
fn forgotten(tools: &ToolListDto, processes: &[ProcessDto]) -> u64 {
    let told = tools.names.iter().fold(1, |sum: u64, name| sum.saturating_add(name.bill.processes));
    told.saturating_sub(processes.len() as u64)
}

/// From when the range or the watch began to when the watch ended, or now.
fn seconds(agent: &AgentDto, range: Range) -> f64 {
    let from = range.from.map_or(agent.attached, |from| from.max(agent.attached));
    let to = agent.ended.unwrap_or_else(Timestamp::now);
    to.duration_since(from).as_secs_f64().max(0.0)
}

fn functions(profile: &ProfileDto) -> Vec<FunctionTime> {
    let mut functions: Vec<FunctionTime> = Vec::new();
    let mut index = std::collections::HashMap::new();
    for stack in &profile.stacks {
        let Some(frame) = stack.stack.frames.first() else { continue };
        let at = *index.entry((&frame.function, &frame.binary)).or_insert_with(|| {
            let (function, binary) = (frame.function.clone(), frame.binary.clone());
            functions.push(FunctionTime { function, binary, seconds: 0.0 });
            functions.len() - 1
        });
        if let Some(function) = functions.get_mut(at) {
            function.seconds += stack.seconds;
        }
    }
    functions.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    functions.truncate(STACKS);
    functions
}
