//! `agentperf rules`: who would be found to be an agent. Its verbs `check`, `test` and `default` are of alert rules, which
//! have files of their own; the first two are the same as those of `agentperf alerts`.

use std::path::PathBuf;

use serde::Serialize;

use super::{
    alerts::files,
    error::CliError,
    out,
    table::{Align, Table},
};
use crate::{
    alert::rule::DEFAULT_RULES,
    config::{Action, Config, Overrides, Rule, builtin_rules},
};

/// List the rules that say who is an agent, in the order they are tried; or check, test and print alert rules.
#[derive(clap::Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  agentperf rules
  agentperf rules --config /etc/agentperf/agentperf.yaml
  agentperf rules --json | jq '.rules[].name'
  agentperf rules check /etc/agentperf/alerts.yaml
  agentperf rules test tests.yaml
  agentperf rules default > alerts.yaml

Exit codes: 0 listed, or fine; 1 tests failed; 2 bad usage or configuration, or mistakes in a file."
)]
pub(super) struct RulesArgs {
    #[command(subcommand)]
    verb: Option<RulesVerb>,
    /// Configuration whose rules come first
    #[arg(long, short, env = "AGENTPERF_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// List as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum RulesVerb {
    /// Check files of alert rules; the same as agentperf alerts check
    Check {
        #[command(flatten)]
        what: files::CheckArgs,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Run tests of alert rules on given series; the same as agentperf alerts test
    Test {
        #[command(flatten)]
        what: files::TestArgs,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the alert rules that are in force unless the configuration names others, as a file to change
    Default,
}

#[derive(Serialize)]
struct Listing {
    rules: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    /// `configured` or `builtin`.
    source: &'static str,
    /// `include` or `exclude`.
    action: &'static str,
    description: Option<&'static str>,
    probes: Vec<&'static str>,
    matchers: serde_json::Map<String, serde_json::Value>,
}

/// Lists, checks or tests.
pub(super) fn run(args: &RulesArgs) -> Result<(), CliError> {
    match &args.verb {
        Some(RulesVerb::Check { what, json }) => return files::check(what, *json),
        Some(RulesVerb::Test { what, json }) => return files::test(what, *json),
        Some(RulesVerb::Default) => return out::print(DEFAULT_RULES),
        None => {}
    }
    let config = Config::load(args.config.as_deref(), Overrides::default())?;
    let mut rules: Vec<Entry> = config.agents.rules.iter().map(|r| entry(r, "configured", None)).collect();
    if config.agents.builtin_rules {
        rules.extend(builtin_rules().iter().map(|b| entry(&b.rule, "builtin", Some(b.description))));
    }
    if args.json { out::print_json(&Listing { rules }) } else { out::print(&render(&rules)) }
}

fn entry(rule: &Rule, source: &'static str, description: Option<&'static str>) -> Entry {
    Entry {
        name: rule.name.clone(),
        source,
        action: match rule.action {
            Action::Include => "include",
            Action::Exclude => "exclude",
        },
        description,
        probes: rule.probes.iter().map(crate::model::probe::Probe::name).collect(),
        matchers: rule
            .matchers
            .describe()
            .into_iter()
            .map(|(key, values)| (key.to_owned(), values.into()))
            .collect(),
    }
}

fn render(rules: &[Entry]) -> String {
    if rules.is_empty() {
        return "no rules: only what is attached by pid is watched\n".to_owned();
    }
    let columns = [
        ("NAME", Align::Left),
        ("SOURCE", Align::Left),
        ("ACTION", Align::Left),
        ("DESCRIPTION", Align::Left),
        ("MATCHES", Align::Left),
    ];
    let mut table = Table::new(&columns).uncut();
    for rule in rules {
        let matchers: Vec<String> =
            rule.matchers.iter().map(|(key, values)| format!("{key}: {}", list(values))).collect();
        table.row(vec![
            rule.name.clone(),
            rule.source.to_owned(),
            rule.action.to_owned(),
            rule.description.unwrap_or_default().to_owned(),
            matchers.join("; "),
        ]);
    }
    table.render("")
}

fn list(values: &serde_json::Value) -> String {
    let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
    values.iter().filter_map(serde_json::Value::as_str).collect::<Vec<_>>().join(" ")
}
