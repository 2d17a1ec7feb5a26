use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Constraints, Executor, GraphSpec, MutationPolicy, NodeId, NodeSpec};

/// A pipeline for the embedded data plane, and how it is controlled. Each manifest that runs is a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The session's name.
    pub name: String,
    /// One line that describes it for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Whether items leave each node in the order in which they came, even if the node has several workers.
    #[serde(default)]
    pub keep_order: bool,
    /// The nodes.
    pub nodes: Vec<NodeDeclaration>,
    /// The edges. Together with the nodes they form a directed graph without cycles.
    pub connections: Vec<Connection>,
    /// Size limits of items and queues.
    #[serde(default, skip_serializing_if = "ItemSizes::is_default")]
    pub items: ItemSizes,
    /// How the session is controlled. This may only narrow what the policy allows.
    #[serde(default)]
    pub controller: ControllerSection,
}

/// Size limits of items, wherever they come from, and of queues. A larger item is dead-lettered with the limit as its reason. A full
/// queue slows down what comes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ItemSizes {
    /// Maximum nesting of lists and objects in an item.
    #[schemars(range(min = 1, max = 120))]
    pub depth: u32,
    /// Maximum size of an item's JSON text, in KiB.
    #[schemars(range(min = 1, max = 32_768))]
    pub encoded_kb: u32,
    /// Maximum size of an item in memory, in KiB. It can be up to twenty times the size of its text.
    #[schemars(range(min = 1, max = 262_144))]
    pub memory_kb: u32,
    /// Maximum size of the queue before one node, in MiB of memory. One item always fits.
    #[schemars(range(min = 1, max = 65_536))]
    pub queue_mb: u32,
    /// Maximum size of everything that waits in the pipeline, in MiB of memory. Above it the sources are not asked for more.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub pipeline_mb: u32,
}

impl ItemSizes {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for ItemSizes {
    fn default() -> Self {
        Self { depth: 60, encoded_kb: 8_192, memory_kb: 32_768, queue_mb: 64, pipeline_mb: 256 }
    }
}

/// One node of a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeDeclaration {
    /// Its name, unique in the manifest.
    pub id: NodeId,
    /// Its type: a built-in one, or a plugin of world `node` by its name.
    #[serde(rename = "type")]
    pub node_type: String,
    /// Where it runs.
    #[serde(default)]
    pub executor: Executor,
    /// Its configuration. The schema of its type says what may be here.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// Maximum number of items in the queue before it.
    #[serde(default = "default_capacity")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub queue_capacity: u32,
    /// Number of its workers.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 256))]
    pub replicas: u32,
    /// Number of further tries of an item that fails here, before it is dead-lettered. A sink that cannot deliver for now waits
    /// instead, and counts only failures that may be the item's fault.
    #[serde(default = "one")]
    #[schemars(range(max = 100))]
    pub retries: u32,
    /// Whether the pipeline still works without this node. An optional node is never on the critical path and may be bypassed.
    #[serde(default)]
    pub optional: bool,
}

impl Manifest {
    /// The graph that it declares.
    pub fn graph(&self) -> GraphSpec {
        GraphSpec {
            nodes: self.nodes.iter().map(NodeDeclaration::spec).collect(),
            edges: self.connections.iter().map(|edge| (edge.from.clone(), edge.to.clone())).collect(),
        }
    }
}

impl NodeDeclaration {
    /// The node as it is configured when the pipeline starts.
    pub fn spec(&self) -> NodeSpec {
        NodeSpec {
            id: self.id.clone(),
            node_type: self.node_type.clone(),
            executor: self.executor,
            config: Value::Object(self.params.clone()),
            replicas: self.replicas,
            queue_capacity: self.queue_capacity,
            bypassed: false,
            optional: self.optional,
        }
    }
}

pub(crate) fn default_capacity() -> u32 {
    256
}

pub(crate) fn one() -> u32 {
    1
}

/// An edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// The node that items leave.
    pub from: NodeId,
    /// The node that they go to.
    pub to: NodeId,
}

/// How a session is controlled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ControllerSection {
    /// Whether the session is controlled. If not, it is only observed.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Time between two observations, in milliseconds.
    #[serde(default = "default_interval")]
    #[schemars(range(min = 10, max = 3_600_000))]
    pub observation_interval_ms: u64,
    /// Minimum time between actions, in milliseconds. The longer of this and the policy's counts.
    #[serde(default)]
    pub action_cooldown_ms: u64,
    /// Level that says which kinds of action are allowed. The narrower of this and the policy's counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutation_policy: Option<MutationPolicy>,
    /// Limits that the session must keep. The stricter of these and the policy's count.
    #[serde(default)]
    pub constraints: Constraints,
    /// Names of nodes that no action may touch, in addition to the policy's. `*` stands for any text.
    #[serde(default)]
    pub protected_nodes: Vec<String>,
    /// Language model that the author suggests. It grants nothing: only a policy, by `grants.llm` of a decider, says whether a model
    /// is asked and which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llm: Option<LlmSection>,
}

/// A language model that the author of a manifest suggests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LlmSection {
    /// Name of the provider.
    pub provider: String,
    /// Name of the model.
    pub model: String,
    /// Sampling temperature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Maximum length of an answer, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

impl Default for ControllerSection {
    fn default() -> Self {
        Self {
            enabled: true,
            observation_interval_ms: default_interval(),
            action_cooldown_ms: 0,
            mutation_policy: None,
            constraints: Constraints::default(),
            protected_nodes: Vec::new(),
            llm: None,
        }
    }
}

fn yes() -> bool {
    true
}

fn default_interval() -> u64 {
    1_000
}
