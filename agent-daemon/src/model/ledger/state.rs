//! States of threads by role, and sets of them, as the kernel programs number them.

use std::{fmt, str::FromStr};

use crate::model::off_cpu::WaitCause;

/// Bits in use; those of no role are the last.
pub const BITS: u8 = 55;

/// Bits that each role has.
const ROLE_BITS: u8 = 16;

/// Whose work a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The agent's own: its root process, and what was forked from that without executing a program.
    Own,
    /// A tool's: a descendant that executed a program; or a helper's while it serves.
    Tool,
    /// A helper's: a tool that was found waiting for input when the agent asked its model.
    Helper,
}

impl Role {
    /// Every role, in the order of the bits.
    pub const ALL: [Self; 3] = [Self::Own, Self::Tool, Self::Helper];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Tool => "tool",
            Self::Helper => "helper",
        }
    }
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ThreadState {
    /// On a CPU.
    Cpu = 1,
    /// Could run, but no CPU is free.
    RunQueue,
    /// In a page fault that sleeps.
    PageFault,
    /// Block I/O or a file system.
    Disk,
    /// A GPU driver.
    Gpu,
    /// Waiting for a child.
    Child,
    /// A pipe or unix socket.
    Ipc,
    /// An inet socket.
    Network,
    /// A lock.
    Lock,
    /// epoll, poll or select of several descriptors.
    Poll,
    /// A sleep.
    Timer,
    /// A terminal.
    Terminal,
    /// A futex that is not known to be a lock.
    Futex,
    /// Anything else.
    Other,
    /// A pipe or unix socket that leads out of the agent.
    Outside,
}

impl ThreadState {
    /// Every state, in the order of the bits.
    pub const ALL: [Self; 15] = [
        Self::Cpu,
        Self::RunQueue,
        Self::PageFault,
        Self::Disk,
        Self::Gpu,
        Self::Child,
        Self::Ipc,
        Self::Network,
        Self::Lock,
        Self::Poll,
        Self::Timer,
        Self::Terminal,
        Self::Futex,
        Self::Other,
        Self::Outside,
    ];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::RunQueue => "run_queue",
            Self::PageFault => "page_fault",
            Self::Disk => "disk",
            Self::Gpu => "gpu",
            Self::Child => "child",
            Self::Ipc => "ipc",
            Self::Network => "network",
            Self::Lock => "lock",
            Self::Poll => "poll",
            Self::Timer => "timer",
            Self::Terminal => "terminal",
            Self::Futex => "futex",
            Self::Other => "other",
            Self::Outside => "outside",
        }
    }

    /// What off-CPU time in this state counts as; `None` on a CPU.
    #[must_use]
    pub fn wait_cause(self) -> Option<WaitCause> {
        Some(match self {
            Self::Cpu => return None,
            Self::RunQueue => WaitCause::Preempted,
            Self::PageFault => WaitCause::PageFault,
            Self::Disk => WaitCause::Disk,
            Self::Gpu => WaitCause::Gpu,
            Self::Child => WaitCause::Child,
            Self::Ipc | Self::Outside => WaitCause::Ipc,
            Self::Network => WaitCause::Network,
            Self::Lock => WaitCause::Lock,
            Self::Poll => WaitCause::Poll,
            Self::Timer => WaitCause::Timer,
            Self::Terminal => WaitCause::Terminal,
            Self::Futex => WaitCause::Futex,
            Self::Other => WaitCause::Other,
        })
    }
}

/// One bit of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bit(u8);

impl Bit {
    /// A connection to a model is being made.
    pub const LLM_CONNECT: Self = Self(48);
    /// A request was sent, and nothing has come back.
    pub const LLM_FIRST_TOKEN: Self = Self(49);
    /// An answer is coming.
    pub const LLM_STREAM: Self = Self(50);
    /// A tool that is no helper lives.
    pub const TOOL_ALIVE: Self = Self(51);
    /// The calls to models in this set were read, and not guessed from connections.
    pub const LLM_READ: Self = Self(52);
    /// Bytes of another host's answer come.
    pub const NETWORK_RESPONSE: Self = Self(53);
    /// Another host is being connected to, or was sent something, and nothing has come back.
    pub const NETWORK_REQUEST: Self = Self(54);

    /// The bits that are of no thread, with their stable names.
    pub const FLIGHTS: [(Self, &'static str); 7] = [
        (Self::LLM_CONNECT, "llm_connect"),
        (Self::LLM_FIRST_TOKEN, "llm_first_token"),
        (Self::LLM_STREAM, "llm_stream"),
        (Self::TOOL_ALIVE, "tool_alive"),
        (Self::LLM_READ, "llm_read"),
        (Self::NETWORK_RESPONSE, "network_response"),
        (Self::NETWORK_REQUEST, "network_request"),
    ];

    /// The bit of a thread of this role in this state.
    #[must_use]
    pub const fn of(role: Role, state: ThreadState) -> Self {
        Self(role as u8 * ROLE_BITS + state as u8)
    }

    /// The bit of this number; `None` where there is no such state.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        let is_state = number < Self::LLM_CONNECT.0 && !number.is_multiple_of(ROLE_BITS);
        (is_state || (Self::LLM_CONNECT.0..BITS).contains(&number)).then_some(Self(number))
    }

    /// Every bit that means something.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..BITS).filter_map(Self::new)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its role and state; `None` where it is of no thread.
    #[must_use]
    pub fn thread(self) -> Option<(Role, ThreadState)> {
        let role = Role::ALL.get(usize::from(self.0 / ROLE_BITS))?;
        let state = ThreadState::ALL.get(usize::from(self.0 % ROLE_BITS).checked_sub(1)?)?;
        Some((*role, *state))
    }
}

/// `own.cpu`, or `llm_stream`.
impl fmt::Display for Bit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.thread() {
            Some((role, state)) => write!(f, "{}.{}", role.name(), state.name()),
            None => {
                f.write_str(Self::FLIGHTS.iter().find(|(bit, _)| bit == self).map_or("?", |(_, name)| name))
            }
        }
    }
}

/// A text that names no state, or states in another way than [`StateSet`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such state")]
pub struct UnknownState;

impl FromStr for Bit {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::all().find(|bit| bit.to_string() == text).ok_or(UnknownState)
    }
}

/// The states that any thread of an agent is in, and what is in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateSet(u64);

impl StateSet {
    /// The set of these bits; those that mean nothing are dropped.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(Bit::all().filter(|bit| bits >> bit.0 & 1 == 1).fold(0, |set, bit| set | 1 << bit.0))
    }

    /// Its bits.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether `bit` is in it.
    #[must_use]
    pub fn has(self, bit: Bit) -> bool {
        self.0 >> bit.0 & 1 == 1
    }

    /// Whether any thread of this role is in one of these states.
    #[must_use]
    pub(super) fn any(self, role: Role, states: &[ThreadState]) -> bool {
        states.iter().any(|state| self.has(Bit::of(role, *state)))
    }

    /// What is in it, in order.
    pub fn iter(self) -> impl Iterator<Item = Bit> {
        Bit::all().filter(move |bit| self.has(*bit))
    }
}

impl FromIterator<Bit> for StateSet {
    fn from_iter<I: IntoIterator<Item = Bit>>(bits: I) -> Self {
        Self(bits.into_iter().fold(0, |set, bit| set | 1 << bit.0))
    }
}

/// What is in it, separated by `+`.
impl fmt::Display for StateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, bit) in self.iter().enumerate() {
            write!(f, "{}{bit}", if place == 0 { "" } else { "+" })?;
        }
        Ok(())
    }
}

impl FromStr for StateSet {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        match text {
            "" => Ok(Self::default()),
            text => text.split('+').map(str::parse::<Bit>).collect(),
        }
    }
}
