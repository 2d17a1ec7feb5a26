//! What an hour with three incidents takes of a model, in a time of its own.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::answers::decision;
use crate::server::{Reply, Server};
use crate::speaking::{fails, says, writes};
use crate::support::{flyball, root, said};
use flyball_llm::Provider;

const SCENARIO: &str = "about: An hour with three incidents.
duration_s: 3600
seed: 1
faults:
  - { at_s: 600, what: { crash: { node: index } } }
  - { at_s: 1500, for_s: 600, what: { errors: { node: enrich, share: 0.5 } } }
  - { at_s: 2700, for_s: 120, what: { load: { source: in, factor: 3 } } }
expect: {}
";

/// The policy of all scenarios, with a model before the rules.
fn policy(origin: &str) -> String {
    let text = fs::read_to_string(root().join("tests/scenarios/policy.yaml")).unwrap();
    let model = json!({
        "plugin": "llm-decider",
        "limits": { "time_ms": 60_000, "memory_mb": 64 },
        "grants": {
            "state": {},
            "llm": {
                "provider": "openai", "model": "m", "base_url": origin, "prices": { "input": 3, "output": 15 },
                "limits": { "tries": 1 }, "cache": { "answers": 0 }, "breaker": { "failures": 1000 },
            },
        },
    });
    let rules = "deciders: [{ plugin: rule-decider }]";
    assert!(text.contains(rules));
    text.replace(rules, &format!("deciders: [{model}, {{ plugin: rule-decider }}]"))
}

/// How often the model was asked, and what the journal then says of its deciders.
async fn an_hour(reply: Reply) -> (usize, Value) {
    let server = Server::saying([reply]).await;
    let dir = tempfile::tempdir().unwrap();
    for file in ["pipeline.yaml", "world.yaml"] {
        fs::copy(root().join("tests/scenarios").join(file), dir.path().join(file)).unwrap();
    }
    fs::write(dir.path().join("policy.yaml"), policy(&server.origin)).unwrap();
    fs::write(dir.path().join("scenario.yaml"), SCENARIO).unwrap();
    let place = dir.path().to_owned();
    let told = tokio::task::spawn_blocking(move || play(&place)).await.unwrap();
    (server.asked().len(), told)
}

fn play(place: &Path) -> Value {
    let run = |args: &[&str]| {
        let output = flyball().current_dir(place).args(args).args(["--state", "state"]).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        output.stdout
    };
    run(&["scenario", "."]);
    Value::Null
}

#[tokio::test(flavor = "multi_thread")]
async fn three_incidents_in_an_hour_take_nine_questions_at_most_whatever_the_model_says() {
    let provider = Provider::Openai;
    let no_op = says(provider, &decision(json!({ "kind": "no-op" }), json!([])));
    let seen = json!([{ "node": "index", "metric": "queue-capacity", "value": 200, "note": "" }]);
    let restarts = says(provider, &decision(json!({ "kind": "restart-process", "node": "index" }), seen));
    for (name, reply) in [
        ("does nothing", no_op),
        ("restarts what need not be", restarts),
        ("writes prose", writes(provider, "I would wait.")),
        ("is broken", fails(provider, 500, "oh no")),
    ] {
        let (asked, _) = an_hour(reply).await;
        assert!((1..=9).contains(&asked), "a model that {name} was asked {asked} times");
    }
}
