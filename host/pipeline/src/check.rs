//! What is wrong with a manifest, each fault with its place.

use std::collections::{BTreeMap, BTreeSet};

use flyball_measure::sorted;
use flyball_model::{ItemSizes, Manifest, NodeDeclaration, NodeType, Problem};
use flyball_nodes::WasmNodes;
use serde_json::Value;

use crate::stock::{Role, check_config, listed, nearest, offers, role, types};

/// The limits of a queue and of a crew.
pub(crate) const MOST_WAITING: u32 = 1_000_000;
pub(crate) const MOST_REPLICAS: u32 = 256;

/// What is wrong with a manifest: nothing, when it can run. Nothing outside is touched: a file that is missing shows
/// when the pipeline starts.
pub fn check(manifest: &Manifest, wasm: &dyn WasmNodes) -> Vec<Problem> {
    let types = types(wasm);
    let mut problems = Vec::new();
    if manifest.name.trim().is_empty() {
        problems.push(Problem::new("/name", "the session has no name").help("name it"));
    }
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, node) in manifest.nodes.iter().enumerate() {
        if let Some(before) = first.get(node.id.as_str()) {
            let message = format!("the id \"{}\" is taken by /nodes/{before}", node.id);
            problems
                .push(Problem::new(format!("/nodes/{index}/id"), message).help("give each node its own id"));
        } else {
            first.insert(&node.id, index);
        }
        check_node(node, index, &types, wasm, &mut problems);
    }
    check_sizes(&manifest.items, &mut problems);
    check_protected(manifest, &first, &mut problems);
    let edges = check_edges(manifest, &first, &mut problems);
    check_ends(manifest, &edges, &mut problems);
    check_cycles(manifest, &edges, &mut problems);
    problems
}

/// A queue that could not hold an item would stand still.
fn check_sizes(sizes: &ItemSizes, problems: &mut Vec<Problem>) {
    let ItemSizes { memory_kb, queue_mb, pipeline_mb, .. } = *sizes;
    if u64::from(memory_kb) > u64::from(queue_mb) * 1024 {
        let message =
            format!("{queue_mb} MiB before a node are less than one item may take, {memory_kb} KiB");
        problems.push(Problem::new("/items/queue_mb", message).help("raise queue_mb or lower memory_kb"));
    }
    if queue_mb > pipeline_mb {
        let message = format!("{pipeline_mb} MiB in all queues are less than one may hold, {queue_mb} MiB");
        problems
            .push(Problem::new("/items/pipeline_mb", message).help("raise pipeline_mb or lower queue_mb"));
    }
}

fn check_node(
    node: &NodeDeclaration,
    index: usize,
    types: &[NodeType],
    wasm: &dyn WasmNodes,
    problems: &mut Vec<Problem>,
) {
    let at = |field: &str| format!("/nodes/{index}/{field}");
    if node.id.trim().is_empty() {
        problems.push(Problem::new(at("id"), "the node has no id").help("name it"));
    }
    let within = |value: u32, least: u32, most: u32| (least..=most).contains(&value);
    if !within(node.replicas, 1, MOST_REPLICAS) {
        let message = format!("{} replicas; it must be 1 to {MOST_REPLICAS}", node.replicas);
        problems.push(Problem::new(at("replicas"), message));
    }
    if !within(node.queue_capacity, 1, MOST_WAITING) {
        let message = format!("a capacity of {}; it must be 1 to {MOST_WAITING}", node.queue_capacity);
        problems.push(Problem::new(at("queue_capacity"), message));
    }
    let Some(found) = types.iter().find(|have| have.name == node.node_type) else {
        problems.push(unknown_type(at("type"), &node.node_type, types, wasm));
        return;
    };
    if role(&node.node_type) == Role::Source && node.replicas > 1 {
        let message = format!("\"{}\" is a source; a source has one worker", node.id);
        problems.push(Problem::new(at("replicas"), message).help("leave replicas out"));
    }
    if !offers(found, node.executor) {
        let message = format!("\"{}\" has no {} executor", node.node_type, node.executor);
        let has = listed(found.offers.iter().map(|offer| offer.executor));
        problems.push(Problem::new(at("executor"), message).help(format!("it has {has}")));
        return;
    }
    let config = Value::Object(node.params.clone());
    for problem in check_config(wasm, &node.node_type, node.executor, &config) {
        problems.push(Problem { pointer: at("params") + &problem.pointer, ..problem });
    }
}

/// A type that there is not, with the one that was probably meant, or all that there are.
fn unknown_type(at: String, name: &str, types: &[NodeType], wasm: &dyn WasmNodes) -> Problem {
    let all = || {
        let mut names: Vec<&str> = types.iter().map(|have| have.name.as_str()).collect();
        names.sort_unstable();
        format!(
            "the types are {}; others are plugins of world node, in the directory of --plugins",
            listed(names)
        )
    };
    if let Some(kind) = wasm.other_kind(name) {
        return Problem::new(at, format!("the plugin \"{name}\" is a {kind}, not a node"))
            .help(all())
            .code("wrong-kind");
    }
    let problem = Problem::new(at, format!("unknown node type \"{name}\"")).code("unknown-node-type");
    match nearest(name, types.iter().map(|have| have.name.as_str())) {
        Some(near) => problem.help(format!("did you mean \"{near}\"?")),
        None => problem.help(all()),
    }
}

/// A misspelt guard guards nothing.
fn check_protected(manifest: &Manifest, nodes: &BTreeMap<&str, usize>, problems: &mut Vec<Problem>) {
    for (index, id) in manifest.controller.protected_nodes.iter().enumerate() {
        if !nodes.contains_key(id.as_str()) {
            problems.push(no_such_node(format!("/controller/protected_nodes/{index}"), id, nodes));
        }
    }
}

fn no_such_node(at: String, id: &str, nodes: &BTreeMap<&str, usize>) -> Problem {
    let problem = Problem::new(at, format!("there is no node \"{id}\""));
    match nearest(id, nodes.keys().copied()) {
        Some(near) => problem.help(format!("did you mean \"{near}\"?")),
        None => problem.help(format!("the nodes are {}", listed(nodes.keys()))),
    }
}

/// The edges between nodes that exist, by number, without doubles; and in which connection each is.
fn check_edges(
    manifest: &Manifest,
    nodes: &BTreeMap<&str, usize>,
    problems: &mut Vec<Problem>,
) -> Vec<(u32, u32, usize)> {
    let mut edges = Vec::new();
    let mut seen = BTreeMap::new();
    for (index, edge) in manifest.connections.iter().enumerate() {
        let mut end = |field: &str, id: &str| {
            let found = nodes.get(id).and_then(|found| u32::try_from(*found).ok());
            if found.is_none() {
                problems.push(no_such_node(format!("/connections/{index}/{field}"), id, nodes));
            }
            found
        };
        let (Some(from), Some(to)) = (end("from", &edge.from), end("to", &edge.to)) else { continue };
        if let Some(before) = seen.insert((from, to), index) {
            let message =
                format!("{} is connected to {} by /connections/{before} already", edge.from, edge.to);
            problems.push(Problem::new(format!("/connections/{index}"), message).help("leave it out"));
            continue;
        }
        edges.push((from, to, index));
    }
    edges
}

/// Sources begin, sinks end, and everything else lies on a way from a source to a sink.
fn check_ends(manifest: &Manifest, edges: &[(u32, u32, usize)], problems: &mut Vec<Problem>) {
    let role_of = |index: u32| manifest.nodes.get(index as usize).map(|node| role(&node.node_type));
    for (from, to, index) in edges {
        let name = |index: &u32| manifest.nodes.get(*index as usize).map_or("", |node| node.id.as_str());
        if role_of(*to) == Some(Role::Source) {
            let message = format!("\"{}\" is a source; nothing can lead to it", name(to));
            problems.push(Problem::new(format!("/connections/{index}/to"), message));
        }
        if role_of(*from) == Some(Role::Sink) {
            let message = format!("\"{}\" is a sink; nothing can follow it", name(from));
            problems.push(Problem::new(format!("/connections/{index}/from"), message));
        }
    }
    let of = |wanted: Role| -> Vec<u32> {
        (0..)
            .zip(&manifest.nodes)
            .filter(|(_, node)| role(&node.node_type) == wanted)
            .map(|(index, _)| index)
            .collect()
    };
    let (sources, sinks) = (of(Role::Source), of(Role::Sink));
    for (ends, what) in [(&sources, "source"), (&sinks, "sink")] {
        if ends.is_empty() {
            problems.push(
                Problem::new("/nodes", format!("there is no {what}")).help(format!("add a {what} node")),
            );
        }
    }
    let fed = reached(&sources, edges.iter().map(|(from, to, _)| (*from, *to)));
    let leading = reached(&sinks, edges.iter().map(|(from, to, _)| (*to, *from)));
    for (index, node) in (0..).zip(&manifest.nodes) {
        let at = format!("/nodes/{index}");
        if !sources.is_empty() && !fed.contains(&index) {
            let message = format!("no source leads to \"{}\"", node.id);
            problems.push(Problem::new(&at, message).help("connect it or leave it out"));
        } else if !sinks.is_empty() && !leading.contains(&index) {
            let message = format!("\"{}\" leads to no sink", node.id);
            problems.push(Problem::new(&at, message).help("connect it to a sink; `discard` keeps nothing"));
        }
    }
}

fn reached(starts: &[u32], edges: impl Iterator<Item = (u32, u32)>) -> BTreeSet<u32> {
    let mut next: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (from, to) in edges {
        next.entry(from).or_default().push(to);
    }
    let mut reached: BTreeSet<u32> = starts.iter().copied().collect();
    let mut open = starts.to_vec();
    while let Some(node) = open.pop() {
        for to in next.get(&node).into_iter().flatten() {
            if reached.insert(*to) {
                open.push(*to);
            }
        }
    }
    reached
}

fn check_cycles(manifest: &Manifest, edges: &[(u32, u32, usize)], problems: &mut Vec<Problem>) {
    let pairs: Vec<(u32, u32)> = edges.iter().map(|(from, to, _)| (*from, *to)).collect();
    let mut left: BTreeSet<u32> = (0..).zip(&manifest.nodes).map(|(index, _)| index).collect();
    for sorted in sorted(manifest.nodes.len(), &pairs) {
        left.remove(&u32::try_from(sorted).unwrap_or(u32::MAX));
    }
    // Whatever is left lies on a cycle or behind one: walking backwards from any of it comes into the cycle.
    while let Some(&start) = left.first() {
        let (mut walk, mut at) = (vec![start], start);
        let cycle = loop {
            let Some((before, _)) = pairs.iter().find(|(from, to)| *to == at && left.contains(from)) else {
                break Vec::new();
            };
            at = *before;
            if let Some(met) = walk.iter().position(|have| *have == at) {
                break walk.split_off(met);
            }
            walk.push(at);
        };
        let cycle: Vec<u32> = cycle.into_iter().rev().collect();
        let Some((&head, &last)) = cycle.first().zip(cycle.last()) else {
            left.remove(&start);
            continue;
        };
        let closing = edges.iter().find(|(from, to, _)| *from == last && *to == head);
        let names: Vec<&str> = cycle
            .iter()
            .chain([&head])
            .filter_map(|index| manifest.nodes.get(*index as usize))
            .map(|node| node.id.as_str())
            .collect();
        let at = closing
            .map_or_else(|| "/connections".to_owned(), |(_, _, index)| format!("/connections/{index}"));
        problems.push(
            Problem::new(at, format!("a cycle: {}", names.join(" → "))).help("take out one of its edges"),
        );
        // What is behind this cycle is not another one, unless it still is one without it.
        let rest: Vec<(u32, u32)> =
            pairs.iter().filter(|(from, to)| !cycle.contains(from) && !cycle.contains(to)).copied().collect();
        for sorted in sorted(manifest.nodes.len(), &rest) {
            left.remove(&u32::try_from(sorted).unwrap_or(u32::MAX));
        }
    }
}
