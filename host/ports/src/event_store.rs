//! What keeps the entries of the numbered log, and how far each reader has come. Implemented by `store`; called by
//! `flyball-events`, on a thread that may wait for a disk.

use std::sync::Arc;

use flyball_model::{EntryNumber, LogEntry};

/// Keeps entries, oldest ones to be forgotten when there are many.
pub trait EventStore: Send + Sync {
    /// Keeps these, all or none. Their numbers are higher than those of all that are kept.
    ///
    /// # Errors
    ///
    /// They cannot be written, and are to be offered again.
    fn write(&self, entries: &[Arc<LogEntry>]) -> Result<(), EventStoreError>;

    /// The oldest entries after this number, at most so many, in their order.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    fn read(&self, after: EntryNumber, most: usize) -> Result<Vec<Arc<LogEntry>>, EventStoreError>;

    /// How far the reader of that name said that it had come; none: it never did.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    fn position(&self, reader: &str) -> Result<Option<EntryNumber>, EventStoreError>;

    /// Keeps how far the reader of that name has come.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    fn keep_position(&self, reader: &str, at: EntryNumber) -> Result<(), EventStoreError>;

    /// Forgets how far the reader of that name had come.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    fn forget_position(&self, reader: &str) -> Result<(), EventStoreError>;
}

/// Entries cannot be kept or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event log failed: {0}")]
pub struct EventStoreError(pub String);
