//! The registry of metrics: what each is called, counts and is labelled with. A new metric is one row here and one
//! line where its value comes from; `docs/metrics.md` is made from this table.

mod agents;
mod alerts;
mod gen_ai;
mod gpu;
mod host;
mod http;
mod llm;
mod row;
mod tools;

use std::fmt::Write as _;

use prometheus_client::registry::Unit;

pub(super) use self::gen_ai::attribute;
pub(in crate::export) use self::row::Kind;
pub(super) use self::row::Row;
use self::row::row;

/// A metric and all its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    HostCpus,
    HostCpuSeconds,
    HostMemoryBytes,
    HostMemoryAvailableBytes,
    HostMemoryFreeBytes,
    HostMemoryCachedBytes,
    HostMemoryDirtyBytes,
    HostSwapBytes,
    HostSwapFreeBytes,
    HostLoad1,
    HostLoad5,
    HostLoad15,
    HostProcesses,
    HostTasksRunning,
    HostTasksBlocked,
    HostForks,
    HostContextSwitches,
    HostPressureSeconds,
    HostFilesystemSize,
    HostFilesystemAvailable,
    HostFilesystemInodes,
    HostFilesystemInodesFree,
    HostFilesystemReadOnly,
    HostDiskBytes,
    HostDiskOperations,
    HostDiskOperationSeconds,
    HostDiskBusySeconds,
    HostNetworkBytes,
    HostNetworkPackets,
    HostNetworkErrors,
    HostNetworkDropped,
    GpuInfo,
    GpuUp,
    GpuBusySeconds,
    GpuMemoryUsed,
    GpuMemoryTotal,
    GpuPower,
    GpuPowerLimit,
    GpuEnergy,
    GpuTemperature,
    GpuClock,
    GpuThrottledSeconds,
    GpuEccErrors,
    GpuPcieBytes,
    GpuNvlinkBytes,
    GpuXidErrors,
    GpuProcesses,
    BuildInfo,
    Agents,
    AgentInfo,
    AgentUp,
    AgentCpuSeconds,
    AgentCpuSamples,
    AgentProcesses,
    AgentResidentMemory,
    AgentThreads,
    AgentDescriptors,
    AgentCgroupCpuLimit,
    AgentCgroupThrottledSeconds,
    AgentCgroupMemoryLimit,
    AgentCgroupMemory,
    AgentProcessesStarted,
    AgentProcessExits,
    AgentSignals,
    AgentOomKills,
    AgentOffCpuSeconds,
    AgentRunQueueSeconds,
    AgentWaits,
    AgentSyscalls,
    AgentSyscallSeconds,
    AgentSyscallErrors,
    AgentLedgerSeconds,
    AgentCudaCalls,
    AgentCudaErrors,
    AgentCudaBytes,
    AgentCudaWaitSeconds,
    AgentFileOpens,
    AgentFileEffects,
    AgentFileBytes,
    AgentFileSyncs,
    AgentFileSyncSeconds,
    AgentNetworkBytes,
    AgentNetworkConnections,
    AgentNetworkConnectSeconds,
    AgentNetworkRetransmits,
    AgentDiskBytes,
    AgentDiskRequests,
    AgentDiskErrors,
    AgentDiskSeconds,
    ProcessCpuSeconds,
    ProcessPeakBytes,
    AgentGpuSeconds,
    AgentGpuEnergy,
    AgentGpuMemory,
    Operations,
    OperationSeconds,
    Losses,
    ProbeReady,
    UnwindTableBytes,
    OwnCpuSeconds,
    OwnMemoryBytes,
    UnseenSpeakers,
    SeriesOverflow,
    ExportSent,
    ExportFailures,
    ExportDropped,
    ExportSpoolBytes,
    ExportQueue,
    Alerts,
    AlertRules,
    AlertEvaluations,
    AlertEvaluationSeconds,
    AlertNotifications,
    AlertReactions,
    AlertSeries,
    AlertSamples,
    AgentToolCalls,
    AgentToolFailures,
    AgentToolRepeats,
    AgentToolSeconds,
    AgentToolCpuSeconds,
    AgentToolBytes,
    LlmCost,
    LlmTokens,
    BudgetUsd,
    BudgetTokens,
    AgentLlmCalls,
    AgentLlmFailures,
    AgentLlmProviderFailures,
    AgentLlmUnfinished,
    AgentLlmSeconds,
    AgentLlmFirstTokenSeconds,
    AgentLlmStreams,
    AgentLlmTokens,
    AgentLlmCost,
    AgentLlmPartial,
    HttpClientDuration,
    HttpServerDuration,
    GenAiDuration,
    GenAiFirstChunk,
    GenAiTokens,
    McpClientDuration,
    McpServerDuration,
}

use Family as F;
use Kind::{Counter, Gauge};
use Unit::{Bytes, Seconds};

/// Labels of everything that is told of one agent.
const AGENT: &[&str] = &["agent", "agent_id"];

/// Labels of everything that is told of one door out.
const EXPORTER: &[&str] = &["exporter"];

/// Every metric, in the order of the exposition.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    let of_agents = agents::ROWS.iter().chain(&gpu::OF_AGENTS);
    host::ROWS
        .iter()
        .chain(&gpu::ROWS)
        .chain(&ROWS)
        .chain(of_agents)
        .chain(&LATER)
        .chain(&alerts::ROWS)
        .chain(&tools::ROWS)
        .chain(&llm::ROWS)
        .chain(&http::ROWS)
        .chain(&gen_ai::ROWS)
}

static ROWS: [Row; 1] = [row(
    F::BuildInfo,
    "build_info",
    None,
    Gauge,
    &["version", "kernel"],
    "1. The daemon's version and the kernel's release",
)];

/// Doors, and the daemon itself.
static LATER: [Row; 14] = [
    row(
        F::Operations,
        "operations",
        None,
        Counter,
        &["project", "kind", "outcome"],
        "Operations that applications told of one by one (not those that they added up, OTLP metrics), and, of no project, checkpoints and what `operations` in the configuration defines: success, error",
    ),
    row(
        F::OperationSeconds,
        "operation_duration",
        Some(Seconds),
        Counter,
        &["project", "kind"],
        "How long those operations took together",
    ),
    row(
        F::Losses,
        "losses",
        None,
        Counter,
        &["loss"],
        "What agentperf lost, by the names of GET /api/v1/status",
    ),
    row(
        F::ProbeReady,
        "probe_ready",
        None,
        Gauge,
        &["probe"],
        "1 if a kernel program or feature works, by itself or by a substitute; 0 if the host refuses it",
    ),
    row(F::UnwindTableBytes, "unwind_table", Some(Bytes), Gauge, &[], "Unwind tables in the kernel"),
    row(F::OwnCpuSeconds, "own_cpu", Some(Seconds), Counter, &[], "CPU time of the daemon, user and system"),
    row(F::OwnMemoryBytes, "own_resident_memory", Some(Bytes), Gauge, &[], "Resident set of the daemon"),
    row(
        F::UnseenSpeakers,
        "unseen_speakers",
        None,
        Gauge,
        &[],
        "Processes that send requests to models while what they say is not seen: /api/v1/coverage names them",
    ),
    row(
        F::SeriesOverflow,
        "series_overflow",
        None,
        Counter,
        &["kind"],
        "Series that found no room of their own and are counted in one labelled other",
    ),
    row(
        F::ExportSent,
        "export_sent",
        None,
        Counter,
        EXPORTER,
        "Samples, data points, spans, events or profiles that a receiver took",
    ),
    row(F::ExportFailures, "export_failures", None, Counter, EXPORTER, "Attempts to send that failed"),
    row(
        F::ExportDropped,
        "export_dropped",
        None,
        Counter,
        EXPORTER,
        "What was to be sent and was given up: refused, or too much was waiting",
    ),
    row(F::ExportSpoolBytes, "export_spool", Some(Bytes), Gauge, EXPORTER, "What waits on disk to be sent"),
    row(F::ExportQueue, "export_queue", None, Gauge, EXPORTER, "Items that wait in memory to be sent"),
];

/// Whether there is a metric of this name, as it is queried.
#[must_use]
pub fn has_metric(name: &str) -> bool {
    rows().any(|row| row.names().iter().any(|known| known == name))
}

/// The reference of all metrics, in Markdown: what `docs/metrics.md` holds.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# Metrics\n\nWhat `GET /metrics` shows, made from `agent-daemon/src/export/prometheus/families.rs`.\n\
         Counters begin at 0 when the daemon starts, but for `agentperf_host_cpu_seconds_total`. What the host did is told\n\
         as of its last window; file systems are those that are on something, by where they are mounted first; beyond 64\n\
         disks and 64 interfaces, the others are added up as `other`. An agent's series stay for ten minutes after it ended, a\n\
         process's likewise. Where there are more series of a kind than `metrics.max_series`, or more than 1024 agents,\n\
         those that come later are counted together, labelled `other`, and `agentperf_series_overflow_total` says how\n\
         many. Of histograms there is room for a sixteenth, since each is many series.\n\n\
         What has no prefix is named, labelled and divided into buckets by OpenTelemetry's semantic conventions for generative AI\n\
         and MCP, as of their version 1.41 (status: development), of calls that were read off the wire. By OTLP it has the names\n\
         of the conventions, with dots. `error_type` is empty of what went well, and a model of what was not seen. A chunk is\n\
         the first of a stream that has content. Its tokens are those that the provider told: a call without has\n\
         none there, nor one whose tokens are estimated.\n\n\
         | metric | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for row in rows() {
        let kind = match row.kind {
            Counter => "counter",
            Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = row.labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{}` | {kind} | {} | {} |", row.full_name(), labels.join(", "), row.help);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_their_families() {
        for (i, row) in rows().enumerate() {
            assert_eq!(row.family as usize, i, "{}", row.name);
        }
        let names: HashSet<String> = rows().map(Row::full_name).collect();
        assert_eq!(names.len(), rows().count());
    }

    #[test]
    fn the_reference_is_what_the_code_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, reference()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap();
        assert_eq!(
            written,
            reference(),
            "write it anew: UPDATE_GOLDEN=1 cargo test -p agentperf the_reference"
        );
    }
}
