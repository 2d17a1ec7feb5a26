//! Observations to judge.

use std::sync::Arc;

use flyball_control::ports::Sight;
use flyball_model::{Executor, History, NodeColumns, Observation, Status, Trend, metric};

/// A tick at which every node is well but the first, which has failed.
pub fn sight(nodes: usize, tick: u64) -> Sight {
    let ids: Arc<[Arc<str>]> = (0..nodes).map(|node| format!("node-{node}").into()).collect();
    let mut columns = NodeColumns {
        types: ids.iter().map(|_| "tokenise".into()).collect(),
        executors: vec![Executor::Native; nodes],
        statuses: vec![Status::Healthy; nodes],
        latency_trends: vec![Trend::Stable; nodes],
        last_errors: vec![None; nodes],
        ids,
        metrics: Default::default(),
    };
    columns.statuses[0] = Status::Failed;
    for (name, value) in [
        (metric::LATENCY_P99_MS, 4.0),
        (metric::ITEMS_PER_SECOND, 100.0),
        (metric::QUEUE_DEPTH, 3.0),
        (metric::QUEUE_CAPACITY, 256.0),
        (metric::ERRORS_PER_SECOND, 0.0),
        (metric::SAMPLES, 1_000.0),
        (metric::HEARTBEAT_AGE_MS, f64::NAN),
    ] {
        columns.metrics.set(name, vec![value; nodes]);
    }
    let now = Observation {
        session: "orders".into(),
        tick,
        taken_at: 1_700_000_000_000 + tick * 1_000,
        nodes: columns,
        graph: Default::default(),
        edges: Arc::from([]),
        errors: Vec::new(),
    };
    Sight { now: Arc::new(now), past: Arc::new(History::new(10)) }
}
