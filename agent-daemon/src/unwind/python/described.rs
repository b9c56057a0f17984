//! The table of offsets at the start of `_PyRuntime`, by which CPython describes itself from 3.13 on
//! (`_Py_DebugOffsets`).
//!
//! It is a run of 64-bit words in groups, one group per structure. Later versions add members to groups, and
//! groups, so that only the shapes of 3.13 and 3.14 are known: compared with the headers of 3.13.0 and 3.14.10.
//! The words come from another process: each must be small, and those of frames must lie within what the walker
//! reads of a frame.

use agent_common::unwind::{NO_CFRAME, PYTHON_FRAME_BYTES, Python};

use super::{
    layout::{CODE_BYTES, CodeLayout, Entry, Layout, LineFormat},
    version::{Refusal, Version},
};
use crate::unwind::memory::Memory;

const COOKIE: [u8; 8] = *b"xdebugpy";
/// Bytes of the table that are read. `_PyRuntime` itself is far larger.
const TABLE_BYTES: usize = 96 * 8;
/// No offset is larger: the largest known is 7,344.
const MAX_OFFSET: usize = 1 << 20;

/// Words before the first group.
const VERSION: usize = 1;
const FREE_THREADED: usize = 2;
const RUNTIME: usize = 3;
const INTERPRETER: usize = RUNTIME + 3;
/// Words of `thread_state`.
const THREAD_WORDS: usize = 9;

/// How many words the groups have that differ between versions.
struct Shape {
    interpreter: usize,
    frame: usize,
    code: usize,
    /// All groups from `pyobject` to `bytes_object`.
    objects: usize,
    code_tag: u32,
}

const SHAPE_3_13: Shape = Shape { interpreter: 13, frame: 6, code: 10, objects: 23, code_tag: 0 };
/// The two low bits of a `_PyStackRef` are tags.
const SHAPE_3_14: Shape = Shape { interpreter: 16, frame: 8, code: 11, objects: 27, code_tag: 3 };

/// The layout that `_PyRuntime` describes; `None` if it describes none, as before 3.13.
///
/// # Errors
/// If its memory cannot be read, the version or the build is none that we know, or the offsets cannot be right.
pub(super) fn read(memory: &impl Memory, runtime: u64) -> Result<Option<Layout>, Refusal> {
    if memory.array(runtime)? != COOKIE {
        return Ok(None);
    }
    let table = Table(memory.array(runtime)?);
    let (version, pre_release) = Version::from_hex(table.word(VERSION).unwrap_or(0));
    let shape = match (version.major, version.minor) {
        (3, 13) => SHAPE_3_13,
        (3, 14) => SHAPE_3_14,
        _ => return Err(Refusal::Unsupported(version)),
    };
    if pre_release {
        return Err(Refusal::PreRelease(version));
    }
    if table.word(FREE_THREADED) != Some(0) {
        return Err(Refusal::FreeThreaded(version));
    }
    table.layout(runtime, version, &shape).map(Some).ok_or(Refusal::BadOffsets(version))
}

struct Table([u8; TABLE_BYTES]);

impl Table {
    /// A word, all of which must fit in 32 bits.
    fn word(&self, index: usize) -> Option<u32> {
        let (words, _) = self.0.as_chunks::<8>();
        u64::from_le_bytes(*words.get(index)?).try_into().ok()
    }

    /// An offset into a structure of which this many bytes are read: all of the 8 bytes there are among them.
    fn offset(&self, index: usize, bytes: usize) -> Option<u32> {
        self.word(index).filter(|&offset| offset as usize <= bytes.saturating_sub(8))
    }

    fn layout(&self, runtime: u64, version: Version, shape: &Shape) -> Option<Layout> {
        let thread = INTERPRETER + shape.interpreter;
        let frame = thread + THREAD_WORDS;
        let code = frame + shape.frame;
        let state = |index| self.offset(index, MAX_OFFSET);
        let in_frame = |member| self.offset(frame + member, PYTHON_FRAME_BYTES);
        let walker = Python {
            runtime,
            interpreters: state(RUNTIME + 2)?,
            next_interpreter: state(INTERPRETER + 2)?,
            threads: state(INTERPRETER + 3)?,
            next_thread: state(thread + 2)?,
            frame: state(thread + 4)?,
            thread_id: state(thread + 5)?,
            cframe: NO_CFRAME,
            previous: in_frame(1)?,
            code: in_frame(2)?,
            code_tag: shape.code_tag,
            position: in_frame(3)?,
            position_bits: 64,
            owner: in_frame(5)?,
            pad: 0,
        };
        let names = self.code(code, code + shape.code + shape.objects)?;
        Some(Layout { walker, names, entry: Entry::Shim, version })
    }

    fn code(&self, code: usize, text: usize) -> Option<CodeLayout> {
        let in_code = |member| self.offset(code + member, CODE_BYTES);
        let ascii_text = self.offset(text + 3, CODE_BYTES)?;
        Some(CodeLayout {
            file: in_code(1)?,
            name: in_code(2)?,
            qualname: in_code(3)?,
            line_table: in_code(4)?,
            first_line: in_code(5)?,
            instructions: in_code(9)?,
            lines: LineFormat::Locations,
            ascii_text,
            // The length in UTF-8 and a pointer to it follow.
            other_text: ascii_text + 16,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::any, proptest};

    use super::*;
    use crate::unwind::memory::Unreadable;

    struct Runtime(Vec<u64>);

    impl Memory for Runtime {
        fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
            let bytes: Vec<u8> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
            let from = bytes.get(address as usize..).and_then(|rest| rest.get(..buffer.len()));
            buffer.copy_from_slice(from.ok_or(Unreadable { address })?);
            Ok(())
        }
    }

    fn table(hex: u64) -> Runtime {
        let mut words = vec![8; 96];
        words[..3].copy_from_slice(&[u64::from_le_bytes(COOKIE), hex, 0]);
        Runtime(words)
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let refused = |runtime: Runtime| read(&runtime, 0).expect_err("no layout").to_string();
        assert!(refused(table(0x030f_02f0)).contains("not supported"));
        assert!(refused(table(0x030d_00b1)).contains("pre-release"));
        let mut free = table(0x030d_07f0);
        free.0[FREE_THREADED] = 1;
        assert!(refused(free).contains("free-threaded"));
        let mut far = table(0x030d_07f0);
        far.0[INTERPRETER + 13 + THREAD_WORDS + 2] = 121;
        assert!(refused(far).contains("no sense"));
        assert_eq!(read(&Runtime(vec![0; 96]), 0), Ok(None));
        assert!(matches!(read(&Runtime(vec![]), 0), Err(Refusal::Unreadable(_))));
    }

    proptest! {
        #[test]
        fn any_words_give_offsets_within_what_is_read(words in vec(any::<u64>(), 93), minor in 13_u64..15) {
            let mut runtime = table(0x0300_01f0 | minor << 16);
            runtime.0[3..].copy_from_slice(&words);
            for word in runtime.0[3..].iter_mut().filter(|word| **word % 8 != 0) {
                *word %= 200;
            }
            if let Ok(Some(layout)) = read(&runtime, 0) {
                let walker = layout.walker;
                for offset in [walker.code, walker.previous, walker.position, walker.owner] {
                    assert!(offset as usize + 8 <= PYTHON_FRAME_BYTES);
                }
            }
        }
    }
}
