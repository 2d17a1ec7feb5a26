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
async fn a_child_that_answers_nothing_at_all_stays_dead_for_the_controller_to_see() {
    let child = json!({"id": "child", "type": "command", "executor": "multiprocess",
        "params": {"command": ["sh", "-c", "exit 3"]}});
    let run = Run::start(line(true, 300, vec![child])).await;
    let dead = seen(&run, "its end", |seen| {
        seen.nodes.statuses[1] == NodeStatus::Failed && number(seen, "restarts") >= 1.0
    })
    .await;
    assert!(dead.nodes.last_errors[1].as_deref().unwrap().contains("code 3"), "{:?}", dead.nodes.last_errors);
    run.act(Action::BypassNode { node: "child".to_owned(), active: true }).await;
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
async fn a_child_that_somebody_kills_waits_for_the_controller() {
    let run = Run::start(line(true, 300, vec![pass("child", "multiprocess")])).await;
    run.finish_without_shutdown().await;
    kill(run.pipeline.worker_pids("child")[0]);
    run.has_status("child", NodeStatus::Failed).await;
    run.try_act(&Action::RestartProcess { node: "child".to_owned() }).await.unwrap();
    assert_eq!(run.pipeline.worker_pids("child").len(), 1);
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
