use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Evidence, Executor, NodeId};

/// What is there is given, `null` too.
pub(crate) fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// One typed change to a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Action {
    /// Nothing is done, for the reason that the proposal gives.
    NoOp,
    /// Replaces a node: drain, swap, resume. Without a configuration the new type keeps the old one's.
    ReplaceNode {
        /// Name of the node.
        node: NodeId,
        /// The new type.
        node_type: String,
        /// Configuration of the new type.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
        config: Option<Value>,
    },
    /// Inserts a node into the edges from each of `after` to each of `before`. Without `before`, into all edges that leave `after`.
    InsertNode {
        /// Name of the new node.
        id: NodeId,
        /// Type of the new node.
        node_type: String,
        /// Configuration of the new node.
        config: Value,
        /// Executor of the new node. By default native, if the type has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        executor: Option<Executor>,
        /// Nodes before the new one.
        after: Vec<NodeId>,
        /// Nodes after the new one.
        #[serde(default)]
        before: Vec<NodeId>,
    },
    /// Removes a node. Its predecessors are joined to its successors.
    RemoveNode {
        /// Name of the node.
        node: NodeId,
    },
    /// Applies a JSON merge patch (RFC 7396) to a node's configuration.
    UpdateNodeConfig {
        /// Name of the node.
        node: NodeId,
        /// The merge patch.
        patch: Value,
    },
    /// Bypasses a node, so that items pass it unchanged, or ends that.
    BypassNode {
        /// Name of the node.
        node: NodeId,
        /// `false` ends the bypass.
        active: bool,
    },
    /// Moves a node's work to another executor.
    SwitchExecutor {
        /// Name of the node.
        node: NodeId,
        /// The executor to move to.
        to: Executor,
    },
    /// Stops a node's process, if it still runs, and starts a new one.
    RestartProcess {
        /// Name of the node.
        node: NodeId,
    },
    /// Sets the number of a node's workers.
    ScaleNode {
        /// Name of the node.
        node: NodeId,
        /// The new number, at least 1.
        replicas: u32,
    },
    /// Sets how many items may wait before a node. A lower number never drops items that wait.
    AdjustBuffering {
        /// Name of the node.
        node: NodeId,
        /// The new number, at least 1.
        capacity: u32,
    },
}

/// The ten kinds of action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is the action of the same name")]
pub enum ActionKind {
    NoOp,
    ReplaceNode,
    InsertNode,
    RemoveNode,
    UpdateNodeConfig,
    BypassNode,
    SwitchExecutor,
    RestartProcess,
    ScaleNode,
    AdjustBuffering,
}

impl ActionKind {
    /// All ten.
    pub const ALL: [Self; 10] = [
        Self::NoOp,
        Self::ReplaceNode,
        Self::InsertNode,
        Self::RemoveNode,
        Self::UpdateNodeConfig,
        Self::BypassNode,
        Self::SwitchExecutor,
        Self::RestartProcess,
        Self::ScaleNode,
        Self::AdjustBuffering,
    ];

    /// The name in policies, plugins and journals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoOp => "no-op",
            Self::ReplaceNode => "replace-node",
            Self::InsertNode => "insert-node",
            Self::RemoveNode => "remove-node",
            Self::UpdateNodeConfig => "update-node-config",
            Self::BypassNode => "bypass-node",
            Self::SwitchExecutor => "switch-executor",
            Self::RestartProcess => "restart-process",
            Self::ScaleNode => "scale-node",
            Self::AdjustBuffering => "adjust-buffering",
        }
    }

    /// What it does, in a line.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::NoOp => "change nothing, with a reason",
            Self::ReplaceNode => "put a node of another type in this one's place",
            Self::InsertNode => "put a new node on an edge",
            Self::RemoveNode => "take a node out and join its neighbours",
            Self::UpdateNodeConfig => "merge a patch into a node's configuration",
            Self::BypassNode => "let items pass a node unchanged",
            Self::SwitchExecutor => "do a node's work in another executor",
            Self::RestartProcess => "start a node's process anew",
            Self::ScaleNode => "set how many workers a node has",
            Self::AdjustBuffering => "set how many items may wait before a node",
        }
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Action {
    /// Which of the ten it is.
    pub const fn kind(&self) -> ActionKind {
        match self {
            Self::NoOp => ActionKind::NoOp,
            Self::ReplaceNode { .. } => ActionKind::ReplaceNode,
            Self::InsertNode { .. } => ActionKind::InsertNode,
            Self::RemoveNode { .. } => ActionKind::RemoveNode,
            Self::UpdateNodeConfig { .. } => ActionKind::UpdateNodeConfig,
            Self::BypassNode { .. } => ActionKind::BypassNode,
            Self::SwitchExecutor { .. } => ActionKind::SwitchExecutor,
            Self::RestartProcess { .. } => ActionKind::RestartProcess,
            Self::ScaleNode { .. } => ActionKind::ScaleNode,
            Self::AdjustBuffering { .. } => ActionKind::AdjustBuffering,
        }
    }

    /// The node it is done to; the new node of an insertion; none for a no-op.
    pub fn target(&self) -> Option<&NodeId> {
        match self {
            Self::NoOp => None,
            Self::InsertNode { id: node, .. }
            | Self::ReplaceNode { node, .. }
            | Self::RemoveNode { node }
            | Self::UpdateNodeConfig { node, .. }
            | Self::BypassNode { node, .. }
            | Self::SwitchExecutor { node, .. }
            | Self::RestartProcess { node }
            | Self::ScaleNode { node, .. }
            | Self::AdjustBuffering { node, .. } => Some(node),
        }
    }

    /// The nodes that it changes or whose edges it changes: the target, and an insertion's neighbours.
    pub fn touches(&self) -> Vec<&NodeId> {
        match self {
            Self::InsertNode { after, before, .. } => after.iter().chain(before).collect(),
            other => other.target().into_iter().collect(),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOp => write!(f, "no-op"),
            Self::ReplaceNode { node, node_type, .. } => write!(f, "replace {node} by a {node_type}"),
            Self::InsertNode { id, node_type, after, .. } => {
                write!(f, "insert {id} ({node_type}) after {}", after.join(", "))
            }
            Self::RemoveNode { node } => write!(f, "remove {node}"),
            Self::UpdateNodeConfig { node, patch } => write!(f, "update {node}'s configuration with {patch}"),
            Self::BypassNode { node, active: true } => write!(f, "bypass {node}"),
            Self::BypassNode { node, active: false } => write!(f, "put {node} back to work"),
            Self::SwitchExecutor { node, to } => write!(f, "switch {node} to {to}"),
            Self::RestartProcess { node } => write!(f, "restart {node}"),
            Self::ScaleNode { node, replicas } => write!(f, "scale {node} to {replicas}"),
            Self::AdjustBuffering { node, capacity } => write!(f, "let {capacity} items wait before {node}"),
        }
    }
}

impl fmt::Display for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Native => "native",
            Self::Multiprocess => "multiprocess",
            Self::Wasm => "wasm",
        })
    }
}

/// An action that a decider proposes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    /// The action.
    pub action: Action,
    /// The reason.
    pub reason: String,
    /// Confidence of the decider, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Observed numbers and findings that the proposal rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rests_on: Vec<Evidence>,
}

/// Level that says which kinds of action are allowed. Each level includes the ones before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum MutationPolicy {
    /// Only no-op: the session is watched.
    #[default]
    #[serde(alias = "readonly")]
    ReadOnly,
    /// Also restart-process, bypass-node and replace-node.
    Heal,
    /// Also switch-executor, scale-node, adjust-buffering and update-node-config.
    Optimize,
    /// Also insert-node and remove-node.
    Full,
}

impl MutationPolicy {
    /// The lowest level that allows this kind.
    pub const fn needed_for(kind: ActionKind) -> Self {
        match kind {
            ActionKind::NoOp => Self::ReadOnly,
            ActionKind::RestartProcess | ActionKind::BypassNode | ActionKind::ReplaceNode => Self::Heal,
            ActionKind::SwitchExecutor
            | ActionKind::ScaleNode
            | ActionKind::AdjustBuffering
            | ActionKind::UpdateNodeConfig => Self::Optimize,
            ActionKind::InsertNode | ActionKind::RemoveNode => Self::Full,
        }
    }

    /// Whether this level allows this kind.
    pub fn allows(self, kind: ActionKind) -> bool {
        self >= Self::needed_for(kind)
    }

    /// The name in policies and manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Heal => "heal",
            Self::Optimize => "optimize",
            Self::Full => "full",
        }
    }
}
