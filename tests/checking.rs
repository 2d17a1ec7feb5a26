#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! `flyball check`: what is wrong, and what is probably not meant, of files alone and held against each other.

#[path = "../host/engine/tests/engine/guests.rs"]
mod guests;
mod support;

use std::fs;
use std::path::Path;
use std::process::Output;

use insta::assert_snapshot;
use serde_json::{Value, json};
use support::{flyball, said};

const PIPELINE: &str = r#"name: flooded
nodes:
  - { id: in, type: generate, params: { per_second: 120, body: { text: "item {{n}}" } } }
  - { id: slow, type: wait, queue_capacity: 60, params: { ms_per_unit: 10 } }
  - { id: out, type: discard }
connections:
  - { from: in, to: slow }
  - { from: slow, to: out }
"#;

const POLICY: &str = r#"name: careful
mutation_policy: optimize
history: 40
judges:
  heuristics: [{ plugin: threshold-heuristic }]
  deciders: [{ plugin: rule-decider }]
  validators: [{ plugin: mutation-policy }]
  reversers: [{ plugin: standard-reverser }]
"#;

fn scratch(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = dir.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    dir
}

fn check(dir: &Path, arguments: &[&str]) -> Output {
    flyball().current_dir(dir).arg("check").args(arguments).args(["--state", "state"]).output().unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("{fault}: {}", said(output)))
}

/// The codes of these, in their order.
fn codes(document: &Value, of: &str) -> Vec<String> {
    document[of].as_array().unwrap().iter().map(|told| told["code"].as_str().unwrap().to_owned()).collect()
}

/// A component that brings these cases, as the SDK puts them in.
fn with_cases(component: Vec<u8>, files: &[(&str, &str)]) -> Vec<u8> {
    let text: String = files
        .iter()
        .map(|(name, text)| format!("{}\n{text}\n", json!({ "flyball-case-file": format!("../{name}") })))
        .collect();
    let name = b"flyball:cases";
    let body = [&leb128(name.len())[..], name, text.as_bytes()].concat();
    [&component[..], &[0], &leb128(body.len()), &body].concat()
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[test]
fn a_plugin_is_asked_its_own_golden_cases_and_each_that_fails_is_told_with_its_file_and_line() {
    let dir = scratch(&[]);
    let well = r#"{ "about": "all is well", "expect": { "findings": [] } }"#;
    let lost = "\n{ \"about\": \"all is lost\",\n  \"expect\": { \"findings\": [\"critical doom a\"] } }";
    let good = with_cases(guests::guest("probe", "1.0.0", ""), &[("cases/well.json", well)]);
    fs::write(dir.path().join("probe.wasm"), good).unwrap();
    let output = check(dir.path(), &["probe.wasm"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("1 golden cases, each answered as it should be"), "{}", said(&output));

    let files = [("cases/well.json", well), ("cases/lost.json", lost)];
    fs::write(dir.path().join("probe.wasm"), with_cases(guests::guest("probe", "1.0.0", ""), &files))
        .unwrap();
    let output = check(dir.path(), &["probe.wasm"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("\"all is lost\" (cases/lost.json:2)") && text.contains("critical doom a"),
        "{text}"
    );
    let document = document(&check(dir.path(), &["probe.wasm", "--format", "json"]));
    assert_eq!(
        (codes(&document, "faults"), &document["ok"]),
        (vec!["golden-case".to_owned()], &json!(false))
    );
}

#[test]
fn a_folder_is_checked_whole_and_its_files_are_held_against_each_other() {
    let dir = scratch(&[
        ("here/pipeline.yaml", PIPELINE),
        ("here/policies/careful.yaml", POLICY),
        ("here/policies/.hidden.yaml", POLICY),
        ("here/policies/LOUD.YAML", POLICY),
        ("here/notes.txt", "nothing"),
        ("here/target/left.yaml", "not a document of anybody's"),
    ]);
    fs::create_dir(dir.path().join("here/plugins")).unwrap();
    fs::write(dir.path().join("here/plugins/probe.wasm"), guests::guest("probe", "1.0.0", "")).unwrap();
    let output = check(dir.path(), &["here"]);
    assert!(output.status.success(), "{}", said(&output));
    let document = document(&check(dir.path(), &["here", "--format", "json"]));
    let files: Vec<&str> =
        document["files"].as_array().unwrap().iter().map(|file| file["file"].as_str().unwrap()).collect();
    assert_eq!(
        files,
        [
            "here/pipeline.yaml",
            "here/plugins/probe.wasm",
            "here/policies/.hidden.yaml",
            "here/policies/LOUD.YAML",
            "here/policies/careful.yaml"
        ]
    );
    assert_eq!(codes(&document, "warnings"), ["unused-plugin", "not-read", "not-read"]);

    let empty = scratch(&[("nothing/notes.txt", "nothing")]);
    let output = check(empty.path(), &["nothing"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("there is no manifest"), "{}", said(&output));
}

#[test]
fn a_session_that_no_policy_judges_is_told_with_the_pattern_that_was_probably_meant() {
    for (pattern, help) in [
        ("Flooded*", "capital and small letters differ"),
        ("floded", "did you mean \"flooded\" there?"),
        ("orders*", "add it to the `sessions` of a policy (careful judges orders*)"),
    ] {
        let policy = format!("sessions: [\"{pattern}\"]\n{POLICY}");
        let dir = scratch(&[("pipeline.yaml", PIPELINE), ("policy.yaml", &policy)]);
        let document = document(&check(dir.path(), &["pipeline.yaml", "policy.yaml", "--format", "json"]));
        let warning = &document["warnings"][0];
        assert_eq!((&warning["code"], &warning["line"]), (&json!("no-policy"), &json!(1)), "{document:#}");
        assert!(warning["help"].as_str().unwrap().contains(help), "{pattern}: {warning}");
    }
    let good = scratch(&[("pipeline.yaml", PIPELINE), ("policy.yaml", POLICY)]);
    let output = check(good.path(), &["pipeline.yaml", "policy.yaml"]);
    assert!(said(&output).contains("judged by the policy careful"), "{}", said(&output));
}

#[test]
fn two_policies_that_claim_a_session_are_a_fault_of_the_two_together() {
    let other = POLICY.replace("name: careful", "name: other");
    let dir = scratch(&[("pipeline.yaml", PIPELINE), ("one.yaml", POLICY), ("two.yaml", &other)]);
    let output = check(dir.path(), &["pipeline.yaml", "one.yaml", "two.yaml"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("pipeline.yaml:1:7: the session \"flooded\" matches"),
        "{}",
        said(&output)
    );
    let twice = check(dir.path(), &["one.yaml", "one.yaml"]);
    assert!(said(&twice).contains("is called \"careful\" too"), "{}", said(&twice));
}

#[test]
fn a_protected_node_that_there_is_not_is_told_with_the_nearest_one() {
    let policy = format!("{POLICY}protected_nodes: [slwo, \"o*\"]\n");
    let dir = scratch(&[("pipeline.yaml", PIPELINE), ("policy.yaml", &policy)]);
    let document = document(&check(dir.path(), &["pipeline.yaml", "policy.yaml", "--format", "json"]));
    assert_eq!(codes(&document, "warnings"), ["no-such-node"], "a pattern that matches is none");
    let warning = &document["warnings"][0];
    assert_eq!(warning["line"], 9, "{warning}");
    assert!(warning["help"].as_str().unwrap().contains("did you mean \"slow\"?"), "{warning}");
}

#[test]
fn what_a_policy_leaves_out_is_told() {
    let policy = "name: p\nmutation_policy: optimize\njudges:\n  deciders: [{ plugin: rule-decider }]\n";
    let dir = scratch(&[("policy.yaml", policy)]);
    let found = document(&check(dir.path(), &["policy.yaml", "--format", "json"]));
    assert_eq!(found["ok"], true, "a warning is no fault");
    let mut told = codes(&found, "warnings");
    told.retain(|code| code != "never-fires");
    assert_eq!(told, ["no-heuristics", "no-reversers"]);
    let undo_off = policy.replace("judges:", "safety: { undo_worse: false }\njudges:");
    let dir = scratch(&[("policy.yaml", &undo_off)]);
    let found = document(&check(dir.path(), &["policy.yaml", "--format", "json"]));
    assert!(!codes(&found, "warnings").contains(&"no-reversers".to_owned()), "{found:#}");
}

#[test]
fn an_origin_on_this_machine_that_the_grant_does_not_let_be_reached_is_told_at_its_line() {
    let policy = |private: &str| {
        format!(
            "name: p\njudges:\n  heuristics: [{{ plugin: threshold-heuristic }}]\n  catalogs:\n    - plugin: http-catalog\n      \
             settings: {{ url: \"http://127.0.0.1:8765/types\" }}\n      grants:\n        http:\n          origins:\n            - http://127.0.0.1:8765\n            - http://localhost:1\n            - https://example.com\n{private}"
        )
    };
    let dir = scratch(&[("policy.yaml", &policy(""))]);
    let found = document(&check(dir.path(), &["policy.yaml", "--format", "json"]));
    assert_eq!(codes(&found, "warnings"), ["private-origin", "private-origin"], "{found:#}");
    let lines: Vec<&Value> = found["warnings"].as_array().unwrap().iter().map(|one| &one["line"]).collect();
    assert_eq!(lines, [10, 11]);
    let help = found["warnings"][0]["help"].as_str().unwrap();
    assert!(help.contains("private: [\"127.0.0.1\"]"), "{help}");
    let dir = scratch(&[("policy.yaml", &policy("          private: [\"127.0.0.1\"]\n"))]);
    let found = document(&check(dir.path(), &["policy.yaml", "--format", "json"]));
    assert_eq!(codes(&found, "warnings"), Vec::<String>::new(), "{found:#}");
}

#[test]
fn settings_faults_are_told_at_the_key_with_the_nearest_name_and_the_range() {
    let settings = "      settings: { queue_fil: 0.5, error_fraction: 7 }\n";
    let policy = POLICY.replace(
        "  heuristics: [{ plugin: threshold-heuristic }]\n",
        &format!("  heuristics:\n    - plugin: threshold-heuristic\n{settings}"),
    );
    let dir = scratch(&[("policy.yaml", &policy)]);
    let found = document(&check(dir.path(), &["policy.yaml", "--format", "json"]));
    let faults = found["faults"].as_array().unwrap();
    let at = |fault: &Value| (fault["line"].as_u64().unwrap(), fault["column"].as_u64().unwrap());
    assert_eq!(at(&faults[0]), (7, 19), "the key, not its value: {found:#}");
    assert_eq!(codes(&found, "faults"), ["unknown-key", "out-of-range"]);
    assert_eq!(faults[0]["help"], "did you mean \"queue_fill\"?");
    assert_eq!(faults[1]["message"], "error_fraction must be 0 to 1, not 7");
}

#[test]
fn a_node_type_that_there_is_not_is_told_with_those_that_there_are() {
    let with = |node_type: &str| PIPELINE.replace("type: wait", &format!("type: {node_type}"));
    let dir = scratch(&[("far.yaml", &with("redact-everything")), ("near.yaml", &with("wiat"))]);
    let far = check(dir.path(), &["far.yaml"]);
    let text = said(&far);
    assert!(
        text.contains("far.yaml:4:23: unknown node type \"redact-everything\"; the types are batch,"),
        "{text}"
    );
    assert!(text.contains("tokenise") && text.contains("plugins of world node"), "{text}");
    assert!(said(&check(dir.path(), &["near.yaml"])).contains("did you mean \"wait\"?"));
    let judge = PIPELINE.replace("type: wait,", "type: mutation-policy, executor: wasm,");
    let dir = scratch(&[("judge.yaml", &judge)]);
    let text = said(&check(dir.path(), &["judge.yaml"]));
    assert!(text.contains("the plugin \"mutation-policy\" is a validator, not a node"), "{text}");
}

#[test]
fn the_schema_of_a_manifest_lists_the_node_types_with_what_they_take() {
    let dir = scratch(&[]);
    let output = flyball().arg("schema").arg("manifest").output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let named = schema["$defs"]["NodeDeclaration"]["properties"]["type"]["anyOf"].as_array().unwrap();
    assert!(named.iter().any(|one| one["const"] == "csv-replay"), "{named:#?}");
    let validator = jsonschema::validator_for(&schema).unwrap();
    let manifest = |node: Value| json!({ "name": "x", "nodes": [node], "connections": [] });
    assert!(
        validator.is_valid(&manifest(json!({ "id": "a", "type": "wait", "params": { "ms_per_unit": 1 } })))
    );
    assert!(
        !validator
            .is_valid(&manifest(json!({ "id": "a", "type": "wait", "params": { "ms_per_unit": "x" } })))
    );
    assert!(validator.is_valid(&manifest(json!({ "id": "a", "type": "my-plugin", "params": { "x": 1 } }))));
    drop(dir);
}

#[test]
fn a_policy_written_as_json_is_a_policy_and_a_golden_case_is_checked_as_one() {
    let policy = json!({
        "name": "demo",
        "judges": { "heuristics": [{ "plugin": "threshold-heuristic" }] }
    });
    let case = "{\n  \"about\": \"x\",\n  \"expct\": {}\n}";
    let dir = scratch(&[("demo.yaml", &policy.to_string()), ("cases/x.json", case)]);
    let output = check(dir.path(), &["demo.yaml"]);
    assert!(said(&output).contains("policy demo: 1 heuristics"), "{}", said(&output));
    let text = said(&check(dir.path(), &["cases"]));
    assert!(text.contains("cases/x.json:3:3: unknown key \"expct\"; did you mean \"expect\"?"), "{text}");
}

#[test]
fn a_file_that_is_named_with_underscores_is_told_to_be_renamed() {
    let dir = scratch(&[("policy.yaml", &POLICY.replace("threshold-heuristic", "scale-cap"))]);
    fs::create_dir(dir.path().join("plugins")).unwrap();
    fs::write(dir.path().join("plugins/scale_cap.wasm"), guests::guest("scale-cap", "1.0.0", "")).unwrap();
    let text = said(&check(dir.path(), &["policy.yaml", "--plugins", "plugins"]));
    assert!(text.contains("the plugin \"scale-cap\" lies in scale_cap.wasm"), "{text}");
    assert!(text.contains("rename it to scale-cap.wasm"), "{text}");
    let text = said(&check(dir.path(), &["plugins/scale_cap.wasm"]));
    assert!(text.contains("rename it: mv plugins/scale_cap.wasm plugins/scale-cap.wasm"), "{text}");
}

#[test]
fn a_plugin_with_wasi_is_shown_to_have_it_and_why_that_may_be() {
    let dir = scratch(&[]);
    fs::write(dir.path().join("with-wasi.wasm"), guests::wasi_guest()).unwrap();
    fs::write(dir.path().join("lean.wasm"), guests::guest("lean", "1.0.0", "")).unwrap();
    let inspect = |file: &str| {
        let arguments = ["inspect", file, "--state", "state"];
        said(&flyball().current_dir(dir.path()).args(arguments).output().unwrap())
    };
    let text = inspect("with-wasi.wasm");
    assert!(text.contains("wasi       2 interfaces") && text.contains("cargo build -p NAME"), "{text}");
    let text = inspect("lean.wasm");
    assert!(text.contains("wasi       no\n"), "{text}");
}

#[test]
fn people_read_faults_and_warnings_with_place_cause_and_next_step() {
    let policy = "name: p\nsessions: [floded]\nmutation_policy: optimize\nprotected_nodes: []\njudges:\n  deciders: [{ plugin: rule-decider }]\n";
    let dir = scratch(&[
        ("pipeline.yaml", PIPELINE),
        ("policy.yaml", policy),
        ("wrong.yaml", "name: w\njudges: { heuristcs: [] }\n"),
    ]);
    let output = check(dir.path(), &["pipeline.yaml", "policy.yaml", "wrong.yaml", "missing.yaml"]);
    assert_snapshot!(said(&output));
}

#[test]
fn a_state_directory_in_a_folder_is_the_host_s_and_is_not_checked() {
    let dir = scratch(&[
        ("pipeline.yaml", PIPELINE),
        ("state/journal.db", ""),
        ("state/plugins/0123.wasm", "no plugin"),
    ]);
    let output = check(dir.path(), &["."]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!said(&output).contains("0123.wasm"), "{}", said(&output));
}

#[test]
fn a_folder_of_policies_that_is_not_there_is_refused_and_one_of_plugins_is_told() {
    let dir = scratch(&[("pipeline.yaml", PIPELINE)]);
    let run = |flag: &str| {
        let arguments = ["run", "pipeline.yaml", flag, "nowhere", "--duration", "1s"];
        flyball().current_dir(dir.path()).args(arguments).output().unwrap()
    };
    let output = run("--plugins");
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("the directory of --plugins, nowhere, is not there"), "{}", said(&output));
    let output = run("--policy");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("cannot read nowhere"), "{}", said(&output));
}

#[test]
fn the_name_of_a_file_adds_no_line_and_no_colour() {
    let name = "x\nall is well\u{1b}[32m green.wasm";
    let dir = scratch(&[(&format!("plugins/{name}"), "no plugin"), ("pipeline.yaml", PIPELINE)]);
    for arguments in [
        vec!["check".to_owned(), "plugins".to_owned()],
        vec!["inspect".to_owned(), format!("plugins/{name}")],
        vec!["status".to_owned(), "--state".to_owned(), format!("plugins/{name}")],
        vec!["run".to_owned(), "pipeline.yaml".to_owned(), "--state".to_owned(), format!("plugins/{name}")],
    ] {
        // Styles are taken out of what is no terminal; it is asked for them.
        let output =
            flyball().current_dir(dir.path()).env("CLICOLOR_FORCE", "1").args(&arguments).output().unwrap();
        let told = said(&output);
        assert!(!output.status.success(), "{arguments:?}: {told}");
        assert!(told.contains("x\\nall is well\\u{1b}[32m green"), "{arguments:?}: {told}");
        assert!(!told.contains("\u{1b}[32m green"), "{arguments:?}: {told}");
    }
}
