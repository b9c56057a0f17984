//! What is shown of one agent, and by what agents are sorted.

use std::cmp::Ordering;

use clap::ValueEnum;
use serde::Serialize;

use crate::{
    api::dto::{blocked::BlockedOnDto, ledger::LedgerShareDto, names::LedgerCauseDto},
    cli::{report::word, units},
    model::time::Timestamp,
};

/// All that was seen in one look.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Snapshot {
    /// When.
    pub(super) at: Timestamp,
    /// The live agents.
    pub(super) agents: Vec<Row>,
    /// Live agents beyond those.
    pub(super) left_out: usize,
    /// Who the selected agent waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) blocked_on: Option<BlockedOnDto>,
}

/// One live agent.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// The agent's id.
    pub(super) id: String,
    /// What a person calls it.
    pub(super) name: String,
    /// Its root's pid.
    pub(super) pid: u32,
    /// Since when its root lives.
    pub(super) created: Timestamp,
    /// CPUs that its threads used on average; null where it is not watched by the ledger, or nothing is stored yet.
    pub(super) cpus: Option<f64>,
    /// Resident sets, added up.
    pub(super) rss_bytes: u64,
    /// Live processes.
    pub(super) processes: usize,
    /// The wall clock that the causes share.
    pub(super) wall_seconds: f64,
    /// The causes that have time, most first.
    pub(super) causes: Vec<LedgerShareDto>,
    /// Whether the `llm_*` causes are an estimate.
    pub(super) estimated: bool,
    /// The youngest of its live processes that is not the root.
    pub(super) running: Option<Running>,
    /// The tool call that ended last, of the last ten minutes.
    pub(super) last_tool: Option<LastTool>,
}

/// A process that runs below an agent's root.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Running {
    /// Its name.
    pub(super) comm: String,
    /// How long it has lived.
    pub(super) seconds: f64,
}

/// A tool call that is over.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LastTool {
    /// What a person would call it.
    pub(super) name: String,
    /// How it ended: `ok`, `exit 3`, `SIGKILL`.
    pub(super) end: String,
    /// How long ago.
    pub(super) seconds_ago: f64,
}

impl Row {
    /// CPU use in percent of one CPU. A sum over nothing is -0.
    pub(super) fn cpu_text(&self) -> String {
        self.cpus.map_or_else(|| "-".to_owned(), |cpus| format!("{:.0} %", 100.0 * cpus + 0.0))
    }

    /// The cause of most time.
    pub(super) fn heaviest_text(&self) -> String {
        let share =
            |share: &LedgerShareDto| format!("{} {}", word(&share.cause), units::percent(share.share, 1.0));
        self.causes.first().map_or_else(|| "-".to_owned(), share)
    }

    /// What runs, and what ran last.
    pub(super) fn tool_text(&self) -> String {
        let running = self.running.as_ref().map(|r| format!("> {} {}", r.comm, units::seconds(r.seconds)));
        let last = self
            .last_tool
            .as_ref()
            .map(|tool| format!("{} {} {} ago", tool.name, tool.end, units::seconds(tool.seconds_ago)));
        let texts: Vec<String> = running.into_iter().chain(last).collect();
        if texts.is_empty() { "-".to_owned() } else { texts.join(", ") }
    }

    /// The share of some causes together.
    fn share(&self, of: &[LedgerCauseDto]) -> f64 {
        self.causes.iter().filter(|share| of.contains(&share.cause)).map(|share| share.share).sum()
    }
}

/// What agents are sorted by, the largest first; names in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Sort {
    /// CPU use
    #[default]
    Cpu,
    /// Resident memory
    Rss,
    /// Live processes
    Processes,
    /// The share of tools
    Tool,
    /// The share of calls to models
    Llm,
    /// The share of idleness
    Idle,
    /// How long the agent has lived
    Age,
    /// The name
    Name,
}

impl Sort {
    /// The name as a person would type it.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The next one, or the one before.
    pub(super) fn turned(self, forward: bool) -> Self {
        let all = Self::value_variants();
        let at = all.iter().position(|sort| *sort == self).unwrap_or(0);
        let step = if forward { 1 } else { all.len().saturating_sub(1) };
        all.get((at + step) % all.len().max(1)).copied().unwrap_or_default()
    }

    /// Sorts the rows. Equal ones stand by id, so that they stay where they are.
    pub(super) fn apply(self, rows: &mut [Row], reverse: bool) {
        rows.sort_by(|a, b| {
            let order = self.compare(a, b);
            let order = if reverse { order.reverse() } else { order };
            order.then_with(|| a.id.cmp(&b.id))
        });
    }

    fn compare(self, a: &Row, b: &Row) -> Ordering {
        use LedgerCauseDto::{Idle, LlmConnect, LlmFirstToken, LlmStream, Tool};
        let share = |causes: &[LedgerCauseDto]| b.share(causes).total_cmp(&a.share(causes));
        match self {
            Self::Cpu => b.cpus.unwrap_or(-1.0).total_cmp(&a.cpus.unwrap_or(-1.0)),
            Self::Rss => b.rss_bytes.cmp(&a.rss_bytes),
            Self::Processes => b.processes.cmp(&a.processes),
            Self::Tool => share(&[Tool]),
            Self::Llm => share(&[LlmConnect, LlmFirstToken, LlmStream]),
            Self::Idle => share(&[Idle]),
            Self::Age => a.created.cmp(&b.created),
            Self::Name => a.name.cmp(&b.name),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::store::fixture::at;

    fn share(cause: LedgerCauseDto, share: f64) -> LedgerShareDto {
        LedgerShareDto { cause, seconds: 10.0 * share, share, estimated_seconds: 0.0 }
    }

    /// Two agents: one that waits for its model, and one of which nothing is known yet.
    pub(in crate::cli::top) fn snapshot() -> Snapshot {
        let coder = Row {
            id: "100-1".to_owned(),
            name: "coder".to_owned(),
            pid: 100,
            created: at(0),
            cpus: Some(1.5),
            rss_bytes: 64 << 20,
            processes: 3,
            wall_seconds: 10.0,
            causes: vec![share(LedgerCauseDto::LlmFirstToken, 0.6), share(LedgerCauseDto::Tool, 0.4)],
            estimated: true,
            running: Some(Running { comm: "cargo".to_owned(), seconds: 12.0 }),
            last_tool: Some(LastTool {
                name: "cargo test".to_owned(),
                end: "exit 3".to_owned(),
                seconds_ago: 3.0,
            }),
        };
        let fresh = Row {
            id: "200-2".to_owned(),
            name: "bot\u{1b}[31m".to_owned(),
            pid: 200,
            created: at(100),
            cpus: None,
            rss_bytes: 1 << 30,
            processes: 1,
            wall_seconds: 0.0,
            causes: Vec::new(),
            estimated: false,
            running: None,
            last_tool: None,
        };
        Snapshot { at: at(200), agents: vec![coder, fresh], left_out: 0, blocked_on: None }
    }

    #[test]
    fn rows_are_sorted_by_each_column_and_backwards() {
        let mut rows = snapshot().agents;
        let mut first = |sort: Sort, reverse| {
            sort.apply(&mut rows, reverse);
            rows[0].pid
        };
        for (sort, pid) in [
            (Sort::Cpu, 100),
            (Sort::Rss, 200),
            (Sort::Processes, 100),
            (Sort::Tool, 100),
            (Sort::Llm, 100),
            (Sort::Age, 100),
            (Sort::Name, 200),
        ] {
            assert_eq!(first(sort, false), pid, "{sort:?}");
            assert_eq!(first(sort, true), 300 - pid, "{sort:?}");
        }
        assert_eq!(first(Sort::Idle, false), 100, "equal ones stand by id");
    }

    #[test]
    fn sorting_goes_round() {
        let mut sort = Sort::Cpu;
        for _ in Sort::value_variants() {
            assert_eq!(sort.turned(true).turned(false), sort);
            sort = sort.turned(true);
        }
        assert_eq!(sort, Sort::Cpu);
    }

    #[test]
    fn what_is_not_known_is_said() {
        let fresh = &snapshot().agents[1];
        assert_eq!(
            (fresh.cpu_text(), fresh.heaviest_text(), fresh.tool_text()),
            ("-".into(), "-".into(), "-".into())
        );
    }
}
