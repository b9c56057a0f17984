//! Tool calls: which process trees of an agent are calls of tools, and what each cost.
//!
//! **Own** is the agent's root, what it forks that executes nothing, and what executes the agent's own program again: the
//! same binary with the same script, the same binary where that is no interpreter, and the workers that a runtime says it
//! starts. Where the root is a launcher (`uv run x`, `npx x`), what it launches is own, too.
//!
//! **A tool call** is any other program that an own process executes, with all its descendants, from that exec to their
//! last exit. Descendants that live on for [`GRACE`] after the first process has exited have left.
//!
//! **A server** is a call that turns out to wait for its agent: see [`is_server`](call::Call::is_server). It is kept as such
//! when it ends, and is no tool call.
//!
//! Bounds: [`MAX_CALLS`] open calls and [`MAX_NAMES`] names of each agent; what is beyond is counted as a loss, or called
//! `other`. Of the calls that end in one window [`MAX_SINGLE`] are kept one by one, the others added up by name.

mod book;
mod call;
mod files;
mod name;
mod network;
mod repeats;

use std::{sync::Arc, time::Duration};

use rustc_hash::FxHashMap;
use tokio::sync::mpsc;

use self::book::Book;
pub(super) use self::{call::error_type, name::of as call_name};
use super::{roster::Roster, seen};
use crate::{
    collect::{Order, is_served},
    model::{
        agent::Agent,
        file::FileStat,
        id::{ProcessId, Slot},
        ledger::Verdict,
        network::NetworkStat,
        observation::Observation,
        operation::{Operation, Sums},
        record::{Arrived, Record},
        time::Timestamp,
    },
    telemetry::Telemetry,
};

/// How long descendants may outlive the first process of their call, and the exit of a process that is gone may take to be
/// told: when much happens at once, the kernel's events lag behind.
const GRACE: Duration = Duration::from_secs(10);
/// Open calls of one agent.
const MAX_CALLS: usize = 1024;
/// Calls of one agent that are open, or over and wait for the window to close.
const MAX_WAITING: usize = 50_000;
/// Different names of one agent's calls.
const MAX_NAMES: usize = 200;
/// Calls of one agent's window that are kept one by one.
const MAX_SINGLE: usize = 2000;

/// The tool calls of every agent.
pub(super) struct Tools {
    books: FxHashMap<Slot, Book>,
    telemetry: Arc<Telemetry>,
    /// Reads /proc; tests do not.
    is_served: call::IsServed,
}

impl Tools {
    pub(super) fn new(telemetry: Arc<Telemetry>) -> Self {
        Self { books: FxHashMap::default(), telemetry, is_served }
    }

    pub(super) fn enter(&mut self, slot: Slot, agent: &Agent) {
        self.books.insert(slot, Book::new(agent.id.clone(), agent.root, agent.probes));
    }

    /// Sees a fact about a process before the roster does: `roster` knows what the process was until now.
    pub(super) fn observe(&mut self, observation: &Observation, roster: &Roster) {
        match observation {
            Observation::ProcessStarted { slot, process, parent, parent_pid, .. } => {
                let parent = parent.or_else(|| roster.process_of_pid(*parent_pid));
                self.books.entry(*slot).and_modify(|book| book.started(*process, parent));
            }
            Observation::ProcessExecuted { process, at, executable, comm, args, is_worker } => {
                let image = book::Image { executable, comm, args, is_worker: *is_worker };
                if let Some(book) = of(&mut self.books, *process, roster) {
                    book.executed(*process, *at, &image, roster.process(*process), &self.telemetry.losses);
                }
            }
            Observation::ProcessExited { process, at, exit, account, peak_rss_bytes, .. } => {
                if let Some(book) = of(&mut self.books, *process, roster) {
                    book.exited(*process, (*at, *exit), (account, *peak_rss_bytes));
                }
            }
            Observation::ProcessVanished { process, at } => {
                if let Some(book) = of(&mut self.books, *process, roster) {
                    book.vanished(*process, *at);
                }
            }
            Observation::ProcessAccounted { process, account, .. } => {
                self.books.values_mut().for_each(|book| book.accounted(*process, account));
            }
            Observation::ProcessUsage { .. }
            | Observation::ForeignExec { .. }
            | Observation::Signalled(_)
            | Observation::Mapped { .. }
            | Observation::Wire(_)
            | Observation::Counted(_) => {}
        }
    }

    /// Sees what processes did with files in the window that closes, before the calls that are over are taken.
    pub(super) fn used_files(&mut self, files: &[(Slot, FileStat)]) {
        for (slot, stat) in files.iter().filter(|(_, stat)| stat.has_effect()) {
            if let Some(book) = self.books.get_mut(slot) {
                book.used_file(stat);
            }
        }
    }

    /// Sees what processes sent and received in the window that closes, before the calls that are over are taken.
    pub(super) fn used_network(&mut self, network: &[(Slot, NetworkStat)]) {
        for (slot, row) in network.iter().filter(|(_, row)| row.bytes() > 0) {
            if let Some(book) = self.books.get_mut(slot) {
                book.used_network(row);
            }
        }
    }

    /// Takes the calls that are over at `now`, when a window closes.
    pub(super) fn take_over(&mut self, now: Timestamp, roster: &Roster) -> Option<Record> {
        let mut arrived = Arrived { operations: Vec::new(), sums: Vec::new(), place: None };
        for book in self.books.values_mut() {
            bound(book.take_over(now, roster, self.is_served), &mut arrived);
        }
        seen::record(arrived.operations, arrived.sums)
    }

    /// Has the ledger count processes for what they turned out to be. Once the collector is gone, nobody counts.
    pub(super) async fn tell_verdicts(&mut self, orders: &mpsc::Sender<Order>) {
        for (process, verdict) in self.take_verdicts() {
            let _ = orders.send(Order::Verdict { process, verdict }).await;
        }
    }

    /// What processes turned out to be since the last time, of those that the kernel programs take for tools.
    fn take_verdicts(&mut self) -> Vec<(ProcessId, Verdict)> {
        self.books.values_mut().flat_map(Book::take_verdicts).collect()
    }

    /// The agent in `slot` is let go: its calls end, over or not.
    pub(super) fn leave(&mut self, slot: Slot, at: Timestamp, roster: &Roster) -> Option<Record> {
        let mut book = self.books.remove(&slot)?;
        let mut arrived = Arrived { operations: Vec::new(), sums: Vec::new(), place: None };
        bound(book.close(at, roster), &mut arrived);
        seen::record(arrived.operations, arrived.sums)
    }
}

/// The book that the process is in: its agent's, or where something is still awaited of it.
fn of<'a>(books: &'a mut FxHashMap<Slot, Book>, process: ProcessId, roster: &Roster) -> Option<&'a mut Book> {
    match roster.slot_of(process) {
        Some(slot) => books.get_mut(&slot),
        None => books.values_mut().find(|book| book.awaits(process)),
    }
}

/// Keeps so many one by one, and adds the others up: a window may have thousands, which differ in little.
fn bound(mut calls: Vec<Operation>, arrived: &mut Arrived) {
    let rest = calls.split_off(calls.len().min(MAX_SINGLE));
    arrived.operations.append(&mut calls);
    let first = rest.iter().map(|call| call.start).min();
    let last = rest.iter().map(Operation::end).max();
    let Some((first, last)) = first.zip(last) else { return };
    let mut sums = Sums::new(first, last);
    rest.iter().for_each(|call| sums.add(call));
    arrived.sums.push(sums);
}

#[cfg(test)]
mod tests;
