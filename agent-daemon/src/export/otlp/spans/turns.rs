//! Turns as spans: what an agent does from the end of one idle gap to the beginning of the next is one invocation of it, and its
//! calls of models, of tools and of MCP servers are below that. The rule is that of `/turns`, followed while things happen.
//!
//! Limits: a turn begins with its first call, and is told when it is over. Where there is no ledger (the probe is off), a
//! call that takes longer than the gap may be a turn of its own, since it is known once it is over. What ends after the turn in
//! which it began was told (a tool in the background) is below its process.

use opentelemetry_proto::tonic::trace::v1::Span;

use super::{identity, ids, span, wire};
use crate::{
    model::{
        agent::Agent,
        operation::{MCP, Operation},
        time::Timestamp,
        window::Window,
    },
    store::query::TURN_GAP,
};

/// A turn that goes on.
#[derive(Debug)]
struct Turn {
    /// Its span.
    id: Vec<u8>,
    from: Timestamp,
    to: Timestamp,
    llm_calls: i64,
    tool_calls: i64,
    /// Tokens that models read and wrote, where any was told.
    tokens: [Option<u64>; 2],
}

/// The turns of an agent.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The one that goes on, if any.
    open: Option<Turn>,
    /// When the last one ended that was told.
    told_until: Option<Timestamp>,
}

impl Turns {
    /// The span that an operation is under, if it is done in a turn; work begins one. What is over by that is told.
    pub(super) fn operation(
        &mut self,
        agent: &Agent,
        operation: &Operation,
    ) -> (Option<Vec<u8>>, Option<Span>) {
        let (from, to) = (operation.start, operation.end());
        if !operation.is_work() {
            let turn = self.open.as_ref().filter(|turn| operation.kind == MCP && turn.is_near(from, from));
            return (turn.map(|turn| turn.id.clone()), None);
        }
        if self.told_until.is_some_and(|told| from < told) {
            return (None, None);
        }
        let is_next = self.open.as_ref().is_some_and(|turn| !turn.is_near(from, to));
        let over = if is_next { self.end(agent) } else { None };
        let turn = self.open.get_or_insert_with(|| Turn::new(ids::turn_span(agent, operation), (from, to)));
        turn.add(operation);
        (Some(turn.id.clone()), over)
    }

    /// A window of the agent is over: whether a turn is, too.
    pub(super) fn window(&mut self, agent: &Agent, window: &Window) -> Option<Span> {
        let turn = self.open.as_mut()?;
        if window.is_busy() && turn.is_near(window.start, window.end) {
            turn.to = turn.to.max(window.end);
        }
        let is_over = later(turn.to) <= window.end;
        if is_over { self.end(agent) } else { None }
    }

    /// Nothing more is done in it.
    pub(super) fn end(&mut self, agent: &Agent) -> Option<Span> {
        let turn = self.open.take()?;
        self.told_until = Some(turn.to);
        let mut attributes = identity(agent);
        attributes.extend([
            wire::text("gen_ai.operation.name", "invoke_agent"),
            wire::number("agentperf.turn.llm_calls", turn.llm_calls),
            wire::number("agentperf.turn.tool_calls", turn.tool_calls),
        ]);
        let told = ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"].into_iter().zip(turn.tokens);
        attributes.extend(
            told.filter_map(|(key, tokens)| {
                Some(wire::number(key, i64::try_from(tokens?).unwrap_or(i64::MAX)))
            }),
        );
        Some(Span {
            span_id: turn.id,
            parent_span_id: ids::agent_span(agent),
            name: format!("invoke_agent {}", agent.name),
            ..span(agent, attributes, turn.from, turn.to)
        })
    }
}

impl Turn {
    fn new(id: Vec<u8>, (from, to): (Timestamp, Timestamp)) -> Self {
        Self { id, from, to, llm_calls: 0, tool_calls: 0, tokens: [None; 2] }
    }

    /// Whether less than a gap lies between it and this time.
    fn is_near(&self, from: Timestamp, to: Timestamp) -> bool {
        from < later(self.to) && self.from < later(to)
    }

    fn add(&mut self, operation: &Operation) {
        (self.from, self.to) = (self.from.min(operation.start), self.to.max(operation.end()));
        let Some(llm) = &operation.llm else {
            self.tool_calls += 1;
            return;
        };
        self.llm_calls += 1;
        for (sum, tokens) in self.tokens.iter_mut().zip([llm.tokens.input, llm.tokens.output]) {
            if let Some(tokens) = tokens {
                *sum = Some(sum.unwrap_or(0).saturating_add(tokens));
            }
        }
    }
}

/// When an agent that has been idle since is in no turn any more.
fn later(since: Timestamp) -> Timestamp {
    since.checked_add(TURN_GAP).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::{TracesData, span::SpanKind};
    use prost::Message as _;

    use super::*;
    use crate::{
        export::otlp::spans::Tracks,
        model::{
            agent::AgentEnd,
            record::{Arrived, Record},
        },
        store::fixture::{
            agent_at, at, llm_call_at, mcp_call_at, process_at, process_id, tool_call_at, window_at,
        },
    };

    /// Records in, spans out.
    struct World {
        tracks: Tracks,
        agent: Agent,
    }

    impl World {
        fn new() -> Self {
            let (mut tracks, agent) = (Tracks::new(), agent_at(at(0)));
            tracks.add(&Record::Agent(agent.clone()));
            tracks.add(&Record::Process(agent.id.clone(), process_at(100, at(0))));
            Self { tracks, agent }
        }

        /// What is sent of these, as a receiver reads it.
        fn told(&mut self, operations: Vec<Operation>) -> Vec<Span> {
            let whose =
                |one| Operation { agent: Some(self.agent.id.clone()), process: Some(process_id(100)), ..one };
            let operations = operations.into_iter().map(whose).collect();
            let arrived = Arrived { operations, sums: Vec::new(), place: None };
            received(self.tracks.add(&Record::Operations(Box::new(arrived))))
        }

        fn window(&mut self, second: i64, set: &str) -> Vec<Span> {
            let mut window = window_at(&self.agent.id, at(second), 0);
            window.ledger.sets = vec![(set.parse().unwrap(), 5_000_000_000)];
            received(self.tracks.add(&Record::Window(window)))
        }
    }

    fn received(spans: Vec<Span>) -> Vec<Span> {
        use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let sent =
            TracesData { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] };
        let mut read = TracesData::decode(&*sent.encode_to_vec()).unwrap();
        read.resource_spans.remove(0).scope_spans.remove(0).spans
    }

    fn lasting(seconds: u64, operation: Operation) -> Operation {
        Operation { duration_ns: seconds * 1_000_000_000, ..operation }
    }

    fn call(second: i64, n: u64) -> Operation {
        let mut call = lasting(2, llm_call_at(at(second), n));
        call.llm.iter_mut().for_each(|llm| llm.serves = false);
        call
    }

    const WORKS: &str = "own.poll+llm_stream+llm_read";
    const IDLE: &str = "own.terminal";

    #[test]
    fn calls_of_models_tools_and_servers_are_below_their_turn() {
        let mut world = World::new();
        let tool = lasting(1, tool_call_at(at(4), 10));
        let spans = world.told(vec![call(1, 2), tool, mcp_call_at(at(4), 1)]);
        let [chat, tool, mcp] = &spans[..] else { panic!("{spans:#?}") };
        assert_eq!(
            (&*chat.name, &*tool.name, &*mcp.name),
            ("chat gpt", "execute_tool cargo test", "tools/call add")
        );
        let kinds = [chat, tool, mcp].map(|span| span.kind);
        assert_eq!(kinds, [SpanKind::Client, SpanKind::Internal, SpanKind::Client].map(i32::from));
        assert!(world.window(0, WORKS).is_empty(), "it may go on");
        let [turn] = &world.window(5, IDLE)[..] else { panic!("it is over") };
        assert_eq!(turn.name, "invoke_agent worker");
        assert!(
            spans.iter().all(|span| span.parent_span_id == turn.span_id && span.trace_id == turn.trace_id)
        );
        assert_eq!(turn.parent_span_id, ids::agent_span(&world.agent));
        let times = (turn.start_time_unix_nano, turn.end_time_unix_nano);
        assert_eq!(times, (wire::nanoseconds(at(1)), wire::nanoseconds(at(5))));
        for (span, expected) in [
            (turn, wire::text("gen_ai.operation.name", "invoke_agent")),
            (turn, wire::number("gen_ai.usage.input_tokens", 2)),
            (turn, wire::number("agentperf.turn.tool_calls", 1)),
            (chat, wire::text("gen_ai.operation.name", "chat")),
            (chat, wire::text("gen_ai.provider.name", "openai")),
            (chat, wire::text("gen_ai.request.model", "gpt")),
            (chat, wire::text("gen_ai.response.model", "gpt-2")),
            (chat, wire::texts("gen_ai.response.finish_reasons", &["stop".to_owned()])),
            (chat, wire::number("gen_ai.usage.reasoning.output_tokens", 1)),
            (chat, wire::truth("gen_ai.request.stream", true)),
            (chat, wire::real("gen_ai.response.time_to_first_chunk", 0.0004)),
            (chat, wire::text("server.address", "api.example")),
            (tool, wire::text("gen_ai.tool.name", "cargo test")),
            (tool, wire::text("error.type", "exit_3")),
            (mcp, wire::text("mcp.method.name", "tools/call")),
            (mcp, wire::text("gen_ai.operation.name", "execute_tool")),
        ] {
            assert!(span.attributes.contains(&expected), "{expected:?} of {:#?}", span.attributes);
        }
        let process = ids::process_span(&world.agent, process_id(100));
        assert!(spans.iter().all(|span| span.links.iter().any(|link| link.span_id == process)), "who did it");
    }

    #[test]
    fn a_tool_in_the_background_is_of_no_later_turn() {
        let mut world = World::new();
        let first = world.told(vec![call(1, 2)]);
        let [turn] = &world.window(15, IDLE)[..] else { panic!("it is over") };
        assert_eq!(turn.span_id, first[0].parent_span_id);
        let second = world.told(vec![call(100, 4)]);
        let background = lasting(100, tool_call_at(at(2), 10));
        let [tool] = &world.told(vec![background])[..] else { panic!("nothing is over") };
        assert_eq!(tool.parent_span_id, ids::process_span(&world.agent, process_id(100)));
        let [turn] = &world.window(120, IDLE)[..] else { panic!("it is over") };
        let begun = turn.start_time_unix_nano;
        assert_eq!((&turn.span_id, begun), (&second[0].parent_span_id, wire::nanoseconds(at(100))));
    }

    #[test]
    fn an_idle_gap_divides_turns_and_work_without_calls_does_not() {
        let mut world = World::new();
        let mut first = world.told(vec![call(1, 2)]);
        assert!([0, 5, 10].iter().all(|second| world.window(*second, WORKS).is_empty()), "it computes");
        let second = world.told(vec![call(17, 4)]);
        first.extend(second);
        assert_eq!(first[0].parent_span_id, first[1].parent_span_id);
        let over = world.told(vec![call(40, 6)]);
        let [turn, third] = &over[..] else { panic!("{over:#?}") };
        assert_eq!(
            (&turn.span_id, turn.end_time_unix_nano),
            (&first[0].parent_span_id, wire::nanoseconds(at(19)))
        );
        assert_ne!(third.parent_span_id, turn.span_id);
        // An agent takes its last turn with it.
        let ended = Agent { ended: Some((at(50), AgentEnd::Exited)), ..world.agent.clone() };
        let last = world.tracks.add(&Record::Agent(ended));
        assert!(last.iter().any(|span| span.span_id == third.parent_span_id), "{last:#?}");
    }
}
