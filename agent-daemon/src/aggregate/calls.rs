//! Calls of models and of MCP servers that were read off the wire, made into operations of their agents, with what they
//! cost. They wait for the window to close in which they ended, and so do exchanges over HTTP ([`Endpoints`]).
//!
//! Bounds: [`MAX_WAITING`] calls of an agent's window, what is beyond is counted as a loss; [`MAX_NAMES`] different names
//! and models of an agent each, what is beyond is called `other`.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{endpoints::Endpoints, roster::Roster, seen};
use crate::{
    collect::argv::redact,
    config::LlmConfig,
    content::{Contents, Kept},
    model::{
        agent::AgentSource,
        content::Keep,
        http::HttpStat,
        id::{AgentId, ProcessId, Slot},
        operation::{LLM, Llm, MCP, Operation, Source},
        record::Record,
        time::Timestamp,
        wire::{LlmCall, McpCall, McpTransport, Origin, Role, Usage, WireObserved, WireRecord},
    },
    telemetry::{Loss, Telemetry},
};

/// Calls of one agent that wait for a window to close.
const MAX_WAITING: usize = 10_000;
/// Different names of calls, and models, of one agent.
const MAX_NAMES: usize = 200;
/// What stands for those beyond.
const OTHER: &str = "other";

/// One agent's calls.
#[derive(Default)]
struct Waiting {
    operations: Vec<Operation>,
    names: FxHashSet<String>,
    models: FxHashSet<String>,
}

/// The calls of every agent.
pub(super) struct Calls {
    waiting: FxHashMap<Slot, Waiting>,
    endpoints: Endpoints,
    config: LlmConfig,
    /// What is kept of what the agent in a slot says.
    keeps: FxHashMap<Slot, Keep>,
    contents: Arc<Contents>,
    /// The daemon's start: numbers of exchanges begin anew with it.
    began: Timestamp,
    telemetry: Arc<Telemetry>,
}

impl Calls {
    pub(super) fn new(config: LlmConfig, contents: Arc<Contents>, telemetry: Arc<Telemetry>) -> Self {
        let (waiting, endpoints) = (FxHashMap::default(), Endpoints::default());
        let (keeps, began) = (FxHashMap::default(), Timestamp::now());
        Self { waiting, endpoints, config, keeps, contents, began, telemetry }
    }

    /// An agent of this name, found in this way, comes to `slot`: what is kept of what it says.
    pub(super) fn enter(&mut self, slot: Slot, name: &str, source: &AgentSource) -> Keep {
        let keep = self.contents.of_agent(name, source);
        self.keeps.insert(slot, keep);
        keep
    }

    /// Takes what was read, if its agent is still watched.
    pub(super) fn observe(&mut self, observed: WireObserved, roster: &Roster) {
        let WireObserved { slot, process, started, record, content } = observed;
        let Some(agent) = roster.agent_in(slot) else {
            return self.telemetry.losses.count(Loss::WireCallDropped);
        };
        if let WireRecord::Http(exchange) = &record {
            return self.endpoints.add(slot, process, exchange);
        }
        let waiting = self.waiting.entry(slot).or_default();
        if waiting.operations.len() >= MAX_WAITING {
            return self.telemetry.losses.count(Loss::WireCallDropped);
        }
        let whose = Whose { agent: agent.clone(), process, started, began: self.began };
        let kind = if matches!(record, WireRecord::Llm(_)) { LLM } else { MCP };
        let mut operation = match record {
            WireRecord::Llm(call) => whose.llm(*call, &self.config),
            WireRecord::Mcp(call) => whose.mcp(call),
            WireRecord::Http(_) => return,
        };
        bound(&mut waiting.names, &mut operation.name);
        operation.model.iter_mut().for_each(|model| bound(&mut waiting.models, model));
        if let Some(content) = content {
            let keep = self.keeps.get(&slot).copied().unwrap_or_default();
            let kept = Kept { agent, call: operation.id, kind, start: started, content: *content };
            self.contents.put(keep, kept);
        }
        waiting.operations.push(operation);
    }

    /// Takes the calls that are told by now, when a window closes.
    pub(super) fn take(&mut self) -> Option<Record> {
        let taken = self.waiting.values_mut().flat_map(|waiting| std::mem::take(&mut waiting.operations));
        seen::record(taken.collect(), Vec::new())
    }

    /// Takes the exchanges of the window that closes.
    pub(super) fn take_http(&mut self) -> Vec<(Slot, HttpStat)> {
        self.endpoints.take()
    }

    /// The agent in `slot` is let go.
    pub(super) fn leave(&mut self, slot: Slot) -> Option<Record> {
        self.telemetry.losses.add(Loss::WireCallDropped, self.endpoints.leave(slot));
        self.keeps.remove(&slot);
        seen::record(self.waiting.remove(&slot)?.operations, Vec::new())
    }
}

/// The name, if it is one of the first.
fn bound(known: &mut FxHashSet<String>, name: &mut String) {
    if known.contains(name) {
        return;
    }
    if known.len() < MAX_NAMES {
        known.insert(name.clone());
    } else {
        OTHER.clone_into(name);
    }
}

/// A word of the other side, which may be a key that was put in the wrong place.
fn fit(word: String) -> String {
    redact(&word).into_owned()
}

/// Whose call it was, and when it began.
struct Whose {
    agent: AgentId,
    process: ProcessId,
    started: Timestamp,
    began: Timestamp,
}

impl Whose {
    fn llm(self, call: LlmCall, config: &LlmConfig) -> Operation {
        let estimate = call.estimate().filter(|_| config.estimate_tokens);
        let usage = if estimate.is_some() { Usage::Estimated } else { call.usage };
        let tokens = estimate.unwrap_or(call.tokens);
        let models = [&call.response_model, &call.request_model];
        let models: Vec<&str> = models.into_iter().flatten().map(String::as_str).collect();
        let day = self.started.to_zoned(jiff::tz::TimeZone::UTC).date();
        let llm = Llm {
            provider: call.provider.to_owned(),
            evidence: call.evidence,
            asked: call.operation,
            serves: call.role == Role::Server,
            stream: call.stream,
            connect_ns: call.connect_ns,
            first_byte_ns: call.first_byte_ns,
            first_content_ns: call.first_content_ns,
            chunks: call.chunks,
            gap_mean_ns: call.gap_mean_ns,
            gap_p99_ns: call.gap_p99_ns,
            tokens,
            usage,
            cost: config.prices.cost(call.provider, &models, day, &tokens),
            finish_reason: call.finish_reason,
            tools: call.tools,
            retry_of: call.retry_of.map(|exchange| self.id(exchange, LLM)),
            retries: call.retries,
            partial: call.partial,
            server: call.server.map(fit),
            request_model: call.request_model.map(fit),
            response_model: call.response_model.map(fit),
        };
        Operation {
            id: self.id(call.origin.exchange, LLM),
            kind: LLM.to_owned(),
            name: llm.name(),
            duration_ns: call.duration_ns,
            success: call.error_type.is_none(),
            error_type: call.error_type.map(fit),
            status: call.status,
            model: llm.request_model.clone().or_else(|| llm.response_model.clone()),
            llm: Some(Box::new(llm)),
            ..self.operation()
        }
    }

    fn mcp(self, call: McpCall) -> Operation {
        let McpCall { origin: Origin { exchange, .. }, role, transport, server, method, tool, .. } = call;
        let carrier = if transport == McpTransport::Stdio { "pipe" } else { "tcp" };
        let mut labels = vec![
            ("agentperf.mcp.role".to_owned(), role.name().to_owned()),
            ("agentperf.mcp.transport".to_owned(), transport.name().to_owned()),
            ("mcp.method.name".to_owned(), method.clone()),
            ("network.transport".to_owned(), carrier.to_owned()),
        ];
        labels.extend(server.map(|server| ("agentperf.mcp.server".to_owned(), server)));
        labels.extend(tool.clone().map(|tool| ("gen_ai.tool.name".to_owned(), tool)));
        labels.extend(call.partial.is_partial().then(|| {
            let reasons: Vec<&str> = call.partial.reasons().map(|reason| reason.name()).collect();
            ("agentperf.partial".to_owned(), reasons.join(" "))
        }));
        labels.sort();
        // Several requests may be part of one exchange.
        let id = self.id(exchange, &format!("{MCP} {method} {}", call.started_ns));
        Operation {
            id,
            kind: MCP.to_owned(),
            name: tool.map_or_else(|| method.clone(), |tool| format!("{method} {tool}")),
            duration_ns: call.duration_ns,
            success: call.error_type.is_none(),
            error_type: call.error_type,
            labels,
            ..self.operation()
        }
    }

    /// Unique: an exchange is one call, and numbers of exchanges are unique in one run of the daemon.
    fn id(&self, exchange: u64, what: &str) -> u64 {
        let began = self.began.as_nanosecond().to_le_bytes();
        let bytes = began.into_iter().chain(exchange.to_le_bytes()).chain(what.bytes());
        seen::id(bytes)
    }

    /// What all calls have in common.
    fn operation(self) -> Operation {
        Operation { source: Source::Wire, ..Operation::seen(self.agent, self.process, self.started) }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::model::{
        price::{Price, Prices, Rate},
        wire::{Evidence, Operation as Asked, Partial, Tokens},
    };

    fn call() -> LlmCall {
        LlmCall {
            origin: Origin { owner: 1, connection: 2, exchange: 3 },
            role: Role::Client,
            provider: "openai",
            evidence: Evidence::Host,
            operation: Asked::Chat,
            server: Some("api.openai.com".to_owned()),
            request_model: Some("gpt".to_owned()),
            response_model: Some("gpt-1".to_owned()),
            stream: true,
            status: Some(200),
            error_type: None,
            started_ns: 5,
            is_first: false,
            connect_ns: None,
            first_byte_ns: Some(1),
            first_content_ns: Some(2),
            chunks: 3,
            gap_mean_ns: None,
            gap_p99_ns: None,
            duration_ns: 9,
            request_bytes: 4001,
            tokens: Tokens { input: Some(1000), output: Some(10), ..Tokens::default() },
            usage: Usage::Sent,
            finish_reason: Some("stop".to_owned()),
            tools: vec!["search".to_owned()],
            retry_of: Some(2),
            retries: 1,
            partial: Partial::default(),
            said: None,
        }
    }

    fn whose() -> Whose {
        let at = Timestamp::from_second(1_790_000_000).unwrap();
        Whose { agent: AgentId::new(7, 8), process: ProcessId(9), started: at, began: at }
    }

    #[test]
    fn a_call_is_an_operation_with_its_cost() {
        let price = Price {
            provider: None,
            model: "gpt*".to_owned(),
            from: date(2026, 1, 1),
            input: Rate::per_million(2.0).unwrap(),
            output: Rate::per_million(10.0),
            cache_read: None,
            cache_write: None,
        };
        let config = LlmConfig { prices: Prices::new(vec![price]), ..LlmConfig::default() };
        let operation = whose().llm(call(), &config);
        assert_eq!((operation.kind.as_str(), operation.name.as_str()), ("llm", "openai chat"));
        assert_eq!(operation.model.as_deref(), Some("gpt"));
        let llm = operation.llm.unwrap();
        assert!((llm.cost.unwrap().usd() - 0.0021).abs() < 1e-12);
        let failed = LlmCall { origin: Origin { exchange: 2, ..call().origin }, ..call() };
        assert_eq!(llm.retry_of, Some(whose().llm(failed, &LlmConfig::default()).id));
        assert_ne!(llm.retry_of, Some(operation.id));
        assert!(whose().llm(call(), &LlmConfig::default()).llm.unwrap().cost.is_none());
    }

    #[test]
    fn tokens_of_streams_that_told_none_are_estimated_if_that_is_wanted() {
        let wanted = LlmConfig { estimate_tokens: true, ..LlmConfig::default() };
        let untold = || LlmCall { tokens: Tokens::default(), usage: Usage::NotSent, ..call() };
        let tokens = |call: LlmCall, config: &LlmConfig| {
            let llm = whose().llm(call, config).llm.unwrap();
            (llm.tokens.input, llm.tokens.output, llm.usage)
        };
        assert_eq!(tokens(untold(), &wanted), (Some(1001), Some(3), Usage::Estimated));
        for (call, config) in [
            (untold(), LlmConfig::default()),
            (LlmCall { stream: false, ..untold() }, wanted.clone()),
            (LlmCall { error_type: Some("cut_off".to_owned()), ..untold() }, wanted.clone()),
        ] {
            assert_eq!(tokens(call, &config), (None, None, Usage::NotSent));
        }
        let unseen = LlmCall { usage: Usage::Unseen, ..untold() };
        assert_eq!(tokens(unseen, &wanted), (None, None, Usage::Unseen));
        assert_eq!(tokens(call(), &wanted), (Some(1000), Some(10), Usage::Sent));
    }

    #[test]
    fn a_key_in_the_wrong_place_is_not_kept() {
        let key = || Some("sk-ant-api03-abcdefgh".to_owned());
        let misplaced = LlmCall { server: key(), request_model: key(), error_type: key(), ..call() };
        let shown = format!("{:?}", whose().llm(misplaced, &LlmConfig::default()));
        assert!(!shown.contains("sk-ant") && shown.contains("[redacted]"), "{shown}");
    }

    #[test]
    fn names_are_bounded() {
        let mut known = FxHashSet::default();
        for n in 0..MAX_NAMES {
            bound(&mut known, &mut n.to_string());
        }
        let (mut old, mut new) = ("7".to_owned(), "new".to_owned());
        bound(&mut known, &mut old);
        bound(&mut known, &mut new);
        assert_eq!((old.as_str(), new.as_str()), ("7", OTHER));
    }
}
