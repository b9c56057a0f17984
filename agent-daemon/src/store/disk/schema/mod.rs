//! The database's tables, as they came to be: one file a step, applied in order, each in a transaction of its own
//! with its number. A step that was released is never edited; a change is a new step.

use rusqlite::{Connection, TransactionBehavior};

/// Every step, oldest first. The number of steps is the schema's version.
const MIGRATIONS: [&str; 7] = [
    include_str!("0001_initial.sql"),
    include_str!("0002_operations.sql"),
    include_str!("0003_shares.sql"),
    include_str!("0004_host.sql"),
    include_str!("0005_gpus.sql"),
    include_str!("0006_files.sql"),
    include_str!("0007_http.sql"),
];

/// The version of the newest schema that is understood.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// The version of this database's schema; 0 for a new one.
pub(super) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings a database that is not newer than [`VERSION`] up to it.
pub(super) fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
    let known = usize::try_from(version(db)?).unwrap_or(0);
    for (step, sql) in MIGRATIONS.iter().enumerate().skip(known) {
        let migration = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        migration.execute_batch(sql)?;
        migration.pragma_update(None, "user_version", step as i64 + 1)?;
        migration.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_database_gets_every_step_once() {
        let mut db = Connection::open_in_memory().unwrap();
        assert_eq!(version(&db).unwrap(), 0);
        migrate(&mut db).unwrap();
        assert_eq!(version(&db).unwrap(), VERSION);
        migrate(&mut db).unwrap();
    }

    #[test]
    fn a_step_that_fails_leaves_nothing() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE block (x)").unwrap();
        assert!(migrate(&mut db).is_err());
        assert_eq!(version(&db).unwrap(), 0);
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'string'";
        assert_eq!(db.query_row(tables, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }
}
