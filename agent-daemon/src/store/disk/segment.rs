//! Segments of the head: append-only files of frames, each with its length and checksum, synced once a batch.
//!
//! A frame is all there or not there: what is torn at the end of a file, by a crash or a full disk, is cut off at the
//! last whole frame. A segment is written by one process, once; it is never appended to by a later one.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::codec::{Kind, bytes::MAX_RECORD};
use crate::store::StoreError;

/// How a segment begins; the last byte is the format's version.
const MAGIC: &[u8; 8] = b"APHEAD\0\x01";

/// Magic, the segment's number and the checksum of both.
const HEADER: usize = 20;

/// Length and checksum before every frame.
const FRAME_HEADER: usize = 8;

/// Bytes that may wait for room on the disk. Beyond, the segment is given up: its records stay in memory until they
/// are sealed.
const MAX_WAITING: usize = 8 << 20;
/// Bytes of a segment, where nothing can be sealed for long: beyond, nothing more is written, and the next start can
/// still read it.
const MAX_SEGMENT: u64 = 64 << 20;

/// The file of a segment.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("head-{number}.log"))
}

/// The numbers of all segments in the folder, oldest first.
pub(super) fn list(folder: &Path) -> Result<Vec<u64>, StoreError> {
    let failed = || StoreError::io("reading the folder", folder);
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed())? {
        let name = entry.map_err(failed())?.file_name();
        let number = name.to_str().and_then(|n| n.strip_prefix("head-")?.strip_suffix(".log"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes what happened to names in a folder outlast a power cut.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(StoreError::io("syncing the folder", folder))
}

/// The segment that is written.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    number: u64,
    /// Made when there is something to write.
    file: Option<File>,
    /// Up to here the file is whole and synced.
    good: u64,
    /// Whole frames that are not in the file yet.
    waiting: Vec<u8>,
    /// Too much waited: nothing more is written.
    given_up: bool,
}

impl Segment {
    pub(super) fn new(folder: &Path, number: u64) -> Self {
        let path = path(folder, number);
        Self { path, number, file: None, good: 0, waiting: Vec::new(), given_up: false }
    }

    /// Adds a record; [`Segment::flush`] writes it.
    pub(super) fn push(&mut self, kind: Kind, record: &[u8]) {
        if self.given_up {
            return;
        }
        let is_too_large = self.good + (self.waiting.len() + record.len()) as u64 > MAX_SEGMENT;
        if is_too_large || self.waiting.len() + record.len() > MAX_WAITING {
            self.given_up = true;
            self.waiting = Vec::new();
            return;
        }
        let length = (record.len() as u32 + 1).to_le_bytes();
        let checksum = checksum(&length, &[kind as u8], record);
        self.waiting.extend(length);
        self.waiting.extend(checksum.to_le_bytes());
        self.waiting.push(kind as u8);
        self.waiting.extend_from_slice(record);
    }

    /// Whether there is room for what may be left out: the rest is for what was seen.
    pub(super) fn has_room_to_spare(&self) -> bool {
        self.waiting.len() <= MAX_WAITING / 2 && self.good <= MAX_SEGMENT / 2
    }

    /// Writes what waits and syncs it. Where that fails, the file is as it was, and all still waits.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        if self.given_up {
            return Err(StoreError::Full(self.path.clone()));
        }
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.begin()?;
        let Some(file) = &self.file else { return Ok(()) };
        let written = file.write_all_at(&self.waiting, self.good).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // What was written in part would be cut off at the next start anyway.
            let _ = file.set_len(self.good);
            return Err(StoreError::io("writing", &self.path)(error));
        }
        self.good += self.waiting.len() as u64;
        self.waiting.clear();
        self.waiting.shrink_to(64 << 10);
        Ok(())
    }

    /// Whether all that was pushed is in the file.
    pub(super) fn is_whole(&self) -> bool {
        self.waiting.is_empty() && !self.given_up
    }

    /// Bytes in the file.
    pub(super) fn len(&self) -> u64 {
        self.good
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        if self.file.is_some() {
            return Ok(());
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&self.path).map_err(StoreError::io("making", &self.path))?;
        let header = header(MAGIC, self.number);
        file.write_all_at(&header, 0).map_err(StoreError::io("writing", &self.path))?;
        self.path.parent().map_or(Ok(()), sync_folder)?;
        self.good = HEADER as u64;
        self.file = Some(file);
        Ok(())
    }
}

fn header(magic: &[u8; 8], number: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let checksum = crc32c::crc32c_append(crc32c::crc32c(magic), &number.to_le_bytes());
    let parts = magic.iter().copied().chain(number.to_le_bytes()).chain(checksum.to_le_bytes());
    header.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    header
}

fn checksum(length: &[u8], kind: &[u8], record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(length), kind), record)
}

/// A segment that was read.
#[derive(Debug)]
pub(super) struct Read {
    bytes: Vec<u8>,
    /// Up to here the frames are whole.
    pub(super) good: usize,
}

/// Reads a segment.
///
/// # Errors
/// It cannot be read, or a newer agentperf wrote it. That it is damaged is no error: see [`Read::torn`].
pub(super) fn read(folder: &Path, number: u64) -> Result<Read, StoreError> {
    let path = path(folder, number);
    let bytes = std::fs::read(&path).map_err(StoreError::io("reading", &path))?;
    parse(bytes, number, &path)
}

/// The bytes of the segment of this number.
pub(super) fn parse(bytes: Vec<u8>, number: u64, path: &Path) -> Result<Read, StoreError> {
    let whole = match bytes.first_chunk::<HEADER>() {
        Some(found) if *found == header(MAGIC, number) => true,
        Some(found) => refuse_newer(found, number, path).map(|()| false)?,
        None => false,
    };
    let mut read = Read { bytes, good: if whole { HEADER } else { 0 } };
    if whole {
        read.good = HEADER + read.frames().map(|(_, record)| FRAME_HEADER + 1 + record.len()).sum::<usize>();
    }
    Ok(read)
}

/// A header that is whole, but of a later format, is no damage.
fn refuse_newer(found: &[u8; HEADER], number: u64, path: &Path) -> Result<(), StoreError> {
    let [.., known] = MAGIC;
    match found.first_chunk::<8>() {
        Some(magic @ [name @ .., version])
            if MAGIC.starts_with(name) && version > known && *found == header(magic, number) =>
        {
            let (found, known) = (i64::from(*version), i64::from(*known));
            Err(StoreError::TooNew { path: path.to_owned(), found, known })
        }
        _ => Ok(()),
    }
}

impl Read {
    /// The whole frames from the beginning up to the first that is not.
    pub(super) fn frames(&self) -> impl Iterator<Item = (Kind, &[u8])> {
        let mut rest = self.bytes.get(HEADER..).filter(|_| self.good > 0).unwrap_or_default();
        std::iter::from_fn(move || {
            let (kind, record, after) = frame(rest)?;
            rest = after;
            Some((kind, record))
        })
    }

    /// Bytes behind the last whole frame.
    pub(super) fn torn(&self) -> usize {
        self.bytes.len() - self.good
    }

    /// Cuts off what is torn, in the file.
    pub(super) fn cut(&self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(self.good as u64)?;
        file.sync_data()
    }
}

/// The first frame of these bytes, and what follows it; `None` where it is not whole.
fn frame(bytes: &[u8]) -> Option<(Kind, &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|size| *size <= MAX_RECORD)?;
    let (body, after) = rest.split_at_checked(size)?;
    let (kind, record) = body.split_at_checked(1)?;
    let whole = u32::from_le_bytes(*sum) == checksum(length, kind, record);
    let kind = kind.first().filter(|_| whole)?;
    Some((Kind::of(*kind).ok()?, record, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(read: &Read) -> Vec<(Kind, Vec<u8>)> {
        read.frames().map(|(kind, record)| (kind, record.to_vec())).collect()
    }

    fn written(folder: &Path) -> Vec<(Kind, Vec<u8>)> {
        let mut segment = Segment::new(folder, 7);
        let records =
            [(Kind::Agent, b"one".to_vec()), (Kind::Window, vec![0; 40]), (Kind::Process, Vec::new())];
        for (kind, record) in &records {
            segment.push(*kind, record);
            segment.flush().unwrap();
        }
        records.to_vec()
    }

    #[test]
    fn a_file_cut_at_any_byte_holds_the_whole_frames_before() {
        let folder = tempfile::tempdir().unwrap();
        let records = written(folder.path());
        let path = path(folder.path(), 7);
        let bytes = std::fs::read(&path).unwrap();
        let ends = [HEADER, HEADER + 12, HEADER + 12 + 49, HEADER + 12 + 49 + 9];
        assert_eq!(ends[3], bytes.len());
        for cut in 0..=bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let read = read(folder.path(), 7).unwrap();
            let whole = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
            assert_eq!(frames(&read), records[..whole], "{cut}");
            read.cut(&path).unwrap();
            let again = super::read(folder.path(), 7).unwrap();
            assert_eq!((frames(&again).len(), again.torn()), (whole, 0), "{cut}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_ends_the_segment_there() {
        let folder = tempfile::tempdir().unwrap();
        let records = written(folder.path());
        let path = path(folder.path(), 7);
        let bytes = std::fs::read(&path).unwrap();
        for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            std::fs::write(&path, &damaged).unwrap();
            let read = read(folder.path(), 7).unwrap();
            let frames = frames(&read);
            assert!(frames.len() < records.len() && records.starts_with(&frames), "{at} {bit}");
        }
    }

    #[test]
    fn zeros_are_no_frames_and_another_number_is_another_segment() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path());
        let bytes = std::fs::read(path(folder.path(), 7)).unwrap();
        std::fs::write(path(folder.path(), 7), [bytes.as_slice(), &[0; 100]].concat()).unwrap();
        let read_back = read(folder.path(), 7).unwrap();
        assert_eq!((read_back.frames().count(), read_back.torn()), (3, 100));
        std::fs::write(path(folder.path(), 8), &bytes).unwrap();
        assert_eq!(read(folder.path(), 8).unwrap().frames().count(), 0);
        assert_eq!(list(folder.path()).unwrap(), [7, 8]);
    }

    #[test]
    fn a_later_format_is_refused_and_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let magic = b"APHEAD\0\x02";
        std::fs::write(path(folder.path(), 7), [header(magic, 7).as_slice(), b"whatever"].concat()).unwrap();
        assert!(matches!(read(folder.path(), 7), Err(StoreError::TooNew { found: 2, known: 1, .. })));
    }

    #[test]
    fn what_waits_too_long_is_given_up_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let mut segment = Segment::new(&folder.path().join("missing"), 1);
        segment.push(Kind::Window, &[0; 100]);
        assert!(segment.flush().is_err() && !segment.is_whole());
        segment.push(Kind::Window, &vec![0; MAX_WAITING]);
        assert!(segment.flush().is_err() && !segment.is_whole());
        assert_eq!(segment.waiting.capacity(), 0);
    }
}
