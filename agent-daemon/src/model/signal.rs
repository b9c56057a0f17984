//! Signals: who sent which to whom, and what became of it.

use serde::{Deserialize, Serialize};

use super::{id::ProcessId, time::Timestamp};

/// A process and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Which.
    pub process: ProcessId,
    /// The kernel's name for it.
    pub comm: String,
}

/// Who sent a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A process, which may be the one that it was sent to.
    Process(Party),
    /// The kernel.
    Kernel,
    /// A timer or another interrupt.
    Unknown,
}

/// What becomes of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ends the process, at once or when it is no longer blocked.
    Ends,
    /// A handler of the process runs.
    Handled,
    /// Nothing: the process ignores it.
    Ignored,
    /// The process stops.
    Stops,
    /// The process goes on, if it was stopped.
    Continues,
    /// This host does not let the kernel programs look.
    Unknown,
}

impl Outcome {
    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ends => "ends",
            Self::Handled => "handled",
            Self::Ignored => "ignored",
            Self::Stops => "stops",
            Self::Continues => "continues",
            Self::Unknown => "unknown",
        }
    }
}

/// A signal that was sent to a process of an agent, or by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// When.
    pub at: Timestamp,
    /// Its number.
    pub number: u8,
    /// To whom.
    pub target: Party,
    /// Who sent it.
    pub sender: Sender,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// Who killed a process that ended by a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Killer {
    /// The kernel, because memory ran out: the host's, or what a control group allows.
    OutOfMemory,
    /// The kernel, for another reason.
    Kernel,
    /// A process, which may be the one that was killed.
    Process {
        /// Its pid.
        pid: u32,
        /// The kernel's name for it.
        comm: String,
    },
}

impl Killer {
    /// Stable name of what sort it is.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::OutOfMemory => "out_of_memory",
            Self::Kernel => "kernel",
            Self::Process { .. } => "process",
        }
    }

    /// The pid and name of a process.
    #[must_use]
    pub fn process(&self) -> Option<(u32, &str)> {
        match self {
            Self::OutOfMemory | Self::Kernel => None,
            Self::Process { pid, comm } => Some((*pid, comm)),
        }
    }
}

impl Signal {
    /// Who will have killed the target, if it ends by this signal.
    #[must_use]
    pub fn killer(&self) -> Option<Killer> {
        match &self.sender {
            Sender::Process(party) => {
                Some(Killer::Process { pid: party.process.pid(), comm: party.comm.clone() })
            }
            Sender::Kernel => Some(Killer::Kernel),
            Sender::Unknown => None,
        }
    }
}
