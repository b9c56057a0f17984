//! As much of an ELF file as naming needs: its segments, its sections, its build id. Reads by offset and never
//! maps a file, since whoever truncates a mapped file kills the reader; every size is checked against the file
//! before anything is allocated. 64-bit little-endian files only.

use std::{
    fmt::Write,
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt},
};

use object::{
    LittleEndian as LE,
    elf::{self, FileHeader64, ProgramHeader64, SectionHeader64},
    pod::{self, Pod},
    read::elf::NoteIterator,
};

/// Longest note segment that is searched for the build id, bytes.
const MAX_NOTES: u64 = 64 << 10;
/// Longest section name, bytes: what is longer is none that matters.
const MAX_SECTION_NAME: usize = 32;
/// Longest table of section names, bytes.
const MAX_SECTION_NAMES: u64 = 1 << 20;

/// Why a file gives no names.
#[derive(Debug, thiserror::Error)]
pub(super) enum ElfError {
    /// It could not be opened, or was closed because too many were open.
    #[error("not open")]
    NotOpen,
    /// It is something else.
    #[error("not an ELF file")]
    NotElf,
    /// It is 32-bit or big-endian.
    #[error("neither 64-bit nor little-endian")]
    Unsupported,
    /// It contradicts itself; the text says where.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// Its symbols take this many bytes, more than are read.
    #[error("its symbols take {0} bytes")]
    TooLarge(u64),
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Where the bytes of an ELF file come from.
pub(super) trait Bytes {
    /// How many there are.
    fn len(&self) -> io::Result<u64>;
    /// Fills the buffer from this offset on; fails where the bytes end before it is full.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl Bytes for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.size())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

impl Bytes for Vec<u8> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.as_slice().len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(buffer.len());
        buffer.copy_from_slice(self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// A loaded part of the file that holds code.
#[derive(Clone, Copy)]
struct Segment {
    offset: u64,
    file_size: u64,
    address: u64,
    memory_size: u64,
}

/// Where a file's code stands. Only executable segments count: linkers let two segments share a page of the
/// file.
#[derive(Clone, Default)]
pub(super) struct Layout(Vec<Segment>);

impl Layout {
    /// The virtual address, as the file's symbols know it, of an offset in the file.
    pub(super) fn address(&self, offset: u64) -> Option<u64> {
        let holds = |s: &&Segment| offset >= s.offset && offset - s.offset < s.file_size;
        let segment = self.0.iter().find(holds)?;
        segment.address.checked_add(offset - segment.offset)
    }

    /// Whether code can stand at this virtual address.
    pub(super) fn is_code(&self, address: u64) -> bool {
        self.0.iter().any(|s| address >= s.address && address - s.address < s.memory_size)
    }
}

/// A section: name, kind and place in the file. Its place has been checked to lie in the file.
pub(super) struct Section {
    pub(super) name: Vec<u8>,
    pub(super) kind: elf::SectionType,
    pub(super) compressed: bool,
    pub(super) link: usize,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// An ELF file, its headers read.
pub(super) struct Elf<'a> {
    pub(super) bytes: &'a dyn Bytes,
    len: u64,
    header: FileHeader64<LE>,
    pub(super) layout: Layout,
    notes: Vec<(u64, u64, u64)>,
}

impl<'a> Elf<'a> {
    /// Reads the file header and the program headers.
    pub(super) fn read(bytes: &'a dyn Bytes) -> Result<Self, ElfError> {
        let mut header = [0; size_of::<FileHeader64<LE>>()];
        bytes.read_at(&mut header, 0).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => ElfError::NotElf,
            _ => ElfError::Io(e),
        })?;
        let (&header, _) = pod::from_bytes::<FileHeader64<LE>>(&header).map_err(|()| ElfError::NotElf)?;
        if header.e_ident.magic != elf::ELFMAG {
            return Err(ElfError::NotElf);
        }
        if header.e_ident.class != elf::ELFCLASS64 || header.e_ident.data != elf::ELFDATA2LSB {
            return Err(ElfError::Unsupported);
        }
        let mut elf = Self { bytes, len: bytes.len()?, header, layout: Layout::default(), notes: Vec::new() };
        elf.read_segments()?;
        Ok(elf)
    }

    fn read_segments(&mut self) -> Result<(), ElfError> {
        let count = self.header.e_phnum.get(LE);
        for p in self.table::<ProgramHeader64<LE>>(self.header.e_phoff.get(LE), count)? {
            let (kind, offset, file_size) = (p.p_type.get(LE), p.p_offset.get(LE), p.p_filesz.get(LE));
            if kind == elf::PT_LOAD && p.p_flags.get(LE).contains(elf::PF_X) {
                let (address, memory_size) = (p.p_vaddr.get(LE), p.p_memsz.get(LE));
                self.layout.0.push(Segment { offset, file_size, address, memory_size });
            } else if kind == elf::PT_NOTE {
                self.notes.push((offset, file_size, p.p_align.get(LE)));
            }
        }
        Ok(())
    }

    /// A table of headers.
    fn table<T: Pod>(&self, offset: u64, count: u16) -> Result<Vec<T>, ElfError> {
        let size = u64::from(count) * size_of::<T>() as u64;
        let bytes = self.bytes_at(offset, size, size)?;
        Ok(pod::slice_from_all_bytes(&bytes).map_err(|()| ElfError::Malformed("header table"))?.to_vec())
    }

    /// Bytes of the file, at most `max`.
    fn bytes_at(&self, offset: u64, size: u64, max: u64) -> Result<Vec<u8>, ElfError> {
        if size > max || offset.checked_add(size).is_none_or(|end| end > self.len) {
            return Err(ElfError::Malformed("a range outside the file"));
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(|_| ElfError::TooLarge(size))?];
        self.bytes.read_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// The GNU build id in lower-case hex.
    pub(super) fn build_id(&self) -> Option<String> {
        self.notes.iter().find_map(|&(offset, size, align)| {
            let bytes = self.bytes_at(offset, size, MAX_NOTES).ok()?;
            let mut notes = NoteIterator::<FileHeader64<LE>>::new(LE, align, &bytes).ok()?;
            while let Ok(Some(note)) = notes.next() {
                if note.name() == elf::ELF_NOTE_GNU && note.n_type(LE) == elf::NT_GNU_BUILD_ID {
                    return Some(hex(note.desc()));
                }
            }
            None
        })
    }

    /// The sections; those that lie outside the file or take no place in it are left out, but keep their
    /// number.
    pub(super) fn sections(&self) -> Result<Vec<Option<Section>>, ElfError> {
        let headers =
            self.table::<SectionHeader64<LE>>(self.header.e_shoff.get(LE), self.header.e_shnum.get(LE))?;
        let Some(names) = headers.get(usize::from(self.header.e_shstrndx.get(LE).0)) else {
            return Ok(Vec::new());
        };
        let names = self.bytes_at(names.sh_offset.get(LE), names.sh_size.get(LE), MAX_SECTION_NAMES)?;
        Ok(headers.iter().map(|h| self.section(h, &names)).collect())
    }

    fn section(&self, header: &SectionHeader64<LE>, names: &[u8]) -> Option<Section> {
        let name = names.get(usize::try_from(header.sh_name.get(LE)).ok()?..)?;
        let name = name.iter().copied().take(MAX_SECTION_NAME).take_while(|&b| b != 0).collect();
        let (offset, size) = (header.sh_offset.get(LE), header.sh_size.get(LE));
        let kind = header.sh_type.get(LE);
        if kind == elf::SHT_NOBITS || offset.checked_add(size)? > self.len {
            return None;
        }
        let compressed = header.sh_flags.get(LE).contains(elf::SHF_COMPRESSED);
        let link = usize::try_from(header.sh_link.get(LE)).ok()?;
        Some(Section { name, kind, compressed, link, offset, size })
    }
}

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use object::{Object, ObjectSegment, read::elf::ElfFile64};
    use proptest::prelude::{any, prop, prop_assert, proptest};

    use super::*;
    use crate::enrich::vdso;

    #[test]
    fn agrees_with_another_reader() {
        let bytes = vdso::bytes().unwrap();
        let (ours, theirs) = (Elf::read(&bytes).unwrap(), ElfFile64::<LE>::parse(bytes.as_slice()).unwrap());
        let build_id = theirs.build_id().unwrap().map(hex);
        assert_eq!(ours.build_id(), build_id);
        let segment = theirs.segments().next().unwrap();
        let (offset, size) = segment.file_range();
        assert_eq!(ours.layout.address(offset), Some(segment.address()));
        assert_eq!(ours.layout.address(offset + size - 1), Some(segment.address() + size - 1));
        assert_eq!(ours.layout.address(offset + size), None);
        let names: Vec<_> = ours.sections().unwrap().into_iter().flatten().map(|s| s.name).collect();
        assert!(names.contains(&b".dynsym".to_vec()) && names.contains(&b".dynstr".to_vec()));
    }

    #[test]
    fn says_what_it_cannot_read() {
        let mut bytes = vdso::bytes().unwrap();
        assert!(matches!(Elf::read(&bytes[..20].to_vec()), Err(ElfError::NotElf)));
        assert!(matches!(Elf::read(&bytes[1..].to_vec()), Err(ElfError::NotElf)));
        assert!(matches!(Elf::read(&bytes[..70].to_vec()), Err(ElfError::Malformed(_))));
        bytes[4] = 1;
        assert!(matches!(Elf::read(&bytes), Err(ElfError::Unsupported)));
    }

    proptest! {
        #[test]
        fn any_headers_are_survived(
            noise in prop::collection::vec((0usize..512, any::<u8>()), 0..30),
            length in 0usize..9000,
        ) {
            let mut bytes = vdso::bytes().unwrap();
            for (at, byte) in noise {
                bytes[at] = byte;
            }
            bytes.truncate(length);
            if let Ok(elf) = Elf::read(&bytes) {
                elf.build_id();
                for section in elf.sections().into_iter().flatten().flatten() {
                    prop_assert!(section.offset + section.size <= bytes.len() as u64);
                }
            }
        }
    }
}
