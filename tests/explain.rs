#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! What a user reads of a tick: one on which something was done, and one on which nothing was found.

mod support;

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use insta::assert_snapshot;
use support::{Running, flyball, root, said, until};

fn explain(state: &Path, arguments: &[&str]) -> Output {
    flyball().arg("explain").args(arguments).arg("--state").arg(state).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The state directory of a scenario that was played.
fn played(scenario: &str, dir: &Path) -> std::path::PathBuf {
    let output = flyball()
        .arg("scenario")
        .arg(root().join("tests/scenarios").join(scenario))
        .arg("--state")
        .arg(dir.join("state"))
        .arg("--keep")
        .arg(dir.join("kept"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    dir.join("kept").join(scenario)
}

#[test]
fn a_quiet_tick_tells_how_near_it_came_and_what_it_would_have_taken() {
    let dir = tempfile::tempdir().unwrap();
    let state = played("a-third-of-a-second-of-errors-restarts-nothing", dir.path());
    assert_snapshot!("a_quiet_tick", text(&explain(&state, &["64"])));
}

#[test]
fn a_tick_that_acted_tells_what_was_looked_at_and_how_the_gates_stood_and_so_does_a_quiet_one_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let state = played("a-flood-is-scaled", dir.path());
    assert_snapshot!("a_tick_that_acted", text(&explain(&state, &[])));
    assert_snapshot!("a_quiet_tick_after_an_action", text(&explain(&state, &["90"])));
}

#[test]
fn a_tick_that_is_not_there_is_told_with_those_that_are() {
    let dir = tempfile::tempdir().unwrap();
    let state = played("a-crash-is-restarted", dir.path());
    let output = explain(&state, &["181"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let told = "there is no tick 181 of orders; those of the newest run that are kept are from 1 to 180";
    assert!(said(&output).contains(told), "{}", said(&output));
    assert!(text(&explain(&state, &["180"])).starts_with("tick 180 of orders at "));
    let other = explain(&state, &["1", "--session", "shop"]);
    assert!(said(&other).contains("no tick of shop is kept; there are those of orders"), "{}", said(&other));
}

#[test]
fn a_scenario_is_not_kept_over_another() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    fs::create_dir_all(kept.join("a-crash-is-restarted")).unwrap();
    let output = flyball()
        .arg("scenario")
        .arg(root().join("tests/scenarios/a-crash-is-restarted"))
        .arg("--state")
        .arg(dir.path().join("state"))
        .arg("--keep")
        .arg(&kept)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("is there already"), "{}", said(&output));
}

#[test]
fn the_quiet_ticks_of_a_run_are_explained_while_it_runs_and_after_it() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        let manifest = format!(
            "name: {name}\n\
             nodes:\n  - {{ id: in, type: generate, params: {{ per_second: 50, body: 1 }} }}\n  - {{ id: out, type: discard }}\n\
             connections: [{{ from: in, to: out }}]\ncontroller: {{ observation_interval_ms: 100 }}\n"
        );
        fs::write(dir.path().join(format!("{name}.yaml")), manifest).unwrap();
    }
    let state = dir.path().join("state");
    let mut run = flyball();
    run.current_dir(dir.path()).args(["run", "one.yaml", "two.yaml", "--state", "state"]);
    let running = Running::start(&mut run);
    let of_two = ["3", "--session", "two"];
    until("a tick is kept", Duration::from_secs(120), || explain(&state, &of_two).status.success());
    drop(running);
    for name in ["one", "two"] {
        let told = text(&explain(&state, &["3", "--session", name]));
        assert!(told.starts_with(&format!("tick 3 of {name} at ")), "{told}");
        assert!(told.contains("looked at by threshold-heuristic:"), "{told}");
        let queue = told.lines().find(|line| line.contains("queue-pressure")).unwrap();
        assert!(queue.contains("queue-depth") && queue.contains("% below  more than"), "{queue}");
    }
    let output = explain(&state, &["3"]);
    assert!(
        said(&output).contains("there are ticks of one, two; name one with --session"),
        "{}",
        said(&output)
    );
}
