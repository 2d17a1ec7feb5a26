//! One observation with what went before it, as Flyball has it and as the others are given it.

use std::sync::Arc;

use flyball_ports::Sight;
use flyball_model::{Executor, History, NodeColumns, Observation, Status, Trend, metric};
use serde::{Deserialize, Serialize};

/// Ticks before this one of which the rules want to know.
const HELD: usize = 2;

/// One node of each kind of trouble and the rest well, at each of three ticks.
pub fn sight(nodes: usize) -> Sight {
    let mut past = History::new(10);
    for tick in 1..=HELD {
        past.push(Arc::new(observation(nodes, tick)));
    }
    Sight { now: Arc::new(observation(nodes, HELD + 1)), past: Arc::new(past) }
}

fn observation(nodes: usize, tick: usize) -> Observation {
    let mut statuses = vec![Status::Healthy; nodes];
    statuses[0] = Status::Failed;
    statuses[1] = Status::Degraded;
    statuses[3] = Status::Unknown;
    let mut trends = vec![Trend::Stable; nodes];
    trends[5] = Trend::Rising;
    let mut errors = vec![0.0; nodes];
    errors[2] = 150.0;
    let mut depths = vec![3.0; nodes];
    depths[3] = 250.0;
    depths[4] = 240.0;
    depths[5] = 40.0 * tick as f64;
    let mut heartbeats = vec![f64::NAN; nodes];
    heartbeats[6] = 9_000.0;
    let mut columns = NodeColumns {
        ids: (0..nodes).map(|node| format!("node-{node}").into()).collect(),
        types: (0..nodes).map(|_| "tokenise".into()).collect(),
        executors: vec![Executor::Native; nodes],
        statuses,
        latency_trends: trends,
        last_errors: vec![None; nodes],
        metrics: Default::default(),
    };
    for (name, values) in [
        (metric::LATENCY_P99_MS, vec![4.0; nodes]),
        (metric::ITEMS_PER_SECOND, vec![100.0; nodes]),
        (metric::QUEUE_DEPTH, depths),
        (metric::QUEUE_CAPACITY, vec![256.0; nodes]),
        (metric::ERRORS_PER_SECOND, errors),
        (metric::SAMPLES, vec![1_000.0; nodes]),
        (metric::HEARTBEAT_AGE_MS, heartbeats),
    ] {
        columns.metrics.set(name, values);
    }
    Observation {
        session: "orders".into(),
        tick: tick as u64,
        taken_at: 1_700_000_000_000 + tick as u64 * 1_000,
        nodes: columns,
        graph: Default::default(),
        edges: Arc::from([]),
        errors: Vec::new(),
    }
}

/// What the rules read of it.
#[derive(Serialize)]
pub struct Input<'a> {
    pub nodes: Vec<Node<'a>>,
}

#[derive(Serialize)]
pub struct Node<'a> {
    id: &'a str,
    status: Status,
    trend: Trend,
    samples: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeat: Option<f64>,
    #[serde(flatten)]
    now: At,
    /// The oldest first.
    past: Vec<At>,
}

#[derive(Serialize)]
struct At {
    errors: f64,
    items: f64,
    depth: f64,
    capacity: f64,
}

/// Written anew for each call, as a host must do that speaks JSON with its plugins.
pub fn input(sight: &Sight) -> Input<'_> {
    let columns = &sight.now.nodes;
    let nodes = (0..columns.len()).map(|node| {
        let heartbeat = columns.number(node, metric::HEARTBEAT_AGE_MS);
        Node {
            id: &columns.ids[node],
            status: columns.statuses[node],
            trend: columns.latency_trends[node],
            samples: columns.number(node, metric::SAMPLES),
            heartbeat: (!heartbeat.is_nan()).then_some(heartbeat),
            now: at(columns, node),
            past: (1..=HELD).rev().filter_map(|ago| Some(at(&sight.past.at(ago)?.nodes, node))).collect(),
        }
    });
    Input { nodes: nodes.collect() }
}

fn at(columns: &NodeColumns, node: usize) -> At {
    At {
        errors: columns.number(node, metric::ERRORS_PER_SECOND),
        items: columns.number(node, metric::ITEMS_PER_SECOND),
        depth: columns.number(node, metric::QUEUE_DEPTH),
        capacity: columns.number(node, metric::QUEUE_CAPACITY),
    }
}

/// What a rule said of a node; the messages and evidence that Flyball's plugin writes besides are no part of the comparison.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Found {
    pub target: String,
    pub code: String,
    pub severity: String,
}
