//! Each of the nine changing actions on a running graph: every item arrives once, and in order.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use flyball_model::{Action, Executor, NodeStatus};
use flyball_ports::{ApplyError, DataPlane as _};
use serde_json::json;
use support::{Run, kill, line, manifest, pass, sink, source};

const ITEMS: u64 = 3_000;

fn id(name: &str) -> String {
    name.to_owned()
}

/// `source → before → node → after → out` with order, the middle one with three workers.
async fn run() -> Run {
    let mut node = pass("node", "native");
    node["replicas"] = json!(3);
    let run =
        Run::start(line(true, ITEMS, vec![pass("before", "native"), node, pass("after", "wasm")])).await;
    run.accepted(300).await;
    run
}

async fn ends_whole(run: Run) {
    run.finish().await;
    run.assert_whole("out", ITEMS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_replaced_under_load() {
    let run = run().await;
    run.act(Action::ReplaceNode { node: id("node"), node_type: id("flaky"), config: Some(json!({})) }).await;
    assert_eq!(run.pipeline.graph().await.unwrap().node("node").unwrap().node_type, "flaky");
    run.accepted(1_500).await;
    run.act(Action::ReplaceNode {
        node: id("node"),
        node_type: id("rate-limit"),
        config: Some(json!({"per_second": 20000})),
    })
    .await;
    ends_whole(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_inserted_under_load_and_removed_again() {
    let run = run().await;
    let insert = Action::InsertNode {
        id: id("new"),
        node_type: id("map"),
        config: json!({"template": "{{.}}"}),
        executor: Some(Executor::Multiprocess),
        // Named twice, it is still one edge.
        after: vec![id("before"), id("before")],
        before: vec![],
    };
    run.act(insert).await;
    assert_eq!(run.pipeline.graph().await.unwrap().after("new").collect::<Vec<_>>(), ["node"]);
    assert_eq!(run.pipeline.graph().await.unwrap().after("before").collect::<Vec<_>>(), ["new"]);
    run.accepted(1_500).await;
    run.act(Action::RemoveNode { node: id("new") }).await;
    assert_eq!(run.pipeline.graph().await.unwrap().after("before").collect::<Vec<_>>(), ["node"]);
    ends_whole(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_dead_or_stuck_can_be_removed() {
    for broken in ["dead", "hangs"] {
        let node = match broken {
            "dead" => {
                json!({"id": "broken", "type": "command", "executor": "multiprocess", "queue_capacity": 32,
                "params": {"command": ["sh", "-c", "exit 3"]}})
            }
            _ => json!({"id": "broken", "type": "hangs", "executor": "wasm", "queue_capacity": 32}),
        };
        let run = Run::start(line(true, ITEMS, vec![pass("before", "native"), node])).await;
        run.accepted(90).await;
        if broken == "dead" {
            run.has_status("broken", NodeStatus::Failed).await;
        }
        // The source catches up on what it could not give meanwhile, so the load may be over at once.
        run.try_act(&Action::RemoveNode { node: id("broken") }).await.unwrap();
        ends_whole(run).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_patched_under_load() {
    let run = run().await;
    run.act(Action::UpdateNodeConfig { node: id("node"), patch: json!({"on_missing": "null"}) }).await;
    let patched = json!({"template": "{{.}}", "on_missing": "null"});
    assert_eq!(run.pipeline.graph().await.unwrap().node("node").unwrap().config, patched);
    run.act(Action::UpdateNodeConfig { node: id("out"), patch: json!({}) }).await;
    ends_whole(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_node_is_bypassed_and_put_back_under_load() {
    let failing = json!({"id": "node", "type": "hangs", "executor": "wasm"});
    let run = Run::start(line(true, ITEMS, vec![failing])).await;
    run.accepted(200).await;
    assert_eq!(run.pipeline.account().delivered, 0);
    run.act(Action::BypassNode { node: id("node"), active: true }).await;
    run.until(|| run.pipeline.account().delivered > 0, "items to pass").await;
    assert!(run.pipeline.graph().await.unwrap().node("node").unwrap().bypassed);
    run.act(Action::ReplaceNode { node: id("node"), node_type: id("flaky"), config: None }).await;
    run.act(Action::BypassNode { node: id("node"), active: false }).await;
    ends_whole(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_executor_is_switched_under_load() {
    let run = run().await;
    for (number, to) in (1..).zip([Executor::Multiprocess, Executor::Wasm, Executor::Native]) {
        run.act(Action::SwitchExecutor { node: id("node"), to }).await;
        assert_eq!(run.pipeline.worker_pids("node").len(), if to == Executor::Multiprocess { 3 } else { 0 });
        run.accepted(300 + number * 600).await;
    }
    ends_whole(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_restarted_under_load() {
    let mut node = pass("node", "multiprocess");
    node["replicas"] = json!(2);
    let run = Run::start(line(true, ITEMS, vec![node])).await;
    run.accepted(300).await;
    let before = run.pipeline.worker_pids("node");
    run.act(Action::RestartProcess { node: id("node") }).await;
    let after = run.pipeline.worker_pids("node");
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|pid| !before.contains(pid)));
    ends_whole(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_scaled_up_and_down_under_load() {
    let run = run().await;
    run.act(Action::ScaleNode { node: id("node"), replicas: 8 }).await;
    run.accepted(1_500).await;
    run.act(Action::ScaleNode { node: id("node"), replicas: 1 }).await;
    ends_whole(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn buffering_is_lowered_below_what_waits() {
    let params = json!({"ms_per_unit": 20.0});
    let node = json!({"id": "node", "type": "wait", "queue_capacity": 2_000, "params": params});
    let run = Run::start(line(true, ITEMS, vec![node])).await;
    run.accepted(1_000).await;
    run.act(Action::AdjustBuffering { node: id("node"), capacity: 10 }).await;
    let seen = run.observe().await;
    let at = seen.nodes.find("node").unwrap();
    assert!(seen.nodes.number(at, "queue-depth") > 10.0);
    assert!(seen.nodes.number(at, "queue-capacity") == 10.0);
    run.act(Action::BypassNode { node: id("node"), active: true }).await;
    ends_whole(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_killed_under_load_is_replaced_and_nothing_is_lost() {
    let run =
        Run::start(line(true, ITEMS, vec![pass("before", "native"), pass("child", "multiprocess")])).await;
    for round in 1..=2_u32 {
        run.accepted(u64::from(round) * 500).await;
        let killed = run.pipeline.worker_pids("child")[0];
        kill(killed);
        run.until(|| run.pipeline.worker_pids("child").iter().any(|pid| *pid != killed), "another child")
            .await;
        let seen = run.observe().await;
        let at = seen.nodes.find("child").unwrap();
        assert_ne!(seen.nodes.statuses[at], NodeStatus::Failed);
        assert_eq!(seen.nodes.number(at, "restarts"), f64::from(round));
        let error = seen.nodes.last_errors[at].as_deref().unwrap();
        assert!(error.contains("signal 9"), "{error}");
    }
    ends_whole(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gathering_node_is_changed_under_load() {
    let batch =
        json!({"id": "batch", "type": "batch", "replicas": 2, "params": {"size": 10, "linger_ms": 5}});
    let run = Run::start(line(true, ITEMS, vec![pass("before", "native"), batch])).await;
    run.accepted(500).await;
    run.act(Action::AdjustBuffering { node: id("batch"), capacity: 4 }).await;
    run.act(Action::UpdateNodeConfig { node: id("batch"), patch: json!({"size": 3}) }).await;
    run.accepted(1_000).await;
    run.act(Action::RemoveNode { node: id("batch") }).await;
    run.finish().await;
    assert_eq!(run.pipeline.account().delivered, ITEMS);
    let lines = run.lines("out.jsonl");
    let items = lines.iter().flat_map(|line| match line["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![line.clone()],
    });
    assert!(items.map(|item| item["n"].as_u64().unwrap()).eq(0..ITEMS));
    assert!(lines.last().unwrap()["n"].is_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_why_and_changes_nothing() {
    let nodes = json!([
        source(20_000),
        pass("a", "native"),
        pass("b", "native"),
        sink("out"),
        json!({"id": "more", "type": "discard"}),
    ]);
    let edges = [("source", "a"), ("a", "b"), ("a", "out"), ("b", "out"), ("a", "more")];
    let run = Run::start(manifest(true, nodes, &edges)).await;
    run.accepted(100).await;
    let before = run.pipeline.graph().await.unwrap();
    let insert = |id: &str, node_type: &str, after: &str, before: &str| Action::InsertNode {
        id: id.to_owned(),
        node_type: node_type.to_owned(),
        config: json!({"template": "{{.}}"}),
        executor: None,
        after: vec![after.to_owned()],
        before: vec![before.to_owned()],
    };
    let replace = |node: &str, node_type: &str| Action::ReplaceNode {
        node: id(node),
        node_type: id(node_type),
        config: None,
    };
    for (action, why) in [
        (Action::BypassNode { node: id("bb"), active: true }, "there is no node \"bb\"; did you mean \"b\"?"),
        (Action::BypassNode { node: id("out"), active: true }, "is a sink"),
        (Action::BypassNode { node: id("source"), active: true }, "is a source"),
        (Action::BypassNode { node: id("b"), active: false }, "at work already"),
        (Action::RemoveNode { node: id("source") }, "is a source"),
        (Action::RemoveNode { node: id("out") }, "is a sink"),
        (Action::RemoveNode { node: id("b") }, "a leads to out already"),
        (replace("a", "mapp"), "did you mean \"map\"?"),
        (replace("a", "file"), "\"file\" is a sink"),
        (replace("a", "filter"), "the configuration of filter"),
        (replace("source", "lines"), "is a source"),
        (insert("a", "map", "a", "b"), "there is a node \"a\" already"),
        (insert("c", "map", "b", "a"), "there is no such edge"),
        (insert("c", "discard", "a", "b"), "only a processor"),
        (
            Action::UpdateNodeConfig { node: id("a"), patch: json!({"on_missing": 7}) },
            "the configuration of map",
        ),
        (Action::UpdateNodeConfig { node: id("source"), patch: json!({"limit": 1}) }, "is a source"),
        (Action::SwitchExecutor { node: id("a"), to: Executor::Native }, "already"),
        (Action::SwitchExecutor { node: id("out"), to: Executor::Wasm }, "no wasm executor"),
        (Action::RestartProcess { node: id("a") }, "no process to restart"),
        (Action::ScaleNode { node: id("a"), replicas: 0 }, "1 to 256"),
        (Action::ScaleNode { node: id("a"), replicas: 257 }, "1 to 256"),
        (Action::ScaleNode { node: id("source"), replicas: 2 }, "is a source"),
        (Action::AdjustBuffering { node: id("a"), capacity: 0 }, "1 to 1000000"),
        (Action::AdjustBuffering { node: id("source"), capacity: 9 }, "is a source"),
    ] {
        match run.try_act(&action).await {
            Err(ApplyError::Refused(said)) => assert!(said.contains(why), "{action}: {said}"),
            other => panic!("{action}: {other:?}"),
        }
        assert_eq!(run.pipeline.graph().await.unwrap(), before, "{action}");
    }
    run.pipeline.shutdown().await;
    let refused = run.try_act(&Action::ScaleNode { node: id("a"), replicas: 2 }).await;
    assert!(matches!(refused, Err(ApplyError::Refused(why)) if why.contains("has ended")));
}
