//! Strings of V8, in each of the forms that it keeps them in: text of one or two bytes a character, two strings
//! put together (cons), a part of another (sliced), another instead (thin), text outside of the heap (external).
//!
//! A cons string is a tree, of any depth and shape: reading one stops after some steps.

use super::heap::{Heap, NotFunction};
use crate::unwind::memory::Memory;

/// Strings that are looked at for one text.
const MAX_STEPS: usize = 64;
/// Stands for what is left out.
const MARK: char = '…';
/// Where an external string keeps the address of its text: after that of its resource.
const EXTERNAL_TEXT: u32 = 8;
/// Types of external strings that keep none have this bit.
const UNCACHED: u16 = 0x10;

/// Which end of a long string matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The first characters.
    First,
    /// The last ones: of paths.
    Last,
}

/// Text in one piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flat {
    pub(super) address: u64,
    /// Bytes per character.
    pub(super) width: u64,
    /// Characters (UTF-16 units).
    pub(super) length: u64,
}

/// A part of a string: from a character, so many of them.
#[derive(Clone, Copy)]
struct Part {
    string: u64,
    from: u64,
    count: u64,
}

/// What one step gives.
enum Step {
    Flat(Flat, Part),
    Other(Part),
    Both(Part, Part),
}

impl<M: Memory> Heap<'_, M> {
    /// A string of at most `max` UTF-16 units and the mark.
    pub(super) fn text(&self, string: u64, max: u64, end: End) -> Result<String, NotFunction> {
        let length = self.length(string)?;
        let left_out = length.saturating_sub(max);
        let from = if end == End::Last { left_out } else { 0 };
        let mut units = Vec::new();
        let mut parts = vec![Part { string, from, count: length.min(max) }];
        for _ in 0..MAX_STEPS {
            let Some(part) = parts.pop() else { break };
            match self.step(part)? {
                Step::Flat(flat, part) => self.units(flat, part, &mut units)?,
                Step::Other(part) => parts.push(part),
                Step::Both(first, second) => parts.extend([second, first]),
            }
        }
        let cut = left_out > 0 || !parts.is_empty();
        let mark = |at| Some(MARK).filter(|_| cut && end == at);
        let text = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(mark(End::Last).into_iter().chain(text).chain(mark(End::First)).collect())
    }

    /// Where the text of a string is, if it is in one piece.
    pub(super) fn flat(&self, string: u64) -> Result<(Flat, u64), NotFunction> {
        let mut part = Part { string, from: 0, count: self.length(string)? };
        for _ in 0..MAX_STEPS {
            part = match self.step(part)? {
                Step::Flat(flat, part) => return Ok((flat, part.from)),
                Step::Other(part) => part,
                // A cons string that was flattened keeps all in its first half.
                Step::Both(first, second) if second.count == 0 => first,
                Step::Both(..) => break,
            };
        }
        Err(NotFunction::Other(string))
    }

    /// UTF-16 units of a string.
    pub(super) fn length(&self, string: u64) -> Result<u64, NotFunction> {
        let offset = self.layout.string.length;
        let length = self.memory.u32(string.wrapping_add(offset.into()))?;
        if length > i32::MAX as u32 { Err(NotFunction::Other(string)) } else { Ok(length.into()) }
    }

    fn step(&self, part: Part) -> Result<Step, NotFunction> {
        let (layout, string) = (&self.layout.string, part.string);
        let kind = self.kind(string)?;
        if kind >= layout.first_other_type {
            return Err(NotFunction::Other(string));
        }
        let one_byte = kind & layout.encoding_mask == layout.one_byte;
        let flat = |address| {
            let length = self.length(string)?;
            Ok(Step::Flat(Flat { address, width: if one_byte { 1 } else { 2 }, length }, part))
        };
        match kind & layout.form_mask {
            form if form == layout.sequential => {
                let offset = if one_byte { layout.one_byte_text } else { layout.two_byte_text };
                flat(string.wrapping_add(offset.into()))
            }
            form if form == layout.external && kind & UNCACHED == 0 => {
                flat(self.word(string, layout.resource + EXTERNAL_TEXT)?)
            }
            form if form == layout.cons => self.halves(part),
            form if form == layout.thin => {
                Ok(Step::Other(Part { string: self.object(string, layout.actual)?, ..part }))
            }
            form if form == layout.sliced => {
                let offset = super::heap::small(self.word(string, layout.offset)?);
                let from = part.from + u64::from(offset.ok_or(NotFunction::Other(string))?);
                Ok(Step::Other(Part { string: self.object(string, layout.parent)?, from, ..part }))
            }
            _ => Err(NotFunction::Other(string)),
        }
    }

    fn halves(&self, part: Part) -> Result<Step, NotFunction> {
        let layout = &self.layout.string;
        let first = self.object(part.string, layout.first)?;
        let second = self.object(part.string, layout.second)?;
        let middle = self.length(first)?;
        let in_first = middle.saturating_sub(part.from).min(part.count);
        Ok(Step::Both(
            Part { string: first, count: in_first, ..part },
            Part { string: second, from: part.from.saturating_sub(middle), count: part.count - in_first },
        ))
    }

    /// The part's count is bounded by its caller's maximum.
    fn units(&self, flat: Flat, part: Part, units: &mut Vec<u16>) -> Result<(), NotFunction> {
        let count = part.count.min(flat.length.saturating_sub(part.from));
        let mut bytes = vec![0; usize::try_from(count * flat.width).unwrap_or(0)];
        self.memory.read(flat.address.wrapping_add(part.from * flat.width), &mut bytes)?;
        if flat.width == 1 {
            units.extend(bytes.into_iter().map(u16::from));
        } else {
            units.extend(bytes.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit)));
        }
        Ok(())
    }
}
