//! Child processes of a running host, looked at from outside: what they are given, and what is left of them.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test says what is wrong by failing"
)]
#![allow(dead_code, reason = "no test file uses all of the support")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use support::{Running, flyball, is_ignored, until};

const SOON: Duration = Duration::from_secs(120);

fn run(dir: &Path, manifest: &str, more: &[&str]) -> Running {
    fs::write(dir.join("pipeline.yaml"), manifest).unwrap();
    let mut command = flyball();
    command.current_dir(dir).args(["run", "pipeline.yaml", "--state", "state", "--report", "report.json"]);
    Running::start(command.args(more))
}

/// The living processes that descend from one, by their numbers: name and state.
fn descendants(root: u32) -> BTreeMap<u32, (String, char)> {
    let mut all: Vec<(u32, u32, String, char)> = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let (name, rest) = stat.rsplit_once(") ").unwrap();
        let mut fields = rest.split(' ');
        let state = fields.next().unwrap().chars().next().unwrap();
        let parent = fields.next().unwrap().parse().unwrap();
        all.push((pid, parent, name.split_once('(').unwrap().1.to_owned(), state));
    }
    let (mut found, mut walk) = (BTreeMap::new(), vec![root]);
    while let Some(at) = walk.pop() {
        for (pid, _, name, state) in all.iter().filter(|(_, parent, ..)| *parent == at) {
            found.insert(*pid, (name.clone(), *state));
            walk.push(*pid);
        }
    }
    found
}

fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

fn account(dir: &Path) -> Value {
    let report: Value = serde_json::from_slice(&fs::read(dir.join("report.json")).unwrap()).unwrap();
    report["sessions"][0]["account"].clone()
}

#[test]
fn a_child_has_none_of_the_hosts_variables_but_those_that_the_manifest_names() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = r#"name: env
nodes:
  - { id: in, type: generate, params: { per_second: 50, limit: 5 } }
  - { id: cmd, type: command, executor: multiprocess, params: { command: ["sh", "-c", "cat /proc/$$/environ > env; exec cat"], env: { REGION: eu }, pass_env: [PASSED_ON] } }
  - { id: map, type: map, executor: multiprocess, params: { template: "{{.}}" } }
  - { id: out, type: discard }
connections: [ { from: in, to: cmd }, { from: cmd, to: map }, { from: map, to: out } ]
"#;
    fs::write(dir.path().join("pipeline.yaml"), manifest).unwrap();
    let mut command = flyball();
    command
        .current_dir(dir.path())
        .args(["run", "pipeline.yaml", "--state", "state"])
        .env("ANTHROPIC_API_KEY", "not-for-children")
        .env("HOOK_SECRET", "nor-this")
        .env("PASSED_ON", "yes");
    let host = Running::start(&mut command);
    let mut built_in = None;
    until("the children run", SOON, || {
        let environment = fs::read_to_string(dir.path().join("env")).unwrap_or_default();
        for pid in descendants(host.pid()).into_keys() {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if line.contains("node\0map") && !line.contains("--supervise") {
                built_in = fs::read_to_string(format!("/proc/{pid}/environ")).ok().or(built_in.take());
            }
        }
        environment.ends_with('\0') && built_in.is_some()
    });
    assert_eq!(fs::read_to_string(dir.path().join("env")).unwrap(), "PASSED_ON=yes\0REGION=eu\0");
    assert_eq!(built_in.as_deref(), Some(""));
}

/// It ends for no signal that it can refuse, and leaves one behind in a session of its own.
const STUBBORN: &str = r#"name: stubborn
nodes:
  - { id: in, type: generate, params: { per_second: 50 } }
  - id: w
    type: command
    executor: multiprocess
    replicas: 2
    params:
      command: [sh, -c, "trap '' TERM HUP INT QUIT; (setsid sleep 1000 >/dev/null 2>&1 &); sleep 1000 & while :; do sleep 1000; done"]
  - { id: b, type: map, executor: multiprocess, params: { template: "{{.}}" } }
  - { id: out, type: discard }
connections: [{ from: in, to: b }, { from: b, to: w }, { from: w, to: out }]
"#;

#[test]
fn nothing_that_descends_from_the_host_outlives_it_however_it_ends() {
    for signals in
        [&["-KILL"][..], &["-TERM", "-TERM"], &["-HUP", "-HUP"], &["-INT", "-INT"], &["-QUIT"], &["-ABRT"]]
    {
        let may_be_ignored = match signals[0] {
            "-HUP" => Some(Signal::SIGHUP),
            "-QUIT" => Some(Signal::SIGQUIT),
            _ => None,
        };
        if may_be_ignored.is_some_and(is_ignored) {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let host = run(dir.path(), STUBBORN, &["--drain", "1s"]);
        let mut all = BTreeMap::new();
        until("its processes run", SOON, || {
            all = descendants(host.pid());
            all.values().filter(|(name, _)| name == "sleep").count() >= 6
        });
        for (number, signal) in signals.iter().enumerate() {
            if number == 0 || alive(host.pid()) {
                kill(signal, host.pid());
            }
        }
        until("all of them are gone", SOON, || all.keys().all(|pid| !alive(*pid)));
        drop(host);
    }
}

#[test]
fn what_a_killed_supervisor_leaves_behind_ends_although_the_host_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let host = run(dir.path(), STUBBORN, &["--drain", "1s"]);
    let mut all = BTreeMap::new();
    until("its processes run", SOON, || {
        all = descendants(host.pid());
        all.values().filter(|(name, _)| name == "sleep").count() >= 6
    });
    let supervisors = support::children(host.pid(), "--supervise");
    let under: Vec<u32> = supervisors.iter().flat_map(|one| descendants(*one).into_keys()).collect();
    for one in &supervisors {
        kill("-KILL", *one);
    }
    until("all that they had is gone", SOON, || under.iter().all(|pid| !alive(*pid)));
    assert!(alive(host.pid()));
}

#[test]
fn one_item_that_kills_its_child_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = r#"name: poison
nodes:
  - { id: in, type: generate, params: { per_second: 100, limit: 300, body: { n: "{{n}}" } } }
  - id: p
    type: command
    executor: multiprocess
    params:
      command: [sh, -c, 'while read -r line; do case "$line" in *"\"n\":200}"*) exit 137;; esac; id=${line#*\"id\":}; id=${id%%,*}; echo "{\"id\":$id,\"out\":[1]}"; done']
  - { id: out, type: discard }
connections: [ { from: in, to: p }, { from: p, to: out } ]
"#;
    let host = run(dir.path(), manifest, &["--duration", "30s"]);
    assert_eq!(host.end(SOON), Some(0));
    let account = account(dir.path());
    assert_eq!((&account["delivered"], &account["dead_lettered"]), (&299.into(), &1.into()), "{account}");
}

#[test]
fn a_host_that_is_the_first_process_of_its_container_leaves_no_zombies() {
    let may = Command::new("unshare").args(["-pf", "--mount-proc", "true"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this needs `unshare` and the right to use it");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let manifest = r#"name: pid1
nodes:
  - { id: in, type: generate, params: { per_second: 50, limit: 60, body: { n: "{{n}}" } } }
  - id: w
    type: command
    executor: multiprocess
    params:
      command: [sh, -c, 'while read -r line; do (sleep 0.05 >/dev/null 2>&1 &); id=${line#*\"id\":}; id=${id%%,*}; echo "{\"id\":$id,\"out\":[1]}"; done']
  - { id: k, type: map, executor: multiprocess, params: { template: "{{.}}" } }
  - { id: never, type: http-in, params: { bind: "127.0.0.1:0" } }
  - { id: out, type: file, params: { path: out.jsonl } }
connections: [ { from: in, to: w }, { from: never, to: k }, { from: k, to: w }, { from: w, to: out } ]
"#;
    fs::write(dir.path().join("pipeline.yaml"), manifest).unwrap();
    let host = Running::start(
        Command::new("unshare")
            .args(["-pf", "--mount-proc", "--kill-child", env!("CARGO_BIN_EXE_flyball")])
            .args(["run", "pipeline.yaml", "--state", "state"])
            .current_dir(dir.path()),
    );
    until("every item is delivered", SOON, || {
        fs::read_to_string(dir.path().join("out.jsonl")).is_ok_and(|text| text.lines().count() == 60)
    });
    until("nothing is a zombie, nor asleep any more", SOON, || {
        descendants(host.pid()).values().all(|(name, state)| *state != 'Z' && name != "sleep")
    });
}
