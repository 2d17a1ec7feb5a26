//! What is seen of the running graph; what is made of it, `flyball_measure` says.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flyball_measure::{Reading, bottleneck, critical_path, metrics};
use flyball_model::{Executor, GraphMetrics, NodeColumns, Observation, SeenError};
use flyball_ports::{Clock as _, SystemClock};
use tokio::time::Instant;

use crate::custom;
use crate::ledger::Ledger;
use crate::node::Node;
use crate::stock::Role;
use crate::topology::Topology;

/// One node, as seen once, and where its work is done.
fn see(node: &Node, now: Instant, window: Duration) -> (Reading, Executor) {
    let (executor, optional, replicas) = {
        let spec = node.spec.lock();
        (spec.executor, spec.optional, spec.replicas)
    };
    let (depth, capacity) = node.queue.depth();
    let restarts = node.restarts.load(Ordering::Relaxed);
    let mut seen = Reading {
        source: node.role == Role::Source,
        sink: node.role == Role::Sink,
        optional,
        replicas,
        summary: node.window.lock().summary(now),
        depth,
        capacity,
        dead: node.broken.load(Ordering::Relaxed),
        silent: false,
        working: false,
        restarts: (executor == Executor::Multiprocess || restarts > 0).then_some(restarts),
        heartbeat_age_ms: None,
        memory_mb: None,
        cpu_percent: None,
    };
    let (mut has_process, mut silent_longest) = (false, None);
    node.crew.each(|state| {
        let silent_for = state.silent_for(&node.shared.awake, now);
        seen.dead |= state.is_failing(now, window);
        seen.working |= state.is_busy();
        seen.silent |=
            state.is_waiting() || state.is_busy() && silent_for > window || state.is_troubled(now, window);
        if state.pid.is_some() {
            has_process |= !state.is_gone();
            silent_longest = silent_longest.max(Some(silent_for));
        }
    });
    seen.heartbeat_age_ms = silent_longest.map(|silent| silent.as_secs_f64() * 1e3);
    let usage = node.usage.lock().filter(|_| has_process);
    seen.memory_mb = usage.map(|usage| usage.memory_mb);
    seen.cpu_percent = usage.map(|usage| usage.cpu_percent);
    (seen, executor)
}

pub(crate) fn observe(
    session: &Arc<str>,
    topology: &Topology,
    ledger: &Ledger,
    mishaps: &crate::mishaps::Mishaps,
    window: Duration,
) -> Observation {
    let now = Instant::now();
    let (seen, executors): (Vec<Reading>, Vec<Executor>) =
        topology.nodes.iter().map(|node| see(node, now, window)).unzip();
    let end_to_end = ledger.end_to_end(now);
    Observation {
        session: Arc::clone(session),
        tick: 0,
        taken_at: SystemClock.now(),
        nodes: columns(topology, &seen, executors, now, window),
        graph: GraphMetrics {
            end_to_end_latency_ms: end_to_end.p99_ms,
            throughput_per_second: end_to_end.finished_per_second,
            bottleneck: bottleneck(&seen),
            critical_path: critical_path(&seen, &topology.edges, &topology.order),
            others: Vec::new(),
        },
        edges: Arc::clone(&topology.edges),
        errors: mishaps
            .newest()
            .into_iter()
            .map(|mishap| SeenError {
                at: mishap.at,
                node: topology
                    .ids
                    .iter()
                    .zip(0..)
                    .find(|(id, _)| **id == mishap.node)
                    .map(|(_, index)| index),
                message: mishap.message,
            })
            .collect(),
    }
}

fn columns(
    topology: &Topology,
    seen: &[Reading],
    executors: Vec<Executor>,
    now: Instant,
    window: Duration,
) -> NodeColumns {
    NodeColumns {
        ids: Arc::clone(&topology.ids),
        types: Arc::clone(&topology.types),
        executors,
        statuses: seen.iter().map(Reading::status).collect(),
        latency_trends: seen.iter().map(|seen| seen.summary.trend).collect(),
        last_errors: topology
            .nodes
            .iter()
            .map(|node| {
                let last = node.last_error.lock();
                last.as_ref()
                    .filter(|(met, _)| {
                        let fresh = now.saturating_duration_since(*met) <= window;
                        fresh || node.is_waiting() || node.crew.any_failing(now, window)
                    })
                    .map(|(_, message)| Arc::clone(message))
            })
            .collect(),
        metrics: custom::add(metrics(seen), &topology.nodes),
    }
}
