//! How the daemon stands: probes, losses, its own cost.

use std::sync::atomic::Ordering;

use axum::{Json, extract::State as Shared};

use crate::{
    api::{
        dto::status::{AgentCountsDto, OwnUsageDto, StatusDto},
        error::Problem,
        extract::{Nothing, StrictQuery},
        openapi::Refusals,
        state::State,
    },
    model::time::Timestamp,
    telemetry::own_usage,
};

/// How the daemon stands
///
/// Version, kernel, every probe with its state and reason, everything that was lost, every door out, and what agentperf
/// itself costs.
#[utoipa::path(get, path = "/api/v1/status", tag = "health",
    responses((status = 200, body = StatusDto, description = "How it stands"), Refusals))]
pub(super) async fn status(
    Shared(state): Shared<State>,
    _: StrictQuery<Nothing>,
) -> Result<Json<StatusDto>, Problem> {
    let agents = state.store.agents();
    let ended = agents.iter().filter(|a| a.ended.is_some()).count();
    let own = own_usage();
    let losses = state.telemetry.losses.all();
    Ok(Json(StatusDto {
        version: state.host.version.to_owned(),
        ready: *state.ready.borrow(),
        started: state.host.started,
        uptime_seconds: Timestamp::now().duration_since(state.host.started).as_secs_f64(),
        hostname: state.host.hostname.clone(),
        kernel: state.host.kernel.clone(),
        boot_id: state.host.boot_id.clone(),
        agents: AgentCountsDto { live: agents.len() - ended, ended },
        probes: state.telemetry.probes().into_iter().map(Into::into).collect(),
        losses: losses.into_iter().map(|(name, n)| (name.to_owned(), n)).collect(),
        exporters: state.telemetry.exporters().into_iter().map(Into::into).collect(),
        alerts: state.telemetry.alerts.now().into(),
        own: OwnUsageDto {
            cpu_seconds: own.cpu_seconds,
            rss_bytes: own.rss_bytes,
            unwind_table_bytes: state.telemetry.unwind_table_bytes.load(Ordering::Relaxed),
        },
    }))
}
