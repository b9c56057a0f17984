//! The thread "uprobes": it hears who lives and what they map, has new files looked at, and attaches what is found. What
//! it hears comes first; files are looked at while nothing else waits, for no more than a share of the time.

mod ahead;

use std::{
    collections::VecDeque,
    io,
    num::NonZeroUsize,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use lru::LruCache;
use rustc_hash::FxHashMap;

use self::ahead::Ahead;
use super::{
    attached::{Attached, Child, Outcome, Process, max_descriptors},
    finder::{Finding, Offer, Verdict, examine},
    servers::Servers,
};
use crate::{
    kernel::{Site, UprobeLink, Uprobes, WireServers},
    model::{
        attachment::Attachment,
        id::{ProcessId, Slot},
        probe::{Probe, ProbeSet},
        time::Timestamp,
    },
    telemetry::{Loss, Telemetry},
    unwind::{CodeFile, Credit, identity::is_same},
};

/// What may wait to be heard.
const QUEUE: usize = 8192;
/// Files that may wait to be looked at.
const MAX_WAITING: usize = 8192;
/// Processes that are known.
const MAX_PROCESSES: usize = 16_384;
/// Files of which it is remembered what the finders say.
const VERDICTS: NonZeroUsize = NonZeroUsize::new(8192).expect("not zero");
/// A child has so long to execute a program before it is given what its parent has.
const CHILDHOOD: Duration = Duration::from_millis(5);
/// How often processes are looked for whose end was not heard.
const SWEEP: Duration = Duration::from_secs(5);

/// What the thread is told.
enum Event {
    Watched(Slot, ProbeSet),
    Released(Slot),
    Joined(ProcessId, Slot),
    Forked { parent: ProcessId, child: ProcessId, slot: Slot },
    Executed(ProcessId, u16),
    Exited(ProcessId),
    Mapped(ProcessId, u16, Vec<Arc<dyn CodeFile>>),
}

/// Tells the thread about agents and their processes. When the last clone is dropped, the thread ends, and detaches all.
#[derive(Clone)]
pub struct Attacher {
    events: SyncSender<Event>,
    telemetry: Arc<Telemetry>,
}

impl Attacher {
    /// Starts the thread.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn spawn(
        uprobes: Uprobes,
        servers: Option<WireServers>,
        telemetry: Arc<Telemetry>,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (events, waiting) = sync_channel(QUEUE);
        let worker = Worker::new(uprobes, Servers::new(servers), Arc::clone(&telemetry));
        let thread = Builder::new().name("uprobes".to_owned()).spawn(move || worker.run(&waiting))?;
        Ok((Self { events, telemetry }, thread))
    }

    /// Tells by what the agent in a slot is watched from now on.
    pub fn watched(&self, slot: Slot, probes: ProbeSet) {
        self.tell(Event::Watched(slot, probes));
    }

    /// Tells that nobody watches the agent in a slot any more.
    pub fn released(&self, slot: Slot) {
        self.tell(Event::Released(slot));
    }

    /// Tells that a process belongs to the agent in a slot.
    pub fn joined(&self, process: ProcessId, slot: Slot) {
        self.tell(Event::Joined(process, slot));
    }

    /// Tells that a process of an agent forked.
    pub fn forked(&self, parent: ProcessId, child: ProcessId, slot: Slot) {
        self.tell(Event::Forked { parent, child, slot });
    }

    /// Tells that a process has executed so many programs since it is watched (modulo 2^16).
    pub fn executed(&self, process: ProcessId, execs: u16) {
        self.tell(Event::Executed(process, execs));
    }

    /// Tells that a process is gone.
    pub fn exited(&self, process: ProcessId) {
        self.tell(Event::Exited(process));
    }

    /// Tells all files whose code a process had mapped after so many programs.
    pub fn mapped(&self, process: ProcessId, execs: u16, files: Vec<Arc<dyn CodeFile>>) {
        self.tell(Event::Mapped(process, execs, files));
    }

    fn tell(&self, event: Event) {
        // Whoever is let go must not keep its probes: that is rare, and worth the wait.
        let sent = match event {
            event @ (Event::Watched(..) | Event::Released(_)) => self.events.send(event).is_ok(),
            event => self.events.try_send(event).is_ok(),
        };
        if !sent {
            self.telemetry.losses.count(Loss::AttacherQueueFull);
        }
    }
}

struct Worker {
    uprobes: Uprobes,
    servers: Servers,
    telemetry: Arc<Telemetry>,
    agents: FxHashMap<Slot, ProbeSet>,
    processes: FxHashMap<ProcessId, Process>,
    verdicts: LruCache<u64, Verdict>,
    ahead: Ahead,
    waiting: VecDeque<(ProcessId, u16, Arc<dyn CodeFile>)>,
    /// Children that are given the files of their parents, oldest first.
    children: VecDeque<Child>,
    credit: Credit,
    descriptors: usize,
    max_descriptors: usize,
    swept: Instant,
}

impl Worker {
    fn new(uprobes: Uprobes, servers: Servers, telemetry: Arc<Telemetry>) -> Self {
        Self {
            uprobes,
            servers,
            telemetry,
            agents: FxHashMap::default(),
            processes: FxHashMap::default(),
            verdicts: LruCache::new(VERDICTS),
            ahead: Ahead::new(),
            waiting: VecDeque::new(),
            children: VecDeque::new(),
            credit: Credit::full(),
            descriptors: 0,
            max_descriptors: max_descriptors(),
            swept: Instant::now(),
        }
    }

    fn run(mut self, events: &Receiver<Event>) {
        loop {
            match events.recv_timeout(self.patience(Instant::now())) {
                Ok(event) => self.handle(event),
                Err(RecvTimeoutError::Timeout) => self.look_at_one(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.give_to_children(Instant::now());
            self.sweep(Instant::now());
        }
    }

    /// How long there is nothing to do but listen.
    fn patience(&mut self, now: Instant) -> Duration {
        let looks = if self.waiting.is_empty() { SWEEP } else { self.credit.missing() };
        match self.children.front() {
            Some((due, ..)) => looks.min(due.saturating_duration_since(now)),
            None => looks,
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Watched(slot, probes) => drop(self.agents.insert(slot, probes)),
            Event::Released(slot) => {
                self.agents.remove(&slot);
                self.forget_if(|_, process| process.slot == slot);
                // Whoever is watched again at once must not be told of twice.
                self.uprobes.settle();
            }
            Event::Joined(process, slot) => {
                self.join(process, slot);
                self.processes.entry(process).and_modify(|known| known.program = ahead::program(process));
                self.look(process);
            }
            Event::Forked { parent, child, slot } => self.fork(parent, child, slot),
            Event::Executed(process, execs) => self.executed(process, execs),
            Event::Exited(process) => self.forget_if(|other, _| *other == process),
            Event::Mapped(process, execs, files) => self.mapped(process, execs, &files),
        }
    }

    /// Looks whether a process is a server, if that is of interest.
    fn look(&mut self, process: ProcessId) {
        let slot = self.processes.get(&process).map(|known| known.slot);
        let is_read = |slot: &Slot| self.agents.get(slot).is_some_and(|probes| probes.contains(Probe::Wire));
        let Some(slot) = slot.filter(is_read) else { return };
        let processes = &self.processes;
        let member = |pid| {
            let of_pid = |(id, known): &(&ProcessId, &Process)| id.pid() == pid && known.slot == slot;
            processes.iter().find(of_pid).map(|(id, _)| *id).filter(|id| is_same(*id))
        };
        let is_server = self.servers.look(process, member, &self.telemetry);
        self.processes.entry(process).and_modify(|known| known.is_server = is_server);
    }

    fn join(&mut self, process: ProcessId, slot: Slot) {
        if self.processes.len() < MAX_PROCESSES {
            self.processes.entry(process).or_insert_with(|| Process::new(slot)).slot = slot;
        } else {
            self.telemetry.losses.count(Loss::UprobesUnattached);
        }
    }

    fn fork(&mut self, parent: ProcessId, child: ProcessId, slot: Slot) {
        self.join(child, slot);
        let Some(parent) = self.processes.get(&parent).filter(|parent| !parent.attached.is_empty()) else {
            return;
        };
        let mapped = parent.attached.iter().filter(|attached| attached.is_mapped);
        let mut files: Vec<Arc<dyn CodeFile>> = mapped.map(|a| Arc::clone(&a.file)).collect();
        files.dedup_by_key(|file| file.id());
        if self.children.len() < MAX_WAITING {
            self.children.push_back((Instant::now() + CHILDHOOD, child, files));
        } else {
            self.telemetry.losses.count(Loss::UprobesUnattached);
        }
    }

    /// Gives children that have executed nothing what their parents had.
    fn give_to_children(&mut self, now: Instant) {
        while let Some((_, child, files)) = self.children.pop_front_if(|(due, ..)| *due <= now) {
            if self.processes.get(&child).is_some_and(|known| known.execs == 0) {
                files.iter().for_each(|file| self.take(child, file));
                self.publish(child);
            }
        }
    }

    fn mapped(&mut self, process: ProcessId, execs: u16, files: &[Arc<dyn CodeFile>]) {
        let Some(known) = self.processes.get_mut(&process) else { return };
        match execs.wrapping_sub(known.execs) as i16 {
            // Read before an exec that we have heard of since.
            ..0 => return,
            0 => {}
            // We have not heard of that exec.
            1.. => self.executed(process, execs),
        }
        let Some(known) = self.processes.get_mut(&process) else { return };
        known.is_mapped = true;
        if !known.attached.is_empty() {
            let is_among = |attached: &Attached| files.iter().any(|file| file.id() == attached.file.id());
            known.attached.iter_mut().for_each(|attached| attached.is_mapped |= is_among(attached));
            self.detach(process, |attached| !attached.is_mapped || is_among(attached));
        }
        for file in files {
            if self.verdicts.contains(&file.id()) {
                self.take(process, file);
            } else if self.waiting.len() < MAX_WAITING {
                self.waiting.push_back((process, execs, Arc::clone(file)));
            } else {
                self.telemetry.losses.count(Loss::UprobesUnattached);
            }
        }
        self.publish(process);
    }

    /// Looks at the file that has waited longest.
    fn look_at_one(&mut self) {
        if self.waiting.is_empty() || !self.credit.missing().is_zero() {
            return;
        }
        let Some((process, execs, file)) = self.waiting.pop_front() else { return };
        if !self.verdicts.contains(&file.id()) {
            let begun = Instant::now();
            let Some(verdict) = examine(&*file) else { return };
            self.verdicts.put(file.id(), verdict);
            self.credit.spend(begun.elapsed());
        }
        if self.processes.get(&process).is_some_and(|known| known.execs == execs) {
            self.take(process, &file);
            self.publish(process);
        }
    }

    /// Attaches to a process what is known of a file, as far as its agent wants it and it is not attached already.
    fn take(&mut self, process: ProcessId, file: &Arc<dyn CodeFile>) {
        let Some(verdict) = self.verdicts.get(&file.id()).cloned() else { return };
        let Some(known) = self.processes.get(&process) else { return };
        let probes = self.agents.get(&known.slot).copied().unwrap_or_default();
        let has_pipes = self.servers.has_pipes(process);
        let wanted = verdict.iter().filter(|Finding { finder, .. }| {
            finder.serves(probes) && (has_pipes || !finder.is_for_pipes()) && !known.knows(file.id(), finder)
        });
        let attached: Vec<Attached> = wanted.map(|finding| self.attach(process, file, finding)).collect();
        if let Some(known) = self.processes.get_mut(&process) {
            self.descriptors -= known.descriptors();
            known.attached.extend(attached);
            self.descriptors += known.descriptors();
            self.ahead.learn(known, file, &verdict);
        }
    }

    fn attach(&self, process: ProcessId, file: &Arc<dyn CodeFile>, finding: &Finding) -> Attached {
        let (sites, outcome) = match &finding.offer {
            Offer::Nothing => (0, Outcome::Blind(String::new())),
            Offer::Blind(why) => (0, Outcome::Blind(why.clone())),
            Offer::Part => (0, Outcome::Part),
            Offer::Sites(sites) => match self.link(process, &**file, sites) {
                Ok(link) => (sites.len(), Outcome::Linked(link)),
                Err(why) => {
                    self.telemetry.losses.count(Loss::UprobesUnattached);
                    let file = file.path();
                    tracing::debug!(process = process.pid(), file, why, "probes are not attached");
                    (sites.len(), Outcome::Refused(why))
                }
            },
        };
        let (finder, version) = (finding.finder, finding.version.clone());
        let since = Timestamp::now();
        Attached { file: Arc::clone(file), finder, version, sites, outcome, since, is_mapped: true }
    }

    /// Attaches sites to a process that is still the one that is meant.
    fn link(&self, process: ProcessId, file: &dyn CodeFile, sites: &[Site]) -> Result<UprobeLink, String> {
        // One by one, each takes two.
        let descriptors = self.descriptors + self.uprobes.detaching();
        if descriptors + 2 * sites.len() > self.max_descriptors {
            return Err(format!("probes have {descriptors} files open, and may have no more"));
        }
        let open = file.file().ok_or("the file is not open any more")?;
        let link = self.uprobes.attach(process.pid(), &open, sites).map_err(|error| error.to_string())?;
        // Asked afterwards: another process may have had the pid by then.
        if is_same(process) { Ok(link) } else { Err("the process is gone".to_owned()) }
    }

    /// Detaches what is not to be kept.
    fn detach(&mut self, process: ProcessId, keep: impl FnMut(&Attached) -> bool) {
        if let Some(known) = self.processes.get_mut(&process) {
            self.descriptors -= known.descriptors();
            known.attached.retain(keep);
            self.descriptors += known.descriptors();
        }
        self.publish(process);
    }

    /// Detaches processes and forgets them.
    fn forget_if(&mut self, mut is_over: impl FnMut(&ProcessId, &Process) -> bool) {
        let over = self.processes.extract_if(|process, known| is_over(process, known));
        for (process, known) in over.collect::<Vec<_>>() {
            self.descriptors -= known.descriptors();
            self.servers.forget(process);
            self.telemetry.attachments.set(process, Vec::new());
        }
    }

    fn publish(&self, process: ProcessId) {
        let known = self.processes.get(&process);
        let mut attachments = known.map_or_else(Vec::new, |known| known.attachments(process));
        let is_looked_at = known.is_some_and(|known| known.is_mapped)
            && !self.waiting.iter().any(|(waiting, ..)| *waiting == process);
        if is_looked_at && !attachments.iter().any(Attachment::is_stdio) {
            attachments.extend(self.servers.attachment(process, &self.telemetry));
        }
        self.telemetry.attachments.set(process, attachments);
    }

    /// Forgets processes whose end was not heard.
    fn sweep(&mut self, now: Instant) {
        if now.duration_since(self.swept) >= SWEEP {
            self.swept = now;
            self.forget_guesses(now);
            // Those without probes take no more than their place.
            let is_crowded = self.processes.len() > MAX_PROCESSES / 2;
            let is_watched = |known: &Process| known.is_server || !known.attached.is_empty();
            self.forget_if(|process, known| (is_crowded || is_watched(known)) && !is_same(*process));
        }
    }
}
