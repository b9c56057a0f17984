//! What pprof clients expect: `go tool pprof http://HOST/debug/pprof/profile?seconds=N&pid=P` records for
//! that long and answers with the profile. A process that no agent has is attached for the time, by the CPU
//! probe only, and detached at the end, also when the client gives up.

use std::{fmt::Write, sync::Arc, time::Duration};

use axum::{
    extract::State as Shared,
    response::{IntoResponse, Response},
};
use rustc_hash::FxHashSet;
use serde::Deserialize;
use tokio::{sync::Mutex, time::sleep};

use super::{
    agents::checked_pid,
    profile::{not_watched, pprof_of},
};
use crate::{
    api::{
        dto::problem::ProblemDto,
        error::Problem,
        extract::{Nothing, StrictQuery},
        formats::Subject,
        html::{escape, page},
        openapi::Refusals,
        state::State,
    },
    model::{
        agent::Agent,
        control::{AttachError, AttachRequest, Control, Start},
        id::AgentId,
        probe::{Probe, ProbeSet},
        time::{TimeRange, Timestamp},
    },
    store::query,
};

/// How long to record unless told otherwise, seconds.
const SECONDS: u32 = 30;

/// How long may be recorded, seconds.
const MAX_SECONDS: u32 = 600;

/// A borrowed process is watched this much longer than needed, should its detach get lost.
const SLACK: Duration = Duration::from_secs(10);

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// How long to record; 30 if absent, 600 at most.
    #[param(minimum = 1, maximum = 600)]
    seconds: Option<u32>,
    /// The process to record, with everything below it.
    #[param(minimum = 1, maximum = 4_194_304)]
    pid: i64,
}

/// Record a CPU profile
///
/// As `go tool pprof` asks for it. A process that is not watched is attached for the time.
#[utoipa::path(get, path = "/debug/pprof/profile", tag = "pprof",
    params(Params),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream", description = "The profile, gzipped"),
        (status = 404, body = ProblemDto, content_type = "application/problem+json", description = "There is no such process"),
        (status = 409, body = ProblemDto, content_type = "application/problem+json", description = "The process cannot be profiled as things stand, or is being recorded for another request"),
        (status = 503, body = ProblemDto, content_type = "application/problem+json", description = "agentperf is shutting down"),
        Refusals,
    ))]
pub(super) async fn profile(
    Shared(state): Shared<State>,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Response, Problem> {
    let pid = checked_pid(params.pid)?;
    let seconds = params.seconds.unwrap_or(SECONDS);
    if !(1..=MAX_SECONDS).contains(&seconds) {
        return Err(Problem::bad_request(format_args!("`seconds` must be between 1 and {MAX_SECONDS}")));
    }
    let length = Duration::from_secs(seconds.into());
    let (agent, loan) = borrow(&state, pid, length).await?;
    if !agent.probes.contains(Probe::Cpu) {
        return Err(not_watched(&Subject::new(agent, Vec::new()), Probe::Cpu));
    }
    let range = record(&state, loan, length).await;
    let fold = state.fold(move |store| {
        let processes = store.processes(&agent.id, TimeRange::ALL)?;
        let mut alive = processes.iter().filter(|p| p.id.pid() == pid);
        let root = alive.next_back().map_or(agent.root, |p| p.id);
        let tree = query::descendants(&processes, root);
        pprof_of(store, &Subject::new(agent, processes), range, &tree)
    });
    Ok(fold.await?.into_response())
}

/// A process that is watched only for one recording. Dropped, it is no longer.
struct Loan(Option<Borrowed>);

/// Who is watched for one recording.
struct Borrowed {
    control: Control,
    loans: Loans,
    id: AgentId,
}

/// Every agent that is watched for one recording.
type Loans = Arc<Mutex<FxHashSet<AgentId>>>;

impl Borrowed {
    async fn give_back(self) {
        // Whoever wants the process from now on finds it free, or not yet.
        let mut loans = self.loans.lock().await;
        // It may have exited meanwhile: then it has been given back already.
        let _ = self.control.detach(self.id.clone()).await;
        loans.remove(&self.id);
    }
}

impl Loan {
    async fn give_back(mut self) {
        if let Some(borrowed) = self.0.take() {
            // A task of its own, since the client may give up in the middle.
            let _ = tokio::spawn(borrowed.give_back()).await;
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(borrowed) = self.0.take() {
            tokio::spawn(borrowed.give_back());
        }
    }
}

/// The live agent that `pid` belongs to, or one made for the occasion.
async fn borrow(state: &State, pid: u32, length: Duration) -> Result<(Agent, Option<Loan>), Problem> {
    let request = AttachRequest {
        pid,
        name: None,
        duration: Some(length + SLACK),
        probes: Some(ProbeSet::from_iter([Probe::Cpu])),
        start: Start::Now,
    };
    // Held until it is known whose the process is: two that ask at once must not both think it watched.
    let mut loans = state.loans.lock().await;
    match state.control.attach(request).await {
        Ok(agent) => {
            let id = agent.id.clone();
            loans.insert(id.clone());
            let borrowed = Borrowed { control: state.control.clone(), loans: state.loans.clone(), id };
            Ok((agent, Some(Loan(Some(borrowed)))))
        }
        // It will be let go before this recording would end.
        Err(AttachError::AlreadyAttached { agent, .. }) if loans.contains(&agent) => {
            let detail = format!("process {pid} is being recorded for another request: ask again after it");
            Err(Problem::conflict("being-recorded", "Being recorded", detail))
        }
        Err(AttachError::AlreadyAttached { agent, .. }) => Ok((state.agent(&agent)?, None)),
        Err(error) => Err(error.into()),
    }
}

/// Waits, and sees to it that the time waited for can be read from the store.
async fn record(state: &State, loan: Option<Loan>, length: Duration) -> TimeRange {
    if loan.is_none() {
        // What came before belongs to windows of its own.
        state.control.flush().await;
    }
    let from = Timestamp::now();
    sleep(length).await;
    let to = Timestamp::now();
    match loan {
        Some(loan) => loan.give_back().await,
        None => state.control.flush().await,
    }
    TimeRange { from, to }
}

/// What pprof clients can fetch
#[utoipa::path(get, path = "/debug/pprof/", tag = "pprof",
    responses((status = 200, body = String, content_type = "text/html; charset=utf-8", description = "A page"), Refusals))]
pub(super) async fn index(Shared(state): Shared<State>, _: StrictQuery<Nothing>) -> Response {
    let mut body = format!(
        "<p>Record a process and everything below it, watched already or not:</p>\n\
         <pre>go tool pprof 'http://{}/debug/pprof/profile?seconds=30&amp;pid=PID'</pre>\n\
         <h2>What is watched now, 30 seconds of CPU time</h2>\n<table>\n",
        state.listen
    );
    for agent in state.store.agents().into_iter().filter(|a| a.ended.is_none()) {
        let (name, pid) = (escape(&agent.name), agent.root.pid());
        let _ = writeln!(
            body,
            "<tr><td>{name}</td><td><a href=\"/debug/pprof/profile?seconds=30&amp;pid={pid}\">{pid}</a></td></tr>"
        );
    }
    body.push_str("</table>\n");
    page("pprof", None, &body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::control::Command;

    #[tokio::test]
    async fn a_loan_is_given_back_even_if_nobody_waits() {
        let (control, mut commands) = Control::channel();
        let id = AgentId::new(7, 0);
        let loans = Loans::default();
        loans.lock().await.insert(id.clone());
        drop(Loan(Some(Borrowed { control, loans, id: id.clone() })));
        let command = commands.recv().await;
        assert!(matches!(command, Some(Command::Detach(given_back, _)) if given_back == id));
    }
}
