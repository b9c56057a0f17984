//! The unwind tables of files: made once per content, shared by all processes, kept while there is room. A file
//! waits for its table until the worker has time; those on whose stacks most time is spent go first.

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use super::{
    copy::CopyFile,
    image::CodeFile,
    space::{REST, Space},
    symbols::Symbols,
    table::{self, Limits, Reason, Rules, Segments, Stats, TableError},
};
use crate::{
    kernel::unwind::{self as walker, UnwindMaps},
    telemetry::{Loss, Losses},
};

/// Words of all tables together: 32 MiB.
const MAX_WORDS: u32 = 8 << 20;
/// Bytes of all symbols of interpreters together.
const MAX_SYMBOL_BYTES: usize = 16 << 20;
/// Files that are known, with a table or without.
const MAX_FILES: usize = 4096;

const _: () = assert!(MAX_WORDS <= walker::MAX_SHARDS << walker::SHARD_SHIFT);

/// How a file's table stands.
#[derive(Debug)]
enum State {
    /// It could not be read when it was looked at last, or all room for tables is in use: frame pointers are followed
    /// until it is mapped once more, and looked at again.
    Refused,
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
    /// No table is made before: room for one has been made, but rests.
    rests_until: Option<Instant>,
}

/// Room for a table.
#[derive(Debug, PartialEq, Eq)]
enum Room {
    Here(Range<u32>),
    /// Once what was given back has rested.
    Later,
    /// Tables in use take it all.
    Nowhere,
}

impl Files {
    pub(super) fn new() -> Self {
        Self::with_room(MAX_WORDS)
    }

    /// With room for so many words.
    fn with_room(words: u32) -> Self {
        Self {
            known: FxHashMap::default(),
            space: Space::new(words),
            rules: Rules::new(),
            written: 0,
            limits: Limits::default(),
            clock: 0,
            rests_until: None,
        }
    }

    /// One more address space maps the file. One that could not be read before is tried again.
    pub(super) fn hold(&mut self, file: &Arc<dyn CodeFile>, losses: &Losses) {
        self.clock += 1;
        if self.known.len() >= MAX_FILES {
            self.forget_idle();
        }
        let known = self.known.entry(file.id()).or_insert_with(Known::new);
        known.users += 1;
        // It may have been closed since, and this one is open.
        known.file = Some(Arc::clone(file));
        if matches!(known.state, State::Refused) {
            known.look(file.as_ref(), losses);
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
            State::Without | State::Refused => by_frame_pointers,
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

    /// The symbols of interpreters in the file; `None` if it cannot be opened now.
    pub(super) fn symbols(&mut self, id: u64) -> Option<Arc<Symbols>> {
        let known = self.known.get_mut(&id)?;
        if let Some(symbols) = &known.symbols {
            return Some(Arc::clone(symbols));
        }
        let file = known.file.as_ref()?;
        // Closed for now: not an answer to keep.
        let opened = file.open()?;
        let symbols = Arc::new(Symbols::read(opened.as_ref(), file.path()));
        known.symbols = Some(Arc::clone(&symbols));
        self.bound_symbols(MAX_SYMBOL_BYTES);
        Some(symbols)
    }

    /// Forgets symbols where they are too many: the most of one file first, which can be read again.
    fn bound_symbols(&mut self, max: usize) {
        let bytes = |known: &Known| known.symbols.as_ref().map_or(0, |symbols| symbols.bytes());
        let mut all: usize = self.known.values().map(bytes).sum();
        while all > max
            && let Some(most) = self.known.values_mut().max_by_key(|known| bytes(known))
        {
            all -= bytes(most);
            most.symbols = None;
        }
    }

    /// The file whose table is wanted most, of those that are waiting.
    pub(super) fn next_waiting(&self, now: Instant) -> Option<u64> {
        if self.rest(now).is_some() {
            return None;
        }
        let waiting = self.known.iter().filter(|(_, k)| matches!(k.state, State::Waiting) && k.users > 0);
        waiting.max_by_key(|(id, k)| (k.wanted, k.users, u64::MAX - **id)).map(|(id, _)| *id)
    }

    /// How long no table is made, since room for one rests.
    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        self.rests_until?.checked_duration_since(now).filter(|rest| !rest.is_zero())
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
        let path = making.file.as_ref().map_or("", |f| f.path());
        let state = match made {
            Ok(table) => {
                let state = self.place(&table, maps, losses);
                if matches!(state, State::Ready { .. }) {
                    report(path, &table.stats, losses);
                }
                state
            }
            Err(TableError::NoUnwindInfo) => State::Without,
            Err(error) => {
                tracing::debug!(%error, path, "a file gives no unwind table");
                losses.count(Loss::UnwindTableUnmade);
                if error.is_final() { State::Without } else { State::Refused }
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
        let range = match self.make_room(length, Instant::now()) {
            Room::Here(range) => range,
            Room::Later => return State::Waiting,
            Room::Nowhere => {
                losses.count(Loss::UnwindTablesFull);
                return State::Refused;
            }
        };
        maps.write_rules(self.written, self.rules.new_since(self.written));
        self.written = self.rules.len();
        if let Err(error) = maps.write_words(range.start as usize, &words) {
            tracing::warn!(%error, "an unwind table could not be handed to the kernel");
            losses.count(Loss::UnwindTablesFull);
            self.space.give_back(range, Instant::now());
            return State::Refused;
        }
        let pages = u32::try_from(table.page_count()).unwrap_or(0);
        State::Ready { words: range, text: table.text, pages }
    }

    /// Room for a table, for which those that nobody uses go, the longest unused first: no more of them than it takes.
    fn make_room(&mut self, length: u32, now: Instant) -> Room {
        if let Some(range) = self.space.take(length, now) {
            return Room::Here(range);
        }
        while !self.space.will_have(length) {
            if !self.evict_one(now, |known| matches!(known.state, State::Ready { .. })) {
                return Room::Nowhere;
            }
        }
        self.rests_until = Some(now + REST);
        Room::Later
    }

    /// Forgets the longest unused file of those that are meant; whether there was one.
    fn evict_one(&mut self, now: Instant, is_meant: impl Fn(&Known) -> bool) -> bool {
        let idle = self.known.iter().filter(|(_, k)| k.users == 0 && is_meant(k));
        let Some(id) = idle.min_by_key(|(_, k)| k.idle_since).map(|(id, _)| *id) else { return false };
        if let Some(Known { state: State::Ready { words, .. }, .. }) = self.known.remove(&id) {
            // A walk that began while it was mapped may still read it: the room rests first.
            self.space.give_back(words, now);
        }
        true
    }

    fn forget_idle(&mut self) {
        while self.known.len() >= MAX_FILES && self.evict_one(Instant::now(), |_| true) {}
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

/// Tells what a file's table lacks: the log all of it, the counters what is our doing or cuts it short.
fn report(path: &str, stats: &Stats, losses: &Losses) {
    let (Stats { source_bytes, functions, skipped, cut_short, .. }, invalid) = (stats, stats.all_invalid());
    tracing::debug!(path, source_bytes, functions, skipped, cut_short, ?invalid, "an unwind table");
    losses.add(Loss::UnwindTableUnmade, u64::from(*cut_short));
    losses.add(Loss::UnwindTablesFull, u64::from(stats.invalid(Reason::NoRoom) > 0));
}

impl Known {
    /// A file that nobody has looked at yet.
    fn new() -> Self {
        Self {
            file: None,
            segments: Segments::default(),
            symbols: None,
            state: State::Refused,
            users: 0,
            idle_since: 0,
            wanted: 0,
        }
    }

    /// Looks what the file is. One that cannot be read now may be another time.
    fn look(&mut self, file: &dyn CodeFile, losses: &Losses) {
        let opened = file.open();
        let not_open = || TableError::Io(std::io::ErrorKind::NotFound.into());
        let image = opened.as_deref().ok_or_else(not_open).and_then(table::Image::read);
        self.state = match image {
            Ok(image) => {
                self.segments = image.segments();
                State::Waiting
            }
            Err(error) => {
                tracing::debug!(%error, path = file.path(), "a mapped file cannot be read");
                losses.add(Loss::UnwindTableUnmade, u64::from(!error.is_final()));
                if error.is_final() { State::Without } else { State::Refused }
            }
        };
    }
}

#[cfg(test)]
mod tests;
