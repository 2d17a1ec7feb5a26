//! How the file keeps within its limits: the oldest calls go first, and with them what only they refer to.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::file::Room;
use crate::rows::int;

/// So much of the calls goes at once: a transaction that forgets is no larger than one that records.
const SLICE: i64 = 50;

/// Pages that are given back to the disk at once.
const PAGES: i64 = 256;

/// Forgets calls written before this time.
pub(crate) fn forget_before(db: &mut Connection, written: u64) -> rusqlite::Result<()> {
    loop {
        let newest_old: Option<i64> = db
            .query_row(
                "SELECT max(id) FROM (SELECT id, written FROM calls ORDER BY id LIMIT 1000) WHERE written < ?1",
                (int(written),),
                |row| row.get(0),
            )
            .optional()?
            .flatten();
        match newest_old {
            Some(id) => forget_through(db, id)?,
            None => return Ok(()),
        }
    }
}

/// Forgets the oldest until a tenth of the room is free. Whether anything was forgotten.
pub(crate) fn forget_for_room(db: &mut Connection, room: Room) -> rusqlite::Result<bool> {
    let mut forgot = false;
    if pages_used(db)? <= room.pages / 10 * 9 {
        return Ok(forgot);
    }
    while pages_used(db)? > room.pages / 10 * 8 && forget_oldest(db)? {
        forgot = true;
    }
    Ok(forgot)
}

/// Forgets the oldest few; whether there were any.
pub(crate) fn forget_oldest(db: &mut Connection) -> rusqlite::Result<bool> {
    let (oldest, newest): (Option<i64>, Option<i64>) =
        db.query_row("SELECT min(id), max(id) FROM calls", (), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(oldest), Some(newest)) = (oldest, newest) else { return Ok(false) };
    forget_through(db, oldest + (newest - oldest) / SLICE)?;
    Ok(true)
}

/// Forgets this call and all before it, and the rest of its batch: parts are known to be needed by batches only.
fn forget_through(db: &mut Connection, id: i64) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let batch: Option<i64> =
        transaction.query_row("SELECT max(batch) FROM calls WHERE id <= ?1", (id,), |row| row.get(0))?;
    if let Some(batch) = batch {
        transaction.execute("DELETE FROM calls WHERE batch <= ?1", (batch,))?;
        transaction.execute("DELETE FROM parts WHERE used <= ?1", (batch,))?;
    }
    transaction.commit()
}

/// Gives what is free back to the disk where it is much, or over the limit (which may have been lowered).
pub(crate) fn give_back(db: &Connection, room: Room) -> rusqlite::Result<()> {
    loop {
        let (all, free) = (pages(db)?, free_pages(db)?);
        if free == 0 || (all <= room.pages && free <= all / 4) {
            return Ok(());
        }
        step(db, &format!("PRAGMA incremental_vacuum({PAGES})"))?;
        write_back(db)?;
    }
}

/// Nothing is written beyond it, whatever comes.
pub(crate) fn set_bound(db: &Connection, room: Room) -> rusqlite::Result<()> {
    step(db, &format!("PRAGMA max_page_count = {}", room.pages))
}

/// Takes what was written beside the tables into them, when that is much.
pub(crate) fn bound_log(db: &Connection, path: &Path, room: Room) -> rusqlite::Result<()> {
    let log = std::fs::metadata(format!("{}-wal", path.display())).map_or(0, |file| file.len());
    if log > room.log / 2 { write_back(db) } else { Ok(()) }
}

fn write_back(db: &Connection) -> rusqlite::Result<()> {
    step(db, "PRAGMA wal_checkpoint(TRUNCATE)")
}

fn pages_used(db: &Connection) -> rusqlite::Result<u64> {
    Ok(pages(db)?.saturating_sub(free_pages(db)?))
}

fn pages(db: &Connection) -> rusqlite::Result<u64> {
    db.query_row("PRAGMA page_count", (), |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
}

fn free_pages(db: &Connection) -> rusqlite::Result<u64> {
    db.query_row("PRAGMA freelist_count", (), |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
}

/// Runs it to its end: some of these do a part of their work with each row.
fn step(db: &Connection, sql: &str) -> rusqlite::Result<()> {
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query(())?;
    while rows.next()?.is_some() {}
    Ok(())
}
