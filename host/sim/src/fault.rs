//! The document that says what goes wrong, and when.

use flyball_model::{Action, ActionKind, NodeId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::action_behaviour::ActionBehaviour;
use crate::world::RateLimit;

/// What goes wrong, and when.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    /// In any order; several may lie over each other.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// One line for people, by which `Sim::truth` names it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// When it begins, in seconds since the simulation began.
    pub at_s: f64,
    /// After how many seconds it ends by itself; none: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_s: Option<f64>,
    /// Which actions on its node end it; none: those that end such a fault in life. A fault of a node's own work is also
    /// over, for as long, while the node has another type than when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<Vec<ActionKind>>,
    /// It stays with its node whatever type the node is given.
    #[serde(default)]
    pub any_type: bool,
    /// What goes wrong.
    pub what: What,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[allow(clippy::large_enum_variant, reason = "one for each line of a document")]
pub enum What {
    /// Workers die. They are gone until somebody restarts them; when the fault ends by itself the plane does.
    Crash {
        /// Whose.
        node: NodeId,
        /// How many of them; none: all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workers: Option<u32>,
        /// What they had in hand is lost instead of given back.
        #[serde(default)]
        loses: bool,
    },
    /// Work takes longer.
    Slow {
        /// Whose.
        node: NodeId,
        /// So many times as long.
        factor: f64,
        /// It comes over so many seconds, and begins anew with new workers, as a leak does; none: at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        over_s: Option<f64>,
    },
    /// Attempts fail.
    Errors {
        /// Whose.
        node: NodeId,
        /// Share of attempts that fail, from 0 to 1.
        share: f64,
        /// What they say.
        #[serde(default = "broken")]
        message: String,
    },
    /// Nothing is done, and no heartbeat comes; what is in hand stays there. Restarting, replacing, switching or
    /// configuring the node ends it.
    Hang {
        /// Whose.
        node: NodeId,
    },
    /// The service behind the node allows only so much. More workers do not help.
    RateLimit {
        /// Whose.
        node: NodeId,
        /// How much it allows.
        limit: RateLimit,
    },
    /// Memory grows, from when the node's workers began. It begins anew with new workers.
    MemoryLeak {
        /// Whose.
        node: NodeId,
        /// For each worker.
        mb_per_second: f64,
        /// At this much the worker is killed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        killed_at_mb: Option<f64>,
    },
    /// Somebody sets a value in the node's configuration; while it stands there, the node works badly. Any other value
    /// ends that.
    Poison {
        /// Whose.
        node: NodeId,
        /// The key, at the top of the configuration.
        key: String,
        /// The value.
        value: Value,
        /// Share of attempts that fail, from 0 to 1.
        #[serde(default = "all")]
        errors: f64,
        /// So many times as long.
        #[serde(default = "all")]
        slower: f64,
    },
    /// More comes in, or less.
    Load {
        /// At which source.
        source: NodeId,
        /// So many times as much.
        factor: f64,
    },
    /// A source takes nothing in; when it is back its counters begin anew.
    SourceRestart {
        /// Which.
        source: NodeId,
    },
    /// Numbers are missing.
    Gap {
        /// Of these nodes; none: of all.
        #[serde(default)]
        nodes: Vec<NodeId>,
        /// These metrics; none: all, and no node's status is known.
        #[serde(default)]
        metrics: Vec<String>,
    },
    /// Observations repeat what was seen when it began.
    Stale {
        /// And say that they were taken then; otherwise they pretend to be new.
        #[serde(default)]
        honest: bool,
    },
    /// Observing fails.
    Unobservable {
        /// What it says.
        #[serde(default = "broken")]
        message: String,
    },
    /// The topology looks empty; everything runs on.
    EmptyTopology {
        /// The configured graph looks empty, too.
        #[serde(default)]
        graph_too: bool,
    },
    /// The clock by which observations say when they were taken is wrong.
    Clock {
        /// By so many milliseconds, ahead or behind.
        by_ms: i64,
    },
    /// The series of a replica that is gone stay: what was last seen of the node when it begins goes on being seen, also
    /// when the node is removed.
    Ghost {
        /// Whose.
        node: NodeId,
    },
    /// Somebody else changes the graph: an autoscaler, a colleague.
    Change {
        /// How.
        action: Action,
        /// Again and again, with so many seconds between; none: once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        every_s: Option<f64>,
    },
    /// The plane takes one kind of action otherwise.
    Habit {
        /// Which kind.
        of: ActionKind,
        /// How.
        is: ActionBehaviour,
    },
}

fn broken() -> String {
    "it is broken".to_owned()
}

fn all() -> f64 {
    1.0
}

impl What {
    /// The node or source that it befalls.
    pub fn node(&self) -> Option<&NodeId> {
        match self {
            Self::Crash { node, .. }
            | Self::Slow { node, .. }
            | Self::Errors { node, .. }
            | Self::Hang { node }
            | Self::RateLimit { node, .. }
            | Self::MemoryLeak { node, .. }
            | Self::Poison { node, .. }
            | Self::Ghost { node }
            | Self::Load { source: node, .. }
            | Self::SourceRestart { source: node } => Some(node),
            Self::Change { action, .. } => action.target(),
            Self::Gap { .. }
            | Self::Stale { .. }
            | Self::Unobservable { .. }
            | Self::EmptyTopology { .. }
            | Self::Clock { .. }
            | Self::Habit { .. } => None,
        }
    }

    /// Whether it is a fault of the node's work, which another type in its place does not have.
    pub(crate) const fn of_work(&self) -> bool {
        matches!(
            self,
            Self::Slow { .. }
                | Self::Errors { .. }
                | Self::Hang { .. }
                | Self::RateLimit { .. }
                | Self::MemoryLeak { .. }
        )
    }

    /// The actions on its node that end it in life.
    const fn ended_by(&self) -> &'static [ActionKind] {
        match self {
            Self::Hang { .. } => &[
                ActionKind::RestartProcess,
                ActionKind::ReplaceNode,
                ActionKind::SwitchExecutor,
                ActionKind::UpdateNodeConfig,
            ],
            _ => &[],
        }
    }
}

impl Fault {
    pub(crate) fn is_ended_by(&self, action: &Action) -> bool {
        let kinds = self.ended_by.as_deref().unwrap_or_else(|| self.what.ended_by());
        kinds.contains(&action.kind()) && action.target() == self.what.node()
    }
}
