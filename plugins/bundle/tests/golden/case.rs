//! A case file: what a plugin is told, and what it must say. Written in the model's own JSON.

use flyball_model::{
    Action, ActionKind, Constraints, Executor, Finding, GraphSpec, HttpExchange, Learned, LlmExchange,
    NodeType, PastAction, Proposal, Status, Trend,
};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Where it was read.
    #[serde(skip)]
    pub file: std::path::PathBuf,
    /// What the case shows.
    pub about: String,
    #[serde(default)]
    pub settings: Map<String, Value>,
    #[serde(default)]
    pub observation: Seen,
    /// Oldest first.
    #[serde(default)]
    pub window: Vec<Seen>,
    #[serde(default)]
    pub findings: Vec<Finding>,
    #[serde(default)]
    pub graph: GraphSpec,
    #[serde(default)]
    pub allowed: Vec<ActionKind>,
    #[serde(default)]
    pub node_types: Vec<NodeType>,
    #[serde(default)]
    pub past: Vec<PastAction>,
    #[serde(default)]
    pub learned: Vec<Learned>,
    #[serde(default)]
    pub constraints: Constraints,
    #[serde(default)]
    pub mutation: flyball_model::MutationPolicy,
    #[serde(default)]
    pub protected: Vec<String>,
    pub proposed: Option<Proposal>,
    #[serde(default = "rule_decider")]
    pub decided_by: String,
    pub applied: Option<Applied>,
    pub item: Option<Value>,
    /// What HTTP servers answer, in the order of the requests.
    #[serde(default)]
    pub http: Vec<HttpExchange>,
    /// What a language model answers, in the order of the questions.
    #[serde(default)]
    pub llm: Vec<LlmExchange>,
    /// What it kept before.
    #[serde(default)]
    pub kept: std::collections::BTreeMap<String, String>,
    pub expect: Expected,
}

fn rule_decider() -> String {
    "rule-decider".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    pub action: Action,
    pub before: GraphSpec,
    pub after: GraphSpec,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    #[serde(default)]
    pub taken_at: u64,
    #[serde(default)]
    pub nodes: Vec<SeenNode>,
    #[serde(default)]
    pub totals: Map<String, Value>,
    pub bottleneck: Option<String>,
    #[serde(default)]
    pub critical_path: Vec<String>,
}

/// A row; whatever else it has is a metric.
#[derive(Deserialize)]
pub struct SeenNode {
    pub id: String,
    #[serde(default = "healthy")]
    pub status: Status,
    #[serde(default)]
    pub executor: Executor,
    #[serde(default)]
    pub trend: Trend,
    #[serde(default, rename = "type")]
    pub node_type: String,
    pub last_error: Option<String>,
    #[serde(flatten)]
    pub metrics: std::collections::BTreeMap<String, f64>,
}

fn healthy() -> Status {
    Status::Healthy
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Expected {
    /// Each as `severity code target`, in any order.
    Findings {
        findings: Vec<String>,
        /// Each as `code target value limit`, then what else it takes; none: they do not matter here.
        checks: Option<Vec<String>>,
    },
    Verdict {
        verdict: String,
        code: Option<String>,
    },
    Action {
        action: Action,
    },
    Abstains {
        abstains: bool,
    },
    Reversal {
        actions: Vec<Action>,
    },
    Irreversible {
        irreversible: String,
    },
    Types {
        types: Vec<String>,
    },
    Bodies {
        bodies: Vec<Value>,
    },
    Failure {
        failure: String,
    },
    /// Pointers of the settings that are wrong.
    Faults {
        faults: Vec<String>,
    },
}
