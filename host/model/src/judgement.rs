use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Action, NodeId, Proposal};

/// What a statement rests on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// About which node; none: the whole graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// Which number of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// What was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What it was held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// In words.
    pub note: String,
}

/// How bad a finding is; the later, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know; never wakes a decider.
    Info,
    /// Getting worse.
    Warning,
    /// Broken.
    Critical,
}

/// What a heuristic says of an observation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Stable, for machines: `queue-pressure`.
    pub code: String,
    /// How bad.
    pub severity: Severity,
    /// The node it is about; none: the whole pipeline.
    pub target: Option<NodeId>,
    /// One sentence for people.
    pub message: String,
    /// What it rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rests_on: Vec<Evidence>,
}

/// Why a judge says no, or something else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// Stable, for machines: `protected-node`.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// What would change the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What it rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rests_on: Vec<Evidence>,
}

/// What a decider asks for, and how it came to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// The state of things, in its words.
    pub analysis: String,
    /// The issues it sees.
    pub issues: Vec<String>,
    /// The one action.
    pub proposal: Proposal,
}

/// An action changed so that it may happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Amendment {
    /// The changed action.
    pub action: Action,
    /// Why it was changed.
    pub reason: Reason,
}

/// What a validator says of a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It may happen.
    Allow,
    /// It may not.
    Deny(Reason),
    /// It may when changed like this; the changed action is judged again.
    Amend(Amendment),
    /// A person must say.
    Ask(Reason),
}
