//! One agent's processes by what they are to it, and its open tool calls.

use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    GRACE, MAX_CALLS, MAX_NAMES, MAX_WAITING,
    call::{Call, IsServed},
    files::CallFiles,
    name,
    network::CallNetwork,
    repeats::Repeats,
};
use crate::{
    aggregate::{roster::Roster, seen::age},
    model::{
        account::Account,
        file::FileStat,
        hash,
        id::{AgentId, ProcessId},
        ledger::Verdict,
        network::NetworkStat,
        operation::{Bill, Operation, ToolEnd},
        probe::{Probe, ProbeSet},
        process::{Exit, Process},
        time::Timestamp,
    },
    telemetry::{Loss, Losses},
};

/// The name of calls that came when there were too many names.
const OTHER: &str = "other";

/// What a process is to its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Own. What one that `launches` executes is own, too. What `stays`, the root and what was launched, is own whatever it
    /// executes itself.
    Own { launches: bool, stays: bool },
    /// Part of the call of this number, which may have ended without it.
    Part(u64),
}

/// A program that a process executes.
pub(super) struct Image<'a> {
    pub(super) executable: &'a str,
    pub(super) comm: &'a str,
    pub(super) args: &'a [String],
    pub(super) is_worker: bool,
}

/// An agent's book.
pub(super) struct Book {
    agent: AgentId,
    root: ProcessId,
    /// Of the live processes.
    roles: FxHashMap<ProcessId, Role>,
    /// Those that are open, and those that wait for the window to close.
    calls: FxHashMap<u64, Call>,
    /// How many are open.
    open: usize,
    next: u64,
    /// Calls that ended.
    ended: u64,
    /// What processes used that exited since the last window, and the call they were part of.
    over: FxHashMap<ProcessId, (u64, Account)>,
    /// Processes that are gone though no exit was seen, and when that was noticed. They are in `roles`.
    vanished: FxHashMap<ProcessId, Timestamp>,
    names: FxHashSet<String>,
    /// What processes turned out to be, of those that the kernel programs take for tools.
    verdicts: Vec<(ProcessId, Verdict)>,
    /// What its agent is watched by.
    probes: ProbeSet,
    repeats: Repeats,
}

impl Book {
    pub(super) fn new(agent: AgentId, root: ProcessId, probes: ProbeSet) -> Self {
        Self {
            agent,
            root,
            roles: FxHashMap::default(),
            calls: FxHashMap::default(),
            open: 0,
            next: 0,
            ended: 0,
            over: FxHashMap::default(),
            vanished: FxHashMap::default(),
            names: FxHashSet::default(),
            verdicts: Vec::new(),
            probes,
            repeats: Repeats::default(),
        }
    }

    /// A process is what the one is that forked it.
    pub(super) fn started(&mut self, process: ProcessId, parent: Option<ProcessId>) {
        let parent = parent.and_then(|parent| self.roles.get(&parent).copied());
        let role = match parent.filter(|_| process != self.root) {
            Some(Role::Own { launches, .. }) => Role::Own { launches, stays: false },
            Some(part) => part,
            None => Role::Own { launches: false, stays: process == self.root },
        };
        if self.roles.insert(process, role).is_none()
            && let Role::Part(number) = role
            && let Some(call) = self.calls.get_mut(&number)
        {
            call.live += 1;
            call.bill.processes += 1;
        }
    }

    /// What an own process executes is own or the beginning of a call. `before` is what it was until now.
    pub(super) fn executed(
        &mut self,
        process: ProcessId,
        at: Timestamp,
        image: &Image<'_>,
        before: Option<&Process>,
        losses: &Losses,
    ) {
        let Some(Role::Own { launches, stays }) = self.roles.get(&process).copied() else { return };
        let is_own = stays || image.is_worker || is_same_program(image, before);
        let launches_on = name::is_launcher(image.args) || launches && name::is_shell(image.args);
        if (is_own || launches) && process != self.root {
            self.verdicts.push((process, Verdict::Own));
            let parent = before.and_then(|before| before.parent).filter(|_| launches);
            let launcher =
                parent.filter(|p| matches!(self.roles.get(p), Some(Role::Own { launches: true, .. })));
            self.verdicts.extend(launcher.map(|launcher| (launcher, Verdict::Launcher)));
        }
        let role = match is_own || launches {
            true => {
                let stays = stays || launches;
                Role::Own { launches: launches_on && stays, stays }
            }
            false if self.open >= MAX_CALLS || self.calls.len() >= MAX_WAITING => {
                losses.count(Loss::ToolCallDropped);
                Role::Part(u64::MAX)
            }
            false => Role::Part(self.begin(process, at, image, before.and_then(|p| p.parent))),
        };
        self.roles.insert(process, role);
    }

    fn begin(
        &mut self,
        process: ProcessId,
        start: Timestamp,
        image: &Image<'_>,
        parent: Option<ProcessId>,
    ) -> u64 {
        let call = Call {
            process,
            parent,
            name: self.known(name::of(image.args, image.comm)),
            command: (!is_hidden(image.args)).then(|| command(image.args)),
            start,
            live: 1,
            last: start,
            exit: None,
            unseen: false,
            bill: Bill { processes: 1, ..Bill::default() },
            files: self.probes.contains(Probe::Files).then(CallFiles::default),
            network: self.probes.contains(Probe::Network).then(CallNetwork::default),
            // Those that are over and wait for the window to close, too.
            ended_before: self.ended + self.calls.len().saturating_sub(self.open) as u64,
            served: false,
            serves: false,
        };
        self.next += 1;
        self.open += 1;
        self.calls.insert(self.next, call);
        self.next
    }

    /// The name, if it is one of the first.
    fn known(&mut self, name: String) -> String {
        if self.names.contains(&name) {
            return name;
        }
        if self.names.len() < MAX_NAMES {
            self.names.insert(name.clone());
            return name;
        }
        OTHER.to_owned()
    }

    pub(super) fn exited(
        &mut self,
        process: ProcessId,
        (at, exit): (Timestamp, Exit),
        (account, peak_rss_bytes): (&Account, u64),
    ) {
        let Some((number, call)) = self.part(process, at, Some(exit)) else { return };
        call.bill.add(account);
        call.bill.peak_rss_bytes = call.bill.peak_rss_bytes.max(peak_rss_bytes);
        self.over.insert(process, (number, *account));
    }

    /// A process is gone, and its exit was not seen. That may be told yet, and what it did before.
    pub(super) fn vanished(&mut self, process: ProcessId, at: Timestamp) {
        if self.roles.contains_key(&process) {
            self.vanished.insert(process, at);
        }
    }

    /// Whether the process vanished, and something may be told of it yet.
    pub(super) fn awaits(&self, process: ProcessId) -> bool {
        self.vanished.contains_key(&process)
    }

    /// Takes those out that vanished `patience` before `now`.
    fn settle(&mut self, now: Timestamp, patience: Duration) {
        let over = self.vanished.iter().filter(|(_, at)| age(**at, now) >= patience);
        let over: Vec<_> = over.map(|(process, at)| (*process, *at)).collect();
        for (process, at) in over {
            if let Some((_, call)) = self.part(process, at, None) {
                call.unseen = true;
            }
        }
    }

    /// Takes a process out that ended; its call, if it was part of one.
    fn part(&mut self, process: ProcessId, at: Timestamp, exit: Option<Exit>) -> Option<(u64, &mut Call)> {
        self.vanished.remove(&process);
        let Role::Part(number) = self.roles.remove(&process)? else { return None };
        let call = self.calls.get_mut(&number)?;
        call.live = call.live.saturating_sub(1);
        self.open = self.open.saturating_sub(usize::from(call.live == 0));
        call.last = call.last.max(at);
        if call.process == process {
            call.exit = Some((at, exit));
        }
        Some((number, call))
    }

    /// What a process that exited used was more than was told at its exit.
    pub(super) fn accounted(&mut self, process: ProcessId, account: &Account) {
        let Some((number, before)) = self.over.get_mut(&process) else { return };
        if let Some(call) = self.calls.get_mut(number) {
            call.bill.replace(before, account);
        }
        *before = *account;
    }

    /// Adds what a process did with a file in the window that closes, whether it still lives or not.
    pub(super) fn used_file(&mut self, stat: &FileStat) {
        if let Some(files) = self.call_of(stat.process).and_then(|call| call.files.as_mut()) {
            files.add(stat);
        }
    }

    /// Adds what a process sent and received in the window that closes, whether it still lives or not.
    pub(super) fn used_network(&mut self, row: &NetworkStat) {
        if let Some(network) = self.call_of(row.process).and_then(|call| call.network.as_mut()) {
            network.add(row);
        }
    }

    /// The call that the process is part of, or was until it exited.
    fn call_of(&mut self, process: ProcessId) -> Option<&mut Call> {
        let number = match (self.roles.get(&process), self.over.get(&process)) {
            (Some(Role::Part(number)), _) | (None, Some((number, _))) => *number,
            (Some(Role::Own { .. }), _) | (None, None) => return None,
        };
        self.calls.get_mut(&number)
    }

    /// Takes the calls that are over.
    pub(super) fn take_over(
        &mut self,
        now: Timestamp,
        roster: &Roster,
        is_served: IsServed,
    ) -> Vec<Operation> {
        self.settle(now, GRACE);
        self.find_servers(now, roster, is_served);
        let over = self.calls.iter().filter_map(|(number, call)| Some((*number, call.end(now)?)));
        // What ended since the window did has a part of its files in the next one.
        let over: Vec<_> = over.filter(|(_, (_, at))| *at <= now).collect();
        let operations = self.finish(over);
        self.over.retain(|_, (number, _)| self.calls.contains_key(number));
        operations
    }

    /// Takes every call, over or not.
    pub(super) fn close(&mut self, now: Timestamp, roster: &Roster) -> Vec<Operation> {
        self.settle(now, Duration::ZERO);
        for (process, role) in &self.roles {
            let Role::Part(number) = role else { continue };
            if let (Some(call), Some(process)) = (self.calls.get_mut(number), roster.process(*process)) {
                // Live processes are known by what /proc told last.
                call.bill.add(&Account { cpu_ns: process.cpu_ns, ..Account::default() });
                call.bill.peak_rss_bytes = call.bill.peak_rss_bytes.max(process.peak_rss_bytes);
            }
        }
        let all: Vec<_> = self.calls.iter().map(|(number, call)| (*number, call.cut_off(now))).collect();
        self.finish(all)
    }

    /// In the order in which they began.
    fn finish(&mut self, mut over: Vec<(u64, (ToolEnd, Timestamp))>) -> Vec<Operation> {
        over.sort_unstable_by_key(|(number, _)| *number);
        self.find_servers_that_ended(&over);
        let mut operations = Vec::with_capacity(over.len());
        for (number, end) in over {
            let Some(call) = self.calls.remove(&number) else { continue };
            if end.0 == ToolEnd::Left {
                let left = self.roles.iter().filter(|(_, role)| **role == Role::Part(number));
                self.verdicts.extend(left.map(|(process, _)| (*process, Verdict::Left)));
            }
            self.open = self.open.saturating_sub(usize::from(call.live > 0));
            self.ended += u64::from(!call.serves);
            let has_effect = call.has_effect();
            let outcome = call.outcome().filter(|_| !call.serves);
            let repeats = outcome.map_or(0, |outcome| self.repeats.over(outcome, has_effect));
            operations.push(call.operation(self.agent.clone(), end, repeats));
        }
        operations.sort_by_key(|operation| operation.start);
        operations
    }

    /// Takes what processes turned out to be.
    pub(super) fn take_verdicts(&mut self) -> Vec<(ProcessId, Verdict)> {
        std::mem::take(&mut self.verdicts)
    }

    fn find_servers(&mut self, now: Timestamp, roster: &Roster, is_served: IsServed) {
        let ended = self.ended;
        for call in self.calls.values_mut().filter(|call| !call.serves) {
            call.look(now, is_served);
            let cpu_ns = roster.process(call.process).map_or(0, |process| process.cpu_ns);
            call.serves = call.exit.is_none() && call.is_server(now, ended, cpu_ns);
        }
    }

    /// One that ended between two looks is judged by the last of these, and by what it was at its end.
    fn find_servers_that_ended(&mut self, over: &[(u64, (ToolEnd, Timestamp))]) {
        let is_tool = |number: &u64| self.calls.get(number).is_some_and(|call| !call.served);
        let mut ends: Vec<Timestamp> =
            over.iter().filter(|(number, _)| is_tool(number)).map(|(_, (_, at))| *at).collect();
        ends.sort_unstable();
        for (number, (_, at)) in over {
            let ended = self.ended + ends.partition_point(|end| end <= at) as u64;
            if let Some(call) = self.calls.get_mut(number) {
                call.serves = call.serves || call.is_server(*at, ended, call.bill.cpu_ns());
            }
        }
    }
}

/// Whether a part of a command line was hidden or cut off: what is left may be that of another.
fn is_hidden(args: &[String]) -> bool {
    args.iter().any(|arg| arg.ends_with('…') || arg.contains(" bytes]") || arg.contains("[redacted]"))
}

/// A hash of a command line.
fn command(args: &[String]) -> u64 {
    let bytes = args.iter().flat_map(|arg| arg.bytes().chain([0]));
    hash::fnv1a(hash::FNV_START, bytes)
}

/// Whether an own process executes what it is already: its own binary, of an interpreter with the same script.
fn is_same_program(image: &Image<'_>, before: Option<&Process>) -> bool {
    let Some(before) = before.filter(|before| before.executable.as_deref() == Some(image.executable)) else {
        return false;
    };
    let script = name::script(image.args);
    let is_same_script = script.is_some() && script == name::script(&before.args);
    image.args == before.args || !name::is_interpreter(image.executable) || is_same_script
}
