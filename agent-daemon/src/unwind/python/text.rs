//! Strings of CPython: compact ones, of one, two or four bytes per character.
//!
//! Names of code are always compact; of a longer one than asked for only one end is read, and a mark says so.

use super::layout::CodeLayout;
use crate::unwind::memory::{Memory, Unreadable};

/// Stands for what is left out.
const MARK: char = '…';

/// Which end of a long string matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The first characters.
    First,
    /// The last ones: of paths.
    Last,
}

/// Why something is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCode {
    /// It is somewhere else, or its process is gone.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It is something else, most likely since the code object was freed.
    #[error("what is at {0:#x} is no code object")]
    Other(u64),
}

/// A string, and whose it says it is.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) text: String,
    /// The address of its type: the same for all strings of a process.
    pub(super) kind: u64,
}

/// The head of a string object.
struct Head {
    kind: u64,
    length: u64,
    /// Bytes per character.
    width: usize,
    /// Where its characters are.
    text: u64,
    /// Whether all of them are below 0x80.
    ascii: bool,
}

/// A string of at most `max` characters, and the mark.
pub(super) fn read(
    memory: &impl Memory,
    layout: &CodeLayout,
    address: u64,
    max: usize,
    end: End,
) -> Result<Text, NotCode> {
    let head = Head::read(memory, layout, address)?;
    let count = usize::try_from(head.length).unwrap_or(usize::MAX).min(max);
    let left_out = head.length.saturating_sub(count as u64);
    let from = if end == End::Last { left_out.wrapping_mul(head.width as u64) } else { 0 };
    let mut bytes = vec![0; count * head.width];
    memory.read(head.text.wrapping_add(from), &mut bytes)?;
    if head.ascii && !bytes.is_ascii() {
        return Err(NotCode::Other(address));
    }
    let mark = |at| Some(MARK).filter(|_| left_out > 0 && end == at);
    let characters = bytes.chunks_exact(head.width).map(character);
    let text = mark(End::Last).into_iter().chain(characters).chain(mark(End::First)).collect();
    Ok(Text { text, kind: head.kind })
}

impl Head {
    fn read(memory: &impl Memory, layout: &CodeLayout, address: u64) -> Result<Self, NotCode> {
        // One read: a reference count, the type, the length, a hash, the state.
        let [_, kind, length, _, state] = words(memory.array::<40>(address)?);
        // interned: 2 bits, kind: 3, compact: 1, ascii: 1.
        let (width, compact, ascii) = (state >> 2 & 7, state >> 5 & 1 == 1, state >> 6 & 1 == 1);
        let plausible = compact && matches!(width, 1 | 2 | 4) && (!ascii || width == 1);
        if !plausible || length > i64::MAX as u64 {
            return Err(NotCode::Other(address));
        }
        let offset = if ascii { layout.ascii_text } else { layout.other_text };
        let text = address.wrapping_add(offset.into());
        Ok(Self {
            kind,
            length,
            width: if width == 4 { 4 } else { usize::from(width == 2) + 1 },
            text,
            ascii,
        })
    }
}

/// The five words that every string begins with.
fn words(bytes: [u8; 40]) -> [u64; 5] {
    let mut words = [0; 5];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// One, two or four bytes; what is no character becomes U+FFFD.
fn character(bytes: &[u8]) -> char {
    let code = bytes.iter().rev().fold(0_u32, |code, &byte| code << 8 | u32::from(byte));
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}
