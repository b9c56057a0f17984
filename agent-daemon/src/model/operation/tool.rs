//! Tool calls: the process trees that an agent runs, each with its bill. They are operations that the kernel told of.

use super::{ToolFiles, ToolNetwork};
use crate::model::{account::Account, process::Exit};

/// How a tool call came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolEnd {
    /// Its last process exited.
    Exited,
    /// Its first process exited, but others of it lived on by themselves: what they do after that is not in the bill.
    Left,
    /// Watching its agent ended first.
    Unfinished,
    /// The exit of one of its processes was not seen: the bill lacks what that one used.
    Unseen,
}

impl ToolEnd {
    /// Every end.
    pub const ALL: [Self; 4] = [Self::Exited, Self::Left, Self::Unfinished, Self::Unseen];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exited => "exited",
            Self::Left => "left",
            Self::Unfinished => "unfinished",
            Self::Unseen => "unseen",
        }
    }
}

/// What is known of a tool call beyond what every operation has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// How it came to its end.
    pub end: ToolEnd,
    /// How its first process ended; `None` if it had not, or that was not seen.
    pub exit: Option<Exit>,
    /// What it cost.
    pub bill: Bill,
    /// What it did to files; `None` where its agent was not watched by the files probe.
    pub files: Option<ToolFiles>,
    /// What it sent and received; `None` where its agent was not watched by the network probe.
    pub network: Option<ToolNetwork>,
}

/// What tool calls cost: one, or several together. Sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// CPU time in user mode, ns.
    pub user_ns: u64,
    /// CPU time in the kernel, ns.
    pub system_ns: u64,
    /// The largest resident set of any one process, bytes.
    pub peak_rss_bytes: u64,
    /// Bytes that calls like read returned, from whatever they read.
    pub read_chars: u64,
    /// Bytes that calls like write took.
    pub written_chars: u64,
    /// Bytes that were fetched from storage.
    pub read_bytes: u64,
    /// Bytes that were sent to storage, or will be.
    pub written_bytes: u64,
    /// Processes.
    pub processes: u64,
}

impl Bill {
    /// Adds what a process used.
    pub fn add(&mut self, account: &Account) {
        let (user_ns, system_ns) = account.user_and_system_ns();
        self.merge(&Self {
            user_ns,
            system_ns,
            read_chars: account.read_chars,
            written_chars: account.written_chars,
            read_bytes: account.read_bytes,
            written_bytes: account.written_bytes,
            ..Self::default()
        });
    }

    /// Adds what a process used, of which less was told before.
    pub fn replace(&mut self, before: &Account, account: &Account) {
        let (before_user_ns, before_system_ns) = before.user_and_system_ns();
        self.user_ns = self.user_ns.saturating_sub(before_user_ns);
        self.system_ns = self.system_ns.saturating_sub(before_system_ns);
        self.read_chars = self.read_chars.saturating_sub(before.read_chars);
        self.written_chars = self.written_chars.saturating_sub(before.written_chars);
        self.read_bytes = self.read_bytes.saturating_sub(before.read_bytes);
        self.written_bytes = self.written_bytes.saturating_sub(before.written_bytes);
        self.add(account);
    }

    /// Adds another.
    pub fn merge(&mut self, other: &Self) {
        let add = |mine: &mut u64, others: u64| *mine = mine.saturating_add(others);
        add(&mut self.user_ns, other.user_ns);
        add(&mut self.system_ns, other.system_ns);
        add(&mut self.read_chars, other.read_chars);
        add(&mut self.written_chars, other.written_chars);
        add(&mut self.read_bytes, other.read_bytes);
        add(&mut self.written_bytes, other.written_bytes);
        add(&mut self.processes, other.processes);
        self.peak_rss_bytes = self.peak_rss_bytes.max(other.peak_rss_bytes);
    }

    /// CPU time, ns.
    #[must_use]
    pub fn cpu_ns(&self) -> u64 {
        self.user_ns.saturating_add(self.system_ns)
    }
}

/// The kind of operation that a tool call is.
pub const TOOL: &str = "tool";
/// The kind of one that serves its agent for as long as that lives, as MCP servers do.
pub const SERVER: &str = "server";

/// The label of a tool call that says how many calls before it were the same, with nothing changed in between.
pub const TOOL_REPEATS: &str = "tool.repeats";

/// The kind of operation that saving a checkpoint is, as seen by its files.
pub const CHECKPOINT_SAVE: &str = "checkpoint_save";
/// The kind that loading one is.
pub const CHECKPOINT_LOAD: &str = "checkpoint_load";

/// The kind of operation that a signal is: one that a process of an agent was sent, or sent.
pub const SIGNAL: &str = "signal";
/// The kind that the end of a process is which the kernel killed because memory ran out.
pub const OOM_KILL: &str = "oom_kill";

#[cfg(test)]
mod tests {
    use super::{Account, Bill};

    #[test]
    fn bills_add_up_but_for_peaks() {
        let account = Account {
            cpu_ns: 100,
            user_ticks_ns: 3,
            system_ticks_ns: 1,
            read_chars: 5,
            written_chars: 6,
            read_bytes: 7,
            written_bytes: 8,
        };
        let mut one = Bill { peak_rss_bytes: 9, processes: 1, ..Bill::default() };
        one.add(&account);
        assert_eq!((one.user_ns, one.system_ns, one.cpu_ns()), (75, 25, 100));
        let mut both = Bill { peak_rss_bytes: 4, processes: 2, ..Bill::default() };
        both.merge(&one);
        assert_eq!(both, Bill { processes: 3, ..one });
    }
}
