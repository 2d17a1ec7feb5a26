use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flyball_model::{Cost, History, NodeType, Observation, PluginId, PluginKind, UnixMillis};
use flyball_ports::{CallInput, CallRecord, Said, Sight, Situation};
use rusqlite::{Connection, OptionalExtension, named_params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::{COLUMNS, CallRow, Outside, Question, Told};
use super::packed::{Digest, digest, expanded, packed, unpacked, whole};
use super::parts::window_digest;
use super::{RecordingsError, file};
use crate::rows::{int, uint};

/// Which calls; what is not given does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Of this session.
    pub session: Option<String>,
    /// Of this plugin.
    pub plugin: Option<String>,
    /// Written at this time or later.
    pub since: Option<UnixMillis>,
    /// At most so many, the newest.
    pub limit: Option<usize>,
}

/// A call in a list.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// Its number.
    pub id: u64,
    /// When it was written.
    pub written: UnixMillis,
    /// Its session; empty: none's.
    pub session: String,
    /// Its tick; 0: none's.
    pub tick: u64,
    /// Its generation.
    pub generation: u64,
    /// Who was asked.
    pub by: PluginId,
    /// Of which kind it is.
    pub kind: String,
    /// SHA-256 of its settings.
    pub settings: String,
    /// What it said, or why it did not; none: this cannot be read.
    pub said: Option<Result<Said, String>>,
    /// Instructions that it took.
    pub fuel: u64,
    /// How many values were masked.
    pub masked: u32,
}

/// A call as it was recorded.
#[derive(Debug, Clone)]
pub struct RecordedCall {
    /// Its number.
    pub id: u64,
    /// How many values were masked before it was written; what the plugin was given then is not known.
    pub masked: u32,
    /// Something of it was changed since it was written.
    pub altered: bool,
    /// The call.
    pub call: CallRecord,
}

/// Reads recordings while a host may be writing them, also from another process.
#[derive(Debug)]
pub struct RecordingsReader {
    path: PathBuf,
    db: Connection,
}

/// What the parts of a call are found to be.
struct Reading<'a> {
    db: &'a Connection,
    /// Whether each was as its digest says.
    sound: bool,
}

impl RecordingsReader {
    /// Of this state directory.
    ///
    /// # Errors
    ///
    /// There are none, they cannot be read, or a newer Flyball wrote them.
    pub fn open(directory: &Path) -> Result<Self, RecordingsError> {
        Ok(Self { path: file::path(directory), db: file::open_to_read(directory)? })
    }

    /// Their numbers, oldest first.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub fn ids(&self, filter: &CallFilter) -> Result<Vec<u64>, RecordingsError> {
        let mut ids = self.select("id", filter, |row| uint(row, "id"))?;
        ids.reverse();
        Ok(ids)
    }

    /// The newest first.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub fn list(&self, filter: &CallFilter) -> Result<Vec<Listed>, RecordingsError> {
        self.select(COLUMNS, filter, |row| {
            let id = uint(row, "id")?;
            let row = CallRow::read(row)?;
            Ok(Listed {
                id,
                by: by(&row),
                said: whole(&row.said).ok(),
                written: row.written,
                session: row.session,
                tick: row.tick,
                generation: row.generation,
                kind: row.kind,
                settings: row.settings,
                fuel: row.fuel,
                masked: row.masked,
            })
        })
    }

    /// One call, whole.
    ///
    /// # Errors
    ///
    /// There is none of that number, or it cannot be read.
    pub fn call(&self, id: u64) -> Result<RecordedCall, RecordingsError> {
        let found = self
            .db
            .query_row(&format!("SELECT {COLUMNS} FROM calls WHERE id = ?1"), (int(id),), |row| {
                Ok((CallRow::read(row)?, row.get::<_, Digest>("seal")?))
            })
            .optional();
        let (row, seal) = match found {
            Ok(Some(found)) => found,
            Ok(None) => return Err(RecordingsError::Unknown(id)),
            Err(error) => return Err(RecordingsError::Damaged { id, cause: error.to_string() }),
        };
        let mut reading = Reading { db: &self.db, sound: true };
        let damaged = |cause: String| RecordingsError::Damaged { id, cause };
        let digests = reading.digests(&row).map_err(damaged)?;
        let sealed = row.seal(&digests).is_ok_and(|found| found == seal);
        let masked = row.masked;
        let call = reading.call(row).map_err(damaged)?;
        Ok(RecordedCall { id, masked, altered: !(sealed && reading.sound), call })
    }

    fn select<T>(
        &self,
        columns: &str,
        filter: &CallFilter,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, RecordingsError> {
        let sql = format!(
            "SELECT {columns} FROM calls
             WHERE (:session IS NULL OR session = :session) AND (:plugin IS NULL OR plugin = :plugin)
               AND (:since IS NULL OR written >= :since)
             ORDER BY id DESC LIMIT :limit"
        );
        let parameters = named_params! {
            ":session": filter.session,
            ":plugin": filter.plugin,
            ":since": filter.since.map(int),
            ":limit": filter.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX)),
        };
        let rows = || -> rusqlite::Result<Vec<T>> {
            self.db.prepare_cached(&sql)?.query_map(parameters, read)?.collect()
        };
        rows().map_err(|error| RecordingsError::of(&self.path, &error))
    }
}

impl Reading<'_> {
    fn digests(&self, row: &CallRow) -> Result<Vec<Option<Digest>>, String> {
        row.parts.iter().map(|part| part.map(|part| self.digest(part)).transpose()).collect()
    }

    fn digest(&self, part: i64) -> Result<Digest, String> {
        let found = self.db.prepare_cached("SELECT digest FROM parts WHERE id = ?1");
        found
            .and_then(|mut find| find.query_row((part,), |row| row.get(0)))
            .map_err(|error| format!("part {part}: {error}"))
    }

    fn body(&self, part: i64) -> Result<Vec<u8>, String> {
        let found = self.db.prepare_cached("SELECT body FROM parts WHERE id = ?1");
        let body: Vec<u8> = found
            .and_then(|mut find| find.query_row((part,), |row| row.get(0)))
            .map_err(|error| format!("part {part}: {error}"))?;
        expanded(&body).map_err(|error| format!("part {part}: {error}"))
    }

    fn part<T: DeserializeOwned>(&mut self, part: i64) -> Result<T, String> {
        let body = self.body(part)?;
        self.sound &= digest(&body) == self.digest(part)?;
        unpacked(&body).map_err(|error| format!("part {part}: {error}"))
    }

    fn needed<T: DeserializeOwned>(&mut self, part: Option<i64>, what: &str) -> Result<T, String> {
        self.part(part.ok_or_else(|| format!("it has no {what}"))?)
    }

    fn sight(&mut self, now: Option<i64>, past: Option<i64>) -> Result<Sight, String> {
        let now: Observation = self.needed(now, "observation")?;
        let past = past.ok_or("it has no window")?;
        let ids: Vec<i64> = unpacked(&self.body(past)?).map_err(|error| format!("part {past}: {error}"))?;
        let digests: Vec<Digest> = ids.iter().map(|id| self.digest(*id)).collect::<Result<_, _>>()?;
        self.sound &= window_digest(digests.iter()) == self.digest(past)?;
        let mut window = History::new(ids.len());
        for id in ids {
            window.push(Arc::new(self.part(id)?));
        }
        Ok(Sight { now: Arc::new(now), past: Arc::new(window) })
    }

    fn call(&mut self, row: CallRow) -> Result<CallRecord, String> {
        let [used, now, past, graph, after, types, kept] = row.parts;
        let unread = |what: &'static str| move |error| format!("{what}: {error}");
        let question: Question = whole(&row.asked).map_err(unread("what was asked"))?;
        let situation = |reading: &mut Self, told: Told| -> Result<Situation, String> {
            let types: Vec<NodeType> = reading.needed(types, "node types")?;
            Ok(Situation {
                findings: told.findings,
                graph: reading.needed(graph, "graph")?,
                allowed: told.allowed,
                node_types: types.into(),
                past: told.past,
                learned: told.learned,
                rules: told.rules,
            })
        };
        let asked = match question {
            Question::Assess => CallInput::Assess(self.sight(now, past)?),
            Question::List => CallInput::List,
            Question::Decide(told) => CallInput::Decide(self.sight(now, past)?, situation(self, told)?),
            Question::Review { proposal, decided_by, told } => CallInput::Review {
                sight: self.sight(now, past)?,
                proposal,
                decided_by,
                situation: situation(self, told)?,
            },
            Question::Reverse(action) => CallInput::Reverse {
                action,
                before: self.needed(graph, "graph before")?,
                after: self.needed(after, "graph after")?,
            },
            Question::Process(items) => CallInput::Process(items.into()),
            Question::Other(question) => {
                CallInput::Other { sight: now.map(|now| self.sight(Some(now), past)).transpose()?, question }
            }
        };
        let kept: Option<BTreeMap<String, Vec<u8>>> = kept.map(|kept| self.part(kept)).transpose()?;
        let cost: Cost = unpacked(&row.cost).map_err(|error| format!("its cost: {error}"))?;
        let (http, llm, others) = whole::<Outside>(&row.http).map_err(unread("its requests"))?.all();
        Ok(CallRecord {
            by: by(&row),
            kind: kind(&row)?,
            generation: row.generation,
            session: row.session.into(),
            tick: row.tick,
            at: row.at,
            contract: Cow::Owned(row.contract),
            used: Arc::new(self.needed(used, "policy")?),
            asked,
            kept: kept.map(Arc::new),
            http,
            llm,
            others,
            said: whole(&row.said).map_err(unread("what it said"))?,
            cost: Cost { fuel: row.fuel, ..cost },
        })
    }
}

fn by(row: &CallRow) -> PluginId {
    PluginId {
        name: row.plugin.as_str().into(),
        version: row.version.as_str().into(),
        digest: row.component.as_str().into(),
    }
}

fn kind(row: &CallRow) -> Result<PluginKind, String> {
    PluginKind::named(&row.kind).ok_or_else(|| format!("{:?} cannot be a kind of plugin", row.kind))
}

/// Whether two answers are the same, bit for bit: a number that is none is the same as itself.
pub fn same(one: &Result<Said, String>, other: &Result<Said, String>) -> bool {
    match (packed(one), packed(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
