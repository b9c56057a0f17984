//! The part of the eval loop that has no name.
//!
//! Compilers move what their profile calls cold out of a function, to a place of its own. Where only exported
//! symbols are left, that part has none: of Debian's 3.13 and 3.14 it is 98 % of the eval loop, so that hardly a
//! call of it would be known. The loop jumps there, though, and unwind information says where it begins and ends.

use std::ops::Range;

/// Jumps into the middle of one range that make it a part of the function: tail calls go to beginnings, and what
/// only looks like a jump, as the bytes are not decoded, goes anywhere.
const MIN_JUMPS: usize = 2;
/// Jumps that are looked at.
const MAX_JUMPS: usize = 4096;

/// The addresses of the cold part of a function, given its machine code (x86-64), the address of that, and the
/// range of addresses that one entry of the unwind information covers around an address.
pub fn cold_part(code: &[u8], address: u64, range: impl Fn(u64) -> Option<Range<u64>>) -> Option<Range<u64>> {
    let hot = address..address.saturating_add(code.len() as u64);
    let mut found: Vec<(Range<u64>, usize)> = Vec::new();
    for target in jumps(code, address).filter(|target| !hot.contains(target)).take(MAX_JUMPS) {
        let Some(range) = range(target).filter(|range| range.start != target && !hot.contains(&range.start))
        else {
            continue;
        };
        match found.iter_mut().find(|(known, _)| *known == range) {
            Some((_, count)) => *count += 1,
            None => found.push((range, 1)),
        }
    }
    let (range, count) = found.into_iter().max_by_key(|(_, count)| *count)?;
    (count >= MIN_JUMPS).then_some(range)
}

/// Targets of what looks like a jump of 32 bits: `e9`, and `0f 80` to `0f 8f` for those with a condition.
fn jumps(code: &[u8], address: u64) -> impl Iterator<Item = u64> {
    code.windows(6).enumerate().filter_map(move |(at, bytes)| {
        let (length, distance) = match *bytes {
            [0xe9, a, b, c, d, _] => (5, [a, b, c, d]),
            [0x0f, 0x80..=0x8f, a, b, c, d] => (6, [a, b, c, d]),
            _ => return None,
        };
        let next = address.wrapping_add(at as u64 + length);
        Some(next.wrapping_add_signed(i32::from_le_bytes(distance).into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Conditional jumps from consecutive addresses to these targets, and padding.
    fn code(address: u64, targets: &[u64]) -> Vec<u8> {
        let jump = |(index, target): (usize, &u64)| {
            let distance = (*target as i64 - (address as i64 + 6 * (index as i64 + 1))) as i32;
            [[0x0f, 0x84].as_slice(), &distance.to_le_bytes()].concat()
        };
        targets.iter().enumerate().flat_map(jump).chain([0x90; 8]).collect()
    }

    fn range(address: u64) -> Option<Range<u64>> {
        let start = address & !0xffff;
        (start != 0).then_some(start..start + 0x1_0000)
    }

    #[test]
    fn jumps_into_the_middle_find_it() {
        let code = code(0x5_0000, &[0x2_0010, 0x2_0000, 0x3_0000, 0x3_0000, 0x2_0300, 0x5_0004, 0x7777]);
        assert_eq!(cold_part(&code, 0x5_0000, range), Some(0x2_0000..0x3_0000));
    }

    #[test]
    fn tail_calls_do_not() {
        let code = code(0x5_0000, &[0x2_0000, 0x2_0000, 0x3_0000, 0x4_0010]);
        assert_eq!(cold_part(&code, 0x5_0000, range), None);
        assert_eq!(cold_part(&[0xe9], u64::MAX, range), None);
        assert_eq!(cold_part(&[0xff; 64], u64::MAX - 8, range), None);
    }
}
