//! What happened to the loop itself, to rows and back.

use flyball_model::{Event, EventRecord, Halt};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::rows::{from_json, int, json, uint};

/// The columns of an event, as [`event`] reads them.
pub(crate) const EVENT: &str = "session, tick, at, event";

/// The newest word on each session, and on the host, counts.
const HALTS: &str = "
    SELECT session, tick, at, event FROM events
    WHERE what = 'halted' AND id IN (
        SELECT max(id) FROM events WHERE what IN ('halted', 'resumed') GROUP BY session
    )
    ORDER BY id";

/// Its number.
pub(crate) fn insert(db: &Connection, run: Option<i64>, record: &EventRecord) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "INSERT INTO events (run, session, tick, at, what, event) VALUES (?1, ?2, ?3, ?4, ?5 ->> '$.what', ?5)",
    )?
    .execute(params![
        run,
        record.session.as_deref(),
        int(record.tick),
        int(record.at),
        json(&record.event)?,
    ])?;
    Ok(db.last_insert_rowid())
}

pub(crate) fn event(row: &Row<'_>) -> rusqlite::Result<EventRecord> {
    Ok(EventRecord {
        at: uint(row, "at")?,
        session: row.get::<_, Option<String>>("session")?.map(Into::into),
        tick: uint(row, "tick")?,
        event: from_json(row, "event")?,
    })
}

/// Those that are in force, oldest first.
pub(crate) fn halts(db: &Connection) -> rusqlite::Result<Vec<Halt>> {
    let mut statement = db.prepare_cached(HALTS)?;
    let halted = statement.query_map((), event)?.map(|record| {
        let EventRecord { at, session, event, .. } = record?;
        Ok(if let Event::Halted { why, .. } = event { Some(Halt { session, at, why }) } else { None })
    });
    halted.filter_map(Result::transpose).collect()
}

/// When the session was last resumed by name.
pub(crate) fn resumed_at(db: &Connection, session: &str) -> rusqlite::Result<Option<u64>> {
    db.prepare_cached(
        "SELECT at FROM events WHERE what = 'resumed' AND session = ?1 ORDER BY id DESC LIMIT 1",
    )?
    .query_row((session,), |row| uint(row, "at"))
    .optional()
}
