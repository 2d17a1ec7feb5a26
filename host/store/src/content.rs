//! What an entry of the chain is of: the columns of a row, and their digest.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use sha2::{Digest as _, Sha256};

/// SHA-256.
pub(crate) type Digest = [u8; 32];

/// What is written, and so is in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Run,
    RunEnded,
    Intent,
    Outcome,
    Tick,
    Event,
    /// Up to this tick.
    ForgotTicks,
    /// So many rows of a journal without a chain, as they were then.
    TookOver,
}

/// A table whose rows are in the chain: once when they are made, and again whenever what becomes of them is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Runs,
    Actions,
    Ticks,
    Events,
}

impl What {
    const ALL: [Self; 8] = [
        Self::Run,
        Self::RunEnded,
        Self::Intent,
        Self::Outcome,
        Self::Tick,
        Self::Event,
        Self::ForgotTicks,
        Self::TookOver,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::RunEnded => "run-ended",
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Tick => "tick",
            Self::Event => "event",
            Self::ForgotTicks => "forgot-ticks",
            Self::TookOver => "took-over",
        }
    }

    pub(crate) fn of(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.word().as_bytes() == word)
    }

    /// All that the row holds of it, beside its number.
    pub(crate) const fn columns(self) -> &'static str {
        match self {
            Self::Run => "started, version",
            Self::RunEnded => "ended",
            Self::Intent => {
                "run, session, tick, generation, at, kind, target, proposal, findings, before, decided_by, judged_by, \
                 undoes"
            }
            Self::Outcome => "outcome, note, after, settled_at",
            Self::Tick => "run, session, tick, generation, at, ending, record",
            Self::Event => "run, session, tick, at, what, event",
            Self::ForgotTicks | Self::TookOver => "",
        }
    }

    /// None: of no row that there still is.
    const fn table(self) -> Option<Table> {
        match self {
            Self::Run | Self::RunEnded => Some(Table::Runs),
            Self::Intent | Self::Outcome => Some(Table::Actions),
            Self::Tick => Some(Table::Ticks),
            Self::Event => Some(Table::Events),
            Self::ForgotTicks | Self::TookOver => None,
        }
    }

    /// What the columns hold as long as no entry is of them.
    pub(crate) const fn at_first(self) -> &'static [ValueRef<'static>] {
        match self {
            Self::Outcome => &[ValueRef::Text(b"unknown"), ValueRef::Null, ValueRef::Null, ValueRef::Null],
            Self::RunEnded => &[ValueRef::Null],
            _ => &[],
        }
    }
}

impl Table {
    pub(crate) const ALL: [Self; 4] = [Self::Runs, Self::Actions, Self::Ticks, Self::Events];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Actions => "actions",
            Self::Ticks => "ticks",
            Self::Events => "events",
        }
    }

    /// What a row is when it is made.
    pub(crate) const fn made(self) -> What {
        match self {
            Self::Runs => What::Run,
            Self::Actions => What::Intent,
            Self::Ticks => What::Tick,
            Self::Events => What::Event,
        }
    }

    /// What may become known of a row later.
    pub(crate) const fn became(self) -> Option<What> {
        match self {
            Self::Runs => Some(What::RunEnded),
            Self::Actions => Some(What::Outcome),
            Self::Ticks | Self::Events => None,
        }
    }
}

/// The digest of what the row of this number holds now.
pub(crate) fn stored(db: &Connection, what: What, id: i64) -> rusqlite::Result<Digest> {
    let Some(table) = what.table() else { return Ok(of_values(what, id, &[])) };
    let sql = format!("SELECT {} FROM {} WHERE id = ?1", what.columns(), table.name());
    db.prepare_cached(&sql)?.query_row((id,), |row| of_row(what, id, row, 0))
}

/// The digest of what a row holds, whose columns begin at this one.
pub(crate) fn of_row(what: What, id: i64, row: &Row<'_>, first: usize) -> rusqlite::Result<Digest> {
    let count = what.columns().split(',').count();
    let values: Vec<_> =
        (first..first + count).map(|column| row.get_ref(column)).collect::<Result<_, _>>()?;
    Ok(of_values(what, id, &values))
}

pub(crate) fn of_values(what: What, id: i64, values: &[ValueRef<'_>]) -> Digest {
    let mut told = Told::default();
    told.text(what.word().as_bytes());
    told.number(id);
    values.iter().for_each(|value| told.value(*value));
    told.digest()
}

/// Values one after another, each with its type and its length before it: different values are different bytes.
#[derive(Default)]
pub(crate) struct Told(Sha256);

impl Told {
    pub(crate) fn number(&mut self, number: i64) {
        self.0.update([1]);
        self.0.update(number.to_be_bytes());
    }

    pub(crate) fn text(&mut self, text: &[u8]) {
        self.bytes(3, text);
    }

    pub(crate) fn blob(&mut self, blob: &[u8]) {
        self.bytes(4, blob);
    }

    fn value(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => self.0.update([0]),
            ValueRef::Integer(number) => self.number(number),
            ValueRef::Real(number) => {
                self.0.update([2]);
                self.0.update(number.to_be_bytes());
            }
            ValueRef::Text(text) => self.text(text),
            ValueRef::Blob(blob) => self.blob(blob),
        }
    }

    fn bytes(&mut self, kind: u8, bytes: &[u8]) {
        self.0.update([kind]);
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    pub(crate) fn digest(self) -> Digest {
        self.0.finalize().into()
    }
}
