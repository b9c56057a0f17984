//! A queue on disk of what is to be sent: what was pushed is there after a crash, in order, each message once.
//!
//! Messages are appended to segments, files of at most an eighth of the spool's size. What was sent is remembered in a
//! small file of its own (`sent`). A crash while a message is written leaves part of it, which is cut off when the
//! spool is opened; a crash between sending a message and remembering it sends that one message again, which receivers
//! take for what it is, since it is the same samples of the same instants. Nothing is synced by each push: a power cut may
//! cost the last seconds, a crash of the daemon costs nothing.
//!
//! When the spool is full the oldest segment is dropped, and its messages are told to whoever pushed.

mod segment;
mod sent;

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use self::{segment::Segment, sent::Sent};

/// Segments that the spool is made of when it is full.
const SEGMENTS: u64 = 8;

/// Why a spool cannot be opened, or written.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another process has it open.
    #[error("the spool {0} is in use by another process")]
    InUse(PathBuf),
    /// The file system refuses.
    #[error("the spool {path}: {error}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl SpoolError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { path: path.to_owned(), error }
    }
}

/// A message that waits to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// What it holds, by the sender's own count: samples.
    pub(super) items: u32,
    /// What is sent.
    pub(super) bytes: Vec<u8>,
}

/// What was given up, and how much is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Ends of segments that were damaged, and were cut off.
    pub(super) cut: u64,
    /// Items that were lost with them, as far as is known, and of a message that was given up while it was sent.
    pub(super) lost: u64,
}

/// A spool. One process has it at a time.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    max_bytes: u64,
    /// Oldest first; the last one is written.
    segments: VecDeque<Segment>,
    sent: Sent,
    /// The message that was peeked at last, to know what `done` is about: the place behind it, and its items.
    front: Option<(segment::Place, u32)>,
    /// Items of the message that was peeked at last, where its segment had to go since: whether they are sent or lost
    /// is known when it is done, or another is peeked at.
    in_flight: u32,
    _lock: File,
}

impl Spool {
    /// Opens the spool in `folder`, which is made where it is missing, and repairs what a crash left.
    pub(super) fn open(folder: &Path, max_bytes: u64) -> Result<(Self, Found), SpoolError> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder).map_err(SpoolError::io(folder))?;
        let lock = lock(folder)?;
        let mut found = Found::default();
        let mut segments = VecDeque::new();
        let mut sent = Sent::open(folder).map_err(SpoolError::io(folder))?;
        for number in segment::numbers(folder).map_err(SpoolError::io(folder))? {
            let path = segment::path(folder, number);
            let opened = Segment::open(folder, number, sent.within(number)).map_err(SpoolError::io(&path))?;
            found.cut += u64::from(opened.cut);
            found.lost += opened.lost;
            segments.push_back(opened.segment);
        }
        // Sent further than is there: a power cut took the end of the file.
        let place = sent.place();
        if let Some(short) =
            segments.iter().find(|s: &&Segment| s.number() == place.segment && s.bytes() < place.offset)
        {
            let _ = sent.remember(segment::Place { offset: short.bytes(), ..place });
        }
        let folder = folder.to_owned();
        let mut spool = Self { folder, max_bytes, segments, sent, front: None, in_flight: 0, _lock: lock };
        spool.forget_sent();
        Ok((spool, found))
    }

    /// Appends a message. Returns the items of the messages that had to go for it, but for the one that was
    /// peeked at last: it may be sent all the same.
    ///
    /// # Errors
    /// It could not be written, or not whole: it is not there then, and what was there still is.
    pub(super) fn push(&mut self, message: &Message) -> Result<u64, SpoolError> {
        let needed = segment::length(message);
        let limit = (self.max_bytes / SEGMENTS).max(1);
        if self.segments.back().is_none_or(|last| !last.is_empty() && last.bytes() + needed > limit) {
            let number = self.segments.back().map_or(self.sent.place().segment, Segment::number) + 1;
            let path = segment::path(&self.folder, number);
            let segment = Segment::create(&self.folder, number).map_err(SpoolError::io(&path))?;
            self.segments.push_back(segment);
        }
        let mut dropped = 0;
        while self.segments.len() > 1 && self.bytes() + needed > self.max_bytes {
            dropped += self.drop_oldest();
        }
        if let Some(last) = self.segments.back_mut() {
            let path = last.path(&self.folder);
            last.append(message).map_err(SpoolError::io(&path))?;
        }
        Ok(dropped)
    }

    /// The oldest message that was not sent; the same one until [`Self::done`]. A segment that cannot be read any
    /// more is left out, and counted as damaged and lost.
    pub(super) fn peek(&mut self, found: &mut Found) -> Option<Message> {
        self.front = None;
        found.lost += u64::from(std::mem::take(&mut self.in_flight));
        loop {
            let first = self.segments.front()?;
            let at = self.sent.within(first.number());
            if at < first.bytes() {
                match first.read(at) {
                    Ok((message, next)) => {
                        self.front = Some((next, message.items));
                        return Some(message);
                    }
                    Err(_) => found.cut += 1,
                }
            }
            if self.segments.len() == 1 && at >= first.bytes() {
                return None;
            }
            found.lost += self.drop_oldest();
        }
    }

    /// The message that was peeked at last is sent, or given up.
    pub(super) fn done(&mut self) {
        self.in_flight = 0;
        let Some((place, items)) = self.front.take() else { return };
        if let Some(first) = self.segments.front_mut() {
            first.done(items);
        }
        // What cannot be remembered is sent once more after a crash, which receivers stand.
        let _ = self.sent.remember(place);
        self.forget_sent();
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(Segment::bytes).sum()
    }

    /// Whether everything was sent.
    #[cfg(test)]
    pub(super) fn is_empty(&mut self) -> bool {
        self.peek(&mut Found::default()).is_none()
    }

    /// Deletes the segments of which everything was sent, but for the one that is written.
    fn forget_sent(&mut self) {
        let place = self.sent.place();
        while self.segments.len() > 1
            && self.segments.front().is_some_and(|first| {
                first.number() < place.segment
                    || first.number() == place.segment && place.offset >= first.bytes()
            })
        {
            self.drop_oldest();
        }
    }

    /// Deletes the oldest segment; returns the items in it that were not sent, and are not about to be.
    fn drop_oldest(&mut self) -> u64 {
        let Some(segment) = self.segments.pop_front() else { return 0 };
        let _ = std::fs::remove_file(segment.path(&self.folder));
        let Some((_, items)) = self.front.take() else { return segment.unsent() };
        self.in_flight = items;
        segment.unsent().saturating_sub(items.into())
    }
}

fn lock(folder: &Path) -> Result<File, SpoolError> {
    let path = folder.join("lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).map_err(SpoolError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SpoolError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(SpoolError::io(&path)(error)),
    }
}

#[cfg(test)]
mod tests;
