//! Stacks into the database, each once. What is there already is found by content, and its `last_day` moved on.
//!
//! Lives for one transaction: what it remembers would be wrong once names are swept.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use rustc_hash::FxHashMap;

use super::codec::{
    bytes::Encoder,
    names::{end_tag, kind_tag},
    shares::Place,
};
use crate::{
    model::stack::{Binary, Frame, Stack},
    store::summary::Function,
};

/// Gives stacks their numbers in the database.
pub(super) struct Interner<'a> {
    db: &'a Connection,
    /// The last day on which what is interned now is needed.
    day: i64,
    strings: FxHashMap<String, i64>,
    frames: FxHashMap<Arc<Frame>, i64>,
}

impl<'a> Interner<'a> {
    pub(super) fn new(db: &'a Connection, day: i64) -> Self {
        Self { db, day, strings: FxHashMap::default(), frames: FxHashMap::default() }
    }

    /// The stack's number.
    pub(super) fn stack(&mut self, stack: &Stack) -> rusqlite::Result<i64> {
        let mut frames = Encoder::default();
        for frame in &stack.frames {
            frames.varint(self.frame(frame)? as u64);
        }
        let (ending, frames) = (end_tag(stack.end), frames.finish());
        let checksum = crc32c::crc32c(&frames);
        let find = "SELECT id, last_day FROM stack WHERE checksum = ?1 AND ending = ?2 AND frames = ?3";
        let key: [&dyn ToSql; 3] = [&checksum, &ending, &frames];
        if let Some(found) = self.find("stack", find, &key)? {
            return Ok(found);
        }
        let add = "INSERT INTO stack (checksum, last_day, ending, frames) VALUES (?1, ?2, ?3, ?4)";
        self.db.prepare_cached(add)?.insert(params![checksum, self.day, ending, frames])
    }

    /// The numbers of a function's texts.
    pub(super) fn function(&mut self, function: &Function) -> rusqlite::Result<Place> {
        let (name, path) = (self.string(function.name())?, self.option(function.path())?);
        Ok(Place { kind: function.kind(), name: name as u64, path: path.map(|path| path as u64) })
    }

    fn frame(&mut self, frame: &Arc<Frame>) -> rusqlite::Result<i64> {
        if let Some(known) = self.frames.get(frame) {
            return Ok(*known);
        }
        let number = self.new_frame(frame)?;
        self.frames.insert(Arc::clone(frame), number);
        Ok(number)
    }

    fn new_frame(&mut self, frame: &Frame) -> rusqlite::Result<i64> {
        let binary: Option<&Binary> = frame.binary.as_deref();
        let function = self.string(&frame.function)?;
        let file = self.option(frame.file.as_deref())?;
        let path = self.option(binary.map(|b| b.path.as_str()))?;
        let build_id = self.option(binary.and_then(|b| b.build_id.as_deref()))?;
        let (kind, address) = (kind_tag(frame.kind), frame.address as i64);
        let find = "SELECT id, last_day FROM frame WHERE function = ?1 AND address = ?2 AND kind = ?3 \
                    AND file IS ?4 AND line IS ?5 AND path IS ?6 AND build_id IS ?7";
        let key: [&dyn ToSql; 7] = [&function, &address, &kind, &file, &frame.line, &path, &build_id];
        if let Some(found) = self.find("frame", find, &key)? {
            return Ok(found);
        }
        let add = "INSERT INTO frame (last_day, kind, function, file, line, path, build_id, address) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let row = params![self.day, kind, function, file, frame.line, path, build_id, address];
        self.db.prepare_cached(add)?.insert(row)
    }

    fn option(&mut self, text: Option<&str>) -> rusqlite::Result<Option<i64>> {
        text.map(|text| self.string(text)).transpose()
    }

    fn string(&mut self, text: &str) -> rusqlite::Result<i64> {
        if let Some(known) = self.strings.get(text) {
            return Ok(*known);
        }
        let checksum = crc32c::crc32c(text.as_bytes());
        let find = "SELECT id, last_day FROM string WHERE checksum = ?1 AND text = ?2";
        let number = match self.find("string", find, &[&checksum, &text])? {
            Some(found) => found,
            None => {
                let add = "INSERT INTO string (checksum, last_day, text) VALUES (?1, ?2, ?3)";
                self.db.prepare_cached(add)?.insert(params![checksum, self.day, text])?
            }
        };
        self.strings.insert(text.to_owned(), number);
        Ok(number)
    }

    /// The row that `find` finds, needed from now on until this day at least.
    fn find(&self, table: &str, find: &str, key: &[&dyn ToSql]) -> rusqlite::Result<Option<i64>> {
        let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let Some((id, last_day)) = self.db.prepare_cached(find)?.query_row(key, row).optional()? else {
            return Ok(None);
        };
        if last_day < self.day {
            let bump = format!("UPDATE {table} SET last_day = ?1 WHERE id = ?2");
            self.db.prepare_cached(&bump)?.execute(params![self.day, id])?;
        }
        Ok(Some(id))
    }
}
