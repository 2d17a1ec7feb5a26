//! Plugins as data: of which kind one is, exactly which, what a call of it cost, and what it asked of servers and models.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Executor, Reach};

/// A kind of plugin, by the name of its world in the contract. The engine's table of worlds says which kinds a host
/// serves, so a new kind needs no change here; the loop's own kinds have constants.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginKind {
    /// ASCII, filled up with zeros.
    name: [u8; Self::LONGEST],
}

#[allow(non_upper_case_globals, reason = "each constant is a kind, and reads as a variant where it is used")]
impl PluginKind {
    /// Says what needs attention.
    pub const Heuristic: Self = Self::of("heuristic");
    /// Picks one action.
    pub const Decider: Self = Self::of("decider");
    /// Says whether an action may happen.
    pub const Validator: Self = Self::of("validator");
    /// Says what undoes an action.
    pub const Reverser: Self = Self::of("reverser");
    /// Lists node types.
    pub const Catalog: Self = Self::of("catalog");
    /// Is a pipeline node.
    pub const Node: Self = Self::of("node");
}

impl PluginKind {
    /// The longest name of a kind, in bytes.
    const LONGEST: usize = 32;

    /// The kind of this name: lower case letters, digits and dashes, at most 32. A name that is none gives the kind without
    /// a name, of which no plugin is; [`Self::named`] tells.
    pub const fn of(name: &str) -> Self {
        let mut kind = [0; Self::LONGEST];
        let (Some((room, _)), true) = (kind.split_at_mut_checked(name.len()), valid(name.as_bytes())) else {
            return Self { name: [0; Self::LONGEST] };
        };
        room.copy_from_slice(name.as_bytes());
        Self { name: kind }
    }

    /// The same of a name that comes from outside. None: no kind can have it.
    pub fn named(name: &str) -> Option<Self> {
        let kind = Self::of(name);
        (kind.name() == name && !name.is_empty()).then_some(kind)
    }

    /// The world's name in the contract.
    pub fn name(&self) -> &str {
        let name = self.name.split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }
}

const fn valid(mut name: &[u8]) -> bool {
    while let [first, rest @ ..] = name {
        if !(first.is_ascii_lowercase() || first.is_ascii_digit() || *first == b'-') {
            return false;
        }
        name = rest;
    }
    true
}

impl fmt::Debug for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for PluginKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for PluginKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<str>::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| {
            D::Error::custom(format!(
                "{name:?} cannot be a kind of plugin: lower case letters, digits and dashes, at most {}",
                Self::LONGEST
            ))
        })
    }
}

impl JsonSchema for PluginKind {
    fn schema_name() -> Cow<'static, str> {
        "PluginKind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A kind of plugin, by the name of its world in the contract.",
            "type": "string",
            "pattern": "^[a-z0-9-]{1,32}$"
        })
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

/// One question of a plugin to a capability that is not one of the contract's own, and what it was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exchange {
    /// The capability's name.
    pub capability: String,
    /// What the plugin asked.
    pub question: serde_json::Value,
    /// What it was told.
    pub answer: serde_json::Value,
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_written_as_its_name_and_read_back() {
        for kind in [PluginKind::Heuristic, PluginKind::of("a-kind-of-32-letters-is-the-most")] {
            let written = serde_json::to_string(&kind).unwrap();
            assert_eq!(written, format!("\"{kind}\""));
            assert_eq!(serde_json::from_str::<PluginKind>(&written).unwrap(), kind);
        }
    }

    #[test]
    fn what_cannot_be_the_name_of_a_kind_is_refused_with_the_rule() {
        for name in ["", "Heuristic", "two words", "null\0", "a-kind-of-33-letters-is-one-too-far"] {
            assert_eq!(PluginKind::named(name), None, "{name:?}");
            let why = serde_json::from_value::<PluginKind>(name.into()).unwrap_err().to_string();
            assert!(why.contains("lower case letters, digits and dashes"), "{why}");
        }
    }
}
