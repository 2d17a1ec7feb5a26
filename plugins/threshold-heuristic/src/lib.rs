//! Says which nodes need attention, by thresholds that must be passed for some ticks on end.
#![cfg_attr(target_family = "wasm", no_std)]
#![allow(clippy::neg_cmp_op_on_partial_ord, reason = "a number may be NaN, and NaN must not pass")]

use flyball_plugin::SeenNode;
use flyball_plugin::prelude::*;

flyball_plugin::settings! {
    /// What is too much.
    pub struct Thresholds {
        /// Part of a queue that may be taken.
        queue_fill: f64 = 0.8, in 0.0..=1.0;
        /// Of the items that a node was done with, the part that may fail.
        error_fraction: f64 = 0.05, in 0.0..=1.0;
        /// From this part on, failing items are critical.
        error_fraction_critical: f64 = 0.5, in 0.0..=1.0;
        /// Items that errors and latencies must rest on to count.
        min_samples: u32 = 20;
        /// Time that an item may spend in any one node (99th percentile), in milliseconds; not given: any.
        latency_p99_ms: Option<f64> = None, in 0.0..=86_400_000.0;
        /// How long a node's process may be silent, in milliseconds.
        heartbeat_ms: f64 = 5_000.0, in 0.0..=86_400_000.0;
        /// For how many ticks on end, this one included, a number must be too high. A failed node is told at once.
        ticks: u32 = 3, in 1..=1_000;
    }
}

impl Heuristic for Thresholds {
    fn assess(&self, now: &Observation, past: &Window) -> Vec<Finding> {
        let mut findings = Vec::new();
        for node in now.nodes() {
            self.status(node, &mut findings);
            self.errors(node, past, &mut findings);
            self.queue(node, past, &mut findings);
            self.latency(node, past, &mut findings);
            self.heartbeat(node, &mut findings);
        }
        findings
    }
}

impl Thresholds {
    fn status(&self, node: SeenNode, findings: &mut Vec<Finding>) {
        let (severity, code, how) = match node.status() {
            Status::Failed => (Severity::Critical, "node-failed", "has failed"),
            Status::Degraded => (Severity::Warning, "node-degraded", "works badly"),
            Status::Healthy | Status::Unknown => return,
        };
        let id = node.id();
        let message = match node.last_error() {
            Some(error) => format!("{id} {how}; its last error: {}", quoted(&error)),
            None => format!("{id} {how}"),
        };
        findings.push(Finding::new(severity, code, message).at(&id).because(Evidence::about(&id).note(how)));
    }

    fn errors(&self, node: SeenNode, past: &Window, findings: &mut Vec<Finding>) {
        // A node without errors costs one column.
        let errors = node.errors_per_second();
        let fraction = |errors: f64, items: f64| errors / (items + errors);
        let too_many = |fraction: f64| fraction > self.error_fraction;
        if !(errors > 0.0) || !too_many(node.error_fraction()) || !(node.samples() >= self.min_samples.into())
        {
            return;
        }
        let id = node.id();
        let before = past.series(&id, Metric::ErrorsPerSecond, self.ticks - 1);
        let items = past.series(&id, Metric::ItemsPerSecond, self.ticks - 1);
        if !self.all(before.iter().zip(&items).map(|(errors, items)| too_many(fraction(*errors, *items)))) {
            return;
        }
        let part = node.error_fraction();
        let severity =
            if part >= self.error_fraction_critical { Severity::Critical } else { Severity::Warning };
        let message = format!("{:.0} % of the items fail at {id}", part * 100.0);
        findings.push(
            Finding::new(severity, "errors-high", message)
                .at(&id)
                .because(
                    Evidence::of_node(&id, Metric::ErrorsPerSecond, errors)
                        .note(format!("with {:.1} items a second finished", node.items_per_second())),
                )
                .because(
                    Evidence::of_node(&id, Metric::Samples, node.samples()).against(self.min_samples.into()),
                ),
        );
    }

    fn queue(&self, node: SeenNode, past: &Window, findings: &mut Vec<Finding>) {
        let full = |fill: f64| fill > self.queue_fill;
        if !full(node.queue_fill()) {
            return;
        }
        let id = node.id();
        let depths = past.series(&id, Metric::QueueDepth, self.ticks - 1);
        let capacities = past.series(&id, Metric::QueueCapacity, self.ticks - 1);
        if !self.all(depths.iter().zip(&capacities).map(|(depth, capacity)| full(depth / capacity))) {
            return;
        }
        let (depth, capacity) = (node.queue_depth(), node.queue_capacity());
        let (code, message) = if node.status() == Status::Unknown {
            ("node-stuck", format!("{id} finishes nothing while {depth} of {capacity} items wait before it"))
        } else {
            ("queue-pressure", format!("{depth} of {capacity} items wait before {id}"))
        };
        findings.push(
            Finding::new(Severity::Warning, code, message).at(&id).because(
                Evidence::of_node(&id, Metric::QueueDepth, depth).against(capacity * self.queue_fill),
            ),
        );
    }

    /// A rising trend alone is no reason for anything: it needs a limit passed, or a queue that grows with it.
    fn latency(&self, node: SeenNode, past: &Window, findings: &mut Vec<Finding>) {
        let over = |latency: f64| self.latency_p99_ms.is_some_and(|limit| latency > limit);
        let rising = node.latency_trend() == Trend::Rising;
        let high = self.latency_p99_ms.is_some() && over(node.latency_p99_ms());
        if !(rising || high) || !(node.samples() >= self.min_samples.into()) {
            return;
        }
        let id = node.id();
        let latency = node.latency_p99_ms();
        let mut evidence = Evidence::of_node(&id, Metric::LatencyP99Ms, latency);
        evidence.limit = self.latency_p99_ms;
        let held = || self.all(past.series(&id, Metric::LatencyP99Ms, self.ticks - 1).into_iter().map(over));
        if high && held() {
            let message = format!("the slowest items spend {latency:.0} ms in {id}");
            findings.push(Finding::new(Severity::Warning, "latency-high", message).at(&id).because(evidence));
        } else if rising && (high || self.queue_grows(node, &id, past)) {
            let message = format!("{id} gets slower: {latency:.0} ms, and rising");
            findings.push(
                Finding::new(Severity::Warning, "latency-rising", message)
                    .at(&id)
                    .because(evidence)
                    .because(Evidence::of_node(&id, Metric::QueueDepth, node.queue_depth())),
            );
        }
    }

    fn heartbeat(&self, node: SeenNode, findings: &mut Vec<Finding>) {
        let age = node.heartbeat_age_ms();
        // A failed node is silent, too; that is told already.
        if !(age > self.heartbeat_ms) || node.status() == Status::Failed {
            return;
        }
        let id = node.id();
        findings.push(
            Finding::new(
                Severity::Warning,
                "heartbeat-stale",
                format!("the process of {id} was last heard of {age:.0} ms ago"),
            )
            .at(&id)
            .because(Evidence::of_node(&id, Metric::HeartbeatAgeMs, age).against(self.heartbeat_ms)),
        );
    }

    /// Longer at each tick than at the one before, and by a tenth of its capacity in all.
    fn queue_grows(&self, node: SeenNode, id: &str, past: &Window) -> bool {
        let mut depths = past.series(id, Metric::QueueDepth, self.ticks - 1);
        depths.push(node.queue_depth());
        let grown = depths.last().zip(depths.first()).map(|(last, first)| last - first);
        let climbs = depths.iter().zip(depths.iter().skip(1)).map(|(earlier, later)| later > earlier);
        self.ticks > 1
            && depths.len() == self.ticks as usize
            && climbs.into_iter().all(|climbs| climbs)
            && grown.is_some_and(|grown| grown >= node.queue_capacity() / 10.0)
    }

    /// Whether it was so at each of the ticks before this one that count; false while there are too few of them.
    fn all(&self, ticks: impl Iterator<Item = bool>) -> bool {
        let mut count = 1;
        for so in ticks {
            if !so {
                return false;
            }
            count += 1;
        }
        count >= self.ticks
    }
}

/// Text from outside, short and on one line.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(200).collect::<String>())
}

flyball_plugin::heuristic!(Thresholds);

flyball_plugin::cases!(
    "../cases/all-is-well.json",
    "../cases/bad-settings.json",
    "../cases/degraded.json",
    "../cases/errors-held.json",
    "../cases/failed-at-once.json",
    "../cases/heartbeat.json",
    "../cases/latency-over-limit.json",
    "../cases/one-error-of-one.json",
    "../cases/queue-held.json",
    "../cases/queue-once.json",
    "../cases/queue-unknown-history.json",
    "../cases/stuck.json",
    "../cases/trend-alone.json",
    "../cases/trend-with-growing-queue.json",
);
