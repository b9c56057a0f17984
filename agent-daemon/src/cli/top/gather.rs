//! One look at the live agents over the API: a small request for each, and two more for each that is shown.

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

/// Agents that are shown: of more, those that use the CPUs most.
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
        let over = [("since", self.over.clone())];
        let ledgers = live.iter().map(|agent| present(self.client.ledger_by(&agent.id, &over)));
        let ledgers: Vec<_> = ledgers.collect::<Result<_, _>>()?;
        let mut found: Vec<_> =
            live.iter().zip(ledgers).filter_map(|(agent, ledger)| Some((agent, ledger?))).collect();
        let left_out = busiest(&mut found, MAX_AGENTS);
        let mut agents = Vec::with_capacity(found.len());
        for (agent, ledger) in found {
            agents.extend(present(self.row(agent, &ledger))?);
        }
        // Where it has ended, or is not watched by what tells, that is no failure.
        let blocked_on = selected.and_then(|id| self.client.blocked_on(id).ok());
        Ok(Snapshot { at: Timestamp::now(), agents, left_out, blocked_on })
    }

    fn row(&self, agent: &AgentDto, ledger: &LedgerDto) -> Result<Row, CliError> {
        let since = |length: &str| ("since", length.to_owned());
        let tree = self.client.processes_by(&agent.id, &[since(PROCESSES_SINCE)])?;
        let newest = [since(TOOLS_SINCE), ("limit", "1".to_owned())];
        let tools = self.client.tools(&agent.id, &newest)?;
        Ok(row(agent, ledger, &tree, tools.tools.first(), Timestamp::now()))
    }
}

/// The answer; none where the agent has been forgotten since the list was made.
fn present<T>(answer: Result<T, CliError>) -> Result<Option<T>, CliError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(CliError::Gone(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Leaves the `most` that use the CPUs most; how many went.
fn busiest(found: &mut Vec<(&AgentDto, LedgerDto)>, most: usize) -> usize {
    found.sort_by(|(_, a), (_, b)| cpus(b).unwrap_or(0.0).total_cmp(&cpus(a).unwrap_or(0.0)));
    let left_out = found.len().saturating_sub(most);
    found.truncate(most);
    left_out
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
    fn of_many_the_busiest_are_shown() {
        let agent = AgentDto::from(agent_at(at(0)));
        let ledger = |n| LedgerDto::new(format!("{n}-1"), true, None, &fixture::ledger(n));
        let mut found: Vec<_> = [0, 2500, 100].map(|n| (&agent, ledger(n))).into();
        assert_eq!(busiest(&mut found, 1), 2);
        assert_eq!(found[0].1.agent, "2500-1");
    }

    #[test]
    fn only_what_is_gone_is_passed_over() {
        assert_eq!(present(Ok(1)).unwrap(), Some(1));
        assert_eq!(present::<u8>(Err(CliError::Gone(String::new()))).unwrap(), None);
        assert!(present::<u8>(Err(CliError::Refused("no such option".to_owned()))).is_err());
    }

    #[test]
    fn cpus_are_unknown_where_nothing_is_watched() {
        let ledger = |watched| LedgerDto::new("1-1".to_owned(), watched, None, &fixture::ledger(2500));
        assert!(cpus(&ledger(true)).is_some());
        assert!(cpus(&ledger(false)).is_none());
        assert!(cpus(&LedgerDto::new("1-1".to_owned(), true, None, &Default::default())).is_none());
    }
}
