//! Says which nodes need attention, by thresholds that must be passed for some time on end.
#![cfg_attr(target_family = "wasm", no_std)]
#![allow(clippy::neg_cmp_op_on_partial_ord, reason = "a number may be NaN, and NaN must not pass")]

mod lasting;

use flyball_plugin::SeenNode;
use flyball_plugin::prelude::*;

use crate::lasting::{Lasted, Lasting};

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
        /// For longer than this it must last, in milliseconds: a node must be degraded, some of its items fail, or it must
        /// have become slower and not faster again. All are read over a window of some seconds: what does not outlast it
        /// may have been one bad moment.
        lasting_ms: f64 = 8_000.0, in 0.0..=86_400_000.0;
    }
}

impl Heuristic for Thresholds {
    fn assess(&self, now: &Observation, past: &Window) -> Assessment {
        let mut rules = Rules {
            findings: Vec::new(),
            none_fails: false,
            fullest: Most::NONE,
            quietest: Most::NONE,
            failed: Rule::new("node-failed", "failed-nodes", Side::Above),
            degraded: Rule::new("node-degraded", "degraded-ms", Side::Above),
            errors: Rule::new("errors-high", "error-fraction", Side::Above),
            queue: Rule::new("queue-pressure", Metric::QueueDepth.name(), Side::Above),
            latency: Rule::new("latency-high", Metric::LatencyP99Ms.name(), Side::Above),
            rising: Rule::new("latency-rising", "latency-rising-ms", Side::Above),
            heartbeat: Rule::new("heartbeat-stale", Metric::HeartbeatAgeMs.name(), Side::Above),
        };
        let past = Lasting::new(now, past, self.lasting_ms);
        for node in now.nodes() {
            self.status(node, &past, &mut rules);
            self.errors(node, &past, &mut rules);
            let (depth, capacity) = (node.queue_depth(), node.queue_capacity());
            self.queue(node, depth, capacity, &past, &mut rules);
            self.latency(node, depth >= capacity / 10.0, &past, &mut rules);
            self.heartbeat(node, &mut rules);
        }
        // What no node shows is none of the whole pipeline's either.
        rules.failed.saw(None, 0.0, 0.0);
        rules.degraded.saw(None, 0.0, self.lasting_ms);
        rules.rising.saw(None, 0.0, self.lasting_ms);
        if rules.none_fails {
            rules.errors.saw(None, 0.0, self.error_fraction);
        }
        if rules.fullest.value >= 0.0
            && let Some(node) = now.node(rules.fullest.node)
        {
            let limit = node.queue_capacity() * self.queue_fill;
            rules.queue.saw(Some(node.index()), node.queue_depth(), limit);
        }
        if rules.quietest.value >= 0.0 {
            rules.heartbeat.saw(Some(rules.quietest.node), rules.quietest.value, self.heartbeat_ms);
        }
        rules.assessment()
    }
}

/// What is found, and how near the session comes to each rule.
struct Rules {
    findings: Vec<Finding>,
    /// Of some node it is known that no item of it fails.
    none_fails: bool,
    /// Of the nodes that are within their limits, as most are: a rule that is asked of each costs more than all the rest.
    fullest: Most,
    quietest: Most,
    failed: Rule,
    degraded: Rule,
    errors: Rule,
    queue: Rule,
    latency: Rule,
    rising: Rule,
    heartbeat: Rule,
}

impl Rules {
    fn assessment(self) -> Assessment {
        let Self { failed, degraded, errors, queue, latency, rising, heartbeat, .. } = &self;
        let rules = [failed, degraded, errors, queue, latency, rising, heartbeat];
        let mut checks = Vec::with_capacity(rules.len());
        checks.extend(rules.into_iter().filter_map(Rule::check));
        Assessment { findings: self.findings, checks }
    }
}

/// The node of which something is the most, and how much; less than nothing: it was read of none.
struct Most {
    node: u32,
    value: f64,
}

impl Most {
    const NONE: Self = Self { node: 0, value: -1.0 };

    #[inline]
    fn of(&mut self, node: SeenNode, value: f64) {
        if value > self.value {
            *self = Self { node: node.index(), value };
        }
    }
}

impl Thresholds {
    fn status(&self, node: SeenNode, past: &Lasting, rules: &mut Rules) {
        let at = Some(node.index());
        let (severity, code, how) = match node.status() {
            Status::Failed => {
                rules.failed.saw(at, 1.0, 0.0);
                (Severity::Critical, "node-failed", "has failed")
            }
            Status::Degraded => (Severity::Warning, "node-degraded", "works badly"),
            Status::Healthy | Status::Unknown => return,
        };
        let id = node.id();
        if node.status() == Status::Degraded {
            let lasted = past.lasted(|count| {
                past.window.status_series(&id, count).into_iter().map(|was| was == Status::Degraded).collect()
            });
            rules.degraded.saw(at, lasted.ms, self.lasting_ms);
            if !lasted.long_enough {
                return;
            }
        }
        let message = match node.last_error() {
            Some(error) => format!("{id} {how}; its last error: {}", quoted(&error)),
            None => format!("{id} {how}"),
        };
        rules
            .findings
            .push(Finding::new(severity, code, message).at(&id).because(Evidence::about(&id).note(how)));
    }

    fn errors(&self, node: SeenNode, past: &Lasting, rules: &mut Rules) {
        // A node without errors costs one column.
        let errors = node.errors_per_second();
        rules.none_fails |= errors == 0.0;
        if !(errors > 0.0) {
            return;
        }
        let fraction = |errors: f64, items: f64| errors / (items + errors);
        let too_many = |fraction: f64| fraction > self.error_fraction;
        let (at, part) = (Some(node.index()), node.error_fraction());
        rules.errors.saw(at, part, self.error_fraction);
        if !too_many(part) {
            return;
        }
        if !(node.samples() >= self.min_samples.into()) {
            rules.errors.lacks(at, || self.too_few(node));
            return;
        }
        let id = node.id();
        let were = |count: u32| -> Vec<bool> {
            let errors = past.window.series(&id, Metric::ErrorsPerSecond, count);
            let items = past.window.series(&id, Metric::ItemsPerSecond, count);
            errors.iter().zip(&items).map(|(errors, items)| too_many(fraction(*errors, *items))).collect()
        };
        let on_end = self.on_end(were(self.ticks - 1).into_iter());
        if on_end < self.ticks {
            rules.errors.lacks(at, || self.not_yet(on_end));
            return;
        }
        // One bad moment makes a part of a window fail, and not half of it.
        let severity =
            if part >= self.error_fraction_critical { Severity::Critical } else { Severity::Warning };
        if severity == Severity::Warning {
            let lasted = past.lasted(were);
            if !lasted.long_enough {
                rules.errors.lacks(at, || self.not_for_long(&lasted));
                return;
            }
        }
        let message = format!("{:.0} % of the items fail at {id}", part * 100.0);
        rules.findings.push(
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

    fn queue(&self, node: SeenNode, depth: f64, capacity: f64, past: &Lasting, rules: &mut Rules) {
        let full = |fill: f64| fill > self.queue_fill;
        let at = Some(node.index());
        let fill = depth / capacity;
        if !full(fill) {
            rules.fullest.of(node, fill);
            return;
        }
        rules.queue.saw(at, depth, capacity * self.queue_fill);
        let id = node.id();
        let depths = past.window.series(&id, Metric::QueueDepth, self.ticks - 1);
        let capacities = past.window.series(&id, Metric::QueueCapacity, self.ticks - 1);
        let on_end =
            self.on_end(depths.iter().zip(&capacities).map(|(depth, capacity)| full(depth / capacity)));
        if on_end < self.ticks {
            rules.queue.lacks(at, || self.not_yet(on_end));
            return;
        }
        let (code, message) = if node.status() == Status::Unknown {
            ("node-stuck", format!("{id} finishes nothing while {depth} of {capacity} items wait before it"))
        } else {
            ("queue-pressure", format!("{depth} of {capacity} items wait before {id}"))
        };
        rules.findings.push(
            Finding::new(Severity::Warning, code, message).at(&id).because(
                Evidence::of_node(&id, Metric::QueueDepth, depth).against(capacity * self.queue_fill),
            ),
        );
    }

    /// That a node got slower is no reason for anything: it needs a limit passed, or a queue that grows since.
    fn latency(&self, node: SeenNode, queues: bool, past: &Lasting, rules: &mut Rules) {
        let at = Some(node.index());
        let over = |latency: f64| self.latency_p99_ms.is_some_and(|limit| latency > limit);
        let trend = node.latency_trend();
        if let Some(limit) = self.latency_p99_ms {
            rules.latency.saw(at, node.latency_p99_ms(), limit);
        }
        let high = self.latency_p99_ms.is_some() && over(node.latency_p99_ms());
        // Most nodes are as fast as they were, with next to nothing waiting before them.
        if !(high || trend == Trend::Rising || (queues && trend != Trend::Falling)) {
            return;
        }
        if !(node.samples() >= self.min_samples.into()) {
            rules.latency.lacks(at, || self.too_few(node));
            return;
        }
        let id = node.id();
        let latency = node.latency_p99_ms();
        let mut evidence = Evidence::of_node(&id, Metric::LatencyP99Ms, latency);
        evidence.limit = self.latency_p99_ms;
        if high {
            let before = past.window.series(&id, Metric::LatencyP99Ms, self.ticks - 1);
            let on_end = self.on_end(before.into_iter().map(over));
            if on_end >= self.ticks {
                let message = format!("the slowest items spend {latency:.0} ms in {id}");
                let finding = Finding::new(Severity::Warning, "latency-high", message);
                rules.findings.push(finding.at(&id).because(evidence));
                return;
            }
            rules.latency.lacks(at, || self.not_yet(on_end));
        }
        let lasted = past.since_it_rose(&id, trend);
        rules.rising.saw(at, lasted.ms, self.lasting_ms);
        if !lasted.long_enough {
            return;
        }
        if !(high || self.queue_grows(node, &id, past)) {
            rules.rising.lacks(at, || "with a queue that grows all the while".to_owned());
            return;
        }
        let message = format!("{id} got slower and stays so: {latency:.0} ms");
        rules.findings.push(
            Finding::new(Severity::Warning, "latency-rising", message)
                .at(&id)
                .because(evidence)
                .because(Evidence::of_node(&id, Metric::QueueDepth, node.queue_depth())),
        );
    }

    fn heartbeat(&self, node: SeenNode, rules: &mut Rules) {
        let age = node.heartbeat_age_ms();
        if !(age > self.heartbeat_ms) {
            rules.quietest.of(node, age);
            return;
        }
        // A failed node is silent, too; that is told already.
        if node.status() == Status::Failed {
            return;
        }
        rules.heartbeat.saw(Some(node.index()), age, self.heartbeat_ms);
        let id = node.id();
        rules.findings.push(
            Finding::new(
                Severity::Warning,
                "heartbeat-stale",
                format!("the process of {id} was last heard of {age:.0} ms ago"),
            )
            .at(&id)
            .because(Evidence::of_node(&id, Metric::HeartbeatAgeMs, age).against(self.heartbeat_ms)),
        );
    }

    /// By a tenth of its capacity in each half of the time that counts: no burst and no noise grows for so long.
    fn queue_grows(&self, node: SeenNode, id: &str, past: &Lasting) -> bool {
        let span = past.counting().max(self.ticks - 1);
        let mut depths = past.window.series(id, Metric::QueueDepth, span);
        depths.push(node.queue_depth());
        let much = node.queue_capacity() / 10.0;
        let [Some(first), Some(middle), Some(last)] =
            [depths.first(), depths.get(depths.len() / 2), depths.last()]
        else {
            return false;
        };
        depths.len() > span as usize && middle - first >= much && last - middle >= much
    }

    /// On how many ticks on end it is so, this one included, of those that count; of those before it, oldest first.
    fn on_end(&self, before: impl DoubleEndedIterator<Item = bool>) -> u32 {
        before.rev().take_while(|so| *so).fold(1, |count, _| count + 1)
    }

    fn not_yet(&self, on_end: u32) -> String {
        format!("for {} ticks on end, not {on_end}", self.ticks)
    }

    fn not_for_long(&self, lasted: &Lasted) -> String {
        format!("for longer than {} ms, not {}", self.lasting_ms, lasted.ms)
    }

    fn too_few(&self, node: SeenNode) -> String {
        format!("by {} samples, not {:.0}", self.min_samples, node.samples())
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
    "../cases/degraded-for-a-moment.json",
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
    "../cases/trend-for-a-moment.json",
    "../cases/trend-with-a-burst.json",
    "../cases/trend-with-growing-queue.json",
);
