//! The file, its tables, and how much it may hold.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::file::make_private;
use crate::recordings::RecordingsError;

const VERSION: i64 = 1;

/// How long a connection waits for another's lock.
const PATIENCE: Duration = Duration::from_secs(2);

const PAGE: u64 = 4096;

/// `parts` are what calls share: an observation is in thirty windows. `used` is the newest batch of calls that refers to
/// the part, so that what only forgotten calls refer to is known without counting references.
const TABLES: &str = "
    CREATE TABLE parts (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        body BLOB NOT NULL,
        used INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX parts_by_use ON parts (used);

    CREATE TABLE calls (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        batch INTEGER NOT NULL,
        written INTEGER NOT NULL,
        session TEXT NOT NULL,
        tick INTEGER NOT NULL,
        at INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        plugin TEXT NOT NULL,
        version TEXT NOT NULL,
        component TEXT NOT NULL,
        kind TEXT NOT NULL,
        contract TEXT NOT NULL,
        settings TEXT NOT NULL,
        used INTEGER NOT NULL,
        now INTEGER,
        past INTEGER,
        graph INTEGER,
        after INTEGER,
        types INTEGER,
        kept INTEGER,
        asked BLOB NOT NULL,
        http BLOB NOT NULL,
        said BLOB NOT NULL,
        fuel INTEGER NOT NULL,
        cost BLOB NOT NULL,
        masked INTEGER NOT NULL,
        seal BLOB NOT NULL
    ) STRICT;
    CREATE INDEX calls_by_session ON calls (session, id);
    CREATE INDEX calls_by_batch ON calls (batch, id);
";

pub(crate) fn path(directory: &Path) -> PathBuf {
    directory.join("recordings.db")
}

/// Room for the tables and room for what is written beside them first, of a limit for both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) pages: u64,
    pub(crate) log: u64,
}

impl Room {
    pub(crate) fn of(limit: u64) -> Self {
        let log = (limit / 4).min(8 << 20);
        Self { pages: limit.saturating_sub(log) / PAGE, log }
    }

    /// What one call may take, without what calls share.
    pub(crate) fn call(self) -> usize {
        usize::try_from(self.pages * PAGE / 4).unwrap_or(usize::MAX)
    }

    /// What one transaction may add.
    pub(crate) fn batch(self) -> usize {
        usize::try_from(self.log / 4).unwrap_or(usize::MAX)
    }
}

/// A directory that is gone is not made anew.
pub(crate) fn open_to_write(directory: &Path, room: Room) -> Result<Connection, RecordingsError> {
    let path = path(directory);
    let unopenable = |cause: String| RecordingsError::Failed { path: path.clone(), cause };
    make_private(&path).map_err(|error| unopenable(error.to_string()))?;
    let failed = |error: rusqlite::Error| RecordingsError::of(&path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(&path, flags).map_err(failed)?;
    db.busy_timeout(PATIENCE).map_err(failed)?;
    let begun = known_version(&db, &path)? > 0;
    if !begun {
        // Only an empty file takes these.
        db.pragma_update(None, "page_size", rows(PAGE)).map_err(failed)?;
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(failed)?;
    }
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(unopenable(format!("its file system cannot keep a write-ahead log (mode {mode})")));
    }
    // What a crash of the machine takes with it is a recording, not an action.
    db.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
    db.pragma_update(None, "wal_autocheckpoint", rows(room.log / 4 / PAGE).max(1)).map_err(failed)?;
    if !begun {
        db.execute_batch(&format!("BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION}; COMMIT"))
            .map_err(failed)?;
    }
    Ok(db)
}

pub(crate) fn open_to_read(directory: &Path) -> Result<Connection, RecordingsError> {
    let path = path(directory);
    if !path.exists() {
        return Err(RecordingsError::Missing(path));
    }
    let failed = |error: rusqlite::Error| RecordingsError::of(&path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(&path, flags).map_err(failed)?;
    db.busy_timeout(PATIENCE).map_err(failed)?;
    if known_version(&db, &path)? == 0 {
        return Err(RecordingsError::Missing(path));
    }
    Ok(db)
}

fn known_version(db: &Connection, path: &Path) -> Result<i64, RecordingsError> {
    let found = db
        .query_row("PRAGMA user_version", (), |row| row.get(0))
        .map_err(|error| RecordingsError::of(path, &error))?;
    if found > VERSION {
        return Err(RecordingsError::Newer { path: path.to_owned(), found, known: VERSION });
    }
    Ok(found)
}

fn rows(number: u64) -> i64 {
    crate::rows::int(number)
}
