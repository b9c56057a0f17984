//! The thread "unwind": it keeps the walker's maps. What it is told comes first; tables are made while nothing
//! else is to be done, and for no more than a share of the time.

use std::{
    io,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    files::Files,
    image::{Code, Region},
    interpreters::{CodeOf, Interpreters},
    processes::Processes,
    validation::Validation,
};
use crate::{
    kernel::unwind::{UnwindMaps, process},
    model::id::ProcessId,
    telemetry::{Loss, Telemetry},
};

/// What may wait.
const QUEUE: usize = 4096;
/// Time that may go into tables at once; it comes back at [`SHARE`] of the time that passes.
const BURST: Duration = Duration::from_secs(1);
/// One part in so many of one core goes into tables in the long run.
const SHARE: u32 = 4;
/// How long the thread sleeps when there is nothing to do.
const IDLE: Duration = Duration::from_secs(5);
/// The same while walks are judged.
const VALIDATION: Duration = Duration::from_millis(20);

enum Event {
    Mapped(ProcessId, Vec<Region>),
    Forked { parent: ProcessId, child: ProcessId },
    Exited(ProcessId),
    Wanted(ProcessId, u64),
}

/// Tells the thread about processes. When the last clone is dropped, the thread ends.
#[derive(Clone)]
pub struct Unwinder {
    events: SyncSender<Event>,
    telemetry: Arc<Telemetry>,
}

impl Unwinder {
    /// Starts the thread. If it `validates`, walks are judged by another unwinder, and the log says how.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn spawn(
        maps: UnwindMaps,
        interpreters: Arc<Interpreters>,
        telemetry: Arc<Telemetry>,
        validates: bool,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (events, waiting) = sync_channel(QUEUE);
        let worker = Worker {
            processes: Processes::new(maps.max_mappings(), if validates { process::COPY } else { 0 }),
            validation: validates.then(Validation::new),
            files: Files::new(),
            maps,
            interpreters,
            telemetry: Arc::clone(&telemetry),
            credit: Credit::full(),
        };
        let thread = Builder::new().name("unwind".to_owned()).spawn(move || worker.run(&waiting))?;
        Ok((Self { events, telemetry }, thread))
    }

    /// Tells what code a process has mapped: after an exec, and whenever it may have changed.
    pub fn mapped(&self, process: ProcessId, regions: Vec<Region>) {
        self.tell(Event::Mapped(process, regions));
    }

    /// Tells that a process was forked.
    pub fn forked(&self, parent: ProcessId, child: ProcessId) {
        self.tell(Event::Forked { parent, child });
    }

    /// Tells that a process is gone.
    pub fn exited(&self, process: ProcessId) {
        self.tell(Event::Exited(process));
    }

    /// Tells that a walk ended at this address of a process for want of a table.
    pub fn wanted(&self, process: ProcessId, address: u64) {
        self.tell(Event::Wanted(process, address));
    }

    fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            self.telemetry.losses.count(Loss::UnwinderQueueFull);
        }
    }
}

struct Worker {
    maps: UnwindMaps,
    files: Files,
    processes: Processes,
    interpreters: Arc<Interpreters>,
    telemetry: Arc<Telemetry>,
    credit: Credit,
    validation: Option<Validation>,
}

impl Worker {
    fn run(mut self, events: &Receiver<Event>) {
        loop {
            let now = Instant::now();
            let waiting = self.files.next_waiting(now);
            let idle = if self.validation.is_some() { VALIDATION } else { IDLE };
            let idle = self.files.rest(now).map_or(idle, |rest| rest.min(idle));
            let patience = if waiting.is_some() { self.credit.missing() } else { idle };
            match events.recv_timeout(patience) {
                Ok(event) => self.handle(event),
                Err(RecvTimeoutError::Timeout) => match waiting {
                    Some(file) => self.make_table(file),
                    None => self.validate(),
                },
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Mapped(process, regions) => self.mapped(process, &regions),
            Event::Forked { parent, child } => {
                self.processes.forked(parent, child, &mut self.maps, &self.telemetry.losses);
                self.interpreters.forked(parent, child);
            }
            // Its names are still wanted, and its interpreter with them: those that were used least go first.
            Event::Exited(process) => self.processes.exited(process, &mut self.files, &mut self.maps),
            Event::Wanted(process, address) => {
                if let Some(file) = self.processes.file_at(process, address) {
                    self.files.want(file);
                }
            }
        }
    }

    fn mapped(&mut self, process: ProcessId, regions: &[Region]) {
        let telemetry = Arc::clone(&self.telemetry);
        let losses = &telemetry.losses;
        let changed = self.processes.mapped(process, regions, &mut self.files, &mut self.maps, losses);
        if !changed {
            return;
        }
        let (code, is_whole) = self.interpreter_files(regions);
        if let Some(interpreter) = self.interpreters.detect(process, &code, is_whole) {
            self.processes.set_interpreter(process, interpreter, &mut self.maps, losses);
        }
    }

    /// What the mapped files can tell about interpreters, and whether all of them could be read.
    fn interpreter_files(&mut self, regions: &[Region]) -> (Vec<CodeOf>, bool) {
        let (mut code, mut is_whole) = (Vec::new(), true);
        for region in regions {
            let Code::File(file) = &region.code else { continue };
            let Some(symbols) = self.files.symbols(file.id()) else {
                is_whole = false;
                continue;
            };
            if let Some(bias) = self.files.bias(file.id(), region.start, region.offset) {
                code.push(CodeOf { path: file.path().to_owned(), bias, symbols });
            }
        }
        (code, is_whole)
    }

    fn validate(&mut self) {
        let Some(validation) = &mut self.validation else { return };
        while let Some(copied) = self.maps.next_copy() {
            validation.judge(&copied, &self.processes, &self.files);
        }
    }

    fn make_table(&mut self, file: u64) {
        let begun = Instant::now();
        self.files.make(file, &mut self.maps, &self.telemetry.losses);
        self.processes.ready(file, &self.files, &mut self.maps);
        self.telemetry.unwind_table_bytes.store(self.files.bytes(), Ordering::Relaxed);
        self.credit.spend(begun.elapsed());
    }
}

/// Time that may go into tables.
struct Credit {
    left: Duration,
    at: Instant,
}

impl Credit {
    fn full() -> Self {
        Self { left: BURST, at: Instant::now() }
    }

    fn now(&mut self) -> Duration {
        let now = Instant::now();
        self.left = (self.left + (now - self.at) / SHARE).min(BURST);
        self.at = now;
        self.left
    }

    fn spend(&mut self, time: Duration) {
        self.left = self.now().saturating_sub(time);
    }

    /// How long it takes until there is any.
    fn missing(&mut self) -> Duration {
        if self.now().is_zero() { Duration::from_millis(10) } else { Duration::ZERO }
    }
}
