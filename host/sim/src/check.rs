//! What is wrong with a plan, each fault with its place.

use std::collections::{BTreeMap, BTreeSet};

use flyball_measure::sorted;
use flyball_model::{GraphSpec, Problem};

use crate::fault::{FaultPlan, What};
use crate::node_types::{MOST_REPLICAS, MOST_WAITING, NodeTypes, nearest};
use crate::plan::{Plan, Unsound};
use crate::service::Clockwork;
use crate::world::{RateLimit, SimNodeRole, SimulatedWorld, Work};

/// What is wrong with a plan.
///
/// # Errors
///
/// Everything that is wrong with it.
pub(crate) fn check(plan: &Plan, stock: &NodeTypes) -> Result<(), Unsound> {
    let unsound = Unsound {
        graph: check_graph(&plan.graph, stock),
        world: check_world(&plan.world, &plan.graph, stock),
        faults: check_faults(&plan.faults, &plan.graph, stock),
    };
    if unsound.is_sound() { Ok(()) } else { Err(unsound) }
}

fn check_graph(graph: &GraphSpec, stock: &NodeTypes) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = BTreeMap::new();
    for (index, node) in (0..).zip(&graph.nodes) {
        let mut fault = |field: &str, message: String| {
            problems.push(Problem::new(format!("/nodes/{index}/{field}"), message));
        };
        if let Some(before) = seen.insert(node.id.as_str(), index) {
            fault("id", format!("the id \"{}\" is taken by /nodes/{before}", node.id));
        }
        if !(1..=MOST_REPLICAS).contains(&node.replicas) {
            fault("replicas", format!("{} replicas; it must be 1 to {MOST_REPLICAS}", node.replicas));
        }
        if !(1..=MOST_WAITING).contains(&node.queue_capacity) {
            let message = format!("a capacity of {}; it must be 1 to {MOST_WAITING}", node.queue_capacity);
            fault("queue_capacity", message);
        }
        if !stock.places(&node.node_type).contains_key(&node.executor) {
            fault(
                "executor",
                format!("\"{}\" has no {} executor in this world", node.node_type, node.executor),
            );
        }
        if stock.role_of_type(&node.node_type).is_ok_and(|role| role != stock.role(&node.id)) {
            fault("type", format!("\"{}\" does not belong where {} stands", node.node_type, node.id));
        }
    }
    let mut edges = BTreeSet::new();
    for (index, (from, to)) in (0..).zip(&graph.edges) {
        let at = format!("/connections/{index}");
        match (seen.get(from.as_str()), seen.get(to.as_str())) {
            (Some(from), Some(to)) => {
                if !edges.insert((*from, *to)) {
                    problems.push(Problem::new(at, "it is there already").help("leave it out"));
                }
            }
            (None, _) => problems.push(Problem::new(at + "/from", format!("there is no node \"{from}\""))),
            (_, None) => problems.push(Problem::new(at + "/to", format!("there is no node \"{to}\""))),
        }
    }
    let edges: Vec<(u32, u32)> = edges.into_iter().collect();
    if sorted(graph.nodes.len(), &edges).len() < graph.nodes.len() {
        problems.push(Problem::new("/connections", "there is a cycle").help("take out one of its edges"));
    }
    if edges.is_empty() {
        problems.push(Problem::new("/connections", "nothing leads from a source to a sink"));
    }
    let connected: BTreeSet<&str> =
        graph.edges.iter().flat_map(|(from, to)| [from.as_str(), to.as_str()]).collect();
    let alone = graph.nodes.iter().filter(|node| !connected.contains(node.id.as_str()));
    problems
        .extend(alone.map(|node| Problem::new("/nodes", format!("\"{}\" is connected to nothing", node.id))));
    problems
}

fn share(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

fn factor(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

fn check_world(world: &SimulatedWorld, graph: &GraphSpec, stock: &NodeTypes) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_work("/otherwise", &world.otherwise, &mut problems);
    for (name, work) in &world.types {
        check_work(&format!("/types/{}", token(name)), work, &mut problems);
    }
    for (id, work) in &world.nodes {
        check_work(&format!("/nodes/{}", token(id)), work, &mut problems);
        if graph.node(id).is_none() {
            problems.push(no_node(format!("/nodes/{}", token(id)), id, graph));
        }
    }
    problems.extend(world.load.rate.unsound().map(|why| Problem::new("/load/rate", why)));
    for (id, load) in &world.loads {
        let at = format!("/loads/{}", token(id));
        problems.extend(load.rate.unsound().map(|why| Problem::new(format!("{at}/rate"), why)));
        problems.extend(not_source(at, id, graph, stock));
    }
    for (kind, habit) in &world.habits {
        if !factor(habit.slower_after) {
            let message = format!("slower by {}; it must be more than 0", habit.slower_after);
            problems.push(Problem::new(format!("/habits/{kind}/slower_after"), message));
        }
    }
    if world.window_ms < 10 {
        problems.push(Problem::new("/window_ms", format!("{} ms; it must be at least 10", world.window_ms)));
    }
    problems
}

fn check_work(at: &str, work: &Work, problems: &mut Vec<Problem>) {
    let mut say = |sound: bool, field: &str, message: &str| {
        if !sound {
            problems.push(Problem::new(format!("{at}/{field}"), message));
        }
    };
    say(Clockwork::new(work.service_ms).is_some(), "service_ms", "these figures make no distribution");
    say(share(work.errors), "errors", "a share is from 0 to 1");
    say(share(work.filters), "filters", "a share is from 0 to 1");
    say((1..=1_000).contains(&work.pieces), "pieces", "it must be 1 to 1000");
    say(work.contention.is_finite() && work.contention >= 0.0, "contention", "it must not be negative");
    say(work.coherence.is_finite() && work.coherence >= 0.0, "coherence", "it must not be negative");
    say(work.executors.values().all(|place| factor(place.speed)), "executors", "a speed must be more than 0");
    say(work.limit.is_none_or(allows), "limit", "it must allow more than nothing");
    say(
        work.settings.iter().all(|setting| factor(setting.slower) && share(setting.errors)),
        "settings",
        "slower must be more than 0 and errors from 0 to 1",
    );
}

fn allows(limit: RateLimit) -> bool {
    factor(limit.per_second) && limit.refusal_ms.is_finite() && limit.refusal_ms >= 0.0
}

fn check_faults(faults: &FaultPlan, graph: &GraphSpec, stock: &NodeTypes) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, fault) in (0..).zip(&faults.faults) {
        let at = format!("/faults/{index}");
        if !(fault.at_s.is_finite() && fault.at_s >= 0.0) {
            problems.push(Problem::new(format!("{at}/at_s"), "a time must not be negative"));
        }
        if fault.for_s.is_some_and(|seconds| !factor(seconds)) {
            problems.push(Problem::new(format!("{at}/for_s"), "it must last for more than nothing"));
        }
        let sound = match &fault.what {
            What::Slow { factor: slower, over_s, .. } => factor(*slower) && over_s.is_none_or(factor),
            What::Errors { share: errors, .. } => share(*errors),
            What::RateLimit { limit, .. } => allows(*limit),
            What::MemoryLeak { mb_per_second, .. } => factor(*mb_per_second),
            What::Poison { errors, slower, .. } => share(*errors) && factor(*slower),
            What::Load { factor: more, .. } => more.is_finite() && *more >= 0.0,
            What::Change { every_s, .. } => every_s.is_none_or(factor),
            _ => true,
        };
        if !sound {
            let message = "a factor or rate must be more than 0, a share from 0 to 1";
            problems.push(Problem::new(format!("{at}/what"), message));
        }
        match &fault.what {
            What::Load { source, .. } | What::SourceRestart { source } => {
                problems.extend(not_source(format!("{at}/what"), source, graph, stock));
            }
            // Nodes that are inserted later have no faults in a document that was written before.
            What::Change { .. } => {}
            what => {
                let at = format!("{at}/what");
                let Some(id) = what.node() else { continue };
                if graph.node(id).is_none() {
                    problems.push(no_node(at, id, graph));
                } else if stock.role(id) == SimNodeRole::Source && !matches!(what, What::Ghost { .. }) {
                    let problem = Problem::new(at, format!("\"{id}\" is a source, which has no workers"));
                    problems.push(problem.help("`load` and `source-restart` are what befalls a source"));
                }
            }
        }
    }
    problems
}

fn not_source(at: String, id: &str, graph: &GraphSpec, stock: &NodeTypes) -> Option<Problem> {
    if graph.node(id).is_none() {
        return Some(no_node(at, id, graph));
    }
    (stock.role(id) != SimNodeRole::Source).then(|| Problem::new(at, format!("\"{id}\" is not a source")))
}

fn no_node(at: String, id: &str, graph: &GraphSpec) -> Problem {
    let problem = Problem::new(at, format!("there is no node \"{id}\""));
    match nearest(id, graph.nodes.iter().map(|node| node.id.as_str())) {
        Some(near) => problem.help(format!("did you mean \"{near}\"?")),
        None => problem,
    }
}

/// A key in a JSON Pointer.
fn token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
