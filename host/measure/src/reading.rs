use flyball_model::{Metrics, NodeStatus, metric};

use crate::Summary;

/// All of so many samples failed: the node has failed.
const FAILED_SAMPLES: u64 = 5;
/// More than a tenth of so many samples failed: the node is degraded.
const DEGRADED_SAMPLES: u64 = 20;

/// One node, as seen once.
#[derive(Debug, Clone)]
pub struct Reading {
    /// It begins: nothing waits before it, and what it waits for is not its own work.
    pub source: bool,
    /// It ends.
    pub sink: bool,
    /// The pipeline is right without it.
    pub optional: bool,
    /// Workers that it should have.
    pub replicas: u32,
    /// Of its window.
    pub summary: Summary,
    /// Items that wait before it.
    pub depth: usize,
    /// Items that may wait.
    pub capacity: usize,
    /// A worker is dead, and none is known to take its place.
    pub dead: bool,
    /// A worker works on something and has not answered for longer than the window, waits for what is outside, or ended and
    /// is to be replaced.
    pub silent: bool,
    /// A worker works on something.
    pub working: bool,
    /// How often its process was started again; none where it has no process and never had.
    pub restarts: Option<u64>,
    /// Since its process was last heard of.
    pub heartbeat_age_ms: Option<f64>,
    /// Of its processes together.
    pub memory_mb: Option<f64>,
    /// Of its processes together; 100 is one core.
    pub cpu_percent: Option<f64>,
}

/// The well-known numbers of these nodes, by column.
pub fn metrics(seen: &[Reading]) -> Metrics {
    let column = |value: &dyn Fn(&Reading) -> f64| -> Vec<f64> { seen.iter().map(value).collect() };
    // What a source waits for is not its own work, and nothing waits before it.
    let inner = |seen: &Reading, value: f64| if seen.source { f64::NAN } else { value };
    let known = |value: Option<f64>| value.unwrap_or(f64::NAN);
    let mut metrics = Metrics::default();
    metrics.set(metric::LATENCY_P50_MS, column(&|seen| inner(seen, seen.summary.p50_ms)));
    metrics.set(metric::LATENCY_P99_MS, column(&|seen| inner(seen, seen.summary.p99_ms)));
    metrics.set(metric::ITEMS_PER_SECOND, column(&|seen| seen.summary.finished_per_second));
    metrics.set(metric::ERRORS_PER_SECOND, column(&|seen| seen.summary.failed_per_second));
    metrics.set(metric::SAMPLES, column(&|seen| (seen.summary.finished + seen.summary.failed) as f64));
    metrics.set(metric::QUEUE_DEPTH, column(&|seen| inner(seen, seen.depth as f64)));
    metrics.set(metric::QUEUE_CAPACITY, column(&|seen| inner(seen, seen.capacity as f64)));
    metrics.set(metric::REPLICAS, column(&|seen| f64::from(seen.replicas)));
    metrics.set(metric::RESTARTS, column(&|seen| seen.restarts.map_or(f64::NAN, |restarts| restarts as f64)));
    metrics.set(metric::HEARTBEAT_AGE_MS, column(&|seen| known(seen.heartbeat_age_ms)));
    metrics.set(metric::MEMORY_MB, column(&|seen| known(seen.memory_mb)));
    metrics.set(metric::CPU_PERCENT, column(&|seen| known(seen.cpu_percent)));
    metrics
}

impl Reading {
    /// How the node is.
    pub fn status(&self) -> NodeStatus {
        let Summary { finished, failed, .. } = self.summary;
        let samples = finished + failed;
        if self.dead || (samples >= FAILED_SAMPLES && finished == 0) {
            NodeStatus::Failed
        } else if self.silent || (samples >= DEGRADED_SAMPLES && failed * 10 > samples) {
            NodeStatus::Degraded
        } else if samples == 0 {
            NodeStatus::Unknown
        } else {
            NodeStatus::Healthy
        }
    }

    /// Milliseconds that an item spends here, waiting and worked at.
    pub(crate) fn cost_ms(&self) -> f64 {
        if self.optional || self.source {
            return 0.0;
        }
        let known = |ms: f64| if ms.is_finite() { ms } else { 0.0 };
        known(self.summary.p50_ms) + known(self.summary.wait_ms)
    }

    /// Items a second that its workers can do, if they hold others up.
    pub(crate) fn holds_up(&self) -> Option<f64> {
        if self.source || self.depth * 2 < self.capacity || self.depth == 0 {
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
