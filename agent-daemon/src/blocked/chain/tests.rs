//! Chains on hosts that were made up, where it is known who holds everybody up.

use rustc_hash::FxHashMap;

use super::*;
use crate::{
    blocked::descriptors,
    model::{id::Slot, off_cpu::Descriptor, time::Timestamp},
    store::fixture::at,
};

/// Process `pid`, younger than those of smaller pids.
fn process(pid: u32) -> ProcessId {
    ProcessId::new(pid, u64::from(pid) << 20)
}

/// A thread of the agent's that runs.
pub(in crate::blocked) fn thread(process: ProcessId, tid: u32) -> ThreadWait {
    ThreadWait {
        process,
        tid,
        parent_pid: 1,
        slot: Slot(1),
        role: Role::Own,
        state: Some(ThreadState::Cpu),
        since: None,
        syscall: None,
        descriptor: None,
        argument: 0,
        futex_waker: None,
    }
}

pub(in crate::blocked) fn waits(root: ProcessId, threads: Vec<ThreadWait>) -> Waits {
    let at: Timestamp = at(0);
    Waits { at, slot: Slot(1), root, threads, agents: FxHashMap::default() }
}

/// A thread of the process `pid`, which the agent (100) or another one started, in a system call.
fn tool(pid: u32, parent: u32, state: ThreadState, syscall: u32, argument: u64) -> ThreadWait {
    ThreadWait {
        parent_pid: parent,
        role: if pid == 100 { Role::Own } else { Role::Tool },
        state: Some(state),
        syscall: Some(syscall),
        argument,
        ..thread(process(pid), pid)
    }
}

fn on_pipe(pid: u32, parent: u32, fd: u64) -> ThreadWait {
    ThreadWait { descriptor: Some(Descriptor::Pipe), ..tool(pid, parent, ThreadState::Ipc, READ, fd) }
}

const READ: u32 = 0;
const WRITE: u32 = 1;
const WAIT4: u32 = 61;
const FUTEX: u32 = 202;
const EPOLL: u32 = 232;
const ANY: u64 = u64::MAX;
const SLEEP: u32 = 230;

/// What was made up.
#[derive(Default)]
struct Made {
    links: FxHashMap<(u32, u32), &'static str>,
    pidfds: FxHashMap<(u32, u32), u32>,
    epoll: FxHashMap<u32, Vec<u32>>,
    memory: FxHashMap<(u32, u64), u32>,
    sockets: FxHashMap<u64, Socket>,
    held: Vec<(&'static str, u32, bool, bool)>,
    inner: FxHashMap<u32, u32>,
}

impl Made {
    /// A pipe from one process's descriptor to another's.
    fn pipe(mut self, name: &'static str, writer: (u32, u32), reader: (u32, u32)) -> Self {
        self.links.extend([(writer, name), (reader, name)]);
        self.held.extend([(name, writer.0, false, true), (name, reader.0, true, false)]);
        self
    }
}

impl Host for Made {
    fn arguments(&mut self, thread: &ThreadWait) -> Option<[u64; 6]> {
        (thread.syscall == Some(247)).then_some([3, thread.argument, 0, 0, 0, 0])
    }
    fn open(&mut self, process: ProcessId, descriptor: u32) -> Option<Opened> {
        let key = (process.pid(), descriptor);
        let pid = self.pidfds.get(&key).copied();
        let link = self.links.get(&key).copied().or(pid.map(|_| "anon_inode:[pidfd]"))?;
        Some(Opened { pid, ..descriptors::opened(link) })
    }
    fn epoll(&mut self, process: ProcessId, _: u32) -> Vec<Watched> {
        let set = self.epoll.get(&process.pid()).into_iter().flatten();
        set.map(|descriptor| Watched { descriptor: *descriptor, input: true }).collect()
    }
    fn memory(&mut self, process: ProcessId, address: u64, _: usize) -> Option<Vec<u8>> {
        self.memory.get(&(process.pid(), address)).map(|word| word.to_ne_bytes().to_vec())
    }
    fn socket(&mut self, _: ProcessId, inode: u64) -> Socket {
        self.sockets.get(&inode).cloned().unwrap_or(Socket::Unknown)
    }
    fn holders(&mut self, name: &str) -> Vec<Holder> {
        let held = self.held.iter().filter(|held| held.0 == name);
        held.map(|(_, pid, reads, writes)| Holder { process: process(*pid), reads: *reads, writes: *writes })
            .collect()
    }
    fn inner_pid(&mut self, process: ProcessId) -> Option<u32> {
        self.inner.get(&process.pid()).copied()
    }
    fn comm(&mut self, thread: &ThreadWait) -> String {
        format!("p{}", thread.tid)
    }
    fn is_complete(&self) -> bool {
        true
    }
}

/// The first chain as text: `100 <Child 101 <Pipe 102 Timer`.
fn first(threads: Vec<ThreadWait>, host: &mut Made) -> String {
    let found = blocked(&waits(process(100), threads), host);
    said(&found.chains[0])
}

fn said(chain: &Chain) -> String {
    let link = |link: &Link| match link.by {
        Some(by) => format!("{} <{by:?} ", link.thread.tid),
        None => format!("{} ", link.thread.tid),
    };
    chain.links.iter().map(link).collect::<String>() + &format!("{:?}", chain.end)
}

#[test]
fn a_pipeline_is_followed_to_its_last_member() {
    let threads = vec![
        tool(100, 1, ThreadState::Child, WAIT4, ANY),
        on_pipe(101, 100, 0),
        on_pipe(102, 100, 0),
        tool(103, 100, ThreadState::Timer, SLEEP, 0),
    ];
    // The agent waits for the first of three, by its pid.
    let mut threads = threads;
    threads[0].argument = 101;
    let mut host = Made::default().pipe("pipe:[1]", (102, 1), (101, 0)).pipe("pipe:[2]", (103, 1), (102, 0));
    assert_eq!(first(threads.clone(), &mut host), "100 <Child 101 <Pipe 102 <Pipe 103 Timer");
    // In a container, where the agent calls it otherwise.
    threads[0].argument = 7;
    host.inner.insert(101, 7);
    assert_eq!(first(threads, &mut host), "100 <Child 101 <Pipe 102 <Pipe 103 Timer");
}

#[test]
fn a_full_pipe_waits_for_its_reader() {
    let mut writer = on_pipe(100, 1, 1);
    writer.syscall = Some(WRITE);
    let threads = vec![writer, tool(101, 100, ThreadState::Disk, 74, 3)];
    let mut host = Made::default().pipe("pipe:[1]", (100, 1), (101, 0));
    host.links.insert((101, 3), "/srv/data");
    let found = blocked(&waits(process(100), threads), &mut host);
    assert_eq!(said(&found.chains[0]), "100 <Pipe 101 Disk");
    let file = &found.chains[0].links[1].waits_for[0];
    assert_eq!((file.kind, file.name.as_deref()), (TargetKind::File, Some("/srv/data")));
    assert!(found.blocked && found.complete);
}

#[test]
fn sockets_on_this_host_lead_on_and_others_end() {
    let read = |fd| tool(100, 1, ThreadState::Network, READ, fd);
    let with = |state| ThreadWait { descriptor: Some(Descriptor::InetSocket), ..state };
    let remote = "127.0.0.1:8080".parse().unwrap();
    let mut host = Made::default();
    host.links.extend([((100, 3), "socket:[30]"), ((100, 4), "socket:[40]"), ((100, 5), "socket:[50]")]);
    host.sockets.insert(30, Socket::Inet { remote, peer: Some(31) });
    host.sockets.insert(40, Socket::Unix(Some(41)));
    host.sockets.insert(50, Socket::Inet { remote: "192.0.2.1:443".parse().unwrap(), peer: None });
    host.held.extend([("socket:[31]", 101, true, true), ("socket:[41]", 101, true, true)]);
    let threads = |fd| vec![with(read(fd)), tool(101, 1, ThreadState::Timer, SLEEP, 0)];
    assert_eq!(first(threads(3), &mut host), "100 <Connection 101 Timer");
    assert_eq!(first(threads(4), &mut host), "100 <UnixSocket 101 Timer");
    let found = blocked(&waits(process(100), threads(5)), &mut host);
    assert_eq!(said(&found.chains[0]), "100 Remote");
    assert_eq!(found.chains[0].links[0].waits_for[0].name.as_deref(), Some("192.0.2.1:443"));
}

#[test]
fn a_connection_to_a_process_of_this_host_that_is_not_watched_leads_outside() {
    let read = ThreadWait {
        descriptor: Some(Descriptor::InetSocket),
        ..tool(100, 1, ThreadState::Network, READ, 3)
    };
    let end = |remote: &str, peer| {
        let mut host = Made::default();
        host.links.insert((100, 3), "socket:[30]");
        host.sockets.insert(30, Socket::Inet { remote: remote.parse().unwrap(), peer });
        first(vec![read.clone()], &mut host)
    };
    // The other end is in this host's tables, whatever its address; or in those of another network namespace.
    assert_eq!(end("192.0.2.1:443", Some(31)), "100 Outside");
    assert_eq!(end("127.0.0.1:8080", None), "100 Outside");
    assert_eq!(end("[::1]:8080", None), "100 Outside");
    assert_eq!(end("192.0.2.1:443", None), "100 Remote");
}

#[test]
fn an_event_loop_is_held_up_by_its_tool_not_by_its_idle_server() {
    let agent = tool(100, 1, ThreadState::Poll, EPOLL, 9);
    // The server reads what the agent sends; the tool sleeps.
    let threads = vec![agent, on_pipe(101, 100, 0), tool(102, 100, ThreadState::Timer, SLEEP, 0)];
    let mut host = Made::default()
        .pipe("pipe:[1]", (100, 4), (101, 0))
        .pipe("pipe:[2]", (101, 1), (100, 5))
        .pipe("pipe:[3]", (102, 1), (100, 6));
    host.links.insert((100, 7), "anon_inode:[eventfd]");
    host.epoll.insert(100, vec![7, 5, 6]);
    let found = blocked(&waits(process(100), threads.clone()), &mut host);
    assert_eq!(said(&found.chains[0]), "100 <Pipe 102 Timer");
    let names: Vec<_> = found.chains[0].links[0].waits_for.iter().map(|t| t.name.clone().unwrap()).collect();
    assert_eq!(names, ["pipe:[3]", "anon_inode:[eventfd]", "pipe:[2]"], "what leads on stands first");
    // Without the tool nobody is to blame: the server waits for the agent.
    host.epoll.insert(100, vec![7, 5]);
    assert_eq!(first(threads[..2].to_vec(), &mut host), "100 Idle");
    // By a pidfd, which waitid names or the loop watches.
    host.pidfds.insert((100, 8), 102);
    host.epoll.insert(100, vec![5, 8]);
    assert_eq!(first(threads.clone(), &mut host), "100 <Pidfd 102 Timer");
    let mut threads = threads;
    threads[0] = tool(100, 1, ThreadState::Child, 247, 8);
    assert_eq!(first(threads, &mut host), "100 <Pidfd 102 Timer");
}

#[test]
fn locks_name_their_owner_and_other_futexes_are_guessed() {
    let parked = |tid| ThreadWait { tid, ..tool(100, 1, ThreadState::Futex, FUTEX, 0x1000) };
    let busy = ThreadWait { tid: 105, ..tool(100, 1, ThreadState::Disk, 74, 3) };
    let mut host = Made::default();
    assert_eq!(first(vec![parked(100), parked(104), busy.clone()], &mut host), "100 <OnlyActive 105 Disk");
    let sleeper = ThreadWait { tid: 106, ..tool(100, 1, ThreadState::Timer, SLEEP, 0) };
    let two = vec![parked(100), busy.clone(), sleeper];
    assert_eq!(first(two.clone(), &mut host), "105 Disk", "what is known comes before what is not");
    let mut woken = two.clone();
    woken[0].futex_waker = Some(106);
    assert_eq!(first(woken.clone(), &mut host), "100 <LastWaker 106 Timer");
    host.memory.insert((100, 0x1008), 105);
    assert_eq!(first(woken, &mut host), "100 <LockOwner 105 Disk");
    // Two that wait for each other.
    let deadlock = vec![
        ThreadWait { state: Some(ThreadState::Lock), ..parked(100) },
        ThreadWait { tid: 104, argument: 0x2000, state: Some(ThreadState::Lock), ..parked(104) },
    ];
    host.memory.extend([((100, 0x1008), 104), ((100, 0x2008), 100)]);
    let found = blocked(&waits(process(100), deadlock), &mut host);
    assert_eq!(said(&found.chains[0]), "100 <LockOwner 104 Deadlock");
}

#[test]
fn what_leads_out_and_who_runs_is_said() {
    let mut host = Made::default();
    host.links.insert((100, 0), "pipe:[9]");
    host.held.push(("pipe:[9]", 100, true, true));
    assert_eq!(first(vec![on_pipe(100, 1, 0)], &mut host), "100 Parked", "a pipe of its own");
    host.held.clear();
    assert_eq!(first(vec![on_pipe(100, 1, 0)], &mut host), "100 Outside");
    assert_eq!(first(vec![tool(100, 1, ThreadState::Terminal, READ, 0)], &mut host), "100 Terminal");
    let runs = blocked(&waits(process(100), vec![thread(process(100), 100)]), &mut host);
    assert_eq!((said(&runs.chains[0]).as_str(), runs.blocked), ("100 Running", false));
    assert!(blocked(&waits(process(100), Vec::new()), &mut host).chains.is_empty());
}

#[test]
fn long_chains_and_many_threads_are_cut() {
    let mut threads = vec![tool(100, 1, ThreadState::Child, WAIT4, ANY)];
    threads.extend((101..160).map(|pid| tool(pid, pid - 1, ThreadState::Child, WAIT4, ANY)));
    let mut host = Made::default();
    let found = blocked(&waits(process(100), threads), &mut host);
    assert_eq!((found.chains[0].links.len(), found.chains[0].end), (MAX_LINKS, ChainEnd::TooLong));
    let threads =
        |n: u32| (0..n).map(|n| ThreadWait { tid: 1000 + n, ..tool(100, 1, ThreadState::Timer, SLEEP, 0) });
    let found = blocked(&waits(process(100), threads(200).collect()), &mut host);
    assert_eq!((found.chains.len(), found.own_threads), (MAX_CHAINS, 200));
    // Everybody has everybody's pipe: it ends all the same.
    let mut host = Made::default();
    host.held.extend((100..112).map(|pid| ("pipe:[1]", pid, true, true)));
    host.links.extend((100..112).map(|pid| ((pid, 0), "pipe:[1]")));
    let found = blocked(&waits(process(100), (100..112).map(|pid| on_pipe(pid, 1, 0)).collect()), &mut host);
    assert!(!found.complete, "and says that it was cut short");
}
