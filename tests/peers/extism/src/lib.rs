//! threshold-heuristic's rules as an Extism plugin: JSON in, JSON out, as the guides of Extism have it.

use extism_pdk::{FnResult, Json, plugin_fn};
use serde::{Deserialize, Serialize};

const QUEUE_FILL: f64 = 0.8;
const ERROR_FRACTION: f64 = 0.05;
const ERROR_FRACTION_CRITICAL: f64 = 0.5;
const MIN_SAMPLES: f64 = 20.0;
const HEARTBEAT_MS: f64 = 5_000.0;
/// Ticks before this one.
const HELD: usize = 2;

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    nodes: Vec<Node<'a>>,
}

#[derive(Deserialize)]
struct Node<'a> {
    id: &'a str,
    status: &'a str,
    trend: &'a str,
    errors: f64,
    items: f64,
    samples: f64,
    depth: f64,
    capacity: f64,
    heartbeat: Option<f64>,
    past: Vec<Past>,
}

#[derive(Deserialize)]
struct Past {
    errors: f64,
    items: f64,
    depth: f64,
    capacity: f64,
}

#[derive(Serialize)]
struct Found<'a> {
    code: &'static str,
    severity: &'static str,
    target: &'a str,
}

#[plugin_fn]
pub fn assess(input: Vec<u8>) -> FnResult<Json<serde_json::Value>> {
    let input: Input = serde_json::from_slice(&input)?;
    let mut findings = Vec::new();
    for node in &input.nodes {
        let mut found = |severity, code| findings.push(Found { code, severity, target: node.id });
        match node.status {
            "failed" => found("critical", "node-failed"),
            "degraded" => found("warning", "node-degraded"),
            _ => {}
        }
        if errors(node) {
            let critical = fraction(node.errors, node.items) >= ERROR_FRACTION_CRITICAL;
            found(if critical { "critical" } else { "warning" }, "errors-high");
        }
        if queue(node) {
            found("warning", if node.status == "unknown" { "node-stuck" } else { "queue-pressure" });
        }
        if rising(node) {
            found("warning", "latency-rising");
        }
        if node.heartbeat.is_some_and(|age| age > HEARTBEAT_MS) && node.status != "failed" {
            found("warning", "heartbeat-stale");
        }
    }
    Ok(Json(serde_json::to_value(findings)?))
}

fn fraction(errors: f64, items: f64) -> f64 {
    errors / (items + errors)
}

fn errors(node: &Node) -> bool {
    node.errors > 0.0
        && node.samples >= MIN_SAMPLES
        && fraction(node.errors, node.items) > ERROR_FRACTION
        && node.past.len() == HELD
        && node.past.iter().all(|past| fraction(past.errors, past.items) > ERROR_FRACTION)
}

fn queue(node: &Node) -> bool {
    node.depth / node.capacity > QUEUE_FILL
        && node.past.len() == HELD
        && node.past.iter().all(|past| past.depth / past.capacity > QUEUE_FILL)
}

fn rising(node: &Node) -> bool {
    let mut depths: Vec<f64> = node.past.iter().map(|past| past.depth).collect();
    depths.push(node.depth);
    node.trend == "rising"
        && node.samples >= MIN_SAMPLES
        && node.past.len() == HELD
        && depths.is_sorted_by(|earlier, later| earlier < later)
        && node.depth - node.past[0].depth >= node.capacity / 10.0
}
