//! Records to rows and back.

use std::sync::Arc;

use flyball_model::{ActionRecord, Graph, TickRecord};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, named_params, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The columns of an action, as [`action`] reads them.
pub(crate) const ACTION: &str = "id, session, tick, generation, at, proposal, decided_by, judged_by, findings, before, \
                                 after, outcome, note, settled_at, undoes";

/// Applied, not undone (or undone, and that was undone), and not an undo. An undo that broke off leaves its action
/// `rollback-failed`, which may be tried again; one that succeeded is itself `rolled-back`.
pub(crate) const UNDOABLE: &str = "
    session = :session AND undoes IS NULL AND after IS NOT NULL AND kind <> 'no-op'
    AND outcome NOT IN ('failed', 'rejected', 'rolled-back')
    AND NOT EXISTS (
        SELECT 1 FROM actions AS undo WHERE undo.undoes = actions.id AND undo.after IS NOT NULL
        AND undo.outcome NOT IN ('failed', 'rejected', 'rollback-failed')
        AND NOT EXISTS (
            SELECT 1 FROM actions AS redo WHERE redo.undoes = undo.id AND redo.after IS NOT NULL
            AND redo.outcome NOT IN ('failed', 'rejected', 'rollback-failed')
        )
    )";

/// SQLite counts to 2⁶³; no clock or counter of ours comes so far.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn uint(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

pub(crate) fn optional_uint(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned))
}

pub(crate) fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// A value that serialises to one word, as that word.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

pub(crate) fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let index = row.as_ref().column_index(column)?;
    serde_json::from_str(row.get_ref(index)?.as_str()?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error)))
}

pub(crate) fn from_word<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let index = row.as_ref().column_index(column)?;
    serde_json::from_value(serde_json::Value::String(row.get(index)?))
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error)))
}

/// Its number.
pub(crate) fn insert_action(
    db: &Connection,
    run: Option<i64>,
    action: &ActionRecord,
) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "INSERT INTO actions (run, session, tick, generation, at, kind, target, proposal, findings, before, decided_by,
            judged_by, undoes, outcome, note, after, settled_at)
         VALUES (:run, :session, :tick, :generation, :at, :kind, :target, :proposal, :findings, :before, :decided_by,
            :judged_by, :undoes, 'unknown', NULL, NULL, NULL)",
    )?
    .execute(named_params! {
        ":run": run,
        ":session": &*action.session,
        ":tick": int(action.tick),
        ":generation": int(action.generation),
        ":at": int(action.at),
        ":kind": action.proposal.action.kind().name(),
        ":target": action.proposal.action.target(),
        ":proposal": json(&action.proposal)?,
        ":findings": json(&action.findings)?,
        ":before": json(&action.before)?,
        ":decided_by": json(&action.decided_by)?,
        ":judged_by": json(&action.judged_by)?,
        ":undoes": action.undoes.map(int),
    })?;
    Ok(db.last_insert_rowid())
}

/// Its number.
pub(crate) fn insert_tick(db: &Connection, run: Option<i64>, tick: &TickRecord) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "INSERT INTO ticks (run, session, tick, generation, at, ending, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        run,
        &*tick.session,
        int(tick.tick),
        int(tick.generation),
        int(tick.at),
        word(&tick.ending),
        json(tick)?,
    ])?;
    Ok(db.last_insert_rowid())
}

/// Whether there is such an action.
pub(crate) fn conclude_action(db: &Connection, now: u64, action: &ActionRecord) -> rusqlite::Result<bool> {
    let after = action.after.as_ref().map(json).transpose()?;
    let changed = db
        .prepare_cached(
            "UPDATE actions SET outcome = ?2, note = ?3, after = ?4, settled_at = ?5 WHERE id = ?1",
        )?
        .execute(params![
            int(action.id),
            action.outcome.name(),
            action.note,
            after,
            int(action.settled_at.unwrap_or(now)),
        ])?;
    Ok(changed == 1)
}

pub(crate) fn action(row: &Row<'_>) -> rusqlite::Result<ActionRecord> {
    let after: Option<Arc<Graph>> = match row.get_ref("after")? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(from_json(row, "after")?),
    };
    Ok(ActionRecord {
        id: uint(row, "id")?,
        session: row.get::<_, String>("session")?.into(),
        tick: uint(row, "tick")?,
        generation: uint(row, "generation")?,
        at: uint(row, "at")?,
        proposal: from_json(row, "proposal")?,
        decided_by: from_json(row, "decided_by")?,
        judged_by: from_json(row, "judged_by")?,
        findings: from_json(row, "findings")?,
        before: from_json(row, "before")?,
        after,
        outcome: from_word(row, "outcome")?,
        note: row.get("note")?,
        settled_at: optional_uint(row, "settled_at")?,
        undoes: optional_uint(row, "undoes")?,
    })
}

pub(crate) fn tick(row: &Row<'_>) -> rusqlite::Result<TickRecord> {
    from_json(row, "record")
}

/// The newest first.
pub(crate) fn undoable(db: &Connection, session: &str, count: usize) -> rusqlite::Result<Vec<ActionRecord>> {
    let sql = format!("SELECT {ACTION} FROM actions WHERE {UNDOABLE} ORDER BY id DESC LIMIT :count");
    db.prepare_cached(&sql)?
        .query_map(
            named_params! { ":session": session, ":count": i64::try_from(count).unwrap_or(i64::MAX) },
            action,
        )?
        .collect()
}

/// The newest first.
pub(crate) fn recent(db: &Connection, session: &str, count: usize) -> rusqlite::Result<Vec<ActionRecord>> {
    let sql = format!("SELECT {ACTION} FROM actions WHERE session = ?1 ORDER BY id DESC LIMIT ?2");
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    db.prepare_cached(&sql)?.query_map(params![session, count], action)?.collect()
}

/// Intended and not concluded, oldest first.
pub(crate) fn open_intents(db: &Connection, session: &str) -> rusqlite::Result<Vec<ActionRecord>> {
    let sql = format!("SELECT {ACTION} FROM actions WHERE settled_at IS NULL AND session = ?1 ORDER BY id");
    db.prepare_cached(&sql)?.query_map((session,), action)?.collect()
}

/// Its number.
pub(crate) fn begin_run(db: &Connection, at: u64) -> rusqlite::Result<i64> {
    db.prepare_cached("INSERT INTO runs (started, version) VALUES (?1, ?2)")?
        .execute(params![int(at), env!("CARGO_PKG_VERSION")])?;
    Ok(db.last_insert_rowid())
}

/// Whether there is such a run.
pub(crate) fn end_run(db: &Connection, run: u64, at: u64) -> rusqlite::Result<bool> {
    Ok(db.prepare_cached("UPDATE runs SET ended = ?2 WHERE id = ?1")?.execute(params![int(run), int(at)])?
        == 1)
}
