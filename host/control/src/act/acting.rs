//! Whether a graph, or the running pipeline, shows an action. Called by the door after the data plane has taken one, and by
//! whoever asks whether it is still so.

use flyball_model::{Action, GraphSpec, NodeSpec, Observation, Outcome, metric};
use serde_json::Value;

/// Accepted is not effective: what changes the configuration must show in it.
pub(crate) fn read_back(action: &Action, before: &GraphSpec, after: &GraphSpec) -> (Outcome, Option<String>) {
    match shows(action, before, after) {
        None => (Outcome::Accepted, None),
        Some(true) => (Outcome::Effective, None),
        Some(false) => {
            let note = "the data plane took it, and its graph does not show it".to_owned();
            (Outcome::Accepted, Some(note))
        }
    }
}

/// Whether the graph shows the action; none: nothing of it shows in a graph.
pub(crate) fn shows(action: &Action, before: &GraphSpec, after: &GraphSpec) -> Option<bool> {
    let is = |node: &str, holds: &dyn Fn(&NodeSpec) -> bool| Some(after.node(node).is_some_and(holds));
    match action {
        Action::NoOp | Action::RestartProcess { .. } => None,
        Action::ReplaceNode { node, node_type, config } => is(node, &|now| {
            now.node_type == *node_type && config.as_ref().is_none_or(|config| holds(&now.config, config))
        }),
        Action::InsertNode { id, node_type, after: feeders, .. } => is(id, &|now| {
            now.node_type == *node_type
                && feeders.iter().all(|feeder| after.before(id).any(|from| from == feeder))
        }),
        Action::RemoveNode { node } => Some(before.node(node).is_some() && after.node(node).is_none()),
        Action::UpdateNodeConfig { node, patch } => is(node, &|now| holds(&now.config, patch)),
        Action::BypassNode { node, active } => is(node, &|now| now.bypassed == *active),
        Action::SwitchExecutor { node, to } => is(node, &|now| now.executor == *to),
        Action::ScaleNode { node, replicas } => is(node, &|now| now.replicas == *replicas),
        Action::AdjustBuffering { node, capacity } => is(node, &|now| now.queue_capacity == *capacity),
    }
}

/// Whether a JSON merge patch (RFC 7396) would change nothing more; what a node type fills in by itself does not count.
fn holds(config: &Value, patch: &Value) -> bool {
    match (config, patch) {
        (Value::Object(config), Value::Object(patch)) => {
            patch.iter().all(|(key, wanted)| match (config.get(key), wanted) {
                (have, Value::Null) => have.is_none_or(Value::is_null),
                (Some(have), wanted) => holds(have, wanted),
                (None, _) => false,
            })
        }
        (config, patch) => config == patch,
    }
}

/// Whether the running pipeline shows the action, not only its configuration; none: nothing of it can be seen there.
pub(crate) fn seen(action: &Action, now: &Observation) -> Option<bool> {
    let nodes = &now.nodes;
    if nodes.is_empty() {
        return None;
    }
    let number = |node: &str, name: &str, wanted: u32| {
        let value = nodes.number(nodes.find(node)?, name);
        value.is_finite().then(|| value == f64::from(wanted))
    };
    match action {
        Action::ReplaceNode { node, node_type, .. } => {
            Some(nodes.types.get(nodes.find(node)?)?.as_ref() == node_type)
        }
        Action::InsertNode { id, .. } => Some(nodes.find(id).is_some()),
        Action::RemoveNode { node } => Some(nodes.find(node).is_none()),
        Action::SwitchExecutor { node, to } => Some(nodes.executors.get(nodes.find(node)?)? == to),
        Action::ScaleNode { node, replicas } => number(node, metric::REPLICAS, *replicas),
        Action::AdjustBuffering { node, capacity } => number(node, metric::QUEUE_CAPACITY, *capacity),
        Action::NoOp
        | Action::UpdateNodeConfig { .. }
        | Action::BypassNode { .. }
        | Action::RestartProcess { .. } => None,
    }
}
