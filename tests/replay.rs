#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! A trace is replayed through three executors while children are killed and stopped, and policies and plugins replaced.

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use support::{Running, assert_balanced, flyball, process_of_a_node, read_json, replace, root, until};

const SOON: Duration = Duration::from_secs(300);

/// A run of a trace, in a directory of its own.
struct Replay {
    dir: tempfile::TempDir,
    host: Running,
}

impl Replay {
    fn start(trace: &Path, speed: f64, until_s: f64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let manifest = include_str!("replay/pipeline.yaml")
            .replace("@TRACE@", &trace.display().to_string())
            .replace("@SPEED@", &speed.to_string())
            .replace("@UNTIL@", &until_s.to_string())
            .replace("@OUT@", &at("out.jsonl").display().to_string());
        fs::write(at("pipeline.yaml"), manifest).unwrap();
        fs::create_dir(at("policies")).unwrap();
        fs::create_dir(at("plugins")).unwrap();
        fs::write(at("policies/replay.yaml"), policy(0.8)).unwrap();
        let host = Running::start(
            flyball()
                .arg("run")
                .arg(at("pipeline.yaml"))
                .arg("--policy")
                .arg(at("policies"))
                .arg("--plugins")
                .arg(at("plugins"))
                .arg("--report")
                .arg(at("report.json"))
                .arg("--state")
                .arg(at("state")),
        );
        Self { dir, host }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Waits for the child of the multiprocess node, kills it, and waits until another one works in its place.
    fn kill_the_child(&self) {
        let killed = self.signal_the_child("-KILL");
        self.has_another_child(killed);
    }

    /// Stops the child, and waits until the controller has restarted it and knows that this helped.
    fn stop_the_child(&self) {
        let before = self.host.count("→ restart words");
        let verified = self.host.count("(restart words) verified");
        let stopped = self.signal_the_child("-STOP");
        until("the child is restarted", SOON, || self.host.count("→ restart words") > before);
        self.has_another_child(stopped);
        until("the restart is known to have helped", SOON, || {
            self.host.count("(restart words) verified") > verified
        });
    }

    fn signal_the_child(&self, signal: &str) -> u32 {
        let pid = std::cell::Cell::new(0);
        until("the child runs", SOON, || {
            pid.set(process_of_a_node(self.host.pid(), "node tokenise").unwrap_or_default());
            pid.get() != 0
        });
        let sent =
            std::process::Command::new("kill").args([signal, &pid.get().to_string()]).status().unwrap();
        assert!(sent.success());
        pid.get()
    }

    fn has_another_child(&self, than: u32) {
        until("another child runs", SOON, || {
            process_of_a_node(self.host.pid(), "node tokenise").is_some_and(|other| other != than)
        });
    }

    fn end(self, limit: Duration) -> (Value, tempfile::TempDir) {
        let said = self.host.said();
        let code = self.host.end(limit);
        let report = self.dir.path().join("report.json");
        assert_eq!(code, Some(0), "{said}");
        (read_json(&report), self.dir)
    }
}

fn policy(queue_fill: f64) -> String {
    include_str!("replay/policy.yaml").replace("@FILL@", &queue_fill.to_string())
}

fn restarts(session: &Value) -> usize {
    let actions = session["actions"].as_array().unwrap();
    actions.iter().filter(|action| action["proposal"]["action"]["kind"] == "restart-process").count()
}

/// A trace as services write them: bursts and pauses.
fn made_trace(dir: &Path, seconds: u32) -> PathBuf {
    let mut rows = String::from("TIMESTAMP,ContextTokens,GeneratedTokens\n");
    for n in 0..seconds * 4 {
        let (second, part) = (n / 4, n % 4);
        writeln!(
            rows,
            "2023-11-16 18:{:02}:{:02}.{:07},{},{}",
            15 + second / 60,
            second % 60,
            part * 1_900_000,
            100 + n % 700,
            10 + n % 90
        )
        .unwrap();
    }
    let file = dir.join("trace.csv");
    fs::write(&file, rows).unwrap();
    file
}

#[test]
fn children_killed_and_judges_replaced_during_a_replay_cost_no_item_and_no_tick() {
    let scratch = tempfile::tempdir().unwrap();
    let trace = made_trace(scratch.path(), 400);
    let replay = Replay::start(&trace, 10.0, 400.0);
    replay.kill_the_child();

    // A policy is edited.
    replace(&replay.at("policies/replay.yaml"), policy(0.7));
    replay.host.says("generation 2 judges", SOON);
    // A newer plugin is copied over.
    let plugin = flyball_first_party::find("protected-nodes").unwrap();
    let mut newer = plugin.wasm.to_vec();
    newer.extend([0, 6, 5, b'b', b'u', b'i', b'l', b'd']);
    replace(&replay.at("plugins/protected-nodes.wasm"), &newer);
    replay.host.says("generation 3 judges", SOON);
    // A text file is copied over it: the last good one goes on.
    fs::write(replay.at("plugins/protected-nodes.wasm"), "not a component at all").unwrap();
    replay.host.says("the last good one goes on", SOON);

    replay.stop_the_child();
    let (report, _dir) = replay.end(Duration::from_secs(90));
    let session = &report["sessions"][0];
    assert_balanced(session);
    assert_eq!(session["account"]["accepted"], 1600);
    assert_eq!(session["account"]["delivered"], 1600, "{}", session["account"]);
    assert_eq!(restarts(session), 1, "what is replaced needs no action: {}", session["actions"]);
    let generations: Vec<_> = session["generations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["generation"].as_u64().unwrap())
        .collect();
    assert_eq!(generations, [1, 2, 3]);
    assert!(session["ticks"].as_array().unwrap().iter().all(|tick| tick.get("error").is_none()));
    assert!(session["ticks"].as_array().unwrap().iter().all(|tick| tick.get("failures").is_none()));
    let refused: Vec<_> =
        report["reloads"].as_array().unwrap().iter().filter(|one| one.get("errors").is_some()).collect();
    assert_eq!(refused.len(), 1, "{}", report["reloads"]);
    let plugin =
        report["plugins"].as_array().unwrap().iter().find(|one| one["name"] == "protected-nodes").unwrap();
    assert!(plugin["error"].as_str().unwrap().contains("text"), "{plugin}");
    assert_ne!(plugin["desired"], plugin["running"]);
    assert!(plugin["calls"].as_u64().unwrap() > 0);
}

#[test]
fn ten_minutes_of_a_real_llm_trace_survive_two_kills_at_twenty_times_the_speed() {
    let trace = root().join("../shared/data/azure-llm-2023/AzureLLMInferenceTrace_conv.csv");
    if !trace.exists() {
        eprintln!("skipped: the Azure LLM inference trace 2023 is not at hand");
        return;
    }
    let replay = Replay::start(&trace, 20.0, 600.0);
    replay.kill_the_child();
    replay.kill_the_child();
    let (report, dir) = replay.end(Duration::from_secs(120));
    let session = &report["sessions"][0];
    assert_balanced(session);
    assert_eq!(session["account"]["in_flight"], 0);
    assert_eq!(restarts(session), 0, "what is replaced needs no action: {}", session["actions"]);
    let delivered = fs::read_to_string(dir.path().join("out.jsonl")).unwrap().lines().count() as u64;
    assert_eq!(session["account"]["delivered"], delivered);
}
