//! The collector's thread: it owns the kernel side, drains the event ring as events come, closes windows by
//! the clock or by order, and hands everything on as observations.
//!
//! Nothing is dropped between the kernel's ring and the aggregator: while the aggregator's queue is full the
//! ring is left alone, and what does not fit into the ring is counted there.

mod events;

use std::{
    collections::VecDeque,
    io,
    os::fd::AsFd as _,
    sync::Arc,
    time::{Duration, Instant},
};

use rustc_hash::{FxHashMap, FxHashSet};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc,
};

use super::{
    attaching::{AttacherThread, Attaching},
    clock::{self, Clock, intervals, sleep_until},
    files::{self, Files},
    host_names::HostNames,
    lifecycle::Lifecycle,
    listening,
    mapped::Mapped,
    model_hosts::ModelHosts,
    order::{Order, WatchError, Watched},
    outside,
    proc_tree::{ProcessTree, Stat},
    usage::Live,
    verdicts::Verdicts,
    waits,
    wire::WireReader,
};
use crate::{
    config::{Config, Content as Rules},
    kernel::{Counts, Kernel, KernelError, Seeded, UnwindMaps, Watch},
    model::{
        content::Keep,
        control::Start,
        id::Slot,
        observation::Observation,
        probe::{Probe, ProbeSet},
        time::Timestamp,
    },
    telemetry::{Loss, Telemetry},
    unwind::Interpreters,
};

/// Observations that may wait here before the ring is left alone.
const OUTBOX: usize = 4096;
/// Rounds of looking for descendants that were forked while their parents were taken in.
const SEED_ROUNDS: usize = 8;

/// The collector ended because nobody listens any more.
#[derive(Debug)]
pub struct Stopped;

/// The collector's state.
pub struct Collector {
    kernel: Kernel,
    clock: Clock,
    lifecycle: Lifecycle,
    live: Live,
    mapped: Mapped,
    agents: FxHashMap<Slot, ProbeSet>,
    model_hosts: Option<ModelHosts>,
    host_names: HostNames,
    attaching: Attaching,
    attacher: Option<AttacherThread>,
    wire: WireReader,
    files: Files,
    /// Until the reader of what is said has it.
    content: Rules,
    outbox: VecDeque<Observation>,
    window_start: Timestamp,
    verdicts: Verdicts,
    interpreters: Arc<Interpreters>,
    telemetry: Arc<Telemetry>,
}

impl Collector {
    /// Loads the kernel side and begins to watch execs.
    ///
    /// # Errors
    /// The kernel side cannot work here.
    pub fn new(
        config: &Config,
        interpreters: Arc<Interpreters>,
        telemetry: Arc<Telemetry>,
    ) -> Result<Self, KernelError> {
        let mut kernel = Kernel::load(config)?;
        // Tried now, so that what this host refuses is known before somebody asks for it.
        kernel.enable(true, ProbeSet::ALL)?;
        kernel.enable(false, ProbeSet::EMPTY)?;
        telemetry.set_probes(kernel.status());
        let (model_hosts, host_names) = ModelHosts::start(config, kernel.take_model_endpoints());
        let (uprobes, servers) = (kernel.take_uprobes(), kernel.take_wire_servers());
        let (attaching, attacher) = Attaching::start(uprobes, servers, &telemetry);
        Ok(Self {
            kernel,
            model_hosts,
            host_names: HostNames::new(host_names),
            attaching,
            attacher,
            wire: WireReader::default(),
            files: Files::new(&config.files, &config.operations),
            content: config.content.clone(),
            clock: Clock::new(),
            lifecycle: Lifecycle::new(),
            live: Live::new(),
            mapped: Mapped::new(),
            agents: FxHashMap::default(),
            outbox: VecDeque::new(),
            window_start: clock::now(),
            verdicts: Verdicts::default(),
            interpreters,
            telemetry,
        })
    }

    /// What the kernel's walker reads, for the unwinder; `None` the second time.
    pub fn take_unwind_maps(&mut self) -> Option<UnwindMaps> {
        self.kernel.take_unwind_maps()
    }

    /// Who attaches probes to functions, for the one who opens files; `None` the second time.
    pub fn take_attacher(&mut self) -> Option<AttacherThread> {
        self.attacher.take()
    }

    /// Collects until the aggregator is gone.
    ///
    /// # Errors
    /// The event ring cannot be waited for.
    pub async fn run(
        mut self,
        window: Duration,
        mut orders: mpsc::Receiver<Order>,
        observations: mpsc::Sender<Observation>,
    ) -> io::Result<Stopped> {
        // SAFETY: the descriptor is owned by the registration, and so is open as long as it.
        let ring = unsafe {
            AsyncFd::register_with_interest(self.kernel.as_fd().try_clone_to_owned()?, Interest::READABLE)?
        };
        let rules = std::mem::take(&mut self.content);
        self.wire = WireReader::start(self.kernel.take_wire(), &observations, &self.telemetry, rules);
        let mut windows = intervals(window);
        let mut files = intervals(files::EVERY);
        loop {
            let due = self.mapped.next_due();
            let hungry = self.outbox.len() < OUTBOX;
            tokio::select! {
                biased;
                permit = observations.reserve(), if !self.outbox.is_empty() => {
                    let Ok(permit) = permit else { return Ok(Stopped) };
                    if let Some(observation) = self.outbox.pop_front() {
                        permit.send(observation);
                    }
                }
                order = orders.recv() => {
                    let Some(order) = order else { return Ok(Stopped) };
                    if self.obey(order) {
                        windows.reset();
                    }
                }
                _ = windows.tick() => self.close_window(Vec::new()),
                _ = files.tick(), if self.files.are_watched() => {
                    self.files.drain(&mut self.kernel, &self.telemetry.losses);
                }
                () = sleep_until(due), if due.is_some() => {
                    let read = self.mapped.read_due(Instant::now(), &self.live, &self.telemetry.losses);
                    self.outbox.extend(read);
                }
                () = sleep_until(self.verdicts.due), if self.verdicts.due.is_some() => {
                    self.verdicts.carry_out(&mut self.kernel);
                }
                ready = ring.readable(), if hungry => {
                    let mut ready = ready?;
                    if self.drain_events() {
                        ready.clear_ready();
                    }
                }
            }
        }
    }

    /// Carries out an order; tells whether it closed the window.
    fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Watch { slot, root, probes, start, keep, reply } => {
                let watched = self.watch((slot, keep), root, probes, start);
                if watched.is_err() {
                    self.forget(slot);
                }
                // Nobody waits for the answer any more only while the daemon stops.
                let _ = reply.send(watched);
                false
            }
            Order::Release { slot, token } => {
                // What an agent said last, and what it will not hear the end of, comes before its end.
                self.wire.let_go(slot);
                self.wire.flush();
                self.close_window(vec![token]);
                self.forget(slot);
                true
            }
            Order::Waits { reply } => {
                let _ = reply.send(waits::threads(&mut self.kernel, &self.clock));
                false
            }
            Order::Verdict { process, verdict } => {
                self.verdicts.add(process, verdict);
                false
            }
            Order::Close { token } => {
                self.wire.flush();
                self.close_window(vec![token]);
                true
            }
        }
    }

    fn watch(
        &mut self,
        (slot, keep): (Slot, Keep),
        root: u32,
        wanted: ProbeSet,
        start: Start,
    ) -> Result<Watched, WatchError> {
        // A thread that was being forked while the slot's last agent was let go may still carry the slot.
        self.kernel.release(slot)?;
        let probes = self.admit(slot, wanted)?;
        self.attaching.watched(slot, probes);
        self.wire.begin(slot, keep);
        let outside = outside::inodes(root);
        self.kernel
            .set_agent(slot, Some(Watch { root, probes, start, outside: &outside, keeps: keep.is_any() }))?;
        let mut found = None;
        let mut tried = FxHashSet::from_iter([std::process::id()]);
        // From the moment that a process is taken in, its children follow by themselves.
        for round in 1..=SEED_ROUNDS {
            let tree =
                ProcessTree::read().map_err(|error| KernelError::Io { call: "listing /proc", error })?;
            let new: Vec<u32> = tree.subtree(root).into_iter().filter(|pid| !tried.contains(pid)).collect();
            if new.is_empty() {
                break;
            }
            for seeded in self.kernel.seed(slot, &new)? {
                if probes.contains(Probe::Network) {
                    let ports = listening::ports(seeded.process);
                    if let Err(error) = self.kernel.set_listening((slot, seeded.process), &ports) {
                        tracing::debug!(%error, "what is listened on already");
                        self.telemetry.losses.count(Loss::MapReadFailed);
                    }
                }
                if seeded.process.pid() == root {
                    found = Some(seeded.process);
                }
                self.take_in(seeded, slot);
            }
            tried.extend(new);
            if round == SEED_ROUNDS {
                self.telemetry.losses.count(Loss::DescendantsUnsought);
            }
        }
        let Some(root) = found else { return Err(self.not_found(root)) };
        Ok(Watched { root, created: self.clock.started(root), probes })
    }

    /// Attaches what a new agent needs; returns what the host allows of it.
    fn admit(&mut self, slot: Slot, wanted: ProbeSet) -> Result<ProbeSet, KernelError> {
        self.agents.insert(slot, wanted);
        self.model_hosts.iter().for_each(ModelHosts::wake);
        self.enable()?;
        let probes = wanted.without(self.kernel.refused()).without(self.files.refused());
        if probes != wanted {
            // What is left of a probe that lacks a program serves nobody.
            self.agents.insert(slot, probes);
            self.enable()?;
        }
        Ok(probes)
    }

    /// Why the kernel programs did not take `root` in.
    fn not_found(&mut self, root: u32) -> WatchError {
        // They leave alone what they have in another slot: the fork that made it so may still be in the ring.
        self.drain_events();
        let slot = self.live.slot_of(root);
        let lives = Stat::read(root).is_some();
        match slot.is_some() || (self.agents.len() > 1 && lives) {
            true => WatchError::Taken { pid: root, slot },
            false if lives => WatchError::Hidden(root),
            false => WatchError::Gone(root),
        }
    }

    fn take_in(&mut self, seeded: Seeded, slot: Slot) {
        let process = seeded.process;
        self.attaching.joined(process, slot);
        self.outbox.extend(self.lifecycle.seeded(seeded, slot, &self.clock, &mut self.live));
        self.outbox.extend(self.mapped.read(process, &self.telemetry.losses));
    }

    fn forget(&mut self, slot: Slot) {
        self.agents.remove(&slot);
        self.attaching.released(slot);
        self.wire.forget(slot);
        self.files.forget(slot);
        self.host_names.forget(slot);
        self.verdicts.forget(slot);
        self.live.forget(slot);
        self.mapped.keep(&self.live);
        let released = self
            .kernel
            .set_agent(slot, None)
            .and_then(|()| self.kernel.release(slot))
            .and_then(|()| self.enable());
        if let Err(error) = released {
            tracing::error!(%error, "an agent could not be let go in the kernel");
        }
    }

    /// Attaches what the agents need, together.
    fn enable(&mut self) -> Result<(), KernelError> {
        let probes = self.agents.values().fold(ProbeSet::EMPTY, |all, probes| all.union(*probes));
        self.wire.set_agents(!self.agents.is_empty());
        self.files.set_watched(probes);
        let enabled = self.kernel.enable(!self.agents.is_empty(), probes);
        self.telemetry.set_probes(self.kernel.status());
        enabled
    }

    /// Closes the window, on behalf of `orders` if they are not empty.
    fn close_window(&mut self, orders: Vec<u64>) {
        let end = clock::now();
        let start = std::mem::replace(&mut self.window_start, end);
        let mut counts = self.kernel.drain().unwrap_or_else(|error| {
            self.telemetry.losses.count(Loss::MapReadFailed);
            tracing::error!(%error, "the counts of a window could not be read");
            Counts::default()
        });
        // Exits that are still in the ring must not look like vanished processes.
        self.drain_events();
        self.files.drain(&mut self.kernel, &self.telemetry.losses);
        let stacks = counts.stacks();
        let lost = stacks.clone().filter(|(_, stack)| stack.is_lost()).count();
        self.telemetry.losses.add(Loss::StackLost, lost as u64);
        self.telemetry.losses.add(Loss::StackCopyUnused, counts.unused_copies);
        self.outbox.extend(self.mapped.read_unknown(stacks, &self.live, &self.telemetry.losses));
        let ran = counts.stacks().map(|(process, _)| process);
        let changed = self.mapped.compare(ran, Instant::now(), &self.live, &self.telemetry.losses);
        self.mapped.cut(counts.user_stacks_mut());
        self.outbox.extend(self.live.observe(end));
        self.host_names.name(&mut counts.network, Instant::now());
        let (used, live) = (std::mem::take(&mut counts.files), (&self.live, &self.clock));
        let ledgers = self.wire.settle(&self.agents, std::mem::take(&mut counts.ledgers));
        let told = self.files.close(counts.epoch, used, live, &self.telemetry.losses);
        self.outbox.push_back(Observation::Counted(counts.of_window((start, end), (ledgers, told), orders)));
        self.outbox.extend(changed);
        match self.kernel.losses() {
            Ok(losses) => self.telemetry.losses.set_kernel(losses),
            Err(error) => tracing::error!(%error, "the kernel's loss counters could not be read"),
        }
    }
}
