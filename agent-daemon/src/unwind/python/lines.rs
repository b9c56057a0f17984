//! Line tables of code objects, in the three ways that CPython has written them.
//!
//! A table answers for one instruction; it is kept as CPython wrote it, since most are asked for few lines. Any
//! bytes are a table: one that makes no sense gives lines that make none, or none at all, in time linear in its
//! length.

use super::layout::LineFormat;

/// Bits of a varint's byte that hold its value; the one above says that more follows.
const VARINT_BITS: u32 = 6;

/// The line of an instruction, by its offset in bytes from the first; `None` if it has none. Before the first
/// instruction it is the function's own.
pub(super) fn line(format: LineFormat, table: &[u8], first: i32, offset: i64) -> Option<u32> {
    let line = if offset < 0 {
        i64::from(first)
    } else {
        match format {
            LineFormat::Increments => increments(table, first.into(), offset),
            LineFormat::Ranges => ranges(table, first.into(), offset)?,
            LineFormat::Locations => locations(table, first.into(), offset)?,
        }
    };
    u32::try_from(line).ok().filter(|&line| line > 0)
}

fn increments(table: &[u8], first: i64, offset: i64) -> i64 {
    let (mut line, mut start) = (first, 0);
    for &[bytes, lines] in table.as_chunks().0 {
        start += i64::from(bytes);
        if start > offset {
            break;
        }
        line += i64::from(lines.cast_signed());
    }
    line
}

fn ranges(table: &[u8], first: i64, offset: i64) -> Option<i64> {
    let (mut line, mut end) = (first, 0);
    for &[bytes, lines] in table.as_chunks().0 {
        end += i64::from(bytes);
        let lines = lines.cast_signed();
        // -128: no line, and the next range counts from the one before.
        line += if lines == i8::MIN { 0 } else { i64::from(lines) };
        if offset < end {
            return (lines != i8::MIN).then_some(line);
        }
    }
    None
}

/// Each entry begins with a byte whose top bit is set: 4 bits of kind, 3 bits of length in instructions less one.
fn locations(table: &[u8], first: i64, offset: i64) -> Option<i64> {
    let (mut line, mut end, mut bytes) = (first, 0, table.iter().copied());
    while let Some(head) = bytes.next() {
        end += (i64::from(head & 7) + 1) * 2;
        let kind = head >> 3 & 15;
        match kind {
            15 => {}
            14 => {
                line = line.wrapping_add(signed(varint(&mut bytes)));
                for _ in 0..3 {
                    varint(&mut bytes);
                }
            }
            13 => line = line.wrapping_add(signed(varint(&mut bytes))),
            10..=12 => {
                line = line.wrapping_add(i64::from(kind) - 10);
                bytes.nth(1);
            }
            _ => {
                bytes.next();
            }
        }
        if offset < end {
            return (kind != 15).then_some(line);
        }
    }
    None
}

fn varint(bytes: &mut impl Iterator<Item = u8>) -> u64 {
    let (mut value, mut shift) = (0_u64, 0);
    for byte in bytes {
        value |= u64::from(byte & 63).checked_shl(shift).unwrap_or(0);
        shift += VARINT_BITS;
        if byte & 64 == 0 {
            break;
        }
    }
    value
}

/// The sign is in the lowest bit.
fn signed(value: u64) -> i64 {
    let magnitude = (value >> 1).cast_signed();
    if value & 1 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::any, proptest};

    use super::*;

    #[test]
    fn increments_count_up_to_the_instruction() {
        // Lines 10 (0-5), 12 (6-9), 11 (10-).
        let at = |offset| line(LineFormat::Increments, &[6, 2, 4, 0xff], 10, offset);
        assert_eq!([-1, 0, 5, 6, 9, 10, 99].map(at).map(Option::unwrap), [10, 10, 10, 12, 12, 11, 11]);
    }

    #[test]
    fn ranges_may_have_no_line() {
        let at = |offset| line(LineFormat::Ranges, &[4, 1, 2, 0x80, 2, 1], 10, offset);
        assert_eq!([-2, 0, 3, 4, 6, 8].map(at), [Some(10), Some(11), Some(11), None, Some(12), None]);
    }

    #[test]
    fn locations_have_every_form() {
        // Short, one line of three, no columns, long (line -2), none.
        let table =
            [0x80, 0, 0x80 | 12 << 3 | 1, 1, 2, 0x80 | 13 << 3, 0b10, 0x80 | 14 << 3, 0b101, 0, 1, 1, 0xf8];
        let at = |offset| line(LineFormat::Locations, &table, 10, offset);
        let lines = [10, 12, 12, 13, 11].map(Some);
        assert_eq!([0, 2, 4, 6, 8].map(at), lines);
        assert_eq!([10, 12].map(at), [None, None]);
        assert_eq!(at(-2), Some(10));
    }

    #[test]
    fn long_varints_are_read() {
        assert_eq!(signed(varint(&mut [0x41, 0x7f, 0x01].into_iter())), -((1 << 11) | (63 << 5)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_table(table in vec(any::<u8>(), 0..200), first in any::<i32>(), offset in any::<i64>()) {
            for format in [LineFormat::Increments, LineFormat::Ranges, LineFormat::Locations] {
                line(format, &table, first, offset);
                line(format, &table, first, offset % 256);
            }
        }
    }
}
