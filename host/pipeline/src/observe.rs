//! What is seen of the running graph.
//!
//! A node is *failed* when a worker of it is dead or all of at least 5 samples failed, *degraded* when more than a tenth
//! of at least 20 samples failed or when a worker has been silent over one item for longer than the window, *unknown*
//! when there is no fresh sample, and *healthy* otherwise.
//!
//! The *bottleneck* is, of the nodes whose queue is at least half full and whose workers are at least half of the time
//! at work (or dead, or silent), the one with the lowest service rate: workers divided by the mean time of an item, and
//! nothing for a dead one. There is none when no queue builds up. Where a slow node fills the queues before it, those
//! nodes are idle, not slow, so they are not taken for it.
//!
//! The *critical path* leads from a source to a sink where the sum of median times and mean waits is largest. An
//! optional node counts as nothing there and is left out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flyball_control::ports::{Clock as _, SystemClock};
use flyball_model::{Executor, GraphMetrics, Metrics, NodeColumns, Observation, SeenError, Status, metric};
use tokio::time::Instant;

use crate::ledger::Ledger;
use crate::node::Node;
use crate::stock::Role;
use crate::topology::Topology;
use crate::window::Summary;

/// All of so many samples failed: the node has failed.
const FAILED_SAMPLES: u64 = 5;
/// More than a tenth of so many samples failed: the node is degraded.
const DEGRADED_SAMPLES: u64 = 20;

/// One node, as seen once.
struct Seen {
    role: Role,
    executor: Executor,
    optional: bool,
    replicas: u32,
    summary: Summary,
    depth: usize,
    capacity: usize,
    dead: bool,
    /// A worker works on something and has not answered for longer than the window.
    silent: bool,
    working: bool,
    has_process: bool,
    silent_for: Option<Duration>,
}

fn see(node: &Node, now: Instant, window: Duration) -> Seen {
    let (executor, optional, replicas) = {
        let spec = node.spec.lock();
        (spec.executor, spec.optional, spec.replicas)
    };
    let summary = node.window.lock().summary(now);
    let (depth, capacity) = node.queue.depth();
    let mut seen = Seen {
        role: node.role,
        executor,
        optional,
        replicas,
        summary,
        depth,
        capacity,
        dead: node.broken.load(Ordering::Relaxed),
        silent: false,
        working: false,
        has_process: false,
        silent_for: None,
    };
    node.crew.each(|state| {
        let silent_for = state.silent_for(now);
        seen.dead |= state.is_dead();
        seen.working |= state.is_busy();
        seen.silent |= state.is_busy() && silent_for > window;
        if state.pid.is_some() {
            seen.has_process |= !state.is_dead();
            seen.silent_for = seen.silent_for.max(Some(silent_for));
        }
    });
    seen
}

impl Seen {
    fn status(&self) -> Status {
        let Summary { finished, failed, .. } = self.summary;
        let samples = finished + failed;
        if self.dead || (samples >= FAILED_SAMPLES && finished == 0) {
            Status::Failed
        } else if self.silent || (samples >= DEGRADED_SAMPLES && failed * 10 > samples) {
            Status::Degraded
        } else if samples == 0 {
            Status::Unknown
        } else {
            Status::Healthy
        }
    }

    /// Milliseconds that an item spends here, waiting and worked at.
    fn cost_ms(&self) -> f64 {
        if self.optional || self.role == Role::Source {
            return 0.0;
        }
        let known = |ms: f64| if ms.is_finite() { ms } else { 0.0 };
        known(self.summary.p50_ms) + known(self.summary.wait_ms)
    }

    /// Items a second that its workers can do, if they hold others up.
    fn holds_up(&self) -> Option<f64> {
        if self.role == Role::Source || self.depth * 2 < self.capacity || self.depth == 0 {
            return None;
        }
        let workers = f64::from(self.replicas.max(1));
        let mean_s = self.summary.mean_ms / 1e3;
        if self.dead || (self.working && mean_s.is_nan()) {
            return Some(0.0);
        }
        let busy = (self.summary.finished_per_second + self.summary.failed_per_second) * mean_s / workers;
        (busy >= 0.5).then_some(workers / mean_s)
    }
}

pub(crate) fn observe(
    session: &Arc<str>,
    topology: &Topology,
    ledger: &Ledger,
    mishaps: &crate::mishaps::Mishaps,
    window: Duration,
) -> Observation {
    let now = Instant::now();
    let seen: Vec<Seen> = topology.nodes.iter().map(|node| see(node, now, window)).collect();
    let end_to_end = ledger.end_to_end(now);
    Observation {
        session: Arc::clone(session),
        tick: 0,
        taken_at: SystemClock.now(),
        nodes: columns(topology, &seen, now, window),
        graph: GraphMetrics {
            end_to_end_latency_ms: end_to_end.p99_ms,
            throughput_per_second: end_to_end.finished_per_second,
            bottleneck: bottleneck(&seen),
            critical_path: critical_path(topology, &seen),
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

fn columns(topology: &Topology, seen: &[Seen], now: Instant, window: Duration) -> NodeColumns {
    let column = |value: &dyn Fn(&Seen, &Node) -> f64| -> Vec<f64> {
        seen.iter().zip(&topology.nodes).map(|(seen, node)| value(seen, node)).collect()
    };
    // What a source waits for is not its own work, and nothing waits before it.
    let inner = |seen: &Seen, value: f64| if seen.role == Role::Source { f64::NAN } else { value };
    let usage = |node: &Node| *node.usage.lock();
    let mut metrics = Metrics::default();
    metrics.set(metric::LATENCY_P50_MS, column(&|seen, _| inner(seen, seen.summary.p50_ms)));
    metrics.set(metric::LATENCY_P99_MS, column(&|seen, _| inner(seen, seen.summary.p99_ms)));
    metrics.set(metric::ITEMS_PER_SECOND, column(&|seen, _| seen.summary.finished_per_second));
    metrics.set(metric::ERRORS_PER_SECOND, column(&|seen, _| seen.summary.failed_per_second));
    metrics.set(metric::SAMPLES, column(&|seen, _| (seen.summary.finished + seen.summary.failed) as f64));
    metrics.set(metric::QUEUE_DEPTH, column(&|seen, _| inner(seen, seen.depth as f64)));
    metrics.set(metric::QUEUE_CAPACITY, column(&|seen, _| inner(seen, seen.capacity as f64)));
    metrics.set(metric::REPLICAS, column(&|seen, _| f64::from(seen.replicas)));
    metrics.set(
        metric::RESTARTS,
        column(&|seen, node| {
            let restarts = node.restarts.load(Ordering::Relaxed);
            if seen.executor == Executor::Multiprocess || restarts > 0 { restarts as f64 } else { f64::NAN }
        }),
    );
    metrics.set(
        metric::HEARTBEAT_AGE_MS,
        column(&|seen, _| seen.silent_for.map_or(f64::NAN, |silent| silent.as_secs_f64() * 1e3)),
    );
    let of_process = |seen: &Seen, value: Option<f64>| {
        if seen.has_process { value.unwrap_or(f64::NAN) } else { f64::NAN }
    };
    metrics.set(
        metric::MEMORY_MB,
        column(&|seen, node| of_process(seen, usage(node).map(|usage| usage.memory_mb))),
    );
    metrics.set(
        metric::CPU_PERCENT,
        column(&|seen, node| of_process(seen, usage(node).map(|usage| usage.cpu_percent))),
    );
    NodeColumns {
        ids: Arc::clone(&topology.ids),
        types: Arc::clone(&topology.types),
        executors: seen.iter().map(|seen| seen.executor).collect(),
        statuses: seen.iter().map(Seen::status).collect(),
        latency_trends: seen.iter().map(|seen| seen.summary.trend).collect(),
        last_errors: topology
            .nodes
            .iter()
            .map(|node| {
                let last = node.last_error.lock();
                last.as_ref()
                    .filter(|(met, _)| now.saturating_duration_since(*met) <= window)
                    .map(|(_, message)| Arc::clone(message))
            })
            .collect(),
        metrics,
    }
}

fn bottleneck(seen: &[Seen]) -> Option<u32> {
    let held_up = seen.iter().zip(0..).filter_map(|(seen, index)| seen.holds_up().map(|rate| (rate, index)));
    held_up.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, index)| index)
}

fn critical_path(topology: &Topology, seen: &[Seen]) -> Vec<u32> {
    // The costliest way from a source to each node: what it costs, and from where it comes.
    let mut ways: Vec<Option<(f64, Option<usize>)>> = vec![None; seen.len()];
    let mut best: Option<(f64, usize)> = None;
    for &index in &topology.order {
        let Some(node) = seen.get(index) else { continue };
        if node.role == Role::Source
            && let Some(way) = ways.get_mut(index)
        {
            *way = Some((0.0, None));
        }
        let Some(Some((spent, from))) = ways.get(index).copied() else { continue };
        let spent = spent + node.cost_ms();
        if let Some(way) = ways.get_mut(index) {
            *way = Some((spent, from));
        }
        if node.role == Role::Sink && best.is_none_or(|(most, _)| spent > most) {
            best = Some((spent, index));
        }
        for (_, to) in topology.edges.iter().filter(|(from, _)| *from as usize == index) {
            if let Some(way) = ways.get_mut(*to as usize)
                && way.is_none_or(|(most, _)| spent > most)
            {
                *way = Some((spent, Some(index)));
            }
        }
    }
    let mut path = Vec::new();
    let mut at = best.map(|(_, index)| index);
    while let Some(index) = at {
        if seen.get(index).is_some_and(|node| !node.optional)
            && let Ok(index) = u32::try_from(index)
        {
            path.push(index);
        }
        at = ways.get(index).copied().flatten().and_then(|(_, from)| from);
    }
    path.reverse();
    path
}
