//! The command line: one file per verb. A verb parses its flags, does its work and says in one sentence what
//! went wrong; `main` turns that into an exit code.
//!
//! A verb that traces goes through the HTTP API, of the daemon that runs or of one inside this process, so
//! there is one way to trace.

mod agents;
mod alerts;
mod attach;
mod backend;
mod blocked_on;
mod caller;
mod check;
mod client;
mod completions;
mod config;
mod content;
mod error;
mod gate;
mod interrupt;
mod ledger_bar;
mod local;
mod logging;
mod man;
mod operations;
mod out;
mod privileges;
mod profile;
mod progress;
mod record;
mod report;
mod rules;
mod serve;
mod store;
mod system;
mod table;
mod tools;
mod top;
mod units;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use error::CliError;
pub use out::plain_lines;

/// Profiles AI agents from outside: where their time goes, down to the line, without changing them.
#[derive(Debug, Parser)]
#[command(
    name = "agentperf",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    max_term_width = 110,
    after_help = "\
Start with:
  sudo agentperf check              what this host allows
  sudo agentperf record -- CMD      run a command and see what it did
  sudo agentperf serve              the daemon, on http://127.0.0.1:7575

Exit codes: 0 done; 1 failed while doing it, or `check` found that it cannot be done; 2 bad usage, bad \
configuration, refused, or not possible on this host. `record` passes on its command's."
)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(serve::ServeArgs),
    Attach(attach::AttachArgs),
    Record(record::RecordArgs),
    Report(report::ReportArgs),
    Agents(agents::AgentsArgs),
    Alerts(alerts::AlertsArgs),
    BlockedOn(blocked_on::BlockedOnArgs),
    Operations(operations::OperationsArgs),
    Tools(tools::ToolsArgs),
    Content(content::ContentArgs),
    Top(top::TopArgs),
    System(system::SystemArgs),
    Check(check::CheckArgs),
    Rules(rules::RulesArgs),
    Config(config::ConfigArgs),
    Store(store::StoreArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    #[command(hide = true)]
    Gate(gate::GateArgs),
}

/// Does what the command line asks for.
///
/// # Errors
/// What went wrong, in one sentence.
pub fn run(cli: &Cli) -> Result<ExitCode, CliError> {
    let done = |result: Result<(), CliError>| result.map(|()| ExitCode::SUCCESS);
    match &cli.verb {
        Verb::Serve(args) => done(serve::run(args)),
        Verb::Attach(args) => done(attach::run(args)),
        Verb::Record(args) => record::run(args),
        Verb::Report(args) => done(report::run(args)),
        Verb::Agents(args) => done(agents::run(args)),
        Verb::Alerts(args) => done(alerts::run(args)),
        Verb::BlockedOn(args) => done(blocked_on::run(args)),
        Verb::Operations(args) => done(operations::run(args)),
        Verb::Tools(args) => done(tools::run(args)),
        Verb::Content(args) => done(content::run(args)),
        Verb::Top(args) => done(top::run(args)),
        Verb::System(args) => done(system::run(args)),
        Verb::Check(args) => check::run(args),
        Verb::Rules(args) => done(rules::run(args)),
        Verb::Config(args) => done(config::run(args)),
        Verb::Store(args) => store::run(args),
        Verb::Completions(args) => done(completions::run(args)),
        Verb::Man(args) => done(man::run(args)),
        Verb::Gate(args) => gate::run(args),
    }
}

/// The definition of the command line, for completions and manual pages: without what is hidden.
fn command() -> clap::Command {
    let command = Cli::command();
    let hidden: Vec<String> =
        command.get_subcommands().filter(|c| c.is_hide_set()).map(|c| c.get_name().to_owned()).collect();
    let mut shown = clap::Command::new("agentperf")
        .version(env!("CARGO_PKG_VERSION"))
        .about(command.get_about().cloned().unwrap_or_default())
        .after_help(command.get_after_help().cloned().unwrap_or_default());
    for verb in command.get_subcommands().filter(|c| !hidden.contains(&c.get_name().to_owned())) {
        shown = shown.subcommand(verb.clone());
    }
    shown
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
        super::command().debug_assert();
    }

    #[test]
    fn every_verb_says_what_it_does_with_examples_and_exit_codes() {
        for verb in super::command().get_subcommands() {
            let text = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
            assert!(text.contains("Examples:") && text.contains("Exit codes:"), "{}", verb.get_name());
        }
    }

    #[test]
    fn nothing_hidden_is_in_completions_and_manuals() {
        assert!(super::command().find_subcommand("gate").is_none());
    }
}
