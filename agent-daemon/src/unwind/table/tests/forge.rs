//! Makes ELF files whose unwind information is what a test wants it to be.

use object::{
    LittleEndian as LE, U16, U32, U64,
    elf::{self, FileHeader64, ProgramHeader64, SectionHeader64},
    pod,
};

/// Where the code of a forged file begins.
pub(super) const TEXT: u64 = 0x1000;
/// Instructions: CFA = rsp + 8, return address at CFA - 8.
pub(super) const INITIAL: [u8; 5] = [0x0c, 7, 8, 0x90, 1];

/// A section of a forged file: its name, where it is loaded, whether it says that it is compressed, its bytes.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) address: u64,
    pub(super) compressed: bool,
    pub(super) bytes: Vec<u8>,
}

impl Part {
    pub(super) fn new(name: &'static str, address: u64, bytes: Vec<u8>) -> Self {
        Self { name, address, compressed: false, bytes }
    }
}

/// What is in a forged file.
pub(super) struct Forge {
    pub(super) parts: Vec<Part>,
    /// Bytes of code, all of which the file has.
    pub(super) text_size: u64,
    pub(super) entry: u64,
    pub(super) section_headers: bool,
}

impl Forge {
    /// A file with this `.eh_frame`.
    pub(super) fn eh_frame(bytes: Vec<u8>) -> Self {
        Self::of(vec![Part::new(".eh_frame", 0x10_0000, bytes)])
    }

    pub(super) fn of(parts: Vec<Part>) -> Self {
        Self { parts, text_size: 0x8000, entry: 0, section_headers: true }
    }

    /// The file: headers, the sections' bytes, the section headers. Code is where the file's beginning is.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 0x400];
        let mut names = vec![0];
        let mut sections = vec![section(0, 0, (0, 0), false)];
        let mut programs = vec![program(elf::PT_LOAD, elf::PF_X | elf::PF_R, 0, TEXT, self.text_size)];
        for part in &self.parts {
            let place = (bytes.len() as u64, part.bytes.len() as u64);
            sections.push(section(names.len(), part.address, place, part.compressed));
            names.extend_from_slice(part.name.as_bytes());
            names.push(0);
            bytes.extend_from_slice(&part.bytes);
            if part.address != 0 {
                programs.push(program(elf::PT_LOAD, elf::PF_R, place.0, part.address, place.1));
            }
            if part.name == ".eh_frame_hdr" {
                programs.push(program(elf::PT_GNU_EH_FRAME, elf::PF_R, place.0, part.address, place.1));
            }
        }
        sections.push(section(0, 0, (bytes.len() as u64, names.len() as u64), false));
        bytes.extend_from_slice(&names);
        let at = bytes.len() as u64;
        let count = if self.section_headers { sections.len() } else { 0 };
        bytes.extend_from_slice(pod::bytes_of_slice(&sections[..count]));
        bytes.resize(bytes.len().max(usize::try_from(self.text_size.min(0x10_0000)).unwrap()), 0);
        let header = header(self.entry, at, programs.len(), count);
        bytes[..size_of_val(&header)].copy_from_slice(pod::bytes_of(&header));
        bytes[64..64 + size_of_val(programs.as_slice())].copy_from_slice(pod::bytes_of_slice(&programs));
        bytes
    }
}

fn header(entry: u64, sections_at: u64, programs: usize, sections: usize) -> FileHeader64<LE> {
    let count = |n: usize| U16::new(LE, u16::try_from(n).unwrap());
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
        e_entry: U64::new(LE, entry),
        e_phoff: U64::new(LE, 64),
        e_shoff: U64::new(LE, sections_at),
        e_flags: U32::default(),
        e_ehsize: count(64),
        e_phentsize: count(56),
        e_phnum: count(programs),
        e_shentsize: count(64),
        e_shnum: count(sections),
        e_shstrndx: U16::new(LE, elf::SymbolSection(u16::try_from(sections.saturating_sub(1)).unwrap())),
    }
}

fn program(
    kind: elf::ProgramType,
    flags: elf::ProgramFlags,
    offset: u64,
    address: u64,
    size: u64,
) -> ProgramHeader64<LE> {
    ProgramHeader64 {
        p_type: U32::new(LE, kind),
        p_flags: U32::new(LE, flags),
        p_offset: U64::new(LE, offset),
        p_vaddr: U64::new(LE, address),
        p_paddr: U64::new(LE, address),
        p_filesz: U64::new(LE, size),
        p_memsz: U64::new(LE, size),
        p_align: U64::new(LE, 8),
    }
}

fn section(name: usize, address: u64, (offset, size): (u64, u64), compressed: bool) -> SectionHeader64<LE> {
    let flags = if compressed { elf::SHF_COMPRESSED } else { elf::SHF_ALLOC };
    SectionHeader64 {
        sh_name: U32::new(LE, u32::try_from(name).unwrap()),
        sh_type: U32::new(LE, elf::SHT_PROGBITS),
        sh_flags: U64::new(LE, flags),
        sh_addr: U64::new(LE, address),
        sh_offset: U64::new(LE, offset),
        sh_size: U64::new(LE, size),
        sh_link: U32::default(),
        sh_info: U32::default(),
        sh_addralign: U64::new(LE, 1),
        sh_entsize: U64::default(),
    }
}

/// One CIE and its functions, each a start, a length and its instructions.
pub(super) fn eh_frame(augmentation: &str, functions: &[(u64, u64, &[u8])]) -> Vec<u8> {
    frames(0, augmentation, functions)
}

/// The same as `.debug_frame`.
pub(super) fn debug_frame(functions: &[(u64, u64, &[u8])]) -> Vec<u8> {
    frames(u32::MAX, "", functions)
}

fn frames(cie_id: u32, augmentation: &str, functions: &[(u64, u64, &[u8])]) -> Vec<u8> {
    let mut cie = cie_id.to_le_bytes().to_vec();
    cie.push(1);
    cie.extend_from_slice(augmentation.as_bytes());
    // Code factor 1, data factor -8, return address in column 16.
    cie.extend_from_slice(&[0, 1, 0x78, 16]);
    if augmentation.starts_with('z') {
        // Addresses are eight absolute bytes.
        cie.extend_from_slice(if augmentation.contains('R') { &[1, 0] } else { &[0] });
    }
    cie.extend_from_slice(&INITIAL);
    let mut bytes = entry(&cie);
    for &(start, length, instructions) in functions {
        let back = if cie_id == 0 { u32::try_from(bytes.len()).unwrap() + 4 } else { 0 };
        let mut fde = back.to_le_bytes().to_vec();
        fde.extend_from_slice(&start.to_le_bytes());
        fde.extend_from_slice(&length.to_le_bytes());
        if augmentation.starts_with('z') {
            fde.push(0);
        }
        fde.extend_from_slice(instructions);
        bytes.extend_from_slice(&entry(&fde));
    }
    bytes
}

fn entry(content: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(content.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes
}
