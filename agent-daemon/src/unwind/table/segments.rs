//! Where a file's code is loaded, which gives a mapping's load bias. Only executable segments count: linkers let
//! two segments share a page of the file, and the other one's address would shift every pc.

use object::{
    LittleEndian as LE,
    elf::{self, ProgramHeader64},
};

/// The file is mapped by pages of this many bytes.
const PAGE: u64 = 4096;

/// A part of the file that holds code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins in the file, bytes.
    pub offset: u64,
    /// The address for which it was linked.
    pub address: u64,
    /// Its length in the file, bytes.
    pub file_size: u64,
}

impl Segment {
    /// The first address after it; saturates.
    pub fn end(&self) -> u64 {
        self.address.saturating_add(self.file_size)
    }
}

/// The executable segments of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments(Vec<Segment>);

impl Segments {
    /// In the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.0.iter()
    }

    /// What is to be subtracted (wrapping) from an address in a process to get the file's own, for a mapping that
    /// begins at `start` and shows the file from `offset` on (both as in `/proc/PID/maps`). `None` where it shows
    /// no code of the file.
    pub fn bias(&self, start: u64, offset: u64) -> Option<u64> {
        let segment = self.0.iter().find(|s| s.pages().contains(&offset))?;
        let address = segment.address.wrapping_add(offset.wrapping_sub(segment.offset));
        Some(start.wrapping_sub(address))
    }

    /// The end of the segment in which an address lies.
    pub(super) fn end_of(&self, address: u64) -> Option<u64> {
        self.0.iter().find(|s| (s.address..s.end()).contains(&address)).map(Segment::end)
    }
}

impl Segment {
    /// The bytes of the file that a mapping of it shows.
    fn pages(&self) -> std::ops::Range<u64> {
        self.offset & !(PAGE - 1)..self.offset.saturating_add(self.file_size)
    }
}

impl<'a> FromIterator<&'a ProgramHeader64<LE>> for Segments {
    fn from_iter<I: IntoIterator<Item = &'a ProgramHeader64<LE>>>(headers: I) -> Self {
        let holds_code = |p: &&ProgramHeader64<LE>| {
            p.p_type.get(LE) == elf::PT_LOAD && p.p_flags.get(LE).contains(elf::PF_X)
        };
        let segment = |p: &ProgramHeader64<LE>| Segment {
            offset: p.p_offset.get(LE),
            address: p.p_vaddr.get(LE),
            file_size: p.p_filesz.get(LE),
        };
        Self(headers.into_iter().filter(holds_code).map(segment).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Segment, Segments};

    /// What lld writes: the code begins in the middle of a page of the file, two pages up in memory.
    fn lld() -> Segments {
        Segments(vec![Segment { offset: 0x1730, address: 0x3730, file_size: 0x2000 }])
    }

    #[test]
    fn the_bias_is_the_executable_segments() {
        assert_eq!(lld().bias(0x7f00_0000_3000, 0x1000), Some(0x7f00_0000_0000));
        // A piece that mprotect split off.
        assert_eq!(lld().bias(0x7f00_0000_5000, 0x3000), Some(0x7f00_0000_0000));
        assert_eq!(lld().bias(0x7f00_0000_0000, 0), None);
        assert_eq!(lld().bias(0x7f00_0000_6000, 0x4000), None);
    }

    #[test]
    fn headers_that_lie_do_no_harm() {
        let all = Segments(vec![Segment { offset: 0, address: 0x1000, file_size: u64::MAX }]);
        assert_eq!(all.bias(0, 0x5000), Some(0u64.wrapping_sub(0x6000)));
        assert_eq!((all.end_of(u64::MAX - 1), all.end_of(0xfff)), (Some(u64::MAX), None));
    }
}
