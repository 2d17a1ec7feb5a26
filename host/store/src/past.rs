//! The past of a state directory, of which ticks on which something was found are in the journal and quiet ones beside it.
//!
//! Opened by whoever looks back, also while a host writes.

use std::collections::BTreeSet;
use std::path::Path;

use flyball_model::{ActionRecord, EventRecord, TickRecord, UnixMillis};
use flyball_ports::{ActionFilter, EventFilter, HistoryError, Run, StoredHistory, TickFilter};

use crate::{QuietTicksError, QuietTicksReader, Reader, StoreError};

/// The journal and the quiet ticks of a state directory, to read only.
#[derive(Debug)]
pub struct HistoryReader {
    journal: Reader,
    quiet: Option<QuietTicksReader>,
}

impl HistoryReader {
    /// Of this state directory.
    ///
    /// # Errors
    ///
    /// There is no journal, it or the quiet ticks cannot be read, or a newer Flyball wrote them.
    pub fn open(directory: &Path) -> Result<Self, HistoryError> {
        Ok(Self { journal: Reader::open(directory)?, quiet: QuietTicksReader::open(directory)? })
    }
}

impl From<StoreError> for HistoryError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

impl From<QuietTicksError> for HistoryError {
    fn from(error: QuietTicksError) -> Self {
        Self(error.to_string())
    }
}

impl StoredHistory for HistoryReader {
    fn actions(&self, filter: &ActionFilter) -> Result<Vec<ActionRecord>, HistoryError> {
        Ok(self.journal.actions(filter)?)
    }

    fn ticks(&self, filter: &TickFilter) -> Result<Vec<TickRecord>, HistoryError> {
        Ok(self.journal.ticks(filter)?)
    }

    fn each_tick(
        &self,
        session: Option<&str>,
        since: Option<UnixMillis>,
        each: &mut dyn FnMut(Option<u64>, TickRecord),
    ) -> Result<(), HistoryError> {
        Ok(self.journal.each_tick(session, since, each)?)
    }

    fn tick(&self, session: &str, number: Option<u64>) -> Result<Option<TickRecord>, HistoryError> {
        let filter =
            TickFilter { session: Some(session.to_owned()), tick: number, limit: 1, ..TickFilter::default() };
        let eventful = self.journal.ticks(&filter)?.pop();
        let quiet = match &self.quiet {
            Some(quiet) if eventful.is_none() || number.is_some() => quiet.newest(session, number)?,
            _ => None,
        };
        Ok(eventful.into_iter().chain(quiet).max_by_key(|tick| tick.at))
    }

    fn tick_numbers(&self, session: &str, since: UnixMillis) -> Result<Option<(u64, u64)>, HistoryError> {
        let eventful = self.journal.numbers(session, since)?;
        let quiet = match &self.quiet {
            Some(quiet) => quiet.numbers(session, since)?,
            None => None,
        };
        Ok(eventful.into_iter().chain(quiet).reduce(|one, other| (one.0.min(other.0), one.1.max(other.1))))
    }

    fn sessions(&self) -> Result<Vec<String>, HistoryError> {
        let mut sessions = BTreeSet::from_iter(self.journal.sessions()?);
        if let Some(quiet) = &self.quiet {
            sessions.extend(quiet.sessions()?);
        }
        Ok(sessions.into_iter().collect())
    }

    fn events(&self, filter: &EventFilter) -> Result<Vec<EventRecord>, HistoryError> {
        Ok(self.journal.events(filter)?)
    }

    fn runs(&self, count: usize) -> Result<Vec<Run>, HistoryError> {
        Ok(self.journal.runs(count)?)
    }
}
