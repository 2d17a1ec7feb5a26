//! The document that says how a simulated pipeline behaves when nothing is wrong with it.

use std::collections::BTreeMap;

use flyball_model::{ActionKind, Executor, NodeId, Reach};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::action_behaviour::ActionBehaviour;
use crate::load::Load;
use crate::service::Service;

/// How a simulated pipeline behaves: what its nodes cost, what comes in, and how the data plane takes actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SimulatedWorld {
    /// What a node does whose type is not listed.
    pub otherwise: Work,
    /// What a node does, by its type. A type that no node has is one that a node can be replaced by.
    pub types: BTreeMap<String, Work>,
    /// What a node does, by its name, instead of what is said of its type. Holds as long as the node has the type that
    /// it began with.
    pub nodes: BTreeMap<NodeId, Work>,
    /// What comes in at a source that `loads` does not list.
    pub load: Load,
    /// What comes in, by source.
    pub loads: BTreeMap<NodeId, Load>,
    /// How the data plane takes actions, by kind of action.
    pub habits: BTreeMap<ActionKind, ActionBehaviour>,
    /// How far back observations look, in milliseconds.
    #[schemars(range(min = 10, max = 3_600_000))]
    pub window_ms: u64,
}

impl Default for SimulatedWorld {
    fn default() -> Self {
        Self {
            otherwise: Work::default(),
            types: BTreeMap::new(),
            nodes: BTreeMap::new(),
            load: Load::default(),
            loads: BTreeMap::new(),
            habits: BTreeMap::new(),
            window_ms: 5_000,
        }
    }
}

/// The work of one worker of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Work {
    /// One line for people.
    pub summary: String,
    /// What it is; none: what the place in the graph says where it is first used, else a processor.
    pub role: Option<SimNodeRole>,
    /// What it can do; two types that provide the same may replace each other.
    pub provides: Vec<String>,
    /// JSON Schema of its configuration. Only shown: configurations are not checked against it.
    pub config_schema: Option<Value>,
    /// Whether its nodes would start processes, open files or reach addresses where the pipeline is a real one.
    pub reach: Reach,
    /// Milliseconds for one item, by a worker of speed 1 who has the resource behind it for himself.
    pub service_ms: Service,
    /// Where it can be done, and how fast; none listed: everywhere, at speed 1.
    pub executors: BTreeMap<Executor, ExecutorSpeed>,
    /// Share of attempts that fail, from 0 to 1.
    pub errors: f64,
    /// What such a failure says.
    pub error: String,
    /// How often an item that fails is tried again; none: as the manifest says.
    pub retries: Option<u32>,
    /// Share of items that it drops, as it is its work to do so, from 0 to 1.
    pub filters: f64,
    /// Pieces that it makes of an item. Each piece goes to every node behind, as in the embedded pipeline.
    #[schemars(range(min = 1, max = 1_000))]
    pub pieces: u32,
    /// What workers share and queue for: with n workers an item takes 1 + contention (n - 1) + coherence n (n - 1) times
    /// as long (Gunther's universal scalability law). With 1, more workers bring nothing.
    pub contention: f64,
    /// What workers must agree upon, each with each. With any, more workers at some point make it slower.
    pub coherence: f64,
    /// What the service behind it allows.
    pub limit: Option<RateLimit>,
    /// Resident memory of a worker, in MB; none: 24 in a process, and not measured elsewhere.
    pub memory_mb: Option<f64>,
    /// What its configuration does to it.
    pub settings: Vec<Setting>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            summary: String::new(),
            role: None,
            provides: Vec::new(),
            config_schema: None,
            reach: Reach::Pure,
            service_ms: Service::Constant(1.0),
            executors: BTreeMap::new(),
            errors: 0.0,
            error: "it failed".to_owned(),
            retries: None,
            filters: 0.0,
            pieces: 1,
            contention: 0.0,
            coherence: 0.0,
            limit: None,
            memory_mb: None,
            settings: Vec::new(),
        }
    }
}

/// What a node is in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SimNodeRole {
    /// Takes items in.
    Source,
    /// Works on items.
    Processor,
    /// Gives items out.
    Sink,
}

/// How a type's work goes in one executor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExecutorSpeed {
    /// Service times are divided by it.
    pub speed: f64,
    /// Told to deciders, relative to the cheapest.
    pub cost: f64,
}

impl Default for ExecutorSpeed {
    fn default() -> Self {
        Self { speed: 1.0, cost: 1.0 }
    }
}

/// A service behind a node that allows so many attempts a second, whoever makes them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Attempts a second. A second's worth may come at once.
    pub per_second: f64,
    /// Milliseconds until an attempt over the limit is refused.
    #[serde(default = "one_ms")]
    pub refusal_ms: f64,
    /// Whether refused attempts count, too: then more workers that ask are refused more.
    #[serde(default)]
    pub counts_refused: bool,
}

fn one_ms() -> f64 {
    1.0
}

/// What a value in a node's configuration does to its work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// JSON Pointer into the configuration: `/beam`.
    pub at: String,
    /// While this stands there.
    pub is: Value,
    /// Service times are so many times as long.
    #[serde(default = "unchanged")]
    pub slower: f64,
    /// So many attempts more fail, from 0 to 1.
    #[serde(default)]
    pub errors: f64,
}

fn unchanged() -> f64 {
    1.0
}
