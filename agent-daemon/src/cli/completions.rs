//! `agentperf completions`: completions for a shell.

use clap_complete::Shell;

use super::{error::CliError, out};

/// Print completions for a shell.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  agentperf completions bash > /etc/bash_completion.d/agentperf
  agentperf completions zsh > ~/.zfunc/_agentperf
  agentperf completions fish > ~/.config/fish/completions/agentperf.fish

Exit codes: 0 printed; 2 bad usage.")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints.
pub(super) fn run(args: &CompletionsArgs) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "agentperf", &mut script);
    out::write(&script)
}
