//! The OpenAPI document, from the routes themselves, and its page. The page is rendered here and not by a
//! script from another host: this is a host's tool and must work without a network.

use std::{collections::BTreeMap, fmt::Write, sync::LazyLock};

use axum::response::Response;
use serde_json::Value;
use utoipa::{
    IntoResponses, OpenApi,
    openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder},
};

use super::{
    dto::problem::ProblemDto,
    html::{escape, page},
    routes,
};

/// What the document says besides the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "agentperf",
        description = "Where do the time and the machine go that AI agents on this host use? Times are RFC 3339, \
                       durations are seconds, errors are application/problem+json. Ranges are chosen by `since` \
                       (such as 60s, 5m, 2h) or by `from` and `to`; without any, everything that is kept. Data \
                       ends with the last closed window, a few seconds ago.",
        contact(),
    ),
    components(schemas(ProblemDto)),
    tags(
        (name = "health", description = "Whether the daemon lives"),
        (name = "host", description = "The machine that agents run on"),
        (name = "agents", description = "What is watched"),
        (name = "reports", description = "What agents do"),
        (name = "alerts", description = "What is wrong"),
        (name = "doors", description = "For applications, to tell of operations"),
        (name = "pprof", description = "For pprof clients"),
        (name = "pages", description = "For people"),
    ),
)]
pub(super) struct Document;

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(|| routes::all().into_openapi());

/// The OpenAPI document of every route.
#[must_use]
pub fn document() -> &'static utoipa::openapi::OpenApi {
    &DOCUMENT
}

/// A problem response, for the document.
fn refusal(description: &str) -> RefOr<utoipa::openapi::Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new().description(description);
    response.content("application/problem+json", content).build().into()
}

/// What every route may answer.
pub(super) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let all = [
            ("400", "The request is not understood; `detail` says why"),
            ("403", "The request names another host, or comes from a web page of another origin"),
        ];
        all.map(|(status, description)| (status.to_owned(), refusal(description))).into()
    }
}

/// What every door for operations may answer.
pub(super) struct DoorRefusals;

impl IntoResponses for DoorRefusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let all = [
            ("400", "The body is not understood; `detail` says why"),
            ("401", "No project's key is shown"),
            ("403", "No project is configured, or the page's origin is not the project's"),
            ("408", "The body takes too long to arrive"),
            ("413", "The body is too large, or holds too many records"),
            ("415", "The body is of a type or encoding that is not understood"),
            ("429", "The project sends more than it may; `Retry-After` says when there is room"),
            ("503", "More is sent than the store takes just now; `Retry-After` says when to try again"),
        ];
        all.map(|(status, description)| (status.to_owned(), refusal(description))).into()
    }
}

/// What every route that changes something of the alerts may answer.
pub(super) struct OffRefusals;

impl IntoResponses for OffRefusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let mut all = Refusals::responses();
        all.extend([
            ("404".to_owned(), refusal("No silence has this id")),
            ("408".to_owned(), refusal("The body takes too long to arrive")),
            ("409".to_owned(), refusal("There are too many silences")),
            ("413".to_owned(), refusal("The body is too large")),
            ("415".to_owned(), refusal("The body is not JSON")),
            ("503".to_owned(), refusal("Alerts are off, or the daemon stops")),
        ]);
        all
    }
}

/// What the route of a tool call may answer.
pub(super) struct ToolRefusals;

impl IntoResponses for ToolRefusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let mut all = Refusals::responses();
        all.insert("404".to_owned(), refusal("No tool call of this id is kept one by one"));
        all
    }
}

/// What every route below an agent may answer.
pub(super) struct AgentRefusals;

impl IntoResponses for AgentRefusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let mut all = Refusals::responses();
        all.insert("404".to_owned(), refusal("No agent has this id"));
        all
    }
}

/// The document as a page: every operation with its parameters and answers.
pub(super) fn docs_page() -> Response {
    let document = serde_json::to_value(document()).unwrap_or_default();
    let mut body = format!(
        "<p>{}</p>\n<p>The document itself: <a href=\"/api/v1/openapi.json\">openapi.json</a></p>\n",
        text(&document, "/info/description")
    );
    for tag in document.pointer("/tags").and_then(Value::as_array).into_iter().flatten() {
        let _ = writeln!(body, "<h2>{}</h2>", text(tag, "/description"));
        for (path, method, operation) in operations(&document) {
            if operation.pointer("/tags/0") == tag.get("name") {
                body.push_str(&operation_html(path, method, operation));
            }
        }
    }
    page("API", None, &body)
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    entries(document, "paths").flat_map(|(path, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations.map(|(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

fn operation_html(path: &str, method: &str, operation: &Value) -> String {
    let mut html = format!(
        "<details><summary><span class=\"tag\">{}</span> <code>{}</code> <span class=\"soft\">{}</span></summary>\n\
         <p>{}</p>\n<table>\n",
        escape(&method.to_uppercase()),
        escape(path),
        text(operation, "/summary"),
        text(operation, "/description"),
    );
    for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten() {
        let (name, place) = (text(parameter, "/name"), text(parameter, "/in"));
        html.push_str(&row(&name, &place, &text(parameter, "/description")));
    }
    for (status, response) in entries(operation, "responses") {
        let types: Vec<_> = entries(response, "content").map(|(name, _)| escape(name)).collect();
        html.push_str(&row(&escape(status), &types.join(", "), &text(response, "/description")));
    }
    html.push_str("</table></details>\n");
    html
}

fn row(name: &str, kind: &str, description: &str) -> String {
    format!("<tr><td><code>{name}</code></td><td class=\"soft\">{kind}</td><td>{description}</td></tr>\n")
}

fn entries<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(key).and_then(Value::as_object).into_iter().flatten()
}

/// The text at this place, fit for the page; empty where there is none.
fn text(value: &Value, pointer: &str) -> String {
    escape(value.pointer(pointer).and_then(Value::as_str).unwrap_or_default())
}
