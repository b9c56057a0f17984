//! Calls of models added up: by model, provider or agent.

use axum::{Json, extract::State as Shared};
use serde::Deserialize;
use utoipa::ToSchema;

use super::report::of_agent_or_all;
use crate::{
    api::{
        dto::llm_sums::LlmSummaryDto, error::Problem, extract::StrictQuery, openapi::Refusals,
        range::RangeQuery, state::State,
    },
    model::operation::{LLM, Source, provider_of},
    store::query::{self, GroupBy, OperationFilter},
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
    /// What the calls are added up by; the model if absent.
    #[serde(default)]
    #[param(inline)]
    by: LlmBy,
}

/// What calls of models are added up by.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LlmBy {
    /// Provider and model.
    #[default]
    Model,
    /// Provider.
    Provider,
    /// Agent.
    Agent,
}

/// Calls of language models added up
///
/// Calls, failures, tokens, cost, times and speed by model, by provider or by agent, of all agents or one; most time first.
#[utoipa::path(get, path = "/api/v1/llm-calls/summary", tag = "reports", params(Params),
    responses((status = 200, body = LlmSummaryDto, description = "Sums, and the sum of all"), Refusals))]
pub(super) async fn summary(
    Shared(state): Shared<State>,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<LlmSummaryDto>, Problem> {
    let Params { since, from, to, agent, by } = params;
    let query = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let (agent, range) = of_agent_or_all(&state, agent.as_deref(), query)?;
    let (kind, source) = (Some(LLM.to_owned()), Some(Source::Wire));
    let filter = OperationFilter { agent, kind, source, ..OperationFilter::default() };
    let fold = state.fold(move |store| {
        let group_by = match by {
            LlmBy::Model | LlmBy::Provider => GroupBy::Model,
            LlmBy::Agent => GroupBy::Agent,
        };
        let summary = query::operation_summary(store, range, &filter, group_by)?;
        let groups = summary.groups.into_iter().map(|(group, sum)| {
            let model = group.model.filter(|_| matches!(by, LlmBy::Model));
            let provider = group.name.as_deref().map(|name| provider_of(name).to_owned());
            ((provider, model, group.agent), sum)
        });
        Ok(LlmSummaryDto::new(range, groups, &summary.total))
    });
    fold.await.map(Json)
}
