//! What the nine changing actions do to a graph as it is configured; refused for the same reasons as by the embedded
//! pipeline. What is refused changes nothing.

use std::collections::BTreeSet;

use flyball_model::{Action, Executor, GraphSpec, NodeId, NodeSpec, merge};

use crate::node_types::{MOST_REPLICAS, MOST_WAITING, NodeTypes, nearest};
use crate::world::SimNodeRole;

type Edited = Result<(), String>;

pub(crate) fn edit(graph: &mut GraphSpec, action: &Action, stock: &NodeTypes) -> Edited {
    match action {
        Action::NoOp => Ok(()),
        Action::ReplaceNode { node, node_type, config } => {
            let role = stock.role_of_type(node_type)?;
            let spec = changing(graph, node, "replaced", stock)?;
            if role != stock.role(node) {
                return Err(format!("\"{node_type}\" cannot take {node}'s place: it is {}", told(role)));
            }
            spec.executor = preferred(stock, node_type, Some(spec.executor));
            spec.node_type.clone_from(node_type);
            if let Some(config) = config {
                spec.config = config.clone();
            }
            Ok(())
        }
        Action::InsertNode { id, node_type, config, executor, after, before } => {
            let spec = new_spec(graph, stock, id, node_type, *executor)?;
            insert(graph, NodeSpec { config: config.clone(), ..spec }, after, before)
        }
        Action::RemoveNode { node } => remove(graph, node, stock),
        Action::UpdateNodeConfig { node, patch } => {
            merge(&mut changing(graph, node, "configured anew", stock)?.config, patch);
            Ok(())
        }
        Action::BypassNode { node, active } => {
            let spec = changing(graph, node, "bypassed", stock)?;
            if stock.role(node) == SimNodeRole::Sink {
                return Err(format!("{node} is a sink; past it there is nowhere to go"));
            }
            if spec.bypassed == *active {
                let already = if *active { "bypassed" } else { "at work" };
                return Err(format!("{node} is {already} already"));
            }
            spec.bypassed = *active;
            Ok(())
        }
        Action::SwitchExecutor { node, to } => {
            let spec = changing(graph, node, "switched", stock)?;
            if spec.executor == *to {
                return Err(format!("{node} works in {to} already"));
            }
            if !stock.places(&spec.node_type).contains_key(to) {
                return Err(format!("\"{}\" has no {to} executor", spec.node_type));
            }
            spec.executor = *to;
            Ok(())
        }
        Action::RestartProcess { node } => {
            let spec = changing(graph, node, "restarted", stock)?;
            if spec.bypassed {
                return Err(format!("{node} is bypassed and has no process; put it back to work instead"));
            }
            Ok(())
        }
        Action::ScaleNode { node, replicas } => {
            let spec = changing(graph, node, "scaled", stock)?;
            if !(1..=MOST_REPLICAS).contains(replicas) {
                return Err(format!(
                    "{node} cannot have {replicas} workers; it must be 1 to {MOST_REPLICAS}"
                ));
            }
            if spec.replicas == *replicas {
                return Err(format!("{node} has {replicas} already"));
            }
            spec.replicas = *replicas;
            Ok(())
        }
        Action::AdjustBuffering { node, capacity } => {
            let source = stock.role(node) == SimNodeRole::Source;
            let spec = existing(graph, node)?;
            if source {
                return Err(format!("{node} is a source; nothing waits before it"));
            }
            if !(1..=MOST_WAITING).contains(capacity) {
                return Err(format!(
                    "{capacity} items cannot wait before {node}; it must be 1 to {MOST_WAITING}"
                ));
            }
            if spec.queue_capacity == *capacity {
                return Err(format!("{capacity} items may wait before {node} already"));
            }
            spec.queue_capacity = *capacity;
            Ok(())
        }
    }
}

/// The action that goes as far again, where a plane does it twice.
pub(crate) fn again(before: &GraphSpec, action: &Action) -> Action {
    let further =
        |old: u32, new: u32, most: u32| (2 * i64::from(new) - i64::from(old)).clamp(1, i64::from(most));
    let number = |value: i64| u32::try_from(value).unwrap_or(1);
    match action {
        Action::ScaleNode { node, replicas } => {
            let old = before.node(node).map_or(*replicas, |spec| spec.replicas);
            let replicas = number(further(old, *replicas, MOST_REPLICAS));
            Action::ScaleNode { node: node.clone(), replicas }
        }
        Action::AdjustBuffering { node, capacity } => {
            let old = before.node(node).map_or(*capacity, |spec| spec.queue_capacity);
            let capacity = number(further(old, *capacity, MOST_WAITING));
            Action::AdjustBuffering { node: node.clone(), capacity }
        }
        other => other.clone(),
    }
}

const fn told(role: SimNodeRole) -> &'static str {
    match role {
        SimNodeRole::Source => "a source",
        SimNodeRole::Processor => "a processor",
        SimNodeRole::Sink => "a sink",
    }
}

fn existing<'a>(graph: &'a mut GraphSpec, id: &str) -> Result<&'a mut NodeSpec, String> {
    let near = nearest(id, graph.nodes.iter().map(|node| node.id.as_str()))
        .map(|near| format!("; did you mean \"{near}\"?"))
        .unwrap_or_default();
    let missing = format!("there is no node \"{id}\"{near}");
    graph.nodes.iter_mut().find(|node| node.id == id).ok_or(missing)
}

/// A node that has workers.
fn changing<'a>(
    graph: &'a mut GraphSpec,
    id: &str,
    what: &str,
    stock: &NodeTypes,
) -> Result<&'a mut NodeSpec, String> {
    let spec = existing(graph, id)?;
    if stock.role(id) == SimNodeRole::Source {
        return Err(format!("{id} is a source; a source cannot be {what} while it runs"));
    }
    Ok(spec)
}

fn new_spec(
    graph: &GraphSpec,
    stock: &NodeTypes,
    id: &str,
    node_type: &str,
    executor: Option<Executor>,
) -> Result<NodeSpec, String> {
    if id.trim().is_empty() {
        return Err("the new node has no id".to_owned());
    }
    if graph.node(id).is_some() {
        return Err(format!("there is a node \"{id}\" already"));
    }
    let role = stock.role_of_type(node_type)?;
    if role != SimNodeRole::Processor || stock.role(id) != SimNodeRole::Processor {
        return Err(format!("\"{node_type}\" is {}; only a processor can be put on an edge", told(role)));
    }
    if let Some(executor) = executor
        && !stock.places(node_type).contains_key(&executor)
    {
        return Err(format!("\"{node_type}\" has no {executor} executor"));
    }
    Ok(NodeSpec {
        id: id.to_owned(),
        node_type: node_type.to_owned(),
        executor: executor.unwrap_or_else(|| preferred(stock, node_type, None)),
        config: serde_json::Value::Null,
        replicas: 1,
        queue_capacity: 256,
        bypassed: false,
        optional: false,
    })
}

/// Where a type works when nobody says: where the node worked before, else in the host, else where it can.
fn preferred(stock: &NodeTypes, node_type: &str, present: Option<Executor>) -> Executor {
    let places = stock.places(node_type);
    let wishes = present.into_iter().chain([Executor::Native]).find(|executor| places.contains_key(executor));
    wishes.or_else(|| places.keys().next().copied()).unwrap_or_default()
}

fn insert(graph: &mut GraphSpec, spec: NodeSpec, after: &[NodeId], before: &[NodeId]) -> Edited {
    let Some(first) = after.first() else {
        return Err(format!("nothing is named after which {} is to be inserted", spec.id));
    };
    for id in after.iter().chain(before) {
        existing(graph, id)?;
    }
    let from: BTreeSet<NodeId> = after.iter().cloned().collect();
    let to: BTreeSet<NodeId> = if before.is_empty() {
        graph.after(first).cloned().collect()
    } else {
        before.iter().cloned().collect()
    };
    if to.is_empty() {
        return Err(format!("nothing follows {first}; there is no edge to insert {} on", spec.id));
    }
    for from in &from {
        let behind: BTreeSet<&NodeId> = graph.after(from).collect();
        if let Some(missing) = to.iter().find(|to| !behind.contains(to)) {
            return Err(format!("{from} does not lead to {missing}; there is no such edge"));
        }
        if before.is_empty() && behind.len() != to.len() {
            return Err(format!(
                "what follows {} is not the same; name the nodes before which",
                after.join(", ")
            ));
        }
    }
    graph.edges.retain(|(a, b)| !(from.contains(a) && to.contains(b)));
    graph.edges.extend(from.into_iter().map(|from| (from, spec.id.clone())));
    graph.edges.extend(to.into_iter().map(|to| (spec.id.clone(), to)));
    graph.nodes.push(spec);
    Ok(())
}

fn remove(graph: &mut GraphSpec, id: &str, stock: &NodeTypes) -> Edited {
    existing(graph, id)?;
    let role = stock.role(id);
    if role != SimNodeRole::Processor {
        return Err(format!("{id} is {}; it cannot be removed", told(role)));
    }
    let joined: Vec<(NodeId, NodeId)> =
        graph.before(id).flat_map(|from| graph.after(id).map(move |to| (from.clone(), to.clone()))).collect();
    if let Some((from, to)) = joined.iter().find(|edge| graph.edges.contains(edge)) {
        return Err(format!("{from} leads to {to} already; without {id} it would do so twice"));
    }
    graph.edges.retain(|(from, to)| from != id && to != id);
    graph.edges.extend(joined);
    graph.nodes.retain(|node| node.id != id);
    Ok(())
}
