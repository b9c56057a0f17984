//! Events as log records: an agent is watched, or no more; something was lost. An agent's carry its trace.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    logs::v1::{LogRecord, SeverityNumber},
};
use rustc_hash::FxHashSet;

use super::{ids, spans, wire};
use crate::model::{
    agent::{Agent, AgentSource},
    id::AgentId,
    record::Record,
    time::Timestamp,
};

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct Events {
    watched: FxHashSet<AgentId>,
    losses: BTreeMap<&'static str, u64>,
}

impl Events {
    /// The event that a record is, if it is one.
    pub(super) fn add(&mut self, record: &Record) -> Option<LogRecord> {
        let Record::Agent(agent) = record else { return None };
        match agent.ended {
            None => self.watched.insert(agent.id.clone()).then(|| started(agent)),
            Some((at, end)) => self.watched.remove(&agent.id).then(|| {
                let why = wire::text("agentperf.agent.end", spans::end_name(end));
                let body = format!("agent {} is no longer watched: {}", agent.name, spans::end_name(end));
                of_agent(agent, "agentperf.agent.ended", at, body, vec![why])
            }),
        }
    }

    /// One event for each loss that grew since the last call.
    pub(super) fn losses(&mut self, now: BTreeMap<&'static str, u64>, at: Timestamp) -> Vec<LogRecord> {
        let before = |name: &str| self.losses.get(name).copied().unwrap_or(0);
        let grown = now.iter().filter(|(name, count)| **count > before(name));
        let events = grown.map(|(name, count)| lost(name, count - before(name), at)).collect();
        self.losses = now;
        events
    }
}

fn started(agent: &Agent) -> LogRecord {
    let by = match &agent.source {
        AgentSource::Rule(rule) => format!("rule {rule}"),
        AgentSource::Attach => "attach".to_owned(),
    };
    let attributes =
        vec![wire::number("process.pid", agent.root.pid().into()), wire::text("agentperf.agent.source", &by)];
    let body = format!("agent {} is watched ({by})", agent.name);
    of_agent(agent, "agentperf.agent.started", agent.attached, body, attributes)
}

fn of_agent(agent: &Agent, name: &str, at: Timestamp, body: String, more: Vec<KeyValue>) -> LogRecord {
    LogRecord {
        trace_id: ids::trace(agent),
        span_id: ids::agent_span(agent),
        ..event(name, SeverityNumber::Info, at, body, [spans::identity(agent), more].concat())
    }
}

fn lost(name: &str, count: u64, at: Timestamp) -> LogRecord {
    let count_text = i64::try_from(count).unwrap_or(i64::MAX);
    let attributes =
        vec![wire::text("agentperf.loss", name), wire::number("agentperf.loss.count", count_text)];
    event("agentperf.loss", SeverityNumber::Warn, at, format!("lost: {name}, {count} times"), attributes)
}

fn event(
    name: &str,
    severity: SeverityNumber,
    at: Timestamp,
    body: String,
    attributes: Vec<KeyValue>,
) -> LogRecord {
    LogRecord {
        time_unix_nano: wire::nanoseconds(at),
        observed_time_unix_nano: wire::nanoseconds(Timestamp::now()),
        severity_number: severity.into(),
        severity_text: if severity == SeverityNumber::Warn { "WARN" } else { "INFO" }.to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(body)) }),
        attributes,
        event_name: name.to_owned(),
        ..LogRecord::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::agent::AgentEnd,
        store::fixture::{agent_at, at},
    };

    #[test]
    fn an_agents_beginning_and_end_are_told_once() {
        let mut events = Events::default();
        let mut agent = agent_at(at(0));
        let told = events.add(&Record::Agent(agent.clone())).unwrap();
        assert_eq!((told.event_name.as_str(), told.trace_id.len()), ("agentperf.agent.started", 16));
        assert!(events.add(&Record::Agent(agent.clone())).is_none());
        agent.ended = Some((at(9), AgentEnd::Detached));
        let told = events.add(&Record::Agent(agent.clone())).unwrap();
        assert_eq!(told.event_name, "agentperf.agent.ended");
        assert_eq!(told.time_unix_nano, wire::nanoseconds(at(9)));
        assert!(events.add(&Record::Agent(agent)).is_none());
    }

    #[test]
    fn a_loss_is_told_by_how_much_it_grew() {
        let mut events = Events::default();
        assert!(events.losses(BTreeMap::from([("names_late", 0)]), at(0)).is_empty());
        assert_eq!(events.losses(BTreeMap::from([("names_late", 5)]), at(1)).len(), 1);
        assert!(events.losses(BTreeMap::from([("names_late", 5)]), at(2)).is_empty());
        let told = events.losses(BTreeMap::from([("names_late", 7)]), at(3));
        assert_eq!(told[0].attributes[1], wire::number("agentperf.loss.count", 2));
    }
}
