//! Walks the chain and holds every row against it, in bounded memory, as the journal is at one moment.

use std::iter::Peekable;

use flyball_model::UnixMillis;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde::Serialize;

use crate::chain::{End, Entry, Head, highest};
use crate::content::{Table, What, of_row, of_values};
use crate::fault::JournalFault;

/// More of a column is not told.
const LONGEST_TOLD: usize = 60;

/// What a journal's chain came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The chain's entries.
    pub entries: u64,
    /// The last entry's hash: kept elsewhere, it shows later whether all of this is still there.
    pub head: Head,
    /// How many faults were told.
    pub faults: u64,
    /// What was taken over from a journal without a chain: of that the chain tells only that it is as it was then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_over: Option<TakenOver>,
}

/// Rows that were in a journal before it had a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TakenOver {
    /// How many.
    pub rows: u64,
    /// When they were taken into the chain.
    pub at: UnixMillis,
}

/// The connection is in a transaction, so that everything is seen as of one moment.
pub(crate) fn verify(
    db: &Connection,
    expected: Option<Head>,
    mut tell: impl FnMut(JournalFault),
) -> rusqlite::Result<Verified> {
    let mut faults = 0;
    let mut tell = |fault| {
        faults += 1;
        tell(fault);
    };
    damages(db, &mut tell)?;
    let walked = walk(db, expected, &mut tell)?;
    for table in Table::ALL {
        compare(db, table, walked.forgotten, &mut tell)?;
    }
    let Walked { entries, end, taken_over, .. } = walked;
    Ok(Verified { entries, head: end.hash, faults, taken_over })
}

/// What SQLite itself finds, indexes included, by which rows would not be found.
fn damages(db: &Connection, tell: &mut impl FnMut(JournalFault)) -> rusqlite::Result<()> {
    let mut statement = db.prepare("PRAGMA integrity_check")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let cause: String = row.get(0)?;
        if cause != "ok" {
            tell(JournalFault::Damaged { cause });
        }
    }
    Ok(())
}

struct Walked {
    entries: u64,
    end: End,
    /// Ticks up to this were forgotten.
    forgotten: i64,
    taken_over: Option<TakenOver>,
}

/// Each entry by itself, and that it follows the one before it.
fn walk(
    db: &Connection,
    expected: Option<Head>,
    tell: &mut impl FnMut(JournalFault),
) -> rusqlite::Result<Walked> {
    let mut walked = Walked { entries: 0, end: End::default(), forgotten: 0, taken_over: None };
    let mut found = expected.is_none_or(|head| head == Head::default());
    let mut statement = db.prepare("SELECT id, at, what, ref, digest, prev, hash FROM chain ORDER BY id")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let what = row.get_ref(2)?.as_bytes()?;
        let entry = Entry { id: row.get(0)?, at: row.get(1)?, what, of: row.get(3)? };
        let [digest, prev, hash] = [4, 5, 6].map(|column| row.get_ref(column));
        let (digest, prev, hash) = (digest?.as_blob()?, prev?.as_blob()?, hash?.as_blob()?);
        let next = walked.end.id + 1;
        if entry.id > next {
            tell(JournalFault::EntriesMissing { first: next, last: entry.id - 1 });
        } else if prev != walked.end.hash.0.as_slice() {
            tell(JournalFault::LinkBroken { entry: entry.id });
        }
        if entry.hash(digest, prev).as_slice() != hash || entry.id < next {
            tell(JournalFault::EntryAltered { entry: entry.id });
        }
        match What::of(what) {
            Some(What::ForgotTicks) => walked.forgotten = walked.forgotten.max(entry.of),
            Some(What::TookOver) => {
                let (rows, at) = (entry.of.cast_unsigned(), entry.at.cast_unsigned());
                walked.taken_over = walked.taken_over.or(Some(TakenOver { rows, at }));
            }
            Some(_) => {}
            None => {
                let what = told(ValueRef::Text(what));
                tell(JournalFault::EntryStrange { entry: entry.id, what });
            }
        }
        let hash = Head(hash.try_into().unwrap_or_default());
        found |= expected == Some(hash);
        walked.end = End { id: entry.id, hash };
        walked.entries += 1;
    }
    let written = highest(db)?;
    if written > walked.end.id {
        tell(JournalFault::EntriesMissing { first: walked.end.id + 1, last: written });
    }
    if let Some(head) = expected.filter(|_| !found) {
        tell(JournalFault::HeadMissing { head });
    }
    Ok(walked)
}

/// An entry as a row is held against it.
struct OfRow {
    entry: i64,
    what: Option<What>,
    id: i64,
    digest: Vec<u8>,
}

/// The rows of a table beside the entries that are of them, both in the order of the rows' numbers.
fn compare(
    db: &Connection,
    table: Table,
    forgotten: i64,
    tell: &mut impl FnMut(JournalFault),
) -> rusqlite::Result<()> {
    let (made, became) = (table.made(), table.became());
    let mut statement =
        db.prepare("SELECT id, what, ref, digest FROM chain WHERE what IN (?1, ?2) ORDER BY ref, id")?;
    let entries = statement.query_map((made.word(), became.unwrap_or(made).word()), |row| {
        Ok(OfRow {
            entry: row.get(0)?,
            what: What::of(row.get_ref(1)?.as_bytes()?),
            id: row.get(2)?,
            digest: row.get(3)?,
        })
    })?;
    let mut entries = entries.peekable();
    let mut gone = None;
    let mut missing = |of: &OfRow, tell: &mut dyn FnMut(JournalFault)| {
        let known = gone.replace(of.id) == Some(of.id) || (table == Table::Ticks && of.id <= forgotten);
        if !known {
            tell(JournalFault::RowMissing { table: table.name(), id: of.id, entry: of.entry });
        }
    };

    let columns =
        [Some(made), became].into_iter().flatten().map(What::columns).collect::<Vec<_>>().join(", ");
    let mut statement = db.prepare(&format!("SELECT id, {columns} FROM {} ORDER BY id", table.name()))?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        let mut first: Option<OfRow> = None;
        let mut newest: Option<OfRow> = None;
        while let Some(of) = next_up_to(&mut entries, id)? {
            if of.id < id {
                missing(&of, tell);
            } else if of.what != Some(made) {
                newest = Some(of);
            } else if first.is_none() {
                first = Some(of);
            } else {
                tell(JournalFault::EntryRepeated { entry: of.entry, what: made.word(), id });
            }
        }
        let Some(first) = first else {
            tell(JournalFault::RowUnknown { table: table.name(), id, says: says(row)? });
            continue;
        };
        if of_row(made, id, row, 1)?.as_slice() != first.digest {
            tell(JournalFault::RowAltered { table: table.name(), id, what: made.word(), says: says(row)? });
        }
        let Some(became) = became else { continue };
        let now = of_row(became, id, row, 1 + made.columns().split(',').count())?;
        let known = newest.map_or_else(|| of_values(became, id, became.at_first()).to_vec(), |of| of.digest);
        if now.as_slice() != known {
            tell(JournalFault::RowAltered { table: table.name(), id, what: became.word(), says: says(row)? });
        }
    }
    while let Some(of) = next_up_to(&mut entries, i64::MAX)? {
        missing(&of, tell);
    }
    Ok(())
}

/// The next entry, if it is of this row or of one before it.
fn next_up_to(
    entries: &mut Peekable<impl Iterator<Item = rusqlite::Result<OfRow>>>,
    id: i64,
) -> rusqlite::Result<Option<OfRow>> {
    if matches!(entries.peek(), Some(Ok(of)) if of.id > id) {
        return Ok(None);
    }
    entries.next().transpose()
}

/// A row in a line, long columns shortened.
fn says(row: &Row<'_>) -> rusqlite::Result<String> {
    let names = row.as_ref().column_names();
    let columns = names.iter().enumerate().skip(1);
    let told = columns.map(|(at, name)| Ok(format!("{name}: {}", told(row.get_ref(at)?))));
    Ok(told.collect::<rusqlite::Result<Vec<_>>>()?.join(", "))
}

fn told(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "nothing".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let short: String = text.chars().take(LONGEST_TOLD).collect();
            if short.len() < text.len() { format!("{short}…") } else { short }
        }
    }
}
