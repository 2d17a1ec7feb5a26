#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! What strangers give: names that steer a terminal, paths that hang, files that are none, a journal whose chain was taken
//! away; and readers that go away. The program says so, ends, and shows nothing that a terminal obeys.

mod support;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use flyball_model::{
    Action, Attributed, Decision, PluginId, Proposal, Reason, TickRecord, Verdict, VerdictRecord, is_hidden,
};
use flyball_ports::Journal;
use rusqlite::Connection;
use serde_json::Value;
use support::{flyball, said};

const PIPELINE: &str = "name: shop
nodes:
  - { id: in, type: generate, params: { per_second: 50, limit: 5 } }
  - { id: slow-db, type: map, params: { template: { a: 1 } } }
  - { id: out, type: discard }
connections: [{ from: in, to: slow-db }, { from: slow-db, to: out }]
";

const POLICY: &str = "name: demo
judges:
  heuristics: [{ plugin: threshold-heuristic }]
  deciders: [{ plugin: rule-decider }]
  validators: [{ plugin: mutation-policy }, { plugin: protected-nodes, settings: { nodes: [nothing-like-it] } }]
";

fn run(dir: &Path, arguments: &[&str]) -> Output {
    flyball().current_dir(dir).args(arguments).args(["--state", "state"]).output().unwrap()
}

/// Nothing that a terminal obeys, in either stream.
fn assert_plain(output: &Output) {
    let said = said(output);
    assert!(!said.chars().any(|letter| letter != '\n' && is_hidden(letter)), "{said:?}");
}

#[test]
fn names_that_steer_a_terminal_are_refused_at_their_line_and_shown_as_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let hostile = [
        ("session", "name: \"shop\\e]0;owned\\a\\e[2J\\e[1;1Hall is well\"\nnodes: []\nconnections: []\n"),
        (
            "node",
            "name: x\nnodes:\n  - { id: \"a\\u202e\", type: discard }\nconnections: [ { from: \"b\\e]0;x\\a\", to: out } ]\n",
        ),
        ("policy", "name: \"p\\u200b\"\nprotected_nodes: [\"in\\u2060\"]\njudges: {}\n"),
        ("raw", "name: x # \u{1b}[2J\nnodes: [\u{202e}\nconnections: 1\n"),
    ];
    for (name, text) in hostile {
        let file = format!("{name}.yaml");
        fs::write(dir.path().join(&file), text).unwrap();
        let output = run(dir.path(), &["check", &file]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert_plain(&output);
        assert!(said(&output).contains(&format!("{file}:")), "{}", said(&output));
        if name != "raw" {
            assert!(said(&output).contains("a character that cannot be seen, U+"), "{}", said(&output));
        }
    }
    let output = run(dir.path(), &["run", "session.yaml"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_plain(&output);
}

#[test]
fn what_people_and_file_names_say_is_shown_and_not_obeyed() {
    let dir = tempfile::tempdir().unwrap();
    // A person's words, as they come back from the journal; JSON stays JSON.
    run(dir.path(), &["halt", "--why", "look\u{1b}]0;owned\u{7}\u{202e} here\n2026-11-27 all is well"]);
    let told = run(dir.path(), &["journal", "--events"]);
    assert_plain(&told);
    assert!(said(&told).contains("look\\u{1b}]0;owned\\u{7}\\u{202e} here\\n2026"), "{}", said(&told));
    let json = run(dir.path(), &["journal", "--events", "--json"]);
    assert_plain(&json);
    let event: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(event["why"].as_str().unwrap().contains("\u{202e}"), "{event}");

    let plugins = dir.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    fs::write(plugins.join("evil\u{1b}[2J\u{202e}\nERROR forged.wasm"), b"\0asm garbage").unwrap();
    for arguments in
        [&["plugins", "--plugins", "plugins"][..], &["plugins", "--plugins", "plugins", "--json", "-vv"]]
    {
        let output = run(dir.path(), arguments);
        assert_plain(&output);
        assert!(!said(&output).lines().any(|line| line.starts_with("ERROR forged")), "{}", said(&output));
    }
    let odd = "no\u{1b}[2J\nsuch.yaml";
    let output = run(dir.path(), &["check", odd]);
    assert_plain(&output);
    assert!(said(&output).contains("no\\u{1b}[2J\\nsuch.yaml"), "{}", said(&output));
    let output = run(dir.path(), &["no\u{1b}[2Jsuch-command"]);
    assert_eq!(output.status.code(), Some(2));
    assert_plain(&output);
}

#[test]
fn a_path_that_leads_to_no_file_ends_with_a_sentence_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo.yaml");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    fs::create_dir(dir.path().join("folder.wasm")).unwrap();
    fs::write(dir.path().join("large.yaml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    fs::write(dir.path().join("latin.yaml"), b"name: shop\nsummary: caf\xe9\n").unwrap();
    fs::write(dir.path().join("pipeline.yaml"), PIPELINE).unwrap();
    for (arguments, expected) in [
        (&["check", "/dev/zero"][..], "it is a device, not a file"),
        (&["check", "fifo.yaml"], "it is a pipe, not a file"),
        (&["check", "."], "./fifo.yaml: it is a pipe, not a file"),
        (&["check", "large.yaml"], "it has 1048577 bytes, and at most 1048576 are read; split it"),
        (&["check", "latin.yaml"], "latin.yaml:2:13: the text is not UTF-8 (byte 0xe9); save it as UTF-8"),
        (&["check", "nowhere.yaml"], "cannot read nowhere.yaml: there is no such file"),
        (&["run", "fifo.yaml"], "it is a pipe, not a file"),
        (&["run", "."], "it is a directory, not a file"),
        (&["inspect", "/dev/zero"], "it is a device, not a file"),
        (&["inspect", "folder.wasm"], "it is a directory, not a file"),
        (&["verify", "fifo.yaml", "--key", "/dev/zero"], "it is a device, not a file"),
        (&["sign", "pipeline.yaml", "--key", "fifo.yaml"], "it is a pipe, not a file"),
    ] {
        let mut child = flyball();
        child.current_dir(dir.path()).args(arguments).args(["--state", "state"]);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = child.stderr.take().unwrap();
        support::until("it ended", Duration::from_secs(300), || child.try_wait().unwrap().is_some());
        let mut told = String::new();
        errors.read_to_string(&mut told).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{arguments:?}: {told}");
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
}

#[test]
fn whoever_only_reads_makes_no_state_directory() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pipeline.yaml"), PIPELINE).unwrap();
    for arguments in [
        &["journal"][..],
        &["journal", "verify"],
        &["journal", "migrate"],
        &["explain"],
        &["recordings"],
        &["deciders"],
        &["replay", "--all"],
        &["check", "pipeline.yaml"],
        &["plugins"],
        &["approvals"],
        &["changes"],
        &["dead-letters", "list"],
        &["rollback", "1"],
    ] {
        let output = run(dir.path(), arguments);
        assert!(!dir.path().join("state").exists(), "{arguments:?} made it: {}", said(&output));
        let code = output.status.code();
        assert!(matches!(code, Some(0..=3)), "{arguments:?} {code:?}: {}", said(&output));
    }
}

/// The program with a standard output, or error, that nobody reads any more.
fn unread(dir: &Path, arguments: &[&str], errors_too: bool) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command: Command = flyball();
    command.current_dir(dir).args(arguments).args(["--state", "state"]);
    if errors_too {
        command.stderr(writer.try_clone().unwrap());
    } else {
        command.stderr(Stdio::piped());
    }
    let output = command.stdout(writer).spawn().unwrap().wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn no_command_panics_when_nobody_reads_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pipeline.yaml"), PIPELINE).unwrap();
    run(dir.path(), &["halt", "--why", "x"]);
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["no-such-command"],
        &["journal"],
        &["journal", "--events"],
        &["journal", "--events", "--json"],
        &["journal", "verify"],
        &["journal", "verify", "--json"],
        &["deciders"],
        &["deciders", "--json"],
        &["explain"],
        &["recordings"],
        &["replay", "--all"],
        &["plugins"],
        &["plugins", "--json"],
        &["check", "pipeline.yaml"],
        &["check", "nowhere.yaml"],
        &["inspect", "pipeline.yaml"],
        &["schema", "policy"],
        &["completions", "bash"],
        &["approvals"],
        &["changes"],
        &["dead-letters", "list"],
        &["rollback", "1"],
        &["halt", "--why", "x"],
        &["keygen", "--out", "key"],
        &["scenario", "."],
        &["run", "pipeline.yaml", "--duration", "0s", "-vv"],
    ] {
        for errors_too in [false, true] {
            let (code, errors) = unread(dir.path(), arguments, errors_too);
            assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
            assert_ne!(code, Some(101), "{arguments:?} {errors_too}: {errors}");
            assert!(code.is_some(), "{arguments:?} was ended by a signal");
        }
    }
}

#[test]
fn a_guard_that_names_no_node_is_told_when_a_session_starts() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pipeline.yaml"), PIPELINE).unwrap();
    fs::create_dir(dir.path().join("policies")).unwrap();
    fs::write(
        dir.path().join("policies/demo.yaml"),
        format!("{POLICY}protected_nodes: [slwo-db, \"slow*\"]\n"),
    )
    .unwrap();
    let output = run(dir.path(), &["run", "pipeline.yaml", "--policy", "policies"]);
    assert!(output.status.success(), "{}", said(&output));
    let told = said(&output);
    assert!(told.contains("shop: policy demo: /protected_nodes/0: \"slwo-db\" protects nothing"), "{told}");
    assert!(
        told.contains("/judges/validators/1/settings/nodes/0: \"nothing-like-it\" protects nothing"),
        "{told}"
    );
    assert!(!told.contains("\"slow*\" protects nothing"), "{told}");
    assert!(told.contains("journal: ") && told.contains(" entries, head "), "{told}");

    fs::write(
        dir.path().join("own.yaml"),
        format!("{PIPELINE}controller: {{ protected_nodes: [\"fast*\", \"slow*\"] }}\n"),
    )
    .unwrap();
    let output = run(dir.path(), &["check", "own.yaml"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("own.yaml:7:"), "{}", said(&output));
    assert!(said(&output).contains("no node fits \"fast*\""), "{}", said(&output));
    assert!(!said(&output).contains("\"slow*\""), "{}", said(&output));
}

#[test]
fn a_journal_whose_chain_was_taken_away_is_neither_run_on_nor_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pipeline.yaml"), PIPELINE).unwrap();
    assert!(run(dir.path(), &["run", "pipeline.yaml"]).status.success());
    let path = dir.path().join("state/journal.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(
        "DROP TABLE chain; DROP TABLE events; DELETE FROM sqlite_sequence WHERE name IN ('chain','events');
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(db);
    for (arguments, expected) in [
        (&["run", "pipeline.yaml"][..], "nothing shows whether it was altered"),
        (&["journal", "verify"], "nothing shows whether it was altered"),
        (&["journal", "migrate"], "somebody took its chain away"),
    ] {
        let output = run(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(expected), "{arguments:?}: {}", said(&output));
    }
    // One that really is old: nothing beside it that only a newer host makes.
    fs::remove_file(dir.path().join("state/quiet-ticks.db")).unwrap();
    let output = run(dir.path(), &["journal", "migrate"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("rows are taken over as they were"), "{}", said(&output));
    for _ in 0..2 {
        let output = run(dir.path(), &["journal", "verify"]);
        assert!(output.status.success(), "{}", said(&output));
        assert!(
            said(&output).contains("were taken over from a journal without a chain on 20"),
            "{}",
            said(&output)
        );
        assert!(run(dir.path(), &["run", "pipeline.yaml"]).status.success());
    }
}

#[test]
fn times_are_told_how_to_write_and_a_log_filter_that_is_none_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pipeline.yaml"), PIPELINE).unwrap();
    for wrong in ["90", "-5s", "1M", "soon"] {
        let output = run(dir.path(), &["run", "pipeline.yaml", "--duration", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}: {}", said(&output));
        assert!(
            said(&output).contains("write it like 250ms, 90s, 5m, 1h30m, 1.5h or 1d"),
            "{wrong}: {}",
            said(&output)
        );
    }
    let output = run(dir.path(), &["run", "pipeline.yaml", "--duration", "1.5h"]);
    assert!(output.status.success(), "its source ends before: {}", said(&output));
    let output = flyball()
        .current_dir(dir.path())
        .args(["journal", "--state", "state"])
        .env("FLYBALL_LOG", "nonsense=[[[")
        .output()
        .unwrap();
    assert!(said(&output).contains("FLYBALL_LOG is passed over"), "{}", said(&output));
}

/// A tick on which a validator said no.
fn denied(tick: u64, replicas: u32) -> TickRecord {
    let by = |name: &str| PluginId { name: name.into(), version: "0.1.0".into(), digest: "00".into() };
    let action = Action::ScaleNode { node: "slow".into(), replicas };
    let reason =
        Reason { code: "too-many".into(), message: "at most 1".into(), hint: None, rests_on: Vec::new() };
    let proposal = Proposal {
        action: action.clone(),
        reason: "it is full".into(),
        confidence: None,
        rests_on: Vec::new(),
    };
    let said = Decision { analysis: String::new(), issues: Vec::new(), proposal };
    let verdict = VerdictRecord { by: by("scale-cap"), within: None, action, verdict: Verdict::Deny(reason) };
    let record = serde_json::json!({
        "session": "shop", "tick": tick, "at": 1_000 + tick, "generation": 1, "ending": "rejected", "took_ns": 1,
    });
    let record: TickRecord = serde_json::from_value(record).unwrap();
    TickRecord {
        decision: Some(Attributed { by: by("rule-decider"), said }),
        verdicts: vec![verdict],
        ..record
    }
}

#[test]
fn the_first_denial_stands_in_the_plain_journal_and_the_same_once_more_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = flyball_store::Store::open(&dir.path().join("state")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for (tick, replicas) in [(1, 2), (2, 2), (3, 2), (4, 5), (5, 2)] {
            store.tick(&denied(tick, replicas).into()).await.unwrap();
        }
        store.halts().await.unwrap();
    });
    drop(store);
    let told = run(dir.path(), &["journal"]);
    assert!(told.status.success(), "{}", said(&told));
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert_eq!(told.matches("  denied").count(), 3, "{told}");
    assert!(
        told.contains("scale slow to 2, decided by rule-decider  denied, and 2 times more after it"),
        "{told}"
    );
    assert!(
        told.contains("scale-cap denies it (too-many): at most 1; `flyball explain 1 --session shop`"),
        "{told}"
    );
    let json = run(dir.path(), &["journal", "--json"]);
    assert!(json.stdout.is_empty(), "JSON lines are actions: {}", said(&json));
}
