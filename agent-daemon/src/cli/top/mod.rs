//! `agentperf top`: the live agents, what each spends its time on, and what it uses. Reads the HTTP API and nothing
//! else, so that it shows a daemon's agents from wherever that can be reached, an SSH tunnel included.

mod gather;
mod row;
mod screen;
mod terminal;

use std::io::{self, IsTerminal as _};

use self::{
    gather::Gatherer,
    row::{Snapshot, Sort},
};
use super::{
    backend::DaemonArgs,
    error::CliError,
    out,
    table::{Align, Table},
    units,
};
use crate::config::parse_duration;

/// The shortest time between two looks: the daemon stores a window in seconds, not less.
const SHORTEST: std::time::Duration = std::time::Duration::from_millis(200);

/// Show the live agents as they work: where their time goes, CPU, memory, tools.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Keys: q quit; s, S sort by the next, the previous column; r reverse; up and down select; space pause.

Examples:
  agentperf top
  agentperf top --sort rss --interval 5s
  agentperf top --once
  agentperf top --json | jq '.agents[] | [.name, .cpus, .rss_bytes]'

Exit codes: 0 shown; 1 no daemon answers; 2 bad usage.")]
pub(super) struct TopArgs {
    /// What comes first
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// How often to look
    #[arg(long, value_name = "DURATION", default_value = "2s")]
    interval: String,
    /// Over how long back shares and CPUs are taken, in whole windows
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    over: String,
    /// Show once and end, as where output is no terminal
    #[arg(long)]
    once: bool,
    /// Show once as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Shows.
pub(super) fn run(args: &TopArgs) -> Result<(), CliError> {
    let interval = duration("interval", &args.interval)?.max(SHORTEST);
    duration("over", &args.over)?;
    let gatherer = Gatherer::new(args.daemon.client()?, args.over.clone());
    if !args.json && !args.once && io::stdout().is_terminal() {
        return terminal::run(gatherer, interval, args.sort);
    }
    let mut snapshot = gatherer.look(None)?;
    args.sort.apply(&mut snapshot.agents, false);
    if args.json { out::print_json(&snapshot) } else { out::print(&render(&snapshot)) }
}

fn duration(name: &str, text: &str) -> Result<std::time::Duration, CliError> {
    parse_duration(text)
        .filter(|length| !length.is_zero())
        .ok_or_else(|| CliError::Usage(format!("--{name} {text:?} is no duration such as 500ms, 2s or 1m")))
}

/// The agents as a table for paper.
fn render(snapshot: &Snapshot) -> String {
    if snapshot.agents.is_empty() {
        return "no agents now: `agentperf rules` lists who would be found\n".to_owned();
    }
    let columns = [
        ("PID", Align::Right),
        ("CPU", Align::Right),
        ("RSS", Align::Right),
        ("PROCS", Align::Right),
        ("MOST TIME", Align::Left),
        ("TOOL", Align::Left),
        ("NAME", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for row in &snapshot.agents {
        table.row(vec![
            row.pid.to_string(),
            row.cpu_text(),
            units::bytes(row.rss_bytes),
            row.processes.to_string(),
            row.heaviest_text(),
            row.tool_text(),
            row.name.clone(),
        ]);
    }
    let mut text = table.render("");
    if snapshot.left_out > 0 {
        text += &format!("and {} more agents\n", snapshot.left_out);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{row::tests::snapshot, *};

    #[test]
    fn the_table_has_a_line_for_each_agent() {
        let text = render(&snapshot());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].contains("coder") && lines[1].contains("llm_first_token 60.0 %"), "{text}");
        assert!(lines[1].contains("150 %") && lines[1].contains("cargo test exit 3"), "{text}");
        let none = Snapshot { agents: Vec::new(), ..snapshot() };
        assert!(render(&none).starts_with("no agents now"));
    }

    #[test]
    fn durations_are_checked() {
        assert!(duration("interval", "2s").is_ok());
        for wrong in ["", "2", "0s", "x"] {
            assert!(duration("interval", wrong).is_err(), "{wrong}");
        }
    }
}
