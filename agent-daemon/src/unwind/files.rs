//! The unwind tables of files: made once per content, shared by all processes, kept while there is room. A file
//! waits for its table until the worker has time; those on whose stacks most time is spent go first.

use std::{collections::hash_map::Entry, ops::Range, sync::Arc, time::Instant};

use rustc_hash::FxHashMap;

use super::{
    copy::CopyFile,
    image::CodeFile,
    space::Space,
    symbols::Symbols,
    table::{self, Limits, ReadAt, Rules, Segments, TableError},
};
use crate::{
    kernel::unwind::{self as walker, UnwindMaps},
    telemetry::{Loss, Losses},
};

/// Words of all tables together: 32 MiB.
const MAX_WORDS: u32 = 8 << 20;
/// Files that are known, with a table or without.
const MAX_FILES: usize = 4096;

const _: () = assert!(MAX_WORDS <= walker::MAX_SHARDS << walker::SHARD_SHIFT);

/// How a file's table stands.
#[derive(Debug)]
enum State {
    /// To be made.
    Waiting,
    /// The walker has it.
    Ready { words: Range<u32>, text: u64, pages: u32 },
    /// The file has no unwind information, or none that can be used: frame pointers are followed.
    Without,
}

/// One file.
struct Known {
    file: Option<Arc<dyn CodeFile>>,
    segments: Segments,
    symbols: Option<Arc<Symbols>>,
    state: State,
    /// Address spaces that map it.
    users: usize,
    /// When it was last let go, counted in events.
    idle_since: u64,
    /// Stacks that ended for want of its table.
    wanted: u64,
}

/// The files that are known.
pub(super) struct Files {
    known: FxHashMap<u64, Known>,
    space: Space,
    rules: Rules,
    /// Rules that the walker has.
    written: usize,
    limits: Limits,
    clock: u64,
}

impl Files {
    pub(super) fn new() -> Self {
        Self {
            known: FxHashMap::default(),
            space: Space::new(MAX_WORDS),
            rules: Rules::new(),
            written: 0,
            limits: Limits::default(),
            clock: 0,
        }
    }

    /// One more address space maps the file.
    pub(super) fn hold(&mut self, file: &Arc<dyn CodeFile>) {
        self.clock += 1;
        if self.known.len() >= MAX_FILES {
            self.forget_idle();
        }
        match self.known.entry(file.id()) {
            Entry::Occupied(known) => {
                let known = known.into_mut();
                known.users += 1;
                // It may have been closed since, and this one is open.
                known.file = Some(Arc::clone(file));
            }
            Entry::Vacant(place) => {
                let opened = file.open();
                let known = place.insert(Known::new(opened.as_deref(), file.path()));
                known.file = Some(Arc::clone(file));
            }
        }
    }

    /// One address space less maps the file.
    pub(super) fn let_go(&mut self, id: u64) {
        self.clock += 1;
        if let Some(known) = self.known.get_mut(&id) {
            known.users = known.users.saturating_sub(1);
            known.idle_since = self.clock;
            if known.users == 0 {
                known.file = None;
            }
        }
    }

    /// A stack ended for want of the file's table.
    pub(super) fn want(&mut self, id: u64) {
        if let Some(known) = self.known.get_mut(&id) {
            known.wanted += 1;
        }
    }

    /// What the walker does in a mapping of the file.
    pub(super) fn mapping(&self, id: u64, start: u64, end: u64, offset: u64) -> walker::Mapping {
        let by_frame_pointers =
            walker::Mapping { start, end, kind: walker::mapping::FRAME_POINTERS, ..Default::default() };
        let Some(known) = self.known.get(&id) else { return by_frame_pointers };
        let Some(bias) = known.segments.bias(start, offset) else { return by_frame_pointers };
        match &known.state {
            State::Without => by_frame_pointers,
            State::Waiting => walker::Mapping { kind: walker::mapping::PENDING, ..by_frame_pointers },
            State::Ready { words, text, pages } => walker::Mapping {
                start,
                end,
                bias,
                text: *text,
                table: words.start,
                pages: *pages,
                kind: walker::mapping::TABLE,
                pad: 0,
            },
        }
    }

    /// Address in the process less address in the file, of a mapping.
    pub(super) fn bias(&self, id: u64, start: u64, offset: u64) -> Option<u64> {
        self.known.get(&id)?.segments.bias(start, offset)
    }

    /// The file's unwind information for the other unwinder.
    ///
    /// # Errors
    /// As [`CopyFile::read`]; not found, where it is closed.
    pub(super) fn copy_file(&self, id: u64) -> Result<CopyFile, TableError> {
        let opened = self.known.get(&id).and_then(|k| k.file.as_ref()?.open());
        let opened = opened.ok_or_else(|| TableError::Io(std::io::ErrorKind::NotFound.into()))?;
        CopyFile::read(opened.as_ref(), &self.limits)
    }

    /// The symbols of interpreters in the file.
    pub(super) fn symbols(&mut self, id: u64) -> Option<Arc<Symbols>> {
        let known = self.known.get_mut(&id)?;
        if known.symbols.is_none() {
            let file = known.file.as_ref()?;
            let opened = file.open();
            let symbols = opened.map(|o| Symbols::read(o.as_ref(), file.path())).unwrap_or_default();
            known.symbols = Some(Arc::new(symbols));
        }
        known.symbols.clone()
    }

    /// The file whose table is wanted most, of those that are waiting.
    pub(super) fn next_waiting(&self) -> Option<u64> {
        let waiting = self.known.iter().filter(|(_, k)| matches!(k.state, State::Waiting) && k.users > 0);
        waiting.max_by_key(|(id, k)| (k.wanted, k.users, u64::MAX - **id)).map(|(id, _)| *id)
    }

    /// Begins the table of a file that is waiting. Until [`Self::finish`], no other one can be made.
    pub(super) fn begin(&mut self, id: u64) -> Option<Making> {
        let file = self.known.get(&id)?.file.clone();
        let rules = std::mem::take(&mut self.rules);
        Some(Making { id, file, rules, limits: self.limits })
    }

    /// Hands the table that was made to the walker.
    pub(super) fn finish(
        &mut self,
        making: Making,
        made: Result<table::Table, TableError>,
        maps: &mut UnwindMaps,
        losses: &Losses,
    ) {
        self.rules = making.rules;
        let state = match made {
            Ok(table) => self.place(&table, maps, losses),
            Err(TableError::NoUnwindInfo) => State::Without,
            Err(error) => {
                let path = making.file.as_ref().map_or("", |f| f.path());
                tracing::debug!(%error, path, "a file gives no unwind table");
                losses.count(Loss::UnwindTableUnmade);
                State::Without
            }
        };
        if let Some(known) = self.known.get_mut(&making.id) {
            known.state = state;
        }
    }

    /// Hands a table to the walker, if there is room.
    fn place(&mut self, table: &table::Table, maps: &mut UnwindMaps, losses: &Losses) -> State {
        let words: Vec<u32> = table.words().collect();
        let length = u32::try_from(words.len()).unwrap_or(u32::MAX);
        let Some(range) = self.make_room(length) else {
            losses.count(Loss::UnwindTablesFull);
            return State::Without;
        };
        maps.write_rules(self.written, self.rules.new_since(self.written));
        self.written = self.rules.len();
        if let Err(error) = maps.write_words(range.start as usize, &words) {
            tracing::warn!(%error, "an unwind table could not be handed to the kernel");
            losses.count(Loss::UnwindTablesFull);
            self.space.give_back(range, Instant::now());
            return State::Without;
        }
        let pages = u32::try_from(table.page_count()).unwrap_or(0);
        State::Ready { words: range, text: table.text, pages }
    }

    /// Room for a table, for which those that nobody uses go, the longest unused first.
    fn make_room(&mut self, length: u32) -> Option<Range<u32>> {
        loop {
            if let Some(range) = self.space.take(length, Instant::now()) {
                return Some(range);
            }
            if !self.evict_one() {
                return None;
            }
        }
    }

    fn evict_one(&mut self) -> bool {
        let idle = self.known.iter().filter(|(_, k)| k.users == 0);
        let Some(id) = idle.min_by_key(|(_, k)| k.idle_since).map(|(id, _)| *id) else { return false };
        if let Some(Known { state: State::Ready { words, .. }, .. }) = self.known.remove(&id) {
            // Nobody can be reading it: what was let go has rested in the processes' own ranges.
            self.space.give_back(words, Instant::now());
        }
        true
    }

    fn forget_idle(&mut self) {
        while self.known.len() >= MAX_FILES && self.evict_one() {}
    }

    /// Bytes of tables that the walker has.
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.space.used()) * 4
    }
}

/// A table on its way. It takes time, and nothing but the file.
pub(super) struct Making {
    id: u64,
    file: Option<Arc<dyn CodeFile>>,
    rules: Rules,
    limits: Limits,
}

impl Making {
    /// Makes the table.
    pub(super) fn compile(&mut self) -> Result<table::Table, TableError> {
        match self.file.as_ref().and_then(|f| f.open()) {
            Some(file) => table::compile(file.as_ref(), &mut self.rules, &self.limits),
            None => Err(TableError::Io(std::io::ErrorKind::NotFound.into())),
        }
    }
}

impl Known {
    fn new(opened: Option<&dyn ReadAt>, path: &str) -> Self {
        let image = opened.and_then(|file| table::Image::read(file).ok());
        let state = if image.is_some() { State::Waiting } else { State::Without };
        if image.is_none() {
            tracing::debug!(path, "a mapped file cannot be read");
        }
        let segments = image.map(|i| i.segments()).unwrap_or_default();
        Self { file: None, segments, symbols: None, state, users: 1, idle_since: 0, wanted: 0 }
    }
}
