//! Who refers to what in code without names: which instructions load an address, which function they are in, and whether
//! anyone calls that.

use memchr::{memchr_iter, memchr2_iter, memmem};

use super::code::CodeImage;

/// References after which no more windows are looked through.
const MAX_FOUND: usize = 1 << 16;
/// Longest instruction that refers to something, bytes.
const OVERLAP: usize = 16;
/// How addresses are written in the sorted list of functions: 4 bytes, relative to the list.
const RELATIVE: u8 = 0x3b;
/// Bytes before that list, if it is written as linkers do.
const LIST: u64 = 12;

/// Instructions that load one of these addresses: relative to themselves, or, in programs that are linked to a fixed
/// address, as a number. In order, and no more than `most`.
pub(super) fn references(image: &CodeImage<'_>, targets: &[u64], most: usize) -> Vec<u64> {
    let mut found = Vec::new();
    image.windows(b".text", OVERLAP, |address, bytes| {
        // No honest program has so many.
        if found.len() >= MAX_FOUND {
            return;
        }
        for at in memchr_iter(0x8d, bytes) {
            let Some([prefix, _, mode, distance @ ..]) = at.checked_sub(1).and_then(|b| bytes.get(b..at + 6))
            else {
                continue;
            };
            // Most are something else: what is cheapest to tell comes first.
            if !matches!(prefix, 0x48 | 0x4c) || mode & 0xc7 != 0x05 {
                continue;
            }
            let place = address.wrapping_add(at as u64);
            if target(distance, place.wrapping_add(6)).is_some_and(|target| targets.contains(&target)) {
                found.push(place.wrapping_sub(1));
            }
        }
        for number in targets.iter().filter_map(|target| u32::try_from(*target).ok()) {
            for at in memmem::find_iter(bytes, &number.to_le_bytes()) {
                let before = at.checked_sub(1).and_then(|before| bytes.get(before));
                if before.is_some_and(|code| code & 0xf8 == 0xb8) {
                    found.push(address.wrapping_add(at as u64).wrapping_sub(1));
                }
            }
        }
    });
    found.sort_unstable();
    found.dedup();
    found.truncate(most);
    found
}

/// Whether each address is called directly, or jumped to, from somewhere.
pub(super) fn are_called(image: &CodeImage<'_>, functions: [u64; 2]) -> bool {
    let mut called = [false; 2];
    image.windows(b".text", OVERLAP, |address, bytes| {
        for at in memchr2_iter(0xe8, 0xe9, bytes) {
            let distance = bytes.get(at + 1..at + 5).unwrap_or_default();
            let Some(target) = target(distance, address.wrapping_add(at as u64 + 5)) else { continue };
            called.iter_mut().zip(functions).for_each(|(called, function)| *called |= target == function);
        }
    });
    called == [true; 2]
}

/// Where an instruction leads that the next one follows at `next`.
fn target(distance: &[u8], next: u64) -> Option<u64> {
    let distance = i32::from_le_bytes(distance.try_into().ok()?);
    Some(next.wrapping_add_signed(i64::from(distance)))
}

/// Where the function begins that an address is in, by the sorted list that exceptions are found by (`.eh_frame_hdr`).
pub(super) fn function_of(image: &CodeImage<'_>, address: u64) -> Option<u64> {
    let word = |at: u64| {
        let (_, bytes) = image.section_part(b".eh_frame_hdr", at, 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let (base, head) = image.section_part(b".eh_frame_hdr", 0, 4)?;
    if head.first() != Some(&1) || head.get(3) != Some(&RELATIVE) {
        return None;
    }
    let start = |n: u64| Some(base.wrapping_add_signed(i64::from(word(LIST + 8 * n)?.cast_signed())));
    let (mut before, mut behind) = (0, u64::from(word(LIST - 4)?));
    while behind.checked_sub(before)? > 1 {
        let middle = before.midpoint(behind);
        if start(middle)? <= address { before = middle } else { behind = middle }
    }
    start(before).filter(|start| *start <= address)
}
