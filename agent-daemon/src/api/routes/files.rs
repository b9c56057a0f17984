//! What an agent did with files.

use axum::{Json, extract::State as Shared};
use serde::Deserialize;
use utoipa::ToSchema;

use super::report::{Page, subject};
use crate::{
    api::{
        dto::file::{FileAmountsDto, FileDto, FileReportDto},
        error::Problem,
        extract::{AgentPath, StrictQuery},
        openapi::AgentRefusals,
        range::RangeQuery,
        state::State,
    },
    model::{file::FileStat, probe::Probe, time::Timestamp},
    store::query::{self, CoveredFold, FileBy, FileFold},
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
    /// What a row is; a path if absent.
    #[serde(default)]
    #[param(inline)]
    by: Over,
    /// How many rows at most, 1 to 1000; 100 if absent.
    limit: Option<usize>,
    /// How many are left out at the beginning, at most 10000.
    offset: Option<usize>,
}

/// What files are summed over.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Over {
    /// Each path.
    #[default]
    Path,
    /// Each directory, with the files right in it.
    Directory,
    /// Each process.
    Process,
}

/// Files
///
/// What the agent's processes opened, created, changed, deleted and renamed, by path; bytes, and time in fsync. Writes
/// through mappings and io_uring are not seen.
#[utoipa::path(get, path = "/api/v1/agents/{id}/files", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = FileReportDto, description = "A page of files, and all together"), AgentRefusals))]
pub(super) async fn files(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<FileReportDto>, Problem> {
    let agent = state.agent(&id)?;
    let Params { since, from, to, by, .. } = &params;
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let range = range.resolve(&agent, Timestamp::now())?;
    let page = Page::asked(params.limit, 100, params.offset)?;
    let by = match by {
        Over::Path => FileBy::Path,
        Over::Directory => FileBy::Directory,
        Over::Process => FileBy::Process,
    };
    let fold = state.fold(move |store| {
        let subject = subject(store, agent, by == FileBy::Process)?;
        let (covered, totals) = query::over(store, &id, range, (CoveredFold::default(), FileFold::new(by)))?;
        let shown = |row: &FileStat| FileDto::new(row, by, subject.comm(row.process).map(str::to_owned));
        let (shown_rows, next_offset) = page.of(&totals.rows);
        Ok(FileReportDto {
            agent: id.to_string(),
            covered: covered.map(Into::into),
            watched: subject.agent.probes.contains(Probe::Files),
            total: FileAmountsDto::from(&totals.total),
            rows: totals.rows.len() as u64,
            next_offset,
            files: shown_rows.map(shown).collect(),
        })
    });
    fold.await.map(Json)
}
