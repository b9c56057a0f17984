//! `agentperf alerts`: what is wrong, by which rules, and who does not want to hear of it.

pub(super) mod files;
mod look_back;
mod reactions;
mod receivers;
mod silences;

use super::{
    backend::DaemonArgs,
    error::CliError,
    out,
    table::{Align, Table},
    units,
};
use crate::{
    api::dto::alert::{
        AlertDto, AlertListDto, AlertRuleDto, AlertRuleHealthDto, AlertRuleListDto, AlertStateDto,
        SeverityDto,
    },
    model::time::Timestamp,
};

/// Show what is wrong now; silence alerts; check and test the rules they come from.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  agentperf alerts
  agentperf alerts --history
  agentperf alerts rules
  agentperf alerts silence --for 2h --comment 'a build' 'alertname=\"AgentCpuHigh\"' 'agent=~\"claude.*\"'
  agentperf alerts silences
  agentperf alerts unsilence 0123456789abcdef0123456789abcdef
  agentperf alerts receivers --test pager
  agentperf alerts reactions
  agentperf alerts reactions --undo 12
  agentperf alerts reactions --dump
  agentperf alerts check /etc/agentperf/alerts.yaml
  agentperf alerts check --history --since 24h /etc/agentperf/alerts.yaml
  agentperf alerts test tests.yaml

Exit codes: 0 done; 1 no daemon answers, or a test failed; 2 bad usage, refused, or mistakes in a file.")]
pub(super) struct AlertsArgs {
    #[command(subcommand)]
    verb: Option<AlertsVerb>,
    /// Show those that fired and are over
    #[arg(long)]
    history: bool,
    /// Answer as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

#[derive(Debug, clap::Subcommand)]
enum AlertsVerb {
    /// List the rules in force, and how they fare
    Rules(DaemonArgs),
    /// List silences
    Silences(DaemonArgs),
    /// Tell nobody of some alerts, for a while
    Silence(silences::SilenceArgs),
    /// End a silence
    Unsilence(silences::UnsilenceArgs),
    /// List receivers, and how they fare; or test one
    Receivers(receivers::ReceiversArgs),
    /// List what alerts did by themselves; take one back; dump the flight recorder
    Reactions(reactions::ReactionsArgs),
    /// Check files of rules; with --history say what they would have found
    Check(files::CheckArgs),
    /// Run tests of rules on given series, in promtool's form
    Test(files::TestArgs),
}

/// Does what is asked for.
pub(super) fn run(args: &AlertsArgs) -> Result<(), CliError> {
    match &args.verb {
        None if args.history => show(&args.daemon.client()?.alert_history()?, args.json),
        None => show(&args.daemon.client()?.alerts()?, args.json),
        Some(AlertsVerb::Rules(daemon)) => show_rules(&daemon.client()?.alert_rules()?, args.json),
        Some(AlertsVerb::Silences(daemon)) => silences::list(daemon, args.json),
        Some(AlertsVerb::Silence(what)) => silences::silence(what, args.json),
        Some(AlertsVerb::Unsilence(what)) => silences::unsilence(what, args.json),
        Some(AlertsVerb::Receivers(what)) => receivers::run(what, args.json),
        Some(AlertsVerb::Reactions(what)) => reactions::run(what, args.json),
        Some(AlertsVerb::Check(what)) => files::check(what, args.json),
        Some(AlertsVerb::Test(what)) => files::test(what, args.json),
    }
}

fn show(list: &AlertListDto, json: bool) -> Result<(), CliError> {
    if json { out::print_json(list) } else { out::print(&render(list, Timestamp::now())) }
}

fn render(list: &AlertListDto, now: Timestamp) -> String {
    if !list.enabled {
        return "alerts are off (alerts.enabled)\n".to_owned();
    }
    if list.alerts.is_empty() {
        return "no alerts\n".to_owned();
    }
    let columns = [
        ("STATE", Align::Left),
        ("SEVERITY", Align::Left),
        ("SINCE", Align::Right),
        ("ALERT", Align::Left),
        ("SUMMARY", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for alert in &list.alerts {
        table.row(row(alert, now));
    }
    table.render("")
}

fn row(alert: &AlertDto, now: Timestamp) -> Vec<String> {
    let state = match (alert.state, &alert.muted) {
        (AlertStateDto::Firing, Some(_)) => "muted",
        (AlertStateDto::Firing, None) if alert.flapping => "flapping",
        (AlertStateDto::Firing, None) => "firing",
        (AlertStateDto::Pending, _) => "pending",
        (AlertStateDto::Resolved, _) => "resolved",
    };
    let since = match alert.state {
        AlertStateDto::Pending => alert.active_since,
        AlertStateDto::Firing => alert.firing_since,
        AlertStateDto::Resolved => alert.resolved,
    };
    let label = |name: &str| alert.labels.get(name).cloned().unwrap_or_default();
    let summary = alert.annotations.get("summary").cloned().unwrap_or_else(|| labels(alert));
    vec![
        state.to_owned(),
        severity(alert.severity).to_owned(),
        since.map_or_else(String::new, |at| units::seconds(now.duration_since(at).as_secs_f64().max(0.0))),
        label("alertname"),
        summary,
    ]
}

fn labels(alert: &AlertDto) -> String {
    let labels = alert.labels.iter().filter(|(name, _)| *name != "alertname" && *name != "severity");
    labels.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

pub(super) fn severity(severity: SeverityDto) -> &'static str {
    match severity {
        SeverityDto::Info => "info",
        SeverityDto::Warning => "warning",
        SeverityDto::Critical => "critical",
    }
}

fn show_rules(list: &AlertRuleListDto, json: bool) -> Result<(), CliError> {
    if json {
        return out::print_json(list);
    }
    if let Some(why) = &list.refused {
        out::tell(&format!(
            "agentperf: note: the files that are there now are refused: {}\n",
            out::plain(why)
        ));
    }
    let columns = [
        ("GROUP", Align::Left),
        ("RULE", Align::Left),
        ("SEVERITY", Align::Left),
        ("FIRING", Align::Right),
        ("PENDING", Align::Right),
        ("HEALTH", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for rule in &list.rules {
        table.row(vec![
            rule.group.clone(),
            rule.name.clone(),
            severity(rule.severity).to_owned(),
            rule.firing.to_string(),
            rule.pending.to_string(),
            health(rule),
        ]);
    }
    out::print(&table.render(""))
}

fn health(rule: &AlertRuleDto) -> String {
    let missing = || match rule.missing.as_slice() {
        [] => String::new(),
        names => format!(", no series of {}", names.join(", ")),
    };
    match rule.health {
        AlertRuleHealthDto::New => "not evaluated yet".to_owned(),
        AlertRuleHealthDto::Ok => format!("ok{}", missing()),
        AlertRuleHealthDto::NoData => "nothing is known yet".to_owned(),
        AlertRuleHealthDto::Failed => format!("failed: {}", rule.error.as_deref().unwrap_or("no reason")),
    }
}
