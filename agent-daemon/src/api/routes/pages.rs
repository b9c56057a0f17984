//! Pages for people: the agents, and the interface's documentation.

use std::fmt::Write;

use axum::{Json, extract::State as Shared, response::Response};

use crate::{
    api::{
        extract::{Nothing, StrictQuery},
        html::{escape, page},
        openapi::{Refusals, docs_page, document},
        state::State,
    },
    model::{agent::Agent, time::Timestamp},
    telemetry::Loss,
};

/// How often the front page is loaded anew, seconds.
const REFRESH: u32 = 5;

/// The agents, as a page
#[utoipa::path(get, path = "/", tag = "pages",
    responses((status = 200, body = String, content_type = "text/html; charset=utf-8", description = "A page"), Refusals))]
pub(super) async fn front(Shared(state): Shared<State>) -> Response {
    let agents = state.store.agents();
    let counts = state.telemetry.losses.all();
    // Of rows that were merged only detail is gone: no loss to a reader of sums.
    let merged = counts.get(Loss::RowsMerged.name()).copied().unwrap_or_default();
    let lost = counts.values().sum::<u64>() - merged;
    let host = &state.host;
    let mut body = format!(
        "<p class=\"soft\">{} · kernel {} · agentperf {} · {lost} losses · {merged} small rows merged</p>\n",
        escape(&host.hostname),
        escape(&host.kernel),
        host.version,
    );
    if agents.is_empty() {
        let _ = write!(
            body,
            "<p>Nothing is watched yet. To watch a process and everything below it:</p>\n\
             <pre>curl -H 'Content-Type: application/json' -d '{{\"pid\": PID}}' http://{}/api/v1/agents</pre>\n",
            state.listen
        );
    } else {
        body.push_str(
            "<table>\n<tr><th>Agent</th><th>Pid</th><th>Since</th><th>Probes</th><th>Reports</th></tr>\n",
        );
        let now = Timestamp::now();
        // Live ones first, the newest first.
        let (live, ended): (Vec<_>, Vec<_>) = agents.iter().rev().partition(|a| a.ended.is_none());
        body.extend(live.into_iter().chain(ended).map(|agent| agent_row(agent, now)));
        body.push_str("</table>\n");
    }
    page("Agents", Some(REFRESH), &body)
}

fn agent_row(agent: &Agent, now: Timestamp) -> String {
    let (state, since) = match agent.ended {
        None => ("live", ago(agent.attached, now)),
        Some((at, _)) => ("ended", format!("ended {}", ago(at, now))),
    };
    let probes: Vec<_> = agent.probes.iter().map(|p| p.name()).collect();
    let links = [
        ("processes", "processes"),
        ("syscalls", "syscalls"),
        ("off-CPU", "off-cpu"),
        ("CPU flame graph", "profile?type=cpu&amp;format=svg"),
        ("off-CPU flame graph", "profile?type=off_cpu&amp;format=svg"),
    ];
    let links = links.map(|(name, to)| format!("<a href=\"/api/v1/agents/{}/{to}\">{name}</a>", agent.id));
    format!(
        "<tr><td class=\"{state}\"><a href=\"/api/v1/agents/{}\">{}</a></td><td>{}</td>\
         <td class=\"soft\">{since}</td><td class=\"soft\">{}</td><td>{}</td></tr>\n",
        agent.id,
        escape(&agent.name),
        agent.root.pid(),
        probes.join(", "),
        links.join(" "),
    )
}

fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        _ => format!("{} h ago", seconds / 3600),
    }
}

/// This interface, as a page
#[utoipa::path(get, path = "/api/v1/docs", tag = "pages",
    responses((status = 200, body = String, content_type = "text/html; charset=utf-8", description = "A page"), Refusals))]
pub(super) async fn docs(_: StrictQuery<Nothing>) -> Response {
    docs_page()
}

/// This interface, as an OpenAPI document
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "pages",
    responses((status = 200, body = Object, description = "The document"), Refusals))]
pub(super) async fn openapi(_: StrictQuery<Nothing>) -> Json<&'static utoipa::openapi::OpenApi> {
    Json(document())
}
