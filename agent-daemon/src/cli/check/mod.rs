//! `agentperf check`: what this host allows, what is missing, and what stands in for it.

mod host;

use std::process::ExitCode;

use serde::Serialize;

use super::{
    error::CliError,
    out,
    table::{Align, Table},
};
use crate::{
    config::{Config, Overrides},
    daemon,
    model::probe::{ProbeState, ProbeStatus},
};

/// Say what this host allows.
///
/// Looks at the kernel, the capabilities of this process and the settings that matter, and loads every
/// kernel program once. Run it as the user, and with the privileges, that the daemon will have.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  sudo agentperf check
  sudo agentperf check --json | jq '.checks[] | select(.state != \"ready\")'

Exit codes: 0 agentperf can run here; 1 it cannot; 2 bad usage.")]
pub(super) struct CheckArgs {
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    /// Stable name.
    pub(super) name: &'static str,
    /// What it is needed for.
    pub(super) purpose: &'static str,
    /// How it stands.
    pub(super) state: ProbeState,
    /// Why it is not simply ready, and what stands in for it.
    pub(super) reason: Option<String>,
    /// Whether agentperf cannot run without it.
    pub(super) required: bool,
}

#[derive(Debug, Serialize)]
struct Findings {
    /// Whether agentperf can run here.
    can_run: bool,
    version: &'static str,
    kernel: String,
    checks: Vec<Check>,
}

/// Looks and reports.
pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, CliError> {
    let mut checks = host::checks();
    checks.push(gpus()?);
    // Without what the host requires, each program would only fail for that same reason.
    if checks.iter().all(Check::is_fine) {
        checks.extend(kernel_programs().into_iter().map(of_program));
    }
    let can_run = checks.iter().all(Check::is_fine);
    let findings = Findings { can_run, version: env!("CARGO_PKG_VERSION"), kernel: host::release(), checks };
    if args.json {
        out::print_json(&findings)?
    } else {
        out::print(&render(&findings))?
    }
    Ok(if can_run { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How each kernel program fares: the one place where this command touches the kernel.
fn kernel_programs() -> Vec<ProbeStatus> {
    daemon::probe_kernel()
}

/// How the GPUs fare, as the environment configures them.
fn gpus() -> Result<Check, CliError> {
    let config = Config::load(None, Overrides::default())?;
    let (state, reason) = daemon::probe_gpus(&config.gpu);
    Ok(Check { name: "nvml", purpose: "read NVIDIA GPUs", state, reason, required: false })
}

fn of_program(status: ProbeStatus) -> Check {
    // Reported under this name if nothing could be loaded at all.
    let required = status.name == "kernel_programs";
    Check { name: status.name, purpose: status.purpose, state: status.state, reason: status.reason, required }
}

impl Check {
    fn is_fine(&self) -> bool {
        !self.required || self.state != ProbeState::Unavailable
    }
}

fn render(findings: &Findings) -> String {
    let columns =
        [("NAME", Align::Left), ("STATE", Align::Left), ("PURPOSE", Align::Left), ("REMARK", Align::Left)];
    let mut table = Table::new(&columns).uncut();
    for check in &findings.checks {
        let state = match check.state {
            ProbeState::Ready => "ready",
            ProbeState::Substituted => "substituted",
            ProbeState::Unavailable if check.required => "MISSING",
            ProbeState::Unavailable => "unavailable",
        };
        let remark = check.reason.clone().unwrap_or_default();
        table.row(vec![check.name.to_owned(), state.to_owned(), check.purpose.to_owned(), remark]);
    }
    let verdict = if findings.can_run {
        "agentperf can run here.".to_owned()
    } else {
        let missing: Vec<&str> = findings.checks.iter().filter(|c| !c.is_fine()).map(|c| c.name).collect();
        format!("agentperf cannot run here: {} missing.", missing.join(", "))
    };
    format!(
        "agentperf {} on Linux {}\n\n{}\n{verdict}\n",
        findings.version,
        findings.kernel,
        table.render("")
    )
}
