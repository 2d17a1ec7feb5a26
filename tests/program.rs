#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! The program's commands, as a user meets them.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use support::{Running, assert_balanced, flyball, process_of_a_node, read_json, said, until};

const SOON: Duration = Duration::from_secs(300);

fn run(dir: &Path, arguments: &[&str]) -> Output {
    flyball().current_dir(dir).args(arguments).args(["--state", "state"]).output().unwrap()
}

fn scratch() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("lines.txt"), "one\ntwo\nthree\n").unwrap();
    fs::write(dir.path().join("pipeline.yaml"), LINES).unwrap();
    dir
}

const LINES: &str = r#"name: lines
nodes:
  - { id: in, type: lines, params: { path: lines.txt } }
  - { id: out, type: file, params: { path: out.jsonl } }
connections:
  - { from: in, to: out }
"#;

/// Never ends by itself; its one node is at work for half of the time.
const ENDLESS: &str = r#"name: endless
nodes:
  - { id: in, type: generate, params: { per_second: 50, body: { text: "item {{n}}" } } }
  - { id: slow, type: wait, params: { ms_per_unit: 1 } }
  - { id: out, type: discard }
connections:
  - { from: in, to: slow }
  - { from: slow, to: out }
controller:
  observation_interval_ms: 100
"#;

#[test]
fn a_bounded_source_ends_the_run_and_every_item_is_accounted_for() {
    let dir = scratch();
    let output = run(dir.path(), &["run", "pipeline.yaml", "--report", "report.json"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("3 accepted = 3 delivered + 0 filtered + 0 dead-lettered + 0 in flight"));
    let report = read_json(&dir.path().join("report.json"));
    assert_balanced(&report["sessions"][0]);
    assert_eq!(fs::read_to_string(dir.path().join("out.jsonl")).unwrap().lines().count(), 3);
}

#[test]
fn the_report_keeps_to_its_own_schema() {
    let dir = scratch();
    let output = run(dir.path(), &["run", "pipeline.yaml", "--report", "report.json"]);
    assert!(output.status.success(), "{}", said(&output));
    let schema: Value = serde_json::from_slice(&run(dir.path(), &["schema", "report"]).stdout).unwrap();
    let report = read_json(&dir.path().join("report.json"));
    let faults: Vec<String> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(&report)
        .map(|fault| fault.to_string())
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn whoever_has_read_enough_ends_the_program_without_a_word() {
    let dir = scratch();
    for arguments in [
        &["schema", "policy"][..],
        &["completions", "bash"],
        &["check", "pipeline.yaml"],
        &["--help"],
        &["run", "pipeline.yaml"],
        &["run", "pipeline.yaml", "--json"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = flyball()
            .current_dir(dir.path())
            .args(arguments)
            .args(["--state", "state"])
            .stdout(writer)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(stderr, "", "{arguments:?}");
        // A pipeline runs on, whoever listens; what is only printed is cut off.
        let cut_off = !matches!(arguments, ["run", ..] | ["--help"]);
        assert_eq!(output.status.code(), Some(if cut_off { 141 } else { 0 }), "{arguments:?}");
    }
}

#[test]
fn json_lines_are_json_and_nothing_else() {
    let dir = scratch();
    let output = run(dir.path(), &["run", "pipeline.yaml", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|fault| panic!("{line}: {fault}"));
    }
}

#[test]
fn a_manifest_with_faults_is_refused_with_the_line_of_each() {
    let dir = scratch();
    fs::write(
        dir.path().join("bad.yaml"),
        "name: bad\nnodes:\n  - { id: a, type: generat }\n  - { id: a, type: discard }\n  - { id: b, type: wait, params: { ms_per_unit: 1 } }\nconnections:\n  - { from: a, to: nowhere }\n  - { from: b, to: b }\n",
    )
    .unwrap();
    let output = run(dir.path(), &["check", "bad.yaml", "pipeline.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    assert!(text.contains("pipeline.yaml: manifest"), "the good one is good: {text}");
    for expected in ["bad.yaml:3", "generate", "bad.yaml:4", "bad.yaml:7", "nowhere", "bad.yaml:8", "cycle"] {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
    }
}

#[test]
fn a_policy_with_a_typo_is_refused_with_a_suggestion() {
    let dir = scratch();
    fs::write(
        dir.path().join("policy.yaml"),
        "name: p\ncooldwon_ms: 3\njudges:\n  heuristics:\n    - plugin: treshold-heuristic\n",
    )
    .unwrap();
    let output = run(dir.path(), &["check", "policy.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    assert!(text.contains("cooldwon_ms") && text.contains("cooldown_ms"), "{text}");
    assert!(text.contains("policy.yaml:2"), "{text}");
}

#[test]
fn settings_that_a_plugin_refuses_are_told_at_their_line() {
    let dir = scratch();
    fs::write(
        dir.path().join("policy.yaml"),
        "name: p\njudges:\n  heuristics:\n    - plugin: threshold-heuristic\n      settings:\n        queue_fill: 7\n",
    )
    .unwrap();
    let output = run(dir.path(), &["check", "policy.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("policy.yaml:6"), "{}", said(&output));
}

#[test]
fn a_plugin_that_no_file_holds_is_refused_with_a_suggestion() {
    let dir = scratch();
    fs::write(
        dir.path().join("policy.yaml"),
        "name: p\njudges:\n  heuristics:\n    - plugin: treshold-heuristic\n",
    )
    .unwrap();
    let output = run(dir.path(), &["check", "policy.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    assert!(text.contains("policy.yaml:4") && text.contains("threshold-heuristic"), "{text}");
}

#[test]
fn a_component_is_described_and_a_text_file_is_not_one() {
    let dir = scratch();
    let plugin = flyball_first_party::find("rule-decider").unwrap();
    fs::write(dir.path().join("rule-decider.wasm"), plugin.wasm).unwrap();
    fs::write(dir.path().join("poem.wasm"), "Shall I compare thee").unwrap();
    let output = run(dir.path(), &["check", "rule-decider.wasm", "poem.wasm"]);
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    assert!(text.contains("rule-decider.wasm: decider"), "{text}");
    assert!(text.contains("poem.wasm") && text.contains("is text, not WebAssembly"), "{text}");
}

#[test]
fn the_documents_that_come_with_flyball_are_valid() {
    let dir = scratch();
    let policy = support::root().join("policies/default.yaml");
    let output = run(dir.path(), &["check", &policy.display().to_string()]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn schemas_are_json_schemas() {
    let dir = scratch();
    for document in ["policy", "manifest", "report"] {
        let output = run(dir.path(), &["schema", document]);
        assert!(output.status.success(), "{}", said(&output));
        let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
        jsonschema::meta::validate(&schema).unwrap_or_else(|fault| panic!("{document}: {fault}"));
    }
}

#[test]
fn completions_are_made_for_each_shell() {
    let dir = scratch();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(dir.path(), &["completions", shell]);
        assert!(
            output.status.success() && String::from_utf8_lossy(&output.stdout).contains("rollback"),
            "{shell}"
        );
    }
}

#[test]
fn the_exit_codes_are_the_documented_ones() {
    let dir = scratch();
    assert_eq!(run(dir.path(), &["run", "no-such.yaml"]).status.code(), Some(1));
    assert_eq!(run(dir.path(), &["run"]).status.code(), Some(2));
    let output = run(dir.path(), &["rollback", "1"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("no host runs with the state directory state"), "{}", said(&output));
}

#[test]
fn the_plugins_of_a_run_are_listed_without_a_host_too() {
    let dir = scratch();
    let output = run(dir.path(), &["plugins"]);
    assert!(output.status.success(), "{}", said(&output));
    let text = said(&output);
    for plugin in flyball_first_party::ALL {
        assert!(text.contains(plugin.name), "{} is missing in {text}", plugin.name);
    }
    assert!(text.contains("no host runs"), "{text}");
}

#[test]
fn a_running_host_answers_on_its_socket_and_nobody_else_may_ask() {
    let dir = scratch();
    fs::write(dir.path().join("endless.yaml"), ENDLESS).unwrap();
    let host =
        Running::start(flyball().current_dir(dir.path()).args(["run", "endless.yaml", "--state", "state"]));
    let socket = dir.path().join("state/control.sock");
    until("the socket is there", SOON, || {
        socket.exists() && fs::metadata(&socket).unwrap().permissions().mode() & 0o777 == 0o600
    });
    assert_eq!(fs::metadata(dir.path().join("state")).unwrap().permissions().mode() & 0o777, 0o700);

    until("plugins were called", SOON, || {
        let output = run(dir.path(), &["plugins", "--json"]);
        let plugins: Value = serde_json::from_slice(&output.stdout).unwrap();
        plugins.as_array().unwrap().iter().any(|plugin| plugin["calls"].as_u64().unwrap() > 3)
    });
    let second = run(dir.path(), &["run", "pipeline.yaml"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(said(&second).contains("a host already runs"), "{}", said(&second));

    let nothing = run(dir.path(), &["rollback", "1"]);
    assert!(nothing.status.success() && said(&nothing).contains("nothing to undo"), "{}", said(&nothing));
    let unknown = run(dir.path(), &["rollback", "1", "--session", "endles"]);
    assert!(said(&unknown).contains("there are: endless"), "{}", said(&unknown));

    std::process::Command::new("kill").args(["-TERM", &host.pid().to_string()]).status().unwrap();
    assert_eq!(host.end(SOON), Some(0));
    assert!(!socket.exists(), "a stopped host leaves no socket behind");
}

#[test]
fn what_is_on_its_way_when_the_host_is_stopped_arrives_although_its_child_has_just_died() {
    let dir = scratch();
    fs::write(dir.path().join("child.yaml"), CHILD).unwrap();
    let host = Running::start(flyball().current_dir(dir.path()).args([
        "run",
        "child.yaml",
        "--report",
        "report.json",
        "--state",
        "state",
    ]));
    let child = std::cell::Cell::new(0);
    until("the child runs", SOON, || {
        child.set(process_of_a_node(host.pid(), "node tokenise").unwrap_or_default());
        child.get() != 0
    });
    until("items arrive", SOON, || fs::metadata(dir.path().join("out.jsonl")).is_ok_and(|out| out.len() > 0));
    let kill = |signal: &str, pid: u32| {
        let killed = std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
        assert!(killed.success());
    };
    kill("-KILL", child.get());
    kill("-TERM", host.pid());
    assert_eq!(host.end(SOON), Some(0));
    let report = read_json(&dir.path().join("report.json"));
    assert_balanced(&report["sessions"][0]);
    assert_eq!(report["sessions"][0]["account"]["in_flight"], 0, "{}", report["sessions"][0]["account"]);
}

const CHILD: &str = r#"name: child
nodes:
  - { id: in, type: generate, params: { per_second: 500, body: { text: "item {{n}}" } } }
  - { id: words, type: tokenise, executor: multiprocess, retries: 3 }
  - { id: out, type: file, params: { path: out.jsonl } }
connections:
  - { from: in, to: words }
  - { from: words, to: out }
controller:
  observation_interval_ms: 100
"#;

#[test]
fn what_was_done_is_in_the_journal_and_can_be_undone_while_the_host_runs() {
    let dir = scratch();
    // One worker does less than 100 items a second; 120 come.
    fs::write(dir.path().join("flooded.yaml"), FLOODED).unwrap();
    fs::write(dir.path().join("quick.yaml"), QUICK).unwrap();
    fs::create_dir(dir.path().join("policies")).unwrap();
    fs::rename(dir.path().join("quick.yaml"), dir.path().join("policies/quick.yaml")).unwrap();
    let host = Running::start(flyball().current_dir(dir.path()).args([
        "run",
        "flooded.yaml",
        "--policy",
        "policies",
        "--state",
        "state",
    ]));
    let actions = || -> Vec<Value> {
        let output = run(dir.path(), &["journal", "--json"]);
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    until("an action was verified", SOON, || actions().iter().any(|action| action["outcome"] == "verified"));
    let done = actions();
    let last = done.last().unwrap();
    assert_eq!(last["decided_by"]["name"], "rule-decider");
    assert!(last["judged_by"].as_array().unwrap().iter().any(|judge| judge["name"] == "mutation-policy"));

    let undo = run(dir.path(), &["rollback", "1"]);
    assert!(undo.status.success(), "{}\n{}", said(&undo), host.said());
    assert!(said(&undo).contains("undone"), "{}", said(&undo));
    assert!(actions().iter().any(|action| action["undoes"] == last["id"]), "{:?}", actions());
    assert!(said(&run(dir.path(), &["journal", "--ticks"])).contains("slow"));

    let of_decider = ["journal", "--plugin", "rule-decider", "--since", "1h", "--json"];
    let ids = |arguments: &[&str]| -> Vec<Value> {
        let output = run(dir.path(), arguments);
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect()
    };
    assert!(ids(&of_decider).contains(&last["id"]));
    assert!(ids(&["journal", "--outcome", "rolled-back", "--json"]).contains(&last["id"]));
    for none in [["--plugin", "no-oscillation"], ["--outcome", "rejected"]] {
        let output = run(dir.path(), &["journal", none[0], none[1]]);
        assert!(said(&output).contains("the journal has nothing of that"), "{none:?}: {}", said(&output));
    }
    let verified = run(dir.path(), &["journal", "verify"]);
    assert!(verified.status.success(), "also while the host writes: {}", said(&verified));
}

const FLOODED: &str = r#"name: flooded
nodes:
  - { id: in, type: generate, params: { per_second: 120, body: { text: "item {{n}}" } } }
  - { id: slow, type: wait, queue_capacity: 60, params: { ms_per_unit: 10 } }
  - { id: out, type: discard }
connections:
  - { from: in, to: slow }
  - { from: slow, to: out }
controller:
  observation_interval_ms: 100
"#;

const QUICK: &str = r#"name: quick
mutation_policy: optimize
cooldown_ms: 1000
history: 40
judges:
  heuristics: [{ plugin: threshold-heuristic }]
  deciders: [{ plugin: rule-decider }]
  validators: [{ plugin: mutation-policy }, { plugin: protected-nodes }]
  reversers: [{ plugin: standard-reverser }]
"#;

#[test]
fn a_plugin_is_shown_with_all_that_it_is_and_asks_for() {
    let dir = scratch();
    let plugin = flyball_first_party::find("protected-nodes").unwrap();
    fs::write(dir.path().join("protected-nodes.wasm"), plugin.wasm).unwrap();
    let output = run(dir.path(), &["inspect", "protected-nodes.wasm"]);
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split_whitespace().next().unwrap_or_default())
        .collect();
    assert_eq!(
        rows,
        [
            "name",
            "kind",
            "version",
            "summary",
            "contract",
            "exports",
            "imports",
            "wants",
            "wasi",
            "cases",
            "size",
            "compiled",
            "sha256",
            "signature",
            "settings"
        ]
    );
    for row in [
        "name       protected-nodes\n",
        "kind       validator\n",
        "contract   flyball:plugin@0.1.0\n",
        "flyball:plugin/reviewing@0.1.0\n",
        "flyball:plugin/settings@0.1.0\n",
        "signature  none\n",
        "settings   {\n",
    ] {
        assert!(text.contains(row), "{row:?} is missing in:\n{text}");
    }
    let output = run(dir.path(), &["inspect", "protected-nodes.wasm", "--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["kind"], "validator");
    assert_eq!(shown["bytes"], plugin.wasm.len());
    assert!(shown["compiled_bytes"].as_u64().unwrap() > 0);
    assert_eq!(shown["signature"]["state"], "none");
    assert_eq!(shown["settings_schema"]["type"], "object");
}

#[test]
fn a_file_that_is_no_plugin_is_not_shown_but_refused() {
    let dir = scratch();
    fs::write(dir.path().join("poem.wasm"), "Shall I compare thee").unwrap();
    let output = run(dir.path(), &["inspect", "poem.wasm"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "flyball: poem.wasm: the file is text, not WebAssembly; a plugin is a WebAssembly component\n"
    );
}

#[test]
fn a_plugin_is_signed_and_what_is_altered_afterwards_is_seen() {
    let dir = scratch();
    let plugin = flyball_first_party::find("protected-nodes").unwrap();
    let file = dir.path().join("p.wasm");
    fs::write(&file, plugin.wasm).unwrap();
    let output = run(dir.path(), &["keygen", "--out", "release"]);
    assert!(output.status.success(), "{}", said(&output));
    let mode = fs::metadata(dir.path().join("release.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let secret = fs::read(dir.path().join("release.key")).unwrap();
    let again = run(dir.path(), &["keygen", "--out", "release"]);
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    assert_eq!(fs::read(dir.path().join("release.key")).unwrap(), secret);

    let unsigned = run(dir.path(), &["verify", "p.wasm", "--key", "release.pub"]);
    assert_eq!(unsigned.status.code(), Some(1));
    assert!(said(&unsigned).contains("it is not signed"), "{}", said(&unsigned));
    let signed = run(dir.path(), &["sign", "p.wasm", "--key", "release.key"]);
    assert!(signed.status.success(), "{}", said(&signed));
    let good = run(dir.path(), &["verify", "p.wasm", "--key", "release.pub"]);
    assert!(good.status.success(), "{}", said(&good));
    let shown = run(dir.path(), &["inspect", "p.wasm", "--key", "release.pub"]);
    assert!(said(&shown).contains("signature  good, by the key "), "{}", said(&shown));
    let unchecked = run(dir.path(), &["inspect", "p.wasm"]);
    assert!(said(&unchecked).contains("not checked"), "{}", said(&unchecked));

    let mut altered = plugin.wasm.to_vec();
    *altered.last_mut().unwrap() ^= 1;
    fs::write(&file, altered).unwrap();
    let bad = run(dir.path(), &["verify", "p.wasm", "--key", "release.pub"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(said(&bad).contains("not as it was when it was signed"), "{}", said(&bad));
}

#[test]
fn a_policy_with_signers_is_good_only_with_a_signed_plugin() {
    let dir = scratch();
    fs::create_dir(dir.path().join("plugins")).unwrap();
    let mut component = flyball_first_party::find("protected-nodes").unwrap().wasm.to_vec();
    // Another component than the host's own of this name: a custom section more.
    component.extend_from_slice(&[0, 2, 1, b'x']);
    fs::write(dir.path().join("plugins/protected-nodes.wasm"), component).unwrap();
    run(dir.path(), &["keygen"]);
    let public = fs::read_to_string(dir.path().join("flyball.pub")).unwrap();
    let policy = format!(
        "name: p\nsigners:\n  - {}\njudges:\n  validators:\n    - plugin: protected-nodes\n",
        public.lines().nth(1).unwrap()
    );
    fs::write(dir.path().join("policy.yaml"), policy).unwrap();
    let unsigned = run(dir.path(), &["check", "policy.yaml", "--plugins", "plugins"]);
    assert_eq!(unsigned.status.code(), Some(1));
    let text = said(&unsigned);
    assert!(text.contains("policy.yaml:6") && text.contains("it is not signed"), "{text}");
    assert!(text.contains("flyball sign plugins/protected-nodes.wasm --key KEY"), "{text}");
    run(dir.path(), &["sign", "plugins/protected-nodes.wasm", "--key", "flyball.key"]);
    let signed = run(dir.path(), &["check", "policy.yaml", "--plugins", "plugins"]);
    assert!(signed.status.success(), "{}", said(&signed));
}

#[test]
fn a_plugin_is_rolled_back_while_the_host_runs_and_forward_again() {
    let dir = scratch();
    fs::write(dir.path().join("endless.yaml"), ENDLESS).unwrap();
    fs::create_dir(dir.path().join("plugins")).unwrap();
    let first = flyball_first_party::find("protected-nodes").unwrap().wasm.to_vec();
    let _host = Running::start(flyball().current_dir(dir.path()).args([
        "run",
        "endless.yaml",
        "--plugins",
        "plugins",
        "--state",
        "state",
    ]));
    let serving = || {
        let output = run(dir.path(), &["plugins", "--json"]);
        let plugins: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let all = plugins.as_array().cloned().unwrap_or_default();
        all.into_iter().find(|plugin| plugin["name"] == "protected-nodes").unwrap_or_default()
    };
    until("the host answers", SOON, || dir.path().join("state/control.sock").exists());
    until("the first serves", SOON, || !serving()["running"].is_null());
    let before = serving()["running"].clone();
    // An empty custom section: another digest, the same plugin.
    let newer = [first.as_slice(), b"\0\x02\x01x"].concat();
    fs::write(dir.path().join("plugins/protected-nodes.wasm"), newer).unwrap();
    until("the newer serves", SOON, || serving()["running"] != before);

    let back = run(dir.path(), &["plugins", "rollback", "protected-nodes"]);
    assert!(back.status.success() && said(&back).contains("is passed over"), "{}", said(&back));
    until("the first serves again", SOON, || serving()["running"] == before);
    assert!(said(&run(dir.path(), &["plugins"])).contains("rolled back"));
    let further = run(dir.path(), &["plugins", "rollback", "protected-nodes"]);
    assert_eq!(further.status.code(), Some(1));
    assert!(said(&further).contains("no version of \"protected-nodes\" before"), "{}", said(&further));

    assert!(run(dir.path(), &["plugins", "rollback", "protected-nodes", "--undo"]).status.success());
    until("the newer serves again", SOON, || serving()["running"] != before);
    let unknown = run(dir.path(), &["plugins", "rollback", "protectednodes"]);
    assert!(said(&unknown).contains("no version of \"protectednodes\" served here"), "{}", said(&unknown));
}
