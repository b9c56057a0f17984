//! Windows merged into a longer one: rows of one key become one row. Sums saturate, so the order in which
//! windows are merged does not matter, nor whether some were merged before.

use std::{
    collections::{BTreeMap, hash_map::Entry},
    hash::Hash,
    sync::Arc,
};

use rustc_hash::FxHashMap;

use super::{
    cuda::{CudaCall, CudaStat},
    disk::{DiskOperation, DiskStat},
    file::{self, FileStat},
    http::{self, Endpoint, HttpStat},
    id::ProcessId,
    ledger::Ledger,
    network::{self, NetworkStat, Peer},
    off_cpu::{Descriptor, OffCpuStat, WaitCause},
    syscall::SyscallStat,
    time::Timestamp,
    window::{CpuStat, Window},
};

/// Files, peers, and endpoints, that a merged window keeps apart.
const MAX_NAMED: usize = 512;

impl<S: Clone + Eq + Hash> Window<S> {
    /// One window in place of these, from the first one's start to the last one's end; `None` if there are none.
    /// Of several reasons why a process is unread, the latest stays. The agent is the first window's.
    #[must_use]
    pub fn merge(mut windows: Vec<Self>) -> Option<Self> {
        windows.sort_by_key(|w| w.start);
        let first = windows.first()?;
        let mut sum = Sum::new();
        let (agent, start) = (first.agent.clone(), first.start);
        let end = windows.iter().map(|w| w.end).fold(Timestamp::MIN, Ord::max);
        for window in windows {
            sum.add(window);
        }
        // What has a name or an address of its own grows with time: an hour keeps no more of it than a window.
        let (mut files, mut network) = (sum.files.into_rows(), sum.network.into_rows());
        let mut http = sum.http.into_rows();
        file::bound(&mut files, MAX_NAMED);
        network::bound(&mut network, MAX_NAMED);
        http::bound(&mut http, MAX_NAMED);
        Some(Self {
            agent,
            start,
            end,
            syscalls: sum.syscalls.into_rows(),
            off_cpu: sum.off_cpu.into_rows(),
            cpu: sum.cpu.into_rows(),
            cuda: sum.cuda.into_rows(),
            files,
            network,
            disk: sum.disk.into_rows(),
            http,
            ledger: sum.ledger,
            unread: sum.unread.into_iter().map(|(process, (_, reason))| (process, reason)).collect(),
        })
    }
}

/// What has been merged so far.
struct Sum<S> {
    syscalls: Rows<(ProcessId, u32), SyscallStat>,
    off_cpu: Rows<OffCpuKey<S>, OffCpuStat<S>>,
    cpu: Rows<(ProcessId, S), CpuStat<S>>,
    cuda: Rows<(ProcessId, CudaCall), CudaStat>,
    files: Rows<(ProcessId, Arc<str>), FileStat>,
    network: Rows<(ProcessId, Peer), NetworkStat>,
    disk: Rows<(ProcessId, Arc<str>, DiskOperation, bool), DiskStat>,
    http: Rows<(ProcessId, Endpoint), HttpStat>,
    ledger: Ledger,
    /// The reason that was known last; of two at once the greater, as in a query of the windows themselves.
    unread: BTreeMap<ProcessId, (Timestamp, String)>,
}

/// Process, cause, syscall, descriptor, waker, stack.
type OffCpuKey<S> = (ProcessId, WaitCause, Option<u32>, Option<Descriptor>, Option<u32>, S);

impl<S: Clone + Eq + Hash> Sum<S> {
    fn new() -> Self {
        let (syscalls, off_cpu, cpu, cuda) = (Rows::new(), Rows::new(), Rows::new(), Rows::new());
        let (files, network, disk, http) = (Rows::new(), Rows::new(), Rows::new(), Rows::new());
        let (ledger, unread) = (Ledger::default(), BTreeMap::new());
        Self { syscalls, off_cpu, cpu, cuda, files, network, disk, http, ledger, unread }
    }

    fn add(&mut self, window: Window<S>) {
        for row in window.syscalls {
            self.syscalls.add((row.process, row.number), row, SyscallStat::merge);
        }
        for row in window.off_cpu {
            let key = (row.process, row.cause, row.syscall, row.descriptor, row.waker, row.stack.clone());
            self.off_cpu.add(key, row, OffCpuStat::merge);
        }
        for row in window.cpu {
            self.cpu.add((row.process, row.stack.clone()), row, CpuStat::merge);
        }
        for row in window.cuda {
            self.cuda.add((row.process, row.call), row, CudaStat::merge);
        }
        for row in window.files {
            self.files.add((row.process, Arc::clone(&row.path)), row, FileStat::merge);
        }
        for row in window.network {
            self.network.add((row.process, row.peer.clone()), row, NetworkStat::merge);
        }
        for row in window.disk {
            let key = (row.process, Arc::clone(&row.device), row.operation, row.background);
            self.disk.add(key, row, DiskStat::merge);
        }
        for row in window.http {
            self.http.add((row.process, row.endpoint.clone()), row, HttpStat::merge);
        }
        self.ledger.merge(&window.ledger);
        for (process, reason) in window.unread {
            let known = (window.start, reason);
            let last = self.unread.entry(process).or_insert_with(|| known.clone());
            if *last < known {
                *last = known;
            }
        }
    }
}

/// Rows by key, in the order in which the keys came.
struct Rows<K, R> {
    places: FxHashMap<K, usize>,
    rows: Vec<R>,
}

impl<K: Eq + Hash, R> Rows<K, R> {
    fn new() -> Self {
        Self { places: FxHashMap::default(), rows: Vec::new() }
    }

    fn add(&mut self, key: K, row: R, merge: impl FnOnce(&mut R, &R)) {
        match self.places.entry(key) {
            Entry::Occupied(known) => {
                if let Some(sum) = self.rows.get_mut(*known.get()) {
                    merge(sum, &row);
                }
            }
            Entry::Vacant(new) => {
                new.insert(self.rows.len());
                self.rows.push(row);
            }
        }
    }

    fn into_rows(self) -> Vec<R> {
        self.rows
    }
}

impl SyscallStat {
    fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.total_ns = self.total_ns.saturating_add(other.total_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.histogram.merge(&other.histogram);
        for &(errno, count) in &other.errors {
            match self.errors.iter_mut().find(|(known, _)| *known == errno) {
                Some((_, sum)) => *sum = sum.saturating_add(count),
                None => self.errors.push((errno, count)),
            }
        }
    }
}

impl<S> OffCpuStat<S> {
    fn merge(&mut self, other: &Self) {
        self.blocked_ns = self.blocked_ns.saturating_add(other.blocked_ns);
        self.run_queue_ns = self.run_queue_ns.saturating_add(other.run_queue_ns);
        self.count = self.count.saturating_add(other.count);
        self.max_ns = self.max_ns.max(other.max_ns);
    }
}

impl<S> CpuStat<S> {
    fn merge(&mut self, other: &Self) {
        self.samples = self.samples.saturating_add(other.samples);
        self.cpu_ns = self.cpu_ns.saturating_add(other.cpu_ns);
    }
}
