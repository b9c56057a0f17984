//! Operations as spans of their agent's trace: under the turn that they are part of, with a link to the process, or else under
//! the process that sent them. Their own place in a trace, where it is told, is a link, so that both traces stay whole.

use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    trace::v1::{
        Span, Status,
        span::{Link, SpanKind},
        status::StatusCode,
    },
};

use super::{Track, Tracks, identity, ids, llm, span, wire};
use crate::model::{
    agent::Agent,
    id::ProcessId,
    operation::{Operation, TOOL, Tool, TraceContext},
    process::Exit,
    wire::Role,
};

/// What OpenTelemetry calls it that an agent runs a tool.
const EXECUTE_TOOL: &str = "execute_tool";

impl Tracks {
    /// The spans of operations whose agents are watched, and of the turns that are over by them; others are nobody's.
    pub(super) fn operations(&mut self, operations: &[Operation]) -> Vec<Span> {
        // A turn begins with the first that was done in it, and what ends first is told first.
        let mut operations: Vec<&Operation> = operations.iter().collect();
        operations.sort_by_key(|operation| operation.start);
        operations.into_iter().flat_map(|operation| self.operation(operation)).collect()
    }

    fn operation(&mut self, operation: &Operation) -> Vec<Span> {
        let track = operation.agent.as_ref().and_then(|agent| self.agents.get_mut(agent));
        let Some(Track { agent, live, turns }) = track else { return Vec::new() };
        let inside = |process: &ProcessId| live.contains_key(process) || self.ended.contains(process);
        let process = operation.process.filter(inside).map(|process| ids::process_span(agent, process));
        let (turn, over) = turns.operation(agent, operation);
        let mut links: Vec<Link> = operation.trace.map(link).into_iter().collect();
        if turn.is_some() {
            let of = |span_id: &Vec<u8>| Link {
                trace_id: ids::trace(agent),
                span_id: span_id.clone(),
                ..Link::default()
            };
            links.extend(process.as_ref().map(of));
        }
        let parent = turn.or(process).unwrap_or_else(|| ids::agent_span(agent));
        over.into_iter().chain([Span { links, ..operation_span(agent, operation, parent) }]).collect()
    }
}

fn operation_span(agent: &Agent, operation: &Operation, parent_span_id: Vec<u8>) -> Span {
    let (from, to) = (operation.start, operation.end());
    let failed = || Status { message: String::new(), code: StatusCode::Error.into() };
    Span {
        span_id: ids::operation_span(agent, operation),
        parent_span_id,
        name: name(operation),
        kind: kind(operation).into(),
        status: (!operation.success).then(failed),
        ..span(agent, attributes(agent, operation), from, to)
    }
}

fn link(TraceContext { trace, span, .. }: TraceContext) -> Link {
    Link { trace_id: trace.to_vec(), span_id: span.to_vec(), ..Link::default() }
}

/// As OpenTelemetry names spans of HTTP: the method, then the route.
fn name(operation: &Operation) -> String {
    // As it names those of models: the operation, then the model.
    if let Some(llm) = &operation.llm {
        return [llm.asked.name()]
            .into_iter()
            .chain(operation.model.as_deref())
            .collect::<Vec<_>>()
            .join(" ");
    }
    match &operation.method {
        Some(method) => format!("{method} {}", operation.name),
        None if operation.kind == TOOL => format!("{EXECUTE_TOOL} {}", operation.name),
        None => operation.name.clone(),
    }
}

fn kind(operation: &Operation) -> SpanKind {
    match operation.kind.as_str() {
        "mcp" if operation.label("agentperf.mcp.role") == Some(Role::Server.name()) => SpanKind::Server,
        "http_server" | "rpc_server" | "server" => SpanKind::Server,
        "http_client" | "rpc_client" | "client" | "db" | "llm" | "mcp" | "api_call" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

fn attributes(agent: &Agent, operation: &Operation) -> Vec<KeyValue> {
    let mut attributes = identity(agent);
    let asked = operation.llm.as_ref().map_or(&operation.model, |llm| &llm.request_model);
    let is_tool = operation.kind == TOOL;
    let executes = is_tool || operation.label("mcp.method.name") == Some("tools/call");
    let route = Some(&operation.name).filter(|_| operation.kind == "http_server");
    let texts = [
        ("agentperf.operation.project", Some(&*operation.project).filter(|project| !project.is_empty())),
        ("agentperf.operation.source", Some(operation.source.name())),
        ("agentperf.operation.kind", Some(operation.kind.as_str())),
        ("http.route", route.map(String::as_str)),
        ("http.request.method", operation.method.as_deref()),
        ("error.type", operation.error_type.as_deref()),
        ("gen_ai.request.model", asked.as_deref()),
        ("gen_ai.operation.name", Some(EXECUTE_TOOL).filter(|_| executes)),
        ("gen_ai.tool.name", Some(operation.name.as_str()).filter(|_| is_tool)),
        ("user.id", operation.user.as_deref()),
        ("session.id", operation.session.as_deref()),
    ];
    attributes.extend(texts.iter().filter_map(|(key, value)| value.map(|value| wire::text(key, value))));
    let bytes = operation.bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    let numbers = [
        ("http.response.status_code", operation.status.map(i64::from)),
        ("agentperf.operation.bytes", bytes),
        ("process.pid", operation.process.map(|process| process.pid().into())),
    ];
    attributes.extend(numbers.iter().filter_map(|(key, value)| value.map(|value| wire::number(key, value))));
    attributes.extend(operation.tool.iter().flat_map(|tool| of_tool(tool)));
    attributes.extend(operation.llm.iter().flat_map(|llm| llm::attributes(llm)));
    // A key stands in a span once.
    let own = attributes.len();
    for (key, value) in &operation.labels {
        if attributes.iter().take(own).all(|known| known.key != *key) {
            attributes.push(wire::text(key, value));
        }
    }
    attributes
}

/// How a tool call ended and what it cost, in OpenTelemetry's words where it has any.
fn of_tool(tool: &Tool) -> Vec<KeyValue> {
    let number = |key, value: u64| wire::number(key, i64::try_from(value).unwrap_or(i64::MAX));
    let bill = &tool.bill;
    let exit = match tool.exit {
        Some(Exit::Code(code)) => Some(wire::number("process.exit.code", code.into())),
        Some(Exit::Signal { number, .. }) => Some(wire::number("agentperf.tool.signal", number.into())),
        None => None,
    };
    let numbers = [
        ("agentperf.tool.cpu.user_ns", bill.user_ns),
        ("agentperf.tool.cpu.system_ns", bill.system_ns),
        ("agentperf.tool.peak_rss_bytes", bill.peak_rss_bytes),
        ("agentperf.tool.read_bytes", bill.read_bytes),
        ("agentperf.tool.written_bytes", bill.written_bytes),
        ("agentperf.tool.read_chars", bill.read_chars),
        ("agentperf.tool.written_chars", bill.written_chars),
        ("agentperf.tool.processes", bill.processes),
    ];
    let network = tool.network.iter().flat_map(|network| {
        [
            ("agentperf.tool.network.sent_bytes", network.sent_bytes),
            ("agentperf.tool.network.received_bytes", network.received_bytes),
        ]
    });
    let numbers = numbers.into_iter().chain(network).map(|(key, value)| number(key, value));
    exit.into_iter().chain([wire::text("agentperf.tool.end", tool.end.name())]).chain(numbers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            agent::AgentEnd,
            process::Exit,
            record::{Arrived, Record},
        },
        store::fixture::{agent_at, at, operation_at, process_at, process_id, sums_at},
    };

    fn told(tracks: &mut Tracks, operations: Vec<Operation>) -> Vec<Span> {
        let arrived = Arrived { operations, sums: vec![sums_at(at(0), 3)], place: None };
        tracks.add(&Record::Operations(Box::new(arrived)))
    }

    fn of(agent: &Agent, n: u64) -> Operation {
        Operation { agent: Some(agent.id.clone()), ..operation_at(at(2), n) }
    }

    fn watched() -> (Tracks, Agent) {
        let (mut tracks, agent) = (Tracks::new(), agent_at(at(0)));
        tracks.add(&Record::Agent(agent.clone()));
        tracks.add(&Record::Process(agent.id.clone(), process_at(100, at(1))));
        (tracks, agent)
    }

    #[test]
    fn an_operation_is_a_span_under_its_process() {
        let (mut tracks, agent) = watched();
        let [good, bad] = told(&mut tracks, vec![of(&agent, 7), of(&agent, 10)]).try_into().unwrap();
        let mut ended = process_at(100, at(1));
        (ended.ended, ended.exit) = (Some(at(5)), Some(Exit::Code(0)));
        let [process] = tracks.add(&Record::Process(agent.id.clone(), ended)).try_into().unwrap();
        for span in [&good, &bad] {
            assert_eq!((&span.trace_id, &span.parent_span_id), (&process.trace_id, &process.span_id));
            assert_eq!(
                (span.links[0].trace_id.as_slice(), span.links[0].span_id.as_slice()),
                (&[1; 16][..], &[2; 8][..])
            );
            assert_eq!((span.kind, span.name.as_str()), (SpanKind::Server.into(), "GET /orders/{id}"));
        }
        assert_ne!(good.span_id, bad.span_id);
        assert_eq!(good.end_time_unix_nano - good.start_time_unix_nano, 7_000_000);
        assert!(good.status.is_none());
        assert_eq!(bad.status.as_ref().map(|status| status.code), Some(StatusCode::Error.into()));
        for expected in [
            wire::text("error.type", "timeout"),
            wire::text("http.route", "/orders/{id}"),
            wire::text("http.request.method", "GET"),
            wire::number("http.response.status_code", 200),
            wire::text("gen_ai.request.model", "m-1"),
            wire::text("gen_ai.agent.id", agent.id.as_str()),
            wire::number("process.pid", 100),
        ] {
            assert!(bad.attributes.contains(&expected), "{expected:?}");
        }
        let mut keys: Vec<_> = bad.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), bad.attributes.len(), "no key twice");
    }

    #[test]
    fn of_a_process_that_is_not_known_the_agent_is_the_parent_and_of_no_agent_nothing_is_sent() {
        let (mut tracks, mut agent) = watched();
        let stranger = Operation { process: Some(process_id(999)), trace: None, ..of(&agent, 1) };
        let nobodys = Operation { agent: None, process: None, ..operation_at(at(2), 2) };
        let [span] = told(&mut tracks, vec![stranger, nobodys]).try_into().unwrap();
        assert_eq!(span.parent_span_id, ids::agent_span(&agent));
        assert!(span.links.is_empty());
        agent.ended = Some((at(9), AgentEnd::Exited));
        tracks.add(&Record::Agent(agent.clone()));
        assert!(told(&mut tracks, vec![of(&agent, 3)]).is_empty(), "its trace is over");
    }
}
