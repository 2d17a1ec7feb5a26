//! A manifest may come from anybody: four times as many nodes and edges take some four times as long to check.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::time::Duration;

use flyball_model::Manifest;
use flyball_pipeline::check;
use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use support::TestNodes;

/// What of this thread's time a check takes, others on the machine not counted; the least of some tries.
fn cost(manifest: &Manifest) -> Duration {
    let now = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let tries = (0..3).map(|_| {
        let begun = now();
        drop(check(manifest, &TestNodes));
        now().saturating_sub(begun)
    });
    tries.min().unwrap()
}

fn manifest(
    nodes: impl Iterator<Item = String>,
    edges: Vec<(String, String)>,
    protected: Vec<String>,
) -> Value {
    let work = nodes.map(|id| json!({ "id": id, "type": "batch" }));
    let ends = [json!({ "id": "source", "type": "generate" }), json!({ "id": "out", "type": "discard" })];
    let edges: Vec<Value> = edges.into_iter().map(|(from, to)| json!({ "from": from, "to": to })).collect();
    json!({
        "name": "m",
        "nodes": ends.into_iter().chain(work).collect::<Vec<_>>(),
        "connections": edges,
        "controller": { "protected_nodes": protected },
    })
}

fn named(index: usize) -> String {
    format!("a-node-of-some-length-{index}")
}

fn all(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(named)
}

/// Each makes a manifest of about so many parts.
type Shape = (&'static str, fn(usize) -> Value);

const SHAPES: &[Shape] = &[
    ("a chain", |n| manifest(all(n), (1..n).map(|i| (named(i - 1), named(i))).collect(), vec![])),
    ("a chain from its end", |n| {
        manifest(all(n), (1..n).map(|i| (named(i), named(i - 1))).collect(), vec![])
    }),
    ("nodes alone", |n| manifest(all(n), vec![], vec![])),
    ("one name for all", |n| manifest(all(n).map(|_| "same".to_owned()), vec![], vec![])),
    ("ends that are no nodes", |n| {
        manifest(
            all(n),
            (0..n).map(|i| (format!("a-nod-of-some-length-{i}"), "nowhere".to_owned())).collect(),
            vec![],
        )
    }),
    ("one edge again and again", |n| {
        manifest(all(n), (0..n).map(|_| (named(0), named(1))).collect(), vec![])
    }),
    ("many rings", |n| {
        let ring = |i: usize| [(named(2 * i), named(2 * i + 1)), (named(2 * i + 1), named(2 * i))];
        manifest(all(n), (0..n / 2).flat_map(ring).collect(), vec![])
    }),
    ("one ring", |n| manifest(all(n), (0..n).map(|i| (named(i), named((i + 1) % n))).collect(), vec![])),
    ("a ring with chords", |n| {
        let edges = (0..n).flat_map(|i| [(named(i), named((i + 1) % n)), (named(i), named(0))]);
        manifest(all(n), edges.collect(), vec![])
    }),
    ("what is behind a ring", |n| {
        let ring = [(named(0), named(1)), (named(1), named(0))];
        manifest(all(n), ring.into_iter().chain((1..n).map(|i| (named(i - 1), named(i)))).collect(), vec![])
    }),
    ("guards of nothing", |n| {
        manifest(all(n), vec![], (0..n).map(|i| format!("a-nod-of-some-length-{i}")).collect())
    }),
    ("patterns of nothing", |n| manifest(all(n), vec![], (0..n).map(|i| format!("*-nod-{i}*")).collect())),
];

#[test]
fn four_times_as_many_parts_do_not_take_sixteen_times_as_long_to_check() {
    const PARTS: usize = 300;
    let read = |value| serde_json::from_value::<Manifest>(value).unwrap();
    let slow: Vec<String> = SHAPES
        .iter()
        .filter_map(|(name, shape)| {
            let (one, four) = (cost(&read(shape(PARTS))), cost(&read(shape(4 * PARTS))));
            let most = 8 * one + Duration::from_millis(25);
            (four > most).then(|| format!("{name}: {one:?}, then {four:?}"))
        })
        .collect();
    assert!(slow.is_empty(), "{slow:#?}");
}

#[test]
fn rings_that_share_no_node_are_each_told_and_one_with_chords_once() {
    let problems = |value| {
        let found = check(&serde_json::from_value(value).unwrap(), &TestNodes);
        found.iter().map(ToString::to_string).filter(|told| told.contains("a cycle: ")).collect::<Vec<_>>()
    };
    let (_, many) = SHAPES[6];
    assert_eq!(problems(many(6)).len(), 3);
    let (_, chords) = SHAPES[8];
    let told = problems(chords(40));
    assert_eq!(told.len(), 1, "{told:?}");
    let (_, one) = SHAPES[7];
    let told = problems(one(40));
    assert!(told[0].contains(" → … → ") && told[0].len() < 500, "{told:?}");
}
