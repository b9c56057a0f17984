//! Where CPython keeps what we read, by version.
//!
//! Until 3.12 the offsets are constants, which hold for all releases of one minor version: printed by a program
//! compiled against the headers of 3.8.18, 3.9.18, 3.10.13, 3.11.7 and 3.12.1, x86-64. From 3.13 on `_PyRuntime`
//! begins with a table of them: see [`super::described`].
//!
//! What the walker's position and owner mean:
//!
//! | version | position | owner |
//! |---|---|---|
//! | 3.8, 3.9 | `f_lasti`, bytes from the start of the code; -1 before the first instruction | none |
//! | 3.10 | `f_lasti`, instructions of 2 bytes | none |
//! | 3.11 | `prev_instr`, the last instruction that began; 2 bytes before the code at first | `is_entry`: 1 for the outermost frame of one call of the eval loop |
//! | 3.12 | the same | 0 thread, 1 generator, 2 frame object, 3 shim |
//! | 3.13 | `instr_ptr`, the instruction that runs | the same |
//! | 3.14 | the same | 3 interpreter, 4 shim: neither is a frame of Python's |
//!
//! A shim is a frame on the C stack of the eval loop, outside all that it runs; its code is no code object.
//! `PyThreadState.thread_id` is what `pthread_self()` gave the thread: its fs base with glibc and musl.

use agent_common::unwind::{NO_CFRAME, Python};

use super::version::Version;

/// What user space needs to name a code object: offsets in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeLayout {
    /// `co_name`.
    pub name: u32,
    /// `co_qualname`; before 3.11 there is none, and this is `co_name`.
    pub qualname: u32,
    /// `co_filename`.
    pub file: u32,
    /// `co_firstlineno`.
    pub first_line: u32,
    /// `co_linetable`, before 3.10 `co_lnotab`.
    pub line_table: u32,
    /// The first instruction; 0 where positions count from it.
    pub instructions: u32,
    /// How the line table is written.
    pub lines: LineFormat,
    /// `sizeof(PyASCIIObject)`: where the text of an ASCII string begins.
    pub ascii_text: u32,
    /// `sizeof(PyCompactUnicodeObject)`: where that of others begins.
    pub other_text: u32,
}

/// How a code object tells the lines of its instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// Pairs of increments, of the address in bytes and of the line: 3.8, 3.9.
    Increments,
    /// Ranges of 2-byte instructions with their lines (PEP 626): 3.10.
    Ranges,
    /// The location table (PEP 657): 3.11 and later.
    Locations,
}

/// Which Python frames one call of the eval loop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// One: until 3.10.
    Each,
    /// Those up to and including the one that says so: 3.11.
    Marked,
    /// Those up to a shim, which is not Python's: 3.12 and later.
    Shim,
}

/// How to read one process's Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// For the kernel's walker.
    pub walker: Python,
    /// For names.
    pub names: CodeLayout,
    /// For merging native and Python frames.
    pub entry: Entry,
    /// Its version.
    pub version: Version,
}

/// From 3.12 on frames of this owner or a greater one are the interpreter's own.
pub const OWNER_SHIM: u8 = 3;
/// `PyBytesObject.ob_size`.
pub(super) const BYTES_LENGTH: u64 = 16;
/// `PyBytesObject.ob_sval`.
pub(super) const BYTES: u64 = 32;
/// No offset into a code object is larger: it is read in one piece.
pub(super) const CODE_BYTES: usize = 256;

impl Layout {
    /// The layout of a version whose offsets are constants; `None` for others.
    #[must_use]
    pub fn of(version: Version, runtime: u64) -> Option<Self> {
        let walker = match (version.major, version.minor) {
            (3, 8 | 9) => Python { position: 104, ..OBJECTS },
            (3, 10) => Python { position: 96, ..OBJECTS },
            (3, 11) => PYTHON_3_11,
            (3, 12) => PYTHON_3_12,
            _ => return None,
        };
        let (names, entry) = match version.minor {
            8 | 9 => (CODE_3_8, Entry::Each),
            10 => (CodeLayout { lines: LineFormat::Ranges, ..CODE_3_8 }, Entry::Each),
            11 => (CODE_3_11, Entry::Marked),
            _ => (CODE_3_12, Entry::Shim),
        };
        Some(Self { walker: Python { runtime, ..walker }, names, entry, version })
    }
}

/// Frames that are objects: 3.8 to 3.10, which differ only in `f_lasti`.
const OBJECTS: Python = Python {
    runtime: 0,
    interpreters: 32,
    threads: 8,
    next_thread: 8,
    thread_id: 176,
    frame: 24,
    cframe: NO_CFRAME,
    previous: 24,
    code: 32,
    code_tag: 0,
    position: 104,
    position_bits: 32,
    owner: 0,
    next_interpreter: 0,
    pad: 0,
};
const PYTHON_3_11: Python = Python {
    interpreters: 40,
    threads: 16,
    thread_id: 152,
    frame: 56,
    cframe: 8,
    previous: 48,
    position: 56,
    position_bits: 64,
    owner: 68,
    ..OBJECTS
};
const PYTHON_3_12: Python =
    Python { threads: 72, thread_id: 136, cframe: 0, previous: 8, code: 0, owner: 70, ..PYTHON_3_11 };

const CODE_3_8: CodeLayout = CodeLayout {
    name: 112,
    qualname: 112,
    file: 104,
    first_line: 40,
    line_table: 120,
    instructions: 0,
    lines: LineFormat::Increments,
    ascii_text: 48,
    other_text: 72,
};
const CODE_3_11: CodeLayout = CodeLayout {
    name: 120,
    qualname: 128,
    file: 112,
    first_line: 72,
    line_table: 136,
    instructions: 184,
    lines: LineFormat::Locations,
    ..CODE_3_8
};
const CODE_3_12: CodeLayout =
    CodeLayout { first_line: 68, instructions: 192, ascii_text: 40, other_text: 56, ..CODE_3_11 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_their_own_layouts() {
        let of = |minor| Layout::of(Version::new(3, minor), 0x1000);
        assert_eq!(of(7), None);
        assert_eq!(of(13), None);
        let positions = [8, 9, 10, 11, 12].map(|minor| of(minor).expect("a layout").walker.position);
        assert_eq!(positions, [104, 104, 96, 56, 56]);
        for minor in 8..=12 {
            let layout = of(minor).expect("a layout");
            assert_eq!(layout.walker.runtime, 0x1000);
            assert_eq!(layout.names.instructions == 0, minor < 11);
            assert_eq!(layout.walker.position_bits == 64, minor > 10);
        }
    }
}
