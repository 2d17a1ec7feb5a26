//! Says what undoes each of the ten actions, from the graph as it was before and after it.
#![cfg_attr(target_family = "wasm", no_std)]

mod patch;

use flyball_plugin::json;
use flyball_plugin::prelude::*;
use flyball_plugin::{
    Buffering, Bypass, ConfigChange, ExecutorChange, GraphSpec, Insertion, NodeSpec, Replacement, Scaling,
};

flyball_plugin::settings! {
    /// There is nothing to set.
    pub struct StandardReverser {
    }
}

impl Reverser for StandardReverser {
    fn reverse(&self, applied: &Applied) -> Result<Vec<Action>, String> {
        let node = |id: &str| Ok::<_, String>((spec(&applied.before, id)?, spec(&applied.after, id)?));
        match &applied.action {
            Action::NoOp => Ok(Vec::new()),
            Action::RestartProcess(id) => {
                Err(format!("a restart of {id} cannot be undone: the process that ran before is gone"))
            }
            Action::ReplaceNode(it) => node(&it.node).map(|(before, after)| replaced_back(before, after)),
            Action::InsertNode(it) => inserted(&it.id, applied),
            Action::RemoveNode(id) => removed(id, &applied.before),
            Action::UpdateNodeConfig(it) => {
                node(&it.node).and_then(|(before, after)| configured(before, after))
            }
            Action::BypassNode(it) => node(&it.node).map(|(before, after)| bypass(before, after)),
            Action::SwitchExecutor(it) => node(&it.node).map(|(before, after)| executor(before, after)),
            Action::ScaleNode(it) => node(&it.node).map(|(before, after)| replicas(before, after)),
            Action::AdjustBuffering(it) => node(&it.node).map(|(before, after)| capacity(before, after)),
        }
    }
}

fn spec<'a>(graph: &'a GraphSpec, id: &str) -> Result<&'a NodeSpec, String> {
    graph
        .nodes
        .iter()
        .find(|node| node.id == id)
        .ok_or_else(|| format!("{id} is not in the graph that was kept, so its old state is unknown"))
}

/// Empty when the two are alike.
fn when(differ: bool, action: impl FnOnce() -> Action) -> Vec<Action> {
    if differ { vec![action()] } else { Vec::new() }
}

fn executor(before: &NodeSpec, after: &NodeSpec) -> Vec<Action> {
    when(before.executor != after.executor, || {
        Action::SwitchExecutor(ExecutorChange { node: before.id.clone(), to: before.executor })
    })
}

fn replicas(before: &NodeSpec, after: &NodeSpec) -> Vec<Action> {
    when(before.replicas != after.replicas, || {
        Action::ScaleNode(Scaling { node: before.id.clone(), replicas: before.replicas })
    })
}

fn capacity(before: &NodeSpec, after: &NodeSpec) -> Vec<Action> {
    when(before.queue_capacity != after.queue_capacity, || {
        Action::AdjustBuffering(Buffering { node: before.id.clone(), capacity: before.queue_capacity })
    })
}

fn bypass(before: &NodeSpec, after: &NodeSpec) -> Vec<Action> {
    when(before.bypassed != after.bypassed, || {
        Action::BypassNode(Bypass { node: before.id.clone(), active: before.bypassed })
    })
}

fn replaced_back(before: &NodeSpec, after: &NodeSpec) -> Vec<Action> {
    let mut actions = vec![Action::ReplaceNode(Replacement {
        node: before.id.clone(),
        node_type: before.node_type.clone(),
        config: Some(before.config.clone()),
    })];
    actions.extend([executor, replicas, capacity, bypass].into_iter().flat_map(|part| part(before, after)));
    actions
}

fn configured(before: &NodeSpec, after: &NodeSpec) -> Result<Vec<Action>, String> {
    let read = |text: &str| {
        json::from_str(text).map_err(|error| format!("{}'s configuration is not JSON: {error}", before.id))
    };
    let (old, new): (json::Value, json::Value) = (read(&before.config)?, read(&after.config)?);
    let Some(patch) = patch::between(&new, &old) else {
        return Err(format!("{}'s old configuration holds a null, which no merge patch can set", before.id));
    };
    Ok(when(old != new, || {
        Action::UpdateNodeConfig(ConfigChange { node: before.id.clone(), patch: patch.to_string() })
    }))
}

fn feeding<'a>(graph: &'a GraphSpec, id: &str) -> Vec<&'a String> {
    graph.edges.iter().filter(|(_, to)| to == id).map(|(from, _)| from).collect()
}

fn fed<'a>(graph: &'a GraphSpec, id: &str) -> Vec<&'a String> {
    graph.edges.iter().filter(|(from, _)| from == id).map(|(_, to)| to).collect()
}

fn joined(graph: &GraphSpec, from: &str, to: &str) -> bool {
    graph.edges.iter().any(|(a, b)| a == from && b == to)
}

/// A removal joins all that feed a node to all that it feeds: right when exactly these edges were there before.
fn inserted(id: &str, applied: &Applied) -> Result<Vec<Action>, String> {
    spec(&applied.after, id)?;
    for from in feeding(&applied.after, id) {
        for to in fed(&applied.after, id) {
            if !joined(&applied.before, from, to) {
                return Err(format!(
                    "without {id} there would be an edge from {from} to {to} that was not there before"
                ));
            }
        }
    }
    Ok(vec![Action::RemoveNode(id.to_owned())])
}

fn removed(id: &str, before: &GraphSpec) -> Result<Vec<Action>, String> {
    let node = spec(before, id)?;
    let (after, followers) = (feeding(before, id), fed(before, id));
    if after.is_empty() || followers.is_empty() {
        return Err(format!(
            "{id} was at an end of the graph, and a node can only be inserted between two others"
        ));
    }
    if node.optional {
        return Err(format!("{id} was optional, and an inserted node never is"));
    }
    for from in &after {
        if let Some(to) = followers.iter().find(|to| joined(before, from, to)) {
            return Err(format!(
                "{from} fed {to} directly, too: to insert {id} again would take that edge away"
            ));
        }
    }
    let mut actions = vec![Action::InsertNode(Insertion {
        id: id.to_owned(),
        node_type: node.node_type.clone(),
        config: node.config.clone(),
        executor: Some(node.executor),
        after: after.into_iter().cloned().collect(),
        before: followers.into_iter().cloned().collect(),
    })];
    if node.replicas != 1 {
        actions.push(Action::ScaleNode(Scaling { node: id.to_owned(), replicas: node.replicas }));
    }
    // An inserted node's capacity is the data plane's own choice, so the old one is always said.
    actions.push(Action::AdjustBuffering(Buffering { node: id.to_owned(), capacity: node.queue_capacity }));
    if node.bypassed {
        actions.push(Action::BypassNode(Bypass { node: id.to_owned(), active: true }));
    }
    Ok(actions)
}

flyball_plugin::reverser!(StandardReverser);

flyball_plugin::cases!(
    "../cases/buffer.json",
    "../cases/bypass.json",
    "../cases/config-null.json",
    "../cases/config.json",
    "../cases/insert.json",
    "../cases/no-op.json",
    "../cases/remove-end.json",
    "../cases/remove.json",
    "../cases/replace.json",
    "../cases/restart.json",
    "../cases/scale.json",
    "../cases/switch.json",
);
