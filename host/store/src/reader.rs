use std::path::{Path, PathBuf};

use flyball_model::{ActionKind, ActionRecord, Outcome, TickRecord};
use rusqlite::{Connection, Params, Row, named_params};

use crate::{ActionFilter, Run, StoreError, TickFilter, file, rows};

/// Reads a journal while a host may be writing it, also from another process.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Connection,
}

impl Reader {
    /// Of the journal in this state directory.
    ///
    /// # Errors
    ///
    /// There is none, it cannot be read, or a newer Flyball wrote it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: file::path(directory), connection: file::open_to_read(directory)? })
    }

    /// The newest first. An action whose `settled_at` is none was intended and is not concluded.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn actions(&self, filter: &ActionFilter) -> Result<Vec<ActionRecord>, StoreError> {
        let sql = format!(
            "SELECT {} FROM actions
             WHERE (:session IS NULL OR session = :session) AND (:run IS NULL OR run = :run)
               AND (:outcome IS NULL OR outcome = :outcome) AND (:kind IS NULL OR kind = :kind)
               AND (:node IS NULL OR target = :node) AND (:since IS NULL OR at >= :since)
             ORDER BY id DESC LIMIT :limit",
            rows::ACTION
        );
        let parameters = named_params! {
            ":session": filter.session,
            ":run": filter.run.map(rows::int),
            ":outcome": filter.outcome.map(Outcome::name),
            ":kind": filter.kind.map(ActionKind::name),
            ":node": filter.node,
            ":since": filter.since.map(rows::int),
            ":limit": limit(filter.limit),
        };
        self.all(&sql, parameters, rows::action)
    }

    /// The newest first.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn ticks(&self, filter: &TickFilter) -> Result<Vec<TickRecord>, StoreError> {
        let sql = "SELECT record FROM ticks
             WHERE (:session IS NULL OR session = :session) AND (:run IS NULL OR run = :run)
               AND (:ending IS NULL OR ending = :ending) AND (:since IS NULL OR at >= :since)
             ORDER BY id DESC LIMIT :limit";
        let parameters = named_params! {
            ":session": filter.session,
            ":run": filter.run.map(rows::int),
            ":ending": filter.ending.map(|ending| rows::word(&ending)),
            ":since": filter.since.map(rows::int),
            ":limit": limit(filter.limit),
        };
        self.all(sql, parameters, rows::tick)
    }

    /// The newest actions of a session that were applied and neither undone nor themselves an undo, newest first.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn undoable(&self, session: &str, count: usize) -> Result<Vec<ActionRecord>, StoreError> {
        rows::undoable(&self.connection, session, count).map_err(|error| self.explained(&error))
    }

    /// Intended and not concluded, oldest first: under way now, or cut off when a host was killed.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn open_intents(&self) -> Result<Vec<ActionRecord>, StoreError> {
        let sql = format!("SELECT {} FROM actions WHERE settled_at IS NULL ORDER BY id", rows::ACTION);
        self.all(&sql, (), rows::action)
    }

    /// The newest runs, newest first.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn runs(&self, count: usize) -> Result<Vec<Run>, StoreError> {
        let sql = "SELECT id, started, ended, version FROM runs ORDER BY id DESC LIMIT ?1";
        self.all(sql, (limit(count),), |row| {
            Ok(Run {
                id: rows::uint(row, "id")?,
                started: rows::uint(row, "started")?,
                ended: rows::optional_uint(row, "ended")?,
                version: row.get("version")?,
            })
        })
    }

    fn all<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = || -> rusqlite::Result<Vec<T>> {
            self.connection.prepare_cached(sql)?.query_map(parameters, read)?.collect()
        };
        rows().map_err(|error| self.explained(&error))
    }

    fn explained(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::of(&self.path, error)
    }
}

fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
