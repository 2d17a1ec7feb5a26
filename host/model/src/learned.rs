use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ActionKind, Outcome, UnixMillis};

/// What came of one kind of action against one finding on one type of node, over all sessions and runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Learned {
    /// The code of the finding that it was for.
    pub finding: String,
    /// What was done.
    pub kind: ActionKind,
    /// The type of the node it was done to, as it was before; none: a node that was not there, or no node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_type: Option<String>,
    /// How often it helped.
    pub verified: u64,
    /// How often it did not.
    pub ineffective: u64,
    /// How often it made things worse.
    pub worse: u64,
    /// How often too little was measured to say.
    pub unknown: u64,
    /// How often the data plane refused it or broke off.
    pub failed: u64,
    /// How often it was undone.
    pub rolled_back: u64,
    /// When the newest of these was intended.
    pub newest: UnixMillis,
}

impl Learned {
    /// Nothing yet.
    pub const fn nothing(finding: String, kind: ActionKind, node_type: Option<String>) -> Self {
        Self {
            finding,
            kind,
            node_type,
            verified: 0,
            ineffective: 0,
            worse: 0,
            unknown: 0,
            failed: 0,
            rolled_back: 0,
            newest: 0,
        }
    }

    /// Where this outcome is counted; none: it is none that says whether the action helped.
    pub const fn count_of(&mut self, outcome: Outcome) -> Option<&mut u64> {
        match outcome {
            Outcome::Verified => Some(&mut self.verified),
            Outcome::Ineffective => Some(&mut self.ineffective),
            Outcome::Worse => Some(&mut self.worse),
            Outcome::Unknown => Some(&mut self.unknown),
            Outcome::Failed => Some(&mut self.failed),
            Outcome::RolledBack => Some(&mut self.rolled_back),
            Outcome::Accepted | Outcome::Effective | Outcome::RollbackFailed | Outcome::Rejected => None,
        }
    }
}
