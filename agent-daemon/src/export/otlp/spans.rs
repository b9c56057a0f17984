//! Agents and processes as spans: one trace for an agent's lifetime, its root the agent, below it the processes, each
//! under its parent. A span is told when what it is about has ended, as OTLP wants it.
//! Operations are spans under the process that sent them; calls of models and tools, under the turn in which they were made.

mod llm;
mod operations;
mod turns;

use std::num::NonZeroUsize;

use lru::LruCache;
use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    trace::v1::{Span, Status, span::SpanKind, status::StatusCode},
};
use rustc_hash::FxHashMap;

use self::turns::Turns;
use super::{ids, wire};
use crate::model::{
    agent::{Agent, AgentEnd, AgentSource},
    id::{AgentId, ProcessId},
    process::{Exit, Process},
    record::Record,
    signal_names::signal_name,
    time::Timestamp,
};

/// Processes that ended, remembered so that what is said of one later makes no second span, and children find their
/// parents.
const ENDED: NonZeroUsize = NonZeroUsize::new(8192).expect("not zero");
/// Live processes that are followed, over all agents.
const MAX_LIVE: usize = 100_000;

/// The flag that a span was sampled.
const SAMPLED: u32 = 1;

/// The agents that are watched, and their processes that live.
#[derive(Debug)]
pub(super) struct Tracks {
    agents: FxHashMap<AgentId, Track>,
    live: usize,
    ended: LruCache<ProcessId, ()>,
}

#[derive(Debug)]
struct Track {
    agent: Agent,
    live: FxHashMap<ProcessId, Live>,
    turns: Turns,
}

#[derive(Debug)]
struct Live {
    process: Process,
    /// The span above.
    parent: Vec<u8>,
}

impl Tracks {
    pub(super) fn new() -> Self {
        Self { agents: FxHashMap::default(), live: 0, ended: LruCache::new(ENDED) }
    }

    /// Takes a record in; what has ended by it comes out as spans.
    pub(super) fn add(&mut self, record: &Record) -> Vec<Span> {
        match record {
            Record::Agent(agent) => self.agent(agent),
            Record::Process(id, process) => self.process(id, process).into_iter().collect(),
            Record::Operations(arrived) => self.operations(&arrived.operations),
            Record::Window(window) => {
                let track = self.agents.get_mut(&window.agent);
                track.and_then(|track| track.turns.window(&track.agent, window)).into_iter().collect()
            }
            Record::Host(_) | Record::Barrier(_) => Vec::new(),
        }
    }

    fn agent(&mut self, agent: &Agent) -> Vec<Span> {
        let Some((at, _)) = agent.ended else {
            let new = || Track { agent: agent.clone(), live: FxHashMap::default(), turns: Turns::default() };
            self.agents.entry(agent.id.clone()).or_insert_with(new).agent = agent.clone();
            return Vec::new();
        };
        let Some(mut track) = self.agents.remove(&agent.id) else { return Vec::new() };
        let turn = track.turns.end(agent);
        self.live -= track.live.len();
        // Those that outlive the watch: their spans end with it.
        let outliving =
            track.live.into_values().map(|live| process_span(agent, &live.process, live.parent, at));
        turn.into_iter().chain(outliving).chain([agent_span(agent, at)]).collect()
    }

    fn process(&mut self, id: &AgentId, process: &Process) -> Option<Span> {
        let track = self.agents.get_mut(id)?;
        let known = track.live.remove(&process.id);
        self.live -= usize::from(known.is_some());
        if known.is_none() && self.ended.contains(&process.id) {
            return None;
        }
        let parent = match known {
            Some(live) => live.parent,
            None => parent_span(track, process, &self.ended),
        };
        if let Some(ended) = process.ended {
            self.ended.put(process.id, ());
            return Some(process_span(&track.agent, process, parent, ended));
        }
        if self.live < MAX_LIVE {
            track.live.insert(process.id, Live { process: process.clone(), parent });
            self.live += 1;
        }
        None
    }
}

/// The span that a process's span is under: its parent's, if that belongs to the agent, else the agent's.
fn parent_span(track: &Track, process: &Process, ended: &LruCache<ProcessId, ()>) -> Vec<u8> {
    let inside = |parent: &ProcessId| track.live.contains_key(parent) || ended.contains(parent);
    match process.parent.filter(|parent| process.id != track.agent.root && inside(parent)) {
        Some(parent) => ids::process_span(&track.agent, parent),
        None => ids::agent_span(&track.agent),
    }
}

fn agent_span(agent: &Agent, at: Timestamp) -> Span {
    let mut attributes = identity(agent);
    attributes.push(wire::number("process.pid", agent.root.pid().into()));
    if let AgentSource::Rule(rule) = &agent.source {
        attributes.push(wire::text("agentperf.agent.rule", rule));
    }
    if let Some((_, end)) = agent.ended {
        attributes.push(wire::text("agentperf.agent.end", end_name(end)));
    }
    Span {
        span_id: ids::agent_span(agent),
        name: format!("agent {}", agent.name),
        ..span(agent, attributes, agent.attached, at)
    }
}

fn process_span(agent: &Agent, process: &Process, parent: Vec<u8>, at: Timestamp) -> Span {
    let name =
        process.executable.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or(&process.comm);
    let mut attributes = identity(agent);
    attributes.extend([
        wire::number("process.pid", process.id.pid().into()),
        wire::number("process.parent_pid", process.parent_pid.into()),
        wire::text("process.executable.name", name),
        wire::texts("process.command_args", &process.args),
        wire::real(
            "agentperf.process.cpu_seconds",
            process.cpu_ns.saturating_sub(process.cpu_before_ns) as f64 / 1e9,
        ),
        wire::number(
            "agentperf.process.peak_rss_bytes",
            i64::try_from(process.peak_rss_bytes).unwrap_or(i64::MAX),
        ),
    ]);
    attributes.extend(process.executable.as_deref().map(|path| wire::text("process.executable.path", path)));
    let status = match process.exit {
        Some(Exit::Code(code)) => {
            attributes.push(wire::number("process.exit.code", code.into()));
            (code != 0).then(|| format!("exit code {code}"))
        }
        Some(Exit::Signal { number, .. }) => {
            let name = signal_name(number).map_or_else(|| format!("signal {number}"), str::to_owned);
            attributes.push(wire::text("agentperf.process.signal", &name));
            Some(format!("killed by {name}"))
        }
        None => None,
    };
    let error = |message| Status { message, code: StatusCode::Error.into() };
    Span {
        span_id: ids::process_span(agent, process.id),
        parent_span_id: parent,
        name: name.to_owned(),
        status: status.map(error),
        ..span(agent, attributes, process.started, at)
    }
}

/// What the spans of an agent have in common.
fn span(agent: &Agent, attributes: Vec<KeyValue>, from: Timestamp, to: Timestamp) -> Span {
    Span {
        trace_id: ids::trace(agent),
        flags: SAMPLED,
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: wire::nanoseconds(from),
        end_time_unix_nano: wire::nanoseconds(to.max(from)),
        attributes,
        ..Span::default()
    }
}

/// Whose.
pub(super) fn identity(agent: &Agent) -> Vec<KeyValue> {
    vec![wire::text("gen_ai.agent.id", agent.id.as_str()), wire::text("gen_ai.agent.name", &agent.name)]
}

/// How an agent's watch ended, as the API says it.
pub(super) fn end_name(end: AgentEnd) -> &'static str {
    match end {
        AgentEnd::Exited => "exited",
        AgentEnd::Detached => "detached",
        AgentEnd::Expired => "expired",
        AgentEnd::Interrupted => "interrupted",
    }
}

#[cfg(test)]
mod tests;
