use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Proposal, UnixMillis};

/// What became of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Not enough was measured to say; never a success.
    Unknown,
    /// The data plane took it.
    Accepted,
    /// It was read back from the data plane.
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
    /// A guard said no.
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
    /// When it was decided.
    pub at: UnixMillis,
    /// What was proposed.
    pub proposal: Proposal,
    /// What became of it, so far.
    pub outcome: Outcome,
    /// The decider's name.
    pub decided_by: String,
}
