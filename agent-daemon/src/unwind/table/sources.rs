//! Where a file keeps its unwind information, and the bytes of it. Linkers write `.eh_frame`; a program that was
//! told to do without has `.debug_frame` if it was built for a debugger, perhaps compressed. Both are read, since
//! such a program still has a little `.eh_frame` of the C library's start files.

use std::io::Read;

use gimli::{BaseAddresses, EhFrameHdr, LittleEndian};
use object::{
    LittleEndian as LE,
    elf::{CompressionHeader64, ELFCOMPRESS_ZLIB},
    pod,
};

use super::{
    Limits, TableError,
    image::{Image, Section},
};

/// Bytes of `.eh_frame_hdr` that are read: as many as name the place of `.eh_frame`.
const HEADER_BYTES: u64 = 32;
/// Sections that only Go's linker writes.
const GO_SECTIONS: [&[u8]; 3] = [b".gopclntab", b".data.rel.ro.gopclntab", b".go.buildinfo"];

/// A file's unwind information.
#[derive(Default)]
pub(in crate::unwind) struct Sources {
    /// `.eh_frame`; empty if there is none.
    pub(in crate::unwind) eh_frame: Vec<u8>,
    /// Where it is loaded: its pointers are relative.
    pub(in crate::unwind) eh_frame_address: u64,
    /// `.debug_frame`; empty if there is none.
    pub(in crate::unwind) debug_frame: Vec<u8>,
}

impl Sources {
    /// Reads what there is.
    pub(in crate::unwind) fn read(image: &Image<'_>, limits: &Limits) -> Result<Self, TableError> {
        let mut sources = Self::default();
        if let Some(section) = image.section(b".eh_frame").filter(|s| !s.compressed) {
            sources.eh_frame = image.bytes_at(section.offset, section.size, limits.source_bytes)?;
            sources.eh_frame_address = section.address;
        } else if let Some(section) = behind_header(image) {
            let size = section.size.min(limits.source_bytes);
            sources.eh_frame = image.bytes_at(section.offset, size, size)?;
            sources.eh_frame_address = section.address;
        }
        if let Some(section) = image.section(b".debug_frame").filter(|_| !is_go(image)) {
            match debug_frame(image, section, limits.source_bytes) {
                Ok(bytes) => sources.debug_frame = bytes,
                Err(error) if sources.eh_frame.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        if sources.eh_frame.is_empty() && sources.debug_frame.is_empty() {
            return Err(TableError::NoUnwindInfo);
        }
        Ok(sources)
    }

    /// Bytes of both.
    pub(super) fn bytes(&self) -> u64 {
        (self.eh_frame.len() + self.debug_frame.len()) as u64
    }
}

/// Whether Go's linker made the file. Go's `.debug_frame` would stop where goroutines change to the scheduler's
/// stack and back; its frame pointers go on.
fn is_go(image: &Image<'_>) -> bool {
    GO_SECTIONS.iter().any(|name| image.section(name).is_some())
}

/// `.eh_frame` of a file without section headers. Its length is not known: a terminator ends it.
fn behind_header(image: &Image<'_>) -> Option<Section> {
    let header = image.eh_frame_header()?;
    let bytes = image.bytes_at(header.offset, header.size.min(HEADER_BYTES), HEADER_BYTES).ok()?;
    let bases = BaseAddresses::default().set_eh_frame_hdr(header.address);
    let parsed = EhFrameHdr::new(&bytes, LittleEndian).parse(&bases, 8).ok()?;
    image.rest_of_segment(parsed.eh_frame_ptr().direct().ok()?)
}

fn debug_frame(image: &Image<'_>, section: Section, max: u64) -> Result<Vec<u8>, TableError> {
    let bytes = image.bytes_at(section.offset, section.size, max)?;
    if !section.compressed {
        return Ok(bytes);
    }
    let (header, packed) = pod::from_bytes::<CompressionHeader64<LE>>(&bytes)
        .map_err(|()| TableError::Malformed("a compressed section is shorter than its header"))?;
    if header.ch_type.get(LE) != ELFCOMPRESS_ZLIB {
        return Err(TableError::Unsupported(
            "its unwind information is compressed by something else than zlib",
        ));
    }
    let size = header.ch_size.get(LE);
    if size > max {
        return Err(TableError::TooLarge { what: "a section", size, max });
    }
    let mut unpacked = Vec::new();
    flate2::read::ZlibDecoder::new(packed)
        .take(size)
        .read_to_end(&mut unpacked)
        .map_err(|_| TableError::Malformed("a compressed section cannot be unpacked"))?;
    Ok(unpacked)
}
