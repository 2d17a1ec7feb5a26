use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Action, Outcome, UnixMillis};

/// A change that the loop has made to a pipeline and that still stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StandingChange {
    /// The session.
    pub session: Arc<str>,
    /// The action's number in the journal.
    pub action: u64,
    /// When it was done.
    pub at: UnixMillis,
    /// What was done.
    pub change: Action,
    /// What it was for: code and node of each finding.
    pub reasons: Vec<String>,
    /// What it came to.
    pub outcome: Outcome,
    /// Who decided it.
    pub decided_by: String,
    /// When or by what it ends, in one sentence for people.
    pub ends: String,
}
