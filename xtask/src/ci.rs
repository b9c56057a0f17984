//! `cargo xtask ci`: what the CI script runs, and a person before a push: the same verbs, nothing else.

use std::process::Command;

use anyhow::Result;

use crate::{
    build,
    command::{cargo, find, run},
    setup::{self, Purpose},
    test::{self, Steps},
    tidy,
};

/// Runs what CI runs: setup, formatting, clippy, tidy, licences, all tests
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask ci

cargo-deny takes minutes to build, so it runs only where it is installed: cargo install cargo-deny --locked")]
pub(crate) struct Args {}

pub(crate) fn main(_args: &Args) -> Result<()> {
    setup::ensure(Purpose::Test)?;
    let mut steps = Steps::default();
    steps.step("fmt", || run(cargo().args(["fmt", "--all", "--check"])));
    steps.step("tidy", tidy::check);
    steps.step("clippy", || run(clippy().args(["--", "--deny", "warnings"])));
    match find("cargo-deny") {
        Some(_) => steps.step("deny", || run(&mut deny())),
        None => eprintln!("=== deny: left out, cargo-deny is not installed"),
    }
    test::tests(&test::Args::default(), &mut steps);
    steps.verdict()
}

/// Not the advisories: they change without us and need the network. `cargo deny check advisories` asks.
fn deny() -> Command {
    let mut command = cargo();
    command.args(["deny", "--workspace", "check", "licenses", "bans", "sources"]);
    command
}

fn clippy() -> Command {
    let mut command = cargo();
    command.arg("clippy").args(build::ALL).arg("--all-targets");
    command
}
