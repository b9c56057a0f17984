//! `agentperf agents`: whom the running daemon watches.

use super::{
    backend::DaemonArgs,
    error::CliError,
    out,
    table::{Align, Table},
    units,
};
use crate::{
    api::dto::agent::{AgentDto, AgentListDto, AgentStateDto},
    model::{probe::Probe, time::Timestamp},
};

/// List the agents that the running daemon watches.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  agentperf agents
  agentperf agents --all --json | jq '.agents[].name'

Exit codes: 0 listed; 1 no daemon answers; 2 bad usage.")]
pub(super) struct AgentsArgs {
    /// List those that have ended, too
    #[arg(long, short)]
    all: bool,
    /// List as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Lists.
pub(super) fn run(args: &AgentsArgs) -> Result<(), CliError> {
    let mut list = args.daemon.client()?.agents()?;
    list.agents.retain(|a| args.all || a.state == AgentStateDto::Live);
    if args.json { out::print_json(&list) } else { out::print(&render(&list, args.all)) }
}

fn render(list: &AgentListDto, all: bool) -> String {
    if list.agents.is_empty() {
        let which = if all { "" } else { " now" };
        return format!(
            "no agents{which}: `agentperf rules` lists who would be found, `agentperf attach PID` watches anybody\n"
        );
    }
    let columns = [
        ("ID", Align::Left),
        ("PID", Align::Right),
        ("STATE", Align::Left),
        ("WATCHED", Align::Right),
        ("PROBES", Align::Left),
        ("BY", Align::Left),
        ("NAME", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for agent in &list.agents {
        table.row(row(agent));
    }
    table.render("")
}

fn row(agent: &AgentDto) -> Vec<String> {
    let watched = agent.ended.unwrap_or_else(Timestamp::now).duration_since(agent.attached).as_secs_f64();
    let probes: Vec<&str> = agent.probes.iter().map(|p| Probe::from(*p).name()).collect();
    vec![
        agent.id.clone(),
        agent.pid.to_string(),
        if agent.ended.is_some() { "ended".to_owned() } else { "live".to_owned() },
        units::seconds(watched.max(0.0)),
        probes.join(","),
        agent.rule.as_ref().map_or_else(|| "attach".to_owned(), |rule| format!("rule {rule}")),
        agent.name.clone(),
    ]
}
