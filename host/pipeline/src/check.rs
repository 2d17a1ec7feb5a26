//! What is wrong with a manifest, each fault with its place.
//!
//! A manifest may come from anybody, and has up to a megabyte: everything here takes time in proportion to its size. What
//! looks at all nodes for one fault (the nearest name, a list of all) is done for the first faults only.

use std::collections::{BTreeMap, BTreeSet};

use flyball_measure::sorted;
use flyball_model::{ItemSizes, Manifest, NodeDeclaration, NodeType, Problem, matches};
use flyball_nodes::WasmNodes;
use serde_json::Value;

use crate::stock::{Role, check_config, listed, nearest, offers, role, types};

/// The limits of a queue and of a crew.
pub(crate) const MOST_WAITING: u32 = 1_000_000;
pub(crate) const MOST_REPLICAS: u32 = 256;

/// Each pattern is held against each node.
const MOST_PATTERNS: usize = 256;
const LONGEST_PATTERN: usize = 256;

/// For more faults than this nobody is told which name was probably meant.
const MOST_SEARCHES: usize = 20;

/// More names than this are not listed.
const MOST_LISTED: usize = 12;

/// What is wrong with a manifest: nothing, when it can run. Nothing outside is touched: a file that is missing shows
/// when the pipeline starts.
pub fn check(manifest: &Manifest, wasm: &dyn WasmNodes) -> Vec<Problem> {
    let types = types(wasm);
    let mut problems = Vec::new();
    if manifest.name.trim().is_empty() {
        problems.push(Problem::new("/name", "the session has no name").help("name it"));
    }
    let types_by_name: BTreeMap<&str, &NodeType> =
        types.iter().map(|known| (known.name.as_str(), known)).collect();
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, node) in manifest.nodes.iter().enumerate() {
        if let Some(before) = first.get(node.id.as_str()) {
            let message = format!("the id \"{}\" is taken by /nodes/{before}", node.id);
            problems
                .push(Problem::new(format!("/nodes/{index}/id"), message).help("give each node its own id"));
        } else {
            first.insert(&node.id, index);
        }
        check_node(node, index, &types_by_name, wasm, &mut problems);
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
    types: &BTreeMap<&str, &NodeType>,
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
    let Some(found) = types.get(node.node_type.as_str()) else {
        let is_searched = problems.len() < MOST_SEARCHES;
        problems.push(unknown_type(at("type"), &node.node_type, types, wasm, is_searched));
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
fn unknown_type(
    at: String,
    name: &str,
    types: &BTreeMap<&str, &NodeType>,
    wasm: &dyn WasmNodes,
    is_searched: bool,
) -> Problem {
    let all = || {
        let names = listed(types.keys());
        format!("the types are {names}; others are plugins of world node, in the directory of --plugins")
    };
    if let Some(kind) = wasm.other_kind(name) {
        return Problem::new(at, format!("the plugin \"{name}\" is a {kind}, not a node"))
            .help(all())
            .code("wrong-kind");
    }
    let problem = Problem::new(at, format!("unknown node type \"{name}\"")).code("unknown-node-type");
    if !is_searched {
        return problem;
    }
    match nearest(name, types.keys().copied()) {
        Some(near) => problem.help(format!("did you mean \"{near}\"?")),
        None => problem.help(all()),
    }
}

/// A misspelt guard guards nothing.
fn check_protected(manifest: &Manifest, nodes: &BTreeMap<&str, usize>, problems: &mut Vec<Problem>) {
    let mut patterns = BTreeSet::new();
    for (index, id) in manifest.controller.protected_nodes.iter().enumerate() {
        let at = || format!("/controller/protected_nodes/{index}");
        if !id.contains('*') {
            if !nodes.contains_key(id.as_str()) {
                let found = problems.len();
                problems.push(no_such_node(at(), id, nodes, found));
            }
        } else if id.len() > LONGEST_PATTERN {
            let message = format!("the pattern has {} bytes; {LONGEST_PATTERN} are the most", id.len());
            problems.push(Problem::new(at(), message).help("make it shorter"));
        } else if patterns.insert(id) && patterns.len() > MOST_PATTERNS {
            let message = format!("there are more than {MOST_PATTERNS} patterns");
            problems.push(Problem::new(at(), message).help("write fewer, with more `*` in them"));
            return;
        } else if !nodes.keys().any(|node| matches(id, node)) {
            problems.push(Problem::new(at(), format!("no node fits \"{id}\"")).help(names_help(nodes)));
        }
    }
}

/// The nearest name is searched for as long as not too many faults were found.
fn no_such_node(at: String, id: &str, nodes: &BTreeMap<&str, usize>, found: usize) -> Problem {
    let problem = Problem::new(at, format!("there is no node \"{id}\""));
    if found >= MOST_SEARCHES {
        return problem;
    }
    match nearest(id, nodes.keys().copied()) {
        Some(near) => problem.help(format!("did you mean \"{near}\"?")),
        None => problem.help(names_help(nodes)),
    }
}

fn names_help(nodes: &BTreeMap<&str, usize>) -> String {
    match nodes.len() {
        ..=MOST_LISTED => format!("the nodes are {}", listed(nodes.keys())),
        many => format!(
            "there are {many} nodes, of which the first are {}",
            listed(nodes.keys().take(MOST_LISTED))
        ),
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
                let before = problems.len();
                problems.push(no_such_node(format!("/connections/{index}/{field}"), id, nodes, before));
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

/// Goes on from each node that lies on a cycle or behind one until it comes back to where it is. Cycles that share a node
/// are told once: with one of them gone the next one shows.
fn check_cycles(manifest: &Manifest, edges: &[(u32, u32, usize)], problems: &mut Vec<Problem>) {
    let pairs: Vec<(u32, u32)> = edges.iter().map(|(from, to, _)| (*from, *to)).collect();
    let mut left: BTreeSet<u32> = (0..).zip(&manifest.nodes).map(|(index, _)| index).collect();
    for sorted in sorted(manifest.nodes.len(), &pairs) {
        left.remove(&u32::try_from(sorted).unwrap_or(u32::MAX));
    }
    let mut next: BTreeMap<u32, Vec<(u32, usize)>> = BTreeMap::new();
    for (from, to, index) in edges.iter().filter(|(_, to, _)| left.contains(to)) {
        next.entry(*from).or_default().push((*to, *index));
    }
    let mut on_the_way: BTreeMap<u32, bool> = BTreeMap::new();
    let (mut told, mut rounds) = (BTreeSet::new(), 0);
    for start in left {
        if on_the_way.contains_key(&start) {
            continue;
        }
        on_the_way.insert(start, true);
        let mut way = vec![(start, 0)];
        while let Some((node, taken)) = way.last_mut() {
            let Some(&(to, index)) = next.get(node).and_then(|edges| edges.get(*taken)) else {
                on_the_way.insert(*node, false);
                way.pop();
                continue;
            };
            *taken += 1;
            match on_the_way.get(&to) {
                None => {
                    on_the_way.insert(to, true);
                    way.push((to, 0));
                }
                Some(false) => {}
                Some(true) => {
                    let cycle: Vec<u32> =
                        way.iter().map(|(node, _)| *node).skip_while(|node| *node != to).collect();
                    if cycle.iter().all(|node| told.insert(*node)) {
                        problems.push(cycle_problem(manifest, &cycle, index));
                    }
                    rounds += 1;
                    if rounds == MOST_SEARCHES {
                        return;
                    }
                }
            }
        }
    }
}

/// The connection closes the cycle.
fn cycle_problem(manifest: &Manifest, cycle: &[u32], connection: usize) -> Problem {
    let nodes = cycle.iter().chain(cycle.first()).filter_map(|index| manifest.nodes.get(*index as usize));
    let mut names: Vec<&str> = nodes.map(|node| node.id.as_str()).collect();
    if names.len() > MOST_LISTED {
        names.splice(MOST_LISTED - 1..names.len() - 1, ["…"]);
    }
    Problem::new(format!("/connections/{connection}"), format!("a cycle: {}", names.join(" → ")))
        .help("take out one of its edges")
}
