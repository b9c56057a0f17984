//! The host as /proc shows it. Each look is bounded in descriptors and time; what was left out is said.

use std::{
    fs,
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::Path,
    time::{Duration, Instant},
};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    descriptors::{self, MAX_SET},
    host::{Holder, Host, Opened, Socket, Watched},
    sockets::Connections,
    unix::Diagnostics,
};
use crate::{
    model::{
        blocked::{TargetKind, ThreadWait, Waits},
        id::ProcessId,
        shown::shown,
    },
    unwind::identity::is_same,
};

/// Descriptors of one process, and of all together, that are looked at.
const MAX_DESCRIPTORS: usize = 4096;
const MAX_DESCRIPTORS_IN_ALL: usize = 65_536;
/// How long looking for the other ends may take, and all of it.
const PATIENCE: Duration = Duration::from_millis(300);
const PATIENCE_IN_ALL: Duration = Duration::from_secs(1);
/// The most of a process's memory that is read at once: `MAX_SET` entries of poll(2).
const MAX_MEMORY: usize = 8 * MAX_SET;
/// Network namespaces whose tables are read.
const MAX_NAMESPACES: usize = 16;

/// One look at /proc.
pub struct Proc {
    /// Agents' processes, those of the agent that is asked for first.
    processes: Vec<ProcessId>,
    /// Who has which pipes and sockets open, once that was asked for.
    index: Option<FxHashMap<String, Vec<Holder>>>,
    connections: FxHashMap<String, Connections>,
    diagnostics: Option<Diagnostics>,
    until: Instant,
    complete: bool,
}

impl Proc {
    /// A look on behalf of these threads.
    #[must_use]
    pub fn new(waits: &Waits) -> Self {
        let (own, others): (Vec<_>, Vec<_>) = waits.threads.iter().partition(|t| t.slot == waits.slot);
        let mut seen = FxHashSet::default();
        let processes = own.into_iter().chain(others).map(|thread| thread.process);
        Self {
            processes: processes.filter(|process| seen.insert(*process)).collect(),
            index: None,
            connections: FxHashMap::default(),
            diagnostics: Diagnostics::open().ok(),
            until: Instant::now() + PATIENCE_IN_ALL,
            complete: true,
        }
    }

    /// Looks at every descriptor of the agents' processes.
    fn read_index(&mut self) -> FxHashMap<String, Vec<Holder>> {
        let until = Instant::now() + PATIENCE;
        let (mut index, mut left): (FxHashMap<String, Vec<Holder>>, _) =
            (FxHashMap::default(), MAX_DESCRIPTORS_IN_ALL);
        for process in &self.processes {
            if left == 0 || Instant::now() >= until {
                self.complete = false;
                break;
            }
            let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", process.pid())) else { continue };
            let most = MAX_DESCRIPTORS.min(left);
            let mut entries = entries.filter_map(Result::ok);
            let held: Vec<_> =
                entries.by_ref().take(most).filter_map(|entry| held(&entry.path(), *process)).collect();
            self.complete &= entries.next().is_none();
            left = left.saturating_sub(held.len());
            if is_same(*process) {
                held.into_iter().for_each(|(name, holder)| index.entry(name).or_default().push(holder));
            }
        }
        index
    }
}

/// The pipe or socket that a link of /proc/PID/fd leads to, and how it is open.
fn held(link: &Path, process: ProcessId) -> Option<(String, Holder)> {
    let name = fs::read_link(link).ok()?.into_os_string().into_string().ok()?;
    if !name.starts_with("pipe:[") && !name.starts_with("socket:[") {
        return None;
    }
    // The link's own mode says how its file is open; it is asked of /proc alone, and so cannot hang.
    let mode = fs::symlink_metadata(link).ok()?.permissions().mode();
    Some((name, Holder { process, reads: mode & 0o400 != 0, writes: mode & 0o200 != 0 }))
}

impl Host for Proc {
    fn arguments(&mut self, thread: &ThreadWait) -> Option<[u64; 6]> {
        let path = format!("/proc/{}/task/{}/syscall", thread.process.pid(), thread.tid);
        let arguments = arguments(&fs::read_to_string(path).ok()?, thread.syscall?)?;
        is_same(thread.process).then_some(arguments)
    }

    fn open(&mut self, process: ProcessId, descriptor: u32) -> Option<Opened> {
        if Instant::now() >= self.until {
            self.complete = false;
            return None;
        }
        let pid = process.pid();
        let link = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok()?;
        let mut opened = descriptors::opened(&link.to_string_lossy());
        if opened.kind == TargetKind::Child {
            let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).ok()?;
            opened.pid = descriptors::pid(&info);
        }
        is_same(process).then_some(opened)
    }

    fn epoll(&mut self, process: ProcessId, descriptor: u32) -> Vec<Watched> {
        let info = fs::read_to_string(format!("/proc/{}/fdinfo/{descriptor}", process.pid()));
        let watched = descriptors::epoll(&info.unwrap_or_default());
        if is_same(process) { watched } else { Vec::new() }
    }

    fn memory(&mut self, process: ProcessId, address: u64, length: usize) -> Option<Vec<u8>> {
        let memory = fs::File::open(format!("/proc/{}/mem", process.pid())).ok()?;
        let mut bytes = vec![0; length.min(MAX_MEMORY)];
        memory.read_exact_at(&mut bytes, address).ok()?;
        is_same(process).then_some(bytes)
    }

    fn socket(&mut self, process: ProcessId, inode: u64) -> Socket {
        if let Some(peer) = self.diagnostics.as_ref().and_then(|diagnostics| diagnostics.peer(inode)) {
            return Socket::Unix(peer);
        }
        let pid = process.pid();
        let Ok(namespace) = fs::read_link(format!("/proc/{pid}/ns/net")) else { return Socket::Unknown };
        let namespace = namespace.to_string_lossy().into_owned();
        if !self.connections.contains_key(&namespace) {
            if self.connections.len() >= MAX_NAMESPACES {
                self.complete = false;
                return Socket::Unknown;
            }
            self.connections.insert(namespace.clone(), Connections::read(pid));
        }
        let found = self.connections.get(&namespace).and_then(|connections| connections.remote(inode));
        found.map_or(Socket::Unknown, |(remote, peer)| Socket::Inet { remote, peer })
    }

    fn holders(&mut self, name: &str) -> Vec<Holder> {
        if self.index.is_none() {
            self.index = Some(self.read_index());
        }
        self.index.as_ref().and_then(|index| index.get(name)).cloned().unwrap_or_default()
    }

    fn inner_pid(&mut self, process: ProcessId) -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        line.split_ascii_whitespace().next_back()?.parse().ok()
    }

    fn comm(&mut self, thread: &ThreadWait) -> String {
        let path = format!("/proc/{}/task/{}/comm", thread.process.pid(), thread.tid);
        let comm = fs::read(path).unwrap_or_default();
        shown(String::from_utf8_lossy(&comm).trim_end()).into_owned()
    }

    fn is_complete(&self) -> bool {
        self.complete
    }
}

/// The arguments in a line of /proc/TID/syscall, if it is of this call: `running`, or the call's number, six arguments,
/// the stack and the program counter.
fn arguments(line: &str, syscall: u32) -> Option<[u64; 6]> {
    let mut words = line.split_ascii_whitespace();
    if words.next()?.parse() != Ok(syscall) {
        return None;
    }
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        *argument = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    }
    Some(arguments)
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        os::{fd::AsRawFd as _, unix::net::UnixStream},
    };

    use proptest::prelude::{any, proptest};

    use super::*;
    use crate::{blocked::chain::tests::thread, unwind::identity::this_process};

    fn look() -> Proc {
        let waits = Waits {
            threads: vec![thread(this_process(), std::process::id())],
            ..crate::blocked::chain::tests::waits(this_process(), Vec::new())
        };
        Proc::new(&waits)
    }

    #[test]
    fn both_ends_of_a_pipe_are_found_with_how_they_are_open() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let mut proc = look();
        let opened = proc.open(this_process(), reader.as_raw_fd().cast_unsigned()).unwrap();
        assert_eq!(opened.kind, TargetKind::Pipe);
        let holders = proc.holders(&opened.name);
        assert!(holders.iter().any(|h| h.reads && !h.writes) && holders.iter().any(|h| h.writes && !h.reads));
        assert!(holders.iter().all(|h| h.process == this_process()) && proc.is_complete());
        assert!(proc.holders("pipe:[0]").is_empty());
    }

    #[test]
    fn sockets_lead_to_their_other_ends() {
        let mut proc = look();
        let (a, b) = UnixStream::pair().unwrap();
        let mut socket = |fd: i32| proc.open(this_process(), fd.cast_unsigned()).unwrap().socket().unwrap();
        let (a, b) = (socket(a.as_raw_fd()), socket(b.as_raw_fd()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        let (client, server_inode) = (socket(client.as_raw_fd()), socket(server.as_raw_fd()));
        assert_eq!(proc.socket(this_process(), a), Socket::Unix(Some(b)));
        let remote = listener.local_addr().unwrap();
        assert_eq!(proc.socket(this_process(), client), Socket::Inet { remote, peer: Some(server_inode) });
        assert_eq!(proc.socket(this_process(), 1), Socket::Unknown);
    }

    #[test]
    fn who_has_died_is_not_taken_for_another() {
        let gone = crate::unwind::identity::forerunner();
        let mut proc = look();
        assert!(proc.open(gone, 0).is_none() && proc.memory(gone, 0, 8).is_none());
        assert!(proc.epoll(gone, 0).is_empty() && proc.arguments(&thread(gone, gone.pid())).is_none());
    }

    #[test]
    fn memory_is_read_within_bounds() {
        let mut proc = look();
        let word = 0x1122_3344_5566_7788_u64;
        let read = proc.memory(this_process(), std::ptr::from_ref(&word) as u64, 8);
        assert_eq!(read, Some(word.to_ne_bytes().to_vec()));
        assert_eq!(proc.memory(this_process(), 0, 8), None);
    }

    #[test]
    fn arguments_are_those_of_the_call() {
        let line = "61 0xffffffff 0x7ffd 0x0 0x0 0x8 0x0 0x7ffd 0x7f12";
        assert_eq!(arguments(line, 61), Some([0xffff_ffff, 0x7ffd, 0, 0, 8, 0]));
        assert_eq!(arguments(line, 7), None);
        assert_eq!(arguments("running", 61), None);
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_panic(line: String, syscall in any::<u32>()) {
            let _ = arguments(&line, syscall);
        }
    }
}
