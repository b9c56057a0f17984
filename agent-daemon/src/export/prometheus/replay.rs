//! What was stored, through the same counters: the samples that would have been scraped.
//!
//! Less than was scraped: CPU time is what was sampled, system calls and processes are the largest of each stretch, and their
//! errors are not told apart. Nothing is known of losses, of files, traffic and block I/O, and of the daemon itself. A stretch
//! counts at its end: it is a window, or, where a week of a hundred agents is to be read in seconds, as much as the store keeps
//! sums of ([`Detail::Sums`]).

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustc_hash::FxHashMap;

use super::{
    Shown,
    families::{Family, Row},
    totals::Totals,
};
use crate::{
    config::Budget,
    model::{
        agent::{Agent, AgentEnd},
        exposition::{Samples, ShowSample},
        host::{Cpu, HostWindow},
        id::AgentId,
        operation::Kept,
        process::Process,
        record::{Arrived, Record},
        time::{TimeRange, Timestamp},
    },
    store::{Store, StoreError, summary::Summary},
    telemetry::{HostInfo, Reading, Telemetry},
};

impl Detail<'_> {
    /// What is read of the store at once.
    fn chunk(self) -> Duration {
        match self {
            Self::Windows(_) => Duration::from_secs(600),
            Self::Sums => Duration::from_secs(3600),
        }
    }
}

/// The most series of each kind that is many.
const MAX_SERIES: usize = 100_000;

/// When agents ended.
pub type Ends = FxHashMap<AgentId, Timestamp>;

/// How closely is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail<'e> {
    /// At every window; agents that the store does not say to have ended did so then.
    Windows(&'e Ends),
    /// At the store's sums.
    Sums,
}

/// A fact and when it was.
enum Fact {
    Agent(Agent),
    Process(AgentId, Box<Process>),
    Stretch(AgentId, Box<Summary>),
    Operations(Box<Arrived>),
    Host(Box<HostWindow>),
}

/// Shows the samples of a range to `visit`, one instant after the other; `step` says how far apart they are from an
/// instant on. Begins with the last instant at which nothing was stored yet. Ends early where `visit` breaks off.
///
/// # Errors
/// The store cannot be read.
pub fn replay(
    store: &dyn Store,
    (range, detail): (TimeRange, Detail<'_>),
    step: &dyn Fn(Timestamp) -> Duration,
    visit: &mut dyn FnMut(Timestamp, &dyn Samples) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let shown = Shown {
        totals: Mutex::new(Totals::new(MAX_SERIES)),
        telemetry: Arc::new(Telemetry::default()),
        host: HostInfo::read(),
        // Rules ask for the one that is in force.
        budget: Budget::default(),
    };
    let replayed = Replayed(shown, Mutex::default());
    let mut chunk = TimeRange { from: range.from, to: range.from };
    let mut next = range.from;
    let after = |at: Timestamp| later(at, step(at).max(Duration::from_millis(1)));
    let mut begun = false;
    while chunk.to < range.to {
        chunk = TimeRange { from: chunk.to, to: later(chunk.to, detail.chunk()).min(range.to) };
        let mut facts = facts(store, (range, detail), chunk)?.into_iter().peekable();
        if !begun {
            let first = facts.peek().map(|(at, _)| *at);
            // Of the time before, one instant is enough: that at which counters stood at 0.
            while after(next) < first.unwrap_or(chunk.to) {
                next = after(next);
            }
            if first.is_none() {
                continue;
            }
            begun = true;
        }
        while next < chunk.to {
            while let Some((_, fact)) = facts.next_if(|(at, _)| *at <= next) {
                replayed.add(fact);
            }
            if visit(next, &replayed).is_break() {
                return Ok(());
            }
            next = after(next);
        }
        facts.for_each(|(_, fact)| replayed.add(fact));
    }
    Ok(())
}

/// What happened in a chunk of the range, in order. What happened before the range stands at its beginning.
fn facts(
    store: &dyn Store,
    (range, detail): (TimeRange, Detail<'_>),
    chunk: TimeRange,
) -> Result<Vec<(Timestamp, Fact)>, StoreError> {
    let first = chunk.from == range.from;
    let is_in = |at: Timestamp| (at >= chunk.from || first) && at < chunk.to;
    let mut facts = Vec::new();
    for mut agent in store.agents() {
        if let Detail::Windows(ends) = detail {
            let unseen = || ends.get(&agent.id).map(|at| (*at, AgentEnd::Interrupted));
            agent.ended = agent.ended.or_else(unseen);
        }
        let ended = agent.ended.map_or(Timestamp::MAX, |(at, _)| at);
        // Not since it is watched: of one that is watched anew, windows lie before that.
        if ended < range.from || agent.created >= chunk.to {
            continue;
        }
        if is_in(agent.created) {
            facts.push((agent.created, Fact::Agent(Agent { ended: None, ..agent.clone() })));
        }
        for process in store.processes(&agent.id, chunk)? {
            processes(&agent, process, &is_in, &mut facts);
        }
        if let Detail::Windows(_) = detail {
            store.visit(&agent.id, chunk, &mut |window| {
                if window.end > chunk.from && window.end <= chunk.to {
                    let summary = Box::new(Summary::of(window));
                    facts.push((window.end, Fact::Stretch(agent.id.clone(), summary)));
                }
            })?;
        }
        if is_in(ended) {
            facts.push((ended, Fact::Agent(agent)));
        }
    }
    if detail == Detail::Sums {
        store.summarize(chunk, &mut |agent, summary| {
            if summary.end > chunk.from && summary.end <= chunk.to {
                facts.push((summary.end, Fact::Stretch(agent.clone(), Box::new(summary.clone()))));
            }
        })?;
    }
    store.visit_operations(chunk, &mut |kept| {
        // Those that were added up had no time of their own.
        let Kept::One(operation) = kept else { return };
        let arrived = Arrived { operations: vec![operation.clone()], sums: Vec::new(), place: None };
        facts.push((operation.end(), Fact::Operations(Box::new(arrived))));
    })?;
    store.visit_host(chunk, &mut |window| {
        if window.end > chunk.from && window.end <= chunk.to {
            facts.push((window.end, Fact::Host(Box::new(window.clone()))));
        }
    })?;
    // Stable: an agent comes before what it did.
    facts.sort_by_key(|(at, _)| *at);
    Ok(facts)
}

/// When a process came and when it went. What CPU time it used, the stretches tell.
fn processes(
    agent: &Agent,
    process: Process,
    is_in: &dyn Fn(Timestamp) -> bool,
    facts: &mut Vec<(Timestamp, Fact)>,
) {
    let begun = process.started.max(agent.created);
    let told = Process { cpu_ns: process.cpu_before_ns, ..process };
    if is_in(begun) {
        let alive = Process { ended: None, exit: None, ..told.clone() };
        facts.push((begun, Fact::Process(agent.id.clone(), Box::new(alive))));
    }
    if let Some(ended) = told.ended.filter(|at| is_in(*at)) {
        facts.push((ended, Fact::Process(agent.id.clone(), Box::new(told))));
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The counters, and what the host was at last.
struct Replayed(Shown, Mutex<Reading>);

impl Replayed {
    fn add(&self, fact: Fact) {
        let mut totals = self.0.lock();
        match fact {
            Fact::Agent(agent) => totals.add(&Record::Agent(agent)),
            Fact::Process(agent, process) => totals.add(&Record::Process(agent, *process)),
            Fact::Stretch(agent, summary) => totals.add_stretch(&agent, &summary),
            Fact::Operations(arrived) => totals.arrived(&arrived),
            Fact::Host(window) => {
                read(&mut self.1.lock().unwrap_or_else(PoisonError::into_inner), &window);
                totals.add(&Record::Host(window));
            }
        }
    }
}

impl Samples for Replayed {
    fn samples(&self, at: Timestamp, wanted: &dyn Fn(&str) -> bool, show: &mut ShowSample<'_>) {
        let reading = self.1.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_wanted = |row: &Row| is_known(row) && row.names().iter().any(|name| wanted(name));
        self.0.snapshot_of(at, &reading, is_wanted).show(show);
    }
}

/// A mode of CPUs, and the time in it.
type Mode = (&'static str, fn(&Cpu) -> u64);

/// What would have been read at the end of a window of the host; CPU time counts from the first one.
fn read(reading: &mut Reading, window: &HostWindow) {
    let modes: [Mode; 8] = [
        ("user", |cpu| cpu.user),
        ("nice", |cpu| cpu.nice),
        ("system", |cpu| cpu.system),
        ("idle", |cpu| cpu.idle),
        ("iowait", |cpu| cpu.iowait),
        ("irq", |cpu| cpu.irq),
        ("softirq", |cpu| cpu.softirq),
        ("steal", |cpu| cpu.steal),
    ];
    reading.cpus = Some(window.cpus.len() as f64);
    reading.cpu_seconds.resize(modes.len(), ("", 0.0));
    for ((name, sum), (mode, ns)) in reading.cpu_seconds.iter_mut().zip(modes) {
        *name = mode;
        *sum += window.cpus.iter().map(ns).fold(0, u64::saturating_add) as f64 / 1e9;
    }
    reading.memory = Some(window.memory.total as f64);
    reading.memory_available = Some(window.memory.available as f64);
    reading.load1 = Some(f64::from(window.activity.load[0]));
}

/// Whether the store tells of it, or it stays as it is.
fn is_known(row: &Row) -> bool {
    // What stretches come to says nothing of these.
    let of_windows =
        ["agentperf_agent_network_", "agentperf_agent_disk_", "agentperf_agent_file_", "agentperf_http_"];
    if of_windows.iter().any(|of| row.full_name().starts_with(of)) {
        return false;
    }
    let of_all =
        [Family::Agents, Family::Operations, Family::OperationSeconds, Family::LlmCost, Family::LlmTokens];
    let of_host = ["agentperf_host_", "agentperf_gpu_"].iter().any(|of| row.full_name().starts_with(of));
    of_host || row.labels.first() == Some(&"agent") || of_all.contains(&row.family)
}

impl Totals {
    /// Adds what a stretch of an agent's time came to.
    fn add_stretch(&mut self, agent: &AgentId, summary: &Summary) {
        let Some((totals, rooms)) = self.of(agent) else { return };
        let sums = &summary.sums;
        totals.cpu_ns = totals.cpu_ns.saturating_add(sums.cpu_ns);
        totals.cpu_samples = totals.cpu_samples.saturating_add(sums.cpu_samples);
        for (cause, waits) in &summary.shares.causes {
            if let Some(total) = totals.waits.get_mut(*cause as usize) {
                total.blocked_ns = total.blocked_ns.saturating_add(waits.blocked_ns);
                total.run_queue_ns = total.run_queue_ns.saturating_add(waits.run_queue_ns);
                total.count = total.count.saturating_add(waits.count);
            }
        }
        for (number, calls) in &summary.shares.calls {
            let total = totals.syscalls.entry(*number, &mut rooms.syscalls);
            total.count = total.count.saturating_add(calls.count);
            total.ns = total.ns.saturating_add(calls.total_ns);
        }
        for (process, ns) in &summary.shares.processes {
            let total = totals.processes.entry(*process, &mut rooms.processes);
            total.cpu_ns = total.cpu_ns.saturating_add(*ns);
        }
        for (cause, ns) in &summary.shares.ledger {
            if let Some(total) = totals.ledger.get_mut(*cause as usize) {
                *total = total.saturating_add(*ns);
            }
        }
        for (call, cuda) in &summary.shares.cuda {
            if let Some(total) = totals.cuda.get_mut(usize::from(call.number())) {
                total.add(*cuda);
            }
        }
    }
}

#[cfg(test)]
mod tests;
