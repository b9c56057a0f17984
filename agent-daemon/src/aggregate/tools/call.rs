//! One tool call while it is open, and the operation that it becomes.

use std::time::Duration;

use super::{GRACE, files::CallFiles, network::CallNetwork, repeats::Outcome};
use crate::aggregate::seen::{self, age, age_ns};
use crate::model::{
    hash,
    id::{AgentId, ProcessId},
    operation::{Bill, Operation, SERVER, TOOL, TOOL_REPEATS, Tool, ToolEnd},
    process::Exit,
    signal_names::signal_name,
    time::Timestamp,
};

/// How long a server lives at least.
const SERVES: Duration = Duration::from_secs(10);
/// Other calls that it outlives.
const OUTLIVES: u64 = 2;
/// How long it lives at least where it outlives none.
const SERVES_IDLY: Duration = Duration::from_secs(300);
/// The share of its life that it may use the CPU then.
const IDLE: f64 = 0.01;

/// Whether a process is spoken to by another one: its standard input and output are pipes or sockets, of which the other one
/// holds the other end of the input. Of a socket it is not known who holds the other end.
pub(super) type IsServed = fn(ProcessId, ProcessId) -> bool;

/// An open call.
pub(super) struct Call {
    /// Its first process.
    pub(super) process: ProcessId,
    /// The own process that runs it.
    pub(super) parent: Option<ProcessId>,
    pub(super) name: String,
    /// A hash of its command line, where all of that is known.
    pub(super) command: Option<u64>,
    pub(super) start: Timestamp,
    /// Processes that live.
    pub(super) live: u64,
    /// The last exit so far.
    pub(super) last: Timestamp,
    /// When and how the first process ended.
    pub(super) exit: Option<(Timestamp, Option<Exit>)>,
    /// Whether the exit of a process was not seen.
    pub(super) unseen: bool,
    pub(super) bill: Bill,
    /// What it did to files, where that is watched.
    pub(super) files: Option<CallFiles>,
    /// What it sent and received, where that is watched.
    pub(super) network: Option<CallNetwork>,
    /// Calls of the agent that had ended when this one began.
    pub(super) ended_before: u64,
    /// Whether its agent spoke to it when that was last looked at, while it lived.
    pub(super) served: bool,
    /// Whether it has turned out to be a server.
    pub(super) serves: bool,
}

impl Call {
    /// Whether the call is over at `now`, and how.
    pub(super) fn end(&self, now: Timestamp) -> Option<(ToolEnd, Timestamp)> {
        if self.live == 0 {
            let end = if self.unseen { ToolEnd::Unseen } else { ToolEnd::Exited };
            return Some((end, self.last));
        }
        let (at, _) = self.exit?;
        (age(at, now) >= GRACE).then_some((ToolEnd::Left, at))
    }

    /// How the call ends because its agent is let go.
    pub(super) fn cut_off(&self, now: Timestamp) -> (ToolEnd, Timestamp) {
        match self.exit {
            Some((at, _)) if self.live > 0 => (ToolEnd::Left, at),
            _ => self.end(now).unwrap_or((ToolEnd::Unfinished, now)),
        }
    }

    /// Whether it serves its agent, as of `now`: its agent speaks to it, and it has lived for [`SERVES`] and outlived
    /// [`OUTLIVES`] other calls, or for [`SERVES_IDLY`] almost without using the CPU.
    pub(super) fn is_server(&self, now: Timestamp, ended: u64, cpu_ns: u64) -> bool {
        let age = age(self.start, now);
        let outlived = ended.saturating_sub(self.ended_before);
        let idles = || cpu_ns as f64 <= IDLE * age.as_nanos() as f64;
        self.served && (age >= SERVES && outlived >= OUTLIVES || age >= SERVES_IDLY && idles())
    }

    /// Looks whether its agent speaks to it, as long as it lives, since the agent may close its input; not yet at what is over
    /// soon, for each look reads /proc.
    pub(super) fn look(&mut self, now: Timestamp, is_served: IsServed) {
        if self.exit.is_none() && age(self.start, now) >= SERVES / 2 {
            self.served = self.parent.is_some_and(|parent| is_served(self.process, parent));
        }
    }

    /// Whether it changed anything, as far as that is seen: it sent something to a host; it changed files, where these are
    /// watched; else, something is to be written to storage.
    pub(super) fn has_effect(&self) -> bool {
        let asked_a_host = self.network.as_ref().is_some_and(CallNetwork::has_sent_to_hosts);
        let changed = match &self.files {
            Some(files) => files.have_effect(),
            None => self.bill.written_bytes > 0,
        };
        asked_a_host || changed
    }

    /// What tells it apart from others that ended; `None` where a part of its command line was hidden.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        let exit = self.exit.and_then(|(_, exit)| exit).and_then(error_type);
        let end = hash::fnv1a(hash::FNV_START, exit.unwrap_or_default().bytes());
        Some(Outcome { command: self.command?, end, written_chars: self.bill.written_chars })
    }

    /// The operation that it was; calls before it were the same `repeats` times.
    pub(super) fn operation(
        self,
        agent: AgentId,
        (end, at): (ToolEnd, Timestamp),
        repeats: u64,
    ) -> Operation {
        let exit = self.exit.and_then(|(_, exit)| exit);
        let error_type = exit.and_then(error_type);
        let id = self.id();
        let files = self.files.map(CallFiles::finish);
        let network = self.network.map(CallNetwork::finish);
        Operation {
            id,
            kind: if self.serves { SERVER } else { TOOL }.to_owned(),
            name: self.name,
            duration_ns: age_ns(self.start, at),
            success: error_type.is_none(),
            error_type,
            labels: (repeats > 0)
                .then(|| (TOOL_REPEATS.to_owned(), repeats.to_string()))
                .into_iter()
                .collect(),
            tool: Some(Box::new(Tool { end, exit, bill: self.bill, files, network })),
            ..Operation::seen(agent, self.process, self.start)
        }
    }

    /// The same process may be a call only once, and starts of processes are unique on a host until it boots.
    fn id(&self) -> u64 {
        let start = self.start.as_nanosecond().to_le_bytes();
        let bytes = self.process.0.to_le_bytes().into_iter().chain(start);
        seen::id(bytes)
    }
}

/// `exit_1`, `SIGKILL`.
pub(in crate::aggregate) fn error_type(exit: Exit) -> Option<String> {
    match exit {
        Exit::Code(0) => None,
        Exit::Code(code) => Some(format!("exit_{code}")),
        Exit::Signal { number, .. } => {
            Some(signal_name(number).map_or_else(|| format!("signal_{number}"), str::to_owned))
        }
    }
}
