//! The form of the answer.

use flyball_plugin::prelude::*;
use serde_json::{Value, json};

use crate::scene::{Scene, allowed, answer, cited};
use crate::use_cases::crash;

fn form(scene: &Scene) -> Value {
    serde_json::from_str(scene.question().schema.as_deref().unwrap()).unwrap()
}

fn kinds(form: &Value) -> Vec<&str> {
    let kinds = form["properties"]["action"]["anyOf"].as_array().unwrap();
    kinds.iter().map(|kind| kind["properties"]["kind"]["enum"][0].as_str().unwrap()).collect()
}

/// What OpenAI's, Anthropic's and Gemini's structured output all take.
fn is_plain(schema: &Value) -> bool {
    const KNOWN: &[&str] = &[
        "type",
        "enum",
        "anyOf",
        "items",
        "properties",
        "required",
        "additionalProperties",
        "$ref",
        "$defs",
        "description",
    ];
    let Value::Object(entries) = schema else { return false };
    let members = |name: &str| entries.get(name).and_then(Value::as_object).into_iter().flatten();
    let closed = entries.get("type") != Some(&json!("object"))
        || (entries.get("additionalProperties") == Some(&json!(false))
            && members("properties")
                .all(|(name, _)| entries["required"].as_array().unwrap().contains(&json!(name))));
    closed
        && entries.keys().all(|key| KNOWN.contains(&key.as_str()))
        && members("properties").chain(members("$defs")).all(|(_, schema)| is_plain(schema))
        && entries.get("items").is_none_or(is_plain)
        && entries.get("anyOf").and_then(Value::as_array).is_none_or(|any| any.iter().all(is_plain))
}

fn parts(schema: &Value, root: &Value) -> usize {
    match schema {
        Value::Object(entries) => {
            let referred = entries.get("$ref").and_then(Value::as_str);
            let referred = referred.map_or(0, |to| parts(root.pointer(&to[1..]).unwrap(), root));
            1 + referred + entries.values().map(|value| parts(value, root)).sum::<usize>()
        }
        Value::Array(items) => 1 + items.iter().map(|item| parts(item, root)).sum::<usize>(),
        _ => 1,
    }
}

#[test]
fn only_what_is_allowed_is_offered_and_no_protected_node() {
    let mut scene = crash();
    scene.situation.allowed = ["no-op", "restart-process", "bypass-node"].map(allowed).to_vec();
    let form = form(&scene);
    assert_eq!(kinds(&form), ["no-op", "restart-process", "bypass-node"]);
    let mut targets: Vec<&str> =
        form["$defs"]["node"]["enum"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    targets.sort_unstable();
    assert_eq!(targets, ["audio_resampler", "llm_processor", "sentiment_analyzer", "whisper_transcriber"]);
    assert_eq!(form["$defs"]["seen"]["enum"].as_array().unwrap().len(), 6, "all may be cited");
    let user = scene.question().user;
    assert!(user.contains("- bypass-node: let items pass a node unchanged\n"));
    assert!(!user.contains("scale-node"), "{user}");
}

#[test]
fn the_form_is_what_providers_take_and_takes_what_is_decided() {
    let schema = form(&crash());
    assert!(is_plain(&schema), "{schema:#}");
    assert!(parts(&schema, &schema) < 10_000);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let evidence = json!([cited("whisper_transcriber", "queue-depth", 47.0)]);
    for action in [
        json!({ "kind": "no-op" }),
        json!({ "kind": "replace-node", "node": "llm_processor", "node_type": "Whisper", "config": null }),
        json!({ "kind": "insert-node", "id": "x", "node_type": "Whisper", "config": "{}", "executor": "wasm", "after": ["llm_processor"], "before": [] }),
        json!({ "kind": "remove-node", "node": "llm_processor" }),
        json!({ "kind": "update-node-config", "node": "llm_processor", "patch": "{\"a\":1}" }),
        json!({ "kind": "bypass-node", "node": "llm_processor", "active": false }),
        json!({ "kind": "switch-executor", "node": "llm_processor", "to": "native" }),
        json!({ "kind": "restart-process", "node": "llm_processor" }),
        json!({ "kind": "scale-node", "node": "llm_processor", "replicas": 2 }),
        json!({ "kind": "adjust-buffering", "node": "llm_processor", "capacity": 9 }),
    ] {
        let whole = answer(action, evidence.clone());
        assert!(validator.is_valid(&whole), "{whole}");
        let read = crash().decides(&whole);
        let form = format!("{read:?}");
        assert!(!form.contains("not of the form"), "{form}");
    }
    for action in [
        json!({ "kind": "restart-process", "node": "input_source" }),
        json!({ "kind": "restart-process", "node": "nobody" }),
        json!({ "kind": "reboot", "node": "llm_processor" }),
    ] {
        assert!(!validator.is_valid(&answer(action, evidence.clone())));
    }
}

#[test]
fn with_nothing_that_may_be_changed_only_a_no_op_is_offered() {
    let mut scene = crash();
    scene.situation.constraints.protected = scene.graph.nodes.iter().map(|node| node.id.clone()).collect();
    let form = form(&scene);
    assert_eq!(kinds(&form), ["no-op"]);
    jsonschema::validator_for(&form).unwrap();
}

#[test]
fn the_form_of_a_wide_pipeline_stays_within_what_the_host_evaluates() {
    for count in [140, 900] {
        let scene = crate::prompts::wide(count, 200_000);
        let form = form(&scene);
        assert!(parts(&form, &form) < 10_000, "{count}: {}", parts(&form, &form));
        assert_eq!(form["$defs"]["seen"]["enum"].as_array().unwrap().len(), count.min(150));
        jsonschema::validator_for(&form).unwrap();
    }
}

#[test]
fn a_node_whose_name_cannot_be_shown_as_it_is_is_not_offered() {
    let mut scene = crash();
    let name = "llm\u{202e}|processor";
    scene.node("llm_processor").id = name.to_owned();
    scene.graph.nodes[4].id = name.to_owned();
    let question = scene.question();
    assert!(question.user.contains("\"llm\\u202e\\u007cprocessor\""), "{}", question.user);
    assert!(!question.schema.unwrap().contains("processor"));
}

#[test]
fn own_metrics_that_findings_rest_on_may_be_cited() {
    let mut scene = crash();
    let seen = scene.node("whisper_transcriber");
    seen.numbers.push(("gpu-memory-mb".to_owned(), 8_000.0));
    let evidence = Evidence {
        metric: Some("gpu-memory-mb".to_owned()),
        value: Some(8_000.0),
        ..Evidence::about("whisper_transcriber")
    };
    scene.situation.findings[0].rests_on.push(evidence);
    assert!(form(&scene)["$defs"]["metric"]["enum"].as_array().unwrap().contains(&json!("gpu-memory-mb")));
    let action = json!({ "kind": "restart-process", "node": "whisper_transcriber" });
    let evidence = json!([cited("whisper_transcriber", "gpu-memory-mb", 8_000.0)]);
    assert!(scene.decides(&answer(action, evidence)).is_ok());
}
