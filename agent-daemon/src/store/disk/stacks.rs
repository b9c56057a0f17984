//! Stacks out of the database, and the ones read last, so that a stack is not read twice for one answer.
//!
//! Numbers are never used again, so what is remembered stays right, whatever is swept.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use lru::LruCache;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    codec::{
        CodecError,
        bytes::Decoder,
        names::{end_of, kind_of},
    },
    failure::Failure,
};
use crate::model::stack::{Binary, Frame, Stack, StackEnd};

/// Stacks that are remembered; with their frames a few MB at most.
const STACKS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);
/// Frames that are remembered.
const FRAMES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8191);

/// The stack in place of one that is damaged.
pub(super) fn lost() -> Arc<Stack> {
    Arc::new(Stack { frames: Vec::new(), end: StackEnd::Lost })
}

/// The stacks and frames that were read last.
#[derive(Debug)]
pub(super) struct Stacks(Mutex<Remembered>);

#[derive(Debug)]
struct Remembered {
    stacks: LruCache<u64, Arc<Stack>>,
    frames: LruCache<u64, Arc<Frame>>,
    binary: Option<Arc<Binary>>,
}

impl Default for Stacks {
    fn default() -> Self {
        // Grows as it fills, unlike `new`.
        let (mut stacks, mut frames) = (LruCache::unbounded(), LruCache::unbounded());
        stacks.resize(STACKS);
        frames.resize(FRAMES);
        Self(Mutex::new(Remembered { stacks, frames, binary: None }))
    }
}

impl Stacks {
    /// The stack of this number.
    pub(super) fn get(&self, db: &Connection, number: u64) -> Result<Arc<Stack>, Failure> {
        if let Some(stack) = self.with(|known| known.stacks.get(&number).cloned()) {
            return Ok(stack);
        }
        let stack = Arc::new(self.read(db, number)?);
        self.with(|known| known.stacks.put(number, Arc::clone(&stack)));
        Ok(stack)
    }

    /// Never held while the database is read: it is shared by all readers.
    fn with<T>(&self, what: impl FnOnce(&mut Remembered) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn read(&self, db: &Connection, number: u64) -> Result<Stack, Failure> {
        let mut query = db.prepare_cached("SELECT ending, frames FROM stack WHERE id = ?1")?;
        let row = |row: &Row<'_>| Ok((row.get::<_, u8>(0)?, row.get::<_, Vec<u8>>(1)?));
        let found = query.query_row([number as i64], row).optional()?;
        let (ending, bytes) = found.ok_or(CodecError::Range("a stack's number"))?;
        let mut from = Decoder::bare(&bytes);
        let mut frames = Vec::new();
        while from.remaining() > 0 {
            frames.push(self.frame(db, from.varint()?)?);
        }
        Ok(Stack { frames, end: end_of(ending)? })
    }

    fn frame(&self, db: &Connection, number: u64) -> Result<Arc<Frame>, Failure> {
        if let Some(frame) = self.with(|known| known.frames.get(&number).cloned()) {
            return Ok(frame);
        }
        let frame = Arc::new(self.read_frame(db, number)?);
        self.with(|known| known.frames.put(number, Arc::clone(&frame)));
        Ok(frame)
    }

    fn read_frame(&self, db: &Connection, number: u64) -> Result<Frame, Failure> {
        let sql = "SELECT kind, function.text, file.text, line, path.text, build_id.text, address FROM frame \
                   JOIN string AS function ON function.id = frame.function \
                   LEFT JOIN string AS file ON file.id = frame.file \
                   LEFT JOIN string AS path ON path.id = frame.path \
                   LEFT JOIN string AS build_id ON build_id.id = frame.build_id WHERE frame.id = ?1";
        let mut query = db.prepare_cached(sql)?;
        let mut rows = query.query([number as i64])?;
        let row = rows.next()?.ok_or(CodecError::Range("a frame's number"))?;
        let (path, build_id): (Option<String>, Option<String>) = (row.get(4)?, row.get(5)?);
        Ok(Frame {
            kind: kind_of(row.get(0)?)?,
            function: row.get(1)?,
            file: row.get(2)?,
            line: row.get(3)?,
            binary: path.map(|path| self.binary(Binary { path, build_id })),
            address: row.get::<_, i64>(6)? as u64,
        })
    }

    /// Frames of one binary mostly come one after the other: they share it.
    fn binary(&self, binary: Binary) -> Arc<Binary> {
        self.with(|known| match &known.binary {
            Some(last) if **last == binary => Arc::clone(last),
            _ => Arc::clone(known.binary.insert(Arc::new(binary))),
        })
    }
}
