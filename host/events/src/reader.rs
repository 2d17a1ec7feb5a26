//! Reads the log from any number on, each entry once and in order.
//!
//! Used by the terminal, the webhook, and whoever else tells what happens.

use std::collections::VecDeque;
use std::sync::Arc;

use flyball_model::{EntryNumber, LogEntry};
use flyball_ports::{EventStore, EventStoreError};
use tokio::sync::watch;

use crate::log::{EventLog, Found};

/// Entries that are read from the store at once.
const PAGE: usize = 256;

/// A reader's place in the log. It holds nobody up, however slow it is.
pub struct EventReader {
    log: EventLog,
    at: EntryNumber,
    /// Read from the store, and not given yet.
    page: VecDeque<Arc<LogEntry>>,
    newest: watch::Receiver<(EntryNumber, bool)>,
}

/// Nobody can have read that entry yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no entry {after} yet, the newest is {newest}; read on after a number that this log has given"
)]
pub struct AheadOfLog {
    /// What was asked for.
    pub after: EntryNumber,
    /// What there is.
    pub newest: EntryNumber,
}

impl EventReader {
    pub(crate) fn new(log: EventLog, at: EntryNumber) -> Self {
        let newest = log.shared.newest.subscribe();
        Self { log, at, page: VecDeque::new(), newest }
    }

    /// The number of the entry that was read last: whoever begins again after it misses nothing.
    pub const fn position(&self) -> EntryNumber {
        self.at
    }

    /// The next entry, waited for if there is none yet; none: the log is closed, and this was all. Nothing is lost when the
    /// waiting is broken off.
    ///
    /// # Errors
    ///
    /// The entry is in the store only, which cannot be read. The same may be asked again.
    pub async fn next(&mut self) -> Result<Option<Arc<LogEntry>>, EventStoreError> {
        loop {
            if let Some(entry) = self.turn() {
                return Ok(Some(entry));
            }
            match self.log.shared.find(self.at) {
                Found::Entry(entry) => return Ok(Some(self.give(entry))),
                Found::Store(until) => {
                    let (log, at) = (self.log.clone(), self.at);
                    let read = tokio::task::spawn_blocking(move || read(&log, at));
                    let page = read.await.map_err(|error| EventStoreError(error.to_string()))??;
                    self.take(page, until);
                }
                Found::Nothing => {
                    let at = self.at;
                    let waited = self.newest.wait_for(|(newest, closed)| *newest > at || *closed).await;
                    if waited.is_err() || waited.is_ok_and(|newest| newest.0 <= at) {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The next entry if there is one already. It may wait for a disk.
    ///
    /// # Errors
    ///
    /// As for [`EventReader::next`].
    pub fn try_next(&mut self) -> Result<Option<Arc<LogEntry>>, EventStoreError> {
        loop {
            if let Some(entry) = self.turn() {
                return Ok(Some(entry));
            }
            match self.log.shared.find(self.at) {
                Found::Entry(entry) => return Ok(Some(self.give(entry))),
                Found::Store(until) => {
                    let page = read(&self.log, self.at)?;
                    self.take(page, until);
                }
                Found::Nothing => return Ok(None),
            }
        }
    }

    fn turn(&mut self) -> Option<Arc<LogEntry>> {
        let entry = self.page.pop_front()?;
        Some(self.give(entry))
    }

    fn give(&mut self, entry: Arc<LogEntry>) -> Arc<LogEntry> {
        self.at = entry.number;
        entry
    }

    /// What the store has up to this number; if that is nothing, the reader goes on after it.
    fn take(&mut self, page: Vec<Arc<LogEntry>>, until: EntryNumber) {
        self.page = page.into_iter().filter(|entry| entry.number <= until).collect();
        if self.page.is_empty() {
            self.at = until;
        }
    }
}

fn read(log: &EventLog, after: EntryNumber) -> Result<Vec<Arc<LogEntry>>, EventStoreError> {
    let store: Option<&Arc<dyn EventStore>> = log.shared.store.as_ref();
    store.map_or_else(|| Ok(Vec::new()), |store| store.read(after, PAGE))
}

impl std::fmt::Debug for EventReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventReader").field("at", &self.at).finish_non_exhaustive()
    }
}
