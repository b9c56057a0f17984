//! What an agent sent, received and connected to.

use axum::{Json, extract::State as Shared};
use serde::Deserialize;
use utoipa::ToSchema;

use super::report::{Page, subject};
use crate::{
    api::{
        dto::network::{NetworkDto, NetworkReportDto},
        error::Problem,
        extract::{AgentPath, StrictQuery},
        openapi::AgentRefusals,
        range::RangeQuery,
        state::State,
    },
    model::{network::NetworkStat, probe::Probe, time::Timestamp},
    store::query::{self, CoveredFold, NetworkBy, NetworkFold},
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
    /// What a row is; a peer if absent.
    #[serde(default)]
    #[param(inline)]
    by: Over,
    /// How many rows at most, 1 to 1000; 100 if absent.
    limit: Option<usize>,
    /// How many are left out at the beginning, at most 10000.
    offset: Option<usize>,
}

/// What traffic is summed over.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Over {
    /// Each peer: address, port, protocol and side.
    #[default]
    Peer,
    /// Each process.
    Process,
    /// Each host, by its name, else by its address.
    Host,
}

/// Network
///
/// What the agent's processes sent and received by calls on sockets, with whom, and how connecting went. Bytes need a
/// kernel of 6.3 or later; a connect that finds no route is not seen, nor what io_uring's own threads send.
#[utoipa::path(get, path = "/api/v1/agents/{id}/network", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = NetworkReportDto, description = "A page of peers, and all together"), AgentRefusals))]
pub(super) async fn network(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<NetworkReportDto>, Problem> {
    let agent = state.agent(&id)?;
    let Params { since, from, to, by, .. } = &params;
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let range = range.resolve(&agent, Timestamp::now())?;
    let page = Page::asked(params.limit, 100, params.offset)?;
    let by = match by {
        Over::Peer => NetworkBy::Peer,
        Over::Process => NetworkBy::Process,
        Over::Host => NetworkBy::Host,
    };
    let fold = state.fold(move |store| {
        let subject = subject(store, agent, by == NetworkBy::Process)?;
        let folds = (CoveredFold::default(), NetworkFold::new(by));
        let (covered, totals) = query::over(store, &id, range, folds)?;
        let shown =
            |row: &NetworkStat| NetworkDto::new(row, by, subject.comm(row.process).map(str::to_owned));
        let (shown_rows, next_offset) = page.of(&totals.rows);
        Ok(NetworkReportDto {
            agent: id.to_string(),
            covered: covered.map(Into::into),
            watched: subject.agent.probes.contains(Probe::Network),
            total: (&totals.total).into(),
            outside: (&totals.outside).into(),
            rows: totals.rows.len() as u64,
            next_offset,
            peers: shown_rows.map(shown).collect(),
        })
    });
    fold.await.map(Json)
}
