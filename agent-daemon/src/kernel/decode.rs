//! Decodes the records of the event ring. Bytes from the kernel are checked like any other: what does not
//! decode is counted by the caller and skipped.

use agent_common::ledger::role;
use agent_common::lifecycle::{
    Account as RawAccount, Exec, Exit, ForeignExec, Fork, LibraryLoaded, ModelRequest, NewStack,
    Signal as RawSignal, ThreadExit, kind, origin, outcome,
};
use agent_common::network::NameAnswer;
use aya::Pod;

use super::batch::read;
use crate::model::{
    account::Account,
    id::{ProcessId, Slot},
    process::Exit as ProcessExit,
    shown::shown,
    signal::{Outcome, Party, Sender},
};

/// A life-cycle event. `at` is in ns of the monotonic clock.
#[derive(Debug)]
pub enum Event {
    /// A process of an agent forked another.
    Fork {
        /// Whose agent.
        slot: Slot,
        /// The new process.
        process: ProcessId,
        /// The process that forked.
        parent: ProcessId,
        /// The new process's parent pid.
        parent_pid: u32,
        /// Its name.
        comm: String,
    },
    /// A process of an agent executed a program.
    Exec {
        /// The process.
        process: ProcessId,
        /// When.
        at: u64,
        /// The path as given to the kernel; empty where it could not be read.
        path: String,
        /// Its new name.
        comm: String,
        /// The raw command line, NUL-separated. Not yet redacted: it must not go further as it is.
        args: Vec<u8>,
        /// Whether `args` was cut.
        cut: bool,
    },
    /// A process's last thread exited.
    Exit {
        /// The process.
        process: ProcessId,
        /// When.
        at: u64,
        /// How.
        exit: ProcessExit,
        /// What the last thread used.
        account: Account,
        /// Peak resident set, bytes.
        peak_rss_bytes: u64,
        /// Whether the kernel had chosen it to die because memory ran out.
        out_of_memory: bool,
    },
    /// A signal was sent to a process of an agent, or by one.
    Signal {
        /// When.
        at: u64,
        /// Its number.
        number: u8,
        /// To whom.
        target: Party,
        /// Who sent it.
        sender: Sender,
        /// What becomes of it.
        outcome: Outcome,
    },
    /// Another thread of a process exited.
    ThreadExit {
        /// The process.
        process: ProcessId,
        /// What the thread used.
        account: Account,
    },
    /// A process outside every agent executed a program.
    ForeignExec {
        /// Its pid.
        pid: u32,
    },
    /// A user stack was stored that something must be read for while its process lives.
    NewStack {
        /// Whose.
        process: ProcessId,
        /// Its id.
        stack: u64,
    },
    /// A process of an agent loaded a library, or let go of one.
    LibraryLoaded {
        /// The process.
        process: ProcessId,
    },
    /// An agent sent a request to its model, or a tool of it the first on a connection to one.
    ModelRequest {
        /// Whose.
        slot: Slot,
        /// The process that sent it.
        process: ProcessId,
        /// When (ns, monotonic).
        at_ns: u64,
        /// Whether a thread of the agent's own did.
        is_own: bool,
        /// How long connecting took, ns, if it is the first on its connection and that was seen.
        connect_ns: Option<u64>,
    },
    /// A process of an agent received a datagram from the port of name servers.
    NameAnswer {
        /// Whose.
        slot: Slot,
        /// The datagram's beginning.
        bytes: Vec<u8>,
    },
}

/// A process that was taken into an agent while it ran.
#[derive(Debug)]
pub struct Seeded {
    /// The process.
    pub process: ProcessId,
    /// Its parent's pid.
    pub parent_pid: u32,
    /// What threads used that exited before.
    pub dead: Account,
    /// Its name.
    pub comm: String,
}

/// A record that is no event.
#[derive(Debug, thiserror::Error)]
#[error("a record of kind {kind} and {length} bytes is no event")]
pub struct DecodeError {
    kind: u32,
    length: usize,
}

impl DecodeError {
    /// A record of another ring: its kind is unknown, or it is cut.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { kind: u32::MAX, length: bytes.len() }
    }
}

/// Decodes one record.
pub(super) fn event(bytes: &[u8]) -> Result<Event, DecodeError> {
    let number = bytes.first_chunk().map_or(0, |word| u32::from_ne_bytes(*word));
    let event = match number {
        kind::FORK => whole(bytes).map(fork),
        kind::EXEC => whole(bytes).map(|e: Exec| exec(&e)),
        kind::EXIT => whole(bytes).map(exit),
        kind::SIGNAL => whole(bytes).map(|e: RawSignal| signal(&e)),
        kind::THREAD_EXIT => whole(bytes).map(|e: ThreadExit| Event::ThreadExit {
            process: ProcessId(e.process),
            account: account(e.account),
        }),
        kind::FOREIGN_EXEC => whole(bytes).map(|e: ForeignExec| Event::ForeignExec { pid: e.pid }),
        kind::NEW_STACK => {
            whole(bytes).map(|e: NewStack| Event::NewStack { process: ProcessId(e.process), stack: e.stack })
        }
        kind::MODEL_REQUEST => whole(bytes).map(|e: ModelRequest| Event::ModelRequest {
            slot: Slot(e.agent),
            process: ProcessId(e.process),
            at_ns: e.at,
            is_own: e.role == u32::from(role::OWN),
            connect_ns: (e.connect_us != 0).then(|| u64::from(e.connect_us) * 1000),
        }),
        kind::LIBRARY_LOADED => {
            whole(bytes).map(|e: LibraryLoaded| Event::LibraryLoaded { process: ProcessId(e.process) })
        }
        kind::NAME_ANSWER => whole(bytes).map(|e: NameAnswer| Event::NameAnswer {
            slot: Slot(e.agent),
            bytes: e.bytes.get(..e.length as usize).unwrap_or_default().to_vec(),
        }),
        _ => None,
    };
    event.ok_or(DecodeError { kind: number, length: bytes.len() })
}

/// Decodes the output of the seeding iterator.
pub(super) fn seeded(bytes: &[u8]) -> Vec<Seeded> {
    use agent_common::lifecycle::Seeded as Raw;
    bytes
        .chunks_exact(size_of::<Raw>())
        .map(|chunk| {
            let raw: Raw = read(chunk);
            Seeded {
                process: ProcessId(raw.process),
                parent_pid: raw.parent_pid,
                dead: account(raw.dead),
                comm: text(&raw.comm),
            }
        })
        .collect()
}

fn whole<T: Pod>(bytes: &[u8]) -> Option<T> {
    (bytes.len() >= size_of::<T>()).then(|| read(bytes))
}

fn fork(e: Fork) -> Event {
    Event::Fork {
        slot: Slot(e.agent),
        process: ProcessId(e.process),
        parent: ProcessId(e.parent),
        parent_pid: e.parent_pid,
        comm: text(&e.comm),
    }
}

fn exec(e: &Exec) -> Event {
    let path = e.path.get(..e.path_length as usize).unwrap_or_default();
    let args = e.args.get(..e.args_length as usize).unwrap_or_default();
    Event::Exec {
        process: ProcessId(e.process),
        at: e.at,
        path: String::from_utf8_lossy(path).into_owned(),
        comm: text(&e.comm),
        args: args.to_vec(),
        cut: e.args_total > u64::from(e.args_length),
    }
}

fn exit(e: Exit) -> Event {
    Event::Exit {
        process: ProcessId(e.process),
        at: e.at,
        exit: ProcessExit::from_wait_status(e.status),
        account: account(e.account),
        peak_rss_bytes: e.peak_rss,
        out_of_memory: e.out_of_memory != 0,
    }
}

fn signal(e: &RawSignal) -> Event {
    let party = |process, comm: &[u8]| Party { process: ProcessId(process), comm: text(comm) };
    Event::Signal {
        at: e.at,
        number: u8::try_from(e.signal).unwrap_or(0),
        target: party(e.process, &e.comm),
        sender: match e.origin {
            origin::PROCESS => Sender::Process(party(e.sender, &e.sender_comm)),
            origin::KERNEL => Sender::Kernel,
            _ => Sender::Unknown,
        },
        outcome: match e.outcome {
            outcome::ENDS => Outcome::Ends,
            outcome::HANDLED => Outcome::Handled,
            outcome::IGNORED => Outcome::Ignored,
            outcome::STOPS => Outcome::Stops,
            outcome::CONTINUES => Outcome::Continues,
            _ => Outcome::Unknown,
        },
    }
}

fn account(raw: RawAccount) -> Account {
    Account {
        cpu_ns: raw.cpu,
        user_ticks_ns: raw.user,
        system_ticks_ns: raw.system,
        read_chars: raw.read_chars,
        written_chars: raw.written_chars,
        read_bytes: raw.read_bytes,
        written_bytes: raw.written_bytes,
    }
}

/// A NUL-terminated name of any bytes.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    shown(&String::from_utf8_lossy(bytes.get(..end).unwrap_or_default())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Event, event};

    #[test]
    fn short_and_unknown_records_are_refused() {
        assert!(event(&[]).is_err());
        assert!(event(&[2, 0, 0, 0, 1, 2, 3]).is_err());
        assert!(event(&[99, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn a_length_past_the_field_is_no_panic() {
        let mut record = vec![0xff; 2048];
        record[..4].copy_from_slice(&2u32.to_ne_bytes());
        let Ok(Event::Exec { path, args, .. }) = event(&record) else { panic!("an exec record") };
        assert!(path.is_empty() && args.is_empty());
    }

    #[test]
    fn a_foreign_exec_decodes() {
        let record: Vec<u8> = [5u32, 42].iter().flat_map(|w| w.to_ne_bytes()).collect();
        assert!(matches!(event(&record), Ok(Event::ForeignExec { pid: 42 })));
    }
}
