//! The format of a case, in the model's own JSON.

use std::collections::BTreeMap;

use flyball_model::{
    Action, ActionKind, Constraints, Executor, Finding, GraphSpec, HttpExchange, Learned, LlmExchange,
    MutationPolicy, NodeType, PastAction, Proposal, Status, Trend,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What the case shows.
    pub(crate) about: String,
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) observation: Seen,
    /// Oldest first.
    #[serde(default)]
    pub(crate) window: Vec<Seen>,
    #[serde(default)]
    pub(crate) findings: Vec<Finding>,
    #[serde(default)]
    pub(crate) graph: GraphSpec,
    #[serde(default)]
    pub(crate) allowed: Vec<ActionKind>,
    #[serde(default)]
    pub(crate) node_types: Vec<NodeType>,
    #[serde(default)]
    pub(crate) past: Vec<PastAction>,
    #[serde(default)]
    pub(crate) learned: Vec<Learned>,
    #[serde(default)]
    pub(crate) constraints: Constraints,
    #[serde(default)]
    pub(crate) mutation: MutationPolicy,
    #[serde(default)]
    pub(crate) protected: Vec<String>,
    pub(crate) proposed: Option<Proposal>,
    #[serde(default = "rule_decider")]
    pub(crate) decided_by: String,
    pub(crate) applied: Option<Applied>,
    pub(crate) item: Option<Value>,
    /// What it kept before.
    #[serde(default)]
    pub(crate) kept: BTreeMap<String, String>,
    /// What HTTP servers answer, in the order of the requests.
    #[serde(default)]
    pub(crate) http: Vec<HttpExchange>,
    /// What a language model answers, in the order of the questions.
    #[serde(default)]
    pub(crate) llm: Vec<LlmExchange>,
    pub(crate) expect: Expected,
}

fn rule_decider() -> String {
    "rule-decider".to_owned()
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Applied {
    pub(crate) action: Action,
    pub(crate) before: GraphSpec,
    pub(crate) after: GraphSpec,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    #[serde(default)]
    pub(crate) taken_at: u64,
    #[serde(default)]
    pub(crate) nodes: Vec<SeenNode>,
    #[serde(default)]
    pub(crate) totals: BTreeMap<String, f64>,
    pub(crate) bottleneck: Option<String>,
    #[serde(default)]
    pub(crate) critical_path: Vec<String>,
}

/// A row; whatever else it has is a metric.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SeenNode {
    pub(crate) id: String,
    #[serde(default = "healthy")]
    pub(crate) status: Status,
    #[serde(default)]
    pub(crate) executor: Executor,
    #[serde(default)]
    pub(crate) trend: Trend,
    #[serde(default, rename = "type")]
    pub(crate) node_type: String,
    pub(crate) last_error: Option<String>,
    #[serde(flatten)]
    pub(crate) metrics: BTreeMap<String, f64>,
}

fn healthy() -> Status {
    Status::Healthy
}

/// What must be said; one key of these, and what stands beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// Each as `severity code target`, in any order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) findings: Option<Vec<String>>,
    /// Beside the findings, where a case names it: each check as `code target value limit`, then what else it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) checks: Option<Vec<String>>,
    /// `allow`, `deny`, `amend` or `ask`,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verdict: Option<String>,
    /// and the code of its reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) action: Option<Action>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) abstains: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actions: Option<Vec<Action>>,
    /// A part of why it cannot be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) irreversible: Option<String>,
    /// Names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) types: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bodies: Option<Vec<Value>>,
    /// A part of why the item failed, or the plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
    /// Pointers of the settings that are wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) faults: Option<Vec<String>>,
}
