//! Every fault of a manifest, with its place.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use flyball_model::Manifest;
use flyball_pipeline::check;
use serde_json::{Value, json};
use support::{TestNodes, manifest, pass};

fn problems(nodes: Value, edges: &[(&str, &str)]) -> Vec<String> {
    let manifest: Manifest = serde_json::from_value(manifest(false, nodes, edges)).unwrap();
    check(&manifest, &TestNodes).iter().map(ToString::to_string).collect()
}

fn source() -> Value {
    support::source(1)
}

fn out() -> Value {
    json!({"id": "out", "type": "discard"})
}

#[test]
fn a_good_manifest_has_no_problems() {
    let nodes = json!([source(), pass("a", "native"), pass("b", "multiprocess"), pass("c", "wasm"), out()]);
    let edges = [("source", "a"), ("a", "b"), ("a", "c"), ("b", "out"), ("c", "out")];
    assert_eq!(problems(nodes, &edges), Vec::<String>::new());
}

#[test]
fn a_cycle_is_told_by_the_names_on_it_and_only_by_those() {
    let nodes = json!([
        source(),
        pass("a", "native"),
        pass("b", "native"),
        pass("c", "native"),
        pass("d", "native"),
        out()
    ]);
    let edges = [("source", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "out")];
    let found = problems(nodes, &edges);
    assert_eq!(found.len(), 1, "{found:?}");
    let same = |start: &str| found[0].contains(start);
    assert!(found[0].starts_with("/connections/") && found[0].contains("a cycle: "), "{found:?}");
    assert!(same("a → b → c → a") || same("b → c → a → b") || same("c → a → b → c"), "{found:?}");
}

#[test]
fn a_protected_node_that_does_not_exist_is_a_fault() {
    let mut manifest = manifest(false, json!([source(), out()]), &[("source", "out")]);
    manifest["controller"] = json!({"protected_nodes": ["out", "sourc"]});
    let found = check(&serde_json::from_value(manifest).unwrap(), &TestNodes);
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        ["/controller/protected_nodes/1: there is no node \"sourc\"; did you mean \"source\"?"]
    );
}

#[test]
fn every_other_fault_names_its_place_cause_and_next_step() {
    let good = [("source", "a"), ("a", "out")];
    let node = |node: Value| problems(json!([source(), node, out()]), &good);
    let edges = |edges: &[(&str, &str)]| problems(json!([source(), pass("a", "native"), out()]), edges);
    let mut two_sources = source();
    two_sources["replicas"] = json!(2);
    for (found, wanted) in [
        (
            node(json!({"id": "a", "type": "tokenize"})),
            "/nodes/1/type: unknown node type \"tokenize\"; did you mean \"tokenise\"?",
        ),
        (
            node(json!({"id": "a", "type": "filter", "executor": "wasm", "params": {"field": "n"}})),
            "/nodes/1/executor: \"filter\" has no wasm executor; it has native and multiprocess",
        ),
        (
            node(json!({"id": "a", "type": "command", "params": {"command": ["x"]}})),
            "/nodes/1/executor: \"command\" has no native executor; it has multiprocess",
        ),
        (
            node(json!({"id": "a", "type": "map", "params": {"templat": 1, "template": 1}})),
            "/nodes/1/params/templat: unknown key \"templat\"; did you mean \"template\"?",
        ),
        (
            node(json!({"id": "a", "type": "twice", "executor": "wasm", "params": {"wrong": 1}})),
            "/nodes/1/params: \"wrong\" is wrong",
        ),
        (
            node(json!({"id": "a", "type": "twice", "executor": "wasm", "replicas": 0})),
            "/nodes/1/replicas: 0 replicas; it must be 1 to 256",
        ),
        (
            node(json!({"id": "a", "type": "twice", "executor": "wasm", "queue_capacity": 0})),
            "/nodes/1/queue_capacity: a capacity of 0; it must be 1 to 1000000",
        ),
        (
            problems(json!([two_sources, out()]), &[("source", "out")]),
            "/nodes/0/replicas: \"source\" is a source; a source has one worker; leave replicas out",
        ),
        (
            edges(&[("source", "a"), ("a", "out"), ("a", "outt")]),
            "/connections/2/to: there is no node \"outt\"; did you mean \"out\"?",
        ),
        (
            edges(&[("source", "a"), ("a", "out"), ("a", "out")]),
            "/connections/2: a is connected to out by /connections/1 already; leave it out",
        ),
        (
            edges(&[("source", "a"), ("a", "out"), ("a", "source")]),
            "/connections/2/to: \"source\" is a source; nothing can lead to it",
        ),
        (
            edges(&[("source", "a"), ("a", "out"), ("out", "a")]),
            "/connections/2/from: \"out\" is a sink; nothing can follow it",
        ),
        (edges(&[("source", "out")]), "/nodes/1: no source leads to \"a\"; connect it or leave it out"),
        (
            edges(&[("source", "out"), ("source", "a")]),
            "/nodes/1: \"a\" leads to no sink; connect it to a sink; `discard` keeps nothing",
        ),
        (
            problems(json!([source(), out(), out()]), &[("source", "out")]),
            "/nodes/2/id: the id \"out\" is taken by /nodes/1; give each node its own id",
        ),
        (problems(json!([out()]), &[]), "/nodes: there is no source; add a source node"),
        (problems(json!([source()]), &[]), "/nodes: there is no sink; add a sink node"),
    ] {
        assert!(found.iter().any(|have| have == wanted), "wanted {wanted}\n   found {found:#?}");
    }
}
