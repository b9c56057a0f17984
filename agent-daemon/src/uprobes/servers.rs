//! Which processes are servers: those whose standard input and output are both pipes or unix sockets. What they read are
//! requests of whoever started them, and the kernel programs are told whose.
//!
//! A launcher gives its own descriptors to what it starts: both are servers then, and the one that reads is seen. The client is
//! the nearest ancestor that was not itself given the same input. What a server starts with its input but another output is
//! none: it would speak for the server.

use std::fs;

use procfs::process::Process as OfProc;
use rustc_hash::FxHashMap;

use crate::{
    kernel::{
        WireServers,
        wire::{End, Server},
    },
    model::{
        attachment::{Attachment, AttachmentState, LIBC_FINDER},
        id::ProcessId,
        probe::ProbeState,
    },
    telemetry::{Loss, Telemetry},
};

/// Servers that are known at once, as many as the kernel programs have room for.
const MAX_SERVERS: usize = 4096;
/// Launchers between a server and its client.
const MAX_LAUNCHERS: usize = 16;
/// The program without which sockets tell nothing.
const OF_SOCKETS: &str = "wire_socket_receive";

/// The servers among the processes of agents.
pub(super) struct Servers {
    map: Option<WireServers>,
    known: FxHashMap<ProcessId, Server>,
}

impl Servers {
    pub(super) fn new(map: Option<WireServers>) -> Self {
        Self { map, known: FxHashMap::default() }
    }

    /// Looks what a process has for its standard input and output since it executed a program, and whether it is a server
    /// by that. `member` tells which process of the same agent has a pid.
    pub(super) fn look(
        &mut self,
        process: ProcessId,
        member: impl Fn(u32) -> Option<ProcessId>,
        telemetry: &Telemetry,
    ) -> bool {
        self.forget(process);
        let Some(map) = &mut self.map else { return false };
        let (Some(input), Some(output)) = (end(process.pid(), 0), end(process.pid(), 1)) else {
            return false;
        };
        let Some(client) = client(process.pid(), (input, output)) else { return false };
        let server = Server { input, output, client: client.and_then(member) };
        if self.known.len() >= MAX_SERVERS || map.set(process, &server).is_err() {
            telemetry.losses.count(Loss::UprobesUnattached);
            return false;
        }
        self.known.insert(process, server);
        true
    }

    /// A process is gone, or executes another program.
    pub(super) fn forget(&mut self, process: ProcessId) {
        if self.known.remove(&process).is_some() {
            self.map.iter_mut().for_each(|map| map.remove(process));
        }
    }

    /// Whether a process is one that needs its libc to be probed.
    pub(super) fn has_pipes(&self, process: ProcessId) -> bool {
        self.known.get(&process).is_some_and(|server| server.input.is_pipe || server.output.is_pipe)
    }

    /// How a server stands for which no libc is probed.
    pub(super) fn attachment(&self, process: ProcessId, telemetry: &Telemetry) -> Option<Attachment> {
        let server = self.known.get(&process)?;
        let reason = if self.has_pipes(process) {
            Some("it is spoken to by pipes, and no C library is among its files".to_owned())
        } else {
            let probes = telemetry.probes();
            let hook = probes.iter().find(|p| p.name == OF_SOCKETS && p.state == ProbeState::Unavailable);
            hook.map(|hook| {
                let why = hook.reason.as_deref().unwrap_or_default();
                format!("it is spoken to by unix sockets, of which the kernel does not tell: {why}")
            })
        };
        let what = if server.input.is_pipe { "pipe" } else { "socket" };
        Some(Attachment {
            process,
            file: format!("{what}:[{}]", server.input.inode),
            finder: LIBC_FINDER,
            version: None,
            sites: 0,
            state: if reason.is_some() { AttachmentState::Blind } else { AttachmentState::Attached },
            since: None,
            reason,
        })
    }
}

/// What a process has under a descriptor, if it is a pipe or a socket.
fn end(pid: u32, descriptor: u32) -> Option<End> {
    let link = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok()?;
    parse(link.to_str()?)
}

/// What `pipe:[N]` or `socket:[N]` is.
fn parse(link: &str) -> Option<End> {
    let (kind, number) = link.strip_suffix(']')?.split_once(":[")?;
    let is_pipe = match kind {
        "pipe" => true,
        "socket" => false,
        _ => return None,
    };
    Some(End { inode: number.parse().ok()?, is_pipe })
}

/// The pid of who speaks to a process with this input and output, where that is found; `None` where an ancestor has the same
/// input and another output.
fn client(pid: u32, (input, output): (End, End)) -> Option<Option<u32>> {
    let mut pid = pid;
    for _ in 0..MAX_LAUNCHERS {
        let Some(parent) = parent(pid) else { break };
        pid = parent;
        if end(pid, 0) != Some(input) {
            return Some(Some(pid));
        }
        if end(pid, 1) != Some(output) {
            return None;
        }
    }
    Some(None)
}

fn parent(pid: u32) -> Option<u32> {
    let stat = OfProc::new(i32::try_from(pid).ok()?).and_then(|process| process.stat()).ok()?;
    u32::try_from(stat.ppid).ok().filter(|parent| *parent > 1)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn pipes_and_sockets_are_told_and_nothing_else() {
        assert_eq!(parse("pipe:[4711]"), Some(End { inode: 4711, is_pipe: true }));
        assert_eq!(parse("socket:[12]"), Some(End { inode: 12, is_pipe: false }));
        for other in ["/dev/null", "pipe:[x]", "pipe:[1", "anon_inode:[eventfd]", "anon_inode:[7]", ""] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_client_is_who_was_not_given_the_same_input() {
        // The inner shell is given what the outer one has.
        let mut shell = Command::new("sh");
        shell.args(["-c", "sh -c 'echo $$; cat; true'; true"]);
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        let inner: u32 = line.trim().parse().unwrap();
        assert_ne!(inner, child.id());
        let input = end(inner, 0).unwrap();
        let output = end(inner, 1).unwrap();
        assert!(input.is_pipe);
        assert_eq!(client(inner, (input, output)), Some(Some(std::process::id())));
        let other = End { inode: 1, is_pipe: true };
        assert_eq!(client(inner, (input, other)), None, "the outer shell has another");
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
