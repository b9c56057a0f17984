//! The thread "unwind": it keeps the walker's maps. What it is told comes first; tables are made while nothing
//! else is to be done, and for no more than a share of the time. Between any two of these, and beside a table, the
//! copies of stacks are unwound that the walker sends for want of one.

use std::{
    io,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel},
    },
    thread::{self, Builder, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    copy::{CopyFile, MappedCode},
    credit::Credit,
    files::Files,
    image::{Code, Region},
    interpreters::{CodeOf, Interpreters},
    processes::Processes,
    stopgap::{self, Verdict, Waiting},
    table::TableError,
    unwinders::{CodeSource, CopyUnwinders},
    validation::Validation,
};
use crate::{
    config,
    kernel::unwind::{CopiedStack, UnwindMaps, process},
    model::id::ProcessId,
    telemetry::{Loss, Telemetry},
};

/// What may wait.
const QUEUE: usize = 4096;
/// How long the thread sleeps when there is nothing to do.
const IDLE: Duration = Duration::from_secs(5);
/// The same while copies of stacks are to be expected: their ring has room for those of 80 ms of two CPUs.
const COPIES: Duration = Duration::from_millis(20);

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
    /// Starts the thread.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn spawn(
        maps: UnwindMaps,
        interpreters: Arc<Interpreters>,
        telemetry: Arc<Telemetry>,
        config: &config::Kernel,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (events, waiting) = sync_channel(QUEUE);
        let flags = if config.stack_copies { process::COPY } else { 0 };
        let worker = Worker {
            processes: Processes::new(maps.max_mappings(), flags),
            unwinders: CopyUnwinders::new(),
            waiting_copies: Waiting::default(),
            validation: config.stack_copies.then(Validation::default),
            makes_tables: !config.withhold_tables,
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
    unwinders: CopyUnwinders,
    waiting_copies: Waiting,
    validation: Option<Validation>,
    /// Not in tests of what stands in for tables.
    makes_tables: bool,
}

/// What the other unwinder asks.
impl CodeSource for (&Processes, &Files) {
    fn space(&self, process: ProcessId) -> Option<u64> {
        self.0.space(process)
    }

    fn mappings(&self, process: ProcessId) -> Vec<(MappedCode, Option<u64>)> {
        self.0.mappings(process)
    }

    fn file(&self, id: u64) -> Result<CopyFile, TableError> {
        self.1.copy_file(id)
    }
}

impl Worker {
    fn run(mut self, events: &Receiver<Event>) {
        loop {
            let now = Instant::now();
            let waiting = self.files.next_waiting(now);
            let idle = if waiting.is_some() || self.validation.is_some() { COPIES } else { IDLE };
            let idle = self.files.rest(now).map_or(idle, |rest| rest.min(idle));
            let patience = if waiting.is_some() && self.makes_tables { self.credit.missing() } else { idle };
            let received = events.recv_timeout(patience);
            // Copies that were made of a process before it ended or executed another program.
            self.take_copies();
            match received {
                Ok(event) => self.handle(event),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(file) = waiting.filter(|_| self.makes_tables) {
                        self.make_table(file);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Mapped(process, regions) => {
                self.mapped(process, &regions);
                self.retry_copies(process);
            }
            Event::Forked { parent, child } => {
                self.processes.forked(parent, child, &mut self.maps, &self.telemetry.losses);
                self.interpreters.forked(parent, child);
                self.retry_copies(child);
            }
            // Its names are still wanted, and its interpreter with them: those that were used least go first.
            Event::Exited(process) => self.processes.exited(process, &mut self.files, &mut self.maps),
            Event::Wanted(process, address) => self.want(process, address),
        }
    }

    /// A walk ended at this address for want of a table.
    fn want(&mut self, process: ProcessId, address: u64) {
        if let Some(file) = self.processes.file_at(process, address) {
            self.files.want(file);
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

    /// Unwinds the copies that have come.
    fn take_copies(&mut self) {
        while let Some(copied) = self.maps.next_copy() {
            if let Some(validation) = &mut self.validation {
                validation.judge(&copied, &mut self.unwinders, &(&self.processes, &self.files));
            }
            if copied.stands_in {
                if let (true, Some(address)) = (copied.is_known, copied.walked.last()) {
                    self.want(copied.process, *address);
                }
                self.stand_in(copied);
            }
        }
        self.waiting_copies.expire(Instant::now());
        self.unwinders.rest();
    }

    /// Does what may take longer than the ring has room for, while another thread unwinds the copies that come. Where
    /// there can be no other thread, they wait, or are lost.
    fn beside_copies<T>(&mut self, work: impl FnOnce() -> T) -> T {
        thread::scope(|scope| {
            let (working, is_working) = channel::<()>();
            let unwind = move || {
                while is_working.recv_timeout(COPIES) == Err(RecvTimeoutError::Timeout) {
                    self.take_copies();
                }
            };
            if let Err(error) = Builder::new().name("unwind-copies".to_owned()).spawn_scoped(scope, unwind) {
                tracing::debug!(%error, "no thread for copies of stacks");
            }
            let done = work();
            drop(working);
            done
        })
    }

    fn retry_copies(&mut self, process: ProcessId) {
        for copied in self.waiting_copies.take(process) {
            self.stand_in(copied);
        }
    }

    /// Puts what is found in a copy in the walk's place.
    fn stand_in(&mut self, copied: CopiedStack) {
        let outcome = self.unwinders.unwind(&copied, &(&self.processes, &self.files));
        match stopgap::judge(&copied, outcome) {
            Verdict::Found(addresses, end) => self.maps.put_found(copied.id, addresses, end),
            Verdict::Wait => self.waiting_copies.push(copied),
            Verdict::Keep => {}
        }
    }

    fn make_table(&mut self, file: u64) {
        let begun = Instant::now();
        let Some(mut making) = self.files.begin(file) else { return };
        let made = self.beside_copies(|| making.compile());
        self.files.finish(making, made, &mut self.maps, &self.telemetry.losses);
        self.processes.ready(file, &self.files, &mut self.maps);
        self.telemetry.unwind_table_bytes.store(self.files.bytes(), Ordering::Relaxed);
        self.credit.spend(begun.elapsed());
    }
}
