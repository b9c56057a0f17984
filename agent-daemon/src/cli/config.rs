//! `agentperf config`: checks a configuration, or prints one to start from.

use std::{
    collections::{BTreeSet, HashSet},
    path::PathBuf,
};

use super::{error::CliError, out, serve};
use crate::{
    alert::live::{Receivers, files},
    config::{Config, OPTIONS, Overrides, Rule, User, example, unknown_variables},
    model::wire::PROVIDERS,
};

/// Check a configuration, or print one to start from.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  agentperf config example > agentperf.yaml
  agentperf config check agentperf.yaml

Exit codes: 0 fine; 2 bad usage or configuration.")]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    verb: ConfigVerb,
}

#[derive(clap::Subcommand, Debug)]
enum ConfigVerb {
    /// Check a file, with the environment over it as the daemon would see it
    Check {
        /// The file
        file: PathBuf,
        /// Print every value in force as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a configuration with every option, its meaning and its default
    Example,
}

/// Checks or prints.
pub(super) fn run(args: &ConfigArgs) -> Result<(), CliError> {
    match &args.verb {
        ConfigVerb::Example => out::print(&example()),
        ConfigVerb::Check { file, json } => {
            let config = Config::load(Some(file), Overrides::default())?;
            if config.alerts.enabled {
                let receivers = Receivers::default();
                let loaded = files::load(&config.alerts, &|name| receivers.has(name));
                loaded.map_err(|error| CliError::Usage(error.0.join("\n")))?;
            }
            for name in unknown_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
            {
                out::tell(&format!("agentperf: note: the environment variable {name} sets nothing\n"));
            }
            for note in notes(&config) {
                out::tell(&format!("agentperf: note: {}\n", out::plain(&note)));
            }
            if *json {
                let values: serde_json::Map<_, _> =
                    OPTIONS.iter().map(|o| (o.key.to_owned(), o.get(&config).into())).collect();
                return out::print_json(&values);
            }
            let rules = config.agents.rules.len();
            let plural = if rules == 1 { "" } else { "s" };
            out::print(&format!("{} is fine: {rules} rule{plural} of its own\n", file.display()))
        }
    }
}

/// What is no mistake, but may be a slip.
fn notes(config: &Config) -> Vec<String> {
    let mut notes = Vec::from_iter(serve::exposure(config));
    notes.extend(unreached(config));
    notes.extend(unpriced(config));
    let mut seen = HashSet::new();
    for rule in &config.agents.rules {
        if !seen.insert(&rule.name) {
            notes.push(format!(
                "another rule is called {} too: agents will not tell which found them",
                rule.name
            ));
        }
        notes.extend(unknown_users(rule));
    }
    notes
}

/// Ages of roll-up that somebody chose, and that nothing reaches.
fn unreached(config: &Config) -> impl Iterator<Item = String> {
    let (history, default) = (&config.history, Config::default().history);
    let ages = [("raw", history.raw, default.raw), ("minutes", history.minutes, default.minutes)];
    let keep = history.keep;
    ages.into_iter().filter(move |(_, age, default)| *age > keep && age != default).map(|(key, ..)| {
        format!("history.{key} is longer than history.keep, after which nothing is there: it changes nothing")
    })
}

/// Prices that no call has, and a budget that nothing is taken from.
fn unpriced(config: &Config) -> Vec<String> {
    let prices = &config.llm.prices;
    let unknown: BTreeSet<&str> = prices.providers().filter(|name| !PROVIDERS.contains(name)).collect();
    let mut notes: Vec<String> = unknown
        .into_iter()
        .map(|name| {
            let known = PROVIDERS.join(", ");
            format!("llm.prices has prices of the provider {name}, whom no call names: those that are known are {known}")
        })
        .collect();
    if config.budget.cents_per_day.is_some() && prices.is_empty() {
        let note = "budget.usd_per_day is set and llm.prices is empty: no call has a cost, so that it is never spent";
        notes.push(note.to_owned());
    }
    notes
}

fn unknown_users(rule: &Rule) -> Vec<String> {
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let is_known = |name: &str| known.lines().any(|line| line.split(':').next() == Some(name));
    let unknown = rule.matchers.user.iter().filter_map(|user| match user {
        User::Name(name) if !is_known(name) => Some(name),
        User::Name(_) | User::Id(_) => None,
    });
    unknown
        .map(|name| format!("rule {} names the user {name}, whom /etc/passwd does not know", rule.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn prices_that_no_call_has_are_noted() {
        for (text, says) in [
            ("llm: { prices: [{ model: m, input: 1, provider: open_ai }] }", "the provider open_ai, whom"),
            ("budget: { usd_per_day: 5 }", "llm.prices is empty"),
        ] {
            let notes = unpriced(&Config::parse(text, Path::new("a.yaml")).unwrap());
            assert!(matches!(&notes[..], [note] if note.contains(says)), "{notes:?}");
        }
        let fine = "llm: { prices: [{ model: m, input: 1, provider: openai }, { model: n, input: 1 }] }\nbudget: { usd_per_day: 5 }";
        assert_eq!(unpriced(&Config::parse(fine, Path::new("a.yaml")).unwrap()), [""; 0]);
    }
}
