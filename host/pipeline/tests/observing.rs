//! What is seen of a running graph: numbers, statuses, bottleneck, critical path; and what the data plane offers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::time::{Duration, Instant};

use flyball_model::{Action, ActionKind, Executor, NodeStatus, Observation};
use flyball_ports::DataPlane as _;
use serde_json::{Value, json};
use support::{LIMIT, Run, kill, line, manifest, pass, sink, source};

fn wait(id: &str, ms: f64) -> Value {
    json!({"id": id, "type": "wait", "queue_capacity": 20, "params": {"ms_per_unit": ms}})
}

fn names(seen: &Observation, nodes: &[u32]) -> Vec<String> {
    nodes.iter().map(|node| seen.nodes.ids[*node as usize].to_string()).collect()
}

/// Observes until it is so.
async fn seen(run: &Run, what: &str, so: impl Fn(&Observation) -> bool) -> Observation {
    let look = async {
        loop {
            let seen = run.observe().await;
            if so(&seen) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, look).await.unwrap_or_else(|_| panic!("never seen: {what}"))
}

fn number(seen: &Observation, node: &str, metric: &str) -> f64 {
    seen.nodes.number(seen.nodes.find(node).unwrap(), metric)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_that_holds_the_others_up_is_the_bottleneck() {
    let run =
        Run::start(line(false, 1_000_000, vec![wait("quick", 1.0), wait("slow", 8.0), wait("idle", 1.0)]))
            .await;
    let seen = seen(&run, "a bottleneck", |seen| {
        seen.graph.bottleneck.is_some() && number(seen, "slow", "samples") > 30.0
    })
    .await;
    assert_eq!(names(&seen, &seen.graph.bottleneck.into_iter().collect::<Vec<_>>()), ["slow"]);
    assert_eq!(number(&seen, "slow", "queue-capacity"), 20.0);
    assert!(number(&seen, "slow", "queue-depth") >= 10.0);
    let p50 = number(&seen, "slow", "latency-p50-ms");
    assert!((7.5..40.0).contains(&p50), "{p50}");
    assert!(number(&seen, "slow", "items-per-second") < 125.0);
    assert!(number(&seen, "source", "latency-p50-ms").is_nan());
    assert!(seen.graph.end_to_end_latency_ms > 100.0);
    assert!(seen.graph.throughput_per_second > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_queue_there_is_no_bottleneck() {
    let run = Run::start(line(false, 2_000, vec![pass("a", "native"), pass("b", "native")])).await;
    run.finish().await;
    assert_eq!(run.observe().await.graph.bottleneck, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_critical_path_is_the_slowest_way_without_optional_nodes() {
    let mut optional = wait("optional", 9.0);
    optional["optional"] = json!(true);
    let nodes = json!([
        source(1_000_000),
        pass("a", "native"),
        optional,
        wait("slow", 3.0),
        pass("fast", "native"),
        sink("out"),
        sink("aside")
    ]);
    let edges = [
        ("source", "a"),
        ("a", "optional"),
        ("optional", "fast"),
        ("a", "slow"),
        ("slow", "out"),
        ("fast", "aside"),
    ];
    let run = Run::start(manifest(false, nodes, &edges)).await;
    let seen = seen(&run, "samples", |seen| {
        ["optional", "slow", "fast"].iter().all(|node| number(seen, node, "samples") > 20.0)
    })
    .await;
    assert_eq!(names(&seen, &seen.graph.critical_path), ["source", "a", "slow", "out"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_rests_on_samples() {
    let node =
        |id: &str, node_type: &str| json!({"id": id, "type": node_type, "executor": "wasm", "retries": 0});
    let nodes = json!([
        source(20_000),
        node("all-fail", "fails"),
        node("some-fail", "no-odds"),
        pass("fine", "native"),
        sink("out"),
        json!({"id": "none-comes", "type": "discard"}),
    ]);
    let edges = [
        ("source", "all-fail"),
        ("source", "some-fail"),
        ("source", "fine"),
        ("all-fail", "none-comes"),
        ("some-fail", "out"),
        ("fine", "out"),
    ];
    let run = Run::start(manifest(false, nodes, &edges)).await;
    let seen = seen(&run, "samples", |seen| {
        ["all-fail", "some-fail", "fine"].iter().all(|node| number(seen, node, "samples") > 100.0)
    })
    .await;
    let status = |node: &str| seen.nodes.statuses[seen.nodes.find(node).unwrap()];
    assert_eq!(status("all-fail"), NodeStatus::Failed);
    assert_eq!(status("some-fail"), NodeStatus::Degraded);
    assert_eq!(status("fine"), NodeStatus::Healthy);
    assert_eq!(status("none-comes"), NodeStatus::Unknown);
    assert_eq!(seen.nodes.last_errors[1].as_deref(), Some("it always fails"));
    assert!(seen.errors.len() <= 50 && seen.errors.windows(2).all(|pair| pair[0].at >= pair[1].at));
    assert!(seen.errors.iter().any(|error| error.node == Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_measured_and_its_idle_death_is_seen() {
    let run = Run::start(line(true, 30, vec![pass("child", "multiprocess")])).await;
    run.finish_without_shutdown().await;
    let measured = seen(&run, "memory", |seen| number(seen, "child", "memory-mb") > 0.1).await;
    assert_eq!(number(&measured, "child", "restarts"), 0.0);
    assert_eq!(number(&measured, "child", "heartbeat-age-ms"), 0.0, "idle and alive owes nobody a word");
    assert!(number(&measured, "source", "memory-mb").is_nan());
    kill(run.pipeline.worker_pids("child")[0]);
    let replaced = seen(&run, "its death", |seen| number(seen, "child", "restarts") == 1.0).await;
    assert!(replaced.nodes.last_errors[1].as_deref().unwrap().contains("while it was idle"));
    assert_ne!(replaced.nodes.statuses[1], NodeStatus::Failed);
    run.try_act(&Action::RestartProcess { node: "child".to_owned() }).await.unwrap();
    let restarted = run.observe().await;
    assert_eq!(number(&restarted, "child", "restarts"), 2.0);
    assert_eq!(restarted.nodes.statuses[1], NodeStatus::Unknown, "no sample yet is no success");
    assert_eq!(restarted.nodes.last_errors[1], None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_ends_all_the_time_is_silent_and_its_node_has_failed() {
    let child = json!({"id": "child", "type": "command", "executor": "multiprocess",
        "params": {"command": ["sh", "-c", "exit 3"]}});
    let run = Run::start(line(true, 30, vec![child])).await;
    let failed = seen(&run, "the pattern", |seen| seen.nodes.statuses[1] == NodeStatus::Failed).await;
    assert!(failed.nodes.last_errors[1].as_deref().unwrap().contains("code 3"));
    assert!(number(&failed, "child", "restarts") > 3.0);
    let waiting = seen(&run, "silence", |seen| number(seen, "child", "heartbeat-age-ms") > 100.0).await;
    assert!(number(&waiting, "child", "memory-mb").is_nan());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_type_under_several_executors_is_offered_once() {
    let run = Run::start(line(true, 10, vec![])).await;
    let types = run.pipeline.node_types();
    let maps: Vec<_> = types.iter().filter(|node_type| node_type.name == "map").collect();
    assert_eq!(maps.len(), 1);
    let offers: Vec<_> = maps[0].offers.iter().map(|offer| offer.executor).collect();
    assert_eq!(offers, [Executor::Native, Executor::Multiprocess, Executor::Wasm]);
    let support = run.pipeline.support();
    assert_eq!(support.len(), ActionKind::ALL.len());
    assert!(support.iter().all(|support| support.kind == ActionKind::NoOp || support.settle_ms >= 1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn observing_fifty_nodes_is_cheap() {
    let nodes = (0..48).map(|number| pass(&format!("n{number}"), "native")).collect();
    let run = Run::start(line(true, 500, nodes)).await;
    run.finish_without_shutdown().await;
    let mut best = Duration::MAX;
    for _ in 0..200 {
        let began = Instant::now();
        let seen = run.observe().await;
        best = best.min(began.elapsed());
        assert_eq!(seen.nodes.len(), 50);
    }
    // Unoptimised code on a busy machine; optimised it is a tenth of this.
    assert!(best < Duration::from_millis(2), "{best:?}");
}
