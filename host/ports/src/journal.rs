//! What keeps actions, ticks and events. Implemented by `store`; called by the loop.

use async_trait::async_trait;
use flyball_model::{ActionRecord, EventRecord, Halt, Learned, TickRecord, UnixMillis};
use std::sync::Arc;

/// Keeps what is done, durably. What `intend` has returned for is on disk.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Records that this is about to be done, and numbers it: `id` of the record given is ignored.
    async fn intend(&self, intent: &ActionRecord) -> Result<u64, JournalError>;

    /// Records what became of it: outcome, note, the graph after, when.
    async fn conclude(&self, action: &ActionRecord) -> Result<(), JournalError>;

    /// Records a tick on which something was found. Need not be on disk when it returns.
    async fn tick(&self, record: &Arc<TickRecord>) -> Result<(), JournalError>;

    /// Records what happened to the loop itself. On disk when it returns.
    async fn record(&self, event: &EventRecord) -> Result<(), JournalError>;

    /// The newest actions of a session, newest first, whatever became of them.
    async fn recent(&self, session: &str, count: usize) -> Result<Vec<ActionRecord>, JournalError>;

    /// The actions of a session that were intended and of which nothing more is known: a host was killed. Oldest first.
    async fn open_intents(&self, session: &str) -> Result<Vec<ActionRecord>, JournalError>;

    /// When a person last let this session act again and begin anew; none: never.
    async fn resumed_at(&self, session: &str) -> Result<Option<UnixMillis>, JournalError>;

    /// The halts that are in force, of the host and of sessions.
    async fn halts(&self) -> Result<Vec<Halt>, JournalError>;

    /// What came of actions so far, in all sessions and runs.
    async fn learned(&self) -> Result<Vec<Learned>, JournalError>;

    /// The newest actions of a session that were applied and neither undone nor themselves an undo, newest first.
    async fn undoable(&self, session: &str, count: usize) -> Result<Vec<ActionRecord>, JournalError>;
}

/// The journal does not take it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the journal failed: {0}")]
pub struct JournalError(pub String);
