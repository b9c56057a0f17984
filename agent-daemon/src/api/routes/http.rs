//! What an agent asked for over HTTP, and was asked for.

use axum::{Json, extract::State as Shared};
use serde::Deserialize;
use utoipa::ToSchema;

use super::report::{Page, subject};
use crate::{
    api::{
        dto::http::{HttpDto, HttpReportDto},
        error::Problem,
        extract::{AgentPath, StrictQuery},
        openapi::AgentRefusals,
        range::RangeQuery,
        state::State,
    },
    model::{http::HttpStat, probe::Probe, time::Timestamp},
    store::query::{self, CoveredFold, HttpBy, HttpFold},
};

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// How far back, such as `60s`.
    since: Option<String>,
    /// Start of the range; without any range, since the agent was attached.
    from: Option<String>,
    /// End of the range.
    to: Option<String>,
    /// What a row is; an endpoint and status if absent.
    #[serde(default)]
    #[param(inline)]
    by: Over,
    /// How many rows at most, 1 to 1000; 100 if absent.
    limit: Option<usize>,
    /// How many are left out at the beginning, at most 10000.
    offset: Option<usize>,
}

/// What exchanges are summed over.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Over {
    /// Each endpoint and status: side, server, port, method, route, kind, status.
    #[default]
    Endpoint,
    /// Each endpoint, however it answered.
    Route,
    /// Each server and port.
    Server,
    /// Each process.
    Process,
}

/// HTTP
///
/// What the agent's processes asked for over HTTP/1 and HTTP/2, with TLS and without, and what they were asked for: calls of
/// models and MCP servers too. An exchange is in the window in which it ended. What of TLS is seen, coverage says.
#[utoipa::path(get, path = "/api/v1/agents/{id}/http", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = HttpReportDto, description = "A page of endpoints, and all together"), AgentRefusals))]
pub(super) async fn http(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<HttpReportDto>, Problem> {
    let agent = state.agent(&id)?;
    let Params { since, from, to, by, .. } = &params;
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let range = range.resolve(&agent, Timestamp::now())?;
    let page = Page::asked(params.limit, 100, params.offset)?;
    let by = match by {
        Over::Endpoint => HttpBy::Endpoint,
        Over::Route => HttpBy::Route,
        Over::Server => HttpBy::Server,
        Over::Process => HttpBy::Process,
    };
    let fold = state.fold(move |store| {
        let subject = subject(store, agent, by == HttpBy::Process)?;
        let folds = (CoveredFold::default(), HttpFold::new(by));
        let (covered, totals) = query::over(store, &id, range, folds)?;
        let shown = |row: &HttpStat| HttpDto::new(row, by, subject.comm(row.process).map(str::to_owned));
        let (shown_rows, next_offset) = page.of(&totals.rows);
        Ok(HttpReportDto {
            agent: id.to_string(),
            covered: covered.map(Into::into),
            watched: subject.agent.probes.contains(Probe::Wire),
            asked: (&totals.asked).into(),
            served: (&totals.served).into(),
            rows: totals.rows.len() as u64,
            next_offset,
            endpoints: shown_rows.map(shown).collect(),
        })
    });
    fold.await.map(Json)
}
