//! What items may be: the same digits and fields at the end as at the beginning, one limit for all places, and nothing
//! that one of them is kills a worker or stops a source.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Run, manifest, pass, sink};

fn lines_of(path: &std::path::Path) -> Value {
    json!({"id": "source", "type": "lines", "params": {"path": path}})
}

fn text(run: &Run, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(run.folder.path().join(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A line of nodes behind a file of these bytes, to its end.
async fn through(bytes: &[u8], nodes: Vec<Value>, items: Value) -> Run {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    let mut all = vec![lines_of(file.path())];
    all.extend(nodes);
    all.push(sink("out"));
    let ids: Vec<String> = all.iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect();
    let edges: Vec<(&str, &str)> = ids.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    let mut document = manifest(true, Value::Array(all), &edges);
    document["items"] = items;
    let run = Run::start(document).await;
    run.finish().await;
    run
}

fn parse() -> Value {
    json!({"id": "parse", "type": "parse-json"})
}

fn numerals() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?"
}

fn any_json() -> impl Strategy<Value = String> {
    let texts = || any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap());
    let leaf = prop_oneof![Just("null".to_owned()), numerals(), texts()];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::btree_map(texts(), inner, 0..4).prop_map(|fields| {
                let fields: Vec<String> =
                    fields.into_iter().map(|(name, value)| format!("{name}:{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn any_json_comes_out_of_every_kind_of_worker_with_the_same_digits_and_fields(
        items in prop::collection::vec(any_json(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let keep = json!({"id": "keep", "type": "filter", "params": {"field": "no such field", "exists": false}});
            let nodes = vec![parse(), pass("native", "native"), pass("child", "multiprocess"), pass("wasm", "wasm"), keep];
            let run = through(format!("{}\n", items.join("\n")).as_bytes(), nodes, json!({})).await;
            assert_eq!(text(&run, "out.jsonl"), items);
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_no_worker_could_bear_is_dead_lettered_with_its_bytes_and_no_worker_dies() {
    let deep = "[".repeat(127) + &"]".repeat(127);
    let mut bytes = b"\xef\xbb\xbf{\"n\":1}\n\n".to_vec();
    bytes.extend(std::iter::repeat_n(0, 900_000));
    bytes.extend_from_slice(b"{\"n\":2}\r\n\xff\xfe\n");
    bytes.extend_from_slice(format!("{deep}\n").as_bytes());
    bytes.extend_from_slice(format!("\"{}\"\n", "x".repeat(2_000_000)).as_bytes());
    bytes.extend_from_slice(b"{\"n\":3,\"n\":4}\n{\"n\":5}");
    for executor in ["native", "multiprocess"] {
        let run = through(&bytes, vec![parse(), pass("work", executor)], json!({})).await;
        assert_eq!(text(&run, "out.jsonl"), ["{\"n\":1}", "{\"n\":2}", "{\"n\":5}"]);
        let letters = run.lines("dead.jsonl");
        let errors: Vec<&str> = letters.iter().map(|letter| letter["error"].as_str().unwrap()).collect();
        assert_eq!(errors.len(), 4, "{errors:?}");
        assert!(errors.iter().any(|error| error.contains("not UTF-8")), "{errors:?}");
        assert!(errors.iter().any(|error| error.contains("nested more than 60 deep")), "{errors:?}");
        assert!(errors.iter().any(|error| error.contains("the line has 2000002 bytes")), "{errors:?}");
        assert!(errors.iter().any(|error| error.contains("the field \"n\" is there twice")), "{errors:?}");
        assert!(letters.iter().any(|letter| letter["item"] == json!({"hex": "fffe"})), "{letters:?}");
        assert!(letters.iter().any(|letter| letter["item"] == json!(deep)));
        let account = run.pipeline.account();
        assert_eq!((account.accepted, account.filtered), (8, 1), "the blank line is filtered");
        assert!(run.observe().await.errors.iter().all(|error| !error.message.contains("was killed")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_control_characters_passes_a_child_although_its_json_is_six_times_as_long() {
    let mut bytes = vec![1_u8; 900_000];
    bytes.push(b'\n');
    let run = through(&bytes, vec![pass("work", "multiprocess")], json!({})).await;
    let out = run.lines("out.jsonl");
    assert_eq!(out[0].as_str().unwrap().len(), 900_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_makes_is_held_against_the_limits_whatever_its_executor() {
    let items = json!({"depth": 4, "encoded_kb": 4, "memory_kb": 16});
    let grow = |executor: &str| {
        json!({"id": "grow", "type": "map", "executor": executor, "retries": 0,
            "params": {"template": {"a": "{{.}}", "b": "{{.}}", "c": {"d": {"e": "{{.}}"}}}}})
    };
    for executor in ["native", "multiprocess"] {
        let large = "x".repeat(2_000);
        let run =
            through(format!("small\n{large}\nfine\n").as_bytes(), vec![grow(executor)], items.clone()).await;
        assert_eq!(text(&run, "out.jsonl").len(), 2);
        let letters = run.lines("dead.jsonl");
        assert_eq!(letters[0]["item"], json!(large), "the item is kept as it was before the node");
        assert!(letters[0]["error"].as_str().unwrap().contains("item: 6"), "{}", letters[0]["error"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_items_pass_queues_that_hold_few_of_them_and_are_gathered_in_parts() {
    let items = json!({"encoded_kb": 1024, "memory_kb": 1024, "queue_mb": 1, "pipeline_mb": 1});
    let bytes: String = (0..40).map(|n| format!("{}{n}\n", "0".repeat(400_000))).collect();
    let gather = json!({"id": "gather", "type": "batch", "params": {"size": 1_000, "linger_ms": 50}});
    let nodes = vec![pass("a", "native"), pass("b", "multiprocess"), gather];
    let run = through(bytes.as_bytes(), nodes, items).await;
    let gathered: u64 = run.lines("out.jsonl").iter().map(|item| item["count"].as_u64().unwrap()).sum();
    assert_eq!(gathered, 40, "every item is in one gathered whole");
    assert_eq!(run.pipeline.account().delivered, 40);
}
