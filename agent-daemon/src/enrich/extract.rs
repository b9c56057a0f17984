//! A private copy of what names functions in an ELF file: its function symbols, and its line information where
//! that is small enough. blazesym maps what it reads, and an agent that rebuilds a program truncates files
//! under whoever maps them, which is death by SIGBUS; it also follows links to other files. The copy cannot
//! shrink, links nowhere, and its tables have been checked.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::PathBuf,
};

use object::{
    LittleEndian as LE, U16, U32, U64,
    elf::{self, FileHeader64, SectionHeader64, Sym64},
    pod,
};

use super::elf::{Bytes, Elf, ElfError, Section};

/// Most bytes of symbols, and of their names, that are read of one file.
const MAX_SYMBOLS: u64 = 64 << 20;
/// Most bytes of line information that are read of one file; beyond, frames get names but no lines.
const MAX_LINES: u64 = 32 << 20;
/// Most bytes of line programs: a byte can become a row of 24 bytes.
const MAX_LINE_PROGRAMS: u64 = 4 << 20;
/// Bytes moved at once: a whole number of symbols.
const CHUNK: usize = 2048 * size_of::<Sym64<LE>>();

/// The sections that line lookup reads.
const LINE_SECTIONS: [&[u8]; 10] = [
    b".debug_abbrev",
    b".debug_addr",
    b".debug_aranges",
    b".debug_info",
    b".debug_line",
    b".debug_line_str",
    b".debug_ranges",
    b".debug_rnglists",
    b".debug_str",
    b".debug_str_offsets",
];

/// The copy: a small ELF file in memory.
pub(super) struct Extract {
    file: File,
    /// Its size, bytes.
    pub(super) bytes: u64,
    /// Whether it holds the file's full symbol table, not only what other files may call.
    pub(super) full: bool,
    /// Whether it holds line information.
    pub(super) lines: bool,
}

impl Extract {
    /// Copies what names functions out of `elf`.
    pub(super) fn of(elf: &Elf<'_>) -> Result<Self, ElfError> {
        let sections = elf.sections()?;
        let table = symbol_table(&sections);
        let lines = line_sections(&sections);
        let mut writer = Writer::new()?;
        if let Some((table, names)) = table {
            writer.symbols(elf, table)?;
            writer.verbatim(elf.bytes, b".strtab", elf::SHT_STRTAB, names)?;
        }
        for section in &lines {
            writer.verbatim(elf.bytes, &section.name, elf::SHT_PROGBITS, section)?;
        }
        let (file, bytes) = writer.finish()?;
        let full = table.is_some_and(|(table, _)| table.kind == elf::SHT_SYMTAB);
        Ok(Self { file, bytes, full, lines: !lines.is_empty() })
    }

    /// A path by which this process can open the copy.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

/// The fuller of the symbol tables, with its names.
fn symbol_table(sections: &[Option<Section>]) -> Option<(&Section, &Section)> {
    [elf::SHT_SYMTAB, elf::SHT_DYNSYM].into_iter().find_map(|kind| {
        let table = sections.iter().flatten().find(|s| s.kind == kind && s.size > 0)?;
        let names = sections.get(table.link)?.as_ref().filter(|s| s.kind == elf::SHT_STRTAB)?;
        (!table.compressed && !names.compressed).then_some((table, names))
    })
}

/// The line information; nothing where it is too much or compressed, since it then costs more than it tells.
fn line_sections(sections: &[Option<Section>]) -> Vec<&Section> {
    let found: Vec<_> =
        sections.iter().flatten().filter(|s| LINE_SECTIONS.contains(&s.name.as_slice())).collect();
    let size = |of: fn(&Section) -> bool| {
        found.iter().filter(|s| of(s)).map(|s| s.size).fold(0, u64::saturating_add)
    };
    let programs = size(|s| s.name == b".debug_line");
    let is_small = size(|_| true) <= MAX_LINES && programs <= MAX_LINE_PROGRAMS;
    if programs > 0 && is_small && found.iter().all(|s| !s.compressed) { found } else { Vec::new() }
}

/// Writes the copy, section by section; the headers come last.
struct Writer {
    file: File,
    at: u64,
    headers: Vec<SectionHeader64<LE>>,
    names: Vec<u8>,
}

impl Writer {
    fn new() -> io::Result<Self> {
        let mut writer = Self { file: anonymous_file()?, at: 0, headers: Vec::new(), names: Vec::new() };
        writer.append(&[0; size_of::<FileHeader64<LE>>()])?;
        // Section 0 and the empty name are reserved.
        writer.section(b"", elf::SHT_NULL);
        Ok(writer)
    }

    /// Begins a section at the next aligned place.
    fn section(&mut self, name: &[u8], kind: elf::SectionType) {
        self.headers.push(SectionHeader64 {
            sh_name: U32::new(LE, u32::try_from(self.names.len()).unwrap_or(0)),
            sh_type: U32::new(LE, kind),
            sh_flags: U64::default(),
            sh_addr: U64::default(),
            sh_offset: U64::new(LE, self.at),
            sh_size: U64::default(),
            sh_link: U32::default(),
            sh_info: U32::default(),
            sh_addralign: U64::new(LE, 8),
            sh_entsize: U64::default(),
        });
        self.names.extend_from_slice(name);
        self.names.push(0);
    }

    /// Ends the section that was begun last, and aligns the place of the next.
    fn end(&mut self) -> io::Result<()> {
        if let Some(header) = self.headers.last_mut() {
            header.sh_size = U64::new(LE, self.at - header.sh_offset.get(LE));
        }
        let padding = usize::try_from(self.at.wrapping_neg() % 8).unwrap_or(0);
        self.append([0; 8].get(..padding).unwrap_or(&[]))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// Copies the symbols of functions.
    fn symbols(&mut self, elf: &Elf<'_>, table: &Section) -> Result<(), ElfError> {
        let dynamic = table.kind == elf::SHT_DYNSYM;
        self.section(b".symtab", elf::SHT_SYMTAB);
        chunks(elf.bytes, table, |chunk| {
            let whole = chunk.len() - chunk.len() % size_of::<Sym64<LE>>();
            let symbols = pod::slice_from_all_bytes::<Sym64<LE>>(chunk.get(..whole).unwrap_or(&[]))
                .map_err(|()| ElfError::Malformed("symbol table"))?;
            let kept: Vec<_> = symbols.iter().copied().filter(|s| names_code(elf, s, dynamic)).collect();
            Ok(self.append(pod::bytes_of_slice(&kept))?)
        })?;
        Ok(self.end()?)
    }

    /// Copies a section as it is.
    fn verbatim(
        &mut self,
        bytes: &dyn Bytes,
        name: &[u8],
        kind: elf::SectionType,
        section: &Section,
    ) -> Result<(), ElfError> {
        self.section(name, kind);
        chunks(bytes, section, |chunk| Ok(self.append(chunk)?))?;
        Ok(self.end()?)
    }

    /// Writes the section names and the headers.
    fn finish(mut self) -> io::Result<(File, u64)> {
        self.section(b".shstrtab", elf::SHT_STRTAB);
        let names = std::mem::take(&mut self.names);
        self.append(&names)?;
        self.end()?;
        let header = self.header();
        let headers = std::mem::take(&mut self.headers);
        self.append(pod::bytes_of_slice(&headers))?;
        std::os::unix::fs::FileExt::write_all_at(&self.file, pod::bytes_of(&header), 0)?;
        Ok((self.file, self.at))
    }

    fn header(&self) -> FileHeader64<LE> {
        let sections = u16::try_from(self.headers.len()).unwrap_or(0);
        FileHeader64 {
            e_ident: elf::Ident {
                magic: elf::ELFMAG,
                class: elf::ELFCLASS64,
                data: elf::ELFDATA2LSB,
                version: elf::EV_CURRENT,
                os_abi: elf::ELFOSABI_NONE,
                abi_version: 0,
                padding: [0; 7],
            },
            e_type: U16::new(LE, elf::ET_DYN),
            e_machine: U16::new(LE, elf::EM_X86_64),
            e_version: U32::new(LE, 1),
            e_entry: U64::default(),
            e_phoff: U64::default(),
            e_shoff: U64::new(LE, self.at),
            e_flags: U32::default(),
            e_ehsize: U16::new(LE, size_of::<FileHeader64<LE>>() as u16),
            e_phentsize: U16::default(),
            e_phnum: U16::default(),
            e_shentsize: U16::new(LE, size_of::<SectionHeader64<LE>>() as u16),
            e_shnum: U16::new(LE, sections),
            e_shstrndx: U16::new(LE, elf::SymbolSection(sections.saturating_sub(1))),
        }
    }
}

/// Whether a symbol is the name of code of this file. Hand-written assembly often says neither that its symbols are
/// functions nor how long they are: of such ones only the global are names, the others places inside functions. In
/// a dynamic table, which is sparse, they would swallow their neighbours.
fn names_code(elf: &Elf<'_>, symbol: &Sym64<LE>, dynamic: bool) -> bool {
    let kind = symbol.st_info.st_type();
    let is_function = kind == elf::STT_FUNC || kind == elf::STT_GNU_IFUNC;
    let is_label = kind == elf::STT_NOTYPE && symbol.st_info.st_bind() != elf::STB_LOCAL;
    let (address, size) = (symbol.st_value.get(LE), symbol.st_size.get(LE));
    (is_function || (is_label && !dynamic))
        && (size > 0 || !dynamic)
        && symbol.st_name.get(LE) != 0
        && symbol.st_shndx.get(LE) != elf::SHN_UNDEF
        && address.checked_add(size).is_some()
        && elf.layout.is_code(address)
}

/// Hands a section over piece by piece.
fn chunks(
    bytes: &dyn Bytes,
    section: &Section,
    mut each: impl FnMut(&[u8]) -> Result<(), ElfError>,
) -> Result<(), ElfError> {
    if section.size > MAX_SYMBOLS {
        return Err(ElfError::TooLarge(section.size));
    }
    let mut buffer = vec![0; CHUNK];
    let (mut at, mut left) = (section.offset, section.size);
    while left > 0 {
        let length = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        let chunk = buffer.get_mut(..length).ok_or(ElfError::Malformed("section"))?;
        bytes.read_at(chunk, at)?;
        each(chunk)?;
        at += length as u64;
        left -= length as u64;
    }
    Ok(())
}

/// A file without a name, in memory.
fn anonymous_file() -> io::Result<File> {
    // SAFETY: the name is a C string, and the call touches no other memory of ours.
    let fd = unsafe { libc::memfd_create(c"agentperf-symbols".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor, and nobody else owns it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}
