#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! The journal as a user reads and verifies it.

mod support;

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use support::{flyball, said};

fn run(dir: &Path, arguments: &[&str]) -> Output {
    flyball().current_dir(dir).args(arguments).args(["--state", "state"]).output().unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// With what people say while no host runs.
fn journal() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for said_so in [
        &["halt", "--why", "I look at it"][..],
        &["halt", "shop", "--why", "the shop too"],
        &["resume", "--why", "it is well"],
    ] {
        let output = run(dir.path(), said_so);
        // It is kept, and no host was reached.
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    }
    dir
}

#[test]
fn what_people_did_to_the_loop_is_read_beside_actions_and_ticks() {
    let dir = journal();
    let told = lines(&run(dir.path(), &["journal", "--events", "--since", "1h"]));
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[0].contains(" host halted by a person (") && told[0].ends_with("): I look at it"),
        "oldest first: {told:?}"
    );
    assert!(told[1].contains(" shop halted by a person ("), "{told:?}");
    let of_shop = lines(&run(dir.path(), &["journal", "--events", "--session", "shop", "--json"]));
    let event: Value = serde_json::from_str(&of_shop[0]).unwrap();
    assert_eq!((of_shop.len(), &event["what"], &event["why"]), (1, &"halted".into(), &"the shop too".into()));

    for nothing in [&["journal"][..], &["journal", "--events", "--since", "0s"]] {
        let output = run(dir.path(), nothing);
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("the journal has nothing of that"), "{nothing:?}: {}", said(&output));
    }
    for wrong in [
        &["journal", "--events", "--ticks"][..],
        &["journal", "--outcome", "splendid"],
        &["journal", "--ticks", "--outcome", "verified"],
        &["journal", "--events", "verify"],
        &["journal", "verify", "--head", "abc"],
    ] {
        let output = run(dir.path(), wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", said(&output));
    }
}

#[test]
fn a_journal_that_is_as_it_was_written_verifies_and_prints_its_head() {
    let dir = journal();
    let output = run(dir.path(), &["journal", "verify"]);
    assert!(output.status.success(), "{}", said(&output));
    let told = lines(&output);
    assert_eq!(told[0], "the journal is as it was written, 3 entries");
    let head = told[1].strip_prefix("head ").unwrap();

    assert_eq!(run(dir.path(), &["halt", "--why", "once more"]).status.code(), Some(3));
    let output = run(dir.path(), &["journal", "verify", "--head", head]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains(&format!("4 entries, and holds all up to {head}\n")), "{}", said(&output));

    let output = run(dir.path(), &["journal", "verify", "--json"]);
    let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verified["verified"]["entries"], 4);
    assert_eq!(verified["verified"]["faults"], 0);
    assert_ne!(verified["verified"]["head"], head);
}

#[test]
fn each_fault_of_a_journal_that_was_altered_is_a_line_and_the_exit_code_says_so() {
    let dir = journal();
    let path = dir.path().join("state/journal.db");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(12).position(|window| window == b"I look at it").unwrap();
    bytes[at..at + 12].copy_from_slice(b"I looked at:");
    fs::write(&path, bytes).unwrap();

    let output = run(dir.path(), &["journal", "verify"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let told = lines(&output);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("row 1 of events was altered: its event is not the one in the chain; it says")
    );
    assert!(told[0].contains("I looked at:"), "{told:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("not as it was written: 1 fault;"),
        "{}",
        said(&output)
    );

    let elsewhere = "00".repeat(31) + "01";
    let output = run(dir.path(), &["journal", "verify", "--head", &elsewhere, "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let told: Vec<Value> = lines(&output).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0]["fault"], serde_json::json!({ "kind": "head-missing", "head": elsewhere }));
    assert_eq!((&told[1]["fault"]["kind"], &told[1]["fault"]["id"]), (&"row-altered".into(), &1.into()));
    assert_eq!(told[2]["verified"]["faults"], 2);
}
