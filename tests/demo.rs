#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! The first command of the README.

#[path = "../host/llm/tests/asking/server.rs"]
mod server;
mod support;

use std::fs;
use std::sync::{Mutex, PoisonError};

use serde_json::json;
use server::{Reply, Server};

use support::{assert_balanced, flyball, read_json, said};

/// Each takes the machine for itself, as a user's does.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn the_demo_heals_four_real_faults_and_replaces_a_policy_and_a_plugin_while_they_judge() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("demo");
    let keys = ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"];
    let mut demo = flyball();
    keys.iter().for_each(|key| {
        demo.env_remove(key);
    });
    let output = demo.args(["demo", "--dir"]).arg(&dir).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        printed.matches("flyball demo --model").count(),
        1,
        "how to add a model is said once: {printed}"
    );
    assert!(printed.contains("4 of 4 faults healed, 2 of 2 replacements in force"), "{printed}");

    let report = read_json(&dir.join("report.json"));
    let session = &report["sessions"][0];
    assert_balanced(session);
    assert_eq!(session["account"]["in_flight"], 0, "{}", session["account"]);
    assert_eq!(
        session["account"]["dead_lettered"].as_u64().unwrap(),
        dead_letters(&dir),
        "each with its error"
    );
    let generations = session["generations"].as_array().unwrap();
    assert!(generations.len() >= 3, "two replacements make two more generations: {generations:?}");
    let delivered = fs::read_to_string(dir.join("out.jsonl")).unwrap().lines().count() as u64;
    assert_eq!(session["account"]["delivered"], delivered, "what the sink wrote");
}

fn dead_letters(dir: &std::path::Path) -> u64 {
    fs::read_to_string(dir.join("dead-letters.jsonl")).unwrap_or_default().lines().count() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_asks_a_model_beside_the_rules_and_follows_the_rules() {
    let decides = json!({
        "analysis": "a process is gone", "issues": [], "action": { "kind": "restart-process", "node": "no-bots" },
        "reason": "it is gone", "confidence": 1,
        "evidence": [{ "node": "index", "metric": "queue-capacity", "value": 200, "note": "" }],
    });
    let message = json!({ "role": "assistant", "content": decides.to_string() });
    let usage = json!({ "prompt_tokens": 100, "completion_tokens": 20 });
    let answer = json!({ "choices": [{ "message": message, "finish_reason": "stop" }], "usage": usage });
    let server = Server::saying([Reply::json(200, &answer)]).await;
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("demo");
    let mut demo = flyball();
    demo.args(["demo", "--model", "openai/small", "--model-url", &server.origin, "--dir"]).arg(&dir);
    let output = tokio::task::block_in_place(|| {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        demo.output().unwrap()
    });
    let printed = said(&output);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("4 of 4 faults healed, 2 of 2 replacements in force"), "{printed}");
    assert!(printed.contains("llm-decider, shadow"), "{printed}");
    assert!(!printed.contains("flyball demo --model"), "nobody need be told how to add a model: {printed}");
    assert!(!server.asked().is_empty());
    let report = read_json(&dir.join("report.json"));
    let decided = report["sessions"][0]["actions"].as_array().unwrap();
    assert!(decided.iter().all(|action| action["decided_by"]["name"] == "rule-decider"), "{decided:?}");
}

#[test]
fn a_model_that_is_named_wrongly_is_told_before_anything_runs() {
    for (name, why) in
        [("claude", "write PROVIDER/NAME"), ("oracle/x", "there are anthropic, openai and gemini")]
    {
        let output = flyball().args(["demo", "--model", name]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(why), "{}", said(&output));
    }
}

#[test]
fn the_demo_refuses_a_directory_that_holds_something() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("thesis.txt"), "years of work").unwrap();
    let output = flyball().args(["demo", "--dir"]).arg(scratch.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("is not empty; name a new directory with --dir"), "{}", said(&output));
    assert_eq!(fs::read_to_string(scratch.path().join("thesis.txt")).unwrap(), "years of work");
}
