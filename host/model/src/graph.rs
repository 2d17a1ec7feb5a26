use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Executor, NodeId};

/// One node as it is configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeSpec {
    /// Its name.
    pub id: NodeId,
    /// Its type, as the catalog names it.
    pub node_type: String,
    /// Where its work is done.
    pub executor: Executor,
    /// Its configuration, an object.
    pub config: Value,
    /// Its workers.
    pub replicas: u32,
    /// Items that may wait before it.
    pub queue_capacity: u32,
    /// Items pass it unchanged.
    pub bypassed: bool,
    /// The pipeline is right without it, only poorer.
    pub optional: bool,
}

/// The longest command line that names a program.
const LONGEST_PROGRAM: usize = 200;

impl NodeSpec {
    /// What the node runs, as far as its configuration tells: its command line where it has one that is not too long, and else the beginning of
    /// its configuration's digest.
    pub fn program(&self) -> String {
        let words = self.config.get("command").and_then(Value::as_array);
        let line = words.and_then(|words| words.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        match line.map(|words| words.join(" ")) {
            Some(line) if line.len() <= LONGEST_PROGRAM => line,
            _ => {
                let digest = Sha256::digest(self.config.to_string());
                digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
            }
        }
    }

    /// The same of one node that was there before and after.
    fn without(&self, before: &Self, after: &Self) -> Self {
        fn of<T: Clone + PartialEq>(now: &T, before: &T, after: &T) -> T {
            if before == after { now.clone() } else { before.clone() }
        }
        Self {
            id: self.id.clone(),
            node_type: of(&self.node_type, &before.node_type, &after.node_type),
            executor: of(&self.executor, &before.executor, &after.executor),
            config: of(&self.config, &before.config, &after.config),
            replicas: of(&self.replicas, &before.replicas, &after.replicas),
            queue_capacity: of(&self.queue_capacity, &before.queue_capacity, &after.queue_capacity),
            bypassed: of(&self.bypassed, &before.bypassed, &after.bypassed),
            optional: of(&self.optional, &before.optional, &after.optional),
        }
    }
}

/// A graph as it is configured: what undo needs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct GraphSpec {
    /// The nodes.
    pub nodes: Vec<NodeSpec>,
    /// From node, to node.
    pub edges: Vec<(NodeId, NodeId)>,
}

impl GraphSpec {
    /// The node of that name.
    pub fn node(&self, id: &str) -> Option<&NodeSpec> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The nodes that feed this one.
    pub fn before<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a NodeId> {
        self.edges.iter().filter(move |(_, to)| to == id).map(|(from, _)| from)
    }

    /// The nodes that this one feeds.
    pub fn after<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a NodeId> {
        self.edges.iter().filter(move |(from, _)| from == id).map(|(_, to)| to)
    }

    /// This graph without the change from `before` to `after`: what that changed is as it was before, and whatever else was
    /// changed since stays.
    #[must_use]
    pub fn without(&self, before: &Self, after: &Self) -> Self {
        let nodes =
            self.nodes.iter().filter_map(|node| match (before.node(&node.id), after.node(&node.id)) {
                (Some(before), Some(after)) => Some(node.without(before, after)),
                (None, Some(_)) => None,
                (Some(_) | None, None) => Some(node.clone()),
            });
        let taken_out = |node: &&NodeSpec| after.node(&node.id).is_none() && self.node(&node.id).is_none();
        let added = |edge: &&(NodeId, NodeId)| after.edges.contains(edge) && !before.edges.contains(edge);
        let cut = |edge: &&(NodeId, NodeId)| !after.edges.contains(edge) && !self.edges.contains(edge);
        Self {
            nodes: nodes.chain(before.nodes.iter().filter(taken_out).cloned()).collect(),
            edges: self
                .edges
                .iter()
                .filter(|edge| !added(edge))
                .chain(before.edges.iter().filter(cut))
                .cloned()
                .collect(),
        }
    }

    /// SHA-256 of the graph, whatever the order in which its nodes and edges are held: two graphs that are
    /// configured alike have one digest.
    pub fn digest(&self) -> String {
        let mut nodes: Vec<String> =
            self.nodes.iter().filter_map(|node| serde_json::to_string(node).ok()).collect();
        nodes.sort_unstable();
        let mut edges: Vec<String> = self.edges.iter().map(|(from, to)| format!("{from:?}>{to:?}")).collect();
        edges.sort_unstable();
        let mut hasher = Sha256::new();
        for line in nodes.iter().chain(&edges) {
            hasher.update(line.as_bytes());
            hasher.update([0]);
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A graph that changes no more: it is held by many, and its digest is worked out once.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Graph {
    spec: GraphSpec,
    #[serde(skip)]
    digest: OnceLock<String>,
}

impl Graph {
    /// [`GraphSpec::digest`].
    pub fn digest(&self) -> &str {
        self.digest.get_or_init(|| self.spec.digest())
    }
}

impl Deref for Graph {
    type Target = GraphSpec;

    fn deref(&self) -> &GraphSpec {
        &self.spec
    }
}

impl From<GraphSpec> for Graph {
    fn from(spec: GraphSpec) -> Self {
        Self { spec, digest: OnceLock::new() }
    }
}

impl From<GraphSpec> for Arc<Graph> {
    fn from(spec: GraphSpec) -> Self {
        Self::new(spec.into())
    }
}

impl PartialEq for Graph {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl PartialEq<GraphSpec> for Graph {
    fn eq(&self, other: &GraphSpec) -> bool {
        self.spec == *other
    }
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.spec.fmt(f)
    }
}
