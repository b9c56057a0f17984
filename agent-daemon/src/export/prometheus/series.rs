//! The series of each metric: labels, in the order of its row, and value.

use std::sync::atomic::Ordering;

use super::{
    agent_totals::{AgentTotals, ProcessTotals, RESULTS, WaitTotals},
    cuda, devices,
    families::Family,
    files, gen_ai, gpu,
    gpu_totals::GpuTotals,
    histogram::Histogram,
    host, http, llm, signals, tools,
    totals::Totals,
};
use crate::{
    config::Budget,
    model::{
        agent::{Agent, AgentSource},
        errno_names::errno_name,
        id::ProcessId,
        ledger::Cause,
        off_cpu::WaitCause,
        probe::ProbeState,
        syscall_names::syscall_name,
        time::Timestamp,
    },
    telemetry::{ExporterStatus, HostInfo, Reading, Telemetry},
};

/// One series.
pub(in crate::export) type Series = (Vec<String>, f64);

/// What the series are labelled that have no room of their own.
pub(super) const OTHER: &str = "other";

/// Every series of a metric, sorted.
pub(super) fn of(
    family: Family,
    totals: &Totals,
    telemetry: &Telemetry,
    host: &HostInfo,
    reading: &Reading,
    budget: &Budget,
) -> Vec<Series> {
    let mut series = match family {
        Family::BuildInfo => one([host.version.to_owned(), host.kernel.clone()], 1.0),
        Family::HostCpus => some(reading.cpus),
        Family::HostCpuSeconds => labelled(reading.cpu_seconds.iter().copied()),
        Family::HostMemoryBytes => some(reading.memory),
        Family::HostMemoryAvailableBytes => some(reading.memory_available),
        Family::HostLoad1 => some(reading.load1),
        Family::Agents => some(Some(totals.live_agents() as f64)),
        Family::Losses => labelled(telemetry.losses.all().into_iter().map(|(name, n)| (name, n as f64))),
        Family::ProbeReady => labelled(
            telemetry
                .probes()
                .iter()
                .map(|p| (p.name, f64::from(u8::from(p.state != ProbeState::Unavailable)))),
        ),
        Family::UnwindTableBytes => some(Some(telemetry.unwind_table_bytes.load(Ordering::Relaxed) as f64)),
        Family::OwnCpuSeconds => some(Some(reading.own.cpu_seconds)),
        Family::UnseenSpeakers => some(Some(telemetry.coverage.blind(Timestamp::now()) as f64)),
        Family::OwnMemoryBytes => some(Some(reading.own.rss_bytes as f64)),
        Family::Operations => totals.operations.counts(),
        Family::OperationSeconds => totals.operations.seconds(),
        Family::LlmCost => some(Some(totals.llm.cost.usd())),
        Family::LlmTokens => labelled(
            [("input", totals.llm.input), ("output", totals.llm.output)].map(|(kind, n)| (kind, n as f64)),
        ),
        Family::BudgetUsd => some(budget.cents_per_day.map(|cents| cents as f64 / 100.0)),
        Family::BudgetTokens => some(budget.tokens_per_day.map(|tokens| tokens as f64)),
        Family::SeriesOverflow => overflow(totals),
        Family::ExportSent => exported(telemetry, |exporter| exporter.sent),
        Family::ExportFailures => exported(telemetry, |exporter| exporter.failed),
        Family::ExportDropped => exported(telemetry, |exporter| exporter.dropped),
        Family::ExportSpoolBytes => exported(telemetry, |exporter| exporter.spool_bytes),
        Family::ExportQueue => exported(telemetry, |exporter| exporter.queued),
        Family::Alerts
        | Family::AlertRules
        | Family::AlertEvaluations
        | Family::AlertEvaluationSeconds
        | Family::AlertNotifications
        | Family::AlertReactions
        | Family::AlertSeries
        | Family::AlertSamples => of_alerts(family, telemetry),
        _ => {
            let of_host = totals.host.iter().flat_map(|window| host::of(family, window));
            let of_gpus = totals.host.iter().flat_map(|window| gpu::of(family, &window.gpus));
            of_host.chain(of_gpus).chain(totals.agents().flat_map(|agent| of_agent(family, agent))).collect()
        }
    };
    series.sort_by(|a, b| a.0.cmp(&b.0));
    series
}

/// Every histogram of a metric, sorted.
pub(super) fn histograms(family: Family, totals: &Totals) -> Vec<Histogram> {
    let of = |agent| http::of(family, agent).into_iter().chain(gen_ai::of(family, agent));
    let mut histograms: Vec<Histogram> = totals.agents().flat_map(of).collect();
    histograms.sort_by(|a, b| a.labels.cmp(&b.labels));
    histograms
}

/// What the live processes of an agent hold.
fn held(family: Family, totals: &AgentTotals) -> Option<f64> {
    let sum = totals.resources()?;
    match family {
        Family::AgentResidentMemory => Some(sum.rss_bytes as f64),
        Family::AgentThreads => Some(sum.threads.into()),
        Family::AgentDescriptors => sum.descriptors.map(f64::from),
        _ => None,
    }
}

/// The series of one agent, or of those together that found no room.
fn of_agent(family: Family, totals: &AgentTotals) -> Vec<Series> {
    let agent = totals.agent.as_deref();
    let own = || totals.labels().to_vec();
    let with = |more: &[String]| [own(), more.to_vec()].concat();
    let one = |value: f64| vec![(own(), value)];
    match family {
        // Of several together there is no such thing to say.
        Family::AgentInfo => agent.map(|agent| (with(&info(agent)), 1.0)).into_iter().collect(),
        Family::AgentUp => {
            agent.map(|agent| (own(), f64::from(u8::from(agent.ended.is_none())))).into_iter().collect()
        }
        Family::AgentCpuSeconds => one(seconds(totals.cpu_ns)),
        Family::AgentCpuSamples => one(totals.cpu_samples as f64),
        Family::AgentProcesses => one(totals.live_processes() as f64),
        Family::AgentResidentMemory | Family::AgentThreads | Family::AgentDescriptors => {
            held(family, totals).map(|held| (own(), held)).into_iter().collect()
        }
        Family::AgentCgroupCpuLimit
        | Family::AgentCgroupThrottledSeconds
        | Family::AgentCgroupMemoryLimit
        | Family::AgentCgroupMemory => of_cgroups(family, totals, own),
        Family::AgentProcessesStarted => one(totals.processes_started as f64),
        Family::AgentProcessExits => {
            let exits = RESULTS.iter().zip(totals.exits);
            exits.map(|(result, n)| (with(&[(*result).to_owned()]), n as f64)).collect()
        }
        Family::AgentOffCpuSeconds => by_cause(totals, &with, |wait| seconds(wait.blocked_ns)),
        Family::AgentRunQueueSeconds => one(seconds(totals.waits.iter().map(|wait| wait.run_queue_ns).sum())),
        Family::AgentWaits => by_cause(totals, &with, |wait| wait.count as f64),
        Family::AgentSyscalls => {
            let calls = totals.syscalls.iter();
            calls.map(|(number, t)| (with(&[syscall(number)]), t.count as f64)).collect()
        }
        Family::AgentSyscallSeconds => {
            let calls = totals.syscalls.iter();
            calls.map(|(number, t)| (with(&[syscall(number)]), seconds(t.ns))).collect()
        }
        Family::AgentSyscallErrors => {
            let errors = totals.syscall_errors.iter();
            let labels = |key: Option<(u32, u32)>| [syscall(key.map(|k| k.0)), errno(key.map(|k| k.1))];
            errors.map(|(key, n)| (with(&labels(key)), *n as f64)).collect()
        }
        Family::AgentGpuSeconds => by_gpu(totals, &with, |gpu| Some(seconds(gpu.busy_ns))),
        Family::AgentGpuEnergy => by_gpu(totals, &with, |gpu| Some(gpu.energy_mj? as f64 / 1e3)),
        Family::AgentGpuMemory => by_gpu(totals, &with, |gpu| Some(gpu.memory as f64)),
        Family::AgentLedgerSeconds => {
            let times = Cause::ALL.iter().zip(totals.ledger).filter(|(_, ns)| *ns > 0);
            times.map(|(cause, ns)| (with(&[cause.name().to_owned()]), seconds(ns))).collect()
        }
        Family::ProcessCpuSeconds => by_process(totals, &with, |process| seconds(process.cpu_ns)),
        Family::ProcessPeakBytes => by_process(totals, &with, |process| process.peak_bytes as f64),
        _ => [tools::of, llm::of, cuda::of, files::of, devices::of, signals::of]
            .map(|of| of(family, totals, &with))
            .concat(),
    }
}

/// What the control groups of an agent's processes allow and withhold.
fn of_cgroups(family: Family, totals: &AgentTotals, labels: impl FnOnce() -> Vec<String>) -> Vec<Series> {
    let groups = totals.cgroups();
    let value = match family {
        Family::AgentCgroupCpuLimit => groups.cpu_limit_millis.map(|millis| millis as f64 / 1e3),
        Family::AgentCgroupThrottledSeconds => Some(seconds(totals.throttled.sum_ns())),
        Family::AgentCgroupMemoryLimit => groups.memory.map(|memory| memory.limit_bytes as f64),
        Family::AgentCgroupMemory => groups.memory.map(|memory| memory.used_bytes as f64),
        _ => None,
    };
    value.map(|value| (labels(), value)).into_iter().collect()
}

/// How the alerts stand; nothing before their first round.
fn of_alerts(family: Family, telemetry: &Telemetry) -> Vec<Series> {
    let now = telemetry.alerts.now();
    if now.at.is_none() {
        return Vec::new();
    }
    let (evaluations, seconds) = telemetry.alerts.evaluations();
    let counts = |pairs: &[(&str, u64)]| labelled(pairs.iter().map(|(label, n)| (*label, *n as f64)));
    match family {
        Family::Alerts => counts(&[("pending", now.pending), ("firing", now.firing), ("muted", now.muted)]),
        Family::AlertRules => {
            counts(&[("ok", now.rules.saturating_sub(now.failing)), ("failed", now.failing)])
        }
        Family::AlertEvaluations => some(Some(evaluations as f64)),
        Family::AlertEvaluationSeconds => some(Some(seconds)),
        Family::AlertNotifications => counts(&telemetry.alerts.outcomes()),
        Family::AlertReactions => {
            let reactions = telemetry.alerts.reactions();
            reactions
                .map(|(action, result, n)| (vec![action.to_owned(), result.to_owned()], n as f64))
                .collect()
        }
        Family::AlertSeries => some(Some(now.series as f64)),
        Family::AlertSamples => some(Some(now.samples as f64)),
        _ => Vec::new(),
    }
}

/// Its root's pid, why it is watched, and by which rule.
fn info(agent: &Agent) -> [String; 3] {
    let (source, rule) = match &agent.source {
        AgentSource::Rule(rule) => ("rule", rule.as_str()),
        AgentSource::Attach => ("attach", ""),
    };
    [agent.root.pid().to_string(), source.to_owned(), rule.to_owned()]
}

fn by_cause(
    totals: &AgentTotals,
    with: &impl Fn(&[String]) -> Vec<String>,
    value: impl Fn(&WaitTotals) -> f64,
) -> Vec<Series> {
    let causes =
        WaitCause::ALL.iter().zip(&totals.waits).filter(|(_, wait)| wait.count > 0 || wait.blocked_ns > 0);
    causes.map(|(cause, wait)| (with(&[cause.name().to_owned()]), value(wait))).collect()
}

fn by_process(
    totals: &AgentTotals,
    with: &impl Fn(&[String]) -> Vec<String>,
    value: impl Fn(&ProcessTotals) -> f64,
) -> Vec<Series> {
    let labels = |id: Option<ProcessId>, process: &ProcessTotals| match id {
        Some(id) => with(&[id.pid().to_string(), process.comm.to_string()]),
        None => with(&[OTHER.to_owned(), OTHER.to_owned()]),
    };
    totals.processes.iter().map(|(id, process)| (labels(id, process), value(process))).collect()
}

fn by_gpu(
    totals: &AgentTotals,
    with: &impl Fn(&[String]) -> Vec<String>,
    value: impl Fn(&GpuTotals) -> Option<f64>,
) -> Vec<Series> {
    let series = |(uuid, gpu): (&String, &GpuTotals)| Some((with(std::slice::from_ref(uuid)), value(gpu)?));
    totals.gpus.iter().filter_map(series).collect()
}

fn overflow(totals: &Totals) -> Vec<Series> {
    let rooms = &totals.rooms;
    let kinds = [
        ("agents", totals.agents_overflowed),
        ("syscalls", rooms.syscalls.overflowed),
        ("syscall_errors", rooms.syscall_errors.overflowed),
        ("processes", rooms.processes.overflowed),
        ("tools", rooms.tools.overflowed),
        ("llm", rooms.llm.overflowed),
        ("http", rooms.http.overflowed),
        ("gen_ai", rooms.gen_ai.overflowed),
    ];
    labelled(kinds.into_iter().map(|(kind, n)| (kind, n as f64)))
}

fn exported(telemetry: &Telemetry, value: fn(&ExporterStatus) -> u64) -> Vec<Series> {
    labelled(telemetry.exporters().iter().map(|exporter| (exporter.name, value(exporter) as f64)))
}

fn one<const N: usize>(labels: [String; N], value: f64) -> Vec<Series> {
    vec![(labels.into(), value)]
}

/// A series without labels, if its value could be had.
fn some(value: Option<f64>) -> Vec<Series> {
    value.into_iter().map(|value| (Vec::new(), value)).collect()
}

fn labelled<'a>(values: impl IntoIterator<Item = (&'a str, f64)>) -> Vec<Series> {
    values.into_iter().map(|(label, value)| (vec![label.to_owned()], value)).collect()
}

fn syscall(number: Option<u32>) -> String {
    number.map_or(OTHER.to_owned(), |n| syscall_name(n).map_or_else(|| n.to_string(), str::to_owned))
}

fn errno(number: Option<u32>) -> String {
    number.map_or(OTHER.to_owned(), |n| errno_name(n).map_or_else(|| n.to_string(), str::to_owned))
}

pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
