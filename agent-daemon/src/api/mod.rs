//! The HTTP interface: routes, wire types, refusals. Reads the store, asks the agents' owner through
//! [`Control`](crate::model::control::Control), and changes nothing else.
//!
//! For loopback: no authentication, hence the [guard](guard) against web pages that reach for it. Every
//! refusal is an `application/problem+json`; every range is answered from closed windows.

mod doors;
pub mod dto;
mod error;
mod extract;
mod formats;
mod guard;
mod html;
mod openapi;
mod peer;
mod range;
mod routes;
mod server;
mod state;

pub use openapi::document;
pub use server::{BindError, bind, serve};
pub use state::State;

use axum::{Router, extract::DefaultBodyLimit, middleware};

/// The largest request body, bytes.
const MAX_BODY: usize = 64 * 1024;

/// Every route, ready to serve.
pub fn router(state: State) -> Router {
    let guard = guard::Guard::new(state.listen.ip(), state.ingest.clone());
    let (router, _) = routes::all().split_for_parts();
    // The last layer is the first to see a request: refusals of the guard are rendered, too.
    router
        .fallback(error::not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(guard::headers))
        .layer(middleware::from_fn_with_state(guard, guard::refuse_strangers))
        .layer(middleware::from_fn(error::render))
        .with_state(state)
}
