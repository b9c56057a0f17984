//! Connections to the database: one that writes, some that only read.
//!
//! WAL keeps the two apart: a reader sees the state at its first read, whatever is written meanwhile, and nobody
//! waits. Sealing must be on the disk before its segment is deleted, so commits are synced.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::schema;
use crate::store::StoreError;

/// The file's name in the store's folder.
pub(super) const FILE: &str = "agentperf.db";

/// `agpf`, in the file's header: whose database it is.
const APPLICATION_ID: i64 = 0x6167_7066;

/// How long a statement waits for a lock. Only a checkpoint or a foreign tool makes it wait at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// The write-ahead log is cut back to this when it is begun anew, bytes.
const WAL_LIMIT: i64 = 4 << 20;

/// Opens the database to write, and makes it if there is none.
pub(super) fn open_to_write(path: &Path) -> Result<Connection, StoreError> {
    // SQLite would let others read a file that it makes; those beside it follow this one.
    let mut options = OpenOptions::new();
    let made = options.append(true).create(true).mode(0o600).open(path);
    made.map_err(StoreError::io("opening", path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let mut db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(StoreError::database(path))?;
    check(&db, path)?;
    prepare(&mut db).map_err(StoreError::database(path))?;
    Ok(db)
}

/// Opens the database to read. It must be there.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(StoreError::database(path))?;
    check(&db, path)?;
    let set_up = || {
        db.busy_timeout(PATIENCE)?;
        db.set_prepared_statement_cache_capacity(16);
        db.pragma_update(None, "cache_size", -512)
    };
    set_up().map_err(StoreError::database(path))?;
    Ok(db)
}

/// Whether it is ours, and not too new.
fn check(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let database = || StoreError::database(path);
    let id: i64 = db.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(database())?;
    let found = schema::version(db).map_err(database())?;
    let tables = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = db.query_row(tables, [], |row| row.get(0)).map_err(database())?;
    let new = (id, found, tables) == (0, 0, 0);
    if id != APPLICATION_ID && !new {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    if found > schema::VERSION {
        return Err(StoreError::TooNew { path: path.to_owned(), found, known: schema::VERSION });
    }
    Ok(())
}

fn prepare(db: &mut Connection) -> rusqlite::Result<()> {
    db.busy_timeout(PATIENCE)?;
    db.set_prepared_statement_cache_capacity(32);
    // Before the first table: an existing file stays as it is.
    db.pragma_update(None, "page_size", 4096)?;
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "journal_size_limit", WAL_LIMIT)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "cache_size", -2048)?;
    // Only a new one: on a full disk, a store opens as long as nothing is written.
    if db.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0))? != APPLICATION_ID {
        db.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    schema::migrate(db)
}

/// A fact of the whole store.
pub(super) fn state(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    let mut query = db.prepare_cached("SELECT value FROM state WHERE name = ?1")?;
    Ok(query.query_row([name], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Changes a fact of the whole store.
pub(super) fn set_state(db: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO state VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    db.prepare_cached(sql)?.execute(params![name, value]).map(drop)
}

/// Bytes of the database that hold something.
pub(super) fn used_bytes(db: &Connection) -> rusqlite::Result<u64> {
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
    Ok(u64::try_from(pages.saturating_mul(number("page_size")?)).unwrap_or(0))
}

/// A number that cannot be negative, as SQLite keeps it: the largest it can where it is larger.
pub(super) fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_newer_ones_and_rubbish_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        drop(open_to_write(&path).unwrap());
        let db = open_to_write(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
        let vacuum: i64 = db.pragma_query_value(None, "auto_vacuum", |row| row.get(0)).unwrap();
        assert_eq!(vacuum, 2, "incremental");
        assert!(open_to_read(&path).unwrap().execute("DELETE FROM state", []).is_err());
        db.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
        let error = open_to_write(&path).unwrap_err();
        assert!(matches!(error, StoreError::TooNew { found, .. } if found == schema::VERSION + 1), "{error}");

        let foreign = folder.path().join("foreign.db");
        Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        assert!(matches!(open_to_write(&foreign), Err(StoreError::Foreign(_))));

        let rubbish = folder.path().join("rubbish.db");
        std::fs::write(&rubbish, "rubbish ".repeat(1000)).unwrap();
        let error = open_to_write(&rubbish).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("agentperf store verify"), "{error}");
        assert_eq!(std::fs::read(&rubbish).unwrap().len(), 8000, "nothing was wiped");
    }
}
