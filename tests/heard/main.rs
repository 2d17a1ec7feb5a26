#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! Stop means stop: in whatever state a host is, a halt, SIGTERM and a question at its control socket are heard within a second.
//!
//! Each test brings a real host into one of those states, asks it, halts it and ends it, and measures how long each took. On a
//! machine that is busy with other things, `FLYBALL_HEARD_WITHIN_MS` says how long it may be instead of a second.

mod guests;
#[path = "../support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use support::{Running, flyball, until};

/// For what is not measured.
const SOON: Duration = Duration::from_secs(300);

/// One host at a time: each is measured.
static ALONE: Mutex<()> = Mutex::new(());

fn limit() -> Duration {
    let given = std::env::var("FLYBALL_HEARD_WITHIN_MS").ok().and_then(|given| given.parse().ok());
    Duration::from_millis(given.unwrap_or(1_000))
}

struct Place {
    dir: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Place {
    fn new() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        for sub in ["policies", "plugins"] {
            fs::create_dir(dir.path().join(sub)).unwrap();
        }
        Self { dir, _alone: alone }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.at(name), bytes).unwrap();
    }

    fn run(&self, manifests: &[&str]) -> Running {
        let mut command = flyball();
        command.current_dir(self.dir.path()).arg("run").args(manifests);
        command.args(["--policy", "policies", "--plugins", "plugins", "--state", "state", "--drain", "2s"]);
        Running::start(&mut command)
    }

    fn socket(&self) -> PathBuf {
        self.at("state/control.sock")
    }

    /// One question, and how long its answer took.
    fn ask(&self, request: &Value) -> (Value, Duration) {
        let begun = Instant::now();
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        (serde_json::from_str(&line).unwrap(), begun.elapsed())
    }

    /// The whole row of the matrix: a question, a halt, and SIGTERM.
    fn is_heard(&self, state: &str, host: Running) {
        let (plugins, asking) = self.ask(&json!({ "version": 1, "ask": "plugins" }));
        assert!(plugins["answer"].is_array(), "{state}: {plugins}");
        let (halted, halting) =
            self.ask(&json!({ "version": 1, "ask": "halt", "session": null, "why": "a test" }));
        assert!(halted["answer"]["journaled"].is_boolean(), "{state}: {halted}");
        let begun = Instant::now();
        kill(Pid::from_raw(host.pid() as i32), Signal::SIGTERM).unwrap();
        host.says("stopping; once more stops at once", SOON);
        let stopping = begun.elapsed();
        println!("{state}: asked {asking:?}, halted {halting:?}, SIGTERM {stopping:?}; {halted}");
        for (what, took) in [("a question", asking), ("a halt", halting), ("SIGTERM", stopping)] {
            assert!(took < limit(), "{state}: {what} was heard after {took:?}; it said:\n{}", host.said());
        }
        kill(Pid::from_raw(host.pid() as i32), Signal::SIGTERM).unwrap();
        host.end(Duration::from_secs(20));
    }
}

/// Items that a node can do, and a policy that finds nothing.
const EASY: &str = r#"name: easy
nodes:
  - { id: in, type: generate, params: { per_second: 50, body: { text: "item {{n}}" } } }
  - { id: out, type: discard }
connections: [{ from: in, to: out }]
controller: { observation_interval_ms: 100 }
"#;

/// A node that cannot keep up, so that there is always something to find and to decide.
const SLOW: &str = r#"name: slow
nodes:
  - { id: in, type: generate, params: { per_second: 400, body: { text: "item {{n}}" } } }
  - { id: slow, type: wait, queue_capacity: 32, params: { ms_per_unit: 20 } }
  - { id: out, type: discard }
connections: [{ from: in, to: slow }, { from: slow, to: out }]
controller: { observation_interval_ms: 100 }
"#;

const POLICY: &str = r#"name: all
mutation_policy: optimize
cooldown_ms: 500
safety: { undo_worse: false }
judges:
  heuristics: [{ plugin: threshold-heuristic }]
  catalogs: [{ plugin: static-catalog }]
  deciders: [{ plugin: rule-decider }]
  reversers: [{ plugin: standard-reverser }]
"#;

/// Its socket is there before it has started; it answers only then.
fn runs(host: &Running, place: &Place) {
    until("the host can be asked", SOON, || UnixStream::connect(place.socket()).is_ok());
    let (plugins, _) = place.ask(&json!({ "version": 1, "ask": "plugins" }));
    assert!(plugins["answer"].is_array(), "{plugins}; it said:\n{}", host.said());
}

#[test]
fn a_host_whose_disk_is_full_hears() {
    let place = Place::new();
    place.write("easy.yaml", EASY);
    place.write("policies/all.yaml", POLICY);
    fs::create_dir(place.at("state")).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs"])
        .arg(place.at("state"))
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("left out: only root may mount the small disk that this needs");
        return;
    }
    let _mount = Mounted(place.at("state"));
    let host = place.run(&["easy.yaml"]);
    runs(&host, &place);
    let fill = |name: &str| {
        let mut file = File::create(place.at(name)).unwrap();
        while file.write_all(&[b'x'; 4_096]).is_ok() {}
        while file.write_all(b"x").is_ok() {}
    };
    fill("state/filler");
    // What the journal has room for in its own files is used up too.
    until("the journal takes nothing more", SOON, || {
        fill("state/more");
        let (said, _) =
            place.ask(&json!({ "version": 1, "ask": "halt", "session": "easy", "why": "x".repeat(40_000) }));
        said["answer"]["journaled"] == false
    });
    place.is_heard("full disk", host);
    // The halt did not fit into the journal, and holds for the next host although this one is gone.
    let (filler, more) = (place.at("state/filler"), place.at("state/more"));
    fs::remove_file(filler).unwrap();
    fs::remove_file(more).unwrap();
    let next = place.run(&["easy.yaml"]);
    next.says("the host is halted: a test", SOON);
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy"]).arg(&self.0).status();
    }
}

#[test]
fn a_host_without_descriptors_hears() {
    let place = Place::new();
    place.write("easy.yaml", EASY);
    place.write("policies/all.yaml", POLICY);
    let host = place.run(&["easy.yaml"]);
    runs(&host, &place);
    let open = fs::read_dir(format!("/proc/{}/fd", host.pid())).unwrap().flatten();
    let most = open.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok()).max().unwrap();
    let limit = format!("--nofile={}:{}", most + 1, most + 1);
    let taken = Command::new("prlimit").args(["--pid", &host.pid().to_string(), &limit]).status();
    assert!(taken.unwrap().success());
    place.is_heard("no descriptors", host);
}

#[test]
fn a_host_in_which_guests_run_away_hears() {
    let place = Place::new();
    place.write("plugins/spin-node.wasm", guests::that_loops("spin-node", "node"));
    place.write("plugins/spin-judge.wasm", guests::that_loops("spin-judge", "heuristic"));
    let spin = r#"name: spinning
nodes:
  - { id: in, type: generate, params: { per_second: 100, body: { text: "item {{n}}" } } }
  - { id: spin, type: spin-node, executor: wasm, replicas: 8 }
  - { id: out, type: discard }
connections: [{ from: in, to: spin }, { from: spin, to: out }]
controller: { observation_interval_ms: 100 }
"#;
    place.write("spin.yaml", spin);
    let judges = "  heuristics: [{ plugin: spin-judge, limits: { time_ms: 10000, fuel: 1000000000000 } }, { plugin: threshold-heuristic }]";
    place.write(
        "policies/all.yaml",
        POLICY.replace("  heuristics: [{ plugin: threshold-heuristic }]", judges),
    );
    let host = place.run(&["spin.yaml"]);
    runs(&host, &place);
    until("the guests have the processors", SOON, || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", host.pid())).unwrap();
        let after: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // In hundredths of a second.
        after[11].parse::<u64>().unwrap() > 300
    });
    place.is_heard("runaway guests", host);
}

#[test]
fn a_host_with_a_thousand_idle_clients_hears() {
    let place = Place::new();
    let manifest = EASY.replace(
        r#"type: generate, params: { per_second: 50, body: { text: "item {{n}}" } }"#,
        r#"type: http-in, params: { bind: "127.0.0.1:0" }"#,
    );
    place.write("http.yaml", manifest);
    place.write("policies/all.yaml", POLICY);
    let host = place.run(&["http.yaml"]);
    host.says("takes items at http://", SOON);
    runs(&host, &place);
    let said = host.said();
    let address = said.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        let Ok(mut client) = TcpStream::connect(&address) else { break };
        let _ = client.write_all(b"POST /items HTTP/1.1\r\nHost: x\r\n");
        clients.push(client);
    }
    println!("{} idle clients at the source", clients.len());
    let idle: Vec<UnixStream> = (0..1_000).filter_map(|_| UnixStream::connect(place.socket()).ok()).collect();
    assert_eq!(idle.len(), 1_000, "idle clients at the control socket");
    place.is_heard("a thousand idle clients", host);
}

fn journal(place: &Place) -> String {
    let output =
        flyball().current_dir(place.dir.path()).args(["journal", "--json", "--state", "state"]).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

/// A host that has given the slow node another worker.
fn acted(place: &Place, manifest: &str) -> Running {
    place.write("slow.yaml", manifest);
    place.write("policies/all.yaml", POLICY);
    let host = place.run(&["slow.yaml"]);
    until("it has acted", SOON, || journal(place).contains("scale-node"));
    host
}

/// Begins to undo that: the tick's lock is held for as long as the data plane waits for the worker that is to go.
fn undo(place: &Place) -> Child {
    let undo = flyball()
        .current_dir(place.dir.path())
        .args(["rollback", "1", "--state", "state"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the undo is under way", SOON, || journal(place).contains("\"undoes\":"));
    undo
}

#[test]
fn a_host_that_undoes_hears() {
    let place = Place::new();
    let host = acted(&place, &SLOW.replace("ms_per_unit: 20", "ms_per_unit: 20000"));
    let mut undo = undo(&place);
    place.is_heard("undoing", host);
    let _ = undo.wait();
}

/// All that a process has started, directly or not.
fn descendants(of: u32) -> Vec<u32> {
    let mut found = support::children(of, "");
    let mut at = 0;
    while let Some(next) = found.get(at).copied() {
        found.extend(support::children(next, ""));
        at += 1;
    }
    found
}

#[test]
fn a_host_whose_data_plane_is_stuck_hears() {
    let place = Place::new();
    let slow = "type: wait, executor: multiprocess, queue_capacity: 32";
    let host = acted(&place, &SLOW.replace("type: wait, queue_capacity: 32", slow));
    let stopped = Stopped(descendants(host.pid()));
    assert!(!stopped.0.is_empty(), "the node has processes");
    for pid in &stopped.0 {
        kill(Pid::from_raw(*pid as i32), Signal::SIGSTOP).unwrap();
    }
    let mut undo = undo(&place);
    place.is_heard("stuck plane", host);
    let _ = undo.wait();
}

/// Processes that would be left behind.
struct Stopped(Vec<u32>);

impl Drop for Stopped {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill(Pid::from_raw(*pid as i32), Signal::SIGKILL);
        }
    }
}

#[test]
fn a_host_that_decides_hears() {
    let place = Place::new();
    place.write("slow.yaml", SLOW);
    place.write("plugins/spin-decider.wasm", guests::that_loops("spin-decider", "decider"));
    let decider =
        "  deciders: [{ plugin: spin-decider, limits: { time_ms: 60000, fuel: 1000000000000000 } }]";
    place.write("policies/all.yaml", POLICY.replace("  deciders: [{ plugin: rule-decider }]", decider));
    let host = place.run(&["slow.yaml"]);
    runs(&host, &place);
    host.says("held by deciding", SOON);
    place.is_heard("deciding", host);
}

/// Whoever reads what the host says may stop reading: the host must be heard nevertheless.
#[test]
fn a_host_whose_words_nobody_reads_hears() {
    let place = Place::new();
    place.write("slow.yaml", SLOW);
    place.write("policies/all.yaml", POLICY);
    let child = flyball()
        .current_dir(place.dir.path())
        .args(["run", "slow.yaml", "--policy", "policies", "--state", "state", "--json", "--drain", "2s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    until("the host can be asked", SOON, || UnixStream::connect(place.socket()).is_ok());
    // Its pipe fills; then it waits for somebody to read.
    until("it waits for its reader", SOON, || waits_for_its_reader(&child.0) != Some(false));
    if waits_for_its_reader(&child.0).is_none() {
        println!("left out: it cannot be seen whether the pipe is full");
        return;
    }
    let (halted, halting) =
        place.ask(&json!({ "version": 1, "ask": "halt", "session": null, "why": "a test" }));
    assert!(halted["answer"]["journaled"].is_boolean(), "{halted}");
    assert!(halting < limit(), "heard after {halting:?}");
    kill(Pid::from_raw(child.0.id() as i32), Signal::SIGTERM).unwrap();
    kill(Pid::from_raw(child.0.id() as i32), Signal::SIGTERM).unwrap();
    let begun = Instant::now();
    while child.0.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not end");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A host that is not left behind by a test that fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether some thread of it waits for a pipe to be read. None: the kernel does not say, which it does to root only.
fn waits_for_its_reader(child: &Child) -> Option<bool> {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap().flatten();
    let waits: Vec<String> =
        tasks.filter_map(|task| fs::read_to_string(task.path().join("wchan")).ok()).collect();
    if waits.iter().all(|wait| wait == "0") {
        return None;
    }
    Some(waits.iter().any(|wait| wait.contains("pipe_write")))
}
