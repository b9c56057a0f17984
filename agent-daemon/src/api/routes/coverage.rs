//! How much of what agents say is seen.

use std::time::Duration;

use axum::{Json, extract::State as Shared};

use crate::{
    api::{
        dto::coverage::{ContentCoverageDto, CoverageDto, ProcessCoverageDto, Sockets, UnreadProcessDto},
        error::Problem,
        extract::{AgentPath, Nothing, StrictQuery},
        openapi::{AgentRefusals, Refusals},
        state::State,
    },
    model::{
        agent::Agent,
        probe::{ProbeState, ProbeStatus},
        time::{TimeRange, Timestamp},
        wire::Unread,
    },
};

/// How long after its agent's end the end of a process may be told.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// Coverage
///
/// For each live process of an agent that uses TLS, serves by standard input or asks a model: which library, whether probes are attached to it, what was
/// seen of it, and why not all; and which processes ended before what they said to models was read. Calls of models that are not seen are not in `/api/v1/llm-calls`: here it says so.
#[utoipa::path(get, path = "/api/v1/coverage", tag = "reports",
    responses((status = 200, body = CoverageDto, description = "The processes"), Refusals))]
pub(super) async fn all(
    Shared(state): Shared<State>,
    _: StrictQuery<Nothing>,
) -> Result<Json<CoverageDto>, Problem> {
    of(&state, state.store.agents()).await
}

/// An agent's coverage
///
/// The same of one agent.
#[utoipa::path(get, path = "/api/v1/agents/{id}/coverage", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS")),
    responses((status = 200, body = CoverageDto, description = "The processes"), AgentRefusals))]
pub(super) async fn of_agent(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    _: StrictQuery<Nothing>,
) -> Result<Json<CoverageDto>, Problem> {
    let agent = state.agent(&id)?;
    of(&state, vec![agent]).await
}

async fn of(state: &State, agents: Vec<Agent>) -> Result<Json<CoverageDto>, Problem> {
    let telemetry = state.telemetry.clone();
    let sockets = unheard(&telemetry.probes());
    let kept = agents.iter().map(|agent| (agent, state.contents.of_agent(&agent.name, &agent.source)));
    let kept = kept.filter(|(agent, keep)| keep.is_any() && agent.ended.is_none());
    let content = kept.map(|(agent, keep)| ContentCoverageDto {
        agent: agent.id.to_string(),
        keeps: keep.parts().map(Into::into).collect(),
    });
    let content = content.collect();
    let fold = state.fold(move |store| {
        let now = Timestamp::now();
        let (processes, ended) = (Vec::new(), Vec::new());
        let mut coverage = CoverageDto { processes, silent_processes: 0, ended, content };
        let unread = telemetry.coverage.unread();
        for agent in &agents {
            let range = TimeRange { from: now, ..TimeRange::ALL };
            let live = if agent.ended.is_none() { store.processes(&agent.id, range)? } else { Vec::new() };
            for process in live.iter().filter(|process| process.ended.is_none()) {
                let attachments = telemetry.attachments.of(process.id);
                let seen = telemetry.coverage.of(process.id);
                match ProcessCoverageDto::new((&agent.id, process), &attachments, seen, (&sockets, now)) {
                    Some(process) => coverage.processes.push(process),
                    None => coverage.silent_processes += 1,
                }
            }
            if !unread.iter().any(|unread| may_have_had(agent, unread)) {
                continue;
            }
            for process in store.processes(&agent.id, TimeRange::ALL)? {
                let of_process = unread.iter().filter(|unread| unread.process == process.id);
                coverage
                    .ended
                    .extend(of_process.map(|unread| UnreadProcessDto::new(&agent.id, &process, unread)));
            }
        }
        // Who was watched more than once has such a process more than once.
        coverage.ended.sort_by_key(|process| (process.ended, process.pid));
        coverage.ended.dedup_by_key(|process| (process.ended, process.pid));
        Ok(coverage)
    });
    fold.await.map(Json)
}

/// Whether an agent was watched when a process ended, which is told a little after it.
fn may_have_had(agent: &Agent, unread: &Unread) -> bool {
    let is_before = |at: Timestamp| at.checked_add(AFTERWARDS).is_ok_and(|at| at < unread.ended);
    agent.attached <= unread.ended && !agent.ended.is_some_and(|(at, _)| is_before(at))
}

/// Why sockets do not tell what is said, if they do not.
fn unheard(programs: &[ProbeStatus]) -> Sockets {
    let is_missing = |program: &&ProbeStatus| {
        program.name == "wire_socket_send" && program.state == ProbeState::Unavailable
    };
    programs.iter().find(is_missing).map(|program| program.reason.clone().unwrap_or_default())
}
