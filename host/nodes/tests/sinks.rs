#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test says what is wrong by failing"
)]

use flyball_nodes::{Item, ProcessError, sink};
use serde_json::{Value, json};

fn items(bodies: impl IntoIterator<Item = Value>) -> Vec<Item> {
    bodies.into_iter().zip(1..).map(|(body, id)| Item { id, body: body.into() }).collect()
}

#[tokio::test]
async fn a_file_holds_a_line_for_each_item_once_it_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.jsonl");
    std::fs::write(&path, "before\n").unwrap();
    let mut file = sink("file", &json!({"path": path})).unwrap();
    let answers = file.deliver(&items([json!({"a": "x\ny"}), json!(2)])).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\n{\"a\":\"x\\ny\"}\n2\n");
    assert!(file.deliver(&items([json!(3)])).await[0].is_ok());
    file.finish().await.unwrap();
    assert!(std::fs::read_to_string(&path).unwrap().ends_with("2\n3\n"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_no_fault_of_the_items_and_is_told() {
    let mut file = sink("file", &json!({"path": "/dev/full"})).unwrap();
    let answers = file.deliver(&items([json!(1), json!(2)])).await;
    assert_eq!(answers.len(), 2);
    for answer in answers {
        let Err(ProcessError::Unavailable(told)) = answer else { panic!("{answer:?}") };
        assert!(told.why.starts_with("/dev/full cannot be written: ") && !told.by_item, "{told}");
    }
}

#[tokio::test]
async fn discard_and_stdout_take_everything() {
    for node_type in ["discard", "stdout"] {
        let mut out = sink(node_type, &json!({})).unwrap();
        assert!(out.deliver(&items([json!(1), json!({"a": 2})])).await.iter().all(Result::is_ok));
    }
}
