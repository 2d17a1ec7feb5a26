//! What becomes of items: copies, gathered wholes, retries, dead letters, and the end of a pipeline.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::time::Duration;

use flyball_model::Action;
use flyball_pipeline::PipelineOptions;
use flyball_ports::DataPlane as _;
use serde_json::json;
use support::{Run, line, manifest, options, pass, sink, source};

fn test_node(id: &str, node_type: &str, retries: u32) -> serde_json::Value {
    json!({"id": id, "type": node_type, "executor": "wasm", "retries": retries})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_not_a_second_item() {
    let nodes = json!([
        source(500),
        pass("a", "native"),
        pass("left", "native"),
        pass("right", "wasm"),
        pass("b", "native"),
        sink("out")
    ]);
    let edges = [("source", "a"), ("a", "left"), ("a", "right"), ("left", "b"), ("right", "b"), ("b", "out")];
    let run = Run::start(manifest(true, nodes, &edges)).await;
    run.finish().await;
    let account = run.pipeline.account();
    assert_eq!((account.accepted, account.delivered), (500, 500));
    let mut numbers = run.numbers("out");
    assert_eq!(numbers.len(), 1_000);
    numbers.sort_unstable();
    assert!(numbers.chunks(2).zip(0..).all(|(pair, n)| pair == [n, n]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_fails_in_one_branch_is_dead_lettered_though_another_delivers_it() {
    let nodes = json!([
        source(100),
        pass("a", "native"),
        test_node("picky", "no-threes", 0),
        sink("out"),
        sink("aside")
    ]);
    let edges = [("source", "a"), ("a", "picky"), ("picky", "out"), ("a", "aside")];
    let run = Run::start(manifest(true, nodes, &edges)).await;
    run.finish().await;
    let account = run.pipeline.account();
    assert_eq!((account.delivered, account.dead_lettered), (90, 10));
    assert_eq!(run.numbers("aside").len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_hold_the_item_the_node_the_error_and_the_time() {
    let run = Run::start(line(true, 20, vec![test_node("picky", "no-threes", 2)])).await;
    run.finish().await;
    let letters = run.lines("dead.jsonl");
    let items: Vec<_> = letters.iter().map(|letter| letter["item"]["n"].as_u64().unwrap()).collect();
    assert_eq!(items, [3, 13]);
    assert_eq!((&letters[0]["node"], &letters[0]["error"]), (&json!("picky"), &json!("3 ends in 3")));
    assert!(letters[0]["at"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(run.observe().await.errors.len(), 6, "each of three tries is an error");
}

#[tokio::test(flavor = "multi_thread")]
async fn filtered_items_are_counted_as_filtered() {
    let filter = json!({"id": "few", "type": "filter", "params": {"field": "n", "max": 9}});
    let run = Run::start(line(true, 200, vec![filter])).await;
    run.finish().await;
    let account = run.pipeline.account();
    assert_eq!((account.delivered, account.filtered), (10, 190));
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_are_split_and_gathered_count_as_themselves() {
    let batch = json!({"id": "batch", "type": "batch", "params": {"size": 7, "linger_ms": 20}});
    let run = Run::start(line(true, 100, vec![test_node("twice", "twice", 0), batch])).await;
    run.finish().await;
    assert_eq!(run.pipeline.account().delivered, 100);
    let gathered: Vec<u64> = run
        .lines("out.jsonl")
        .iter()
        .flat_map(|whole| whole["items"].as_array().unwrap().clone())
        .map(|item| item["n"].as_u64().unwrap())
        .collect();
    assert!(gathered.chunks(2).zip(0..).all(|(pair, n)| pair == [n, n]), "{gathered:?}");
    assert_eq!(gathered.len(), 200);
    let sizes: Vec<u64> =
        run.lines("out.jsonl").iter().map(|whole| whole["count"].as_u64().unwrap()).collect();
    assert!(sizes.iter().all(|size| *size <= 7) && sizes.contains(&7), "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn order_is_kept_over_retries_by_several_workers() {
    let mut flaky = test_node("flaky", "flaky", 1);
    flaky["replicas"] = json!(4);
    let run = Run::start(line(true, 1_000, vec![flaky])).await;
    run.finish().await;
    run.assert_whole("out", 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_order_everything_still_arrives_once() {
    let mut wait = json!({"id": "wait", "type": "wait", "replicas": 4, "params": {"ms_per_unit": 0.5}});
    wait["queue_capacity"] = json!(8);
    let mut child = pass("child", "multiprocess");
    child["replicas"] = json!(2);
    let run = Run::start(line(false, 1_000, vec![wait, child])).await;
    run.accepted(300).await;
    let killed = run.pipeline.worker_pids("child")[1];
    support::kill(killed);
    run.until(|| !run.pipeline.worker_pids("child").contains(&killed), "its end").await;
    run.act(Action::RestartProcess { node: "child".to_owned() }).await;
    run.finish().await;
    run.assert_complete("out", 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_kills_its_worker_each_time_is_dead_lettered_after_its_retries() {
    for kind in ["dies-at-fifty", "panics-at-fifty"] {
        let run = Run::start(line(true, 2_000, vec![test_node("node", kind, 1)])).await;
        // Nobody acts: each worker that dies of it is replaced.
        run.finish().await;
        let letters: Vec<_> =
            run.lines("dead.jsonl").iter().map(|letter| letter["item"]["n"].as_u64()).collect();
        assert_eq!(letters, [Some(50)]);
        assert!(run.numbers("out").into_iter().eq((0..2_000).filter(|n| *n != 50)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_is_shut_down_stops_its_source_and_delivers_what_was_taken() {
    let run = Run::start(line(true, 1_000_000, vec![pass("a", "native"), pass("b", "multiprocess")])).await;
    run.accepted(500).await;
    run.pipeline.shutdown().await;
    let account = run.pipeline.account();
    assert!(account.balances() && account.in_flight == 0, "{account:?}");
    assert!(account.accepted < 100_000);
    run.assert_whole("out", account.accepted);
    assert!(run.pipeline.worker_pids("b").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_arrive_stays_in_flight_at_the_end() {
    let options = PipelineOptions { drain: Duration::from_millis(100), ..options() };
    let run = Run::start_with(line(true, 1_000_000, vec![test_node("stuck", "hangs", 1)]), options).await;
    run.accepted(200).await;
    run.pipeline.shutdown().await;
    let account = run.pipeline.account();
    assert!(account.balances(), "{account:?}");
    assert_eq!((account.in_flight, run.pipeline.lost()), (account.accepted, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_tells_how_far_a_bounded_source_is() {
    let run = Run::start(line(true, 50, vec![])).await;
    run.finish().await;
    let progress = run.pipeline.progress();
    assert_eq!((progress.sources[0].total, progress.sources[0].items), (Some(50), 50));
    assert!(progress.sources[0].ended);
    assert_eq!(run.pipeline.graph().await.unwrap().nodes.len(), 2);
}
