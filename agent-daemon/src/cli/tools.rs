//! `agentperf tools`: which tools an agent ran, and what they cost.

use super::{
    backend::DaemonArgs,
    error::CliError,
    out,
    report::find,
    table::{Align, Table},
    units,
};
use crate::api::dto::{
    names::ToolEndDto,
    network::PlaceDto,
    tool::{BillDto, ToolDto, ToolListDto, ToolNameDto},
};

/// Show the tools that an agent ran, with what they cost: by name, then the calls that took longest.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  agentperf tools claude
  agentperf tools 4711-1763738400123 --since 10m --failed
  agentperf tools 4711-1763738400123 --order busiest --name 'cargo test'
  agentperf tools 4711-1763738400123 --json | jq '.names[] | [.name, .calls, .cpu_user_seconds]'

Exit codes: 0 shown; 1 no daemon answers; 2 bad usage, or there is no such agent, or more than one.")]
pub(super) struct ToolsArgs {
    /// The agent: its id, the pid of its root process, or its name
    #[arg(value_name = "AGENT")]
    agent: String,
    /// How far back; all of the agent's present watch if absent
    #[arg(long, value_name = "DURATION")]
    since: Option<String>,
    /// Only of this name
    #[arg(long)]
    name: Option<String>,
    /// Only calls that failed
    #[arg(long)]
    failed: bool,
    /// Servers, such as MCP servers, instead of calls
    #[arg(long)]
    servers: bool,
    /// Which calls come first: newest, slowest or busiest
    #[arg(long, value_name = "ORDER", default_value = "slowest")]
    order: String,
    /// How many calls
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Show as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Shows.
pub(super) fn run(args: &ToolsArgs) -> Result<(), CliError> {
    let mut query = vec![("order", args.order.clone()), ("limit", args.limit.to_string())];
    let kind = if args.servers { "server" } else { "tool" };
    query.extend([("failed", args.failed.to_string()), ("kind", kind.to_owned())]);
    let filters = [("since", &args.since), ("name", &args.name)];
    query.extend(filters.iter().filter_map(|(key, value)| Some((*key, (*value).clone()?))));
    let client = args.daemon.client()?;
    let list = client.tools(&find(&client, &args.agent)?.id, &query)?;
    if args.json { out::print_json(&list) } else { out::print(&render(&list)) }
}

/// The bills of an agent's tools: by name, then the calls.
pub(super) fn render(list: &ToolListDto) -> String {
    if list.tools.is_empty() && list.names.is_empty() {
        return "no tool calls that are over in this time\n".to_owned();
    }
    let mut text = by_name(&list.names, "");
    if !list.tools.is_empty() {
        text += &format!("\n{} of {} calls:\n{}", list.tools.len(), list.total, calls(&list.tools));
    }
    text
}

/// What the bill's columns are called.
const BILL: [(&str, Align); 4] = [
    ("USER", Align::Right),
    ("SYSTEM", Align::Right),
    ("PEAK RSS", Align::Right),
    ("READ+WRITTEN", Align::Right),
];

/// The bills by name, a line for each.
pub(super) fn by_name(names: &[ToolNameDto], indent: &str) -> String {
    let first =
        [("CALLS", Align::Right), ("FAILED", Align::Right), ("TIME", Align::Right), ("P50", Align::Right)];
    let mut table = Table::new(&[&first[..], &BILL, &[("TOOL", Align::Left)]].concat());
    for name in names {
        let median = name.p50_seconds.map_or_else(|| "-".to_owned(), units::seconds);
        let first =
            [name.calls.to_string(), name.failures.to_string(), units::seconds(name.total_seconds), median];
        table.row([&first[..], &bill(&name.bill), std::slice::from_ref(&name.name)].concat());
    }
    table.render(indent)
}

fn calls(tools: &[ToolDto]) -> String {
    let first = [("START", Align::Left), ("TIME", Align::Right), ("END", Align::Left)];
    let last = [
        ("FILES", Align::Right),
        ("SENT+RECEIVED", Align::Right),
        ("MOSTLY WITH", Align::Left),
        ("PROCS", Align::Right),
        ("PID", Align::Right),
        ("TOOL", Align::Left),
    ];
    let mut table = Table::new(&[&first[..], &BILL, &last].concat());
    for tool in tools {
        let first =
            [tool.start.strftime("%F %T").to_string(), units::seconds(tool.duration_seconds), end_of(tool)];
        let pid = tool.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let [bytes, peer] = network(tool);
        let last = [files(tool), bytes, peer, tool.bill.processes.to_string(), pid, tool.name.clone()];
        table.row([&first[..], &bill(&tool.bill), &last].concat());
    }
    table.render("")
}

fn bill(bill: &BillDto) -> [String; 4] {
    [
        units::seconds(bill.cpu_user_seconds),
        units::seconds(bill.cpu_system_seconds),
        units::bytes(bill.peak_rss_bytes),
        units::bytes(bill.storage_read_bytes.saturating_add(bill.storage_written_bytes)),
    ]
}

/// Files that it created, changed, deleted and renamed, as in `+2 ~1 -1 >1`; nothing where there were none.
fn files(tool: &ToolDto) -> String {
    let Some(files) = &tool.files else { return "-".to_owned() };
    let counts = [('+', files.created), ('~', files.changed), ('-', files.deleted), ('>', files.renamed)];
    let some = counts.into_iter().filter(|(_, n)| *n > 0);
    some.map(|(sign, n)| format!("{sign}{n}")).collect::<Vec<_>>().join(" ")
}

/// Bytes both ways, and with whom most of them were.
fn network(tool: &ToolDto) -> [String; 2] {
    let Some(network) = &tool.network else { return ["-".to_owned(), "-".to_owned()] };
    let bytes = network.sent_bytes.saturating_add(network.received_bytes);
    let peer = network.top.first().map(|peer| {
        let address = || peer.address.map(|address| address.to_string());
        let unnamed = || if peer.place == PlaceDto::Unix { "unix sockets" } else { "others" }.to_owned();
        let name = peer.host.clone().or_else(address).unwrap_or_else(unnamed);
        if peer.port == 0 { name } else { format!("{name} port {}", peer.port) }
    });
    [units::bytes(bytes), peer.unwrap_or_default()]
}

/// `ok`, `exit 1`, `SIGKILL`, and what else there is to say of its end: `same 3x` for the third of the same.
pub(super) fn end_of(tool: &ToolDto) -> String {
    let signal = || tool.signal.map(|signal| tool.signal_name.clone().unwrap_or_else(|| signal.to_string()));
    let exit = match tool.exit_code {
        Some(0) => Some("ok".to_owned()),
        Some(code) => Some(format!("exit {code}")),
        None => signal(),
    };
    let more = match tool.ended {
        ToolEndDto::Exited => None,
        ToolEndDto::Left => Some("left some"),
        ToolEndDto::Unfinished => Some("unfinished"),
        ToolEndDto::Unseen => Some("unseen"),
    };
    let again = (tool.repeats > 0).then(|| format!("same {}x", tool.repeats + 1));
    let said: Vec<&str> = exit.as_deref().into_iter().chain(more).chain(again.as_deref()).collect();
    if said.is_empty() { "-".to_owned() } else { said.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::{at, tool_call_at};

    #[test]
    fn calls_are_shown_with_their_ends_and_bills() {
        let tools: Vec<ToolDto> =
            [9, 10].iter().filter_map(|n| ToolDto::of(&tool_call_at(at(0), *n))).collect();
        let text = calls(&tools);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].contains("ok") && lines[1].ends_with("cargo build"), "{text}");
        assert!(lines[1].contains("+1 ~9 -1 >1"), "{text}");
        assert!(lines[1].contains("328 B") && lines[1].contains("packages.example port 443"), "{text}");
        assert!(lines[2].contains("exit 3") && lines[2].contains("46.1 kB"), "{text}");
    }
}
