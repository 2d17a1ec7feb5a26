use flyball_model::{ActionKind, Ending, NodeId, Outcome, UnixMillis};
use serde::Serialize;

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
