//! Probes: what can be switched on for an agent, and what the host allows.

use serde::{Deserialize, Serialize};

/// What an agent can be watched by. Life cycle is no choice: it comes with every agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// On-CPU stack samples.
    Cpu,
    /// Off-CPU time by cause and stack.
    OffCpu,
    /// Syscall counts, errors and latencies.
    Syscalls,
    /// Where every second went: what the agent did or waited for, exclusively.
    Ledger,
    /// Calls of CUDA, and waits for the GPU in them.
    Cuda,
    /// What is said to models and MCP servers: calls read off TLS, sockets and pipes.
    Wire,
    /// Files: what is opened, created, changed, deleted and renamed.
    Files,
    /// Connections and traffic by peer.
    Network,
    /// Block I/O by device.
    Disk,
}

impl Probe {
    /// Every probe, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Cpu,
        Self::OffCpu,
        Self::Syscalls,
        Self::Ledger,
        Self::Cuda,
        Self::Wire,
        Self::Files,
        Self::Network,
        Self::Disk,
    ];

    /// The probe's name in the configuration and the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::OffCpu => "off_cpu",
            Self::Syscalls => "syscalls",
            Self::Ledger => "ledger",
            Self::Cuda => "cuda",
            Self::Wire => "wire",
            Self::Files => "files",
            Self::Network => "network",
            Self::Disk => "disk",
        }
    }

    /// The probe's bit in a [`ProbeSet`], as the kernel programs know it.
    #[must_use]
    pub const fn bit(self) -> u32 {
        match self {
            Self::Cpu => 1,
            Self::OffCpu => 2,
            Self::Syscalls => 4,
            Self::Ledger => 8,
            Self::Cuda => 16,
            Self::Wire => 32,
            Self::Files => 64,
            Self::Network => 128,
            Self::Disk => 256,
        }
    }
}

/// A set of probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeSet(u32);

impl ProbeSet {
    /// No probe: life cycle only.
    pub const EMPTY: Self = Self(0);
    /// Every probe: what an attach on demand turns on.
    pub const ALL: Self = Self(511);
    /// What a rule turns on unless it names its own: all but system calls and files, whose hooks cost every process of the
    /// host.
    pub const RULE_DEFAULT: Self = Self(Self::ALL.0 & !(Probe::Syscalls.bit() | Probe::Files.bit()));

    /// The set's bits, as the kernel programs know them.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether `probe` is in the set.
    #[must_use]
    pub fn contains(self, probe: Probe) -> bool {
        self.0 & probe.bit() != 0
    }

    /// The probes of this set that are not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Both sets' probes.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The probes in the set, in order.
    pub fn iter(self) -> impl Iterator<Item = Probe> {
        Probe::ALL.into_iter().filter(move |p| self.contains(*p))
    }
}

impl FromIterator<Probe> for ProbeSet {
    fn from_iter<I: IntoIterator<Item = Probe>>(probes: I) -> Self {
        Self(probes.into_iter().fold(0, |bits, p| bits | p.bit()))
    }
}

/// How a kernel program or feature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeState {
    /// Works as it was meant to.
    Ready,
    /// Works by the substitute that `reason` names.
    Substituted,
    /// The kernel refuses it; `reason` says why.
    Unavailable,
}

/// One kernel program or feature and how it stands.
#[derive(Clone, Debug)]
pub struct ProbeStatus {
    /// Stable name, such as `sched_switch` or `task_storage`.
    pub name: &'static str,
    /// What agentperf uses it for, in a few words.
    pub purpose: &'static str,
    /// The probes that cannot work without it.
    pub probes: ProbeSet,
    /// How it stands.
    pub state: ProbeState,
    /// Whether it is attached now: programs are while some agent needs them. A feature never is.
    pub attached: bool,
    /// Why it is not simply ready, and what stands in for it.
    pub reason: Option<String>,
}
