//! One file of a spool: messages, one behind the other, each with its length and a checksum. What is behind the last
//! whole message is no part of it.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::Message;

/// Before a message: its length, how many items it holds, and the checksum of both and of itself.
const HEAD: usize = 12;
/// Bytes of the longest message; whatever says that it is longer is damaged.
const MAX_MESSAGE: u32 = 64 << 20;

/// Where the first message of a segment begins.
pub(super) const START: u64 = 0;

/// Behind a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// A segment and how far it is whole.
#[derive(Debug)]
pub(super) struct Segment {
    number: u64,
    file: File,
    length: u64,
    /// Items of its messages that were not sent.
    unsent: u64,
}

/// A segment that an earlier daemon wrote.
pub(super) struct Opened {
    pub(super) segment: Segment,
    /// Whether its end was damaged, and was cut off.
    pub(super) cut: bool,
    /// Items of the whole messages that were cut off behind a damaged one.
    pub(super) lost: u64,
}

/// The file of the segment of this number.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}.spool"))
}

/// The numbers of the segments that there are, in order.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number: Option<u64> = name.to_str().and_then(|name| name.strip_suffix(".spool")?.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Bytes that a message takes in a segment.
pub(super) fn length(message: &Message) -> u64 {
    (HEAD + message.bytes.len()) as u64
}

impl Segment {
    pub(super) fn create(folder: &Path, number: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).mode(0o600);
        Ok(Self { number, file: file.open(path(folder, number))?, length: START, unsent: 0 })
    }

    /// Opens a segment that an earlier daemon wrote and sent up to `sent`, and cuts off what is not whole.
    pub(super) fn open(folder: &Path, number: u64, sent: u64) -> io::Result<Opened> {
        let file = OpenOptions::new().read(true).write(true).open(path(folder, number))?;
        let there = file.metadata()?.len();
        let mut segment = Self { number, file, length: there, unsent: 0 };
        let mut whole = START;
        while let Ok((message, next)) = segment.read(whole) {
            segment.unsent += if whole < sent { 0 } else { u64::from(message.items) };
            whole = next.offset;
        }
        let lost = segment.items_behind(whole.max(sent));
        if whole < there {
            segment.file.set_len(whole)?;
        }
        segment.length = whole;
        Ok(Opened { segment, cut: whole < there, lost })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        path(folder, self.number)
    }

    /// Bytes of whole messages.
    pub(super) fn bytes(&self) -> u64 {
        self.length
    }

    /// Items of its messages that were not sent. Counted in memory: what is on disk may be damaged.
    pub(super) fn unsent(&self) -> u64 {
        self.unsent
    }

    /// A message of so many items was sent, or given up.
    pub(super) fn done(&mut self, items: u32) {
        self.unsent = self.unsent.saturating_sub(items.into());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == START
    }

    /// Appends a message, whole or not at all.
    pub(super) fn append(&mut self, message: &Message) -> io::Result<()> {
        let length = u32::try_from(message.bytes.len()).ok().filter(|length| *length <= MAX_MESSAGE);
        let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
        let mut bytes = Vec::with_capacity(HEAD + message.bytes.len());
        bytes.extend(length.to_le_bytes());
        bytes.extend(message.items.to_le_bytes());
        bytes.extend(checksum(length, message.items, &message.bytes).to_le_bytes());
        bytes.extend(&message.bytes);
        let written = self.file.write_all_at(&bytes, self.length);
        if written.is_err() {
            // Whatever is left behind the end is written over, or cut off when the spool is opened.
            let _ = self.file.set_len(self.length);
        }
        written?;
        self.length += bytes.len() as u64;
        self.unsent += u64::from(message.items);
        Ok(())
    }

    /// The message that begins here, and the place behind it.
    pub(super) fn read(&self, offset: u64) -> io::Result<(Message, Place)> {
        let (length, items, sum) = self.head(offset)?;
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, offset + HEAD as u64)?;
        if checksum(length, items, &bytes) != sum {
            return Err(damaged());
        }
        let end = offset + (HEAD + bytes.len()) as u64;
        Ok((Message { items, bytes }, Place { segment: self.number, offset: end }))
    }

    /// Items of the messages that are whole from here on, whatever lies between them. What a damaged one held is not
    /// known.
    fn items_behind(&self, mut offset: u64) -> u64 {
        let mut sum = 0;
        while let Ok((length, ..)) = self.head(offset) {
            sum += self.read(offset).map_or(0, |(message, _)| u64::from(message.items));
            offset += HEAD as u64 + u64::from(length);
        }
        sum
    }

    /// Length, items and checksum of the message that begins here. It lies whole within the segment, if what it says is true.
    fn head(&self, offset: u64) -> io::Result<(u32, u32, u32)> {
        let mut head = [0; HEAD];
        self.file.read_exact_at(&mut head, offset)?;
        let [l0, l1, l2, l3, i0, i1, i2, i3, s0, s1, s2, s3] = head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if offset + HEAD as u64 + u64::from(length) > self.length || length > MAX_MESSAGE {
            return Err(damaged());
        }
        Ok((length, u32::from_le_bytes([i0, i1, i2, i3]), u32::from_le_bytes([s0, s1, s2, s3])))
    }
}

fn checksum(length: u32, items: u32, bytes: &[u8]) -> u32 {
    let head = crc32c::crc32c(&[length.to_le_bytes(), items.to_le_bytes()].concat());
    crc32c::crc32c_append(head, bytes)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the message is damaged")
}
