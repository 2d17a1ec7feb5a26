//! What is seen of the network, and what faults make of that.

use std::sync::Arc;
use std::time::Duration;

use flyball_measure::{Reading, bottleneck, critical_path, metrics};
use flyball_model::{GraphMetrics, NodeColumns, NodeStatus, Observation, SeenError, UnixMillis};

use crate::event_queue::{MS, Nanos};
use crate::fault::What;
use crate::network::Network;
use crate::node::Node;
use crate::worker::Worker;
use crate::world::SimNodeRole;

/// A process that works says so this often.
const HEARTBEAT: Nanos = 500 * MS;

/// What was last seen of a node.
#[derive(Debug, Clone)]
pub(crate) struct Ghost {
    id: String,
    node_type: Arc<str>,
    executor: flyball_model::Executor,
    reading: Reading,
}

/// What an observation says of itself.
pub(crate) struct Stamp {
    pub(crate) session: Arc<str>,
    pub(crate) start: UnixMillis,
}

fn see(node: &mut Node, now: Nanos, instant: tokio::time::Instant, window: Nanos) -> Reading {
    let hung = node.condition.hung;
    let mut seen = Reading {
        source: node.role == SimNodeRole::Source,
        sink: node.role == SimNodeRole::Sink,
        optional: node.spec.optional,
        replicas: node.spec.replicas,
        summary: node.window.summary(instant),
        depth: node.waiting.len(),
        capacity: node.spec.queue_capacity as usize,
        dead: false,
        silent: false,
        working: false,
        restarts: (node.has_process() || node.done.restarts > 0).then_some(node.done.restarts),
        heartbeat_age_ms: None,
        memory_mb: node.memory_mb(now),
        cpu_percent: None,
    };
    let mut heard_longest = hung.map_or(0, |since| now.saturating_sub(since));
    for worker in &node.workers {
        match worker {
            Worker::Dead(since) => {
                seen.dead = true;
                heard_longest = heard_longest.max(now.saturating_sub(*since));
            }
            Worker::Busy(attempt) => {
                seen.working = true;
                let since = now.saturating_sub(attempt.began);
                // A process says that it lives, also over one long item; in the host only an answer says so.
                let silent = if node.has_process() { since.min(HEARTBEAT) } else { since };
                let silent = hung.map_or(silent, |hung| now.saturating_sub(hung.max(attempt.began)));
                seen.silent |= silent > window;
                heard_longest = heard_longest.max(silent);
            }
            Worker::Idle | Worker::Handing(_) => {}
        }
    }
    if node.has_process() {
        seen.heartbeat_age_ms = Some(heard_longest as f64 / 1e6);
        let rate = seen.summary.finished_per_second + seen.summary.failed_per_second;
        let busy = rate * seen.summary.mean_ms / 10.0;
        seen.cpu_percent = seen.memory_mb.map(|_| if busy.is_finite() { busy } else { 0.0 });
    }
    seen
}

impl Network {
    fn readings(&mut self) -> Vec<Reading> {
        let (now, instant) = (self.now, self.instant());
        let window = self.stock.world.window_ms.saturating_mul(MS);
        let mut seen = Vec::with_capacity(self.shape.at.len());
        for at in &self.shape.at {
            if let Some(node) = self.nodes.get_mut(*at) {
                seen.push(see(node, now, instant, window));
            }
        }
        seen
    }

    /// What there is to be seen; session and time are set by whoever shows it.
    pub(crate) fn see(&mut self) -> Observation {
        let seen = self.readings();
        let (now, instant) = (self.now, self.instant());
        let window = Duration::from_millis(self.stock.world.window_ms);
        let end_to_end = self.ledger.end_to_end(instant);
        let nodes: Vec<&Node> = self.shape.at.iter().filter_map(|at| self.nodes.get(*at)).collect();
        let last_error = |node: &&Node| {
            let (met, message) = node.last_error.as_ref()?;
            let age = Duration::from_nanos(now.saturating_sub(*met));
            (age <= window).then(|| Arc::clone(message))
        };
        Observation {
            session: Arc::from(""),
            tick: 0,
            taken_at: now / MS,
            nodes: NodeColumns {
                ids: Arc::clone(&self.shape.ids),
                types: Arc::clone(&self.shape.types),
                executors: nodes.iter().map(|node| node.spec.executor).collect(),
                statuses: seen.iter().map(Reading::status).collect(),
                latency_trends: seen.iter().map(|seen| seen.summary.trend).collect(),
                last_errors: nodes.iter().map(last_error).collect(),
                metrics: metrics(&seen),
            },
            graph: GraphMetrics {
                end_to_end_latency_ms: end_to_end.p99_ms,
                throughput_per_second: end_to_end.finished_per_second,
                bottleneck: bottleneck(&seen),
                critical_path: critical_path(&seen, &self.shape.edges, &self.shape.order),
                others: Vec::new(),
            },
            edges: Arc::clone(&self.shape.edges),
            errors: self.errors(),
        }
    }

    fn errors(&self) -> Vec<SeenError> {
        let number = |id: &str| (0..).zip(self.shape.ids.iter()).find(|(_, have)| have.as_ref() == id);
        self.mishaps
            .iter()
            .map(|mishap| SeenError {
                at: mishap.at / MS,
                node: number(&mishap.node).map(|(number, _)| number),
                message: Arc::clone(&mishap.message),
            })
            .collect()
    }

    /// What is shown of it, or why nothing is.
    pub(crate) fn show(&mut self, stamp: &Stamp) -> Result<Observation, String> {
        let on: Vec<(usize, What)> = (0..)
            .zip(&self.strikes)
            .filter(|(_, strike)| strike.is_on())
            .map(|(number, strike)| (number, strike.fault.what.clone()))
            .collect();
        let mut seen = self.see();
        let taken_at = seen.taken_at;
        for (number, what) in &on {
            match what {
                What::Unobservable { message } => return Err(message.clone()),
                What::Ghost { .. } => self.appear(*number, &mut seen),
                What::Gap { nodes, metrics } => leave_out(&mut seen, nodes, metrics),
                _ => {}
            }
        }
        for (number, what) in &on {
            if let (What::Stale { honest }, Some(last)) = (what, self.seen_last.get(number)) {
                seen = last.clone();
                seen.taken_at = if *honest { seen.taken_at } else { taken_at };
            }
        }
        let empty = on.iter().any(|(_, what)| matches!(what, What::EmptyTopology { .. }));
        if empty || self.now < self.topology_empty_until {
            seen.nodes = NodeColumns::default();
            seen.edges = Arc::from([]);
            seen.graph = GraphMetrics::default();
            seen.errors.iter_mut().for_each(|error| error.node = None);
        }
        seen.session = Arc::clone(&stamp.session);
        seen.errors.iter_mut().for_each(|error| error.at += stamp.start);
        let off: i64 = on
            .iter()
            .map(|(_, what)| if let What::Clock { by_ms } = what { *by_ms } else { 0 })
            .fold(0, i64::saturating_add);
        seen.taken_at = stamp.start.saturating_add(seen.taken_at).saturating_add_signed(off);
        Ok(seen)
    }

    pub(crate) fn haunt(&mut self, strike: usize, id: &str) {
        let seen = self.readings();
        let found = self.shape.ids.iter().position(|have| have.as_ref() == id);
        let Some(index) = found else { return };
        let (Some(reading), Some(spec)) = (seen.get(index), self.running.nodes.get(index)) else { return };
        let ghost = Ghost {
            id: id.to_owned(),
            node_type: spec.node_type.as_str().into(),
            executor: spec.executor,
            reading: reading.clone(),
        };
        self.ghosts.insert(strike, ghost);
    }

    /// Puts what was last seen of a node beside what is seen of it now, as one who sums up series does.
    fn appear(&mut self, strike: usize, seen: &mut Observation) {
        let Some(ghost) = self.ghosts.get(&strike).cloned() else { return };
        let mut readings = self.readings();
        let nodes = &mut seen.nodes;
        let index = match nodes.find(&ghost.id) {
            Some(index) => index,
            None => {
                nodes.ids = nodes.ids.iter().cloned().chain([ghost.id.as_str().into()]).collect();
                nodes.types = nodes.types.iter().cloned().chain([Arc::clone(&ghost.node_type)]).collect();
                nodes.executors.push(ghost.executor);
                nodes.latency_trends.push(ghost.reading.summary.trend);
                nodes.last_errors.push(None);
                nodes.statuses.push(ghost.reading.status());
                readings.push(ghost.reading.clone());
                nodes.metrics = metrics(&readings);
                return;
            }
        };
        let Some(live) = readings.get_mut(index) else { return };
        let old = &ghost.reading.summary;
        let summary = &mut live.summary;
        summary.p50_ms = summary.p50_ms.max(old.p50_ms);
        summary.p99_ms = summary.p99_ms.max(old.p99_ms);
        summary.finished += old.finished;
        summary.failed += old.failed;
        summary.finished_per_second += old.finished_per_second;
        summary.failed_per_second += old.failed_per_second;
        live.replicas += ghost.reading.replicas;
        if let Some(status) = nodes.statuses.get_mut(index) {
            *status = live.status();
        }
        nodes.metrics = metrics(&readings);
    }
}

/// Of these nodes these numbers are missing; none named: all.
fn leave_out(seen: &mut Observation, nodes: &[String], names: &[String]) {
    let left_out = |id: &str| nodes.is_empty() || nodes.iter().any(|node| node == id);
    let gone: Vec<bool> = seen.nodes.ids.iter().map(|id| left_out(id)).collect();
    let all: Vec<String> = seen.nodes.metrics.names().map(str::to_owned).collect();
    let missing = if names.is_empty() { &all } else { names };
    for name in missing {
        let Some(values) = seen.nodes.metrics.get(name) else { continue };
        let values = values.iter().zip(&gone).map(|(value, gone)| if *gone { f64::NAN } else { *value });
        let values = values.collect();
        seen.nodes.metrics.set(name.clone(), values);
    }
    if names.is_empty() {
        for (status, gone) in seen.nodes.statuses.iter_mut().zip(&gone) {
            if *gone {
                *status = NodeStatus::Unknown;
            }
        }
    }
}
