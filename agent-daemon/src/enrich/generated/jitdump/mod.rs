//! Jitdumps: files in which a runtime records all code that it makes, with names and, some, lines. Kept in memory is
//! only where code is and where its records are; names and lines are read when they are asked for. The file is read
//! on from where reading ended, never more than [`MAX_READ`] bytes and [`MAX_RECORDS`] records at a time: what is
//! left is read the next time. Code whose record was not written yet has no name: V8 writes some kilobytes late.
//!
//! V8's lines are not told, but where the function begins, as for all JavaScript: V8 writes the lines of baseline
//! code by offsets in other code, the lines of inlined functions as if they were the function's, and in Node 20
//! freed memory of the process as file names.

mod ranges;
mod records;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, num::NonZeroU64};

use self::{
    ranges::{Code, Ranges},
    records::{FILE_HEADER, Header, RECORD, RECORD_HEADER, Record},
};
use super::name::{GeneratedName, describe};
use crate::{enrich::demangle::cut, unwind::table::ReadAt};

/// Most bytes read at a time on the way through the file.
const MAX_READ: u64 = 64 << 20;
/// Most records read at a time.
const MAX_RECORDS: usize = 128 << 10;
/// Bytes read in one go: several records of most runtimes.
const CHUNK: u64 = 16 << 10;
/// Most bytes read of a record for its name.
const MAX_LOAD: u64 = 4096;
/// Most bytes read of a record of lines; later lines are not seen.
const MAX_LINES: u64 = 256 << 10;
/// Records of lines that wait for the code they belong to: threads may write theirs in between.
const MAX_WAITING: usize = 32;

/// A jitdump that may still be written.
pub struct Jitdump<F> {
    file: F,
    /// Size of the file when it was read last.
    size: u64,
    /// How it began then: it has another beginning when it was written anew.
    begins: Vec<u8>,
    by_v8: bool,
    /// Offset of the first record that was not read yet; 0 before the first.
    next: u64,
    /// Whether there was more to read than may be read at a time.
    is_behind: bool,
    code: Ranges,
    /// Addresses and offsets of the lines of code that was not loaded yet.
    waiting: VecDeque<(u64, u64)>,
}

impl<F: ReadAt> Jitdump<F> {
    /// Any file; what is no jitdump has no names.
    pub fn new(file: F) -> Self {
        Self {
            file,
            size: 0,
            begins: Vec::new(),
            by_v8: false,
            next: 0,
            is_behind: false,
            code: Ranges::default(),
            waiting: VecDeque::new(),
        }
    }

    /// Whether there is more than was read.
    pub fn has_news(&self) -> bool {
        self.is_behind || self.file.size().is_ok_and(|size| size != self.size)
    }

    /// The names of the code at these addresses, after reading on; where code was replaced, the last one.
    pub fn names(&mut self, addresses: &[u64]) -> Vec<Option<GeneratedName>> {
        self.read_on();
        addresses.iter().map(|address| self.name(*address)).collect()
    }

    fn name(&self, address: u64) -> Option<GeneratedName> {
        let code = self.code.find(address)?;
        let load = self.record(code.load, MAX_LOAD)?;
        let mut name = describe(&String::from_utf8_lossy(records::name(&load)?));
        if let Some(lines) = code.debug.filter(|_| !self.by_v8)
            && let Some(lines) = self.record(lines.get(), MAX_LINES)
            && let Some((file, line)) = records::line(&lines, address.wrapping_sub(code.moved))
        {
            name.file = Some(cut(&String::from_utf8_lossy(file)));
            name.line = Some(line);
        }
        Some(name)
    }

    /// A record, or the first bytes of it.
    fn record(&self, at: u64, most: u64) -> Option<Vec<u8>> {
        let mut header = [0; RECORD_HEADER];
        self.file.read_at(&mut header, at).ok()?;
        let size = records::size(&header)?.min(most);
        let mut record = vec![0; usize::try_from(size).ok()?];
        self.file.read_at(&mut record, at).ok()?;
        Some(record)
    }

    /// Reads what was written since it was read last, within limits.
    fn read_on(&mut self) {
        self.size = self.file.size().unwrap_or(0);
        if !self.begin() {
            return;
        }
        let (mut bytes, mut records) = (Chunk::new(self.size), 0);
        // A record that is no more than begun is read another time.
        while let Some(size) = bytes.get(&self.file, self.next, RECORD_HEADER).and_then(records::size)
            && let Some(end) = self.next.checked_add(size).filter(|end| *end <= self.size)
        {
            self.is_behind = bytes.read >= MAX_READ || records >= MAX_RECORDS;
            if self.is_behind {
                return;
            }
            let looked_at = RECORD.min(usize::try_from(size).unwrap_or(RECORD));
            if let Some(record) = bytes.get(&self.file, self.next, looked_at).and_then(Record::parse) {
                self.take_note(record);
            }
            self.next = end;
            records += 1;
        }
        self.is_behind = false;
    }

    /// Reads how the file begins, and forgets all that was read if it begins anew; whether it is a jitdump.
    fn begin(&mut self) -> bool {
        let mut begins = vec![0; FILE_HEADER];
        if self.file.read_at(&mut begins, 0).is_err() {
            begins.clear();
        }
        if self.begins != begins || self.size < self.next {
            let header = Header::parse(&begins);
            self.next = header.as_ref().map_or(0, |h| h.records);
            self.by_v8 = header.is_some_and(|h| h.by_v8);
            self.code = Ranges::default();
            self.waiting.clear();
            self.is_behind = false;
            self.begins = begins;
        }
        self.next > 0
    }

    /// Takes note of the record that is next.
    fn take_note(&mut self, record: Record) {
        match record {
            Record::Load { start, size, index } => {
                let debug = self.lines_of(start);
                let code = Code { end: start.saturating_add(size), index, load: self.next, debug, moved: 0 };
                self.code.insert(start, code);
            }
            Record::Move { from, to, size, index } => {
                let end = to.saturating_add(size);
                let moved = self.code.take(from, index);
                // Whatever was there is not there any more.
                self.code.clear(to, end);
                if let Some(code) = moved {
                    let moved = code.moved.wrapping_add(to.wrapping_sub(from));
                    self.code.insert(to, Code { end, moved, ..code });
                }
            }
            Record::Lines { start } => {
                if self.waiting.len() >= MAX_WAITING {
                    self.waiting.pop_front();
                }
                self.waiting.push_back((start, self.next));
            }
            Record::Other => {}
        }
    }

    /// The lines that wait for the code at this address.
    fn lines_of(&mut self, start: u64) -> Option<NonZeroU64> {
        let i = self.waiting.iter().rposition(|(address, _)| *address == start)?;
        let (_, at) = self.waiting.remove(i)?;
        NonZeroU64::new(at)
    }
}

/// The part of the file that is being looked at.
struct Chunk {
    file_size: u64,
    start: u64,
    bytes: Vec<u8>,
    /// Bytes read so far.
    read: u64,
}

impl Chunk {
    fn new(file_size: u64) -> Self {
        Self { file_size, start: 0, bytes: Vec::new(), read: 0 }
    }

    /// These bytes of the file, if it has them.
    fn get(&mut self, file: &impl ReadAt, at: u64, n: usize) -> Option<&[u8]> {
        if self.held(at, n).is_none() {
            let size = self.file_size.checked_sub(at)?.min(CHUNK);
            self.bytes.resize(usize::try_from(size).ok()?, 0);
            self.start = at;
            self.read += size;
            if file.read_at(&mut self.bytes, at).is_err() {
                self.bytes.clear();
            }
        }
        self.held(at, n)
    }

    fn held(&self, at: u64, n: usize) -> Option<&[u8]> {
        let from = usize::try_from(at.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(n)?)
    }
}
