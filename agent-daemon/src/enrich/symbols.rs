//! Names of functions in files, by blazesym. It keeps all that it ever read for as long as its symbolizer
//! lives, so that a symbolizer serves one file, and lives only while new addresses of that file keep coming:
//! at most [`MAX_TABLES`] tables of some [`MAX_BYTES`] are held, none longer than [`IDLE`] after its last use.
//!
//! Inlined functions are left out: one address would become several frames, each to be found by a walk through
//! the function's whole debug entry.

use std::{
    fs::File,
    ops::Range,
    panic::{self, AssertUnwindSafe},
    time::{Duration, Instant},
};

use blazesym::symbolize::{
    CodeInfo, Input, Sym, Symbolized, Symbolizer,
    source::{self, Source},
};
use lru::LruCache;

use super::{
    demangle::{cut, demangle},
    elf::{Bytes, Elf, ElfError, Layout},
    extract::Extract,
};

/// Most bytes of tables held at a time, by estimate. The one used last may be larger.
const MAX_BYTES: u64 = 24 << 20;
/// Most tables held at a time: each takes two descriptors.
const MAX_TABLES: usize = 64;
/// How long a table is held after its last use.
const IDLE: Duration = Duration::from_secs(30);
/// Where separate debug files are kept, by build id.
const DEBUG_FILES: &str = "/usr/lib/debug/.build-id";

/// The name of every stub of a linkage table.
const STUB: &str = "[plt]";

/// What is known of the code at an address.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Name {
    /// Demangled.
    pub(super) function: Option<String>,
    /// Source file.
    pub(super) file: Option<String>,
    /// Source line.
    pub(super) line: Option<u32>,
}

/// Runs blazesym. It reads files that anybody may have written: should it panic over one, that file has no
/// names.
pub(super) fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(run)).ok()
}

/// What names the functions of one file.
pub(super) struct Table {
    symbolizer: Symbolizer,
    extract: Extract,
    layout: Layout,
    /// Where the linkage tables stand in the file: no symbol covers their stubs, and the one before them does not
    /// mean them.
    linkage: Vec<Range<u64>>,
}

/// Sections of stubs that jump to functions of other files.
const LINKAGE: [&[u8]; 3] = [b".plt", b".plt.sec", b".plt.got"];

impl Table {
    /// Reads the table of a file; that of the separate debug file with its build id, where that tells more.
    pub(super) fn open(bytes: &dyn Bytes) -> Result<Self, ElfError> {
        let elf = Elf::read(bytes)?;
        let mut extract = Extract::of(&elf)?;
        if !extract.full {
            extract = elf.build_id().and_then(|id| separate(&id)).unwrap_or(extract);
        }
        let symbolizer = Symbolizer::builder()
            .enable_auto_reload(false)
            .enable_demangling(false)
            .enable_inlined_fns(false)
            .set_debug_dirs(Some::<[&str; 0]>([]))
            .build();
        let linkage = linkage(&elf);
        Ok(Self { symbolizer, extract, layout: elf.layout, linkage })
    }

    /// Names offsets in the file, one name each.
    fn names(&self, offsets: &[u64]) -> Vec<Name> {
        let mut names = vec![Name::default(); offsets.len()];
        let mut known = Vec::with_capacity(offsets.len());
        for (name, &offset) in names.iter_mut().zip(offsets) {
            known.extend(self.layout.address(offset).map(|address| (name, address)));
        }
        let addresses: Vec<_> = known.iter().map(|(_, address)| *address).collect();
        for ((name, _), symbol) in known.iter_mut().zip(self.look_up(&addresses, false)) {
            name.function = symbol.map(|s| demangle(&s.name));
        }
        if self.extract.lines {
            for ((name, _), symbol) in known.iter_mut().zip(self.look_up(&addresses, true)) {
                let Some(symbol) = symbol else { continue };
                (name.file, name.line) = symbol.code_info.as_deref().map_or((None, None), place);
                let function = name.function.take();
                name.function = function.or_else(|| Some(demangle(&symbol.name)).filter(|n| !n.is_empty()));
            }
        }
        for (name, offset) in names.iter_mut().zip(offsets) {
            if self.linkage.iter().any(|stubs| stubs.contains(offset)) {
                *name = Name { function: Some(STUB.to_owned()), file: None, line: None };
            }
        }
        names
    }

    /// Asks the symbols, or the line information, for virtual addresses.
    fn look_up(&self, addresses: &[u64], lines: bool) -> Vec<Option<Sym<'_>>> {
        let mut elf = source::Elf::new(self.extract.path());
        elf.debug_syms = lines;
        let found = guarded(|| self.symbolizer.symbolize(&Source::Elf(elf), Input::VirtOffset(addresses)));
        let Some(Ok(found)) = found else { return Vec::new() };
        found.into_iter().map(Symbolized::into_sym).collect()
    }
}

fn linkage(elf: &Elf<'_>) -> Vec<Range<u64>> {
    let sections = elf.sections().unwrap_or_default().into_iter().flatten();
    let stubs = sections.filter(|section| LINKAGE.contains(&section.name.as_slice()));
    stubs.map(|section| section.offset..section.offset + section.size).collect()
}

/// File and line of a piece of code.
fn place(info: &CodeInfo<'_>) -> (Option<String>, Option<u32>) {
    (Some(cut(&info.to_path().to_string_lossy())), info.line)
}

/// What the debug file of this build id holds. The directory belongs to root, and the id says which file's
/// symbols these are, in whichever container that lies.
fn separate(build_id: &str) -> Option<Extract> {
    let (directory, rest) = build_id.split_at_checked(2)?;
    let file = File::open(format!("{DEBUG_FILES}/{directory}/{rest}.debug")).ok()?;
    let elf = Elf::read(&file).ok().filter(|elf| elf.build_id().as_deref() == Some(build_id))?;
    Extract::of(&elf).ok().filter(|extract| extract.full)
}

/// A table, or `None` for a file that gives no names.
struct Held {
    table: Option<Table>,
    used: Instant,
}

impl Held {
    /// The memory it takes: what blazesym makes of line information is as large again, of symbols it is small.
    fn bytes(&self) -> u64 {
        self.table.as_ref().map_or(0, |t| t.extract.bytes * (1 + u64::from(t.extract.lines)))
    }
}

/// The tables in use, by the number of the file they belong to.
pub(super) struct Tables {
    held: LruCache<u64, Held>,
    bytes: u64,
}

impl Tables {
    pub(super) fn new() -> Self {
        Self { held: LruCache::unbounded(), bytes: 0 }
    }

    /// Names offsets in the file of this number, whose table `open` reads if it is not held; one name each.
    ///
    /// # Errors
    /// Why the file gives no names. One that never will is not tried again, and gives empty ones, for a while.
    pub(super) fn names(
        &mut self,
        id: u64,
        open: impl FnOnce() -> Result<Table, ElfError>,
        offsets: &[u64],
    ) -> Result<Vec<Name>, ElfError> {
        if !self.held.contains(&id) {
            match guarded(open).unwrap_or(Err(ElfError::Malformed("symbols"))) {
                Ok(table) => self.hold(id, Some(table)),
                Err(error) => {
                    if error.is_final() {
                        self.hold(id, None);
                    }
                    return Err(error);
                }
            }
        }
        let Some(held) = self.held.get_mut(&id) else { return Ok(Vec::new()) };
        held.used = Instant::now();
        Ok(held.table.as_ref().map_or_else(|| vec![Name::default(); offsets.len()], |t| t.names(offsets)))
    }

    fn hold(&mut self, id: u64, table: Option<Table>) {
        let held = Held { table, used: Instant::now() };
        self.bytes += held.bytes();
        self.held.put(id, held);
        while self.held.len() > 1 && (self.bytes > MAX_BYTES || self.held.len() > MAX_TABLES) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, held)) = self.held.pop_lru() {
            self.bytes -= held.bytes();
        }
    }

    /// Lets go of what was not used for a while; tells whether there was any.
    pub(super) fn sweep(&mut self) -> bool {
        let before = self.held.len();
        while self.held.peek_lru().is_some_and(|(_, held)| held.used.elapsed() >= IDLE) {
            self.drop_oldest();
        }
        self.held.len() < before
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{fs, process::Command, sync::LazyLock};

    use object::{Object, ObjectSection, ObjectSymbol, read::elf::ElfFile64};
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::*;
    use crate::enrich::vdso;

    /// A program with symbols and line information.
    pub(in crate::enrich) static PROGRAM: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let directory = tempfile::tempdir().unwrap();
        let (source, program) = (directory.path().join("x.c"), directory.path().join("x"));
        fs::write(&source, "int inner(int x) { return x + 1; }\nint main(void) { return inner(1); }\n")
            .unwrap();
        let done = Command::new("cc").args(["-g", "-o"]).arg(&program).arg(&source).status().unwrap();
        assert!(done.success());
        fs::read(program).unwrap()
    });

    /// The offset of a function, by another reader.
    pub(in crate::enrich) fn offset(bytes: &[u8], function: &str) -> u64 {
        let elf = ElfFile64::<object::LittleEndian>::parse(bytes).unwrap();
        let mut symbols = elf.symbols().chain(elf.dynamic_symbols());
        // Code has the same offset as address in programs this small.
        symbols.find(|s| s.name() == Ok(function)).unwrap().address()
    }

    fn name(function: &str, line: u32) -> Name {
        Name { function: Some(function.to_owned()), file: None, line: Some(line) }
    }

    #[test]
    fn names_the_vdso() {
        let bytes = vdso::bytes().unwrap();
        let at = offset(&bytes, "__vdso_clock_gettime");
        let names = Table::open(&bytes).unwrap().names(&[at, at + 1, 0, u64::MAX]);
        let functions: Vec<_> = names.iter().map(|n| n.function.as_deref()).collect();
        assert!(functions[0].unwrap().ends_with("clock_gettime"), "{functions:?}");
        assert_eq!(functions[1..], [functions[0], None, None]);
    }

    #[test]
    fn names_functions_and_lines() {
        let offsets = [offset(&PROGRAM, "main"), offset(&PROGRAM, "inner"), offset(&PROGRAM, "inner") + 4];
        let mut names = Table::open(&*PROGRAM).unwrap().names(&offsets);
        for name in &mut names {
            assert!(name.file.take().unwrap().ends_with("/x.c"));
        }
        assert_eq!(names, [name("main", 2), name("inner", 1), name("inner", 1)]);
    }

    /// A program calls `__cxa_finalize` through a stub, which follows `_init`.
    #[test]
    fn a_stub_is_not_the_function_before_it() {
        let elf = ElfFile64::<object::LittleEndian>::parse(PROGRAM.as_slice()).unwrap();
        let stubs = [".plt.got", ".plt"].iter().find_map(|name| elf.section_by_name(name)).unwrap();
        let (at, size) = stubs.file_range().unwrap();
        let main = offset(&PROGRAM, "main");
        let names = Table::open(&*PROGRAM).unwrap().names(&[at, at + size - 1, main]);
        let functions: Vec<_> = names.iter().map(|n| n.function.as_deref()).collect();
        assert_eq!(functions, [Some(STUB), Some(STUB), Some("main")]);
    }

    #[test]
    fn a_file_without_names_is_not_tried_again() {
        let mut tables = Tables::new();
        let garbage = || Table::open(&b"garbage".to_vec());
        assert!(tables.names(7, garbage, &[1]).is_err());
        assert_eq!(tables.names(7, || panic!("tried again"), &[1]).unwrap(), [Name::default()]);
    }

    #[test]
    fn tables_are_bounded_and_dropped_when_idle() {
        let mut tables = Tables::new();
        for id in 0..MAX_TABLES as u64 + 5 {
            tables.names(id, vdso::table, &[]).unwrap();
        }
        assert_eq!(tables.held.len(), MAX_TABLES);
        assert_eq!(tables.bytes, tables.held.iter().map(|(_, h)| h.bytes()).sum::<u64>());
        assert!(!tables.sweep());
        for (_, held) in tables.held.iter_mut() {
            held.used -= IDLE;
        }
        assert!(tables.sweep());
        assert_eq!((tables.held.len(), tables.bytes), (0, 0));
    }

    proptest! {
        /// Whatever stands in a file, naming ends, and gives one name for each offset.
        #[test]
        fn any_file_is_survived(
            noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..200),
            length in any::<prop::sample::Index>(),
            whole in any::<bool>(),
        ) {
            let mut bytes = PROGRAM.clone();
            let offsets = [offset(&bytes, "main"), offset(&bytes, "inner"), 0, 1 << 40];
            for (at, byte) in noise {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if !whole {
                bytes.truncate(length.index(bytes.len()));
            }
            if let Ok(table) = Table::open(&bytes) {
                prop_assert_eq!(table.names(&offsets).len(), offsets.len());
            }
        }
    }
}
