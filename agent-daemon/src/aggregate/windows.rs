//! Windows on their way to the store: the resolver names their stacks, in order, while the aggregator goes on.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use rustc_hash::FxHashMap;
use tokio::task::JoinHandle;

use super::fold;
use crate::{
    enrich::{Resolved, Resolver},
    model::{
        id::{AgentId, Slot},
        ledger::Ledger,
        observation::Counted,
        time::Timestamp,
        window::Window,
    },
    telemetry::{Loss, Telemetry},
};

/// Windows that may wait for the resolver. Beyond, a window goes without its rows.
const MAX_PENDING: usize = 16;

/// The longest window: the store finds windows by their hours.
const LONGEST: Duration = Duration::from_secs(3600);

/// The agents of a window: their ids, and since when they are watched.
pub(super) type Agents = FxHashMap<Slot, (AgentId, Timestamp)>;

struct Pending {
    resolved: JoinHandle<Resolved>,
    agents: Agents,
    orders: Vec<u64>,
}

/// A closed window of each agent that did something in it.
pub(super) struct Closed {
    pub(super) windows: Vec<Window>,
    pub(super) orders: Vec<u64>,
}

/// The queue of windows.
pub(super) struct Windows {
    resolver: Resolver,
    pending: VecDeque<Pending>,
    telemetry: Arc<Telemetry>,
}

impl Windows {
    pub(super) fn new(resolver: Resolver, telemetry: Arc<Telemetry>) -> Self {
        Self { resolver, pending: VecDeque::new(), telemetry }
    }

    pub(super) fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// Sends a window's counts to be named.
    pub(super) async fn close(&mut self, mut counted: Counted, agents: Agents) {
        let orders = std::mem::take(&mut counted.orders);
        if self.pending.len() >= MAX_PENDING {
            self.telemetry.losses.count(Loss::WindowDropped);
            counted.syscalls.clear();
            counted.off_cpu.clear();
            counted.cpu.clear();
            counted.cuda.clear();
            counted.files.clear();
            counted.network.clear();
            counted.disk.clear();
            counted.http.clear();
            counted.ledgers.clear();
        }
        // Asked here, not in the task: what is told of processes later must not overtake this window.
        let resolved = tokio::spawn(self.resolver.resolve(counted));
        self.pending.push_back(Pending { resolved, agents, orders });
    }

    /// The next window that is named, in order. Waits for ever if there is none; may be cancelled.
    pub(super) async fn next_closed(&mut self) -> Closed {
        let Some(front) = self.pending.front_mut() else { return std::future::pending().await };
        let resolved = (&mut front.resolved).await;
        let Some(Pending { agents, orders, .. }) = self.pending.pop_front() else {
            return std::future::pending().await;
        };
        match resolved {
            Ok(resolved) => Closed { windows: self.bounded(split(resolved, &agents)), orders },
            Err(error) => {
                self.telemetry.losses.count(Loss::WindowDropped);
                tracing::error!(%error, "a window could not be named");
                Closed { windows: Vec::new(), orders }
            }
        }
    }
}

impl Windows {
    fn bounded(&self, mut windows: Vec<Window>) -> Vec<Window> {
        let merged = windows.iter_mut().map(fold::bound).sum::<usize>();
        self.telemetry.losses.add(Loss::RowsMerged, merged as u64);
        windows
    }
}

/// One window for each agent that has rows. Rows of a slot without an agent are of one whose last window is
/// closed.
fn split(resolved: Resolved, agents: &Agents) -> Vec<Window> {
    let (start, end) = (resolved.start, resolved.end);
    let mut windows: FxHashMap<Slot, Window> = FxHashMap::default();
    for (slot, row) in resolved.syscalls {
        if let Some(window) = entry(&mut windows, slot, agents, start, end) {
            window.syscalls.push(row);
        }
    }
    for (slot, row) in resolved.off_cpu {
        if let Some(window) = entry(&mut windows, slot, agents, start, end) {
            window.off_cpu.push(row);
        }
    }
    for (slot, row) in resolved.cpu {
        if let Some(window) = entry(&mut windows, slot, agents, start, end) {
            window.cpu.push(row);
        }
    }
    for (slot, row) in resolved.cuda {
        if let Some(window) = entry(&mut windows, slot, agents, start, end) {
            window.cuda.push(row);
        }
    }
    for (slot, row) in resolved.files {
        if let Some(window) = entry(&mut windows, slot, agents, start, end) {
            window.files.push(row);
        }
    }
    for (slot, row) in resolved.network {
        if let Some(window) = entry(&mut windows, slot, agents, start, end) {
            window.network.push(row);
        }
    }
    for (slot, row) in resolved.disk {
        if let Some(window) = entry(&mut windows, slot, agents, start, end) {
            window.disk.push(row);
        }
    }
    for (slot, row) in resolved.http {
        if let Some(window) = entry(&mut windows, slot, agents, start, end) {
            window.http.push(row);
        }
    }
    for (slot, ledger) in resolved.ledgers {
        if let Some(window) = entry(&mut windows, slot, agents, start, end) {
            window.ledger = ledger;
        }
    }
    for (slot, process, reason) in resolved.unread {
        if let Some(window) = entry(&mut windows, slot, agents, start, end) {
            window.unread.push((process, reason));
        }
    }
    windows.into_values().collect()
}

fn entry<'a>(
    windows: &'a mut FxHashMap<Slot, Window>,
    slot: Slot,
    agents: &Agents,
    start: Timestamp,
    end: Timestamp,
) -> Option<&'a mut Window> {
    let (agent, attached) = agents.get(&slot)?.clone();
    // The first window of an agent begins where watching began.
    // A host that slept does not make it longer.
    let start = start.max(attached).max(end.checked_sub(LONGEST).unwrap_or(start)).min(end);
    let empty = || Window {
        agent,
        start,
        end,
        syscalls: Vec::new(),
        off_cpu: Vec::new(),
        cpu: Vec::new(),
        cuda: Vec::new(),
        files: Vec::new(),
        network: Vec::new(),
        disk: Vec::new(),
        http: Vec::new(),
        ledger: Ledger::default(),
        unread: Vec::new(),
    };
    Some(windows.entry(slot).or_insert_with(empty))
}
