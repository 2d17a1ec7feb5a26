//! The numbered log's entries, and how far its readers have come, in a file of a bounded size beside the journal. It must uphold
//! that an entry that was written is never altered, and that what is read comes in the order of its numbers.
//!
//! The host's event log (`flyball-events`) writes and reads here; `flyball events` reads, also while a host runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flyball_model::{EntryNumber, Happened, LogEntry};
use flyball_ports::{EventStore, EventStoreError};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};

use crate::recordings::{packed, squeezed, whole};
use crate::rows::{int, uint};
use crate::side_file::{PATIENCE, open_to_write, version};

/// Its name in a state directory.
const FILE: &str = "events.db";

/// Older entries are forgotten. Some 100 MB.
pub const ENTRIES_KEPT: u64 = 100_000;

const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE entries (
        run INTEGER NOT NULL,
        place INTEGER NOT NULL,
        session TEXT,
        what TEXT NOT NULL,
        happened BLOB NOT NULL,
        PRIMARY KEY (run, place)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE readers (
        name TEXT PRIMARY KEY,
        run INTEGER NOT NULL,
        place INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;";

/// The entries in one state directory.
pub struct EventEntries {
    path: PathBuf,
    db: Mutex<Connection>,
    kept: u64,
    /// Entries that were written since it was last looked whether there are too many.
    since_looked: AtomicU64,
}

impl EventEntries {
    /// To write and to read; begun if there are none.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or a newer Flyball wrote it.
    pub fn open(directory: &Path) -> Result<Self, EventStoreError> {
        Self::keeping(directory, ENTRIES_KEPT)
    }

    /// Like [`EventEntries::open`], and keeps about this many.
    ///
    /// # Errors
    ///
    /// As for [`EventEntries::open`].
    pub fn keeping(directory: &Path, kept: u64) -> Result<Self, EventStoreError> {
        let path = directory.join(FILE);
        let db = open_to_write(&path, TABLES, VERSION).map_err(|why| failed(&path, why))?;
        Ok(Self { path, db: Mutex::new(db), kept, since_looked: AtomicU64::new(u64::MAX) })
    }

    /// To read only, also while a host writes; none: no host has kept anything here.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a newer Flyball wrote it.
    pub fn look_at(directory: &Path) -> Result<Option<Self>, EventStoreError> {
        let path = directory.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let opened = || -> rusqlite::Result<(Connection, i64)> {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let db = Connection::open_with_flags(&path, flags)?;
            db.busy_timeout(PATIENCE)?;
            let version = version(&db)?;
            Ok((db, version))
        };
        match opened().map_err(|error| failed(&path, error))? {
            (db, VERSION) => {
                let since_looked = AtomicU64::new(0);
                Ok(Some(Self { path, db: Mutex::new(db), kept: ENTRIES_KEPT, since_looked }))
            }
            (_, found) => {
                let why = format!("it has version {found} and this Flyball knows up to {VERSION}");
                Err(failed(&path, why))
            }
        }
    }

    /// The number of the newest entry that is kept; none: there is none.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn newest(&self) -> Result<Option<EntryNumber>, EventStoreError> {
        let db = self.db.lock();
        let newest = db
            .query_row("SELECT run, place FROM entries ORDER BY run DESC, place DESC LIMIT 1", (), number_of)
            .optional();
        newest.map_err(|error| failed(&self.path, error))
    }
}

fn failed(path: &Path, why: impl fmt::Display) -> EventStoreError {
    EventStoreError(format!("{}: {why}", path.display()))
}

fn number_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<EntryNumber> {
    Ok(EntryNumber { run: uint(row, "run")?, place: uint(row, "place")? })
}

impl EventStore for EventEntries {
    fn write(&self, entries: &[Arc<LogEntry>]) -> Result<(), EventStoreError> {
        let mut rows = Vec::with_capacity(entries.len());
        for entry in entries {
            let happened = packed(&entry.happened).map_err(|error| failed(&self.path, error))?;
            rows.push((entry, squeezed(&happened).map_err(|error| failed(&self.path, error))?));
        }
        let mut db = self.db.lock();
        let written = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let since_looked = self.since_looked.load(Ordering::Relaxed).saturating_add(written);
        let look = since_looked > self.kept / 100;
        let mut committed = || -> rusqlite::Result<()> {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (entry, happened) in &rows {
                transaction
                    .prepare_cached(
                        "INSERT INTO entries (run, place, session, what, happened) VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute((
                        int(entry.number.run),
                        int(entry.number.place),
                        entry.happened.session(),
                        entry.happened.name(),
                        happened,
                    ))?;
            }
            if look {
                forget(&transaction, self.kept)?;
            }
            transaction.commit()
        };
        committed().map_err(|error| failed(&self.path, error))?;
        self.since_looked.store(if look { 0 } else { since_looked }, Ordering::Relaxed);
        Ok(())
    }

    fn read(&self, after: EntryNumber, most: usize) -> Result<Vec<Arc<LogEntry>>, EventStoreError> {
        let db = self.db.lock();
        let read = || -> rusqlite::Result<Vec<(EntryNumber, Vec<u8>)>> {
            let mut statement = db.prepare_cached(
                "SELECT run, place, happened FROM entries WHERE (run, place) > (?1, ?2)
                 ORDER BY run, place LIMIT ?3",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            statement
                .query_map((int(after.run), int(after.place), most), |row| {
                    Ok((number_of(row)?, row.get(2)?))
                })?
                .collect()
        };
        let rows = read().map_err(|error| failed(&self.path, error))?;
        rows.into_iter()
            .map(|(number, happened)| {
                let happened: Happened = whole(&happened)
                    .map_err(|error| failed(&self.path, format!("entry {number} is damaged: {error}")))?;
                Ok(Arc::new(LogEntry { number, happened }))
            })
            .collect()
    }

    fn position(&self, reader: &str) -> Result<Option<EntryNumber>, EventStoreError> {
        let db = self.db.lock();
        let found =
            db.query_row("SELECT run, place FROM readers WHERE name = ?1", [reader], number_of).optional();
        found.map_err(|error| failed(&self.path, error))
    }

    fn keep_position(&self, reader: &str, at: EntryNumber) -> Result<(), EventStoreError> {
        let db = self.db.lock();
        let kept = db.execute(
            "INSERT INTO readers (name, run, place) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET run = excluded.run, place = excluded.place",
            (reader, int(at.run), int(at.place)),
        );
        kept.map(drop).map_err(|error| failed(&self.path, error))
    }

    fn forget_position(&self, reader: &str) -> Result<(), EventStoreError> {
        let gone = self.db.lock().execute("DELETE FROM readers WHERE name = ?1", [reader]);
        gone.map(drop).map_err(|error| failed(&self.path, error))
    }
}

/// All but the newest.
fn forget(db: &Connection, kept: u64) -> rusqlite::Result<()> {
    let newest_to_go = db
        .query_row(
            "SELECT run, place FROM entries ORDER BY run DESC, place DESC LIMIT 1 OFFSET ?1",
            [int(kept)],
            number_of,
        )
        .optional()?;
    if let Some(number) = newest_to_go {
        let sql = "DELETE FROM entries WHERE (run, place) <= (?1, ?2)";
        db.execute(sql, (int(number.run), int(number.place)))?;
    }
    Ok(())
}

impl fmt::Debug for EventEntries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventEntries").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

    use flyball_model::Warning;

    use super::*;

    fn entry(run: u64, place: u64) -> Arc<LogEntry> {
        let happened = Happened::Warning(Warning::new("halted", format!("{run} and {place}")));
        Arc::new(LogEntry { number: EntryNumber { run, place }, happened })
    }

    fn numbers(entries: &[Arc<LogEntry>]) -> Vec<String> {
        entries.iter().map(|entry| entry.number.to_string()).collect()
    }

    #[test]
    fn what_was_written_is_read_in_order_from_any_number_on_also_by_who_only_reads() {
        let dir = tempfile::tempdir().unwrap();
        assert!(EventEntries::look_at(dir.path()).unwrap().is_none());
        let entries = EventEntries::open(dir.path()).unwrap();
        entries.write(&[entry(1, 1), entry(1, 2)]).unwrap();
        entries.write(&[entry(3, 1)]).unwrap();
        let reader = EventEntries::look_at(dir.path()).unwrap().unwrap();
        let after = |number: &str| numbers(&reader.read(number.parse().unwrap(), 10).unwrap());
        assert_eq!(after("0.0"), ["1.1", "1.2", "3.1"]);
        assert_eq!(after("1.1"), ["1.2", "3.1"]);
        assert_eq!(after("2.7"), ["3.1"]);
        assert!(after("3.1").is_empty());
        assert_eq!(reader.newest().unwrap(), Some(EntryNumber { run: 3, place: 1 }));
        assert_eq!(*reader.read(EntryNumber::default(), 1).unwrap()[0], *entry(1, 1));
    }

    #[test]
    fn a_batch_of_which_one_is_there_already_is_not_written_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let entries = EventEntries::open(dir.path()).unwrap();
        entries.write(&[entry(1, 1)]).unwrap();
        assert!(entries.write(&[entry(1, 2), entry(1, 1)]).is_err());
        assert_eq!(numbers(&entries.read(EntryNumber::default(), 10).unwrap()), ["1.1"]);
    }

    #[test]
    fn the_oldest_go_when_there_are_many() {
        let dir = tempfile::tempdir().unwrap();
        let entries = EventEntries::keeping(dir.path(), 100).unwrap();
        for place in 1..=250 {
            entries.write(&[entry(1, place)]).unwrap();
        }
        let kept = entries.read(EntryNumber::default(), 1_000).unwrap();
        assert!((100..=102).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept.last().unwrap().number.place, 250);
    }

    #[test]
    fn a_reader_finds_how_far_it_had_come() {
        let dir = tempfile::tempdir().unwrap();
        let entries = EventEntries::open(dir.path()).unwrap();
        assert_eq!(entries.position("webhook").unwrap(), None);
        for place in [3, 4] {
            entries.keep_position("webhook", EntryNumber { run: 1, place }).unwrap();
        }
        drop(entries);
        let again = EventEntries::open(dir.path()).unwrap();
        assert_eq!(again.position("webhook").unwrap(), Some(EntryNumber { run: 1, place: 4 }));
        again.forget_position("webhook").unwrap();
        assert_eq!(again.position("webhook").unwrap(), None);
    }

    #[test]
    fn only_the_user_may_read_the_entries() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let entries = EventEntries::open(dir.path()).unwrap();
        entries.write(&[entry(1, 1)]).unwrap();
        for file in std::fs::read_dir(dir.path()).unwrap().flatten() {
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", file.file_name());
        }
    }

    #[test]
    fn a_file_that_is_no_log_or_is_damaged_is_told_with_its_path_and_the_entry() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "not a database, and longer than a header would be".repeat(50))
            .unwrap();
        for refused in
            [EventEntries::open(dir.path()).unwrap_err(), EventEntries::look_at(dir.path()).unwrap_err()]
        {
            let told = refused.to_string();
            assert!(told.contains(FILE) && told.contains("not a database"), "{told}");
        }
        std::fs::remove_file(dir.path().join(FILE)).unwrap();
        let entries = EventEntries::open(dir.path()).unwrap();
        entries.write(&[entry(1, 1), entry(1, 2)]).unwrap();
        let altered = "UPDATE entries SET happened = x'00ff' WHERE place = 2";
        Connection::open(dir.path().join(FILE)).unwrap().execute(altered, ()).unwrap();
        let told = entries.read(EntryNumber::default(), 10).unwrap_err().to_string();
        assert!(told.contains("entry 1.2 is damaged"), "{told}");
        assert_eq!(
            numbers(&entries.read(EntryNumber::default(), 1).unwrap()),
            ["1.1"],
            "what is before it is read"
        );
    }
}
