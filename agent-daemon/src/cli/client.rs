//! The daemon's API, as commands use it: the one way to trace, whether the daemon runs already or inside
//! this process.
//!
//! No proxy is used, whatever the environment says: what is traced does not leave the host.

use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::{Agent, Body, http::Response};

use super::error::CliError;
use crate::{
    api::dto::{
        agent::{AgentDto, AgentListDto, AttachRequestDto},
        alert::{AlertListDto, AlertRuleListDto, SilenceDto, SilenceListDto, SilenceRequestDto},
        blocked::BlockedOnDto,
        content::ContentListDto,
        coverage::CoverageDto,
        cuda::CudaReportDto,
        ledger::LedgerDto,
        llm::LlmCallListDto,
        mcp::McpCallListDto,
        off_cpu::{LongestWaitsDto, OffCpuReportDto},
        operation::{OperationListDto, OperationSummaryDto},
        problem::ProblemDto,
        process::ProcessTreeDto,
        profile::ProfileDto,
        reaction::{ReactionDto, ReactionListDto},
        receiver::{ReceiverListDto, ReceiverTestDto},
        status::StatusDto,
        syscall::SyscallReportDto,
        system::SystemMetricsDto,
        system_info::SystemInfoDto,
        tool::ToolListDto,
        turn::TurnListDto,
    },
    model::time::Timestamp,
};

/// Where a daemon listens unless it was told otherwise.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:7575";

/// How long a connection may take; a daemon on this host needs microseconds.
const CONNECT: Duration = Duration::from_secs(3);

/// How long an answer may take: closing a window symbolises it.
const ANSWER: Duration = Duration::from_secs(120);

/// The largest answer read, bytes.
const MAX_ANSWER: u64 = 512 << 20;

/// A stretch of an agent's time; `None` for its present watch, or its last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Range {
    pub(super) from: Option<Timestamp>,
}

/// A connection to a daemon.
#[derive(Clone, Debug)]
pub(super) struct Client {
    agent: Agent,
    url: String,
}

impl Client {
    /// A client of the daemon at `url`, which must be plain HTTP.
    pub(super) fn new(url: &str) -> Result<Self, CliError> {
        let url = url.trim_end_matches('/');
        if !url.starts_with("http://") || url.len() <= "http://".len() {
            return Err(CliError::Usage(format!(
                "{url:?} is no URL of a daemon: give one such as {DEFAULT_URL}"
            )));
        }
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(ANSWER))
            .build();
        Ok(Self { agent: config.new_agent(), url: url.to_owned() })
    }

    /// How the daemon stands. Also tells whether there is one.
    pub(super) fn status(&self) -> Result<StatusDto, CliError> {
        self.get("/api/v1/status", &[])
    }

    /// Every agent.
    pub(super) fn agents(&self) -> Result<AgentListDto, CliError> {
        self.get("/api/v1/agents", &[])
    }

    /// One agent.
    pub(super) fn agent(&self, id: &str) -> Result<AgentDto, CliError> {
        self.get(&format!("/api/v1/agents/{id}"), &[])
    }

    /// Starts to watch a process.
    pub(super) fn attach(&self, request: &AttachRequestDto) -> Result<AgentDto, Refusal> {
        let sent = self.agent.post(format!("{}/api/v1/agents", self.url)).send_json(request);
        let response = sent.map_err(|e| Refusal::Other(self.unreachable(&e)))?;
        match response.status().as_u16() {
            409 => Err(Refusal::Conflict(self.problem(response))),
            _ => self.read(response).map_err(Refusal::Other),
        }
    }

    /// Stops to watch an agent; one that has ended already is fine.
    pub(super) fn detach(&self, id: &str) -> Result<(), CliError> {
        let sent = self.agent.delete(format!("{}/api/v1/agents/{id}", self.url)).call();
        let response = sent.map_err(|e| self.unreachable(&e))?;
        match response.status().as_u16() {
            404 | 409 => Ok(()),
            _ => self.read::<AgentDto>(response).map(drop),
        }
    }

    /// An agent's process tree.
    pub(super) fn processes(&self, id: &str, range: Range) -> Result<ProcessTreeDto, CliError> {
        self.get(&format!("/api/v1/agents/{id}/processes"), &range.query())
    }

    /// Operations, by a query.
    pub(super) fn operations(&self, query: &[(&str, String)]) -> Result<OperationListDto, CliError> {
        self.get("/api/v1/operations", query)
    }

    /// Operations added up, by a query.
    pub(super) fn operation_summary(
        &self,
        query: &[(&str, String)],
    ) -> Result<OperationSummaryDto, CliError> {
        self.get("/api/v1/operations/summary", query)
    }

    /// What an agent said, by a query.
    pub(super) fn content(&self, id: &str, query: &[(&str, String)]) -> Result<ContentListDto, CliError> {
        self.get(&format!("/api/v1/agents/{id}/content"), query)
    }

    /// An agent's tool calls, by a query.
    pub(super) fn tools(&self, id: &str, query: &[(&str, String)]) -> Result<ToolListDto, CliError> {
        self.get(&format!("/api/v1/agents/{id}/tools"), query)
    }

    /// An agent's calls of models.
    pub(super) fn llm_calls(&self, id: &str, range: Range) -> Result<LlmCallListDto, CliError> {
        self.get("/api/v1/llm-calls", &of_agent(id, range))
    }

    /// An agent's calls of MCP servers.
    pub(super) fn mcp_calls(&self, id: &str, range: Range) -> Result<McpCallListDto, CliError> {
        self.get("/api/v1/mcp-calls", &of_agent(id, range))
    }

    /// How much of what an agent's processes say is seen.
    pub(super) fn coverage(&self, id: &str) -> Result<CoverageDto, CliError> {
        self.get(&format!("/api/v1/agents/{id}/coverage"), &[])
    }

    /// What kind of host it is.
    pub(super) fn system_info(&self) -> Result<SystemInfoDto, CliError> {
        self.get("/api/v1/system/info", &[])
    }

    /// What the host did, by a query.
    pub(super) fn system_metrics(&self, query: &[(&str, String)]) -> Result<SystemMetricsDto, CliError> {
        self.get("/api/v1/system/metrics", query)
    }

    /// What is wrong now.
    pub(super) fn alerts(&self) -> Result<AlertListDto, CliError> {
        self.get("/api/v1/alerts", &[])
    }

    /// What was wrong.
    pub(super) fn alert_history(&self) -> Result<AlertListDto, CliError> {
        self.get("/api/v1/alerts/history", &[])
    }

    /// The alert rules in force.
    pub(super) fn alert_rules(&self) -> Result<AlertRuleListDto, CliError> {
        self.get("/api/v1/alerts/rules", &[])
    }

    /// The silences.
    pub(super) fn silences(&self) -> Result<SilenceListDto, CliError> {
        self.get("/api/v1/alerts/silences", &[])
    }

    /// Silences alerts.
    pub(super) fn silence(&self, request: &SilenceRequestDto) -> Result<SilenceDto, CliError> {
        let sent = self.agent.post(format!("{}/api/v1/alerts/silences", self.url)).send_json(request);
        self.read(sent.map_err(|e| self.unreachable(&e))?)
    }

    /// The receivers of alerts.
    pub(super) fn receivers(&self) -> Result<ReceiverListDto, CliError> {
        self.get("/api/v1/alerts/receivers", &[])
    }

    /// Tests a receiver.
    pub(super) fn test_receiver(&self, name: &str) -> Result<ReceiverTestDto, CliError> {
        // A name may have any characters.
        let name: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let sent = self.agent.post(format!("{}/api/v1/alerts/receivers/{name}/test", self.url)).send_empty();
        self.read(sent.map_err(|e| self.unreachable(&e))?)
    }

    /// What alerts did by themselves.
    pub(super) fn reactions(&self) -> Result<ReactionListDto, CliError> {
        self.get("/api/v1/alerts/reactions", &[])
    }

    /// Takes a reaction back.
    pub(super) fn undo_reaction(&self, id: u64) -> Result<ReactionDto, CliError> {
        let sent = self.agent.post(format!("{}/api/v1/alerts/reactions/{id}/undo", self.url)).send_empty();
        self.read(sent.map_err(|e| self.unreachable(&e))?)
    }

    /// Dumps the flight recorder.
    pub(super) fn dump_recorder(&self) -> Result<ReactionDto, CliError> {
        let sent = self.agent.post(format!("{}/api/v1/alerts/reactions/dump", self.url)).send_empty();
        self.read(sent.map_err(|e| self.unreachable(&e))?)
    }

    /// Ends a silence.
    pub(super) fn unsilence(&self, id: &str) -> Result<SilenceDto, CliError> {
        let sent = self.agent.delete(format!("{}/api/v1/alerts/silences/{id}", self.url)).call();
        self.read(sent.map_err(|e| self.unreachable(&e))?)
    }

    /// Where an agent's time went, by a query.
    pub(super) fn ledger_by(&self, id: &str, query: &[(&str, String)]) -> Result<LedgerDto, CliError> {
        self.get(&format!("/api/v1/agents/{id}/ledger"), query)
    }

    /// An agent's process tree, by a query.
    pub(super) fn processes_by(
        &self,
        id: &str,
        query: &[(&str, String)],
    ) -> Result<ProcessTreeDto, CliError> {
        self.get(&format!("/api/v1/agents/{id}/processes"), query)
    }

    /// Where an agent's time went.
    pub(super) fn ledger(&self, id: &str, range: Range) -> Result<LedgerDto, CliError> {
        self.get(&format!("/api/v1/agents/{id}/ledger"), &range.query())
    }

    /// An agent's turns.
    pub(super) fn turns(&self, id: &str, range: Range) -> Result<TurnListDto, CliError> {
        self.get(&format!("/api/v1/agents/{id}/turns"), &range.query())
    }

    /// Who an agent waits for at this moment.
    pub(super) fn blocked_on(&self, id: &str) -> Result<BlockedOnDto, CliError> {
        self.get(&format!("/api/v1/agents/{id}/blocked-on"), &[])
    }

    /// Its longest waits, and whom they were for.
    pub(super) fn longest_waits(&self, id: &str, since: &str) -> Result<LongestWaitsDto, CliError> {
        self.get(&format!("/api/v1/agents/{id}/blocked-on/longest"), &[("since", since.to_owned())])
    }

    /// What an agent waited for.
    pub(super) fn off_cpu(&self, id: &str, range: Range) -> Result<OffCpuReportDto, CliError> {
        self.get(&format!("/api/v1/agents/{id}/off-cpu"), &range.query())
    }

    /// The first rows of one of an agent's reports, such as `network`.
    pub(super) fn rows<T: DeserializeOwned>(
        &self,
        id: &str,
        report: &str,
        (range, limit): (Range, usize),
    ) -> Result<T, CliError> {
        let mut query = range.query();
        query.push(("limit", limit.to_string()));
        self.get(&format!("/api/v1/agents/{id}/{report}"), &query)
    }

    /// An agent's calls of CUDA.
    pub(super) fn cuda(&self, id: &str, range: Range) -> Result<CudaReportDto, CliError> {
        self.get(&format!("/api/v1/agents/{id}/cuda"), &range.query())
    }

    /// An agent's syscalls.
    pub(super) fn syscalls(&self, id: &str, range: Range) -> Result<SyscallReportDto, CliError> {
        self.get(&format!("/api/v1/agents/{id}/syscalls"), &range.query())
    }

    /// An agent's CPU samples.
    pub(super) fn cpu(&self, id: &str, range: Range) -> Result<ProfileDto, CliError> {
        let mut query = range.query();
        query.extend([("type", "cpu".to_owned()), ("format", "json".to_owned())]);
        self.get(&format!("/api/v1/agents/{id}/profile"), &query)
    }

    /// A profile as the daemon writes it.
    pub(super) fn profile(
        &self,
        id: &str,
        range: Range,
        kind: &str,
        format: &str,
    ) -> Result<Vec<u8>, CliError> {
        let mut query = range.query();
        query.extend([("type", kind.to_owned()), ("format", format.to_owned())]);
        self.get_bytes(&format!("/api/v1/agents/{id}/profile"), &query)
    }

    /// What the daemon answers to `path`, as it is.
    pub(super) fn get_bytes(&self, path: &str, query: &[(&str, String)]) -> Result<Vec<u8>, CliError> {
        let mut response = self.accepted(self.call(path, query)?)?;
        let read = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        read.map_err(|e| self.unreachable(&e))
    }

    fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, CliError> {
        self.read(self.call(path, query)?)
    }

    fn call(&self, path: &str, query: &[(&str, String)]) -> Result<Response<Body>, CliError> {
        let request = self.agent.get(format!("{}{path}", self.url));
        let request = request.query_pairs(query.iter().map(|(k, v)| (*k, v.as_str())));
        request.call().map_err(|e| self.unreachable(&e))
    }

    fn read<T: DeserializeOwned>(&self, response: Response<Body>) -> Result<T, CliError> {
        let mut response = self.accepted(response)?;
        let read = response.body_mut().with_config().limit(MAX_ANSWER).read_json();
        read.map_err(|error| match error {
            ureq::Error::Json(_) => self.foreign("its answer has another shape"),
            other => self.unreachable(&other),
        })
    }

    /// The response, unless it is a refusal.
    fn accepted(&self, response: Response<Body>) -> Result<Response<Body>, CliError> {
        match response.status().as_u16() {
            200..=299 => Ok(response),
            404 | 410 => Err(CliError::Gone(self.problem(response))),
            400..=499 => Err(CliError::Refused(self.problem(response))),
            _ => Err(CliError::Failed(self.problem(response))),
        }
    }

    /// The sentence of a refusal.
    fn problem(&self, mut response: Response<Body>) -> String {
        let status = response.status();
        match response.body_mut().with_config().limit(1 << 20).read_json::<ProblemDto>() {
            Ok(problem) => problem.detail,
            Err(_) => self.foreign(&format!("it answers {status}")).to_string(),
        }
    }

    fn foreign(&self, what: &str) -> CliError {
        CliError::Failed(format!("what answers at {} is no agentperf of this version: {what}", self.url))
    }

    fn unreachable(&self, error: &ureq::Error) -> CliError {
        CliError::Unreachable { url: self.url.clone(), reason: error.to_string() }
    }
}

/// The query for what an agent did in a range.
fn of_agent(id: &str, range: Range) -> Vec<(&'static str, String)> {
    range.query().into_iter().chain([("agent", id.to_owned())]).collect()
}

impl Range {
    fn query(self) -> Vec<(&'static str, String)> {
        self.from.map(|from| ("from", from.to_string())).into_iter().collect()
    }
}

/// Why an attach did not come about.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The process is watched already, or something else stands in the way.
    Conflict(String),
    /// Anything else.
    Other(CliError),
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Conflict(detail) => Self::Refused(detail),
            Refusal::Other(error) => error,
        }
    }
}
