//! Every route, one file per resource. Routes are registered only here and only with their documentation,
//! so that the OpenAPI document cannot forget one.

mod agents;
mod alerts;
mod blocked;
mod calls;
mod calls_by;
mod content;
mod coverage;
mod cuda;
mod dashboard;
mod disk;
mod files;
mod gpus;
mod health;
mod http;
mod ingest;
mod ledger;
mod llm_summary;
mod locks;
mod longest;
mod metrics;
mod network;
mod off_cpu;
mod operations;
mod pages;
mod pprof;
mod processes;
mod profile;
mod quality;
mod reactions;
mod report;
mod status;
mod syscalls;
mod system;
mod timeline;
mod tools;
mod turns;

use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{openapi::Document, state::State};

/// All routes and their document.
pub(super) fn all() -> OpenApiRouter<State> {
    doors(OpenApiRouter::with_openapi(Document::openapi()))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(status::status))
        .routes(routes!(dashboard::dashboard))
        .routes(routes!(system::info))
        .routes(routes!(system::metrics))
        .routes(routes!(agents::list, agents::attach))
        .routes(routes!(agents::get, agents::detach))
        .routes(routes!(processes::processes))
        .routes(routes!(gpus::gpus))
        .routes(routes!(cuda::cuda))
        .routes(routes!(files::files))
        .routes(routes!(syscalls::syscalls))
        .routes(routes!(off_cpu::off_cpu))
        .routes(routes!(locks::locks))
        .routes(routes!(network::network))
        .routes(routes!(disk::disk))
        .routes(routes!(http::http))
        .routes(routes!(ledger::ledger))
        .routes(routes!(blocked::blocked_on))
        .routes(routes!(longest::longest))
        .routes(routes!(timeline::timeline))
        .routes(routes!(turns::turns))
        .routes(routes!(profile::profile))
        .routes(routes!(quality::quality))
        .routes(routes!(operations::list))
        .routes(routes!(operations::summary))
        .routes(routes!(operations::of_agent))
        .routes(routes!(tools::of_agent))
        .routes(routes!(tools::get))
        .routes(routes!(calls::llm))
        .routes(routes!(llm_summary::summary))
        .routes(routes!(calls::mcp))
        .routes(routes!(content::content))
        .routes(routes!(coverage::all))
        .routes(routes!(coverage::of_agent))
        .routes(routes!(alerts::list))
        .routes(routes!(alerts::history))
        .routes(routes!(alerts::rules))
        .routes(routes!(alerts::silences, alerts::silence))
        .routes(routes!(alerts::unsilence))
        .routes(routes!(alerts::receivers))
        .routes(routes!(alerts::test))
        .routes(routes!(reactions::list))
        .routes(routes!(reactions::dump))
        .routes(routes!(reactions::undo))
        .routes(routes!(reactions::file))
        .routes(routes!(pprof::index))
        .routes(routes!(pprof::profile))
        .routes(routes!(pages::front))
        .routes(routes!(pages::docs))
        .routes(routes!(pages::openapi))
}

/// Those that applications tell of operations by.
fn doors(router: OpenApiRouter<State>) -> OpenApiRouter<State> {
    router
        .routes(routes!(ingest::traces))
        .routes(routes!(ingest::metrics))
        .routes(routes!(ingest::collect))
        .routes(routes!(ingest::batch))
        .routes(routes!(ingest::frontend))
}
