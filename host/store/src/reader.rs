use std::path::{Path, PathBuf};

use flyball_model::{ActionKind, ActionRecord, EventRecord, Halt, Learned, Outcome, TickRecord, UnixMillis};
use flyball_ports::{ActionFilter, EventFilter, Run, TickFilter};
use rusqlite::{Connection, Params, Row, named_params};

use crate::verifying::{self, Verified};
use crate::{Head, JournalFault, StoreError, events, file, learned, rows};

/// Whether a plugin decided or judged an action.
const ACTION_OF_PLUGIN: &str = "(
    decided_by ->> '$.name' = :plugin
    OR EXISTS (SELECT 1 FROM json_each(judged_by) WHERE value ->> '$.name' = :plugin)
)";

/// Whether a plugin was asked on a tick, or something is said in its name.
const TICK_OF_PLUGIN: &str = "(
    record ->> '$.decision.by.name' = :plugin
    OR EXISTS (SELECT 1 FROM json_each(record, '$.costs') WHERE value ->> '$[0].name' = :plugin)
    OR EXISTS (SELECT 1 FROM json_each(record, '$.findings') WHERE value ->> '$.by.name' = :plugin)
    OR EXISTS (SELECT 1 FROM json_each(record, '$.failures') WHERE value ->> '$.by.name' = :plugin)
    OR EXISTS (SELECT 1 FROM json_each(record, '$.verdicts') WHERE value ->> '$.by.name' = :plugin)
    OR EXISTS (
        SELECT 1 FROM json_each(record, '$.answers')
        WHERE value ->> '$.by.name' = :plugin AND value ->> '$.said' <> 'not-asked'
    )
)";

/// Reads a journal while a host may be writing it, also from another process.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Connection,
    /// Of the tables: a journal that no newer Flyball has written yet is read as it is.
    version: i64,
}

impl Reader {
    /// Of the journal in this state directory.
    ///
    /// # Errors
    ///
    /// There is none, it cannot be read, or a newer Flyball wrote it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let (connection, version) = file::open_to_read(directory)?;
        Ok(Self { path: file::path(directory), connection, version })
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
               AND (:node IS NULL OR target = :node) AND (:plugin IS NULL OR {ACTION_OF_PLUGIN})
               AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at <= :until)
             ORDER BY id DESC LIMIT :limit",
            rows::ACTION
        );
        let parameters = named_params! {
            ":session": filter.session,
            ":run": filter.run.map(rows::int),
            ":outcome": filter.outcome.map(Outcome::name),
            ":kind": filter.kind.map(ActionKind::name),
            ":node": filter.node,
            ":plugin": filter.plugin,
            ":since": filter.since.map(rows::int),
            ":until": filter.until.map(rows::int),
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
        let sql = format!(
            "SELECT record FROM ticks
             WHERE (:session IS NULL OR session = :session) AND (:run IS NULL OR run = :run)
               AND (:tick IS NULL OR tick = :tick) AND (:ending IS NULL OR ending = :ending)
               AND (:plugin IS NULL OR {TICK_OF_PLUGIN})
               AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at <= :until)
             ORDER BY id DESC LIMIT :limit"
        );
        let parameters = named_params! {
            ":session": filter.session,
            ":run": filter.run.map(rows::int),
            ":tick": filter.tick.map(rows::int),
            ":ending": filter.ending.map(|ending| rows::word(&ending)),
            ":plugin": filter.plugin,
            ":since": filter.since.map(rows::int),
            ":until": filter.until.map(rows::int),
            ":limit": limit(filter.limit),
        };
        self.all(&sql, parameters, rows::tick)
    }

    /// All ticks of a session, or of all, since a time: the oldest first and one at a time, each with the run that it is of.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn each_tick(
        &self,
        session: Option<&str>,
        since: Option<UnixMillis>,
        mut each: impl FnMut(Option<u64>, TickRecord),
    ) -> Result<(), StoreError> {
        let sql = "SELECT run, record FROM ticks
             WHERE (:session IS NULL OR session = :session) AND (:since IS NULL OR at >= :since) ORDER BY id";
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let parameters = named_params! { ":session": session, ":since": since.map(rows::int) };
            let mut found = statement.query(parameters)?;
            while let Some(row) = found.next()? {
                each(rows::optional_uint(row, "run")?, rows::tick(row)?);
            }
            Ok(())
        };
        read().map_err(|error| self.explained(&error))
    }

    /// The sessions that have ticks here, by name.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn sessions(&self) -> Result<Vec<String>, StoreError> {
        self.all("SELECT DISTINCT session FROM ticks ORDER BY session", (), |row| row.get(0))
    }

    /// The lowest and the highest number of a session's ticks that were observed at this time or later.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn numbers(&self, session: &str, since: UnixMillis) -> Result<Option<(u64, u64)>, StoreError> {
        let sql =
            "SELECT min(tick) AS lowest, max(tick) AS highest FROM ticks WHERE session = ?1 AND at >= ?2
                   HAVING count(*) > 0";
        let numbers = self.all(sql, (session, rows::int(since)), |row| {
            Ok((rows::uint(row, "lowest")?, rows::uint(row, "highest")?))
        })?;
        Ok(numbers.first().copied())
    }

    /// What happened to the loop itself, the newest first.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn events(&self, filter: &EventFilter) -> Result<Vec<EventRecord>, StoreError> {
        if self.version < 2 {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT {} FROM events
             WHERE (:session IS NULL OR session = :session) AND (:what IS NULL OR what = :what)
               AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at <= :until)
             ORDER BY id DESC LIMIT :limit",
            events::EVENT
        );
        let parameters = named_params! {
            ":session": filter.session,
            ":what": filter.what,
            ":since": filter.since.map(rows::int),
            ":until": filter.until.map(rows::int),
            ":limit": limit(filter.limit),
        };
        self.all(&sql, parameters, events::event)
    }

    /// The halts that are in force, of the host and of sessions, oldest first.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn halts(&self) -> Result<Vec<Halt>, StoreError> {
        if self.version < 2 {
            return Ok(Vec::new());
        }
        events::halts(&self.connection).map_err(|error| self.explained(&error))
    }

    /// The newest actions of a session that were applied and neither undone nor themselves an undo, newest first.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn undoable(&self, session: &str, count: usize) -> Result<Vec<ActionRecord>, StoreError> {
        rows::undoable(&self.connection, session, count).map_err(|error| self.explained(&error))
    }

    /// What came of actions so far, by finding, kind of action and type of node, in all sessions and runs. Actions of
    /// which nothing is known yet and undos are not counted.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub fn learned(&self) -> Result<Vec<Learned>, StoreError> {
        learned::learned(&self.connection).map_err(|error| self.explained(&error))
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

    /// Holds everything against the chain, and tells each fault as it is found; with an expected head also whether the
    /// chain still holds that. It sees the journal as it is when it begins, and keeps nobody from writing.
    ///
    /// # Errors
    ///
    /// The journal cannot be read to its end, or it has no chain yet.
    pub fn verify(
        &self,
        expected: Option<Head>,
        tell: impl FnMut(JournalFault),
    ) -> Result<Verified, StoreError> {
        if self.version < 2 {
            return Err(StoreError::Older(self.path.clone()));
        }
        let seen = || {
            let moment = self.connection.unchecked_transaction()?;
            verifying::verify(&moment, expected, tell)
        };
        seen().map_err(|error| self.explained(&error))
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
