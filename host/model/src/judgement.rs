use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Action, NodeId, Proposal};

/// An observed number that a finding or a proposal rests on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The node. Without it, the number is of the whole graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// Name of the metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// The observed value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The limit that the value is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// The evidence in words.
    pub note: String,
}

/// How bad a finding is; the later, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// For information. It never wakes a decider.
    Info,
    /// Something is getting worse.
    Warning,
    /// Something is broken.
    Critical,
}

/// A finding: something that a heuristic reports of an observation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Stable code for programs, such as `queue-pressure`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// The node that it is about. Without it, the whole pipeline.
    pub target: Option<NodeId>,
    /// One sentence for people.
    pub message: String,
    /// The evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rests_on: Vec<Evidence>,
}

/// The bad side of a limit; the limit itself is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Values above the limit are bad.
    Above,
    /// Values below the limit are bad.
    Below,
}

/// A rule of a heuristic, and how near the session came to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Of the finding that it would be: `queue-pressure`.
    pub code: String,
    /// The node that is nearest to the limit, or furthest beyond it; none: the whole pipeline.
    pub node: Option<Arc<str>>,
    /// A metric's name, or of what is made of some: `error-fraction`.
    pub metric: String,
    /// What was read, in the metric's unit; none: nothing was.
    pub value: Option<f64>,
    /// The limit that the value is compared with.
    pub limit: f64,
    /// On which side of the limit it is bad.
    pub bad: Side,
    /// What else it takes, where the limit alone does not make a finding.
    pub note: String,
}

impl Check {
    /// Whether the value is on the bad side of the limit.
    pub fn is_beyond(&self) -> bool {
        self.value.is_some_and(|value| match self.bad {
            Side::Above => value > self.limit,
            Side::Below => value < self.limit,
        })
    }
}

/// What a heuristic says of an observation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Assessment {
    /// What needs attention; empty: all is well.
    pub findings: Vec<Finding>,
    /// What was looked at, passed or not.
    pub checks: Vec<Check>,
}

/// An assessment as it may be written: there were findings before there were checks.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Findings(Vec<Finding>),
    Whole { findings: Vec<Finding>, checks: Vec<Check> },
}

impl From<Written> for Assessment {
    fn from(written: Written) -> Self {
        match written {
            Written::Findings(findings) => findings.into(),
            Written::Whole { findings, checks } => Self { findings, checks },
        }
    }
}

impl From<Vec<Finding>> for Assessment {
    fn from(findings: Vec<Finding>) -> Self {
        Self { findings, checks: Vec::new() }
    }
}

/// Why a judge says no, or something else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// Stable code for programs, such as `protected-node`.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// What would change the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The evidence.
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
