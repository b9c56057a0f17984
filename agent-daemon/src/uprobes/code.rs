//! A file as finders see it: its path, the functions that it exports, its code. Read by offset, each size capped: it is
//! any file that a process of an agent mapped.

use std::cell::OnceCell;

use object::{
    LittleEndian as LE,
    elf::{SHN_UNDEF, STT_FUNC, Sym64},
    pod,
};

use crate::unwind::table::{Image, ReadAt, Segments, TableError};

/// Largest table of exported symbols that is read, bytes.
const MAX_SYMBOLS: u64 = 32 << 20;
/// Largest table of their names, bytes.
const MAX_NAMES: u64 = 32 << 20;
/// Longest name of a symbol that is looked at, bytes.
const MAX_NAME: usize = 128;
/// Functions that are found by their names: no library that a finder knows has so many, and each symbol of a table may be the same.
const MAX_EXPORTS: usize = 1024;
/// What of a section is looked through at once, bytes.
pub(super) const WINDOW: usize = 1 << 20;
/// Sections that are larger are not looked through to their end.
const MAX_SECTION: u64 = 512 << 20;

/// A function of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// The symbol.
    pub(super) name: String,
    /// Its address, as the file's symbols know it.
    pub(super) address: u64,
    /// Offset in the file of its first instruction, bytes.
    pub(super) offset: u64,
    /// Bytes of its code, as the file's symbols know it; 0 if they do not.
    pub(super) size: u64,
}

/// The bytes of the symbols and of their names.
type Tables = (Vec<u8>, Vec<u8>);

/// An ELF file whose code is mapped into a process.
pub(super) struct CodeImage<'a> {
    path: &'a str,
    /// Bytes of the file.
    size: u64,
    image: Image<'a>,
    segments: Segments,
    exports: OnceCell<Option<Tables>>,
}

impl<'a> CodeImage<'a> {
    /// Reads the headers of a file with this path in the process's own mount namespace.
    pub(super) fn read(path: &'a str, bytes: &'a dyn ReadAt) -> Result<Self, TableError> {
        let image = Image::read(bytes)?;
        Ok(Self { path, size: bytes.size()?, segments: image.segments(), image, exports: OnceCell::new() })
    }

    /// The last part of its path.
    pub(super) fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }

    /// The functions that it exports under names that are wanted.
    pub(super) fn exports(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<Function> {
        let Some((table, names)) = self.exports.get_or_init(|| self.read_exports()) else {
            return Vec::new();
        };
        let count = table.len() / size_of::<Sym64<LE>>();
        let Ok((symbols, _)) = pod::slice_from_bytes::<Sym64<LE>>(table, count) else { return Vec::new() };
        let functions =
            symbols.iter().filter(|s| s.st_shndx.get(LE) != SHN_UNDEF && s.st_info.st_type() == STT_FUNC);
        let named = functions.filter_map(|symbol| {
            let name = name(names, symbol.st_name.get(LE)).filter(|name| is_wanted(name))?;
            let (address, size) = (symbol.st_value.get(LE), symbol.st_size.get(LE));
            Some(Function { name: name.to_owned(), address, offset: self.offset(address)?, size })
        });
        named.take(MAX_EXPORTS).collect()
    }

    fn read_exports(&self) -> Option<Tables> {
        let symbols = self.image.section_bytes(b".dynsym", MAX_SYMBOLS)?;
        Some((symbols, self.image.section_bytes(b".dynstr", MAX_NAMES)?))
    }

    /// At most `length` bytes of a section from the `from`th on, with the address of the first; `None` behind its end.
    pub(super) fn section_part(&self, name: &[u8], from: u64, length: usize) -> Option<(u64, Vec<u8>)> {
        let (address, bytes) = self.image.section_part(name, from, length)?;
        // No byte of it lies beyond the last address.
        address.checked_add(bytes.len() as u64).map(|_| (address, bytes))
    }

    /// Goes through a section in windows, each with the address of its first byte; they overlap.
    pub(super) fn windows(&self, section: &[u8], overlap: usize, mut each: impl FnMut(u64, &[u8])) {
        let mut from = 0;
        while from < MAX_SECTION
            && let Some((address, bytes)) = self.section_part(section, from, WINDOW)
        {
            each(address, &bytes);
            if bytes.len() < WINDOW {
                return;
            }
            from += (WINDOW - overlap) as u64;
        }
    }

    /// Where in the file the code at an address is; `None` where the file ends before.
    pub(super) fn offset(&self, address: u64) -> Option<u64> {
        let segment = self.segments.iter().find(|s| (s.address..s.end()).contains(&address))?;
        segment.offset.checked_add(address - segment.address).filter(|offset| *offset < self.size)
    }

    /// At most `length` bytes of code from an address on.
    pub(super) fn code(&self, address: u64, length: u64) -> Option<Vec<u8>> {
        let segment = self.segments.iter().find(|s| (s.address..s.end()).contains(&address))?;
        self.image.code(&(address..address.saturating_add(length).min(segment.end())), length)
    }
}

/// The name that begins here.
fn name(names: &[u8], start: u32) -> Option<&str> {
    let rest = names.get(usize::try_from(start).ok()?..)?;
    let name = rest.get(..MAX_NAME).unwrap_or(rest).split(|byte| *byte == 0).next()?;
    str::from_utf8(name).ok().filter(|name| !name.is_empty())
}
