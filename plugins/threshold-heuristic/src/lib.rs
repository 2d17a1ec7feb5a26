//! Says which nodes need attention.
#![cfg_attr(target_family = "wasm", no_std)]

use flyball_plugin::prelude::*;

flyball_plugin::settings! {
    /// What is too much.
    pub struct Thresholds {
        /// Part of a queue that may be taken.
        queue_fill: f64 = 0.8, in 0.0..=1.0;
    }
}

impl Heuristic for Thresholds {
    fn assess(&self, now: &Observation, _past: &Window) -> Vec<Finding> {
        let mut findings = Vec::new();
        for node in now.nodes() {
            match node.status() {
                Status::Failed => findings.push(
                    Finding::new(Severity::Critical, "node-failed", "the node has failed").at(node.id()),
                ),
                Status::Degraded => findings.push(
                    Finding::new(Severity::Warning, "node-degraded", "the node works badly").at(node.id()),
                ),
                Status::Healthy | Status::Unknown => {}
            }
            if node.queue_fill() > self.queue_fill {
                findings.push(
                    Finding::new(Severity::Warning, "queue-pressure", "the queue is nearly full")
                        .at(node.id())
                        .because(Evidence::of_node(node.id(), Metric::QueueDepth, node.queue_depth())),
                );
            }
        }
        findings
    }
}

flyball_plugin::heuristic!(Thresholds);
