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

/// How often the model was asked, and what deciders and incidents then come to.
async fn an_hour(reply: Reply) -> (u64, Value) {
    let server = Server::saying([reply]).await;
    let dir = tempfile::tempdir().unwrap();
    let hour = dir.path().join("hour");
    fs::create_dir(&hour).unwrap();
    for file in ["pipeline.yaml", "world.yaml"] {
        fs::copy(root().join("tests/scenarios").join(file), hour.join(file)).unwrap();
    }
    fs::write(hour.join("policy.yaml"), policy(&server.origin)).unwrap();
    fs::write(hour.join("scenario.yaml"), SCENARIO).unwrap();
    let told = tokio::task::spawn_blocking(move || play(dir.path())).await.unwrap();
    (server.asked().len() as u64, told)
}

fn play(place: &Path) -> Value {
    let run = |args: &[&str]| {
        let output = flyball().current_dir(place).args(args).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        output.stdout
    };
    run(&["scenario", "hour", "--keep", "kept", "--state", "state"]);
    serde_json::from_slice(&run(&["deciders", "--json", "--state", "kept/hour"])).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_incidents_in_an_hour_take_nine_questions_at_most_whatever_the_model_says() {
    let provider = Provider::Openai;
    let seen = json!([{ "node": "index", "metric": "queue-capacity", "value": 200, "note": "" }]);
    let no_op = says(provider, &decision(json!({ "kind": "no-op" }), json!([])));
    let restarts = says(provider, &decision(json!({ "kind": "restart-process", "node": "index" }), seen));
    for (name, reply, tokens) in [
        ("does nothing", no_op, 120),
        ("restarts what need not be", restarts, 120),
        ("writes prose", writes(provider, "I would wait."), 120),
        ("is broken", fails(provider, 500, "oh no"), 0),
    ] {
        let (asked, told) = an_hour(reply).await;
        assert!((3..=9).contains(&asked), "a model that {name} was asked {asked} times");
        let incidents = told["incidents"].as_array().unwrap();
        assert!(incidents.len() >= 3, "{told}");
        let sum = |key: &str| incidents.iter().map(|it| it[key].as_u64().unwrap_or_default()).sum::<u64>();
        assert_eq!(sum("questions"), asked, "a model that {name}: {told}");
        assert_eq!(sum("input_tokens") + sum("output_tokens"), asked * tokens, "a model that {name}: {told}");
        assert_eq!(sum("cost_millionths") > 0, tokens > 0, "a model that {name}: {told}");
    }
}
