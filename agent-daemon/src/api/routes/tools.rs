//! Tool calls: an agent's, and single ones.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State as Shared},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::report::{limit, offset};
use crate::{
    api::{
        dto::tool::{ToolDetailDto, ToolDto, ToolKindDto, ToolListDto},
        error::Problem,
        extract::{AgentPath, Nothing, StrictQuery},
        openapi::{AgentRefusals, ToolRefusals},
        range::RangeQuery,
        state::State,
    },
    model::{
        operation::{SERVER, Source, TOOL},
        time::{TimeRange, Timestamp},
    },
    store::query::{self, GroupBy, OperationFilter, Order},
};

/// Calls of one millisecond that are looked at.
const MAX_AT_ONCE: usize = 10_000;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// How far back, such as `60s`.
    since: Option<String>,
    /// Start of the range; without any range, the agent's present watch.
    from: Option<String>,
    /// End of the range.
    to: Option<String>,
    /// Only of this name.
    name: Option<String>,
    /// Tool calls, or servers.
    #[serde(default)]
    #[param(inline)]
    kind: ToolKindDto,
    /// Only those that failed.
    #[serde(default)]
    failed: bool,
    /// Which come first; the newest if absent.
    #[serde(default)]
    #[param(inline)]
    order: OrderDto,
    /// How many at most, 1 to 1000; 50 if absent.
    limit: Option<usize>,
    /// How many are left out at the beginning, at most 10000.
    offset: Option<usize>,
}

/// Which tool calls come first.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OrderDto {
    /// Those that began last.
    #[default]
    Newest,
    /// Those that took longest.
    Slowest,
    /// Those that used most CPU time.
    Busiest,
}

/// An agent's tool calls
///
/// The process trees that it ran, each from exec to the last exit, with its bill: CPU time, memory, bytes, processes, exit
/// code or signal. A call that is not over is not among them, and a call is told when the window closes in which it ended.
#[utoipa::path(get, path = "/api/v1/agents/{id}/tools", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), ListParams),
    responses((status = 200, body = ToolListDto, description = "A page of calls, and sums by name"), AgentRefusals))]
pub(super) async fn of_agent(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<ListParams>,
) -> Result<Json<ToolListDto>, Problem> {
    let known = state.agent(&id)?;
    let (limit, offset) = (limit(params.limit, 50)?, offset(params.offset)?);
    let asked =
        RangeQuery { since: params.since.as_deref(), from: params.from.as_deref(), to: params.to.as_deref() };
    let range = asked.resolve(&known, Timestamp::now())?;
    let order = match params.order {
        OrderDto::Newest => Order::Newest,
        OrderDto::Slowest => Order::Slowest,
        OrderDto::Busiest => Order::Busiest,
    };
    let kind = match params.kind {
        ToolKindDto::Tool => TOOL,
        ToolKindDto::Server => SERVER,
    };
    let filter = OperationFilter {
        kind: Some(kind.to_owned()),
        name: params.name,
        agent: Some(id),
        source: Some(Source::Kernel),
        failed: params.failed,
        ..OperationFilter::default()
    };
    let fold = state.fold(move |store| {
        let page = query::operations(store, range, &filter, (order, offset, limit))?;
        let all = OperationFilter { failed: false, ..filter };
        let summary = query::operation_summary(store, range, &all, GroupBy::Endpoint)?;
        Ok(ToolListDto::new(&page, &summary, range.bounds(), offset))
    });
    fold.await.map(Json)
}

/// A tool call
///
/// With its bill, what its threads waited for, the command line of its first process, and which answer of a model likely asked
/// for it. Calls are kept one by one for `history.raw`.
#[utoipa::path(get, path = "/api/v1/tools/{id}", tag = "reports",
    params(("id" = String, Path, description = "The call's id, PID-STARTMS")),
    responses((status = 200, body = ToolDetailDto, description = "The call"), ToolRefusals))]
pub(super) async fn get(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    _: StrictQuery<Nothing>,
) -> Result<Json<ToolDetailDto>, Problem> {
    let range = moment(&id).ok_or_else(|| {
        Problem::bad_request("a tool call's id is written PID-STARTMS, as in 4711-1763738400123")
    })?;
    let unknown = Problem::unknown_tool(&id);
    let fold = state.fold(move |store| {
        let filter = OperationFilter { source: Some(Source::Kernel), ..OperationFilter::default() };
        let page = query::operations(store, range, &filter, (Order::Newest, 0, MAX_AT_ONCE))?;
        let is_asked = |tool: &ToolDto| tool.id == id;
        let found = page.operations.iter().find_map(|o| Some((o, ToolDto::of(o).filter(is_asked)?)));
        let Some((operation, tool)) = found else { return Ok(None) };
        let process = match (&operation.agent, operation.process) {
            (Some(agent), Some(process)) => store.process(agent, process)?,
            _ => None,
        };
        let threads = query::tool_threads(store, operation)?;
        let asked = match &operation.agent {
            Some(agent) => query::answers(store, agent, range)?.of_tool(&tool.name, operation.start),
            None => None,
        };
        Ok(Some(ToolDetailDto::new(tool, process, (threads.as_ref(), operation.duration_ns), asked)))
    });
    let found = fold.await?;
    found.map(Json).ok_or(unknown)
}

/// The millisecond in which a call of this id began.
fn moment(id: &str) -> Option<TimeRange> {
    let (pid, ms) = id.split_once('-')?;
    pid.parse::<u32>().ok()?;
    let from = Timestamp::from_millisecond(ms.parse().ok()?).ok()?;
    Some(TimeRange { from, to: from.checked_add(Duration::from_millis(1)).ok()? })
}
