#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! Every scenario of `tests/scenarios`, as a user runs it.

#[path = "../host/engine/tests/engine/guests.rs"]
mod guests;
mod support;

use support::{flyball, root, said};

/// Each an hour; as many at once as most machines have cores.
const SEEDS: u64 = 30;
const AT_ONCE: u64 = 2;

#[test]
fn a_healthy_hour_sees_no_action_whatever_the_dice_say() {
    let hour = root().join("tests/scenarios/a-healthy-hour/scenario.yaml");
    let hour = std::fs::read_to_string(hour).unwrap();
    assert!(hour.contains("\nseed: 1\n"), "{hour}");
    let runs: Vec<_> = (0..AT_ONCE)
        .map(|part| {
            let dir = tempfile::tempdir().unwrap();
            for file in ["pipeline.yaml", "world.yaml", "policy.yaml"] {
                std::fs::copy(root().join("tests/scenarios").join(file), dir.path().join(file)).unwrap();
            }
            for seed in (1..=SEEDS).filter(|seed| seed % AT_ONCE == part) {
                let folder = dir.path().join(format!("seed-{seed}"));
                std::fs::create_dir(&folder).unwrap();
                let dice = hour.replace("\nseed: 1\n", &format!("\nseed: {seed}\n"));
                std::fs::write(folder.join("scenario.yaml"), dice).unwrap();
            }
            let mut scenarios = flyball();
            scenarios.arg("scenario").arg(dir.path()).arg("--state").arg(dir.path().join("state"));
            std::thread::spawn(move || (dir, scenarios.output().unwrap()))
        })
        .collect();
    for run in runs {
        let (_dir, output) = run.join().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("15 of 15 scenarios as expected"), "{}", said(&output));
    }
}

#[test]
fn every_scenario_comes_as_its_folder_says() {
    let state = tempfile::tempdir().unwrap();
    let output = flyball()
        .arg("scenario")
        .arg(root().join("tests/scenarios"))
        .arg("--state")
        .arg(state.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn an_embedded_scenario_that_cannot_be_played_is_told_at_its_lines() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["pipeline.yaml", "policy.yaml"] {
        let from =
            root().join("tests/scenarios/real-a-killed-process-is-replaced-without-an-action").join(file);
        std::fs::copy(from, dir.path().join(file)).unwrap();
    }
    let scenario = "about: nothing\nduration_s: 5\nembedded:\n  faults:\n    - { at_s: 9, what: { kill: { node: split } } }\n    \
                    - { at_s: 1, what: { kill: { node: out } } }\n    \
                    - { at_s: 1, what: { slow: { node: nowhere, factor: 2 } } }\nexpect: {}\n";
    std::fs::write(dir.path().join("scenario.yaml"), scenario).unwrap();
    let output =
        flyball().current_dir(dir.path()).args(["scenario", ".", "--state", "state"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    for expected in
        ["the scenario is over by then", "out works in the host", "there is no node \"nowhere\" in words"]
    {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_scenario_that_comes_otherwise_is_told_with_the_difference() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["pipeline.yaml", "world.yaml", "policy.yaml"] {
        std::fs::copy(root().join("tests/scenarios").join(file), dir.path().join(file)).unwrap();
    }
    let scenario = "about: a crash\nduration_s: 60\nfaults: [{ at_s: 20, what: { crash: { node: index } } }]\n\
                    expect: { actions: [], says: [nothing of the kind] }\n";
    std::fs::write(dir.path().join("scenario.yaml"), scenario).unwrap();
    let run = |arguments: &[&str]| {
        flyball()
            .current_dir(dir.path())
            .args(["scenario", ".", "--state", "state"])
            .args(arguments)
            .output()
            .unwrap()
    };
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = said(&output);
    assert!(text.contains("expected the actions none; there were restart-process index verified"), "{text}");
    assert!(text.contains("the story does not say \"nothing of the kind\""), "{text}");
    assert!(text.contains("0 of 1 scenarios as expected"), "{text}");

    std::fs::write(dir.path().join("scenario.yaml"), scenario.replace("node: index", "node: nowhere"))
        .unwrap();
    let text = said(&run(&[]));
    assert!(text.contains("scenario.yaml") && text.contains("there is no node \"nowhere\""), "{text}");
}

#[test]
fn a_scenario_tries_plugins_and_policies_of_ones_own() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for folder in ["trial/calm", "plugins", "policies"] {
        std::fs::create_dir_all(at(folder)).unwrap();
    }
    for file in ["pipeline.yaml", "world.yaml"] {
        std::fs::copy(root().join("tests/scenarios").join(file), at("trial").join(file)).unwrap();
    }
    let scenario = "about: Nothing is wrong.\nduration_s: 20\nexpect: { actions: [], says: [probe] }\n";
    std::fs::write(at("trial/calm/scenario.yaml"), scenario).unwrap();
    // Finds something at once, with the sentence that it has.
    let finds = "
    (i32.store8 (i32.const 3128) (i32.const 1))
    (i32.store (i32.const 3332) (i32.const 3104)) (i32.store (i32.const 3336) (i32.const 1))
    (i32.store (i32.const 1200) (i32.const 3300)) (i32.store (i32.const 1204) (i32.const 1))";
    std::fs::write(at("plugins/probe.wasm"), guests::guest("probe", "1.0.0", finds)).unwrap();
    let policy = |sessions: &str| {
        format!("name: mine\nsessions: [{sessions}]\njudges:\n  heuristics: [{{ plugin: probe }}]\n")
    };
    std::fs::write(at("policies/mine.yaml"), policy("orders")).unwrap();
    let play = |more: &[&str]| {
        let mut command = flyball();
        command
            .current_dir(dir.path())
            .args(["scenario", "trial", "--state", "state"])
            .args(more)
            .output()
            .unwrap()
    };
    let own = play(&["--policy", "policies", "--plugins", "plugins", "--story"]);
    assert!(own.status.success() && said(&own).contains("found by probe"), "{}", said(&own));
    let without = play(&["--policy", "policies"]);
    assert!(
        !without.status.success() && said(&without).contains("unknown plugin \"probe\""),
        "{}",
        said(&without)
    );
    std::fs::write(at("policies/mine.yaml"), policy("payments")).unwrap();
    let nobody = play(&["--policy", "policies", "--plugins", "plugins"]);
    let text = said(&nobody);
    assert!(!nobody.status.success() && text.contains("no policy judges the session \"orders\""), "{text}");
    assert!(text.contains("mine judges payments"), "{text}");
}
