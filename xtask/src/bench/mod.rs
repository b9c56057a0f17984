//! `cargo xtask bench`: what agentperf costs, beside what others cost for the same work in the same run.
//!
//! Machines are noisy, so nothing is compared across runs: each round measures every contender once, in
//! turn, and the differences within a round are what counts ([`contest`]). A bench is one file here and a
//! line in [`BENCHES`].

mod churn;
mod claim;
mod contest;
mod eh_frame;
mod idle;
mod kernel_programs;
mod ledger;
mod load;
mod off_cpu;
mod peer;
mod proc_stat;
mod report;
mod stacks;
mod stats;
mod store;
mod syscalls;
mod tables;
mod unwind;
mod watch;
mod wire;

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use self::report::Report;
use crate::{
    build,
    command::{as_root, is_root, run},
    daemon::Daemon,
    setup::{self, Purpose},
    test::take_back,
    workspace,
};

/// Measures what agentperf costs, against other tools on the same work
///
/// Builds the release binary, installs the peers (syscount, offcputime, bpftrace, perf, py-spy), and runs as root.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask bench                        every bench
  cargo xtask bench syscalls --rounds 11
  cargo xtask bench --list
  cargo xtask bench --json > figures.json
  cargo xtask bench --binary /usr/bin/agentperf    measures what is installed

Close what else runs; the spread says how quiet the machine was.")]
pub(crate) struct Args {
    /// Which bench; every one if left out
    name: Option<String>,
    /// How often every contender is measured
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Print the figures as JSON instead of tables
    #[arg(long)]
    json: bool,
    /// List the benches and what they measure
    #[arg(long)]
    list: bool,
    /// Measure this agentperf instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// One bench: a row of `--list`.
struct Bench {
    name: &'static str,
    about: &'static str,
    run: fn(&Setting) -> Result<Report>,
}

/// What every bench is given.
struct Setting {
    /// The agentperf to measure.
    agentperf: PathBuf,
    rounds: u32,
}

const BENCHES: [Bench; 11] = [
    syscalls::BENCH,
    off_cpu::BENCH,
    idle::BENCH,
    churn::BENCH,
    unwind::BENCH,
    stacks::BENCH,
    tables::BENCH,
    store::BENCH,
    ledger::BENCH,
    wire::CALLS,
    wire::DISMISSED,
];

pub(crate) fn main(args: &Args) -> Result<()> {
    if args.list {
        for bench in &BENCHES {
            println!("{:<10} {}", bench.name, bench.about);
        }
        return Ok(());
    }
    let chosen = chosen(args.name.as_deref())?;
    let agentperf = match &args.binary {
        Some(binary) => binary.clone(),
        None => {
            setup::ensure(Purpose::Bench)?;
            build::daemon(true)?
        }
    };
    if !is_root() {
        return run_as_root(args, &agentperf);
    }
    let setting = Setting { agentperf, rounds: args.rounds };
    let mut reports = Vec::new();
    for bench in chosen {
        eprintln!("=== {}: {}", bench.name, bench.about);
        let report = (bench.run)(&setting).with_context(|| format!("bench {}", bench.name))?;
        if !args.json {
            println!("{}", report.table());
        }
        reports.push(report);
    }
    if args.json {
        println!("{:#}", report::json(&reports));
    }
    Ok(())
}

fn chosen(name: Option<&str>) -> Result<Vec<&'static Bench>> {
    static ALL: [Bench; BENCHES.len()] = BENCHES;
    let chosen: Vec<&Bench> = ALL.iter().filter(|bench| name.is_none_or(|name| name == bench.name)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = ALL.iter().map(|bench| bench.name).collect();
        bail!("no such bench; there are {}", names.join(", "));
    }
    Ok(chosen)
}

/// A daemon without agents of its own finding.
fn daemon(agentperf: &Path) -> Result<Daemon> {
    let folder = workspace::scratch().join("bench");
    Daemon::start(agentperf, &folder, "agents:\n  builtin_rules: false\n")
}

/// Runs this same program through sudo: the daemon, the peers and their /proc belong to root.
fn run_as_root(args: &Args, agentperf: &PathBuf) -> Result<()> {
    let mut command = as_root("env")?;
    command.arg(format!("CARGO_MANIFEST_DIR={}", workspace::root().join("xtask").display()));
    command.arg(env::current_exe()?).arg("bench").args(&args.name);
    command.arg(format!("--rounds={}", args.rounds)).arg("--binary").arg(agentperf);
    if args.json {
        command.arg("--json");
    }
    let outcome = run(&mut command);
    take_back()?;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bench_is_chosen_by_its_name() {
        assert_eq!(chosen(None).unwrap().len(), BENCHES.len());
        for bench in &BENCHES {
            assert_eq!(chosen(Some(bench.name)).unwrap()[0].about, bench.about);
        }
        let error = chosen(Some("nothing")).err().unwrap().to_string();
        assert!(error.contains("syscalls, off_cpu, idle, churn, unwind"), "{error}");
    }
}
