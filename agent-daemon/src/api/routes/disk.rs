//! What an agent had devices read and write.

use axum::{Json, extract::State as Shared};
use serde::Deserialize;
use utoipa::ToSchema;

use super::report::{Page, subject};
use crate::{
    api::{
        dto::disk::{DiskReportDto, DiskRequestsDto},
        error::Problem,
        extract::{AgentPath, StrictQuery},
        openapi::AgentRefusals,
        range::RangeQuery,
        state::State,
    },
    model::{disk::DiskStat, probe::Probe, time::Timestamp},
    store::query::{self, CoveredFold, DiskBy, DiskFold},
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
    /// What a row is, beside the operation; a device if absent.
    #[serde(default)]
    #[param(inline)]
    by: Over,
    /// How many rows at most, 1 to 1000; 100 if absent.
    limit: Option<usize>,
    /// How many are left out at the beginning, at most 10000.
    offset: Option<usize>,
}

/// What block I/O is summed over.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Over {
    /// Each device.
    #[default]
    Device,
    /// Each process.
    Process,
}

/// Disk
///
/// Block I/O that the agent's processes caused: reads, writes past the page cache, what they waited for to be written,
/// and what the kernel wrote of theirs in the background. What a file system writes for itself, such as its journal, is
/// nobody's. Where one device stands on another, both count.
#[utoipa::path(get, path = "/api/v1/agents/{id}/disk", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = DiskReportDto, description = "A page of sums"), AgentRefusals))]
pub(super) async fn disk(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<DiskReportDto>, Problem> {
    let agent = state.agent(&id)?;
    let Params { since, from, to, by, .. } = &params;
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let range = range.resolve(&agent, Timestamp::now())?;
    let page = Page::asked(params.limit, 100, params.offset)?;
    let by = match by {
        Over::Device => DiskBy::Device,
        Over::Process => DiskBy::Process,
    };
    let fold = state.fold(move |store| {
        let subject = subject(store, agent, by == DiskBy::Process)?;
        let folds = (CoveredFold::default(), DiskFold::new(by));
        let (covered, rows) = query::over(store, &id, range, folds)?;
        let shown =
            |row: &DiskStat| DiskRequestsDto::new(row, by, subject.comm(row.process).map(str::to_owned));
        let (shown_rows, next_offset) = page.of(&rows);
        Ok(DiskReportDto {
            agent: id.to_string(),
            covered: covered.map(Into::into),
            watched: subject.agent.probes.contains(Probe::Disk),
            rows: rows.len() as u64,
            next_offset,
            requests: shown_rows.map(shown).collect(),
        })
    });
    fold.await.map(Json)
}
