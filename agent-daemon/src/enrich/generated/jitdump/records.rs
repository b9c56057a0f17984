//! The records of a jitdump, as perf's specification of it lays them out (tools/perf/Documentation/
//! jitdump-specification.txt in the kernel's source). Numbers are in the byte order of the machine that wrote them:
//! ours, or the file is refused. Every read is checked; what does not fit is none.

/// Bytes at the beginning of the file that are looked at.
pub(super) const FILE_HEADER: usize = 40;
/// Bytes before what is special to a kind of record.
pub(super) const RECORD_HEADER: usize = 16;
/// Bytes of a record that [`Record::parse`] looks at, at most.
pub(super) const RECORD: usize = RECORD_HEADER + 48;

/// Bytes before the name in a record that loads code.
const BEFORE_NAME: usize = RECORD_HEADER + 40;
/// Bytes before the first line in a record of lines.
const BEFORE_LINES: usize = RECORD_HEADER + 16;
/// "JiTD", as a number in the writer's byte order.
const MAGIC: u32 = 0x4a69_5444;
/// Newest version of the file; the second version of the specification still writes 1.
const VERSION: u32 = 2;
/// What V8 writes where others write nothing, or what was there.
const V8: u32 = 0xdead_beef;
/// Stands for the file name of the line before.
const SAME_FILE: &[u8] = b"\xff";

/// What the beginning of the file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Offset of the first record.
    pub(super) records: u64,
    /// Whether V8 wrote it.
    pub(super) by_v8: bool,
}

impl Header {
    /// Reads the beginning; `None` for other files, other byte orders and versions that are not known.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(bytes);
        let (magic, version, size) = (bytes.u32()?, bytes.u32()?, bytes.u32()?);
        let (_machine, reserved) = (bytes.u32()?, bytes.u32()?);
        let is_known = magic == MAGIC && (1..=VERSION).contains(&version);
        (is_known && size as usize >= FILE_HEADER)
            .then_some(Self { records: u64::from(size), by_v8: reserved == V8 })
    }
}

/// The size of the record that begins here, and what is done about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// Code was made.
    Load { start: u64, size: u64, index: u64 },
    /// Code was moved.
    Move { from: u64, to: u64, size: u64, index: u64 },
    /// Here are the lines of the code that will be loaded at this address.
    Lines { start: u64 },
    /// The end, unwind information, or what is not known.
    Other,
}

/// The size of a record that begins with these bytes; `None` if it cannot be one.
pub(super) fn size(header: &[u8]) -> Option<u64> {
    let mut bytes = Bytes(header);
    bytes.u32()?;
    let size = bytes.u32()?;
    (size as usize >= RECORD_HEADER).then_some(u64::from(size))
}

impl Record {
    /// Reads what stands before names, lines and code.
    pub(super) fn parse(record: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(record);
        let kind = bytes.u32()?;
        bytes.skip(RECORD_HEADER - 4)?;
        Some(match kind {
            0 => {
                // Process, thread, and the address that perf does not use either.
                bytes.skip(16)?;
                Self::Load { start: bytes.u64()?, size: bytes.u64()?, index: bytes.u64()? }
            }
            1 => {
                bytes.skip(16)?;
                let (from, to) = (bytes.u64()?, bytes.u64()?);
                Self::Move { from, to, size: bytes.u64()?, index: bytes.u64()? }
            }
            2 => Self::Lines { start: bytes.u64()? },
            _ => Self::Other,
        })
    }
}

/// The name in a record that loads code, of which these are the first bytes.
pub(super) fn name(load: &[u8]) -> Option<&[u8]> {
    let text = load.get(BEFORE_NAME..)?;
    let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
    text.get(..end)
}

/// File and line of an address, from a record of lines: those of the last entry that is not after it.
pub(super) fn line(record: &[u8], address: u64) -> Option<(&[u8], u32)> {
    let lines = Lines { bytes: Bytes(record.get(BEFORE_LINES..)?), left: count(record)?, file: b"" };
    let (_, file, line) = lines.filter(|(at, ..)| *at <= address).max_by_key(|(at, ..)| *at)?;
    (line > 0 && !file.is_empty()).then_some((file, line))
}

/// How many lines a record has.
fn count(record: &[u8]) -> Option<u64> {
    Bytes(record.get(RECORD_HEADER + 8..)?).u64()
}

/// The lines of a record: address, file, line.
struct Lines<'a> {
    bytes: Bytes<'a>,
    left: u64,
    file: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = (u64, &'a [u8], u32);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (address, line) = (self.bytes.u64()?, self.bytes.u32()?);
        self.bytes.skip(4)?;
        let file = self.bytes.text()?;
        if file != SAME_FILE {
            self.file = file;
        }
        Some((address, self.file, line))
    }
}

/// Bytes to be read in order.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn skip(&mut self, n: usize) -> Option<()> {
        self.0 = self.0.get(n..)?;
        Some(())
    }

    fn u32(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_ne_bytes(*number))
    }

    fn u64(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_ne_bytes(*number))
    }

    /// What stands before the next zero.
    fn text(&mut self) -> Option<&'a [u8]> {
        let (text, rest) = self.0.split_at_checked(self.0.iter().position(|b| *b == 0)?)?;
        self.0 = rest.get(1..)?;
        Some(text)
    }
}
