//! Operations: lists and summaries.

use axum::{Json, extract::State as Shared};
use serde::Deserialize;
use utoipa::ToSchema;

use super::report::{limit, offset};
use crate::{
    api::{
        dto::{
            names::OperationSourceDto,
            operation::{OperationListDto, OperationSummaryDto},
        },
        error::Problem,
        extract::{AgentPath, StrictQuery},
        openapi::{AgentRefusals, Refusals},
        range::RangeQuery,
        state::State,
    },
    model::{
        id::AgentId,
        time::{TimeRange, Timestamp},
    },
    store::query::{self, GroupBy, OperationFilter, Order},
};

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// How far back, such as `60s`.
    since: Option<String>,
    /// Start of the range; without any range, the last hour, or an agent's present watch.
    from: Option<String>,
    /// End of the range.
    to: Option<String>,
    /// Only of this project.
    project: Option<String>,
    /// Only of this kind.
    kind: Option<String>,
    /// Only of this name.
    name: Option<String>,
    /// Only what came this way; if absent, what applications told of, not what agentperf saw by itself.
    #[param(inline)]
    source: Option<OperationSourceDto>,
    /// Only what this agent's processes sent.
    agent: Option<String>,
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

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SummaryParams {
    /// How far back, such as `60s`.
    since: Option<String>,
    /// Start of the range; without any range, the last hour.
    from: Option<String>,
    /// End of the range.
    to: Option<String>,
    /// Only of this project.
    project: Option<String>,
    /// Only of this kind.
    kind: Option<String>,
    /// Only of this name.
    name: Option<String>,
    /// Only what came this way; if absent, what applications told of, not what agentperf saw by itself.
    #[param(inline)]
    source: Option<OperationSourceDto>,
    /// Only what this agent's processes sent.
    agent: Option<String>,
    /// What is added up together; endpoints if absent.
    #[serde(default)]
    #[param(inline)]
    by: ByDto,
    /// How many groups at most, 1 to 1000; 100 if absent.
    limit: Option<usize>,
}

/// Which operations come first.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OrderDto {
    /// Those that began last.
    #[default]
    Newest,
    /// Those that took longest.
    Slowest,
}

/// What operations are added up by.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ByDto {
    /// Kind and name.
    #[default]
    Endpoint,
    /// Kind and language model.
    Model,
    /// The agent that sent them.
    Agent,
    /// The user, of operations that are kept one by one.
    User,
    /// The session, of operations that are kept one by one.
    Session,
}

/// Operations
///
/// What applications told of: one by one, as long as they are kept so (`history.raw`). An operation that an agent's process
/// sent has links to that process's stacks of its time.
#[utoipa::path(get, path = "/api/v1/operations", tag = "reports", params(ListParams),
    responses((status = 200, body = OperationListDto, description = "A page of operations"), Refusals))]
pub(super) async fn list(
    Shared(state): Shared<State>,
    StrictQuery(params): StrictQuery<ListParams>,
) -> Result<Json<OperationListDto>, Problem> {
    let agent = agent(params.agent.as_deref())?;
    let range = asked(&params).resolve_recent(Timestamp::now())?;
    page(&state, params, agent, range).await
}

/// An agent's operations
///
/// What its processes told of.
#[utoipa::path(get, path = "/api/v1/agents/{id}/operations", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), ListParams),
    responses((status = 200, body = OperationListDto, description = "A page of operations"), AgentRefusals))]
pub(super) async fn of_agent(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<ListParams>,
) -> Result<Json<OperationListDto>, Problem> {
    if params.agent.is_some() {
        return Err(Problem::bad_request("the agent stands in the path already: leave out `agent`"));
    }
    let known = state.agent(&id)?;
    let range = asked(&params).resolve(&known, Timestamp::now())?;
    page(&state, params, Some(id), range).await
}

async fn page(
    state: &State,
    params: ListParams,
    agent: Option<AgentId>,
    range: TimeRange,
) -> Result<Json<OperationListDto>, Problem> {
    let limit = limit(params.limit, 50)?;
    let offset = offset(params.offset)?;
    let order = match params.order {
        OrderDto::Newest => Order::Newest,
        OrderDto::Slowest => Order::Slowest,
    };
    let ListParams { project, kind, name, source, failed, .. } = params;
    let filter = OperationFilter { project, kind, name, agent, source: source.map(Into::into), failed };
    let fold = state.fold(move |store| {
        let page = query::operations(store, range, &filter, (order, offset, limit))?;
        Ok(OperationListDto::new(&page, range.bounds(), offset))
    });
    fold.await.map(Json)
}

/// Operations added up
///
/// Rates, error rates, percentiles, bytes, users and sessions, by endpoint, model, agent, user or session. Spans and
/// metrics of the same work stand apart, by `source`, and are not added up together: `total` leaves out the `otlp_metrics`
/// of a project's kind of which operations came in another way, too; `sources` has all that came in each way.
#[utoipa::path(get, path = "/api/v1/operations/summary", tag = "reports", params(SummaryParams),
    responses((status = 200, body = OperationSummaryDto, description = "The groups, most time first"), Refusals))]
pub(super) async fn summary(
    Shared(state): Shared<State>,
    StrictQuery(params): StrictQuery<SummaryParams>,
) -> Result<Json<OperationSummaryDto>, Problem> {
    let limit = limit(params.limit, 100)?;
    let agent = agent(params.agent.as_deref())?;
    let SummaryParams { since, from, to, project, kind, name, source, by, .. } = params;
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let range = range.resolve_recent(Timestamp::now())?;
    let by = match by {
        ByDto::Endpoint => GroupBy::Endpoint,
        ByDto::Model => GroupBy::Model,
        ByDto::Agent => GroupBy::Agent,
        ByDto::User => GroupBy::User,
        ByDto::Session => GroupBy::Session,
    };
    let source = source.map(Into::into);
    let filter = OperationFilter { project, kind, name, agent, source, failed: false };
    let fold = state.fold(move |store| {
        let summary = query::operation_summary(store, range, &filter, by)?;
        Ok(OperationSummaryDto::new(&summary, range, limit))
    });
    fold.await.map(Json)
}

fn asked(params: &ListParams) -> RangeQuery<'_> {
    RangeQuery { since: params.since.as_deref(), from: params.from.as_deref(), to: params.to.as_deref() }
}

fn agent(text: Option<&str>) -> Result<Option<AgentId>, Problem> {
    text.map(str::parse).transpose().map_err(Problem::bad_request)
}
