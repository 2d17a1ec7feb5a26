//! A small database beside the journal, with tables of one version.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::file::make_private;

/// How long a connection waits for another's lock.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Opens it, or begins it with these tables. A directory that is gone is not made anew: whoever watches it would take it for
/// another one. What a crash of the machine takes with it is the newest of it.
pub(crate) fn open_to_write(path: &Path, tables: &str, known: i64) -> Result<Connection, String> {
    make_private(path).map_err(|error| error.to_string())?;
    let opened = || -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(PATIENCE)?;
        db.query_row("PRAGMA journal_mode = WAL", (), |_| Ok(()))?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if version(&transaction)? == 0 {
            transaction.execute_batch(tables)?;
            transaction.pragma_update(None, "user_version", known)?;
        }
        transaction.commit()?;
        Ok(db)
    };
    let db = opened().map_err(|error| error.to_string())?;
    match version(&db).map_err(|error| error.to_string())? {
        found if found == known => Ok(db),
        found => Err(format!("it has version {found} and this Flyball knows up to {known}")),
    }
}

/// 0: it was not begun.
pub(crate) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA user_version", (), |row| row.get(0))
}
