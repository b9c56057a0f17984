//! One look at the live agents over the API: three small requests for each.

use super::row::{LastTool, Row, Running, Snapshot};
use crate::{
    api::dto::{
        agent::{AgentDto, AgentStateDto},
        ledger::LedgerDto,
        process::ProcessTreeDto,
        tool::ToolDto,
    },
    cli::{client::Client, error::CliError, tools::end_of},
    model::{ledger::ThreadState, time::Timestamp},
};

/// Agents that are looked at: three requests each.
const MAX_AGENTS: usize = 64;
/// How far back a tool call may have ended to be shown.
const TOOLS_SINCE: &str = "10m";
/// Processes that lived within this are read.
const PROCESSES_SINCE: &str = "1s";

/// Who asks the daemon.
#[derive(Debug)]
pub(super) struct Gatherer {
    client: Client,
    over: String,
}

impl Gatherer {
    /// Shares are taken over this long back.
    pub(super) fn new(client: Client, over: String) -> Self {
        Self { client, over }
    }

    /// Looks once; closer at the agent that is selected.
    pub(super) fn look(&self, selected: Option<&str>) -> Result<Snapshot, CliError> {
        let mut live = self.client.agents()?.agents;
        live.retain(|agent| agent.state == AgentStateDto::Live);
        let left_out = live.len().saturating_sub(MAX_AGENTS);
        live.truncate(MAX_AGENTS);
        let mut agents = Vec::with_capacity(live.len());
        for agent in &live {
            match self.row(agent) {
                Ok(row) => agents.push(row),
                // It has been forgotten since the list was made.
                Err(CliError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        // Where it has ended, or is not watched by what tells, that is no failure.
        let blocked_on = selected.and_then(|id| self.client.blocked_on(id).ok());
        Ok(Snapshot { at: Timestamp::now(), agents, left_out, blocked_on })
    }

    fn row(&self, agent: &AgentDto) -> Result<Row, CliError> {
        let since = |length: &str| ("since", length.to_owned());
        let ledger = self.client.ledger_by(&agent.id, &[since(&self.over)])?;
        let tree = self.client.processes_by(&agent.id, &[since(PROCESSES_SINCE)])?;
        let newest = [since(TOOLS_SINCE), ("limit", "1".to_owned())];
        let tools = self.client.tools(&agent.id, &newest)?;
        Ok(row(agent, &ledger, &tree, tools.tools.first(), Timestamp::now()))
    }
}

fn row(
    agent: &AgentDto,
    ledger: &LedgerDto,
    tree: &ProcessTreeDto,
    last: Option<&ToolDto>,
    now: Timestamp,
) -> Row {
    let mut causes: Vec<_> = ledger.causes.iter().filter(|share| share.seconds > 0.0).copied().collect();
    causes.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    Row {
        id: agent.id.clone(),
        name: agent.name.clone(),
        pid: agent.pid,
        created: agent.created,
        cpus: cpus(ledger),
        rss_bytes: tree.live.rss_bytes,
        processes: tree.live.processes,
        wall_seconds: ledger.wall_seconds,
        causes,
        estimated: ledger.estimated,
        running: running(tree, now),
        last_tool: last.map(|tool| LastTool {
            name: tool.name.clone(),
            end: end_of(tool),
            seconds_ago: age(tool.end, now),
        }),
    }
}

/// CPUs that its threads used on average, all roles together.
fn cpus(ledger: &LedgerDto) -> Option<f64> {
    let of_cpu = ledger.thread_seconds.iter().filter(|time| time.state == ThreadState::Cpu.name());
    (ledger.watched && ledger.wall_seconds > 0.0)
        .then(|| of_cpu.map(|time| time.seconds).sum::<f64>() / ledger.wall_seconds)
}

/// The youngest live process below the root.
fn running(tree: &ProcessTreeDto, now: Timestamp) -> Option<Running> {
    let live = tree.processes.iter().filter(|process| process.end.is_none() && process.depth > 0);
    let youngest = live.max_by_key(|process| process.start)?;
    Some(Running { comm: youngest.comm.clone(), seconds: age(youngest.start, now) })
}

fn age(then: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(then).as_secs_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::dto::process::LiveDto,
        store::{
            fixture::{self, agent_at, at, tool_call_at},
            query,
        },
    };

    #[test]
    fn a_row_is_made_of_three_answers() {
        let agent = AgentDto::from(agent_at(at(0)));
        let ledger = LedgerDto::new(agent.id.clone(), true, None, &fixture::ledger(2500));
        let rows = query::tree(Vec::new());
        let tree =
            ProcessTreeDto { agent: agent.id.clone(), processes: Vec::new(), live: LiveDto::of(&rows) };
        let tool = ToolDto::of(&tool_call_at(at(0), 10)).unwrap();
        let now = tool.end + std::time::Duration::from_secs(7);
        let row = row(&agent, &ledger, &tree, Some(&tool), now);
        assert!((row.wall_seconds - ledger.wall_seconds).abs() < 1e-9 && row.wall_seconds > 0.0);
        let sum: f64 = row.causes.iter().map(|share| share.share).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{row:?}");
        assert!(row.causes.is_sorted_by(|a, b| a.seconds >= b.seconds));
        let last = row.last_tool.unwrap();
        assert_eq!((last.end.as_str(), last.seconds_ago), ("exit 3", 7.0));
        assert!(row.running.is_none());
    }

    #[test]
    fn cpus_are_unknown_where_nothing_is_watched() {
        let ledger = |watched| LedgerDto::new("1-1".to_owned(), watched, None, &fixture::ledger(2500));
        assert!(cpus(&ledger(true)).is_some());
        assert!(cpus(&ledger(false)).is_none());
        assert!(cpus(&LedgerDto::new("1-1".to_owned(), true, None, &Default::default())).is_none());
    }
}
