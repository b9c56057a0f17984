//! `agentperf attach`: watches a process and everything below it for a while, then reports.

use std::time::{Duration, Instant};

use super::{
    backend::{Backend, DaemonArgs},
    client::{Client, Range, Refusal},
    error::CliError,
    interrupt::Interrupt,
    out,
    profile::ProfileArgs,
    progress,
    report::{self, Report},
};
use crate::{
    api::dto::{
        agent::{AgentDto, AgentStateDto, AttachRequestDto},
        names::ProbeDto,
    },
    config::{format_duration, parse_duration},
    model::{probe::ProbeSet, time::Timestamp},
};

/// How much longer than asked for the daemon watches, should this process die.
const GRACE: Duration = Duration::from_secs(60);

/// How often the agent is looked at.
const POLL: Duration = Duration::from_millis(500);

/// Watch a process and its descendants for a while, and report what they did.
///
/// Uses the daemon that runs on this host; where none runs, traces by itself, which needs root or
/// CAP_BPF and CAP_PERFMON. Ctrl-C ends the watch early and still reports.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  agentperf attach 4711
  agentperf attach 4711 --duration 2m --output flame.svg
  agentperf attach 4711 --type off_cpu --format folded > waits.folded
  agentperf attach 4711 --duration 10s --json | jq .off_cpu.causes

Exit codes: 0 reported; 1 failed while watching; 2 bad usage, no such process, or the host does not allow it.")]
pub(super) struct AttachArgs {
    /// Process to watch, with everything below it
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..=4_194_304))]
    pid: u32,
    /// How long, such as 30s, 5m or 1h30m
    #[arg(long, default_value = "30s", value_parser = duration)]
    duration: Duration,
    /// What to call it [default: the process's own name]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    profile: ProfileArgs,
    /// Report as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Reads a `--duration`.
fn duration(text: &str) -> Result<Duration, String> {
    let longest = Duration::from_secs(24 * 3600);
    parse_duration(text)
        .filter(|d| (Duration::from_millis(100)..=longest).contains(d))
        .ok_or_else(|| "must be from 100ms to 24h, such as 30s, 5m or 1h30m".to_owned())
}

/// Watches and reports.
pub(super) fn run(args: &AttachArgs) -> Result<(), CliError> {
    let wanted = args.profile.wanted()?;
    let to_stdout = wanted.as_ref().is_some_and(|w| w.to_stdout());
    if to_stdout && args.json {
        return Err(CliError::Usage(
            "--json and the profile cannot both go to standard output: add --output".to_owned(),
        ));
    }
    wanted.as_ref().map_or(Ok(()), |w| w.prepare())?;
    // Before the daemon starts, so that a signal never leaves its kernel programs behind.
    let interrupt = Interrupt::install().map_err(|e| CliError::failed("cannot handle signals", e))?;
    let backend = Backend::open(&args.daemon)?;
    let watch = Watch::begin(&backend.client, args)?;
    let followed = wanted
        .as_ref()
        .map_or(Ok(()), |wanted| wanted.require(&watch.agent))
        .and_then(|()| watch.follow(&backend.client, args.duration, &interrupt));
    // First: whatever went wrong, nobody is watched for this command any longer.
    watch.end(&backend.client)?;
    followed?;
    if let Some(wanted) = &wanted {
        wanted.write(&backend.client, &watch.agent.id, watch.range)?;
    }
    let report = Report::gather(&backend.client, &watch.agent.id, watch.range)?;
    match (args.json, to_stdout) {
        (true, _) => out::print_json(&report)?,
        (false, false) => out::print(&report::render(&report))?,
        (false, true) => out::tell(&report::render(&report)),
    }
    backend.close()
}

/// The request that watches `pid`.
pub(super) fn request(
    pid: u32,
    name: Option<String>,
    probes: Option<ProbeSet>,
    time: Option<Duration>,
) -> AttachRequestDto {
    AttachRequestDto {
        pid: pid.into(),
        name,
        duration: time.map(format_duration),
        probes: probes.map(|named| named.iter().map(ProbeDto::from).collect()),
        at_exec: false,
    }
}

/// An agent being watched for this command.
struct Watch {
    agent: AgentDto,
    /// What to report of it: all, or only from now on where it was watched before.
    range: Range,
    /// Whether this command began it, and so ends it.
    own: bool,
}

impl Watch {
    fn begin(client: &Client, args: &AttachArgs) -> Result<Self, CliError> {
        let request =
            request(args.pid, args.name.clone(), args.profile.probes(), Some(args.duration + GRACE));
        match client.attach(&request) {
            Ok(agent) => Ok(Self { agent, range: Range::default(), own: true }),
            Err(Refusal::Conflict(detail)) => {
                let known = client.agents()?.agents.into_iter();
                let agent = known.rev().find(|a| a.pid == args.pid && a.state == AgentStateDto::Live);
                let agent = agent.ok_or(CliError::Refused(detail))?;
                let probes: Vec<&str> =
                    agent.probes.iter().map(|p| crate::model::probe::Probe::from(*p).name()).collect();
                out::tell(&format!(
                    "already watched as {} by {}: reporting from now on\n",
                    out::plain(&agent.name),
                    probes.join(", ")
                ));
                Ok(Self { agent, range: Range { from: Some(Timestamp::now()) }, own: false })
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Waits until the time is over, the agent has ended, or somebody wishes to stop.
    fn follow(&self, client: &Client, duration: Duration, interrupt: &Interrupt) -> Result<(), CliError> {
        let started = Instant::now();
        let bar = progress::bar(&self.agent.name, duration);
        while started.elapsed() < duration {
            let left = duration.saturating_sub(started.elapsed());
            if interrupt.wait(left.min(POLL)) || client.agent(&self.agent.id)?.ended.is_some() {
                break;
            }
            progress::advance(&bar, started.elapsed());
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Ends the watch if it is ours. Afterwards everything up to now is stored.
    fn end(&self, client: &Client) -> Result<(), CliError> {
        if self.own { client.detach(&self.agent.id) } else { Ok(()) }
    }
}
