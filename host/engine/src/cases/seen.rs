//! From a case's rows to the columns of an observation.

use std::collections::BTreeSet;
use std::sync::Arc;

use flyball_model::{
    Case, CaseGraph, CaseNode, CaseObservation, GraphMetrics, History, Metrics, NodeColumns, Observation,
    Rules, SeenError, total,
};
use flyball_ports::{Sight, Situation};

/// What a plugin that is asked a case may look at.
pub fn sight(case: &Case) -> Sight {
    let mut past = History::new(case.window.len());
    for (tick, seen) in (1..).zip(&case.window) {
        past.push(Arc::new(observation(seen, tick, &case.graph)));
    }
    let tick = u64::try_from(case.window.len()).unwrap_or(u64::MAX).saturating_add(1);
    Sight { now: Arc::new(observation(&case.observation, tick, &case.graph)), past: Arc::new(past) }
}

/// The situation that a case asks in.
pub fn situation(case: &Case) -> Situation {
    Situation {
        findings: case.findings.clone(),
        graph: case.graph.spec().into(),
        allowed: case.allowed.clone(),
        node_types: case.node_types.clone().into(),
        past: case.past.clone(),
        learned: case.learned.clone(),
        rules: Rules {
            enabled: true,
            mutation: case.mutation,
            max_latency_ms: case.constraints.max_latency_ms,
            min_throughput: case.constraints.min_throughput,
            protected: case.protected.clone(),
            cooldown_ms: 0,
            max_actions: u32::MAX,
            window_ms: 0,
            history: case.window.len(),
            safety: Default::default(),
        },
    }
}

fn observation(seen: &CaseObservation, tick: u64, graph: &CaseGraph) -> Observation {
    let number = |id: &str| seen.number(id);
    let (mut others, mut known) = (Vec::new(), GraphMetrics::default());
    for (name, value) in &seen.totals {
        match name.as_str() {
            total::END_TO_END_LATENCY_MS => known.end_to_end_latency_ms = *value,
            total::THROUGHPUT_PER_SECOND => known.throughput_per_second = *value,
            _ => others.push((name.clone(), *value)),
        }
    }
    Observation {
        session: seen.session.as_deref().unwrap_or("case").into(),
        tick,
        taken_at: seen.taken_at,
        nodes: columns(&seen.nodes),
        graph: GraphMetrics {
            bottleneck: seen.bottleneck.as_deref().and_then(number),
            critical_path: seen.critical_path.iter().filter_map(|id| number(id)).collect(),
            others,
            ..known
        },
        // What is seen of a graph follows what is configured.
        edges: graph.edges.iter().filter_map(|(from, to)| number(from).zip(number(to))).collect(),
        errors: errors(seen),
    }
}

fn errors(seen: &CaseObservation) -> Vec<SeenError> {
    let error = |error: &flyball_model::CaseError| SeenError {
        at: error.at,
        node: error.node.as_ref().and_then(|node| seen.number_of(node)),
        message: error.message.as_str().into(),
    };
    seen.newest_errors().into_iter().map(error).collect()
}

fn columns(nodes: &[CaseNode]) -> NodeColumns {
    let names: BTreeSet<&String> = nodes.iter().flat_map(|node| node.metrics.keys()).collect();
    let mut metrics = Metrics::default();
    for name in names {
        let column = nodes.iter().map(|node| node.metrics.get(name).copied().unwrap_or(f64::NAN)).collect();
        metrics.set(name.clone(), column);
    }
    NodeColumns {
        ids: nodes.iter().map(|node| node.id.as_str().into()).collect(),
        types: nodes.iter().map(|node| node.node_type.as_str().into()).collect(),
        executors: nodes.iter().map(|node| node.executor).collect(),
        statuses: nodes.iter().map(|node| node.status).collect(),
        latency_trends: nodes.iter().map(|node| node.trend).collect(),
        last_errors: nodes.iter().map(|node| node.last_error.as_deref().map(Into::into)).collect(),
        metrics,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn recent_errors_reach_the_plugin_newest_first_and_at_their_nodes() {
        let text = r#"{
            "about": "Five 429s within ten seconds.",
            "observation": {
                "session": "shop",
                "taken_at": 100000,
                "nodes": [{ "id": "in" }, { "id": "api", "errors-per-second": 1.0 }],
                "errors": [
                    { "at": 99000, "node": 1, "message": "HTTP 429" },
                    { "at": 99004, "node": "api", "message": "HTTP 429, the newest" },
                    { "at": 99002, "message": "of the whole pipeline" }
                ]
            },
            "expect": { "findings": ["warning error-burst api"] }
        }"#;
        let case: Case = serde_json::from_str(text).unwrap();
        let now = sight(&case).now;
        assert_eq!(&*now.session, "shop");
        let seen: Vec<_> = now.errors.iter().map(|error| (error.at, error.node, &*error.message)).collect();
        assert_eq!(
            seen,
            [
                (99_004, Some(1), "HTTP 429, the newest"),
                (99_002, None, "of the whole pipeline"),
                (99_000, Some(1), "HTTP 429")
            ]
        );
    }
}
