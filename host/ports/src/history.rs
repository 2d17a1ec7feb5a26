//! What was done, seen and decided so far, for whoever looks back: while a host runs or after it, in this process or another.
//! Implemented by `store`; called by commands, and by what answers questions about the past.

use flyball_model::{ActionKind, ActionRecord, Ending, EventRecord, NodeId, Outcome, TickRecord, UnixMillis};
use serde::Serialize;

/// The past of one state directory, as far as it is kept.
pub trait StoredHistory: Send {
    /// Actions, the newest first. One whose `settled_at` is none was intended and is not concluded.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    fn actions(&self, filter: &ActionFilter) -> Result<Vec<ActionRecord>, HistoryError>;

    /// Ticks on which something was found, decided, done or failed, the newest first.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    fn ticks(&self, filter: &TickFilter) -> Result<Vec<TickRecord>, HistoryError>;

    /// All such ticks of a session, or of all, since a time: the oldest first and one at a time, each with the run that it is of.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    fn each_tick(
        &self,
        session: Option<&str>,
        since: Option<UnixMillis>,
        each: &mut dyn FnMut(Option<u64>, TickRecord),
    ) -> Result<(), HistoryError>;

    /// The newest tick of a session of that number, a quiet one too. Of no number the newest on which something was found, or else
    /// the newest quiet one.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    fn tick(&self, session: &str, number: Option<u64>) -> Result<Option<TickRecord>, HistoryError>;

    /// The lowest and the highest number of a session's ticks, quiet ones too, that were observed at this time or later.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    fn tick_numbers(&self, session: &str, since: UnixMillis) -> Result<Option<(u64, u64)>, HistoryError>;

    /// The sessions of which ticks are kept, by name.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    fn sessions(&self) -> Result<Vec<String>, HistoryError>;

    /// What people and guards did to the loop itself, the newest first.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    fn events(&self, filter: &EventFilter) -> Result<Vec<EventRecord>, HistoryError>;

    /// The newest runs of a host, the newest first, at most so many.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    fn runs(&self, count: usize) -> Result<Vec<Run>, HistoryError>;
}

/// The past cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HistoryError(pub String);

/// Which actions to read; what is not given does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionFilter {
    /// Of this session.
    pub session: Option<String>,
    /// Of this run.
    pub run: Option<u64>,
    /// That came to this.
    pub outcome: Option<Outcome>,
    /// Of this kind.
    pub kind: Option<ActionKind>,
    /// Done to this node.
    pub node: Option<NodeId>,
    /// That this plugin decided or judged, by its name.
    pub plugin: Option<String>,
    /// Intended at this time or later.
    pub since: Option<UnixMillis>,
    /// Intended at this time or earlier.
    pub until: Option<UnixMillis>,
    /// At most so many, the newest.
    pub limit: usize,
}

/// Which ticks to read; what is not given does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickFilter {
    /// Of this session.
    pub session: Option<String>,
    /// Of this run.
    pub run: Option<u64>,
    /// Of this number in its session.
    pub tick: Option<u64>,
    /// That ended so.
    pub ending: Option<Ending>,
    /// On which this plugin judged, by its name.
    pub plugin: Option<String>,
    /// Observed at this time or later.
    pub since: Option<UnixMillis>,
    /// Observed at this time or earlier.
    pub until: Option<UnixMillis>,
    /// At most so many, the newest.
    pub limit: usize,
}

/// Which events to read; what is not given does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this session; the host's own are of none.
    pub session: Option<String>,
    /// Of this kind, as its `what` says: `halted`.
    pub what: Option<String>,
    /// Happened at this time or later.
    pub since: Option<UnixMillis>,
    /// Happened at this time or earlier.
    pub until: Option<UnixMillis>,
    /// At most so many, the newest.
    pub limit: usize,
}

const USUAL_LIMIT: usize = 100;

impl Default for ActionFilter {
    fn default() -> Self {
        Self {
            session: None,
            run: None,
            outcome: None,
            kind: None,
            node: None,
            plugin: None,
            since: None,
            until: None,
            limit: USUAL_LIMIT,
        }
    }
}

impl Default for TickFilter {
    fn default() -> Self {
        Self {
            session: None,
            run: None,
            tick: None,
            ending: None,
            plugin: None,
            since: None,
            until: None,
            limit: USUAL_LIMIT,
        }
    }
}

impl Default for EventFilter {
    fn default() -> Self {
        Self { session: None, what: None, since: None, until: None, limit: USUAL_LIMIT }
    }
}

/// One run of a host on this journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Its number.
    pub id: u64,
    /// When it began.
    pub started: UnixMillis,
    /// When it ended; none: it still runs, or was killed.
    pub ended: Option<UnixMillis>,
    /// The Flyball that ran.
    pub version: String,
}
