//! Lines of scripts: from the list of line ends where V8 has made one, which it does when it first prints a stack,
//! else by counting in the source.

use super::heap::{Heap, NotFunction, small};
use crate::unwind::memory::Memory;

/// Bytes of source that are read for one function: what begins further on in a larger script has no line.
const MAX_SOURCE: u64 = 1 << 20;
/// Bytes that are read at once.
const CHUNK: u64 = 64 << 10;
/// Lines of the longest list that is believed.
const MAX_LINES: u32 = 1 << 26;

impl<M: Memory> Heap<'_, M> {
    /// The line of a position in a script; `None` where it would take too much to find.
    ///
    /// # Errors
    /// If neither list nor source can be read.
    pub(super) fn line(&self, script: u64, position: u32) -> Result<Option<u32>, NotFunction> {
        if let Ok(Some(line)) = self.listed_line(script, position) {
            return Ok(Some(line));
        }
        let source = self.object(script, self.layout.script.source)?;
        let (flat, from) = self.flat(source)?;
        let length = u64::from(position) * flat.width;
        if length > MAX_SOURCE || from + u64::from(position) > flat.length {
            return Ok(None);
        }
        let start = flat.address.wrapping_add(from * flat.width);
        let mut line = 1;
        let mut bytes = vec![0; usize::try_from(length.min(CHUNK)).unwrap_or(0)];
        for at in (0..length).step_by(bytes.len().max(1)) {
            let rest = usize::try_from(length - at).unwrap_or(usize::MAX);
            let count = rest.min(bytes.len());
            let chunk = bytes.get_mut(..count).unwrap_or_default();
            self.memory.read(start.wrapping_add(at), chunk)?;
            line += newlines(chunk, flat.width);
        }
        Ok(Some(line))
    }

    /// By the list of the positions at which lines end.
    fn listed_line(&self, script: u64, position: u32) -> Result<Option<u32>, NotFunction> {
        let (layout, at) = (self.layout, self.layout.script.line_ends);
        let ends = self.typed(script, at, layout.array_type)?;
        let count = small(self.word(ends, layout.array_length)?).filter(|&count| count <= MAX_LINES);
        let (mut low, mut high) = (0, count.unwrap_or(0));
        if high == 0 {
            return Ok(None);
        }
        while low < high {
            let middle = low.midpoint(high);
            match small(self.word(ends, layout.array_data + middle * 8)?) {
                Some(end) if end < position => low = middle + 1,
                Some(_) => high = middle,
                None => return Err(NotFunction::Other(ends)),
            }
        }
        Ok(Some(low + 1))
    }
}

/// Line feeds in text of one or two bytes a character. (V8 also counts other ends of lines, which no editor
/// writes.)
fn newlines(bytes: &[u8], width: u64) -> u32 {
    let count = if width == 1 {
        bytes.iter().filter(|&&byte| byte == b'\n').count()
    } else {
        bytes.as_chunks().0.iter().filter(|&&unit| u16::from_le_bytes(unit) == u16::from(b'\n')).count()
    };
    // At most MAX_SOURCE.
    count.try_into().unwrap_or(u32::MAX)
}
