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
    /// Nothing, for the proposal's reason.
    NoOp,
    /// Drain, swap, resume. Without a configuration the new type is given the old one's.
    ReplaceNode {
        /// Which.
        node: NodeId,
        /// By what.
        node_type: String,
        /// Configured how.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
        config: Option<Value>,
    },
    /// On the edges from each of `after` to each of `before`; no `before`: to all that follow.
    InsertNode {
        /// The new node's name.
        id: NodeId,
        /// Its type.
        node_type: String,
        /// Its configuration.
        config: Value,
        /// Where it works; none: native where the type has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        executor: Option<Executor>,
        /// The nodes before it.
        after: Vec<NodeId>,
        /// The nodes behind it.
        #[serde(default)]
        before: Vec<NodeId>,
    },
    /// The node's predecessors are joined to its successors.
    RemoveNode {
        /// Which.
        node: NodeId,
    },
    /// A JSON merge patch (RFC 7396) of its configuration.
    UpdateNodeConfig {
        /// Which.
        node: NodeId,
        /// The patch.
        patch: Value,
    },
    /// Items pass a bypassed node unchanged.
    BypassNode {
        /// Which.
        node: NodeId,
        /// `false` puts the node back to work.
        active: bool,
    },
    /// The same work, elsewhere.
    SwitchExecutor {
        /// Which.
        node: NodeId,
        /// Where.
        to: Executor,
    },
    /// Stops the node's process, if it still runs, and starts a new one.
    RestartProcess {
        /// Which.
        node: NodeId,
    },
    /// Workers of the node.
    ScaleNode {
        /// Which.
        node: NodeId,
        /// How many; at least 1.
        replicas: u32,
    },
    /// Items that may wait before the node. Lowering it never drops what waits.
    AdjustBuffering {
        /// Which.
        node: NodeId,
        /// How many; at least 1.
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

/// An action that a decider asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    /// Which action.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// From 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// What it rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rests_on: Vec<Evidence>,
}

/// Which kinds of action may happen at all; each level allows what those before it allow.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum MutationPolicy {
    /// Nothing but no-op: watch only.
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
