//! The chain: an entry for each thing that the writer writes, in the same transaction, each with the hash of the entry
//! before it. So nothing of the journal can be altered, taken out, put in or moved afterwards without a trace, unless
//! everything from there on is written anew.
//!
//! An entry holds the digest of what it is of, exactly as the row holds it; its hash is of its number, its time, its kind,
//! the row's number, that digest and the hash before it. What the chain tells, by [`crate::Reader::verify`]:
//!
//! - a row that is not what was written, is gone, or was never written by Flyball;
//! - an entry that was altered, taken out or moved, and an end that was cut off by anything but a rewrite of the file;
//! - against a head that was kept elsewhere: whether all that was written up to then is still there, as it was.
//!
//! What it cannot tell: whoever can write the file can also write a whole chain anew, or go on with it, and no key stands
//! against that. Only a head that is kept where they cannot write shows it, and only for what was written before it. Of
//! an action that is concluded more than once, the newest outcome is in the row; of those before it the chain has digests
//! only. Forgotten ticks leave their entries.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection, OptionalExtension, params};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::content::{Digest, Table, Told, What, stored};

/// What version 2 has of it. Numbers have no gaps, and SQLite remembers the highest: an end that was cut off shows.
pub(crate) const TABLE: &str = "
    CREATE TABLE chain (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        what TEXT NOT NULL,
        ref INTEGER NOT NULL,
        digest BLOB NOT NULL,
        prev BLOB NOT NULL,
        hash BLOB NOT NULL
    ) STRICT;
";

/// The hash of an entry of the chain, which stands for everything up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head(pub(crate) Digest);

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// It is not a head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a head is 64 hexadecimal digits, as `flyball journal verify` prints it")]
pub struct NoHead;

impl FromStr for Head {
    type Err = NoHead;

    fn from_str(text: &str) -> Result<Self, NoHead> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NoHead);
        }
        let mut head = Self::default();
        for (at, byte) in head.0.iter_mut().enumerate() {
            let digits = text.get(2 * at..2 * at + 2).ok_or(NoHead)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NoHead)?;
        }
        Ok(head)
    }
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Head {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How far a chain goes: kept elsewhere, it shows later whether all of this is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChainEnd {
    /// The number of the last entry.
    pub entries: u64,
    /// Its hash, for `flyball journal verify --head`.
    #[schemars(with = "String")]
    pub head: Head,
}

/// Where the next entry goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct End {
    pub(crate) id: i64,
    pub(crate) hash: Head,
}

impl End {
    /// As the journal has it. Where its end was cut off, the gap stays to be seen.
    pub(crate) fn of(db: &Connection) -> rusqlite::Result<Self> {
        Ok(Self { id: highest(db)?, hash: last(db)?.unwrap_or_default().hash })
    }

    /// Once more, before something is added. Another program may have added to it (a halt while no host ran); when what
    /// this one has written is no longer there, the chain goes on from that and not from what stands there now, so that the
    /// break shows.
    pub(crate) fn again(self, db: &Connection) -> rusqlite::Result<Self> {
        let now = last(db)?.unwrap_or_default();
        if now == self || self.is_in(db)? {
            return Ok(now);
        }
        tracing::error!("another program altered the journal's chain; `flyball journal verify` shows where");
        Ok(Self { id: self.id.max(highest(db)?), hash: self.hash })
    }

    fn is_in(self, db: &Connection) -> rusqlite::Result<bool> {
        let known = db
            .prepare_cached("SELECT hash FROM chain WHERE id = ?1")?
            .query_row((self.id,), |row| Ok(row.get_ref(0)?.as_blob()? == self.hash.0.as_slice()))
            .optional()?;
        Ok(known.unwrap_or(self == Self::default()))
    }

    /// An entry of what was just written to this row.
    pub(crate) fn add(&mut self, db: &Connection, at: u64, what: What, id: i64) -> rusqlite::Result<()> {
        let digest = stored(db, what, id)?;
        let entry = Entry { id: self.id + 1, at: at.cast_signed(), what: what.word().as_bytes(), of: id };
        let hash = entry.hash(&digest, &self.hash.0);
        db.prepare_cached(
            "INSERT INTO chain (id, at, what, ref, digest, prev, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![entry.id, entry.at, what.word(), id, digest, self.hash.0, hash])?;
        *self = Self { id: entry.id, hash: Head(hash) };
        Ok(())
    }
}

/// What an entry says, beside its digests.
pub(crate) struct Entry<'a> {
    pub(crate) id: i64,
    pub(crate) at: i64,
    pub(crate) what: &'a [u8],
    pub(crate) of: i64,
}

impl Entry<'_> {
    pub(crate) fn hash(&self, digest: &[u8], prev: &[u8]) -> Digest {
        let mut told = Told::default();
        told.number(self.id);
        told.number(self.at);
        told.text(self.what);
        told.number(self.of);
        told.blob(digest);
        told.blob(prev);
        told.digest()
    }
}

/// The last entry that there is.
fn last(db: &Connection) -> rusqlite::Result<Option<End>> {
    db.prepare_cached("SELECT id, hash FROM chain ORDER BY id DESC LIMIT 1")?
        .query_row((), |row| {
            // One that is no hash shows as a broken link.
            let hash = row.get_ref(1)?.as_blob()?.try_into().unwrap_or_default();
            Ok(End { id: row.get(0)?, hash: Head(hash) })
        })
        .optional()
}

/// The highest number that an entry ever had.
pub(crate) fn highest(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "SELECT max(coalesce((SELECT max(id) FROM chain), 0),
                    coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'chain'), 0))",
    )?
    .query_row((), |row| row.get(0))
}

/// Takes all that a journal of version 1 holds into the chain, as it is. The last entry says of how many rows nobody knows
/// whether they were altered before; their number.
pub(crate) fn take_over(db: &Connection, now: u64) -> rusqlite::Result<(i64, End)> {
    let mut end = End::default();
    let mut taken = 0;
    for table in [Table::Runs, Table::Actions, Table::Ticks] {
        let known = match table {
            Table::Runs => "ended IS NOT NULL",
            Table::Actions => {
                "settled_at IS NOT NULL OR outcome <> 'unknown' OR note IS NOT NULL OR after IS NOT NULL"
            }
            Table::Ticks | Table::Events => "FALSE",
        };
        let mut statement = db.prepare(&format!("SELECT id, {known} FROM {} ORDER BY id", table.name()))?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            taken += 1;
            end.add(db, now, table.made(), id)?;
            if let Some(became) = table.became()
                && row.get(1)?
            {
                end.add(db, now, became, id)?;
            }
        }
    }
    end.add(db, now, What::TookOver, taken)?;
    Ok((taken, end))
}
