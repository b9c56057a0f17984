//! Calls of models and of MCP servers, as they were read off the wire.

use std::collections::HashMap;

use axum::{Json, extract::State as Shared};
use serde::Deserialize;
use utoipa::ToSchema;

use super::report::{limit, of_agent_or_all, offset};
use crate::{
    api::{
        dto::{llm::LlmCallListDto, mcp::McpCallListDto},
        error::Problem,
        extract::StrictQuery,
        openapi::Refusals,
        range::RangeQuery,
        state::State,
    },
    model::{
        id::AgentId,
        operation::{LLM, MCP, Operation, Source},
        time::{TimeRange, Timestamp},
    },
    store::{
        Store, StoreError,
        query::{self, Answers, GroupBy, OperationFilter, OperationPage, OperationSummary, Order},
    },
};

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// How far back, such as `60s`.
    since: Option<String>,
    /// Start of the range; without any range, the last hour, or an agent's present watch.
    from: Option<String>,
    /// End of the range.
    to: Option<String>,
    /// Only of this agent's processes.
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

/// Which calls come first.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OrderDto {
    /// Those that began last.
    #[default]
    Newest,
    /// Those that took longest.
    Slowest,
}

/// What was asked for.
struct Asked {
    range: TimeRange,
    filter: OperationFilter,
    page: (Order, usize, usize),
}

/// A page, the sums of its range, and the range as far as it has bounds.
type Found = (OperationPage, OperationSummary, (Option<Timestamp>, Option<Timestamp>));

impl Params {
    fn asked(self, state: &State, kind: &str) -> Result<Asked, Problem> {
        let query =
            RangeQuery { since: self.since.as_deref(), from: self.from.as_deref(), to: self.to.as_deref() };
        let (agent, range) = of_agent_or_all(state, self.agent.as_deref(), query)?;
        let order = match self.order {
            OrderDto::Newest => Order::Newest,
            OrderDto::Slowest => Order::Slowest,
        };
        let (kind, source) = (Some(kind.to_owned()), Some(Source::Wire));
        let filter =
            OperationFilter { agent, kind, source, failed: self.failed, ..OperationFilter::default() };
        Ok(Asked { range, filter, page: (order, offset(self.offset)?, limit(self.limit, 50)?) })
    }
}

impl Asked {
    async fn find<T: Send + 'static>(
        self,
        state: &State,
        by: GroupBy,
        show: impl FnOnce(&dyn Store, Found, usize) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let Self { range, filter, page } = self;
        let fold = state.fold(move |store| {
            let found = query::operations(store, range, &filter, page)?;
            let all = OperationFilter { failed: false, ..filter };
            let summary = query::operation_summary(store, range, &all, by)?;
            Ok(show(store, (found, summary, range.bounds()), page.1)?)
        });
        fold.await
    }
}

/// Calls of language models
///
/// Those that agents' processes made, as they were read off the wire: model, tokens, times, cost and failures, without
/// prompts and answers. A call is told when the window closes in which it ended. What is not seen `/api/v1/coverage` tells.
#[utoipa::path(get, path = "/api/v1/llm-calls", tag = "reports", params(Params),
    responses((status = 200, body = LlmCallListDto, description = "A page of calls, and sums by model"), Refusals))]
pub(super) async fn llm(
    Shared(state): Shared<State>,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<LlmCallListDto>, Problem> {
    let asked = params.asked(&state, LLM)?;
    let show = |_: &dyn Store, (page, sums, range): Found, offset| {
        Ok(LlmCallListDto::new(&page, &sums, range, offset))
    };
    asked.find(&state, GroupBy::Model, show).await.map(Json)
}

/// Calls of MCP servers
///
/// Requests of the Model Context Protocol and their answers: server, method, tool, duration and error, without arguments and
/// results.
#[utoipa::path(get, path = "/api/v1/mcp-calls", tag = "reports", params(Params),
    responses((status = 200, body = McpCallListDto, description = "A page of calls, and sums by name"), Refusals))]
pub(super) async fn mcp(
    Shared(state): Shared<State>,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<McpCallListDto>, Problem> {
    let asked = params.asked(&state, MCP)?;
    let show = |store: &dyn Store, (page, sums, range): Found, offset| {
        let answers = answers(store, &page)?;
        let asked =
            |call: &Operation, tool: &str| answers.get(call.agent.as_ref()?)?.of_mcp(tool, call.start);
        Ok(McpCallListDto::new((&page, asked), &sums, range, offset))
    };
    asked.find(&state, GroupBy::Endpoint, show).await.map(Json)
}

/// What models answered to the agents of these calls, around them.
fn answers(store: &dyn Store, page: &OperationPage) -> Result<HashMap<AgentId, Answers>, StoreError> {
    let mut ranges: HashMap<AgentId, TimeRange> = HashMap::new();
    for call in &page.operations {
        let Some(agent) = call.agent.clone() else { continue };
        let range = ranges.entry(agent).or_insert(TimeRange { from: call.start, to: call.end() });
        (range.from, range.to) = (range.from.min(call.start), range.to.max(call.end()));
    }
    let answers = |(agent, range)| Ok((AgentId::clone(&agent), query::answers(store, &agent, range)?));
    ranges.into_iter().map(answers).collect()
}
