use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Proposal, UnixMillis};

/// What became of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Too little was measured to know. Never a success.
    Unknown,
    /// The data plane accepted it.
    Accepted,
    /// The data plane shows it.
    Effective,
    /// The findings it was for are gone, by samples taken after its settle time.
    Verified,
    /// The findings it was for are still there after its settle time.
    Ineffective,
    /// It made things worse.
    Worse,
    /// It was undone, and the graph is as it was.
    RolledBack,
    /// It could not be undone.
    RollbackFailed,
    /// A guard refused it.
    Rejected,
    /// The data plane refused it or broke off.
    Failed,
}

impl Outcome {
    /// The name in journals and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Accepted => "accepted",
            Self::Effective => "effective",
            Self::Verified => "verified",
            Self::Ineffective => "ineffective",
            Self::Worse => "worse",
            Self::RolledBack => "rolled-back",
            Self::RollbackFailed => "rollback-failed",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

/// An earlier action, as deciders and validators see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PastAction {
    /// Time of the decision.
    pub at: UnixMillis,
    /// The proposal.
    pub proposal: Proposal,
    /// Its outcome so far.
    pub outcome: Outcome,
    /// Name of the decider.
    pub decided_by: String,
}
