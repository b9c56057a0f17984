//! Processes on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::seconds;
use crate::{
    model::{
        cgroup::{Cgroup, Cgroups},
        process::{Exit, Resources},
        signal::Killer,
        signal_names::signal_name,
        time::Timestamp,
    },
    store::query::TreeRow,
};

/// An agent's process tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProcessTree)]
pub struct ProcessTreeDto {
    /// Whose.
    pub agent: String,
    /// The processes that lived in the range, each before its children, siblings by age: printed in this
    /// order and indented by `depth`, they show the tree.
    pub processes: Vec<ProcessDto>,
    /// What those of them that live have together.
    pub live: LiveDto,
}

/// What live processes have together, each as it was read last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LiveProcesses)]
pub struct LiveDto {
    /// How many they are.
    pub processes: usize,
    /// Their resident sets, added up: what they share counts for each.
    pub rss_bytes: u64,
    /// Their threads.
    pub threads: u32,
    /// Their open file descriptors.
    pub descriptors: u32,
    /// How fast their resident sets grew in the last minutes, added up; less than 0 where they shrank. Null before there
    /// is enough to tell.
    pub rss_bytes_per_second: Option<i64>,
    /// The smallest quota of CPU time (`cpu.max`) that their control groups and those above have, in CPUs; null without.
    pub cpu_limit: Option<f64>,
    /// The limit of memory (`memory.max` or `memory.high`) of these groups that is closest to being reached; null
    /// without.
    pub memory_limit_bytes: Option<u64>,
    /// What counts against that limit, page cache included.
    pub memory_limit_used_bytes: Option<u64>,
}

impl LiveDto {
    /// Those of these that live.
    #[must_use]
    pub fn of(rows: &[TreeRow]) -> Self {
        let live = || rows.iter().map(|row| &row.process).filter(|process| process.ended.is_none());
        let have = || live().filter_map(|process| process.resources);
        let Resources { rss_bytes, threads, descriptors, rss_slope, .. } = Resources::sum(have());
        let Cgroups { cpu_limit_millis, memory } = have().filter_map(|has| has.cgroup).collect();
        Self {
            processes: live().count(),
            rss_bytes,
            threads,
            descriptors: descriptors.unwrap_or(0),
            rss_bytes_per_second: rss_slope,
            cpu_limit: cpu_limit_millis.map(cpus),
            memory_limit_bytes: memory.map(|memory| memory.limit_bytes),
            memory_limit_used_bytes: memory.map(|memory| memory.used_bytes),
        }
    }
}

/// One process, from fork to exit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Process)]
pub struct ProcessDto {
    /// Its pid. Pids are reused: together with `start` it is unique.
    pub pid: u32,
    /// Its parent's pid.
    pub parent: u32,
    /// Its ancestors in this answer.
    pub depth: usize,
    /// Its children's pids, oldest first.
    pub children: Vec<u32>,
    /// The executable's path, in the process's own mount namespace.
    pub executable: Option<String>,
    /// The kernel's 15-byte name.
    pub comm: String,
    /// The command line, with secrets removed.
    pub argv: Vec<String>,
    /// Creation time.
    pub start: Timestamp,
    /// When it exited; null while it lives.
    pub end: Option<Timestamp>,
    /// What it returned, where it exited by itself.
    pub exit_code: Option<u8>,
    /// The signal that killed it, where one did.
    pub signal: Option<u8>,
    /// That signal's name.
    #[schema(example = "SIGKILL")]
    pub signal_name: Option<String>,
    /// Whether a core was dumped.
    pub core_dumped: bool,
    /// Who killed it; null where no signal ended it, and where its sender was not seen.
    pub killed: Option<KilledDto>,
    /// CPU time of all its threads, user and system, since it is watched; whatever the range.
    pub cpu_seconds: f64,
    /// CPU time that it had used before it was watched; 0 for what was started under watch.
    pub cpu_before_seconds: f64,
    /// Largest resident set of its whole life.
    pub peak_rss_bytes: u64,
    /// Resident set when it was read last; null, as what follows, where it never was.
    pub rss_bytes: Option<u64>,
    /// The same, but what is shared with others counts by its share (PSS). Read of one process in each window, and not
    /// where more than 512 MiB are resident, since the kernel walks every page for it.
    pub pss_bytes: Option<u64>,
    /// Threads then.
    pub threads: Option<u32>,
    /// Open file descriptors then.
    pub descriptors: Option<u32>,
    /// How often its threads of then had left a CPU to wait; null of more than 64 threads.
    pub voluntary_switches: Option<u64>,
    /// How often a CPU had been taken from them.
    pub involuntary_switches: Option<u64>,
    /// How fast its resident set grew in the last minutes; less than 0 where it shrank; null before there is enough to
    /// tell.
    pub rss_bytes_per_second: Option<i64>,
    /// Its control group; null where none is mounted (version 2) or it was not read.
    pub cgroup: Option<CgroupDto>,
}

/// Who killed a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Killed)]
pub struct KilledDto {
    /// What sort of killer it was.
    pub by: KillerDto,
    /// The pid of a process; it may be that of the process itself.
    pub pid: Option<u32>,
    /// The kernel's name for that process.
    pub comm: Option<String>,
}

/// What sort of killer it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Killer)]
pub enum KillerDto {
    /// The kernel, because memory ran out: the host's, or what a control group allows.
    OutOfMemory,
    /// The kernel, for another reason.
    Kernel,
    /// A process.
    Process,
}

impl From<Killer> for KilledDto {
    fn from(killer: Killer) -> Self {
        let (by, process) = match killer {
            Killer::OutOfMemory => (KillerDto::OutOfMemory, None),
            Killer::Kernel => (KillerDto::Kernel, None),
            Killer::Process { pid, comm } => (KillerDto::Process, Some((pid, comm))),
        };
        let (pid, comm) = process.unzip();
        Self { by, pid, comm }
    }
}

/// What a process's control group allows it. What holds for the groups above holds here.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ControlGroup)]
pub struct CgroupDto {
    /// The smallest quota of CPU time (`cpu.max`), in CPUs; null without.
    pub cpu_limit: Option<f64>,
    /// How long its CPUs were withheld since a quota was spent, since the group was made; each CPU is counted by itself.
    pub throttled_seconds: f64,
    /// The limit of memory (`memory.max` or `memory.high`) that is closest to being reached; null without.
    pub memory_limit_bytes: Option<u64>,
    /// What counts against that limit, page cache included.
    pub memory_limit_used_bytes: Option<u64>,
}

impl From<Cgroup> for CgroupDto {
    fn from(Cgroup { cpu_limit_millis, throttled_ns, memory, .. }: Cgroup) -> Self {
        Self {
            cpu_limit: cpu_limit_millis.map(cpus),
            throttled_seconds: seconds(throttled_ns),
            memory_limit_bytes: memory.map(|memory| memory.limit_bytes),
            memory_limit_used_bytes: memory.map(|memory| memory.used_bytes),
        }
    }
}

fn cpus(millis: u64) -> f64 {
    millis as f64 / 1e3
}

impl From<TreeRow> for ProcessDto {
    fn from(TreeRow { process, depth, children }: TreeRow) -> Self {
        let (exit_code, signal, core_dumped) = match process.exit {
            Some(Exit::Code(code)) => (Some(code), None, false),
            Some(Exit::Signal { number, core_dumped }) => (None, Some(number), core_dumped),
            None => (None, None, false),
        };
        let resources = process.resources;
        let switches = resources.and_then(|resources| resources.context_switches);
        Self {
            pid: process.id.pid(),
            parent: process.parent_pid,
            depth,
            children,
            executable: process.executable,
            comm: process.comm,
            argv: process.args,
            start: process.started,
            end: process.ended,
            exit_code,
            signal,
            signal_name: signal.and_then(signal_name).map(str::to_owned),
            core_dumped,
            killed: process.killer.map(KilledDto::from),
            cpu_seconds: seconds(process.cpu_ns.saturating_sub(process.cpu_before_ns)),
            cpu_before_seconds: seconds(process.cpu_before_ns),
            peak_rss_bytes: process.peak_rss_bytes,
            rss_bytes: resources.map(|resources| resources.rss_bytes),
            pss_bytes: resources.and_then(|resources| resources.pss_bytes),
            threads: resources.map(|resources| resources.threads),
            descriptors: resources.and_then(|resources| resources.descriptors),
            voluntary_switches: switches.map(|switches| switches.voluntary),
            involuntary_switches: switches.map(|switches| switches.involuntary),
            rss_bytes_per_second: resources.and_then(|resources| resources.rss_slope),
            cgroup: resources.and_then(|resources| resources.cgroup).map(CgroupDto::from),
        }
    }
}
