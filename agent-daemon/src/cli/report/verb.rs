//! `agentperf report AGENT`: what an agent of the running daemon did, its ledger first.

use super::{Report, render};
use crate::{
    api::dto::agent::{AgentDto, AgentStateDto},
    cli::{
        backend::DaemonArgs,
        client::{Client, Range},
        error::CliError,
        out,
    },
    config::parse_duration,
    model::time::Timestamp,
};

/// Show where an agent's time went: its ledger, processes, CPU time, waits and system calls.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  agentperf report 4711
  agentperf report claude --since 5m
  agentperf report 4711-1795283150714 --json | jq .ledger.causes

Exit codes: 0 shown; 1 no daemon answers; 2 bad usage, or there is no such agent, or more than one.")]
pub(in crate::cli) struct ReportArgs {
    /// The agent: its id, the pid of its root process, or its name
    agent: String,
    /// How far back, such as 5m [default: since it is watched]
    #[arg(long, value_name = "DURATION")]
    since: Option<String>,
    /// Show as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Shows.
pub(in crate::cli) fn run(args: &ReportArgs) -> Result<(), CliError> {
    let range = range(args.since.as_deref())?;
    let client = args.daemon.client()?;
    let agent = find(&client, &args.agent)?;
    let report = Report::gather(&client, &agent.id, range)?;
    if args.json { out::print_json(&report) } else { out::print(&render(&report)) }
}

fn range(since: Option<&str>) -> Result<Range, CliError> {
    let Some(text) = since else { return Ok(Range::default()) };
    let length = parse_duration(text).filter(|length| !length.is_zero());
    let from = length.and_then(|length| Timestamp::now().checked_sub(length).ok());
    match from {
        Some(from) => Ok(Range { from: Some(from) }),
        None => Err(CliError::Usage(format!("--since {text:?} is no duration such as 30s, 5m or 1h30m"))),
    }
}

/// The agent of this id, pid or name. One that lives goes before those that ended.
pub(in crate::cli) fn find(client: &Client, wanted: &str) -> Result<AgentDto, CliError> {
    let is_wanted = |a: &AgentDto| a.id == wanted || a.name == wanted || a.pid.to_string() == wanted;
    let mut found: Vec<_> = client.agents()?.agents.into_iter().filter(is_wanted).collect();
    if found.iter().any(|agent| agent.state == AgentStateDto::Live) {
        found.retain(|agent| agent.state == AgentStateDto::Live);
    }
    match (found.len(), found.pop()) {
        (1, Some(agent)) => Ok(agent),
        (0, _) | (_, None) => {
            Err(CliError::Usage(format!("no agent is called {wanted:?}: agentperf agents --all lists them")))
        }
        (several, Some(_)) => Err(CliError::Usage(format!(
            "{several} agents are called {wanted:?}: give an id, as agentperf agents --all lists them"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn a_range_is_a_duration() {
        assert!(range(None).unwrap().from.is_none());
        assert!(range(Some("5m")).unwrap().from.is_some());
        for wrong in ["", "5", "0s", "never"] {
            assert!(range(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
