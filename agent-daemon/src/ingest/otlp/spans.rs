//! Spans as operations: what sort of work one was, and what to call it.

use super::{
    attributes::Attributes,
    envelope::{self, Encoding, FromResource},
    messages::{Resource, Span},
};
use crate::{
    ingest::{Desk, Draft, IngestError, limits},
    model::{operation::TraceContext, time::Timestamp},
};

/// Kinds of spans, by their numbers.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
/// A status that says that it failed.
const FAILED: i32 = 2;

/// The spans of a body.
#[derive(Debug)]
pub struct Spans<'a>(Vec<FromResource<'a>>);

impl<'a> Spans<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// It is no such request, or too large.
    pub fn read(body: &'a [u8], encoding: Encoding) -> Result<Self, IngestError> {
        envelope::open(body, encoding).map(Self)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|from| from.items.len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Brings every span to the desk.
    pub fn take(&self, desk: &mut Desk<'_>) {
        let mut index = 0;
        for FromResource { resource, items } in &self.0 {
            for item in items {
                desk.take(index, item.read().and_then(|span| draft(&span, resource)));
                index += 1;
            }
        }
    }
}

fn draft(span: &Span, resource: &Resource) -> Result<Draft, String> {
    let attributes = Attributes(&span.attributes);
    let of_resource = Attributes(&resource.attributes);
    let duration = span.end_time_unix_nano.checked_sub(span.start_time_unix_nano);
    let duration_ns = duration.ok_or_else(|| "ends before it begins".to_owned())?;
    let status = attributes.number(&["http.response.status_code", "http.status_code"]);
    let (kind, name, is_template) = named(span, attributes);
    let error_type = attributes.text(&["error.type", "exception.type"]);
    let least_error = if span.kind == SERVER { 500 } else { 400 };
    Ok(Draft {
        kind: kind.to_owned(),
        name,
        is_template,
        start: instant(span.start_time_unix_nano)?,
        duration_ns: limits::nanoseconds(duration_ns)?,
        bytes: attributes.number(&["http.response.body.size", "http.response_content_length"]),
        failed: span.status.is_some_and(|s| s.code == FAILED) || status.is_some_and(|s| s >= least_error),
        error_type: error_type.map(str::to_owned),
        method: attributes.text(&["http.request.method", "http.method"]).map(str::to_owned),
        status,
        model: attributes.text(&["gen_ai.request.model", "gen_ai.response.model"]).map(str::to_owned),
        user: attributes.text(&["user.id", "enduser.id"]).map(str::to_owned),
        session: attributes.text(&["session.id", "gen_ai.conversation.id"]).map(str::to_owned),
        trace: trace(span),
        labels: attributes.labels().chain(of_resource.labels()).collect(),
        calls: Vec::new(),
        claimed_pid: of_resource.number(&["process.pid"]).map(|pid| u32::try_from(pid).unwrap_or(0)),
    })
}

/// Kind, name, and whether the name is a template.
fn named(span: &Span, attributes: Attributes<'_>) -> (&'static str, String, bool) {
    let text = |names: &[&str]| attributes.text(names).unwrap_or_default();
    let of_span = |kind| (kind, span.name.clone(), false);
    if attributes.has("gen_ai.") {
        return of_span("llm");
    }
    if attributes.has("db.") {
        // Some libraries call a span by its statement, which may hold anything.
        let what = [
            text(&["db.operation.name", "db.operation"]),
            text(&["db.collection.name", "db.sql.table", "db.mongodb.collection"]),
        ];
        let parts: Vec<&str> = what.into_iter().filter(|part| !part.is_empty()).collect();
        let system = attributes.text(&["db.system.name", "db.system"]).unwrap_or("db");
        let name = if parts.is_empty() { system.to_owned() } else { parts.join(" ") };
        return ("db", name, false);
    }
    if attributes.has("rpc.") {
        let name = [text(&["rpc.service"]), text(&["rpc.method"])].join("/");
        return (if span.kind == SERVER { "rpc_server" } else { "rpc_client" }, name, true);
    }
    if attributes.has("messaging.") {
        return of_span("messaging");
    }
    let http = attributes.has("http.");
    match span.kind {
        SERVER if http => match attributes.text(&["http.route"]) {
            Some(route) => ("http_server", route.to_owned(), true),
            None => (
                "http_server",
                attributes.text(&["url.path", "http.target"]).unwrap_or(&span.name).to_owned(),
                false,
            ),
        },
        CLIENT if http => {
            let host = text(&["server.address", "net.peer.name", "http.host"]);
            let host = if host.is_empty() { host_of(text(&["url.full", "http.url"])) } else { host };
            let name = format!("{host}{}", text(&["url.template"]));
            ("http_client", if name.is_empty() { "unknown".to_owned() } else { name }, true)
        }
        SERVER => of_span("server"),
        CLIENT => of_span("client"),
        4 => of_span("producer"),
        5 => of_span("consumer"),
        _ => of_span("internal"),
    }
}

/// The host of a URL, without name and password.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

fn trace(span: &Span) -> Option<TraceContext> {
    Some(TraceContext {
        trace: span.trace_id.as_slice().try_into().ok()?,
        span: span.span_id.as_slice().try_into().ok()?,
        parent: span.parent_span_id.as_slice().try_into().ok(),
    })
}

pub(super) fn instant(ns: u64) -> Result<Timestamp, String> {
    Timestamp::from_nanosecond(i128::from(ns)).map_err(|_| "has a time that is none".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{
        super::messages::{AnyValue, KeyValue},
        *,
    };

    fn span(kind: i32, name: &str, attributes: &[(&str, &str)]) -> Draft {
        let key_value = |(key, value): &(&str, &str)| KeyValue {
            key: (*key).to_owned(),
            value: Some(AnyValue { string_value: Some((*value).to_owned()), ..AnyValue::default() }),
        };
        let span = Span {
            kind,
            name: name.to_owned(),
            attributes: attributes.iter().map(key_value).collect(),
            start_time_unix_nano: 1_000,
            end_time_unix_nano: 3_000,
            ..Span::default()
        };
        draft(&span, &Resource::default()).unwrap()
    }

    /// Kind and name of a span, its attributes; kind and name of the operation.
    type Case<'a> = (i32, &'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);

    #[test]
    fn spans_are_called_by_what_does_not_change() {
        let cases: [Case<'_>; 7] = [
            (2, "GET", &[("http.method", "GET"), ("http.route", "/o/<id>")], "http_server", "/o/<id>"),
            (
                2,
                "GET",
                &[("http.method", "GET"), ("http.target", "/o/5?a=planted")],
                "http_server",
                "/o/5?a=planted",
            ),
            (
                3,
                "GET",
                &[("http.url", "https://u:planted@shop.example/x?planted")],
                "http_client",
                "shop.example",
            ),
            (
                3,
                "SELECT planted",
                &[("db.system", "sqlite"), ("db.statement", "SELECT planted")],
                "db",
                "sqlite",
            ),
            (
                3,
                "x",
                &[("db.system", "p"), ("db.operation", "SELECT"), ("db.sql.table", "t")],
                "db",
                "SELECT t",
            ),
            (3, "chat m", &[("gen_ai.request.model", "m")], "llm", "chat m"),
            (1, "render", &[], "internal", "render"),
        ];
        for (number, name, attributes, kind, expected) in cases {
            let draft = span(number, name, attributes);
            assert_eq!((draft.kind.as_str(), draft.name.as_str()), (kind, expected));
        }
        assert!(span(3, "x", &[("http.status_code", "404")]).failed);
        assert!(!span(2, "x", &[("http.status_code", "404")]).failed);
    }

    #[test]
    fn json_is_read_like_protocol_buffers() {
        let body = br#"{"resourceSpans": [{"resource": {"attributes": [{"key": "process.pid", "value": {"intValue": "7"}}]},
            "scopeSpans": [{"scope": {"name": "x"}, "spans": [{"traceId": "0102030405060708090a0b0c0d0e0f10",
            "spanId": "0102030405060708", "name": "work", "kind": 1, "startTimeUnixNano": "1000", "endTimeUnixNano": 3000,
            "attributes": [{"key": "a", "value": {"arrayValue": {"values": []}}}], "events": [{"name": "planted"}],
            "status": {"code": 2, "message": "planted"}}, {"startTimeUnixNano": "x"}]}]}]}"#;
        let spans = Spans::read(body, Encoding::Json).unwrap();
        assert_eq!(spans.len(), 2);
        let first = draft(&spans.0[0].items[0].read().unwrap(), &spans.0[0].resource).unwrap();
        assert_eq!((first.duration_ns, first.failed, first.claimed_pid), (2_000, true, Some(7)));
        assert_eq!(first.trace.map(|t| t.span), Some([1, 2, 3, 4, 5, 6, 7, 8]));
        assert!(!format!("{first:?}").contains("planted"));
        assert!(spans.0[0].items[1].read::<Span>().is_err());
    }
}
