//! agentperf's development verbs. `cargo xtask VERB` is all that a person or the CI script ever types.
//!
//! This file parses and dispatches; each verb is one module of the same name, and takes its own arguments.
#![expect(clippy::print_stdout, reason = "a tool for the terminal answers on standard output")]

mod agents;
mod bench;
mod build;
mod ci;
mod command;
mod daemon;
mod run;
mod setup;
mod test;
mod tidy;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// agentperf's development verbs
///
/// On a fresh Debian or Ubuntu, `cargo xtask run` and `cargo xtask test` install what they lack.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Setup(setup::Args),
    Build(build::Args),
    Run(run::Args),
    Test(test::Args),
    Ci(ci::Args),
    Tidy(tidy::Args),
    Bench(bench::Args),
    Vm(vm::Args),
    Agents(agents::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Setup(args) => setup::main(&args),
        Verb::Build(args) => build::main(&args),
        Verb::Run(args) => run::main(&args),
        Verb::Test(args) => test::main(&args),
        Verb::Ci(args) => ci::main(&args),
        Verb::Tidy(args) => tidy::main(&args),
        Verb::Bench(args) => bench::main(&args),
        Verb::Vm(args) => vm::main(&args),
        Verb::Agents(args) => agents::main(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<setup::Unsupported>() { 2 } else { 1 })
        }
    }
}
