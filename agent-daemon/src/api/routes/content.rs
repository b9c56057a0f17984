//! What agents said, where the configuration has it kept.

use std::sync::Arc;

use axum::{extract::State as Shared, http::header, response::IntoResponse};
use serde::Deserialize;

use super::report::{limit, offset};
use crate::api::{
    dto::content::ContentListDto,
    error::Problem,
    extract::{AgentPath, StrictQuery},
    openapi::AgentRefusals,
    state::State,
};

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// Only of this call, by its id.
    call: Option<String>,
    /// How many calls at most, 1 to 1000; 20 if absent. Of calls that say much, fewer are told: see `next_offset`.
    limit: Option<usize>,
    /// How many are left out at the beginning, at most 10000.
    offset: Option<usize>,
}

/// What an agent said
///
/// Prompts, completions and arguments of tools, as far as the configuration has them kept (`content.agents`): of no agent,
/// unless the operator says so, and `keeps` is empty then. Secrets that are known by their looks are masked; what is none by
/// its looks is not. It is kept in memory only, as long as its call is kept one by one. Whoever may connect may ask, as for all else here.
#[utoipa::path(get, path = "/api/v1/agents/{id}/content", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = ContentListDto, description = "A page of calls with what was said in them"), AgentRefusals))]
pub(super) async fn content(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<impl IntoResponse, Problem> {
    let agent = state.agent(&id)?;
    let page = (offset(params.offset)?, limit(params.limit, 20)?);
    let call = params.call.as_deref().map(call).transpose()?;
    let contents = Arc::clone(&state.contents);
    let fold = state.fold(move |_| {
        let list =
            ContentListDto::new(contents.of_agent(&agent.name, &agent.source), &contents.of(&id, call), page);
        serde_json::to_vec(&list).map_err(|error| Problem::internal("content", &error))
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], fold.await?))
}

/// A call's id.
fn call(text: &str) -> Result<u64, Problem> {
    let is_id = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let read = is_id.then(|| u64::from_str_radix(text, 16).ok()).flatten();
    read.ok_or_else(|| {
        Problem::bad_request(
            "`call` must be a call's id, 16 hexadecimal digits, as /api/v1/llm-calls tells them",
        )
    })
}
