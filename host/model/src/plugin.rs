use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Executor, Reach};

/// The kinds of plugin, one for each world of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PluginKind {
    /// Says what needs attention.
    Heuristic,
    /// Picks one action.
    Decider,
    /// Says whether an action may happen.
    Validator,
    /// Says what undoes an action.
    Reverser,
    /// Lists node types.
    Catalog,
    /// Is a pipeline node.
    Node,
}

impl PluginKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Heuristic, Self::Decider, Self::Validator, Self::Reverser, Self::Catalog, Self::Node];

    /// The world's name in the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Heuristic => "heuristic",
            Self::Decider => "decider",
            Self::Validator => "validator",
            Self::Reverser => "reverser",
            Self::Catalog => "catalog",
            Self::Node => "node",
        }
    }
}

impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Exactly which plugin judged.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct PluginId {
    /// The name that policies use.
    pub name: Arc<str>,
    /// As the plugin says.
    pub version: Arc<str>,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: Arc<str>,
}

impl PluginId {
    /// The host itself, for its own checks.
    pub fn host() -> Self {
        Self { name: "host".into(), version: env!("CARGO_PKG_VERSION").into(), digest: "".into() }
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

/// What a call used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// Wall time, host calls included.
    pub wall_ns: u64,
    /// Linear memory at the end of the call.
    pub memory_bytes: u64,
    /// Calls from the plugin to the host.
    pub host_calls: u64,
    /// What passed between plugin and host in these calls, both ways together.
    #[serde(default)]
    pub host_bytes: u64,
    /// What it logged.
    #[serde(default)]
    pub log_bytes: u64,
    /// Instructions, as wasmtime counts them (its "fuel"): the same on every machine, whatever the clock says.
    #[serde(default)]
    pub fuel: u64,
    /// What it had of language models.
    #[serde(default, skip_serializing_if = "LlmUse::is_none")]
    pub llm: LlmUse,
}

/// What a call had of language models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct LlmUse {
    /// Questions that were sent; one that was answered from what was known is none.
    pub questions: u32,
    /// Tokens of the questions.
    pub input_tokens: u64,
    /// Tokens of the answers.
    pub output_tokens: u64,
    /// What that cost by the policy's prices, in millionths of their currency.
    pub cost_millionths: u64,
}

impl LlmUse {
    /// No model was asked.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            questions: self.questions.saturating_add(other.questions),
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cost_millionths: self.cost_millionths.saturating_add(other.cost_millionths),
        }
    }
}

/// One request of a plugin to an HTTP server, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpExchange {
    /// As the plugin wrote it: a secret is a placeholder here.
    pub method: String,
    /// Absolute.
    pub url: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// What the plugin was told.
    pub answer: HttpAnswer,
}

/// What a plugin is told of its request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HttpAnswer {
    /// An answer, whole.
    Answered {
        /// HTTP status.
        status: u16,
        /// Headers.
        headers: Vec<(String, String)>,
        /// Body.
        body: Vec<u8>,
    },
    /// The policy does not allow it; nothing was sent, or nothing further.
    Refused(String),
    /// No whole answer came.
    Failed(String),
}

/// One question of a plugin to a language model, and what became of it. The key stands nowhere in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LlmExchange {
    /// What the model was to be and to keep to.
    pub system: String,
    /// What it was asked.
    pub user: String,
    /// JSON Schema of the answer. None: text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The longest answer, in tokens.
    pub max_tokens: u32,
    /// What the plugin was told.
    pub answer: LlmAnswer,
    /// What it took.
    #[serde(default)]
    pub used: LlmUse,
    /// What went over the wire, as JSON: whom it was asked, request, answer, each try. None: it was not the host that
    /// answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire: Option<String>,
}

/// What a plugin is told of its question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LlmAnswer {
    /// JSON text where a schema was given, else text.
    Answered(String),
    /// Grant, budgets or breaker do not allow it; nothing was sent.
    Refused(String),
    /// It was sent, or tried, and no whole answer came.
    Failed(String),
    /// The model answered, and not what was asked for.
    Unfit(String),
}

impl LlmAnswer {
    /// The answer, or why there is none.
    pub fn text(&self) -> &str {
        match self {
            Self::Answered(text) | Self::Refused(text) | Self::Failed(text) | Self::Unfit(text) => text,
        }
    }
}

/// Where a node type's work may be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeOffer {
    /// Where.
    pub executor: Executor,
    /// Against the slowest offer of this node type, which is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_speed: Option<f64>,
    /// Against the cheapest offer of this node type, which is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_cost: Option<f64>,
}

/// A type of node that a pipeline may hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeType {
    /// Its name in manifests.
    pub name: String,
    /// One line.
    pub summary: String,
    /// What it can do; two types that provide the same may replace each other.
    #[serde(default)]
    pub provides: Vec<String>,
    /// Where it can be done.
    pub offers: Vec<NodeOffer>,
    /// JSON Schema of its configuration.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::action::given")]
    pub config_schema: Option<serde_json::Value>,
    /// Whether its nodes touch anything outside; where nothing is said, they do. Only what the data plane says of its
    /// own types counts, whatever a catalog lists.
    #[serde(default)]
    pub reach: Reach,
}

impl NodeType {
    /// A type of which nothing is known: it reaches outside, and what is configured of it is secret.
    pub fn unknown(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            summary: String::new(),
            provides: Vec::new(),
            offers: Vec::new(),
            config_schema: None,
            reach: Reach::Outside,
        }
    }
}
