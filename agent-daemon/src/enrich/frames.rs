//! Frames: names of addresses, made once per file and offset and kept in a bounded cache. A round names all
//! that one window asks for, file by file, the heaviest first, and stops when its budget is spent: what is left
//! then keeps its file and offset, but no name, is counted, and is tried again in the next window.

use std::{
    num::NonZeroUsize,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use lru::LruCache;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    binary::MappedFile,
    elf::ElfError,
    generated::GeneratedName,
    kallsyms::KernelNames,
    mappings::{CodeIds, Image},
    symbols::{Name, Table, Tables},
    vdso::{self, Vdso},
};
use crate::{
    model::stack::{Binary, Frame, FrameKind},
    telemetry::{Loss, Losses},
};

/// Frames kept: some 250 bytes each.
const CACHED: NonZeroUsize = NonZeroUsize::new(32 << 10).unwrap();
/// Addresses named between two looks at the clock: some 5 ms.
const CHUNK: usize = 256;

/// What an address belongs to.
pub(super) enum Origin {
    /// The kernel.
    Kernel,
    /// No known mapping.
    Nowhere,
    /// The kernel's code for user space.
    Vdso,
    /// A file; addresses are offsets in it.
    File(Arc<MappedFile>),
    /// Code made at run time, under this number while its names hold.
    Generated(Arc<Image>, Arc<Binary>, u64),
}

impl Origin {
    /// Its number; those of files and images are the daemon's own, see [`CodeIds`].
    fn number(&self) -> u64 {
        match self {
            Self::Kernel => 0,
            Self::Nowhere => 1,
            Self::Vdso => Vdso::ID,
            Self::File(file) => file.id,
            Self::Generated(_, _, id) => *id,
        }
    }
}

const _: () = assert!(CodeIds::FIRST > Vdso::ID);

/// An address, and where it belongs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FrameKey {
    origin: u64,
    address: u64,
    /// Whether it is the instruction itself, not the one to return to.
    exact: bool,
}

impl FrameKey {
    /// The address to look up: a call may be the last instruction of its function.
    fn call_site(self) -> u64 {
        self.address.saturating_sub(u64::from(!self.exact))
    }
}

/// How long naming may take: CPU time, since that is what we cost, and wall time, since a window waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) cpu: Duration,
    pub(super) wall: Duration,
}

/// When a budget is spent.
pub(super) struct Clock {
    cpu_until: Duration,
    wall_until: Instant,
}

impl Budget {
    /// Half of it.
    pub(super) fn half(self) -> Self {
        Self { cpu: self.cpu / 2, wall: self.wall / 2 }
    }

    /// What is spent from now on.
    pub(super) fn start(self) -> Clock {
        Clock { cpu_until: thread_cpu_time() + self.cpu, wall_until: Instant::now() + self.wall }
    }
}

impl Clock {
    /// Whether it is spent.
    pub(super) fn is_over(&self) -> bool {
        thread_cpu_time() >= self.cpu_until || Instant::now() >= self.wall_until
    }
}

/// CPU time of the calling thread.
fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours and of the right type. The call cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The addresses of one file.
struct Batch {
    origin: Origin,
    keys: Vec<FrameKey>,
    weight: u64,
}

/// What one window asks for, and gets.
#[derive(Default)]
pub(super) struct Round {
    frames: FxHashMap<FrameKey, Option<Arc<Frame>>>,
    passing: FxHashSet<FrameKey>,
    batches: FxHashMap<u64, Batch>,
}

impl Round {
    /// The frame of a key, once the round was named.
    pub(super) fn frame(&self, key: &FrameKey) -> Option<&Arc<Frame>> {
        self.frames.get(key)?.as_ref()
    }

    /// Whether it has no name, but may have one another time.
    pub(super) fn is_passing(&self, key: &FrameKey) -> bool {
        self.passing.contains(key)
    }
}

/// Names addresses.
pub(super) struct Frames {
    cache: LruCache<FrameKey, Arc<Frame>>,
    tables: Tables,
    kernel: KernelNames,
    kernel_binary: Arc<Binary>,
    vdso_binary: Arc<Binary>,
}

impl Frames {
    pub(super) fn new() -> Self {
        let binary = |path: &str| Arc::new(Binary { path: path.to_owned(), build_id: None });
        Self {
            cache: LruCache::new(CACHED),
            tables: Tables::new(),
            kernel: KernelNames::new(),
            kernel_binary: binary("[kernel]"),
            vdso_binary: binary("[vdso]"),
        }
    }

    /// Asks for the name of an address in this round.
    pub(super) fn want(
        &mut self,
        round: &mut Round,
        origin: Origin,
        address: u64,
        exact: bool,
        weight: u64,
    ) -> FrameKey {
        let number = origin.number();
        let key = FrameKey { origin: number, address, exact };
        let cache = &mut self.cache;
        let frame = round.frames.entry(key).or_insert_with(|| {
            let cached = cache.get(&key).cloned();
            if cached.is_none() {
                let batch = || Batch { origin, keys: Vec::new(), weight: 0 };
                round.batches.entry(number).or_insert_with(batch).keys.push(key);
            }
            cached
        });
        if frame.is_none()
            && let Some(batch) = round.batches.get_mut(&number)
        {
            batch.weight = batch.weight.saturating_add(weight);
        }
        key
    }

    /// Names what the round asked for. The kernel goes first: its names tell where stacks begin.
    pub(super) fn name(&mut self, round: &mut Round, clock: &Clock, losses: &Losses) {
        let mut batches: Vec<_> = std::mem::take(&mut round.batches).into_values().collect();
        batches.sort_unstable_by_key(|b| (!matches!(b.origin, Origin::Kernel), u64::MAX - b.weight));
        for Batch { origin, keys, .. } in &batches {
            for chunk in keys.chunks(CHUNK) {
                let in_time = !clock.is_over();
                losses.add(Loss::NamesLate, if in_time { 0 } else { chunk.len() as u64 });
                let names = if in_time { self.look_up(origin, chunk, losses) } else { None };
                self.keep(round, origin, chunk, names);
            }
        }
    }

    /// Makes frames of names; where there are none for now, nameless ones, for this round only.
    fn keep(&mut self, round: &mut Round, origin: &Origin, keys: &[FrameKey], names: Option<Vec<Found>>) {
        let is_final = names.is_some();
        let mut names = names.into_iter().flatten();
        for &key in keys {
            let frame = Arc::new(self.frame(origin, key, names.next().unwrap_or_default()));
            round.frames.insert(key, Some(Arc::clone(&frame)));
            if is_final {
                self.cache.put(key, frame);
            } else {
                round.passing.insert(key);
            }
        }
    }

    /// Names addresses of one origin, in order; those past the last name have none. `None` if there may be names
    /// another time.
    fn look_up(&mut self, origin: &Origin, keys: &[FrameKey], losses: &Losses) -> Option<Vec<Found>> {
        let sites: Vec<u64> = keys.iter().map(|k| k.call_site()).collect();
        Some(match origin {
            Origin::Nowhere => Vec::new(),
            Origin::Kernel => {
                let names = self.kernel.names(&sites);
                if names.iter().all(Option::is_none) {
                    losses.count(Loss::SymbolsUnread);
                }
                names.into_iter().map(Found::function).collect()
            }
            Origin::Vdso => self.symbols(origin.number(), vdso::table, &sites, losses)?,
            Origin::File(file) => self.symbols(file.id, || table(file), &sites, losses)?,
            Origin::Generated(image, ..) => {
                let mut code = image.generated.lock().unwrap_or_else(PoisonError::into_inner);
                code.names(&sites).into_iter().map(Found::generated).collect()
            }
        })
    }

    fn symbols(
        &mut self,
        number: u64,
        open: impl FnOnce() -> Result<Table, ElfError>,
        offsets: &[u64],
        losses: &Losses,
    ) -> Option<Vec<Found>> {
        match self.tables.names(number, open, offsets) {
            Ok(names) => Some(names.into_iter().map(Found::symbol).collect()),
            Err(error) => {
                losses.count(Loss::SymbolsUnread);
                tracing::debug!(%error, "a file gives no names");
                error.is_final().then(Vec::new)
            }
        }
    }

    fn frame(&self, origin: &Origin, key: FrameKey, found: Found) -> Frame {
        let (kind, nameless, binary) = match origin {
            Origin::Kernel => (FrameKind::Kernel, Frame::UNKNOWN, Some(&self.kernel_binary)),
            Origin::Nowhere => (FrameKind::Native, Frame::UNKNOWN, None),
            Origin::Vdso => (FrameKind::Native, Frame::UNKNOWN, Some(&self.vdso_binary)),
            Origin::File(file) => (FrameKind::Native, Frame::UNKNOWN, Some(&file.binary)),
            Origin::Generated(_, binary, _) => (FrameKind::Native, Frame::GENERATED, Some(binary)),
        };
        Frame {
            kind: found.kind.unwrap_or(kind),
            function: found.name.function.unwrap_or_else(|| nameless.to_owned()),
            file: found.name.file,
            line: found.name.line,
            binary: binary.cloned(),
            address: key.address,
        }
    }

    /// Lets go of tables that were not used for a while; tells whether there were any.
    pub(super) fn sweep(&mut self) -> bool {
        self.tables.sweep() | self.kernel.sweep()
    }
}

/// What a look-up found.
#[derive(Default)]
struct Found {
    /// Where it differs from what the origin says.
    kind: Option<FrameKind>,
    name: Name,
}

impl Found {
    fn symbol(name: Name) -> Self {
        Self { kind: None, name }
    }

    fn function(function: Option<String>) -> Self {
        Self::symbol(Name { function, ..Name::default() })
    }

    fn generated(name: Option<GeneratedName>) -> Self {
        let Some(GeneratedName { kind, function, file, line }) = name else { return Self::default() };
        Self { kind: Some(kind), name: Name { function: Some(function), file, line } }
    }
}

/// Reads the symbols of a mapped file.
fn table(file: &MappedFile) -> Result<Table, ElfError> {
    Table::open(&file.handle().ok_or(ElfError::NotOpen)?)
}
