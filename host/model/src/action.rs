//! Actions: the typed changes to a pipeline, what a proposal of one says, and the levels by which a policy allows them. Their kinds are in
//! `action_kind`.
//!
//! Called by everybody who proposes, judges, does or tells of an action.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{ActionKind, Evidence, Executor, NodeId};

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

impl Action {
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

    /// What it carries of a node's configuration.
    pub fn carried(&mut self) -> Carried<'_> {
        match self {
            Self::ReplaceNode { node, node_type, config: Some(config) }
            | Self::InsertNode { id: node, node_type, config, .. } => {
                Carried::Config { node, node_type, config }
            }
            Self::UpdateNodeConfig { node, patch } => Carried::Patch { node, patch },
            Self::NoOp
            | Self::ReplaceNode { config: None, .. }
            | Self::RemoveNode { .. }
            | Self::BypassNode { .. }
            | Self::SwitchExecutor { .. }
            | Self::RestartProcess { .. }
            | Self::ScaleNode { .. }
            | Self::AdjustBuffering { .. } => Carried::Nothing,
        }
    }
}

/// What an action carries of a node's configuration, which is where a secret may stand: it is masked there before anybody sees it.
#[derive(Debug, PartialEq)]
pub enum Carried<'a> {
    /// No part of it.
    Nothing,
    /// All of it.
    Config {
        /// Which node is to be so.
        node: &'a str,
        /// Of this type.
        node_type: &'a str,
        /// Configured like this.
        config: &'a mut Value,
    },
    /// A patch of it.
    Patch {
        /// Of which node.
        node: &'a str,
        /// The patch.
        patch: &'a mut Value,
    },
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
    /// Whether this level allows this kind.
    pub fn allows(self, kind: ActionKind) -> bool {
        self >= kind.needs()
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
