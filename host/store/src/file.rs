//! The file, its permissions and its tables.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flyball_ports::{Clock, SystemClock};
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};
use serde::Serialize;

use crate::{Head, StoreError, chain};

/// The version of the tables, kept in SQLite's `user_version`.
const VERSION: i64 = 2;

/// How long a connection waits for another's lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Nobody but the user may read what was seen of a pipeline.
const MODE: u32 = 0o600;

/// What version 1 had.
const TABLES: &str = "
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        started INTEGER NOT NULL,
        ended INTEGER,
        version TEXT NOT NULL
    ) STRICT;

    -- A row is the intent; the columns from `outcome` on are what became of it, NULL or `unknown` until known.
    CREATE TABLE actions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run INTEGER REFERENCES runs (id),
        session TEXT NOT NULL,
        tick INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        target TEXT,
        proposal TEXT NOT NULL,
        findings TEXT NOT NULL,
        before TEXT NOT NULL,
        decided_by TEXT NOT NULL,
        judged_by TEXT NOT NULL,
        undoes INTEGER,
        outcome TEXT NOT NULL,
        note TEXT,
        after TEXT,
        settled_at INTEGER
    ) STRICT;
    CREATE INDEX actions_by_session ON actions (session, id);
    CREATE INDEX actions_that_undo ON actions (undoes) WHERE undoes IS NOT NULL;
    CREATE INDEX actions_that_are_open ON actions (id) WHERE settled_at IS NULL;

    CREATE TABLE ticks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run INTEGER REFERENCES runs (id),
        session TEXT NOT NULL,
        tick INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        at INTEGER NOT NULL,
        ending TEXT NOT NULL,
        record TEXT NOT NULL
    ) STRICT;
    CREATE INDEX ticks_by_session ON ticks (session, id);
";

/// What version 2 has beside it.
const NEW_IN_2: &str = "
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run INTEGER REFERENCES runs (id),
        session TEXT, -- NULL: the whole host's
        tick INTEGER NOT NULL,
        at INTEGER NOT NULL,
        what TEXT NOT NULL,
        event TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_by_session ON events (session, id);
    CREATE INDEX events_of_halts ON events (session, id) WHERE what IN ('halted', 'resumed');
";

pub(crate) fn path(directory: &Path) -> PathBuf {
    directory.join("journal.db")
}

/// Makes what is not there yet.
pub(crate) fn open_to_write(directory: &Path) -> Result<Connection, StoreError> {
    let path = path(directory);
    fs::create_dir_all(directory).map_err(|error| StoreError::unopenable(&path, &error))?;
    make_private(&path).map_err(|error| match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly(path.clone()),
        _ => StoreError::unopenable(&path, &error),
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error: rusqlite::Error| StoreError::of(&path, &error);
    let mut connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    known_version(&connection, &path)?;
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        let cause = format!("its file system cannot keep a write-ahead log (mode {mode})");
        return Err(StoreError::Unopenable { path, cause });
    }
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    make_tables(&mut connection, &path)?;
    Ok(connection)
}

/// With the version of its tables.
pub(crate) fn open_to_read(directory: &Path) -> Result<(Connection, i64), StoreError> {
    let path = path(directory);
    if !path.exists() {
        return Err(StoreError::Missing(path));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error: rusqlite::Error| StoreError::of(&path, &error);
    let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    match known_version(&connection, &path)? {
        0 => Err(StoreError::Missing(path)),
        version => Ok((connection, version)),
    }
}

/// SQLite gives its other files the mode of this one, so it is made before SQLite makes it. One that may not be written
/// is told apart, as SQLite would read it until the first write.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let permissions = fs::metadata(path)?.permissions();
            if permissions.readonly() {
                return Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "it is read-only"));
            }
            if permissions.mode() & 0o777 == MODE {
                return Ok(());
            }
            fs::set_permissions(path, Permissions::from_mode(MODE))
        }
        made => made.map(drop),
    }
}

fn known_version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let found = connection
        .query_row("PRAGMA user_version", (), |row| row.get(0))
        .map_err(|error| StoreError::of(path, &error))?;
    if found > VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: VERSION });
    }
    Ok(found)
}

/// All of them or none: a host that is killed here leaves an empty file. A journal of version 1 is taken over by a person
/// and not here: nothing tells whether it is what an older Flyball wrote or what somebody made of a newer one.
fn make_tables(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::of(path, &error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    match known_version(&transaction, path)? {
        VERSION => return Ok(()),
        0 => {}
        _ => return Err(StoreError::Older(path.to_owned())),
    }
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).map_err(failed)?;
    if tables > 0 {
        let cause = "it has tables, and its version was taken away".to_owned();
        return Err(StoreError::Damaged { path: path.to_owned(), cause });
    }
    transaction.execute_batch(TABLES).map_err(failed)?;
    transaction.execute_batch(NEW_IN_2).map_err(failed)?;
    transaction.execute_batch(chain::TABLE).map_err(failed)?;
    transaction.pragma_update(None, "user_version", VERSION).map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// What was taken over from a journal without a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Migrated {
    /// So many rows, as they were.
    pub rows: u64,
    /// The chain's head since.
    pub head: Head,
}

/// Takes a journal of version 1 over, whole or not at all, and notes in its chain that it did. A person asks for it, who can
/// tell where the file comes from.
///
/// # Errors
///
/// There is none, it is of another version, it has traces of a newer one, or it cannot be written.
pub fn migrate(directory: &Path) -> Result<Migrated, StoreError> {
    let path = path(directory);
    if !path.exists() {
        return Err(StoreError::Missing(path));
    }
    let failed = |error: rusqlite::Error| StoreError::of(&path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    match known_version(&transaction, &path)? {
        0 => return Err(StoreError::Missing(path)),
        1 => {}
        _ => return Err(StoreError::NothingToMigrate(path)),
    }
    if let Some(trace) = trace_of_2(directory, &transaction).map_err(failed)? {
        return Err(StoreError::WasNewer { path, trace });
    }
    let migrated = || -> rusqlite::Result<(i64, chain::End)> {
        transaction.execute_batch(NEW_IN_2)?;
        transaction.execute_batch(chain::TABLE)?;
        let taken = chain::take_over(&transaction, SystemClock.now())?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        Ok(taken)
    };
    let (rows, end) = migrated().map_err(failed)?;
    transaction.commit().map_err(failed)?;
    make_private(&path).map_err(|error| StoreError::unopenable(&path, &error))?;
    Ok(Migrated { rows: rows.cast_unsigned(), head: end.hash })
}

/// What a journal that says that it is of version 1 can only have from a newer Flyball.
fn trace_of_2(directory: &Path, db: &Connection) -> rusqlite::Result<Option<String>> {
    let newer = "SELECT tbl_name FROM sqlite_schema WHERE tbl_name IN ('events', 'chain')
                 UNION ALL SELECT name FROM sqlite_sequence WHERE name IN ('events', 'chain') LIMIT 1";
    let in_file: Option<String> = db.query_row(newer, (), |row| row.get(0)).optional()?;
    if let Some(name) = in_file {
        return Ok(Some(format!("its table {name}")));
    }
    // A host makes this one once its journal is open.
    let beside = directory.join(crate::quiet::FILE);
    Ok(beside.exists().then(|| format!("the file {} beside it", crate::quiet::FILE)))
}
