//! A data plane: what runs a session's pipeline, and can change it. Implemented by `pipeline` and `sim`; called by the loop.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_model::{Action, ActionKind, Graph, NodeType, Observation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A running pipeline: what the loop watches and changes.
#[async_trait]
pub trait DataPlane: Send + Sync {
    /// The session's name.
    fn session(&self) -> &str;

    /// What is seen now. The loop numbers the ticks: `tick` is set by it.
    async fn observe(&self) -> Result<Observation, PlaneError>;

    /// The graph as it is configured now. As long as it does not change this is the same `Arc`, so that whoever has looked at it
    /// need not look again.
    async fn graph(&self) -> Result<Arc<Graph>, PlaneError>;

    /// The kinds of action that the data plane supports, and how each behaves. What is not here is never offered.
    fn support(&self) -> Vec<Support>;

    /// How far back one reading looks. Readings that are less than this apart rest on the same samples, so that they
    /// count as one. Zero: each reading stands for itself.
    fn reading_window(&self) -> Duration;

    /// The node types that the data plane itself offers. As long as they do not change this is best the same `Arc`, as whoever has
    /// looked at them need not look again.
    fn node_types(&self) -> Arc<[NodeType]>;

    /// Does it. Returns when the data plane has taken it; whether it helped is seen later.
    async fn apply(&self, action: &Action) -> Result<(), ApplyError>;
}

/// How a data plane does one kind of action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    /// Which kind.
    pub kind: ActionKind,
    /// How long until its effect can be measured, in milliseconds.
    pub settle_ms: u64,
    /// What goes on meanwhile.
    pub change: PlaneChange,
    /// Whether it can be undone.
    pub undo: UndoKind,
    /// What work may be lost by it.
    pub loss: Loss,
}

impl Support {
    /// A change while everything runs, that can be undone and loses nothing.
    pub const fn live(kind: ActionKind, settle_ms: u64) -> Self {
        Self { kind, settle_ms, change: PlaneChange::Live, undo: UndoKind::Reversible, loss: Loss::None }
    }
}

/// What goes on while a data plane makes a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PlaneChange {
    /// Everything else.
    Live,
    /// The node stops for a while.
    Restart,
    /// The whole pipeline stops for a while; its topology may look empty.
    Redeploy,
}

/// Whether a data plane can undo a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UndoKind {
    /// Wholly, or it leaves the graph as it was.
    Reversible,
    /// The graph, and not the work that was lost.
    Lossy,
    /// It cannot.
    Irreversible,
}

/// What work may be lost by a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// None.
    None,
    /// What the node has in hand.
    InHand,
    /// What waits before the node, too.
    Waiting,
}

/// A session that could not be observed, or whose graph could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PlaneError(pub String);

/// Why an action was not applied. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The data plane will not: the node is unknown, the configuration is invalid, the type has no such executor.
    #[error("{0}")]
    Refused(String),
    /// It tried and broke off; the graph is as it was.
    #[error("{0}")]
    Failed(String),
}
