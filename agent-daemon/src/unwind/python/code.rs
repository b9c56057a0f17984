//! Code objects: what the frames of Python are called, and where they are.
//!
//! A code object is read once and kept; its address may be used again for another when it is freed, which its
//! fingerprint tells. What is read may be anything: see [`Memory`].

use std::sync::Arc;

use super::{
    layout::{BYTES, BYTES_LENGTH, CODE_BYTES, CodeLayout, LineFormat},
    lines,
    text::{self, End, NotCode},
};
use crate::unwind::memory::Memory;

/// Characters of a function's name that are kept.
const MAX_NAME: usize = 256;
/// Characters of a path that are kept: the last ones.
const MAX_FILE: usize = 512;
/// Bytes of a line table that are kept: code behind has no lines. It serves functions of some 20,000 lines.
const MAX_LINE_TABLE: usize = 64 << 10;
/// A frame's position: the address or index is in these bits of it, the owner above.
const POSITION_BITS: u32 = 48;

/// Where a position of the walker is in its code, without the owner.
#[must_use]
pub const fn position(walked: u64) -> u64 {
    walked & ((1 << POSITION_BITS) - 1)
}

/// The owner's byte in a position of the walker.
#[must_use]
pub const fn owner(walked: u64) -> u8 {
    (walked >> POSITION_BITS) as u8
}

/// What makes a code object itself: as long as these are the same, so is the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    name: u64,
    qualname: u64,
    file: u64,
    line_table: u64,
    first_line: i32,
}

impl Fingerprint {
    /// That of the code object at an address now; any memory has one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(memory: &impl Memory, layout: &CodeLayout, address: u64) -> Result<Self, NotCode> {
        let mut bytes = [0; CODE_BYTES];
        let last = [layout.name, layout.qualname, layout.file, layout.line_table, layout.first_line];
        let end = last.into_iter().max().map_or(0, |last| last as usize + 8);
        // No more than the object holds: what follows it may not be there.
        let members = bytes.get_mut(..end).ok_or(NotCode::Other(address))?;
        memory.read(address, members)?;
        let word = |offset: u32| {
            let word = members.get(offset as usize..).and_then(<[u8]>::first_chunk);
            word.copied().map(u64::from_le_bytes).ok_or(NotCode::Other(address))
        };
        Ok(Self {
            name: word(layout.name)?,
            qualname: word(layout.qualname)?,
            file: word(layout.file)?,
            line_table: word(layout.line_table)?,
            first_line: (word(layout.first_line)? as u32).cast_signed(),
        })
    }
}

/// A function, method, class body, comprehension or module of Python.
#[derive(Clone, Debug)]
pub struct CodeObject {
    /// Its qualified name; before 3.11 its bare name.
    pub name: Arc<str>,
    /// The path it was compiled from, as Python has it, which may be relative or no path at all (`<string>`).
    pub file: Arc<str>,
    /// The line on which it begins.
    pub first_line: u32,
    /// What it was known by when it was read.
    pub fingerprint: Fingerprint,
    format: LineFormat,
    table: Box<[u8]>,
    /// The address of its first instruction; 0 where positions are indices.
    instructions: u64,
}

impl CodeObject {
    /// The code object at an address.
    ///
    /// # Errors
    /// If it cannot be read, or is none.
    pub fn read(memory: &impl Memory, layout: &CodeLayout, address: u64) -> Result<Self, NotCode> {
        let fingerprint = Fingerprint::read(memory, layout, address)?;
        let name = text::read(memory, layout, fingerprint.qualname, MAX_NAME, End::First)?;
        let file = text::read(memory, layout, fingerprint.file, MAX_FILE, End::Last)?;
        let first_line = u32::try_from(fingerprint.first_line);
        // Two strings of one type, and a line: memory that was freed rarely looks like that.
        let first_line = first_line.ok().filter(|_| name.kind == file.kind).ok_or(NotCode::Other(address))?;
        let start = layout.instructions;
        Ok(Self {
            name: name.text.into(),
            file: file.text.into(),
            first_line,
            fingerprint,
            format: layout.lines,
            table: line_table(memory, fingerprint.line_table)?,
            instructions: if start == 0 { 0 } else { address.wrapping_add(start.into()) },
        })
    }

    /// Bytes that it takes in a cache.
    pub(super) fn bytes(&self) -> usize {
        2 * size_of::<Self>() + self.name.len() + self.file.len() + self.table.len()
    }

    /// The line of a position as the walker gives it (its owner is left out of account); `None` for instructions
    /// that have none.
    #[must_use]
    pub fn line(&self, walked: u64) -> Option<u32> {
        let at = position(walked);
        let offset = match self.format {
            LineFormat::Increments => index(at),
            LineFormat::Ranges => index(at) * 2,
            LineFormat::Locations => at.wrapping_sub(position(self.instructions)).cast_signed(),
        };
        lines::line(self.format, &self.table, self.fingerprint.first_line, offset)
    }
}

/// `f_lasti`: -1 before the first instruction.
fn index(position: u64) -> i64 {
    (position as u32).cast_signed().into()
}

fn line_table(memory: &impl Memory, address: u64) -> Result<Box<[u8]>, NotCode> {
    let length = memory.u64(address.wrapping_add(BYTES_LENGTH))?;
    if length > i64::MAX as u64 {
        return Err(NotCode::Other(address));
    }
    let mut table = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(MAX_LINE_TABLE)];
    memory.read(address.wrapping_add(BYTES), &mut table)?;
    Ok(table.into())
}
