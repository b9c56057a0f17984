//! Unwinds a copy of a stack in user space, by framehop: nothing here is shared with the kernel's walker but the
//! sections of the files, so that each can be judged by the other. Also what is left for a process whose tables are
//! still being made. It costs some ten microseconds a stack, and sees no further than the copy.
//!
//! framehop trusts a file's index of functions, and computes without overflow checks only in release builds: a file
//! that lies gets wrong frames there.

use std::sync::Arc;

use framehop::{
    Error, ExplicitModuleSectionInfo, Module, Unwinder,
    x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64},
};

use super::table::{Image, Limits, ReadAt, Segments, Sources, TableError};

/// Frames of one stack at most: as many as the kernel's stacks have.
pub const MAX_FRAMES: usize = agent_common::stack::MAX_FRAMES;

/// The registers that unwinding begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// rip.
    pub ip: u64,
    /// rsp.
    pub sp: u64,
    /// rbp.
    pub fp: u64,
}

/// An executable mapping of a file, as `/proc/PID/maps` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappedCode {
    /// First address.
    pub start: u64,
    /// First address after.
    pub end: u64,
    /// Where in the file it begins, bytes.
    pub offset: u64,
}

/// How a stack ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyEnd {
    /// At its outermost frame.
    Complete,
    /// At [`MAX_FRAMES`].
    Truncated,
    /// At the end of the copy: the next frame lies beyond it.
    BeyondCopy,
    /// Where no rule led on, or a wrong one led nowhere.
    Lost,
}

/// A stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyFrames {
    /// The pc, then return addresses, innermost first.
    pub addresses: Vec<u64>,
    /// How it ended.
    pub end: CopyEnd,
}

/// A file's unwind information, which any number of [`CopyUnwinder`]s share.
#[derive(Clone)]
pub struct CopyFile {
    segments: Segments,
    eh_frame: Option<Loaded>,
    eh_frame_header: Option<Loaded>,
    debug_frame: Option<Arc<[u8]>>,
}

/// A section, and where it is loaded.
type Loaded = (u64, Arc<[u8]>);

impl CopyFile {
    /// Reads a file's unwind information, by the rules and limits of its table.
    ///
    /// # Errors
    /// As [`super::table::compile`].
    pub fn read(file: &dyn ReadAt, limits: &Limits) -> Result<Self, TableError> {
        let image = Image::read(file)?;
        let sources = Sources::read(&image, limits)?;
        let header = image.eh_frame_header().and_then(|section| {
            let bytes = image.bytes_at(section.offset, section.size, limits.source_bytes).ok()?;
            // The third byte says how functions are counted, if there is an index of them.
            (bytes.get(2) != Some(&gimli::DW_EH_PE_omit.0)).then(|| (section.address, bytes.into()))
        });
        // framehop reads one of them only.
        let prefers_debug = sources.debug_frame.len() > sources.eh_frame.len();
        Ok(Self {
            segments: image.segments(),
            eh_frame: (!prefers_debug).then(|| (sources.eh_frame_address, sources.eh_frame.into())),
            eh_frame_header: header,
            debug_frame: prefers_debug.then(|| sources.debug_frame.into()),
        })
    }

    /// What it takes of memory.
    pub fn bytes(&self) -> usize {
        let loaded = |section: &Option<Loaded>| section.as_ref().map_or(0, |(_, bytes)| bytes.len());
        let debug_frame = self.debug_frame.as_ref().map_or(0, |bytes| bytes.len());
        loaded(&self.eh_frame) + loaded(&self.eh_frame_header) + debug_frame
    }

    fn sections(&self) -> ExplicitModuleSectionInfo<Arc<[u8]>> {
        let range = |(address, bytes): &Loaded| *address..address.saturating_add(bytes.len() as u64);
        let bytes = |(_, bytes): &Loaded| bytes.clone();
        ExplicitModuleSectionInfo {
            eh_frame_svma: self.eh_frame.as_ref().map(range),
            eh_frame: self.eh_frame.as_ref().map(bytes),
            eh_frame_hdr_svma: self.eh_frame_header.as_ref().map(range),
            eh_frame_hdr: self.eh_frame_header.as_ref().map(bytes),
            debug_frame: self.debug_frame.clone(),
            ..ExplicitModuleSectionInfo::default()
        }
    }
}

/// Unwinds stacks of one process.
#[derive(Default)]
pub struct CopyUnwinder {
    unwinder: UnwinderX86_64<Arc<[u8]>>,
    cache: CacheX86_64,
}

impl CopyUnwinder {
    /// An unwinder that knows no code: it follows frame pointers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a mapping of a file; `false` if it shows no code of the file. In all other code frame pointers are
    /// followed.
    pub fn add_module(&mut self, mapping: &MappedCode, file: &CopyFile) -> bool {
        let Some(bias) = file.segments.bias(mapping.start, mapping.offset) else { return false };
        let range = mapping.start..mapping.end;
        self.unwinder.add_module(Module::new(String::new(), range, bias, file.sections()));
        true
    }

    /// Forgets the mapping that begins at this address.
    pub fn remove_module(&mut self, start: u64) {
        self.unwinder.remove_module(start);
    }

    /// The frames of a stack of which `stack` is a copy from the address `stack_base` on.
    pub fn unwind(&mut self, registers: Registers, stack_base: u64, stack: &[u8]) -> CopyFrames {
        let read = |address: u64| word(stack, address.checked_sub(stack_base)?).map(u64::from_le_bytes);
        let mut read_stack = |address| read(address).ok_or(());
        let start = UnwindRegsX86_64::new(registers.ip, registers.sp, registers.fp);
        let mut frames = self.unwinder.iter_frames(registers.ip, start, &mut self.cache, &mut read_stack);
        let mut addresses = Vec::new();
        let end = loop {
            match frames.next() {
                Ok(Some(_)) if addresses.len() == MAX_FRAMES => break CopyEnd::Truncated,
                Ok(Some(frame)) => addresses.push(frame.address()),
                Ok(None) => break CopyEnd::Complete,
                Err(Error::CouldNotReadStack(address)) if is_beyond(address, stack_base, stack) => {
                    break CopyEnd::BeyondCopy;
                }
                Err(_) => break CopyEnd::Lost,
            }
        };
        CopyFrames { addresses, end }
    }
}

/// The eight bytes at an offset.
fn word(stack: &[u8], offset: u64) -> Option<[u8; 8]> {
    stack.get(usize::try_from(offset).ok()?..)?.first_chunk().copied()
}

/// Whether the copy ends before this address's eight bytes do, though a stack could go on to there.
fn is_beyond(address: u64, stack_base: u64, stack: &[u8]) -> bool {
    let end = stack_base.saturating_add(stack.len() as u64);
    let largest = 16 << 20;
    (end.saturating_sub(7)..end.saturating_add(largest)).contains(&address)
}

#[cfg(test)]
pub(super) mod tests;
