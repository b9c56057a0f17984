//! Processes of agents.

use super::{cgroup::Cgroup, id::ProcessId, signal::Killer, time::Timestamp};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned or called `exit` with this code, 0–255.
    Code(u8),
    /// This signal killed it.
    Signal {
        /// The signal's number.
        number: u8,
        /// Whether a core was dumped.
        core_dumped: bool,
    },
}

impl Exit {
    /// From a wait status (`code << 8 | core << 7 | signal`).
    #[must_use]
    pub fn from_wait_status(status: u32) -> Self {
        let low = u8::try_from(status & 0x7f).unwrap_or(0);
        if low == 0 {
            Self::Code(u8::try_from(status >> 8 & 0xff).unwrap_or(0))
        } else {
            Self::Signal { number: low, core_dumped: status & 0x80 != 0 }
        }
    }

    /// The signal that ended it, if one did.
    #[must_use]
    pub fn signal(self) -> Option<u8> {
        match self {
            Self::Code(_) => None,
            Self::Signal { number, .. } => Some(number),
        }
    }
}

/// One process of an agent, from fork to exit.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// Identity.
    pub id: ProcessId,
    /// The parent at the time the process was first seen; `None` if it is not known.
    pub parent: Option<ProcessId>,
    /// The parent's pid, also where the parent is outside the agent.
    pub parent_pid: u32,
    /// Path of the executable, in the process's own mount namespace; of the last exec.
    pub executable: Option<String>,
    /// The kernel's 15-byte name, lossily decoded.
    pub comm: String,
    /// The command line of the last exec, sanitised; cut at the kernel programs' limit.
    pub args: Vec<String>,
    /// Creation time.
    pub started: Timestamp,
    /// When it exited.
    pub ended: Option<Timestamp>,
    /// How it exited.
    pub exit: Option<Exit>,
    /// Who killed it, where a signal ended it and its sender was seen.
    pub killer: Option<Killer>,
    /// CPU time of all its threads so far, user and system, nanoseconds.
    pub cpu_ns: u64,
    /// What of that it had used before it was watched, nanoseconds.
    pub cpu_before_ns: u64,
    /// Largest resident set so far, bytes.
    pub peak_rss_bytes: u64,
    /// What it had when /proc was read last; `None` where it never was while it lived.
    pub resources: Option<Resources>,
}

/// What a process has at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Resident set, bytes.
    pub rss_bytes: u64,
    /// Resident set in which what is shared counts by its share, bytes. Read seldom, since the kernel walks all pages for
    /// it and holds up the process's own changes of its memory meanwhile.
    pub pss_bytes: Option<u64>,
    /// Threads.
    pub threads: u32,
    /// Open file descriptors.
    pub descriptors: Option<u32>,
    /// How often its present threads gave up a CPU by themselves, and how often it was taken from them. `None` where
    /// there are too many threads to ask each.
    pub context_switches: Option<ContextSwitches>,
    /// How fast its resident set grew in the last minutes, bytes per second; less than 0 where it shrank. `None` before
    /// there is enough to tell.
    pub rss_slope: Option<i64>,
    /// Its control group.
    pub cgroup: Option<Cgroup>,
}

/// How often threads left a CPU since they began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContextSwitches {
    /// By themselves, to wait.
    pub voluntary: u64,
    /// For another task.
    pub involuntary: u64,
}

impl Resources {
    /// The same with what was not read this time as it was `before`.
    #[must_use]
    pub fn after(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        Self {
            pss_bytes: self.pss_bytes.or(before.pss_bytes),
            descriptors: self.descriptors.or(before.descriptors),
            context_switches: self.context_switches.or(before.context_switches),
            cgroup: self.cgroup.or(before.cgroup),
            ..self
        }
    }

    /// What several processes have together. What is not known of one is left out, as are their control groups, which
    /// they may share (see [`Cgroups`](super::cgroup::Cgroups)).
    #[must_use]
    pub fn sum(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().fold(Self::default(), |sum, one| Self {
            rss_bytes: sum.rss_bytes.saturating_add(one.rss_bytes),
            pss_bytes: both(sum.pss_bytes, one.pss_bytes, u64::saturating_add),
            threads: sum.threads.saturating_add(one.threads),
            descriptors: both(sum.descriptors, one.descriptors, u32::saturating_add),
            context_switches: both(sum.context_switches, one.context_switches, |a, b| ContextSwitches {
                voluntary: a.voluntary.saturating_add(b.voluntary),
                involuntary: a.involuntary.saturating_add(b.involuntary),
            }),
            rss_slope: both(sum.rss_slope, one.rss_slope, i64::saturating_add),
            cgroup: None,
        })
    }
}

fn both<T>(a: Option<T>, b: Option<T>, add: impl FnOnce(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(add(a, b)),
        (a, b) => a.or(b),
    }
}
