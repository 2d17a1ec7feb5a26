//! The numbered log: everything that a host tells, in the order in which it happened.
//!
//! An entry is written once and never changes. `flyball-events` numbers entries and hands them to readers, and the store keeps them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ActionRecord, EventRecord, TickRecord, UnixMillis};

/// Which entry of the log: the run of the host, and the entry's place in it, from 1. A run's number is never given twice, so a
/// number means the same entry for good, whatever a crash took with it. Numbers rise; within a run one is left out only where the disk took nothing for so long that the
/// entry was lost. Written `RUN.PLACE`, as in `3.120`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EntryNumber {
    /// The run, as the journal numbers runs; higher, where the log knows of later ones, as its journal was taken away.
    pub run: u64,
    /// The place in the run, from 1; 0: before the first entry.
    pub place: u64,
}

impl fmt::Display for EntryNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.run, self.place)
    }
}

/// It is not of the form `RUN.PLACE`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no number of an entry; write RUN.PLACE, as in 3.120, or 0.0 for the beginning")]
pub struct NotAnEntryNumber(String);

impl FromStr for EntryNumber {
    type Err = NotAnEntryNumber;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (run, place) = text.split_once('.')?;
            Some(Self { run: run.parse().ok()?, place: place.parse().ok()? })
        };
        read().ok_or_else(|| NotAnEntryNumber(text.to_owned()))
    }
}

impl Serialize for EntryNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntryNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for EntryNumber {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EntryNumber".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]+\\.[0-9]+$" })
    }
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogEntry {
    /// Which.
    pub number: EntryNumber,
    /// What.
    #[serde(flatten)]
    pub happened: Happened,
}

/// What an entry tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Happened {
    /// A tick on which something was found, decided, done or failed. Quiet ticks are no entries: `flyball explain` has them.
    Tick(Arc<TickRecord>),
    /// It became known what came of an earlier action, or its undo was done.
    Concluded(Arc<ActionRecord>),
    /// People or guards did something to the loop itself.
    Event(EventRecord),
    /// A policy or plugin changed, or was to change and does not load.
    Reload(ReloadRecord),
    /// Something is missing between sessions, policies and plugins.
    Warning(Warning),
}

impl Happened {
    /// The name of what happened, as in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tick(_) => "tick",
            Self::Concluded(_) => "concluded",
            Self::Event(_) => "event",
            Self::Reload(_) => "reload",
            Self::Warning(_) => "warning",
        }
    }

    /// In which session; none: in the host, or in several.
    pub fn session(&self) -> Option<&str> {
        match self {
            Self::Tick(tick) => Some(&tick.session),
            Self::Concluded(action) => Some(&action.session),
            Self::Event(event) => event.session.as_deref(),
            Self::Reload(_) | Self::Warning(_) => None,
        }
    }
}

/// One change of a policy or plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReloadRecord {
    /// When.
    pub at: UnixMillis,
    /// What changed, taken or refused.
    pub what: Vec<String>,
    /// The generation that serves since; none: the one before goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The sessions whose next tick is judged by it.
    pub sessions: Vec<String>,
    /// From the change being seen to the new generation serving, in milliseconds.
    pub took_ms: f64,
    /// How long each stage of it took, in milliseconds.
    pub stages_ms: Vec<(String, f64)>,
    /// What did not load, and why; the last good one goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

/// Something that is missing between sessions, policies and plugins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// Stable, for machines: `no-policy`, `policy-broken`, `policy-gone`, `policy-not-read`, `plugin-broken`,
    /// `plugin-unused`, `plugin-gone`, `no-such-node`, `halted`.
    pub code: String,
    /// One sentence for people.
    pub message: String,
}

impl Warning {
    /// With this code and this sentence.
    pub fn new(code: &str, message: String) -> Self {
        Self { code: code.to_owned(), message }
    }
}
