//! Observations to judge.

use std::sync::Arc;

use flyball_model::{
    Action, ActionKind, Executor, Finding, GraphSpec, History, MutationPolicy, NodeColumns, NodeSpec,
    NodeStatus, Observation, Proposal, Rules, Severity, Trend, metric,
};
use flyball_ports::{Sight, Situation};

/// A tick at which every node is well but the first, which has failed.
pub fn sight(nodes: usize, tick: u64) -> Sight {
    let ids: Arc<[Arc<str>]> = (0..nodes).map(|node| format!("node-{node}").into()).collect();
    let mut columns = NodeColumns {
        types: ids.iter().map(|_| "tokenise".into()).collect(),
        executors: vec![Executor::Native; nodes],
        statuses: vec![NodeStatus::Healthy; nodes],
        latency_trends: vec![Trend::Stable; nodes],
        last_errors: vec![None; nodes],
        ids,
        metrics: Default::default(),
    };
    columns.statuses[0] = NodeStatus::Failed;
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

/// As many nodes in a row, as they are configured.
pub fn graph(nodes: usize) -> GraphSpec {
    let node = |number| NodeSpec {
        id: format!("node-{number}"),
        node_type: "tokenise".to_owned(),
        executor: Executor::Native,
        config: serde_json::json!({ "field": "text" }),
        replicas: 1,
        queue_capacity: 256,
        bypassed: false,
        optional: false,
    };
    GraphSpec {
        nodes: (0..nodes).map(node).collect(),
        edges: (1..nodes).map(|node| (format!("node-{}", node - 1), format!("node-{node}"))).collect(),
    }
}

/// What deciders and validators are told of that tick.
pub fn situation(nodes: usize) -> Situation {
    let finding = Finding {
        code: "node-failed".to_owned(),
        severity: Severity::Critical,
        target: Some("node-0".to_owned()),
        message: "node-0 has failed".to_owned(),
        rests_on: Vec::new(),
    };
    let rules = Rules {
        enabled: true,
        mutation: MutationPolicy::Optimize,
        max_latency_ms: None,
        min_throughput: None,
        protected: Vec::new(),
        cooldown_ms: 0,
        max_actions: 5,
        window_ms: 60_000,
        history: 10,
        safety: Default::default(),
    };
    Situation {
        findings: vec![finding],
        graph: graph(nodes).into(),
        allowed: vec![ActionKind::NoOp, ActionKind::RestartProcess],
        node_types: Arc::from([]),
        past: Vec::new(),
        learned: Vec::new(),
        rules,
    }
}

/// To start the failed node again.
pub fn proposal() -> Proposal {
    let action = Action::RestartProcess { node: "node-0".to_owned() };
    Proposal { action, reason: "it failed".to_owned(), confidence: None, rests_on: Vec::new() }
}
