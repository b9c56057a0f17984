//! What has been counted of calls of models and of MCP servers in the words of OpenTelemetry's conventions, as histograms. They
//! are bounded by the room for series.
//!
//! Calls that came as sums are not here: what each of them used is not known. What an agent serves as a model is none of its
//! calls.

use super::{
    agent_totals::AgentTotals,
    capped::{Capped, Room},
    families::Family,
    histogram::{Bounds, Counted, Histogram},
    series::{OTHER, seconds},
};
use crate::model::{
    operation::{LLM, Llm, MCP, Operation},
    wire::{Reason, Role, Usage},
};

/// Up to which times calls of models are counted, s.
pub(super) const SECONDS: Bounds =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Up to which times calls of MCP servers are.
pub(super) const MCP_SECONDS: Bounds =
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
/// Up to how many tokens calls are: powers of 4.
pub(super) const TOKENS: Bounds = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// What is measured of calls.
#[derive(Clone, Copy, Debug)]
enum Measure {
    Duration,
    FirstChunk,
    InputTokens,
    OutputTokens,
    McpClient,
    McpServer,
}

impl Measure {
    const ALL: [Self; 6] = [
        Self::Duration,
        Self::FirstChunk,
        Self::InputTokens,
        Self::OutputTokens,
        Self::McpClient,
        Self::McpServer,
    ];

    /// The metric, its bounds, how many labels tell the calls apart, and the label that tells the measure apart.
    fn shown(self) -> (Family, &'static Bounds, usize, Option<&'static str>) {
        match self {
            Self::Duration => (Family::GenAiDuration, &SECONDS, 5, None),
            Self::FirstChunk => (Family::GenAiFirstChunk, &SECONDS, 4, None),
            Self::InputTokens => (Family::GenAiTokens, &TOKENS, 4, Some("input")),
            Self::OutputTokens => (Family::GenAiTokens, &TOKENS, 4, Some("output")),
            Self::McpClient => (Family::McpClientDuration, &MCP_SECONDS, 4, None),
            Self::McpServer => (Family::McpServerDuration, &MCP_SECONDS, 4, None),
        }
    }
}

/// The labels that tell calls apart, in the order of the metric's row.
type Labels = Box<[Box<str>]>;

/// One agent's calls, by what is measured of them.
#[derive(Clone, Debug, Default)]
pub(super) struct GenAiTotals([Capped<Labels, Counted>; Measure::ALL.len()]);

impl GenAiTotals {
    /// Counts a call that was read off the wire.
    pub(super) fn add(&mut self, operation: &Operation, room: &mut Room) {
        let duration = seconds(operation.duration_ns);
        let error = operation.error_type.as_deref().unwrap_or_default();
        match &operation.llm {
            Some(llm) if operation.kind == LLM && !llm.serves => {
                let model = of_model(llm);
                let [name, provider, asked, answered] = model;
                // Of what was under way when somebody began to look, nobody knows how long it took.
                let duration = Some(duration).filter(|_| !llm.partial.has(Reason::AttachedLate));
                self.count(Measure::Duration, &[name, provider, asked, answered, error], duration, room);
                let first_chunk = llm.first_content_ns.filter(|_| llm.stream).map(seconds);
                self.count(Measure::FirstChunk, &model, first_chunk, room);
                // What is estimated is no measurement.
                let is_told = llm.usage != Usage::Estimated;
                let tokens = |tokens: Option<u64>| tokens.filter(|_| is_told).map(|tokens| tokens as f64);
                self.count(Measure::InputTokens, &model, tokens(llm.tokens.input), room);
                self.count(Measure::OutputTokens, &model, tokens(llm.tokens.output), room);
            }
            None if operation.kind == MCP => {
                let label = |key: &str| operation.label(key).unwrap_or_default();
                let is_server = label("agentperf.mcp.role") == Role::Server.name();
                let measure = if is_server { Measure::McpServer } else { Measure::McpClient };
                let (method, tool) = (label("mcp.method.name"), label("gen_ai.tool.name"));
                self.count(measure, &[method, tool, label("network.transport"), error], Some(duration), room);
            }
            _ => {}
        }
    }

    fn count(&mut self, measure: Measure, labels: &[&str], value: Option<f64>, room: &mut Room) {
        if let (Some(value), Some(calls)) = (value, self.0.get_mut(measure as usize)) {
            let labels = labels.iter().map(|label| (*label).into()).collect();
            calls.entry(labels, room).add(value, measure.shown().1);
        }
    }

    /// Places taken.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Capped::len).sum()
    }
}

/// What tells calls of models apart, however they ended.
fn of_model(llm: &Llm) -> [&str; 4] {
    let [asked, answered] =
        [&llm.request_model, &llm.response_model].map(|model| model.as_deref().unwrap_or_default());
    [llm.asked.name(), &llm.provider, asked, answered]
}

/// The histograms of one agent.
pub(super) fn of(family: Family, totals: &AgentTotals) -> Vec<Histogram> {
    let mut histograms = Vec::new();
    for (measure, calls) in Measure::ALL.into_iter().zip(&totals.gen_ai.0) {
        let (of, _, labels, kind) = measure.shown();
        let shown = calls.iter().filter(|_| of == family);
        histograms.extend(shown.map(|(key, counted)| {
            let key = key.map_or_else(
                || vec![OTHER.to_owned(); labels],
                |key| key.iter().map(|l| l.to_string()).collect(),
            );
            let labels = [&totals.labels()[..], &key[..], kind.map(str::to_owned).as_slice()].concat();
            Histogram { labels, counted: *counted }
        }));
    }
    histograms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Budget,
        export::prometheus::{BOUNDS, Metrics},
        model::{
            exposition::{Exposition as _, TextFormat},
            id::AgentId,
            record::{Arrived, Record},
        },
        store::{
            Follower as _,
            fixture::{agent_at, at, llm_call_at, mcp_call_at},
        },
        telemetry::HostInfo,
    };

    fn counted(max_series: usize, mut operations: Vec<Operation>) -> String {
        let metrics =
            Metrics::new(max_series, std::sync::Arc::default(), HostInfo::read(), Budget::default());
        let agent = agent_at(at(0));
        metrics.follow(&Record::Agent(agent.clone()));
        operations.iter_mut().for_each(|one| one.agent = Some(AgentId::clone(&agent.id)));
        metrics.follow(&Record::Operations(Box::new(Arrived { operations, sums: Vec::new(), place: None })));
        metrics.text(TextFormat::Prometheus)
    }

    /// A call of a stream that took so many ms, with so many tokens.
    fn call(ms: u64, tokens: Option<u64>, error: Option<&str>) -> Operation {
        let mut call = llm_call_at(at(0), 1);
        (call.duration_ns, call.error_type) = (ms * 1_000_000, error.map(str::to_owned));
        let llm = call.llm.as_mut().unwrap();
        (llm.stream, llm.first_content_ns) = (true, Some(ms * 100_000));
        (llm.tokens.input, llm.tokens.output) = (tokens, tokens.map(|n| n / 2));
        (llm.serves, llm.response_model) = (false, Some("gpt-1".to_owned()));
        call
    }

    fn values<'t>(text: &'t str, series: &str) -> Vec<&'t str> {
        let lines = text.lines().filter(|line| line.starts_with(series));
        lines.filter_map(|line| line.rsplit(' ').next()).collect()
    }

    #[test]
    fn calls_of_models_are_histograms_by_the_names_of_the_conventions() {
        let mut served = call(7, Some(7), None);
        served.llm.as_mut().unwrap().serves = true;
        let text = counted(
            1000,
            vec![call(10, Some(1024), None), call(50, None, Some("500")), call(20, Some(4), None), served],
        );
        let model = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",gen_ai_request_model=\"gpt\",\
            gen_ai_response_model=\"gpt-1\"";
        let named = "gen_ai_client_operation_duration_seconds";
        assert!(text.contains(&format!("# TYPE {named} histogram\n")), "{text}");
        let agent = format!("agent=\"worker\",agent_id=\"{}\"", agent_at(at(0)).id);
        let well = format!("{agent},{model},error_type=\"\"}}");
        assert_eq!(values(&text, &format!("{named}_bucket{{le=\"0.01\",{well}")), ["1"], "{text}");
        assert_eq!(values(&text, &format!("{named}_bucket{{le=\"0.02\",{well}")), ["2"], "{text}");
        assert_eq!(values(&text, &format!("{named}_count{{{agent},{model},error_type=\"500\"}}")), ["1"]);
        let first = "gen_ai_client_operation_time_to_first_chunk_seconds";
        assert_eq!(values(&text, &format!("{first}_sum{{{agent},{model}}}")), ["0.008"], "{text}");
        // Whose tokens were not told has none, which is not 0.
        let used = format!("gen_ai_client_token_usage_count{{{agent},{model},gen_ai_token_type=\"");
        assert_eq!(values(&text, &format!("{used}input\"}}")), ["2"], "{text}");
        let below = format!(
            "gen_ai_client_token_usage_bucket{{le=\"1024.0\",{agent},{model},gen_ai_token_type=\"input\"}}"
        );
        assert_eq!(values(&text, &below), ["2"], "{text}");
        assert!(text.contains("# TYPE gen_ai_client_token_usage histogram\n"), "{text}");
    }

    #[test]
    fn estimates_are_no_measurements() {
        let mut estimated = call(10, Some(1024), None);
        estimated.llm.as_mut().unwrap().usage = Usage::Estimated;
        let text = counted(1000, vec![estimated]);
        assert_eq!(values(&text, "gen_ai_client_token_usage_count"), [""; 0], "{text}");
        assert_eq!(values(&text, "gen_ai_client_operation_duration_seconds_count"), ["1"]);
    }

    #[test]
    fn calls_of_mcp_servers_are_told_by_who_asked() {
        let text = counted(1000, (1..=6).map(|n| mcp_call_at(at(0), n)).collect());
        let counts = |side: &str| {
            let counts = values(&text, &format!("mcp_{side}_operation_duration_seconds_count{{"));
            counts.iter().map(|count| count.parse::<u64>().unwrap()).sum::<u64>()
        };
        assert_eq!((counts("client"), counts("server")), (4, 2), "{text}");
        let labels = "mcp_method_name=\"tools/call\",gen_ai_tool_name=\"add\",network_transport=\"pipe\",error_type=\"\"}";
        assert!(text.contains(labels), "{text}");
    }

    #[test]
    fn models_beyond_the_room_are_one() {
        let named = |n: usize| {
            let mut call = call(10, Some(10), None);
            call.llm.as_mut().unwrap().request_model = Some(format!("m{n}"));
            call
        };
        let text = counted(160, (0..50).map(named).collect());
        let series = text.lines().filter(|line| line.starts_with("gen_ai_") && line.contains("_count{"));
        // Ten have room, and the others of each measure are one.
        assert_eq!(series.clone().count(), 10 + 4, "{text}");
        let durations = values(&text, "gen_ai_client_operation_duration_seconds_count{");
        assert_eq!(durations.iter().map(|n| n.parse::<u64>().unwrap()).sum::<u64>(), 50);
        let other = format!("gen_ai_request_model=\"{OTHER}\"");
        assert!(
            series.clone().any(|line| line.contains(&other) && line.contains("gen_ai_token_type=\"input\""))
        );
        let overflowed = values(&text, "agentperf_series_overflow_total{kind=\"gen_ai\"}");
        assert!(overflowed[0].parse::<f64>().unwrap() >= 10.0, "{overflowed:?}");
        let buckets =
            text.lines().filter(|line| line.starts_with("gen_ai_client_token_usage_bucket{")).count();
        assert_eq!(buckets % (BOUNDS + 1), 0);
    }
}
