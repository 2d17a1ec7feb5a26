//! What is learnt orders what is tried: it fades, and it is of one program.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use flyball_model::{
    ActionKind, Executor, Finding, GraphSpec, Learned, LearnedFilter, LearnedTable, NodeSpec, Outcome,
    Severity,
};

const HOUR: u64 = 3_600_000;
const CODE: &str = "node-failed";
const RESTART: ActionKind = ActionKind::RestartProcess;

fn command(id: &str, words: &[&str]) -> NodeSpec {
    NodeSpec {
        id: id.to_owned(),
        node_type: "command".to_owned(),
        executor: Executor::Multiprocess,
        config: serde_json::json!({ "command": words }),
        replicas: 1,
        queue_capacity: 1,
        bypassed: false,
        optional: false,
    }
}

fn failed(node: &str) -> Finding {
    Finding {
        code: CODE.to_owned(),
        severity: Severity::Critical,
        target: Some(node.to_owned()),
        message: String::new(),
        rests_on: Vec::new(),
    }
}

/// Three restarts of parser.py that did not help.
fn in_vain() -> (LearnedTable, NodeSpec) {
    let (mut table, node) = (LearnedTable::default(), command("parse", &["python3", "parser.py"]));
    for at in 0..3 {
        table.add_one(CODE, RESTART, Some(&node), Outcome::Ineffective, None, at);
    }
    (table, node)
}

fn told(table: &LearnedTable, node: NodeSpec, now: u64) -> Vec<u64> {
    let findings = [failed(&node.id)];
    let graph = GraphSpec { nodes: vec![node], edges: Vec::new() };
    table.told(&findings, &graph, now, 64).iter().map(|one| one.ineffective).collect()
}

#[test]
fn what_did_not_help_one_program_says_nothing_of_another() {
    let (table, node) = in_vain();
    assert_eq!(node.program(), "python3 parser.py");
    assert_eq!(told(&table, node, 3), [3]);
    assert!(told(&table, command("parse", &["python3", "scorer.py"]), 3).is_empty());
    let mut other = command("map", &[]);
    other.config = serde_json::json!({ "field": "a" });
    let mut differs = other.clone();
    differs.config = serde_json::json!({ "field": "b" });
    assert_ne!(other.program(), differs.program());
}

#[test]
fn what_did_not_help_weighs_half_after_an_hour_and_nothing_after_some() {
    let (table, node) = in_vain();
    assert_eq!(told(&table, node.clone(), HOUR), [2]);
    assert!(told(&table, node, 4 * HOUR).is_empty());
    let all = Vec::<Learned>::from(table);
    assert_eq!((all[0].ineffective, all[0].program.as_deref()), (3, Some("python3 parser.py")));
    assert!((all[0].weight(2 + HOUR) + 1.5).abs() < 0.001, "{}", all[0].weight(2 + HOUR));
}

#[test]
fn a_success_with_another_program_halves_what_was_in_vain() {
    let (mut table, node) = in_vain();
    table.add_one(CODE, RESTART, Some(&command("score", &["scorer"])), Outcome::Verified, None, 4);
    assert_eq!(told(&table, node, 4), [1]);
}

#[test]
fn an_outcome_that_was_thought_to_be_another_before_is_counted_once() {
    let (mut table, node) = in_vain();
    table.add_one(CODE, RESTART, Some(&node), Outcome::Worse, None, 3);
    table.add_one(CODE, RESTART, Some(&node), Outcome::RolledBack, Some(Outcome::Worse), 3);
    let all = Vec::<Learned>::from(table);
    assert_eq!((all[0].worse, all[0].rolled_back), (0, 1));
    assert!((all[0].weight(3) + 4.0).abs() < 0.001, "{}", all[0].weight(3));
}

#[test]
fn only_what_is_meant_is_forgotten() {
    let (mut table, node) = in_vain();
    let other = LearnedFilter { program: Some("scorer".to_owned()), ..LearnedFilter::default() };
    assert_eq!(table.forget(&other), 0);
    let it = LearnedFilter { program: Some(node.program()), kind: Some(RESTART), ..LearnedFilter::default() };
    assert_eq!(table.forget(&it), 1);
    assert!(Vec::<Learned>::from(table).is_empty());
}
