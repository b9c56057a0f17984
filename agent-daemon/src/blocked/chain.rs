//! The chains: from each of the agent's own threads that wait, as far as it goes.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    awaited::{Awaited, awaited},
    blame::{self, Suspect, end_at, is_conclusive, rank, threads_of},
    host::{Holder, Host, Opened, Socket, Watched},
};
use crate::model::{
    blocked::{Blocked, Chain, ChainEnd, Evidence, Link, Target, TargetKind, ThreadWait, Waits},
    id::ProcessId,
    ledger::{Role, ThreadState},
};

/// Links of a chain.
const MAX_LINKS: usize = 16;
/// Chains of an answer.
const MAX_CHAINS: usize = 16;
/// Suspects that are followed from one link, and threads that are looked at for all chains.
const MAX_SUSPECTS: usize = 8;
const MAX_STEPS: usize = 512;
/// Things that a link names.
const MAX_TARGETS: usize = 16;

/// Who the agent waits for, at this moment.
pub fn blocked(waits: &Waits, host: &mut impl Host) -> Blocked {
    let mut own: Vec<_> =
        waits.threads.iter().filter(|t| t.slot == waits.slot && t.role == Role::Own).collect();
    let is_first = |thread: &ThreadWait| thread.process == waits.root && thread.tid == waits.root.pid();
    own.sort_by_key(|thread| (!is_first(thread), rank(thread)));
    let runs =
        |thread: &&ThreadWait| matches!(thread.state, Some(ThreadState::Cpu | ThreadState::RunQueue) | None);
    let mut follower = Follower { threads: &waits.threads, host, steps: 0, waits: FxHashMap::default() };
    let (mut chains, mut told) = (Vec::new(), FxHashSet::default());
    for thread in &own {
        // A pool's threads are parked; whoever waits for one of them leads there.
        let parked = thread.state == Some(ThreadState::Futex) && !is_first(thread);
        if chains.len() >= MAX_CHAINS || parked || told.contains(&thread.tid) {
            continue;
        }
        let chain = follower.follow(thread, &mut Vec::new());
        told.extend(chain.links.iter().map(|link| link.thread.tid));
        chains.push(chain);
    }
    chains.sort_by_key(|chain| !is_conclusive(chain.end));
    let complete = follower.host.is_complete() && follower.steps < MAX_STEPS;
    Blocked { at: waits.at, blocked: !own.iter().any(runs), own_threads: own.len(), chains, complete }
}

struct Follower<'a, H> {
    threads: &'a [ThreadWait],
    host: &'a mut H,
    steps: usize,
    /// What was found out, by thread: several may wait for one.
    waits: FxHashMap<u32, Wait<'a>>,
}

/// What one thread waits for.
#[derive(Clone)]
struct Wait<'a> {
    targets: Vec<Target>,
    suspects: Vec<Suspect<'a>>,
    /// Why the chain ends here if no suspect is to blame.
    otherwise: ChainEnd,
}

impl<'a, H: Host> Follower<'a, H> {
    /// The chain from a thread on; `path` are the threads before it.
    fn follow(&mut self, thread: &'a ThreadWait, path: &mut Vec<&'a ThreadWait>) -> Chain {
        self.steps += 1;
        let Wait { mut targets, mut suspects, otherwise } = self.wait(thread);
        let link = |host: &mut H, waits_for, by| Link {
            thread: thread.clone(),
            comm: host.comm(thread),
            waits_for,
            by,
        };
        if let Some(end) = end_at(thread) {
            return Chain { links: vec![link(self.host, targets, None)], end };
        }
        if path.len() + 1 >= MAX_LINKS || self.steps >= MAX_STEPS {
            return Chain { links: vec![link(self.host, targets, None)], end: ChainEnd::TooLong };
        }
        path.push(thread);
        let circle = suspects.iter().filter(|suspect| is_on(path, suspect)).map(|suspect| suspect.evidence);
        let circle = circle.min_by_key(|evidence| *evidence != Evidence::LockOwner);
        suspects.retain(|suspect| !is_on(path, suspect));
        blame::sort(&mut suspects);
        let mut second: Option<(Suspect<'_>, Chain)> = None;
        for suspect in suspects.into_iter().take(MAX_SUSPECTS) {
            let chain = self.follow(suspect.thread, path);
            let found = is_conclusive(chain.end);
            if found || second.is_none() && chain.end != ChainEnd::Idle {
                second = Some((suspect, chain));
            }
            if found {
                break;
            }
        }
        path.pop();
        match second.filter(|(_, chain)| is_conclusive(chain.end) || !is_conclusive(otherwise)) {
            Some((suspect, mut chain)) => {
                if let Some(first) = targets.get_mut(..=suspect.target) {
                    first.rotate_right(1);
                }
                chain.links.insert(0, link(self.host, targets, Some(suspect.evidence)));
                chain
            }
            None => {
                let end = match circle {
                    Some(Evidence::LockOwner) => ChainEnd::Deadlock,
                    Some(_) if !is_conclusive(otherwise) => ChainEnd::Idle,
                    _ => otherwise,
                };
                Chain { links: vec![link(self.host, targets, None)], end }
            }
        }
    }

    fn wait(&mut self, thread: &'a ThreadWait) -> Wait<'a> {
        if let Some(known) = self.waits.get(&thread.tid) {
            return known.clone();
        }
        let mut wait = match awaited(thread, self.host) {
            Awaited::Child(pid) => self.children(thread, pid),
            Awaited::Pidfd(descriptor) => {
                self.descriptors(thread, &[Watched { descriptor, input: true }], ChainEnd::Unknown)
            }
            Awaited::Futex(address) => self.futex(thread, address),
            Awaited::Descriptors(watched) => self.descriptors(thread, &watched, ChainEnd::Unknown),
            // What a loop watches for its own sake is not what it waits for.
            Awaited::Epoll(_, watched) => self.descriptors(thread, &watched, ChainEnd::Idle),
            Awaited::Unknown => {
                Wait { targets: Vec::new(), suspects: Vec::new(), otherwise: ChainEnd::Unknown }
            }
        };
        // The order of the rest is kept: suspects name targets by their place.
        wait.targets.truncate(MAX_TARGETS);
        self.waits.insert(thread.tid, wait.clone());
        wait
    }

    fn children(&mut self, thread: &ThreadWait, pid: Option<u32>) -> Wait<'a> {
        let mut found: Vec<ProcessId> = Vec::new();
        for child in self.threads.iter().filter(|t| t.parent_pid == thread.process.pid()) {
            if !found.contains(&child.process) {
                found.push(child.process);
            }
        }
        if let Some(pid) = pid {
            found.retain(|child| child.pid() == pid || self.host.inner_pid(*child) == Some(pid));
        }
        let mut wait = Wait { targets: Vec::new(), suspects: Vec::new(), otherwise: ChainEnd::Unknown };
        for child in found {
            self.accuse(&mut wait, child, Evidence::Child);
            wait.targets.push(target(TargetKind::Child, None, child.pid().to_string()));
        }
        wait
    }

    /// The owner of a lock, where it says who that is; else who ended the last wait, else the only one that does anything.
    fn futex(&mut self, thread: &'a ThreadWait, address: u64) -> Wait<'a> {
        let known = self.owner(thread, address).map(|owner| (owner, Evidence::LockOwner));
        let known = known.or_else(|| {
            let waker = self.threads.iter().find(|t| Some(t.tid) == thread.futex_waker)?;
            Some((waker, Evidence::LastWaker))
        });
        let known = known.or_else(|| Some((self.only_active(thread)?, Evidence::OnlyActive)));
        let suspect = known.map(|(thread, evidence)| Suspect { thread, evidence, target: 0 });
        Wait {
            targets: vec![target(TargetKind::Futex, None, format!("{address:#x}"))],
            suspects: suspect.into_iter().collect(),
            otherwise: ChainEnd::Parked,
        }
    }

    /// glibc keeps the thread id of a mutex's owner 8 bytes behind the word that is waited on.
    fn owner(&mut self, thread: &ThreadWait, address: u64) -> Option<&'a ThreadWait> {
        let word = self.host.memory(thread.process, address.checked_add(8)?, 4)?;
        let tid = u32::from_ne_bytes(*word.first_chunk()?);
        // A number that is no thread of this process, or is itself, was something else.
        self.threads.iter().find(|t| t.tid == tid && t.process == thread.process && t.tid != thread.tid)
    }

    fn only_active(&self, thread: &ThreadWait) -> Option<&'a ThreadWait> {
        let is_parked = |t: &ThreadWait| matches!(t.state, Some(ThreadState::Futex | ThreadState::Lock));
        let others = self.threads.iter().filter(|t| t.process == thread.process && t.tid != thread.tid);
        let mut active = others.filter(|t| !is_parked(t));
        let first = active.next()?;
        active.next().is_none().then_some(first)
    }

    fn descriptors(&mut self, thread: &ThreadWait, watched: &[Watched], otherwise: ChainEnd) -> Wait<'a> {
        let mut wait = Wait { targets: Vec::new(), suspects: Vec::new(), otherwise };
        for watched in watched {
            let Some(opened) = self.host.open(thread.process, watched.descriptor) else { continue };
            self.descriptor(thread, *watched, &opened, &mut wait);
        }
        wait
    }

    fn descriptor(&mut self, thread: &ThreadWait, watched: Watched, opened: &Opened, wait: &mut Wait<'a>) {
        let fd = Some(watched.descriptor);
        let named = |kind, name: String| target(kind, fd, name);
        if let Some(inode) = opened.socket() {
            return self.socket(thread, inode, named, opened, wait);
        }
        match opened.kind {
            TargetKind::Pipe => {
                let holds = |holder: &Holder| if watched.input { holder.writes } else { holder.reads };
                let mut holders = self.host.holders(&opened.name);
                holders.retain(holds);
                self.accuse_holders(wait, thread, &holders, Evidence::Pipe);
            }
            TargetKind::Child => {
                let process = self.threads.iter().find(|t| Some(t.process.pid()) == opened.pid);
                match process {
                    Some(found) => self.accuse(wait, found.process, Evidence::Pidfd),
                    None => reach(wait, ChainEnd::Outside),
                }
            }
            TargetKind::Timer => reach(wait, ChainEnd::Timer),
            TargetKind::Terminal => reach(wait, ChainEnd::Terminal),
            TargetKind::File => reach(wait, ChainEnd::Disk),
            _ => {}
        }
        let name = match (opened.kind, opened.pid) {
            (TargetKind::Child, Some(pid)) => pid.to_string(),
            _ => opened.name.clone(),
        };
        wait.targets.push(named(opened.kind, name));
    }

    fn socket(
        &mut self,
        thread: &ThreadWait,
        inode: u64,
        named: impl Fn(TargetKind, String) -> Target,
        opened: &Opened,
        wait: &mut Wait<'a>,
    ) {
        let other_end = |host: &mut H, peer: Option<u64>| {
            peer.map(|peer| host.holders(&format!("socket:[{peer}]"))).unwrap_or_default()
        };
        match self.host.socket(thread.process, inode) {
            Socket::Unix(peer) => {
                let holders = other_end(self.host, peer);
                self.accuse_holders(wait, thread, &holders, Evidence::UnixSocket);
                wait.targets.push(named(TargetKind::UnixSocket, opened.name.clone()));
            }
            Socket::Inet { remote, peer } => {
                let holders = other_end(self.host, peer);
                if holders.is_empty() {
                    // At a loopback address there may be a container's, whose tables are others.
                    let is_here = peer.is_some() || remote.ip().is_loopback();
                    reach(wait, if is_here { ChainEnd::Outside } else { ChainEnd::Remote });
                }
                self.accuse_holders(wait, thread, &holders, Evidence::Connection);
                wait.targets.push(named(TargetKind::InetSocket, remote.to_string()));
            }
            Socket::Unknown => wait.targets.push(named(TargetKind::Other, opened.name.clone())),
        }
    }

    /// Whoever has the other end, beside the waiter's own process. Where that is nobody, it leads out of what is watched.
    fn accuse_holders(&mut self, wait: &mut Wait<'a>, waiter: &ThreadWait, holders: &[Holder], by: Evidence) {
        let mut found: Vec<ProcessId> = Vec::new();
        for holder in holders {
            if holder.process != waiter.process && !found.contains(&holder.process) {
                found.push(holder.process);
                self.accuse(wait, holder.process, by);
            }
        }
        if holders.is_empty() && by != Evidence::Connection {
            reach(wait, ChainEnd::Outside);
        } else if found.is_empty() && wait.otherwise == ChainEnd::Unknown {
            // Its own process has both ends: another thread is to write.
            wait.otherwise = ChainEnd::Parked;
        }
    }

    /// Adds threads of a process as suspects, for the target that comes next.
    fn accuse(&self, wait: &mut Wait<'a>, process: ProcessId, evidence: Evidence) {
        let target = wait.targets.len();
        let suspects = threads_of(self.threads, process).into_iter();
        wait.suspects.extend(suspects.map(|thread| Suspect { thread, evidence, target }));
    }
}

/// Notes where a descriptor leads: of several, what is most likely waited for.
fn reach(wait: &mut Wait<'_>, end: ChainEnd) {
    let order = |end| match end {
        ChainEnd::Remote => 0,
        ChainEnd::Disk => 1,
        ChainEnd::Timer => 2,
        ChainEnd::Terminal => 3,
        ChainEnd::Outside => 4,
        _ => 5,
    };
    if order(end) < order(wait.otherwise) {
        wait.otherwise = end;
    }
}

/// Whether a suspect waits, by way of others, for the thread that suspects it: by itself, or with its process, which has the
/// other end of something that the one before reads.
fn is_on(path: &[&ThreadWait], suspect: &Suspect<'_>) -> bool {
    let within = matches!(suspect.evidence, Evidence::LockOwner | Evidence::LastWaker | Evidence::OnlyActive);
    path.iter()
        .any(|passed| passed.tid == suspect.thread.tid || !within && passed.process == suspect.thread.process)
}

fn target(kind: TargetKind, descriptor: Option<u32>, name: String) -> Target {
    Target { descriptor, kind, name: (!name.is_empty()).then_some(name) }
}

#[cfg(test)]
pub(super) mod tests;
