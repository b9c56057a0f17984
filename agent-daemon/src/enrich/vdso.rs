//! The vdso: the one piece of user code without a file. The kernel maps the same bytes into every 64-bit process,
//! so that our own copy names everybody's.

use std::{fs::File, os::unix::fs::FileExt};

use super::{elf::ElfError, symbols::Table};
use crate::unwind::{CodeFile, table::ReadAt};

/// The vdso, as the unwinder sees it: like a file.
pub(super) struct Vdso;

impl Vdso {
    /// The number under which it is known: files have higher ones.
    pub(super) const ID: u64 = 2;
}

impl CodeFile for Vdso {
    fn id(&self) -> u64 {
        Self::ID
    }

    fn path(&self) -> &str {
        "[vdso]"
    }

    fn open(&self) -> Option<Box<dyn ReadAt>> {
        Some(Box::new(bytes().ok()?))
    }
}

/// Longest vdso that is read, bytes.
const MAX: u64 = 1 << 20;

/// The symbols of the vdso.
pub(super) fn table() -> Result<Table, ElfError> {
    Table::open(&bytes()?)
}

/// The vdso's bytes, an ELF file.
pub(super) fn bytes() -> Result<Vec<u8>, ElfError> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let (start, end) = maps
        .lines()
        .find(|l| l.ends_with("[vdso]"))
        .and_then(|l| l.split_once(' ')?.0.split_once('-'))
        .and_then(|(s, e)| Some((u64::from_str_radix(s, 16).ok()?, u64::from_str_radix(e, 16).ok()?)))
        .ok_or(ElfError::NotOpen)?;
    let length = end.saturating_sub(start).min(MAX);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    File::open("/proc/self/mem")?.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}
