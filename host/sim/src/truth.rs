//! How it really is, for whoever checks what was made of what was seen.

use flyball_model::{Action, Executor, GraphSpec, NodeId};
use serde::Serialize;

use crate::network::Network;
use crate::node::Node;
use crate::worker::Worker;

/// How it really is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Truth {
    /// Milliseconds since the simulation began.
    pub at_ms: u64,
    /// The nodes, in the order of the running graph.
    pub nodes: Vec<NodeTruth>,
    /// The graph by which everything behaves. What is shown may be another.
    pub running: GraphSpec,
    /// Names of the faults that are on.
    pub faults: Vec<String>,
    /// Accepted actions that have not taken effect yet.
    pub effects_to_come: usize,
}

impl Truth {
    /// The node of that name.
    pub fn node(&self, id: &str) -> Option<&NodeTruth> {
        self.nodes.iter().find(|node| node.id == id)
    }
}

/// How a node really is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeTruth {
    /// Its name.
    pub id: NodeId,
    /// Its type.
    pub node_type: String,
    /// Where it works.
    pub executor: Executor,
    /// Workers that live.
    pub alive: usize,
    /// Workers that are dead.
    pub dead: usize,
    /// Workers that work on something.
    pub busy: usize,
    /// Workers that cannot hand on what they have done.
    pub blocked: usize,
    /// Items that wait before it.
    pub waiting: usize,
    /// Nothing is done.
    pub hung: bool,
    /// It stands still while the plane changes it.
    pub paused: bool,
    /// An attempt takes so many times as long as the world says for one worker of speed 1.
    pub slower: f64,
    /// Share of attempts that fail, limits left out.
    pub errors: f64,
    /// Of a service time as it is now, in milliseconds.
    pub service_mean_ms: f64,
    /// Resident memory; none: it is not measured.
    pub memory_mb: Option<f64>,
    /// Items done since the simulation began; taken in, of a source.
    pub finished: u64,
    /// Items failed for good since then.
    pub failed: u64,
    /// Mean wait before it since then, in milliseconds; NaN before the first.
    pub mean_wait_ms: f64,
    /// How often its workers were started anew.
    pub restarts: u64,
    /// Items that came to a source.
    pub offered: u64,
    /// Of these, those that wait outside.
    pub outside: u64,
    /// And those that were turned away.
    pub turned_away: u64,
}

/// An action that the plane was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Applied {
    /// Milliseconds since the simulation began.
    pub at_ms: u64,
    /// Which action.
    pub action: Action,
    /// What was answered.
    pub told: ActionAnswer,
}

/// What was answered to an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionAnswer {
    /// It was accepted.
    Accepted,
    /// It was refused, for this reason.
    Refused(String),
    /// It broke off, for this reason.
    Failed(String),
}

impl Network {
    pub(crate) fn truth(&self) -> Truth {
        let nodes = self.shape.at.iter().filter_map(|at| self.nodes.get(*at));
        Truth {
            at_ms: self.now / crate::event_queue::MS,
            nodes: nodes.map(|node| self.truth_of(node)).collect(),
            running: self.running.clone(),
            faults: self.strikes.iter().filter(|strike| strike.is_on()).map(|strike| strike.name()).collect(),
            effects_to_come: self.effects.len(),
        }
    }

    fn truth_of(&self, node: &Node) -> NodeTruth {
        let count = |is: fn(&Worker) -> bool| node.workers.iter().filter(|worker| is(worker)).count();
        let slower = if node.spec.bypassed { 0.0 } else { node.slower(self.now) };
        let tap = node.tap.as_ref();
        NodeTruth {
            id: node.spec.id.clone(),
            node_type: node.spec.node_type.clone(),
            executor: node.spec.executor,
            alive: node.workers.len() - node.dead(),
            dead: node.dead(),
            busy: count(|worker| matches!(worker, Worker::Busy(_))),
            blocked: count(|worker| matches!(worker, Worker::Handing(_))),
            waiting: node.waiting.len(),
            hung: node.condition.hung.is_some(),
            paused: node.is_paused(self.now),
            slower,
            errors: 1.0 - (1.0 - node.work.errors) * (1.0 - node.condition.errors),
            service_mean_ms: node.work.service_ms.mean_ms() * slower,
            memory_mb: node.memory_mb(self.now),
            finished: node.done.finished,
            failed: node.done.failed,
            mean_wait_ms: node.done.waited_s * 1e3 / node.done.begun as f64,
            restarts: node.done.restarts,
            offered: tap.map_or(0, |tap| tap.offered),
            outside: tap.map_or(0, |tap| tap.outside),
            turned_away: tap.map_or(0, |tap| tap.turned_away),
        }
    }
}
