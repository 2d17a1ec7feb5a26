use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Constraints, Executor, GraphSpec, MutationPolicy, NodeId, NodeSpec};

/// A pipeline for the embedded data plane, and how it is to be controlled. Each manifest that runs is a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The session's name.
    pub name: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Whether items leave each node in the order in which they came, also when it has several workers.
    #[serde(default)]
    pub keep_order: bool,
    /// The nodes.
    pub nodes: Vec<NodeDeclaration>,
    /// The edges: a directed graph without cycles.
    pub connections: Vec<Connection>,
    /// How large an item may be, and how much may wait.
    #[serde(default, skip_serializing_if = "ItemSizes::is_default")]
    pub items: ItemSizes,
    /// How it is to be controlled. It may only narrow what the policy allows.
    #[serde(default)]
    pub controller: Controller,
}

/// How large an item may be, wherever it comes from, and how much may wait. An item that is larger is dead-lettered with
/// the limit as its reason; a queue that holds as much as it may pushes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ItemSizes {
    /// Lists and objects within each other.
    #[schemars(range(min = 1, max = 120))]
    pub depth: u32,
    /// Its JSON text, in KiB.
    #[schemars(range(min = 1, max = 32_768))]
    pub encoded_kb: u32,
    /// What it takes in memory, in KiB: up to twenty times its text.
    #[schemars(range(min = 1, max = 262_144))]
    pub memory_kb: u32,
    /// What may wait before one node, in MiB of memory; no less than one item.
    #[schemars(range(min = 1, max = 65_536))]
    pub queue_mb: u32,
    /// What may wait in the whole pipeline before its sources are asked for more, in MiB of memory.
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
    /// Where its work is done.
    #[serde(default)]
    pub executor: Executor,
    /// Its configuration, by its type's schema.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// Items that may wait before it.
    #[serde(default = "default_capacity")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub queue_capacity: u32,
    /// Its workers.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 256))]
    pub replicas: u32,
    /// How often an item that fails here is tried again before it is dead-lettered. A sink that cannot deliver now waits instead,
    /// and counts only what may be the item's fault.
    #[serde(default = "one")]
    #[schemars(range(max = 100))]
    pub retries: u32,
    /// The pipeline is right without it, only poorer: it is never on the critical path and may be bypassed.
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
    /// Items leave this node.
    pub from: NodeId,
    /// And go to this one.
    pub to: NodeId,
}

/// How a session is to be controlled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Controller {
    /// Whether it is controlled at all; when not, it is only observed.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// How often it is observed, in milliseconds.
    #[serde(default = "default_interval")]
    #[schemars(range(min = 10, max = 3_600_000))]
    pub observation_interval_ms: u64,
    /// Least time between actions, in milliseconds; the longer of this and the policy's.
    #[serde(default)]
    pub action_cooldown_ms: u64,
    /// Which kinds of action may happen; the narrower of this and the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutation_policy: Option<MutationPolicy>,
    /// What the session must keep to; the tighter of these and the policy's.
    #[serde(default)]
    pub constraints: Constraints,
    /// Nodes that no action may touch, beside the policy's: names, in which `*` stands for any text.
    #[serde(default)]
    pub protected_nodes: Vec<String>,
    /// Which model its author has in mind. It grants nothing: whether a model is asked, and which, a policy says, by
    /// `grants.llm` of a decider. `flyball check` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llm: Option<LlmSection>,
}

/// A model, for a decider that asks one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LlmSection {
    /// Whose interface it speaks.
    pub provider: String,
    /// Its name.
    pub model: String,
    /// Sampling temperature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Longest answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

impl Default for Controller {
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
