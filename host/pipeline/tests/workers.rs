//! Workers that end, that answer wrongly, and that report numbers of their own: what the data plane does by itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use flyball_model::{Action, NodeStatus, Observation};
use flyball_pipeline::PipelineOptions;
use serde_json::{Value, json};
use support::{LIMIT, Run, kill, line, pass};

/// A program of the shell that answers each item with itself; `$n` is the item's number, `$id` and `$body` are its parts,
/// and `extra` says what happens before it answers.
fn command(id: &str, extra: &str) -> Value {
    json!({"id": id, "type": "command", "executor": "multiprocess",
        "params": {"command": ["sh", "-c", answering(extra)]}})
}

fn answering(extra: &str) -> String {
    format!(
        r#"i=0; while read -r line; do
            i=$((i+1)); id=${{line#*\"id\":}}; id=${{id%%,*}}; body=${{line#*\"body\":}}; body=${{body%\}}}}
            n=${{body#*\"n\":}}; n=${{n%%[,\}}]*}}
            {extra}
            echo "{{\"id\":$id,\"out\":[$body]}}"
        done"#
    )
}

/// What is looked back on is soon over.
fn quick() -> PipelineOptions {
    PipelineOptions { window: Duration::from_secs(1), ..support::options() }
}

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

fn number(seen: &Observation, name: &str) -> f64 {
    seen.nodes.number(seen.nodes.find("child").unwrap(), name)
}

fn buried(run: &Run) -> Vec<u64> {
    run.lines("dead.jsonl").iter().filter_map(|letter| letter["item"]["n"].as_u64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_leaves_after_its_share_is_replaced_and_nothing_is_lost_or_blamed() {
    for replicas in [1, 3] {
        let mut child = command("child", "");
        // Answers forty items and ends well, in the middle of a batch or between two.
        let script = format!("{}{}", "j=0; ", answering(""))
            .replace("\n        done", "\n j=$((j+1)); [ $j -ge 40 ] && exit 0\n done");
        child["params"]["command"] = json!(["sh", "-c", script]);
        child["replicas"] = json!(replicas);
        let run = Run::start(line(true, 600, vec![child])).await;
        run.finish_without_shutdown().await;
        let after = run.observe().await;
        assert_eq!(number(&after, "restarts"), 0.0);
        assert_eq!(after.nodes.last_errors[after.nodes.find("child").unwrap()], None);
        assert_eq!(run.pipeline.account().dead_lettered, 0);
        run.pipeline.shutdown().await;
        run.assert_whole("out", 600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_kills_its_child_each_time_is_dead_lettered_and_the_node_goes_on_without_anybody() {
    for death in ["exit 137", "kill -SEGV $$", "exec >&-; exec sleep 60"] {
        let run =
            Run::start(line(true, 300, vec![command("child", &format!("[ $n = 50 ] && {{ {death}; }}"))]))
                .await;
        run.finish().await;
        assert_eq!(buried(&run), [50], "{death}");
        assert!(run.numbers("out").into_iter().eq((0..300).filter(|n| *n != 50)), "{death}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_in_a_row_that_kill_their_child_are_dead_lettered_and_so_is_the_last_one() {
    let poison = "case $n in 50|51|52|199) exit 1;; esac";
    let run = Run::start(line(true, 200, vec![command("child", poison)])).await;
    run.finish().await;
    let mut found = buried(&run);
    found.sort_unstable();
    assert_eq!(found, [50, 51, 52, 199]);
    assert!(run.numbers("out").into_iter().eq((0..199).filter(|n| !(50..=52).contains(n))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_at_which_its_child_hangs_is_dead_lettered_and_the_node_goes_on() {
    let mut child = command("child", "[ $n = 50 ] && exec sleep 1000");
    child["params"]["item_timeout_ms"] = json!(2_000);
    let run = Run::start(line(true, 300, vec![child])).await;
    run.finish().await;
    assert_eq!(buried(&run), [50]);
    assert!(run.numbers("out").into_iter().eq((0..300).filter(|n| *n != 50)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_ends_at_every_item_for_a_while_costs_no_item() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let broken = format!("[ $n -gt 50 ] && [ -e {} ] && exit 137", file.path().display());
    let run = Run::start_with(line(true, 300, vec![command("child", &broken)]), quick()).await;
    let failed = seen(&run, "the pattern", |seen| {
        seen.nodes.statuses[1] == NodeStatus::Failed && number(seen, "restarts") > 6.0
    })
    .await;
    assert!(failed.nodes.last_errors[1].as_deref().unwrap().contains("code 137"), "{failed:?}");
    drop(file);
    seen(&run, "it work again", |seen| {
        matches!(seen.nodes.statuses[1], NodeStatus::Healthy | NodeStatus::Unknown)
    })
    .await;
    run.finish().await;
    run.assert_whole("out", 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_hangs_for_a_while_is_replaced_until_it_answers() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let hangs = format!("[ $n -gt 50 ] && [ -e {} ] && exec sleep 1000", file.path().display());
    let mut child = command("child", &hangs);
    child["params"]["item_timeout_ms"] = json!(1_000);
    let run = Run::start(line(true, 300, vec![child])).await;
    seen(&run, "it hang again", |seen| number(seen, "restarts") >= 3.0).await;
    drop(file);
    run.finish().await;
    run.assert_whole("out", 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_answers_nothing_at_all_is_a_failed_node_and_is_started_again_and_again() {
    let child = json!({"id": "child", "type": "command", "executor": "multiprocess",
        "params": {"command": ["sh", "-c", "exit 3"]}});
    let run = Run::start_with(line(true, 300, vec![child]), quick()).await;
    let failed = seen(&run, "its end", |seen| {
        seen.nodes.statuses[1] == NodeStatus::Failed && number(seen, "restarts") >= 5.0
    })
    .await;
    assert!(
        failed.nodes.last_errors[1].as_deref().unwrap().contains("code 3"),
        "{:?}",
        failed.nodes.last_errors
    );
    run.try_act(&Action::BypassNode { node: "child".to_owned(), active: true }).await.unwrap();
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_is_to_end_waits_no_longer_for_a_child_that_kept_ending() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let broken = format!("[ -e {} ] && exit 1", file.path().display());
    let mut child = command("child", &broken);
    child["retries"] = json!(100);
    let run = Run::start(line(true, 100, vec![child])).await;
    seen(&run, "long pauses", |seen| number(seen, "restarts") >= 7.0).await;
    drop(file);
    run.finish().await;
    run.assert_whole("out", 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_number_fails_the_item_and_the_child_is_the_same_afterwards() {
    let wrong = r#"[ $n = 10 ] && { echo "{\"id\":$id,\"out\":[{\"n\":10,\"score\":NaN}]}"; continue; }"#;
    let run = Run::start(line(true, 300, vec![command("child", wrong)])).await;
    let first = run.pipeline.worker_pids("child");
    run.finish_without_shutdown().await;
    assert_eq!(run.pipeline.worker_pids("child"), first);
    run.pipeline.shutdown().await;
    assert_eq!(buried(&run), [10]);
    assert!(run.lines("dead.jsonl")[0]["error"].as_str().unwrap().contains("NaN"));
    assert!(run.numbers("out").into_iter().eq((0..300).filter(|n| *n != 10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_a_child_leaves_out_are_delivered_and_the_child_is_the_same_afterwards() {
    let run =
        Run::start(line(true, 300, vec![command("child", "case $i in 100|200) continue;; esac")])).await;
    let first = run.pipeline.worker_pids("child");
    run.finish_without_shutdown().await;
    assert_eq!(run.pipeline.worker_pids("child"), first);
    run.pipeline.shutdown().await;
    run.assert_whole("out", 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_be_started_again_is_tried_until_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("child");
    let text = format!("#!/bin/sh\n{}", answering("[ $n = 50 ] && exit 1"));
    std::fs::write(&program, &text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let child = json!({"id": "child", "type": "command", "executor": "multiprocess", "params": {"command": [program]}});
    let run = Run::start(line(true, 1_000, vec![child])).await;
    run.accepted(5).await;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o644)).unwrap();
    // Root may run nothing that nobody may run.
    let failed = seen(&run, "the failed start", |seen| {
        seen.nodes.last_errors[1].as_deref().is_some_and(|error| error.contains("tried again"))
    })
    .await;
    assert!(failed.nodes.last_errors[1].as_deref().unwrap().contains("cannot start"));
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    run.finish().await;
    assert_eq!(buried(&run), [50]);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_children_report_are_columns_of_the_observation_and_those_of_workers_are_added() {
    let report = r#"[ $i = 1 ] && echo '{"metrics":{"cache-hits":2.5,"queue-depth":9}}'"#;
    let mut child = command("child", report);
    child["replicas"] = json!(2);
    child["retries"] = json!(0);
    let run = Run::start(line(false, 3_000, vec![child, pass("other", "native")])).await;
    let both = seen(&run, "both workers' numbers", |seen| number(seen, "cache-hits") == 5.0).await;
    assert!(both.nodes.number(both.nodes.find("other").unwrap(), "cache-hits").is_nan());
    assert_ne!(number(&both, "queue-depth"), 18.0, "what the host measures cannot be set");
    run.act(Action::ScaleNode { node: "child".to_owned(), replicas: 1 }).await;
    seen(&run, "one worker's number", |seen| number(seen, "cache-hits") == 2.5).await;
    let errors = run.observe().await.errors;
    assert!(errors.iter().any(|error| error.message.contains("queue-depth")), "{errors:?}");
    run.finish().await;
    run.assert_complete("out", 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_somebody_kills_is_replaced_at_once_and_its_node_has_not_failed() {
    let run = Run::start(line(true, 300, vec![pass("child", "multiprocess")])).await;
    run.finish_without_shutdown().await;
    let killed = run.pipeline.worker_pids("child")[0];
    kill(killed);
    let replaced = seen(&run, "another child", |seen| {
        assert_ne!(seen.nodes.statuses[1], NodeStatus::Failed);
        number(seen, "restarts") == 1.0
    })
    .await;
    assert!(replaced.nodes.last_errors[1].as_deref().unwrap().contains("signal 9"));
    assert_eq!(run.pipeline.worker_pids("child").len(), 1);
    assert_ne!(run.pipeline.worker_pids("child"), [killed]);
    run.try_act(&Action::RestartProcess { node: "child".to_owned() }).await.unwrap();
    assert_eq!(number(&run.observe().await, "restarts"), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_children_killed_at_once_are_replaced_and_every_item_is_delivered() {
    let mut child = pass("child", "multiprocess");
    child["replicas"] = json!(6);
    child["retries"] = json!(0);
    let run = Run::start(line(true, 3_000, vec![child, pass("other", "multiprocess")])).await;
    run.accepted(500).await;
    for node in ["child", "other"] {
        for pid in run.pipeline.worker_pids(node) {
            let _ = support::killed(pid);
        }
    }
    run.finish_without_shutdown().await;
    seen(&run, "all of them", |_| run.pipeline.worker_pids("child").len() == 6).await;
    assert_eq!(number(&run.observe().await, "restarts"), 6.0);
    run.pipeline.shutdown().await;
    run.assert_whole("out", 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_ends_well_while_it_has_nothing_to_do_is_replaced_without_a_word() {
    let child = json!({"id": "child", "type": "command", "executor": "multiprocess",
        "params": {"command": ["sh", "-c", "exec sleep 2"]}});
    let run = Run::start(line(true, 0, vec![child])).await;
    let first = run.pipeline.worker_pids("child");
    run.until(
        || run.pipeline.worker_pids("child").len() == 1 && run.pipeline.worker_pids("child") != first,
        "another",
    )
    .await;
    let after = run.observe().await;
    assert_eq!((number(&after, "restarts"), &after.nodes.last_errors[1]), (0.0, &None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_reports_what_it_kept_and_dropped_in_the_host_and_in_a_process() {
    for executor in ["native", "multiprocess"] {
        let child = json!({"id": "child", "type": "filter", "executor": executor,
            "params": {"field": "n", "min": 100}});
        let run = Run::start(line(true, 300, vec![child])).await;
        run.finish_without_shutdown().await;
        seen(&run, "what the filter did", |seen| {
            number(seen, "items-kept") == 200.0 && number(seen, "items-dropped") == 100.0
        })
        .await;
    }
}
