//! As much of an ELF file as unwinding needs: its executable segments, the sections that hold unwind information,
//! its build id. Reads by offset and never maps a file, since whoever truncates a mapped file kills the reader;
//! every size is checked against the file and a cap before anything is allocated. x86-64 files only.

use std::{fmt::Write, fs::File, io, ops::Range, os::unix::fs::FileExt};

use object::{
    LittleEndian as LE,
    elf::{self, FileHeader64, ProgramHeader64, SectionHeader64},
    pod::{self, Pod},
    read::elf::NoteIterator,
};

use super::{TableError, segments::Segments};

/// Longest note segment that is searched for the build id, bytes.
const MAX_NOTES: u64 = 64 << 10;
/// Longest table of section names, bytes.
const MAX_SECTION_NAMES: u64 = 1 << 20;

/// Where the bytes of an ELF file come from.
pub trait ReadAt {
    /// How many there are.
    ///
    /// # Errors
    /// The file system's.
    fn size(&self) -> io::Result<u64>;

    /// Fills the buffer from this offset on.
    ///
    /// # Errors
    /// `UnexpectedEof` where the bytes end before the buffer is full; the file system's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

impl ReadAt for &[u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(buffer.len());
        buffer.copy_from_slice(self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> io::Result<u64> {
        self.as_slice().size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.as_slice().read_at(buffer, offset)
    }
}

/// A range of the file that is loaded at an address.
#[derive(Clone, Copy, Debug)]
pub(in crate::unwind) struct Section {
    pub(in crate::unwind) address: u64,
    pub(in crate::unwind) offset: u64,
    pub(in crate::unwind) size: u64,
    pub(super) compressed: bool,
}

/// An ELF file, its headers read.
pub struct Image<'a> {
    bytes: &'a dyn ReadAt,
    size: u64,
    header: FileHeader64<LE>,
    programs: Vec<ProgramHeader64<LE>>,
    sections: Vec<SectionHeader64<LE>>,
    names: Vec<u8>,
}

impl<'a> Image<'a> {
    /// Reads the file header, the program headers, and the section headers where there are any.
    ///
    /// # Errors
    /// [`TableError::NotElf`], [`TableError::Unsupported`], [`TableError::Malformed`] for program headers outside
    /// the file, [`TableError::Io`].
    pub fn read(bytes: &'a dyn ReadAt) -> Result<Self, TableError> {
        let mut header = [0; size_of::<FileHeader64<LE>>()];
        bytes.read_at(&mut header, 0).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => TableError::NotElf,
            _ => TableError::Io(e),
        })?;
        let (&header, _) = pod::from_bytes::<FileHeader64<LE>>(&header).map_err(|()| TableError::NotElf)?;
        check(&header)?;
        let size = bytes.size()?;
        let mut image =
            Self { bytes, size, header, programs: Vec::new(), sections: Vec::new(), names: Vec::new() };
        image.programs = image.table(header.e_phoff.get(LE), header.e_phnum.get(LE))?;
        // What has lost its section headers, or never had any, can run all the same.
        image.sections = image.table(header.e_shoff.get(LE), header.e_shnum.get(LE)).unwrap_or_default();
        image.names = image.section_names().unwrap_or_default();
        Ok(image)
    }

    /// Where the file's code is loaded.
    pub fn segments(&self) -> Segments {
        self.programs.iter().collect()
    }

    /// The GNU build id in lower-case hex.
    pub fn build_id(&self) -> Option<String> {
        self.programs.iter().filter(|p| p.p_type.get(LE) == elf::PT_NOTE).find_map(|p| {
            let notes = self.bytes_at(p.p_offset.get(LE), p.p_filesz.get(LE), MAX_NOTES).ok()?;
            let mut notes = NoteIterator::<FileHeader64<LE>>::new(LE, p.p_align.get(LE), &notes).ok()?;
            while let Ok(Some(note)) = notes.next() {
                if note.name() == elf::ELF_NOTE_GNU && note.n_type(LE) == elf::NT_GNU_BUILD_ID {
                    return Some(hex(note.desc()));
                }
            }
            None
        })
    }

    /// The address at which the program begins.
    pub(super) fn entry(&self) -> u64 {
        self.header.e_entry.get(LE)
    }

    /// The machine code at a range of addresses, which may be `max` bytes long.
    pub fn code(&self, range: &Range<u64>, max: u64) -> Option<Vec<u8>> {
        let segments = self.segments();
        let segment = segments.iter().find(|s| (s.address..s.end()).contains(&range.start))?;
        let offset = segment.offset.checked_add(range.start - segment.address)?;
        self.bytes_at(offset, range.end.checked_sub(range.start)?, max).ok()
    }

    /// The address of a section.
    pub fn section_address(&self, name: &[u8]) -> Option<u64> {
        self.section(name).map(|section| section.address)
    }

    /// The bytes of a section that is not compressed and not longer than `max`.
    pub fn section_bytes(&self, name: &[u8], max: u64) -> Option<Vec<u8>> {
        let section = self.section(name).filter(|section| !section.compressed)?;
        self.bytes_at(section.offset, section.size, max).ok()
    }

    /// At most `length` bytes of a section that is not compressed, from the `from`th on, with the address of the first;
    /// `None` behind its end.
    pub fn section_part(&self, name: &[u8], from: u64, length: usize) -> Option<(u64, Vec<u8>)> {
        let section = self.section(name).filter(|section| !section.compressed)?;
        let left = section.size.checked_sub(from).filter(|left| *left > 0)?;
        let bytes = self.bytes_at(section.offset.checked_add(from)?, left.min(length as u64), length as u64);
        Some((section.address.checked_add(from)?, bytes.ok()?))
    }

    /// The first section of this name that has bytes in the file.
    pub(super) fn section(&self, name: &[u8]) -> Option<Section> {
        self.sections.iter().filter(|s| s.sh_type.get(LE) != elf::SHT_NOBITS).find_map(|s| {
            let at = usize::try_from(s.sh_name.get(LE)).ok()?;
            let named = self.names.get(at..)?.strip_prefix(name)?.first() == Some(&0);
            let section = Section {
                address: s.sh_addr.get(LE),
                offset: s.sh_offset.get(LE),
                size: s.sh_size.get(LE),
                compressed: s.sh_flags.get(LE).contains(elf::SHF_COMPRESSED),
            };
            (named && section.size > 0 && self.holds(section.offset, section.size)).then_some(section)
        })
    }

    /// What `PT_GNU_EH_FRAME` names: `.eh_frame_hdr`.
    pub(in crate::unwind) fn eh_frame_header(&self) -> Option<Section> {
        let header = self.programs.iter().find(|p| p.p_type.get(LE) == elf::PT_GNU_EH_FRAME)?;
        Some(loaded(header))
    }

    /// From this address to the end of the segment that holds it, as far as the file has it.
    pub(super) fn rest_of_segment(&self, address: u64) -> Option<Section> {
        self.programs.iter().filter(|p| p.p_type.get(LE) == elf::PT_LOAD).find_map(|p| {
            let segment = loaded(p);
            let skip = address.checked_sub(segment.address)?;
            let offset = segment.offset.checked_add(skip)?;
            let size = segment.size.checked_sub(skip)?.min(self.size.checked_sub(offset)?);
            (size > 0).then_some(Section { address, offset, size, compressed: false })
        })
    }

    /// Bytes of the file.
    ///
    /// # Errors
    /// [`TableError::TooLarge`] above `max` bytes, [`TableError::Malformed`] outside the file,
    /// [`TableError::Io`].
    pub(in crate::unwind) fn bytes_at(
        &self,
        offset: u64,
        size: u64,
        max: u64,
    ) -> Result<Vec<u8>, TableError> {
        if !self.holds(offset, size) {
            return Err(TableError::Malformed("a range lies outside the file"));
        }
        if size > max {
            return Err(TableError::TooLarge { what: "a section", size, max });
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        self.bytes.read_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn holds(&self, offset: u64, size: u64) -> bool {
        offset.checked_add(size).is_some_and(|end| end <= self.size)
    }

    /// A table of headers.
    fn table<T: Pod>(&self, offset: u64, count: u16) -> Result<Vec<T>, TableError> {
        let size = u64::from(count) * size_of::<T>() as u64;
        let bytes = self.bytes_at(offset, size, size)?;
        Ok(pod::slice_from_all_bytes(&bytes).map_err(|()| TableError::Malformed("a header table"))?.to_vec())
    }

    fn section_names(&self) -> Option<Vec<u8>> {
        let names = self.sections.get(usize::from(self.header.e_shstrndx.get(LE).0))?;
        self.bytes_at(names.sh_offset.get(LE), names.sh_size.get(LE), MAX_SECTION_NAMES).ok()
    }
}

fn check(header: &FileHeader64<LE>) -> Result<(), TableError> {
    if header.e_ident.magic != elf::ELFMAG {
        return Err(TableError::NotElf);
    }
    let is_ours = header.e_ident.class == elf::ELFCLASS64
        && header.e_ident.data == elf::ELFDATA2LSB
        && header.e_machine.get(LE) == elf::EM_X86_64;
    if is_ours { Ok(()) } else { Err(TableError::Unsupported("not for x86-64")) }
}

/// What a program header loads from the file.
fn loaded(header: &ProgramHeader64<LE>) -> Section {
    Section {
        address: header.p_vaddr.get(LE),
        offset: header.p_offset.get(LE),
        size: header.p_filesz.get(LE),
        compressed: false,
    }
}

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}
