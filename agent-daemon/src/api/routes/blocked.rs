//! Who an agent waits for at this moment.

use std::time::Duration;

use axum::{Json, extract::State as Shared};

use crate::{
    api::{
        dto::{blocked::BlockedOnDto, problem::ProblemDto, stack::StackDto},
        error::Problem,
        extract::{AgentPath, Nothing, StrictQuery},
        openapi::AgentRefusals,
        state::State,
    },
    blocked::{Proc, blocked},
    model::{
        blocked::{ThreadWait, Waits, WaitsError},
        time::{TimeRange, Timestamp},
    },
    store::{
        Store,
        query::{self, OffCpuFold, StackTotal},
    },
};

/// How far back stacks of waits that still go on are looked for: windows wait for their names.
const STACKS_SINCE: Duration = Duration::from_secs(20);

/// Blocked on
///
/// Who the agent waits for at this moment: from each of its own threads that waits, through children, pipes, sockets and locks
/// to the thread that holds all of them up, in whatever process, with what each waits for and since when. `stack` is that
/// of the process's longest such wait of the last windows.
#[utoipa::path(get, path = "/api/v1/agents/{id}/blocked-on", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS")),
    responses(
        (status = 200, body = BlockedOnDto, description = "The chains"),
        (status = 409, body = ProblemDto, content_type = "application/problem+json", description = "It has ended, or is watched by no probe that tells"),
        (status = 500, body = ProblemDto, content_type = "application/problem+json", description = "agentperf failed; its log says why"),
        (status = 503, body = ProblemDto, content_type = "application/problem+json", description = "agentperf is shutting down, or the processes cannot be looked at: one of them does not answer"),
        AgentRefusals,
    ))]
pub(super) async fn blocked_on(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    _: StrictQuery<Nothing>,
) -> Result<Json<BlockedOnDto>, Problem> {
    let waits = match state.control.waits(id.clone()).await {
        // One that was attached this moment is not stored yet: the agents' owner is asked first.
        Err(error @ WaitsError::NotWatched(_)) => {
            state.agent(&id)?;
            return Err(error.into());
        }
        waits => waits?,
    };
    let look = state.look(move |store| {
        let found = blocked(&waits, &mut Proc::new(&waits));
        let stacks = stacks(store, &waits)?;
        Ok(BlockedOnDto::new(id.to_string(), &waits, &found, |thread| stack(&stacks, thread)))
    });
    look.await.map(Json)
}

/// What the agents of these threads waited for lately, the longest first.
fn stacks(store: &dyn Store, waits: &Waits) -> Result<Vec<StackTotal>, Problem> {
    let from = waits.at.checked_sub(STACKS_SINCE).unwrap_or(Timestamp::MIN);
    let range = TimeRange { from, ..TimeRange::ALL };
    let Some(agent) = waits.agents.get(&waits.slot) else { return Ok(Vec::new()) };
    Ok(query::over(store, agent, range, OffCpuFold::default())?.stacks)
}

/// Where a thread waits: threads of one process that wait alike share the longest wait's.
fn stack(stacks: &[StackTotal], thread: &ThreadWait) -> Option<StackDto> {
    let cause = thread.state?.wait_cause()?;
    let same = |row: &&StackTotal| {
        row.process == thread.process && row.cause == cause && row.syscall == thread.syscall
    };
    stacks.iter().find(same).map(|row| row.stack.as_ref().into())
}
