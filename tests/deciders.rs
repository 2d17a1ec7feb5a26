#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! Several deciders, as a user writes, runs and compares them.

mod support;

use std::fs;
use std::path::Path;
use std::process::Output;

use flyball_model::{ActionRecord, TickRecord};
use flyball_ports::Journal;
use flyball_store::Store;
use serde_json::{Value, json};
use support::{flyball, read_json, said};

fn run(dir: &Path, arguments: &[&str]) -> Output {
    flyball().current_dir(dir).args(arguments).args(["--state", "state"]).output().unwrap()
}

fn by(name: &str) -> Value {
    json!({ "name": name, "version": "1.0.0", "digest": "abc" })
}

fn cost(questions: u32, input: u64) -> Value {
    let llm = json!({
        "questions": questions, "input_tokens": input, "output_tokens": 10, "cost_millionths": input * 3
    });
    json!({ "wall_ns": 0, "memory_bytes": 0, "host_calls": 0, "llm": llm })
}

fn restart() -> Value {
    json!({ "kind": "restart-process", "node": "b" })
}

fn scale() -> Value {
    json!({ "kind": "scale-node", "node": "b", "replicas": 2 })
}

fn wants(action: &Value) -> Value {
    json!({ "analysis": "", "issues": [], "proposal": { "action": action, "reason": "it helps" } })
}

/// One answer; `more` goes over it.
fn answer(name: &str, tick: u64, said: &str, millis: u64, more: &Value) -> Value {
    let plugin = if name == "rule-decider" { name } else { "llm-decider" };
    let mut answer = json!({
        "by": by(plugin), "tick": tick, "said": said, "why": "because", "took_ns": millis * 1_000_000,
        "cost": { "wall_ns": 0, "memory_bytes": 0, "host_calls": 0 }
    });
    if name != plugin {
        answer["name"] = name.into();
    }
    for (key, value) in more.as_object().unwrap() {
        answer[key] = value.clone();
    }
    answer
}

fn tick(number: u64, slow: bool, more: &Value) -> TickRecord {
    let mut tick = json!({
        "session": "shop", "tick": number, "at": 36_000_000 + number * 1_000, "generation": 1,
        "ending": if slow { "held" } else { "quiet" }, "took_ns": 5
    });
    if slow {
        let slow = json!({
            "by": by("finds"), "code": "slow", "severity": "warning", "target": "b", "message": "b is slow"
        });
        tick["findings"] = json!([slow]);
    }
    for (key, value) in more.as_object().unwrap() {
        tick[key] = value.clone();
    }
    serde_json::from_value(tick).unwrap()
}

fn action(action: &Value) -> ActionRecord {
    serde_json::from_value(json!({
        "id": 0, "session": "shop", "tick": 10, "generation": 1, "at": 36_010_000, "proposal": wants(action)["proposal"],
        "decided_by": by("rule-decider"), "judged_by": [], "findings": [], "before": { "nodes": [], "edges": [] },
        "outcome": "unknown"
    }))
    .unwrap()
}

/// Two runs. In the first one two incidents with a model, a shadow, and a question of somebody else's in quiet times.
fn journal() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Store::open(&state).unwrap();
        let first = store.begin_run().await.unwrap();
        let mut restarted = action(&restart());
        restarted.id = store.intend(&restarted).await.unwrap();
        let done = json!({ "decision": wants(&restart()), "followed": true, "why": "the first that answered" });
        let acted = tick(10, true, &json!({ "ending": "acted", "action": restarted, "answers": [
            answer("fast", 10, "failed", 40, &json!({ "cost": cost(1, 700), "why": "no answer that fits" })),
            answer("rule-decider", 10, "decision", 1, &done),
        ]}));
        store.tick(&acted.into()).await.unwrap();
        restarted.outcome = flyball_model::Outcome::Verified;
        restarted.settled_at = Some(36_020_000);
        store.conclude(&restarted).await.unwrap();
        // The shadow's answer comes before anybody is followed on tick 12, and late for tick 10.
        let beside = |tick: u64| {
            let said = json!({ "shadow": true, "decision": wants(&scale()), "cost": cost(1, 50) });
            answer("on-trial", tick, "decision", 900, &said)
        };
        store.tick(&tick(11, false, &json!({ "answers": [beside(10)] })).into()).await.unwrap();
        store.tick(&tick(12, true, &json!({ "ending": "deciding" })).into()).await.unwrap();
        store.tick(&tick(13, false, &json!({ "answers": [beside(12)] })).into()).await.unwrap();
        let followed = json!({ "decision": wants(&scale()), "followed": true, "cost": cost(2, 900) });
        let late = tick(14, true, &json!({ "ending": "rejected", "answers": [
            answer("fast", 12, "decision", 1_900, &followed),
            answer("rule-decider", 12, "not-asked", 0, &json!({})),
        ], "costs": [[by("llm-decider"), cost(2, 900)], [by("guard"), cost(1, 5)]] }));
        store.tick(&late.into()).await.unwrap();
        store.tick(&tick(40, true, &json!({ "ending": "undecided", "answers": [
            answer("fast", 40, "late", 4_000, &json!({})),
            answer("rule-decider", 40, "abstains", 1, &json!({})),
        ]})).into()).await.unwrap();
        store.tick(&tick(70, false, &json!({ "costs": [[by("curious"), cost(1, 8)]] })).into()).await.unwrap();
        store.end_run(first).await.unwrap();
        store.begin_run().await.unwrap();
        store.tick(&tick(71, true, &json!({})).into()).await.unwrap();
    });
    dir
}

const FIGURES: &str = "\
DECIDER                           ASKED ANSWERED ABSTAINED FAILED  LATE DROPPED FOLLOWED    AGREED    P50 ms    P99 ms QUESTIONS   TOKENS IN+OUT       COST
fast (llm-decider)                    3        1         0      1     1       0        1       1/1    1900.5    4001.8         3         1600+20     0.0048
rule-decider                          2        1         1      0     0       0        1       1/1       1.0       1.0         0             0+0          0
on-trial (llm-decider), shadow        2        2         0      0     0       0        0       1/2     900.1     900.1         2          100+20     0.0003
incident in shop at 10:00:10.000, ticks 10 to 14: trouble at b; restart b (verified); 6 questions to models, 1705+50 tokens, cost 0.005115
incident in shop at 10:00:40.000, ticks 40 to 40: trouble at b; nothing was done; no model was asked
incident in shop at 10:01:11.000, ticks 71 to 71, not known to be over: trouble at b; nothing was done; no model was asked
outside of incidents: 1 question to models, 8+10 tokens, cost 0.000024
";

#[test]
fn deciders_and_incidents_are_compared_from_the_journal_alone() {
    let dir = journal();
    let told = run(dir.path(), &["deciders"]);
    assert!(told.status.success(), "{}", said(&told));
    assert_eq!(String::from_utf8(told.stdout).unwrap(), FIGURES);

    let figures: Value = serde_json::from_slice(&run(dir.path(), &["deciders", "--json"]).stdout).unwrap();
    assert_eq!(figures["deciders"][0]["questions"], 3);
    assert_eq!(
        (&figures["deciders"][2]["shadow"], &figures["deciders"][2]["agreed"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(
        figures["incidents"][0]["actions"][0],
        json!({ "id": 1, "action": "restart b", "outcome": "verified" })
    );
    assert_eq!(figures["llm_elsewhere"]["input_tokens"], 8);

    for nothing in [&["deciders", "--session", "other"][..], &["deciders", "--since", "1h"]] {
        let output = run(dir.path(), nothing);
        assert!(said(&output).contains("the journal has nothing of that"), "{nothing:?}: {}", said(&output));
    }
    let none = tempfile::tempdir().unwrap();
    let output = run(none.path(), &["deciders"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("there is no journal"), "{}", said(&output));
}

/// A guard says no to the same thing three times, and once to another.
fn denials() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    let denied = |number: u64, action: &Value, code: &str| {
        let reason = json!({ "code": code, "message": "2 workers for b, at most 1" });
        let verdict = json!({ "by": by("scale-cap"), "action": action, "verdict": { "verdict": "deny" } });
        let mut verdict = verdict;
        verdict["verdict"]["code"] = reason["code"].clone();
        verdict["verdict"]["message"] = reason["message"].clone();
        let decision = json!({
            "by": by("rule-decider"), "analysis": "", "issues": [], "proposal": wants(action)["proposal"]
        });
        tick(number, true, &json!({ "ending": "rejected", "decision": decision, "verdicts": [verdict] }))
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Store::open(&state).unwrap();
        let run = store.begin_run().await.unwrap();
        for number in [10, 15, 20] {
            store.tick(&denied(number, &scale(), "too-many-workers").into()).await.unwrap();
        }
        store.tick(&denied(25, &restart(), "not-now").into()).await.unwrap();
        store.end_run(run).await.unwrap();
    });
    dir
}

#[test]
fn what_guards_said_no_to_is_in_the_plain_journal_once_for_each_row_of_the_same() {
    let dir = denials();
    let text = String::from_utf8(run(dir.path(), &["journal"]).stdout).unwrap();
    assert_eq!(
        text,
        "    -  10:00:10.000  shop  scale b to 2, decided by rule-decider  denied, and 2 times more after it\n       \
         scale-cap denies it (too-many-workers): 2 workers for b, at most 1; `flyball explain 10 --session shop` has \
         the rest\n    -  10:00:25.000  shop  restart b, decided by rule-decider  denied\n       scale-cap denies it \
         (not-now): 2 workers for b, at most 1; `flyball explain 25 --session shop` has the rest\n"
    );
    let actions = run(dir.path(), &["journal", "--outcome", "verified"]);
    assert!(said(&actions).contains("nothing of that"), "{}", said(&actions));
    assert_eq!(run(dir.path(), &["journal", "--json"]).stdout, b"", "as JSON it has actions");
}

#[test]
fn a_tick_is_explained_with_what_each_decider_said() {
    let dir = journal();
    let told = said(&run(dir.path(), &["explain", "14"]));
    let block = "  fast (llm-decider) wants \"scale b to 2\", and is followed: because (asked on tick 12, 1900.0 ms, 2 questions \
                 to models, 900+10 tokens, cost 0.0027)\n  rule-decider was not asked: because\n";
    assert!(told.contains(block), "{told}");
    let beside = said(&run(dir.path(), &["explain", "11"]));
    assert!(
        beside.contains("  shadow on-trial (llm-decider) wants \"scale b to 2\": because (asked on tick 10"),
        "{beside}"
    );
    let ticks = said(&run(dir.path(), &["journal", "--ticks", "--plugin", "rule-decider"]));
    let told = |ending: &str| ticks.contains(ending);
    assert!(told("Acted") && told("Undecided") && !told("Rejected"), "where it was asked: {ticks}");
}

const FLOODED: &str = r#"name: flooded
nodes:
  - { id: in, type: generate, params: { per_second: 120, body: { text: "item {{n}}" } } }
  - { id: slow, type: wait, queue_capacity: 60, params: { ms_per_unit: 10 } }
  - { id: out, type: discard }
connections:
  - { from: in, to: slow }
  - { from: slow, to: out }
controller:
  observation_interval_ms: 100
"#;

const SEVERAL: &str = r#"name: several
mutation_policy: optimize
cooldown_ms: 1000
history: 40
judges:
  heuristics: [{ plugin: threshold-heuristic }]
  deciders:
    - route:
        - kinds: [failure]
          ask: [{ plugin: rule-decider, name: repairs }]
        - codes: ["queue-*"]
          ask:
            - name: two agree
              at_least: 2
              of: [{ plugin: rule-decider, name: first }, { plugin: rule-decider, name: second }]
    - { plugin: rule-decider }
  shadows:
    - { plugin: rule-decider, name: on-trial, settings: { max_capacity: 1 } }
  validators: [{ plugin: mutation-policy }, { plugin: protected-nodes }]
  reversers: [{ plugin: standard-reverser }]
"#;

#[test]
fn a_run_with_a_route_a_quorum_and_a_shadow_follows_the_quorum_and_reports_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("policies")).unwrap();
    fs::write(dir.path().join("policies/several.yaml"), SEVERAL).unwrap();
    fs::write(dir.path().join("flooded.yaml"), FLOODED).unwrap();
    let checked = run(dir.path(), &["check", "policies/several.yaml"]);
    assert!(said(&checked).contains("4 deciders and 1 shadows"), "{}", said(&checked));
    let arguments = ["run", "flooded.yaml", "--policy", "policies", "--duration", "8s", "--report", "r.json"];
    let output = run(dir.path(), &arguments);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("\nDECIDER "), "{}", said(&output));
    let report = read_json(&dir.path().join("r.json"));
    let of = |name: &str| {
        let mut deciders = report["deciders"].as_array().unwrap().iter();
        deciders.find(|one| one["decider"] == name).unwrap_or_else(|| panic!("no {name}: {report}")).clone()
    };
    let asked = of("first")["asked"].as_u64().unwrap();
    assert!(asked > 0 && of("first")["followed"].as_u64() == Some(asked), "{}", of("first"));
    assert_eq!(of("second")["followed"], asked);
    assert_eq!((&of("repairs")["asked"], &of("repairs")["not_asked"]), (&json!(0), &json!(asked)));
    assert_eq!((&of("on-trial")["followed"], &of("on-trial")["shadow"]), (&json!(0), &json!(true)));
    assert!(of("on-trial")["answered"].as_u64().unwrap() > 0, "{}", of("on-trial"));
    let first = &report["incidents"][0];
    assert_eq!((&first["faults"], &first["questions"]), (&json!(["trouble at slow"]), &json!(0)));
    assert_eq!(first["actions"][0]["id"], report["sessions"][0]["actions"][0]["id"]);
    // What the journal tells afterwards is what the report told.
    let journaled: Value = serde_json::from_slice(&run(dir.path(), &["deciders", "--json"]).stdout).unwrap();
    assert_eq!(journaled["deciders"], report["deciders"]);
    let schema: Value = serde_json::from_slice(&run(dir.path(), &["schema", "report"]).stdout).unwrap();
    let faults = jsonschema::validator_for(&schema).unwrap();
    assert!(
        faults.is_valid(&report),
        "{:?}",
        faults.iter_errors(&report).map(|f| f.to_string()).collect::<Vec<_>>()
    );
}
