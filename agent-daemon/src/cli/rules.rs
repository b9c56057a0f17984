//! `agentperf rules`: who would be found to be an agent.

use std::path::PathBuf;

use serde::Serialize;

use super::{
    error::CliError,
    out,
    table::{Align, Table},
};
use crate::config::{Action, Config, Overrides, Rule, builtin_rules};

/// List the rules that say who is an agent, in the order they are tried.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  agentperf rules
  agentperf rules --config /etc/agentperf/agentperf.yaml
  agentperf rules --json | jq '.rules[].name'

Exit codes: 0 listed; 2 bad usage or configuration.")]
pub(super) struct RulesArgs {
    /// Configuration whose rules come first
    #[arg(long, short, env = "AGENTPERF_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// List as JSON
    #[arg(long)]
    json: bool,
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

/// Lists.
pub(super) fn run(args: &RulesArgs) -> Result<(), CliError> {
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
