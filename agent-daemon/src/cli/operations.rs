//! `agentperf operations`: what applications told the running daemon of.

use clap::builder::PossibleValuesParser;

use super::{
    backend::DaemonArgs,
    error::CliError,
    out,
    report::find,
    table::{Align, Table},
    units,
};
use crate::{
    api::dto::operation::{OperationDto, OperationListDto, OperationSumDto, OperationSummaryDto},
    model::operation::Source,
};

/// Show what applications told of: endpoints with their rates, errors and times, or single operations.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  agentperf operations
  agentperf operations --since 5m --slowest
  agentperf operations --failed --kind http_server
  agentperf operations --by model --json | jq '.groups[]'
  agentperf operations --source kernel --kind checkpoint_save --agent trainer --slowest

Exit codes: 0 shown; 1 no daemon answers; 2 bad usage, or there is no such agent, or more than one.")]
pub(super) struct OperationsArgs {
    /// How far back
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    since: String,
    /// What is added up together: endpoint, model, agent, user or session
    #[arg(long, value_name = "WHAT", default_value = "endpoint")]
    by: String,
    /// Single operations, those that took longest first
    #[arg(long, conflicts_with = "by")]
    slowest: bool,
    /// Single operations that failed, the newest first
    #[arg(long, conflicts_with = "by")]
    failed: bool,
    /// Only of this project
    #[arg(long)]
    project: Option<String>,
    /// Only of this kind
    #[arg(long)]
    kind: Option<String>,
    /// Only what came this way; if absent, what applications told of, not what agentperf saw by itself
    #[arg(long, value_parser = PossibleValuesParser::new(Source::ALL.map(Source::name)))]
    source: Option<String>,
    /// Only of this agent: its id, the pid of its root process, or its name
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Show as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Shows.
pub(super) fn run(args: &OperationsArgs) -> Result<(), CliError> {
    let client = args.daemon.client()?;
    let mut query = vec![("since", args.since.clone()), ("limit", args.limit.to_string())];
    let filters = [("project", &args.project), ("kind", &args.kind), ("source", &args.source)];
    query.extend(filters.iter().filter_map(|(key, value)| Some((*key, (*value).clone()?))));
    if let Some(agent) = &args.agent {
        query.push(("agent", find(&client, agent)?.id));
    }
    if args.slowest || args.failed {
        query.push(("order", if args.slowest { "slowest" } else { "newest" }.to_owned()));
        query.push(("failed", args.failed.to_string()));
        let list = client.operations(&query)?;
        return if args.json { out::print_json(&list) } else { out::print(&list_of(&list)) };
    }
    query.push(("by", args.by.clone()));
    let summary = client.operation_summary(&query)?;
    if args.json { out::print_json(&summary) } else { out::print(&summary_of(&summary)) }
}

/// What to say where there is nothing.
const NOTHING: &str =
    "no such operations in this time; `agentperf config example` shows how a project may send some\n";

fn list_of(list: &OperationListDto) -> String {
    if list.operations.is_empty() {
        return NOTHING.to_owned();
    }
    let columns = [
        ("START", Align::Left),
        ("TIME", Align::Right),
        ("STATUS", Align::Right),
        ("PID", Align::Right),
        ("PROJECT", Align::Left),
        ("KIND", Align::Left),
        ("NAME", Align::Left),
    ];
    let mut table = Table::new(&columns);
    list.operations.iter().for_each(|operation| table.row(row(operation)));
    table.render("")
}

fn row(operation: &OperationDto) -> Vec<String> {
    let outcome = if operation.success { "ok" } else { "failed" };
    vec![
        operation.start.strftime("%F %T").to_string(),
        units::seconds(operation.duration_seconds),
        operation.status.map_or_else(|| outcome.to_owned(), |status| status.to_string()),
        operation.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
        operation.project.clone(),
        operation.kind.clone(),
        operation.name.clone(),
    ]
}

fn summary_of(summary: &OperationSummaryDto) -> String {
    if summary.groups.is_empty() {
        return NOTHING.to_owned();
    }
    let columns = [
        ("COUNT", Align::Right),
        ("PER S", Align::Right),
        ("ERRORS", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
        ("MAX", Align::Right),
        ("OF", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for group in &summary.groups {
        let source = group.source.map(|source| Source::from(source).name());
        let of = [
            group.project.as_deref(),
            source,
            group.kind.as_deref(),
            group.name.as_deref(),
            group.model.as_deref(),
            group.agent.as_deref(),
            group.user.as_deref(),
            group.session.as_deref(),
        ];
        let of: Vec<&str> = of.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        // Of what found no room, only how it came is known.
        let is_other = of.len() == usize::from(source.is_some());
        let of = if is_other { [&["other"], &*of].concat().join(" ") } else { of.join(" ") };
        table.row(sums(&group.sum, &of));
    }
    table.render("")
}

fn sums(sum: &OperationSumDto, of: &str) -> Vec<String> {
    let time = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), units::seconds);
    vec![
        sum.count.to_string(),
        sum.per_second.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.2}")),
        sum.error_rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", rate * 100.0)),
        time(sum.p50_seconds),
        time(sum.p99_seconds),
        units::seconds(sum.max_seconds),
        of.to_owned(),
    ]
}
