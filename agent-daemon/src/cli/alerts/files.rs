//! `agentperf alerts check` and `agentperf alerts test`, which are `agentperf rules check|test` too: what is wrong with
//! files of alert rules, what they would say of given series, and what they would have said of what was stored.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;

use super::look_back::{Found, look_back};

use crate::{
    alert::{
        check::{self, TestReport},
        live::{
            LOG_RECEIVER,
            files::{at, load, read},
        },
        rule::RuleSet,
    },
    cli::{error::CliError, out},
    config::{Alerts, Config, Overrides, RuleSource, parse_duration},
    export::prometheus,
    model::time::{TimeRange, Timestamp},
    store::{Disk, Options as StoreOptions, Store as _, disk::info},
};

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct CheckArgs {
    /// Files of rules, or folders of them [default: those of the configuration]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Say what they would have found in what was stored; no daemon may be using the store
    #[arg(long)]
    history: bool,
    /// File of reactions that is checked with them [default: that of the configuration]
    #[arg(long, value_name = "FILE")]
    reactions: Option<PathBuf>,
    /// How far back
    #[arg(long, value_name = "DURATION", default_value = "24h", requires = "history")]
    since: String,
    /// The store's folder [default: history.directory of the configuration]
    #[arg(long, value_name = "DIR", requires = "history")]
    directory: Option<PathBuf>,
    /// Configuration that names rules, routes and the folder
    #[arg(long, short, env = "AGENTPERF_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct TestArgs {
    /// Files of tests, which name the files of rules
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Checked {
    groups: usize,
    rules: usize,
    /// Metrics that they look at.
    metrics: Vec<String>,
    /// Those that agentperf never shows.
    unknown_metrics: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Found>,
}

/// What the rules would have found in what was stored.
fn history(args: &CheckArgs, config: &Config, rules: &RuleSet) -> Result<Found, CliError> {
    let since = parse_duration(&args.since)
        .ok_or_else(|| CliError::Usage(format!("{:?} is no duration such as 24h", args.since)))?;
    let folder = args.directory.clone().or_else(|| config.history.directory.clone());
    let folder = folder.ok_or_else(|| {
        CliError::Usage("history.directory is memory: there is nothing to look back on".to_owned())
    })?;
    let failed = |error| CliError::Failed(format!("{error}"));
    // Looking first: opening would make a store where there is none.
    info(&folder).map_err(failed)?;
    let store = Disk::open(&folder, StoreOptions::from(config), Arc::default()).map_err(failed)?;
    let to = Timestamp::now();
    let from = to.checked_sub(since).map_err(|error| CliError::failed("cannot look back so far", error))?;
    // No daemon lives: what is not said to have ended was watched until the last one was killed.
    let unseen = store.agents().into_iter().filter(|agent| agent.ended.is_none());
    let ends = unseen.map(|agent| Ok((agent.id.clone(), store.last_seen(&agent)?)));
    let ends = ends.collect::<Result<_, _>>().map_err(failed)?;
    look_back(&store, rules, TimeRange { from, to }, &ends, config.window).map_err(failed)
}

/// Checks.
pub(in crate::cli) fn check(args: &CheckArgs, json: bool) -> Result<(), CliError> {
    let config = Config::load(args.config.as_deref(), Overrides::default())?;
    let mut alerts = config.alerts.clone();
    if let Some(file) = &args.reactions {
        alerts.reactions.file = Some(file.clone());
    } else if !args.files.is_empty() {
        // It may name rules of other files.
        alerts.reactions.file = None;
    }
    if !args.files.is_empty() {
        let absolute = |path: &PathBuf| std::path::absolute(path).map(RuleSource::Path);
        let sources = args.files.iter().map(absolute).collect::<Result<Vec<_>, _>>();
        let sources = sources.map_err(|error| CliError::failed("cannot tell where the files are", error))?;
        alerts = Alerts { rules: sources, ..alerts };
    }
    let loaded =
        load(&alerts, &|name| name == LOG_RECEIVER).map_err(|error| CliError::Usage(error.0.join("\n")))?;
    let metrics: std::collections::BTreeSet<&str> =
        loaded.rules.rules().flat_map(|rule| rule.expr.series()).collect();
    let unknown = metrics.iter().filter(|name| !prometheus::has_metric(name));
    let checked = Checked {
        groups: loaded.rules.groups.len(),
        rules: loaded.rules.len(),
        unknown_metrics: unknown.map(|name| (*name).to_owned()).collect(),
        metrics: metrics.iter().map(|name| (*name).to_owned()).collect(),
        history: if args.history { Some(history(args, &config, &loaded.rules)?) } else { None },
    };
    if json { out::print_json(&checked) } else { out::print(&render(&checked)) }
}

fn render(checked: &Checked) -> String {
    let Checked { groups, rules, .. } = checked;
    let mut text = format!("fine: {rules} rules in {groups} groups\n");
    for name in &checked.unknown_metrics {
        text.push_str(&format!("note: there is no metric {name}: what looks at it does not fire\n"));
    }
    if let Some(found) = &checked.history {
        text.push_str(&format!(
            "from {} to {}, evaluated {} times: {} alerts\n",
            found.from,
            found.to,
            found.evaluations,
            found.fired.len()
        ));
        for fired in &found.fired {
            let labels: Vec<String> =
                fired.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let to = fired.to.map_or_else(|| "the end".to_owned(), |to| to.to_string());
            let line = format!("  {}  {} to {to}  {}", fired.alert, fired.from, labels.join(" "));
            text.push_str(&format!("{}\n", out::plain(&line)));
        }
    }
    text
}

#[derive(Serialize)]
struct Tested {
    checks: usize,
    failures: Vec<FailureDto>,
}

#[derive(Serialize)]
struct FailureDto {
    file: String,
    line: u64,
    test: String,
    message: String,
}

/// Tests.
pub(in crate::cli) fn test(args: &TestArgs, json: bool) -> Result<(), CliError> {
    let mut empty = Vec::new();
    let mut tested = Tested { checks: 0, failures: Vec::new() };
    for file in &args.files {
        let report = run_file(file)?;
        if report.checks == 0 {
            empty.push(format!("{} expects nothing: there is no test in it", file.display()));
        }
        tested.checks += report.checks;
        tested.failures.extend(report.failures.into_iter().map(|failure| FailureDto {
            file: file.display().to_string(),
            line: failure.line,
            test: failure.test,
            message: failure.message,
        }));
    }
    if json {
        out::print_json(&tested)?;
    } else {
        for FailureDto { file, line, test, message } in &tested.failures {
            out::print(&format!("{file}:{line}: test {test}: {message}\n"))?;
        }
    }
    let (failed, checks) = (tested.failures.len(), tested.checks);
    if failed > 0 {
        return Err(CliError::Failed(format!("{failed} of {checks} expectations do not hold")));
    }
    if !empty.is_empty() {
        return Err(CliError::Usage(empty.join("\n")));
    }
    if json { Ok(()) } else { out::print(&format!("{checks} expectations hold\n")) }
}

fn run_file(file: &Path) -> Result<TestReport, CliError> {
    let usage = |error: String| CliError::Usage(error);
    let name = file.display().to_string();
    let text = read(file).map_err(|error| usage(error.to_string()))?;
    let files = check::rule_files(&text).map_err(|error| usage(at(&name, &error)))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder =
        std::path::absolute(folder).map_err(|error| CliError::failed("cannot tell the folder", error))?;
    let rules = files.iter().map(|rule_file| match rule_file.as_str() {
        "builtin" => RuleSource::Builtin,
        path => RuleSource::Path(folder.join(path)),
    });
    let config = Alerts { rules: rules.collect(), ..Alerts::default() };
    let loaded = load(&config, &|_| true).map_err(|error| usage(error.0.join("\n")))?;
    check::run_tests(&text, &loaded.rules).map_err(|error| usage(at(&name, &error)))
}
