//! Agents: which there are, attach, detach.

use axum::{
    Json,
    extract::State as Shared,
    http::{HeaderValue, StatusCode, header},
    response::IntoResponse,
};

use crate::{
    api::{
        dto::{
            agent::{AgentDto, AgentListDto, AttachRequestDto},
            problem::ProblemDto,
        },
        error::Problem,
        extract::{AgentPath, Nothing, StrictJson, StrictQuery},
        openapi::{AgentRefusals, Refusals},
        range::duration,
        state::State,
    },
    model::{
        control::{AttachRequest, DetachError, Start},
        probe::Probe,
    },
};

/// The kernel's `PID_MAX_LIMIT`: no pid is larger.
const MAX_PID: u32 = 1 << 22;

/// The longest name of an agent, characters.
const MAX_NAME: usize = 100;

/// Which agents there are
#[utoipa::path(get, path = "/api/v1/agents", tag = "agents",
    responses((status = 200, body = AgentListDto, description = "Live and ended agents, oldest first"), Refusals))]
pub(super) async fn list(Shared(state): Shared<State>, _: StrictQuery<Nothing>) -> Json<AgentListDto> {
    Json(AgentListDto { agents: state.store.agents().into_iter().map(Into::into).collect() })
}

/// Watch a process and everything below it
#[utoipa::path(post, path = "/api/v1/agents", tag = "agents",
    request_body = AttachRequestDto,
    responses(
        (status = 201, body = AgentDto, description = "It is watched from now on",
            headers(("Location" = String, description = "Path of the agent"))),
        (status = 403, body = ProblemDto, content_type = "application/problem+json", description = "It is agentperf itself, or the request is a stranger's"),
        (status = 404, body = ProblemDto, content_type = "application/problem+json", description = "There is no such process, or it has exited"),
        (status = 408, body = ProblemDto, content_type = "application/problem+json", description = "The body took too long to come"),
        (status = 409, body = ProblemDto, content_type = "application/problem+json", description = "It is watched already, there are too many agents, the kernel hides it, or a probe that it names cannot work here"),
        (status = 413, body = ProblemDto, content_type = "application/problem+json", description = "The body is too large"),
        (status = 415, body = ProblemDto, content_type = "application/problem+json", description = "The body is not JSON"),
        (status = 500, body = ProblemDto, content_type = "application/problem+json", description = "agentperf failed; its log says why"),
        (status = 503, body = ProblemDto, content_type = "application/problem+json", description = "agentperf is shutting down"),
        Refusals,
    ))]
pub(super) async fn attach(
    Shared(state): Shared<State>,
    _: StrictQuery<Nothing>,
    StrictJson(request): StrictJson<AttachRequestDto>,
) -> Result<impl IntoResponse, Problem> {
    let agent = state.control.attach(checked(request)?).await?;
    let location = HeaderValue::from_str(&format!("/api/v1/agents/{}", agent.id))
        .map_err(|e| Problem::internal("location", &e))?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(AgentDto::from(agent))))
}

fn checked(request: AttachRequestDto) -> Result<AttachRequest, Problem> {
    let AttachRequestDto { pid, name, duration: text, probes, at_exec } = request;
    let duration = text.map(|text| duration("for", &text)).transpose()?;
    let name = name.map(checked_name).transpose()?;
    let probes = probes.map(|list| list.into_iter().map(Probe::from).collect());
    let start = if at_exec { Start::AtExec } else { Start::Now };
    Ok(AttachRequest { pid: checked_pid(pid)?, name, duration, probes, start })
}

/// A pid that there could be.
pub(super) fn checked_pid(pid: i64) -> Result<u32, Problem> {
    let possible = u32::try_from(pid).ok().filter(|pid| (1..=MAX_PID).contains(pid));
    possible.ok_or_else(|| Problem::bad_request(format_args!("`pid` must be between 1 and {MAX_PID}")))
}

fn checked_name(name: String) -> Result<String, Problem> {
    let length = name.chars().count();
    if name.trim().is_empty() || length > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Problem::bad_request(format_args!(
            "`name` must be 1 to {MAX_NAME} printable characters"
        )));
    }
    Ok(name)
}

/// One agent
#[utoipa::path(get, path = "/api/v1/agents/{id}", tag = "agents",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS")),
    responses((status = 200, body = AgentDto, description = "The agent"), AgentRefusals))]
pub(super) async fn get(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    _: StrictQuery<Nothing>,
) -> Result<Json<AgentDto>, Problem> {
    Ok(Json(state.agent(&id)?.into()))
}

/// Stop watching
///
/// Answers when everything up to now is stored. What is known of the agent is kept as long as the history.
#[utoipa::path(delete, path = "/api/v1/agents/{id}", tag = "agents",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS")),
    responses(
        (status = 200, body = AgentDto, description = "It is no longer watched"),
        (status = 409, body = ProblemDto, content_type = "application/problem+json", description = "It has ended already"),
        (status = 503, body = ProblemDto, content_type = "application/problem+json", description = "agentperf is shutting down"),
        AgentRefusals,
    ))]
pub(super) async fn detach(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    _: StrictQuery<Nothing>,
) -> Result<Json<AgentDto>, Problem> {
    match state.control.detach(id.clone()).await {
        Ok(agent) => Ok(Json(agent.into())),
        // The agents' owner forgets the ended sooner than the store does.
        Err(DetachError::NoSuchAgent(_)) if state.agent(&id)?.ended.is_some() => {
            Err(DetachError::Ended(id).into())
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::probe::ProbeSet;

    #[test]
    fn pids_that_cannot_be_are_refused() {
        for pid in [0, -1, i64::MIN, 4_194_305, i64::MAX] {
            assert!(checked_pid(pid).is_err(), "{pid}");
        }
        assert_eq!(checked_pid(1).unwrap(), 1);
        assert_eq!(checked_pid(4_194_304).unwrap(), 4_194_304);
    }

    #[test]
    fn names_are_short_and_printable() {
        for name in ["", "  ", "a\nb", "a\u{0}", &"x".repeat(101)] {
            assert!(checked_name(name.to_owned()).is_err(), "{name:?}");
        }
        assert!(checked_name("ein Täter".to_owned()).is_ok());
    }

    #[test]
    fn probes_may_be_left_open_and_may_be_none() {
        let probes = |probes| {
            let request = AttachRequestDto { pid: 1, name: None, duration: None, probes, at_exec: false };
            checked(request).unwrap().probes
        };
        assert_eq!(probes(None), None);
        assert_eq!(probes(Some(vec![])), Some(ProbeSet::EMPTY));
    }
}
