use std::sync::Arc;

use flyball_documents::DocumentText;
use flyball_engine::{Library, LibraryOptions, OpenError, PolicySource};
use flyball_model::{ControllerSection, MutationPolicy, Turn, Who};
use flyball_ports::Judges;
use serde_json::json;

use crate::guests::engine;
use crate::sights::sight;

fn library(policy: &str) -> Result<Arc<Library>, OpenError> {
    Library::open(LibraryOptions {
        engine: engine(),
        first_party: flyball_first_party::ALL
            .iter()
            .map(|plugin| (plugin.name.to_owned(), plugin.wasm.into()))
            .collect(),
        plugins_dir: None,
        versions: None,
        policies: PolicySource::Text(vec![DocumentText::new("policy.yaml", policy)]),
    })
}

#[tokio::test]
async fn the_default_policy_finds_a_failed_node() {
    let library = library(include_str!("../../../../policies/default.yaml")).unwrap();
    library.register(
        "orders",
        ControllerSection { mutation_policy: Some(MutationPolicy::Heal), ..ControllerSection::default() },
    );
    let panel = library.panel("orders").unwrap();
    assert!(Arc::ptr_eq(&panel, &library.panel("orders").unwrap()));
    assert_eq!(panel.rules.mutation, MutationPolicy::Heal);
    let judged = panel.heuristics[0].assess(&sight(50, 1)).await.unwrap();
    assert_eq!(judged.said.findings.len(), 1, "{:?}", judged.said);
    assert_eq!(judged.said.findings[0].code, "node-failed");
    assert_eq!(judged.said.findings[0].target.as_deref(), Some("node-0"));
    assert!(judged.cost.host_calls > 0 && judged.cost.wall_ns > 0 && judged.cost.memory_bytes > 0);
    assert!(
        library
            .usage()
            .iter()
            .any(|usage| &*usage.id.name == "threshold-heuristic" && usage.figures.calls == 1)
    );
}

#[test]
fn every_first_party_plugin_answers_its_golden_cases_as_a_component_too() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    for part in flyball_first_party::ALL {
        let plugin = Arc::new(engine().load(part.wasm).unwrap());
        let files = std::fs::read_dir(folder.join(part.name).join("cases")).unwrap().count();
        assert_eq!(plugin.cases(), files, "{} embeds every case", part.name);
        plugin.check_cases().unwrap_or_else(|error| panic!("{}: {error}", part.name));
    }
}

#[test]
fn wrong_settings_are_told_with_their_line() {
    let policy = "name: p\njudges:\n  heuristics:\n    - plugin: threshold-heuristic\n      settings:\n        queue_fill: 7\n";
    let said = library(policy).unwrap_err().to_string();
    assert!(said.starts_with("policy.yaml:6:"), "{said}");
}

#[test]
fn wrong_settings_of_a_validator_in_a_group_are_told_with_their_line() {
    let policy = "name: p\njudges:\n  validators:\n    - any_of:\n        - plugin: mutation-policy\n        - not:\n            plugin: protected-nodes\n            settings:\n              nodes: 7\n";
    let said = library(policy).unwrap_err().to_string();
    assert!(said.starts_with("policy.yaml:9:"), "{said}");
}

#[test]
fn an_unknown_plugin_is_told_with_its_line_and_the_nearest_name() {
    let policy = "name: p\njudges:\n  heuristics:\n    - plugin: treshold-heuristic\n";
    let said = library(policy).unwrap_err().to_string();
    assert!(
        said.starts_with("policy.yaml:4:") && said.contains("did you mean \"threshold-heuristic\"?"),
        "{said}"
    );
}

#[test]
fn a_plugin_in_the_wrong_place_is_told_its_place() {
    let policy = "name: p\njudges:\n  validators:\n    - plugin: threshold-heuristic\n";
    let said = library(policy).unwrap_err().to_string();
    assert!(said.contains("is a heuristic, not a validator"), "{said}");
}

#[tokio::test]
async fn a_node_plugin_answers_each_item_of_a_batch() {
    let library = library("name: p\njudges: {}\n").unwrap();
    assert!(library.node_types().iter().any(|node| node.name == "tokenise"));
    let mut worker = library.node_worker("orders", "tokenise", &json!({"field": "text"})).unwrap();
    let items = vec![(1, br#"{"text":"Two Words"}"#.to_vec()), (2, b"{}".to_vec())];
    let answers = worker.process(items).await.unwrap();
    assert_eq!(answers.len(), 2);
    let body: serde_json::Value = serde_json::from_slice(&answers[0].as_ref().unwrap()[0]).unwrap();
    assert_eq!(body["tokens"], json!(["two", "words"]));
    assert!(answers[1].is_err());
    assert!(library.node_worker("orders", "tokenise", &json!({"feild": 1})).is_err());
    assert!(library.node_worker("orders", "unheard-of", &json!({})).is_err());
}

#[test]
fn groups_of_deciders_and_shadows_are_bound_as_they_are_written() {
    let library = library(
        "name: p
judges:
  deciders:
    - route:
        - kinds: [failure]
          ask:
            - at_least: 2
              answer_within_ms: 70
              of: [{ plugin: rule-decider, name: one }, { plugin: rule-decider, name: two, answer_within_ms: 50 }]
    - plugin: rule-decider
  shadows:
    - { plugin: rule-decider, name: trial }
    - { plugin: rule-decider, name: hasty, answer_within_ms: 5 }
",
    )
    .unwrap();
    let panel = library.panel("orders").unwrap();
    let named: Vec<_> = panel
        .deciders
        .iter()
        .flat_map(Turn::ones)
        .map(|(decider, within)| (decider.name().to_owned(), within.map(|within| within.as_millis())))
        .collect();
    let expected = [("one", None), ("two", Some(50)), ("rule-decider", None)];
    assert_eq!(named, expected.map(|(name, within)| (name.to_owned(), within)));
    let Who::Route { ways, .. } = &panel.deciders[0].who else { panic!("it is a route") };
    assert_eq!(ways[0].ask[0].within.map(|within| within.as_millis()), Some(70));
    let shadows: Vec<_> =
        panel.shadows.iter().map(|shadow| (shadow.decider.name(), shadow.within.as_millis())).collect();
    assert_eq!(shadows, [("trial", 60_000), ("hasty", 5)]);
}

#[test]
fn what_is_wrong_with_a_decider_in_a_group_or_a_shadow_is_told_at_its_line() {
    let Err(error) = library(
        "name: p
judges:
  deciders:
    - route:
        - ask:
            - { plugin: rule-decidr }
            - at_least: 1
              of:
                - { plugin: mutation-policy }
  shadows:
    - { plugin: rule-decider, settings: { restart_limit: 0 } }
",
    ) else {
        panic!("the policy is wrong");
    };
    let told = error.to_string();
    for expected in [
        "policy.yaml:6:25: unknown plugin \"rule-decidr\"; did you mean \"rule-decider\"?",
        "policy.yaml:9:29: \"mutation-policy\" is a validator, not a decider",
        "policy.yaml:11:58: restart_limit must be 1 to 1000, not 0",
    ] {
        assert!(told.contains(expected), "{expected:?} is missing in:\n{told}");
    }
}
