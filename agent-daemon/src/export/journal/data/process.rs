//! A process in the journal.

use serde::{Deserialize, Serialize};

use super::{DataError, Entry, Kind, process_id::Id};
use crate::model::{
    cgroup::{Cgroup, MemoryLimit},
    id::AgentId,
    process::{ContextSwitches, Exit, Process, Resources},
    signal::Killer,
    time::Timestamp,
};

/// A process of an agent.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::export::journal) struct ProcessData {
    v: u32,
    agent: String,
    /// When the agent was attached, the last time before this was told: what tells versions of a process apart.
    watch: Timestamp,
    process: Id,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<Id>,
    parent_pid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    executable: Option<String>,
    comm: String,
    argv: Vec<String>,
    start: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exit_code: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<u8>,
    #[serde(default)]
    core_dumped: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    killed: Option<Killer>,
    cpu_ns: u64,
    cpu_before_ns: u64,
    peak_rss_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resources: Option<ResourcesData>,
}

/// What it had when it was read last.
#[derive(Debug, Serialize, Deserialize)]
struct ResourcesData {
    rss_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pss_bytes: Option<u64>,
    threads: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    descriptors: Option<u32>,
    /// Voluntary and involuntary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context_switches: Option<(u64, u64)>,
    /// Bytes per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rss_slope: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cgroup: Option<CgroupData>,
}

/// Its control group then.
#[derive(Debug, Serialize, Deserialize)]
struct CgroupData {
    id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cpu_limit_millis: Option<u64>,
    throttled_ns: u64,
    /// What is allowed and what is used, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory: Option<(u64, u64)>,
}

impl From<Cgroup> for CgroupData {
    fn from(Cgroup { id, cpu_limit_millis, throttled_ns, memory }: Cgroup) -> Self {
        let memory = memory.map(|memory| (memory.limit_bytes, memory.used_bytes));
        Self { id, cpu_limit_millis, throttled_ns, memory }
    }
}

impl From<CgroupData> for Cgroup {
    fn from(CgroupData { id, cpu_limit_millis, throttled_ns, memory }: CgroupData) -> Self {
        let memory = memory.map(|(limit_bytes, used_bytes)| MemoryLimit { limit_bytes, used_bytes });
        Self { id, cpu_limit_millis, throttled_ns, memory }
    }
}

impl From<Resources> for ResourcesData {
    fn from(resources: Resources) -> Self {
        let Resources { rss_bytes, pss_bytes, threads, descriptors, context_switches, rss_slope, cgroup } =
            resources;
        let context_switches = context_switches.map(|switches| (switches.voluntary, switches.involuntary));
        let cgroup = cgroup.map(CgroupData::from);
        Self { rss_bytes, pss_bytes, threads, descriptors, context_switches, rss_slope, cgroup }
    }
}

impl From<ResourcesData> for Resources {
    fn from(data: ResourcesData) -> Self {
        let ResourcesData { rss_bytes, pss_bytes, threads, descriptors, context_switches, rss_slope, cgroup } =
            data;
        let switches = |(voluntary, involuntary)| ContextSwitches { voluntary, involuntary };
        let context_switches = context_switches.map(switches);
        let cgroup = cgroup.map(Cgroup::from);
        Self { rss_bytes, pss_bytes, threads, descriptors, context_switches, rss_slope, cgroup }
    }
}

impl ProcessData {
    pub(in crate::export::journal) fn new(agent: &AgentId, watch: Timestamp, process: &Process) -> Self {
        let (exit_code, signal, core_dumped) = match process.exit {
            None => (None, None, false),
            Some(Exit::Code(code)) => (Some(code), None, false),
            Some(Exit::Signal { number, core_dumped }) => (None, Some(number), core_dumped),
        };
        Self {
            v: Kind::Process.version(),
            agent: agent.to_string(),
            watch,
            process: Id(process.id),
            parent: process.parent.map(Id),
            parent_pid: process.parent_pid,
            executable: process.executable.clone(),
            comm: process.comm.clone(),
            argv: process.args.clone(),
            start: process.started,
            end: process.ended,
            exit_code,
            signal,
            core_dumped,
            killed: process.killer.clone(),
            cpu_ns: process.cpu_ns,
            cpu_before_ns: process.cpu_before_ns,
            peak_rss_bytes: process.peak_rss_bytes,
            resources: process.resources.map(ResourcesData::from),
        }
    }
}

impl TryFrom<ProcessData> for Entry {
    type Error = DataError;

    fn try_from(data: ProcessData) -> Result<Self, DataError> {
        let exit = match (data.exit_code, data.signal) {
            (None, None) => None,
            (Some(code), None) => Some(Exit::Code(code)),
            (None, Some(number)) => Some(Exit::Signal { number, core_dumped: data.core_dumped }),
            (Some(_), Some(_)) => return Err(DataError::Value("an exit both by a code and by a signal")),
        };
        let process = Process {
            id: data.process.0,
            parent: data.parent.map(|id| id.0),
            parent_pid: data.parent_pid,
            executable: data.executable,
            comm: data.comm,
            args: data.argv,
            started: data.start,
            ended: data.end,
            exit,
            killer: data.killed,
            cpu_ns: data.cpu_ns,
            cpu_before_ns: data.cpu_before_ns,
            peak_rss_bytes: data.peak_rss_bytes,
            resources: data.resources.map(Resources::from),
        };
        let agent = data.agent.parse().map_err(|_| DataError::Value("an agent's id"))?;
        Ok(Self::Process { agent, watch: data.watch, process })
    }
}
