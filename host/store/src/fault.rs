use serde::Serialize;

use crate::Head;

/// Something about a journal that is not as Flyball wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum JournalFault {
    /// SQLite cannot make sense of a part of the file.
    #[error("the file is damaged: {cause}")]
    Damaged {
        /// What SQLite says.
        cause: String,
    },
    /// A row is not what was written.
    #[error("row {id} of {table} was altered: its {what} is not the one in the chain; it says {says}")]
    RowAltered {
        /// Of which table.
        table: &'static str,
        /// The row.
        id: i64,
        /// Which part of it: `intent`, `outcome`, `tick`…
        what: &'static str,
        /// What it says now, shortened.
        says: String,
    },
    /// A row is gone.
    #[error("row {id} of {table} is missing: the chain has it since entry {entry}, and it was not forgotten")]
    RowMissing {
        /// Of which table.
        table: &'static str,
        /// The row.
        id: i64,
        /// The first entry that is of it.
        entry: i64,
    },
    /// A row that Flyball did not write.
    #[error(
        "row {id} of {table} is in no entry of the chain: it was put in by something else; it says {says}"
    )]
    RowUnknown {
        /// Of which table.
        table: &'static str,
        /// The row.
        id: i64,
        /// What it says, shortened.
        says: String,
    },
    /// An entry is not what was written.
    #[error("entry {entry} of the chain was altered: its hash is not of what it says")]
    EntryAltered {
        /// The entry.
        entry: i64,
    },
    /// An entry of nothing that there is.
    #[error("entry {entry} of the chain is of a {what}, and there is no such thing")]
    EntryStrange {
        /// The entry.
        entry: i64,
        /// Of what, in its own word.
        what: String,
    },
    /// A row is made once.
    #[error("entry {entry} of the chain is once more of the {what} {id}: it was put in by something else")]
    EntryRepeated {
        /// The entry.
        entry: i64,
        /// Of what.
        what: &'static str,
        /// The row.
        id: i64,
    },
    /// Entries are gone.
    #[error("entries {first} to {last} of the chain are missing")]
    EntriesMissing {
        /// The first of them.
        first: i64,
        /// The last.
        last: i64,
    },
    /// An entry does not follow the one before it.
    #[error(
        "the chain is broken before entry {entry}: it follows another entry than the one that stands there"
    )]
    LinkBroken {
        /// The entry.
        entry: i64,
    },
    /// The expected head is not there.
    #[error("the chain does not hold the head {head}: what was written up to it was cut off or rewritten")]
    HeadMissing {
        /// The head.
        head: Head,
    },
}
