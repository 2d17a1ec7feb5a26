//! The program beside guests that mean harm: nodes that loop, and components that the engine itself breaks off over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]

#[path = "../host/engine/tests/engine/guests.rs"]
mod guests;
mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{Running, flyball, read_json, root, said, until};

const SOON: Duration = Duration::from_secs(120);

/// A call of a node may take a second. A batch is tried as a whole and then one by one until the fifth failure, and a machine
/// on which much else runs takes its time.
const SHORTLY: Duration = Duration::from_secs(20);

const SPINNING: &str = r#"name: spinning
nodes:
  - { id: in, type: generate, params: { per_second: 100 } }
  - { id: spin, type: spin, executor: wasm, replicas: 4 }
  - { id: out, type: discard }
connections: [{ from: in, to: spin }, { from: spin, to: out }]
controller: { observation_interval_ms: 200 }
"#;

const QUIET: &str = r#"name: quiet
nodes:
  - { id: in, type: generate, params: { per_second: 5 } }
  - { id: out, type: discard }
connections: [{ from: in, to: out }]
controller: { observation_interval_ms: 200 }
"#;

fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("spinning.yaml"), SPINNING).unwrap();
    fs::write(dir.path().join("quiet.yaml"), QUIET).unwrap();
    fs::create_dir(dir.path().join("plugins")).unwrap();
    let spin = guests::node_guest("spin", "1.0.0", "(loop $again (br $again))");
    fs::write(dir.path().join("plugins/spin.wasm"), spin).unwrap();
    dir
}

fn ticks(dir: &Path, session: &str) -> u64 {
    let report = read_json(&dir.join("report.json"));
    let sessions = report["sessions"].as_array().unwrap();
    let session = sessions.iter().find(|one| one["name"] == session).unwrap();
    session["endings"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum()
}

#[test]
fn nodes_that_loop_delay_no_other_sessions_ticks_nor_a_halt_nor_the_end() {
    let dir = place();
    let host = Running::start(flyball().current_dir(dir.path()).args([
        "run",
        "spinning.yaml",
        "quiet.yaml",
        "--plugins",
        "plugins",
        "--state",
        "state",
        "--report",
        "report.json",
    ]));
    until("the host runs", SOON, || dir.path().join("state/control.sock").exists());
    let begun = Instant::now();
    // Long enough for the nodes to be in their first calls.
    until("the nodes loop", SOON, || begun.elapsed() > Duration::from_secs(2));
    let halt =
        flyball().current_dir(dir.path()).args(["halt", "--why", "a test", "--state", "state"]).output();
    let (halt, answered) = (halt.unwrap(), begun.elapsed() - Duration::from_secs(2));
    assert!(halt.status.success(), "{}", said(&halt));
    assert!(answered < SHORTLY / 2, "a halt was answered after {answered:?}");
    let signalled = Instant::now();
    kill(Pid::from_raw(host.pid().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let ran = begun.elapsed();
    assert_eq!(host.end(SHORTLY), Some(0), "it had {:?} to end", signalled.elapsed());
    let (expected, ticked) = (ran.as_millis() / 200, u128::from(ticks(dir.path(), "quiet")));
    assert!(ticked >= expected / 2, "{ticked} ticks of {expected}");
}

#[test]
fn a_component_over_which_the_engine_panics_is_refused_in_check_and_in_a_run_that_goes_on() {
    let dir = place();
    let text = root().join("tests/hostile/components-that-call-each-other/component.wat");
    let component = wat::parse_str(fs::read_to_string(text).unwrap()).unwrap();
    fs::write(dir.path().join("torn.wasm"), &component).unwrap();
    let check =
        flyball().current_dir(dir.path()).args(["check", "torn.wasm", "--state", "state"]).output().unwrap();
    assert_eq!(check.status.code(), Some(1), "{}", said(&check));
    assert!(said(&check).contains("the WebAssembly engine broke off over the component"), "{}", said(&check));
    assert!(!said(&check).contains("panicked at"), "{}", said(&check));
    fs::write(dir.path().join("plugins/torn.wasm"), &component).unwrap();
    let run = flyball()
        .current_dir(dir.path())
        .args(["run", "quiet.yaml", "--plugins", "plugins", "--duration", "1s", "--state", "state"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    assert!(said(&run).contains("the plugin torn does not load as it should"), "{}", said(&run));
}
