//! How much unwind information an ELF file has. Reads 64-bit little-endian files, and only what leads to the
//! size of `.eh_frame`.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

/// Bytes of `.eh_frame`; `None` for what is no ELF file or has none.
pub(super) fn size(path: impl AsRef<Path>) -> Option<u64> {
    let file = File::open(path).ok()?;
    size_by(|offset, length| {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    })
}

const HEADER: usize = 64;
const SECTION: usize = 64;

fn size_by(read: impl Fn(u64, usize) -> Option<Vec<u8>>) -> Option<u64> {
    let header = read(0, HEADER)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, count, names) = (word(&header, 40)?, half(&header, 60)?, half(&header, 62)?);
    let section = |index: usize| read(table.checked_add((index * SECTION) as u64)?, SECTION);
    let names = section(names)?;
    let names = read(word(&names, 24)?, usize::try_from(word(&names, 32)?.min(1 << 20)).ok()?)?;
    (0..count).filter_map(section).find_map(|section| {
        let name = names.get(usize::try_from(word(&section, 0)? & 0xffff_ffff).ok()?..)?;
        if name.starts_with(b".eh_frame\0") { word(&section, 32) } else { None }
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_program_has_unwind_information() {
        let bytes = size(std::env::current_exe().unwrap()).unwrap();
        assert!(bytes > 1000, "{bytes}");
    }

    #[test]
    fn what_is_no_elf_file_or_a_broken_one_has_none() {
        assert_eq!(size("/proc/self/status"), None);
        let mut broken = [0xff; 200];
        broken[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let read = |offset, length| {
            let offset = usize::try_from(offset).ok()?;
            Some(broken.get(offset..offset.checked_add(length)?)?.to_vec())
        };
        assert_eq!(size_by(read), None);
    }
}
