#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! A run is recorded, and every decision of it is made again: by another process, elsewhere, elsewhen, and must be the same
//! bit for bit.

#[path = "../host/engine/tests/engine/guests.rs"]
mod guests;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::{Running, flyball, read_json, said, until};

const SOON: Duration = Duration::from_secs(300);

/// A node that cannot keep up, so that there is something to find, to decide and to review.
const PIPELINE: &str = r#"name: orders
nodes:
  - { id: in, type: generate, params: { per_second: 400, body: { text: "item {{n}}" } } }
  - { id: slow, type: wait, queue_capacity: 32, params: { ms_per_unit: 20 } }
  - { id: out, type: discard }
connections:
  - { from: in, to: slow }
  - { from: slow, to: out }
controller:
  observation_interval_ms: 50
"#;

const POLICY: &str = r#"name: p
sessions: [orders]
mutation_policy: optimize
cooldown_ms: 200
history: 20
judges:
  heuristics:
    - plugin: threshold-heuristic
    - plugin: with-wasi
    - plugin: counter
      grants: { state: { max_kb: 1 } }
  catalogs:
    - plugin: static-catalog
  deciders:
    - plugin: rule-decider
  validators:
    - plugin: mutation-policy
    - plugin: protected-nodes
    - plugin: no-oscillation
  reversers:
    - plugin: standard-reverser
"#;

const STATE: &str = r#"
  (import "flyball:plugin/state@0.1.0" "get" (func $get (param i32 i32 i32)))
  (import "flyball:plugin/state@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
  (data (i32.const 2700) "n")"#;

/// A heuristic that counts its calls under the key `n`, and finds as much as it counted.
fn counter(step: u8) -> Vec<u8> {
    let body = format!(
        "
    (call $get (i32.const 2700) (i32.const 1) (i32.const 3000))
    (if (i32.load8_u (i32.const 3000))
      (then (i32.store8 (i32.const 3100) (i32.load8_u (i32.load (i32.const 3004))))))
    (i32.store8 (i32.const 3100) (i32.add (i32.load8_u (i32.const 3100)) (i32.const {step})))
    (call $set (i32.const 2700) (i32.const 1) (i32.const 3100) (i32.const 1) (i32.const 3200))
    (i32.store8 (i32.const 3528) (i32.const 1))
    (f64.store (i32.const 3536) (f64.convert_i32_u (i32.load8_u (i32.const 3100))))
    (i32.store (i32.const 3832) (i32.const 3504)) (i32.store (i32.const 3836) (i32.const 1))
    (i32.store (i32.const 1200) (i32.const 3800)) (i32.store (i32.const 1204) (i32.const 1))"
    );
    guests::guest_importing("counter", "1.0.0", STATE, &body)
}

/// What a run left behind.
struct Recorded {
    dir: tempfile::TempDir,
}

impl Recorded {
    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn start(dir: &Path, more: &[&str]) -> Running {
        Running::start(
            flyball()
                .current_dir(dir)
                .args(["run", "pipeline.yaml", "--policy", "policies", "--plugins", "plugins"])
                .args(["--report", "report.json", "--state", "state", "--drain", "1s"])
                .args(more),
        )
    }

    /// Runs until every judge was asked and an action was undone.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("policies")).unwrap();
        fs::create_dir(at("plugins")).unwrap();
        fs::write(at("pipeline.yaml"), PIPELINE).unwrap();
        fs::write(at("policies/p.yaml"), POLICY).unwrap();
        fs::write(at("plugins/with-wasi.wasm"), guests::wasi_guest()).unwrap();
        fs::write(at("plugins/counter.wasm"), counter(1)).unwrap();
        let host = Self::start(dir.path(), &[]);
        until("an action can be undone", SOON, || {
            let args = ["rollback", "1", "--session", "orders", "--state", "state"];
            let undo = flyball().current_dir(dir.path()).args(args).output().unwrap();
            undo.status.success() && said(&undo).contains("undone")
        });
        stop(host);
        Self { dir }
    }
}

/// As a service manager does.
fn stop(host: Running) {
    let pid = Pid::from_raw(i32::try_from(host.pid()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    host.end(SOON);
}

fn replay(state: &Path, zone: &str, arguments: &[&str]) -> Output {
    flyball()
        .current_dir(state)
        .env("TZ", zone)
        .arg("replay")
        .args(arguments)
        .arg("--state")
        .arg(state)
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The number of the first call of this plugin.
fn call_of(lines: &[Value], plugin: &str) -> String {
    lines.iter().find(|line| line["plugin"]["name"] == plugin).unwrap()["id"].to_string()
}

#[test]
fn every_decision_of_a_run_replays_bit_for_bit_whenever_and_wherever() {
    let run = Recorded::new();
    let report = read_json(&run.dir.path().join("report.json"));
    let written = report["recordings"]["written"].as_u64().unwrap();
    assert_eq!(report["recordings"]["dropped"], 0, "{}", report["recordings"]);

    // After the run, by a new process.
    let here = replay(&run.state(), "UTC", &["--all", "--json"]);
    assert!(here.status.success(), "{}", said(&here));
    let calls = lines(&here);
    assert_eq!(calls.len() as u64, written);
    assert!(calls.iter().all(|call| call["result"] == "same" && call["altered"] == false));
    for plugin in [
        "threshold-heuristic",
        "with-wasi",
        "counter",
        "static-catalog",
        "rule-decider",
        "mutation-policy",
        "protected-nodes",
        "no-oscillation",
        "standard-reverser",
    ] {
        assert!(calls.iter().any(|call| call["plugin"]["name"] == plugin), "{plugin} was not asked");
    }
    // Time, randomness and state made them what they are, and they are not all alike.
    let answers = |plugin: &str| {
        let of = calls.iter().filter(|call| call["plugin"]["name"] == plugin);
        let mut answers: Vec<_> = of.map(|call| call["now"]["said"].to_string()).collect();
        answers.sort();
        answers.dedup();
        answers.len()
    };
    assert!(answers("with-wasi") > 10 && answers("counter") > 10);

    // Elsewhere, in another time zone, without what was compiled here.
    let elsewhere = tempfile::tempdir().unwrap();
    let state = elsewhere.path().join("some/other checkout/state");
    copy(&run.state(), &state);
    fs::remove_dir_all(state.join("compiled")).unwrap();
    let there = replay(&state, "Asia/Kathmandu", &["--all", "--json"]);
    assert!(there.status.success(), "{}", said(&there));
    assert_eq!(there.stdout, here.stdout);

    // A component that is kept nowhere is told by its digest; what it was asked is not lost.
    let digest = calls.iter().find(|call| call["plugin"]["name"] == "counter").unwrap()["plugin"]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    fs::remove_file(state.join("plugins").join(format!("{digest}.wasm"))).unwrap();
    let id = call_of(&calls, "counter");
    let gone = replay(&state, "UTC", &[&id]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(said(&gone).contains(&digest), "{}", said(&gone));
    fs::write(elsewhere.path().join("counter.wasm"), counter(1)).unwrap();
    let file = elsewhere.path().join("counter.wasm").display().to_string();
    assert!(replay(&state, "UTC", &[&id, "--with", &file]).status.success());

    // Another component of the same name says something else.
    fs::write(&file, counter(2)).unwrap();
    let other = replay(&state, "UTC", &[&id, "--with", &file]);
    assert_eq!(other.status.code(), Some(5));
    assert!(said(&other).contains("DIFFERENT"), "{}", said(&other));

    // One that wants more than what was granted then is told so, and is tried with a grant.
    let plain = call_of(&calls, "threshold-heuristic");
    let refused = replay(&state, "UTC", &[&plain, "--with", &file]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("grant it with --grant state"), "{}", said(&refused));
    let tried = replay(&state, "UTC", &[&plain, "--with", &file, "--grant", "state,http,llm"]);
    assert_eq!(tried.status.code(), Some(5), "{}", said(&tried));
    assert!(said(&tried).contains("DIFFERENT"), "{}", said(&tried));
    let alone = replay(&state, "UTC", &[&plain, "--grant", "state"]);
    assert_eq!(alone.status.code(), Some(2), "a grant is for a component on trial");

    // A recording that was changed is told, whatever of it was.
    let db = rusqlite::Connection::open(state.join("recordings.db")).unwrap();
    let id = call_of(&calls, "with-wasi");
    let swapped = "UPDATE calls SET said = (SELECT said FROM calls WHERE plugin = 'rule-decider' LIMIT 1) WHERE id = ?1";
    db.execute(swapped, [&id]).unwrap();
    let changed = replay(&state, "UTC", &[&id]);
    assert_eq!(changed.status.code(), Some(5));
    let text = said(&changed);
    assert!(text.contains("changed after it was written"), "{text}");
    assert!(text.contains("\n  - ") && text.contains("\n  + "), "both answers are shown: {text}");
    let id = call_of(&calls, "rule-decider");
    db.execute("UPDATE calls SET fuel = fuel + 1 WHERE id = ?1", [&id]).unwrap();
    let changed = replay(&state, "UTC", &[&id]);
    assert_eq!(changed.status.code(), Some(5));
    assert!(said(&changed).contains("fuel"), "{}", said(&changed));
    let all = replay(&state, "UTC", &["--all", "--plugin", "rule-decider"]);
    assert!(said(&all).contains("the same, 1 different"), "{}", said(&all));

    // The run that follows goes on counting where this one ended, and replays too.
    let before = counted(&run.state());
    let host = Recorded::start(run.dir.path(), &[]);
    until("the next run is recorded", SOON, || counted(&run.state()).len() > before.len() + 3);
    stop(host);
    let after = counted(&run.state());
    assert!(after.windows(2).all(|two| two[1] == (two[0] + 1) % 256), "{after:?}");
    let again = replay(&run.state(), "UTC", &["--all"]);
    assert!(again.status.success(), "{}", said(&again));
}

/// What the counter had counted at each of its calls, by making them again.
fn counted(state: &Path) -> Vec<u64> {
    let output = replay(state, "UTC", &["--all", "--json", "--plugin", "counter"]);
    let value =
        |call: &Value| call["now"]["said"]["Ok"]["Assessed"]["findings"][0]["rests_on"][0]["value"].as_f64();
    lines(&output).iter().map(|call| value(call).unwrap() as u64).collect()
}

#[test]
fn what_is_recorded_is_listed_and_recording_can_be_bounded_or_off() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pipeline.yaml"), PIPELINE).unwrap();
    let run = |more: &[&str]| {
        let mut command = flyball();
        command.current_dir(dir.path()).args(["run", "pipeline.yaml", "--duration", "2s", "--drain", "1s"]);
        command.args(["--state", "state"]).args(more).output().unwrap()
    };
    let list = |more: &[&str]| {
        flyball()
            .current_dir(dir.path())
            .arg("recordings")
            .args(more)
            .args(["--state", "state"])
            .output()
            .unwrap()
    };
    run(&["--record", "off"]);
    assert!(!dir.path().join("state/recordings.db").exists());
    let none = list(&[]);
    assert_eq!(none.status.code(), Some(1));
    assert!(said(&none).contains("there are no recordings"), "{}", said(&none));

    let all = run(&["--record", "all", "--record-max-mb", "1"]);
    assert!(said(&all).contains("recordings: "), "{}", said(&all));
    let listed = list(&["-n", "5"]);
    assert!(listed.status.success());
    let text = said(&listed);
    assert!(text.contains("threshold-heuristic") && text.contains("orders tick"), "{text}");
    let json = list(&["--json", "-n", "3"]);
    assert_eq!(lines(&json).len(), 3);
    let unknown = replay(&dir.path().join("state"), "UTC", &["999999"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said(&unknown).contains("no call 999999 is recorded"), "{}", said(&unknown));
}
