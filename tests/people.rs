#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! What people say to a running host, and what it says to them: approvals, halts, notices, explanations.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use support::{Running, flyball, said, until};

const SOON: Duration = Duration::from_secs(300);

/// A node that cannot keep up, so that there is always something to find and to decide.
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

const POLICY: &str = r#"name: careful
mutation_policy: optimize
cooldown_ms: 500
safety:
  approval: { kinds: [scale-node, adjust-buffering], expires_ms: 600000 }
judges:
  heuristics: [{ plugin: threshold-heuristic }]
  catalogs: [{ plugin: static-catalog }]
  deciders: [{ plugin: rule-decider }]
  validators: [{ plugin: mutation-policy }]
  reversers: [{ plugin: standard-reverser }]
"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new(policy: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pipeline.yaml"), PIPELINE).unwrap();
        fs::create_dir(dir.path().join("policies")).unwrap();
        fs::write(dir.path().join("policies/careful.yaml"), policy).unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn say(&self, arguments: &[&str]) -> Output {
        flyball().current_dir(self.path()).args(arguments).args(["--state", "state"]).output().unwrap()
    }

    fn start(&self, arguments: &[&str]) -> Running {
        Running::start(
            flyball()
                .current_dir(self.path())
                .args(["run", "pipeline.yaml", "--policy", "policies", "--state", "state"])
                .args(arguments),
        )
    }

    /// The first question that stands.
    fn question(&self) -> Value {
        let mut standing = Value::Null;
        until("a person is asked", SOON, || {
            let output = self.say(&["approvals", "--json"]);
            standing = serde_json::from_slice(&output.stdout).unwrap_or_default();
            standing.as_array().is_some_and(|standing| !standing.is_empty())
        });
        standing[0].clone()
    }

    fn actions(&self) -> Vec<Value> {
        let output = self.say(&["journal", "--json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn what_a_person_approves_is_done_and_what_they_deny_is_not() {
    let place = Place::new(POLICY);
    let running = place.start(&[]);
    let first = place.question();
    let id = first["approval"]["id"].as_str().unwrap().to_owned();
    let listed = text(&place.say(&["approvals"]));
    assert!(listed.contains(&id) && listed.contains("the policy wants a person to approve"), "{listed}");
    assert!(place.actions().is_empty());

    text(&place.say(&["approve", &id]));
    until("it is done", SOON, || !place.actions().is_empty());
    assert_eq!(place.actions()[0]["proposal"]["action"], first["approval"]["action"]);
    let stands: Value = serde_json::from_slice(&place.say(&["changes", "--json"]).stdout).unwrap();
    assert_eq!((&stands[0]["action"], &stands[0]["change"]), (&1.into(), &first["approval"]["action"]));
    let told = text(&place.say(&["changes"]));
    assert!(told.contains("action 1") && told.contains("\n  ends: "), "{told}");
    let nowhere = said(&place.say(&["changes", "--session", "nowhere"]));
    assert!(nowhere.contains("no session is called \"nowhere\""), "{nowhere}");
    let again = place.say(&["approve", &id]);
    assert!(said(&again).contains("it was answered or has expired"), "{}", said(&again));

    let second = place.question();
    let other = second["approval"]["id"].as_str().unwrap();
    assert_ne!(id, other);
    text(&place.say(&["deny", other, "--why", "not at noon"]));
    running.says("says no to", SOON);
    assert_eq!(place.actions().len(), 1);

    let explained = text(&place.say(&["explain", "--action", "1"]));
    for part in [
        "an action was taken",
        "found by threshold-heuristic",
        "held against",
        "decided by rule-decider",
        "action 1: ",
    ] {
        assert!(explained.contains(part), "{part:?} is not in\n{explained}");
    }
    drop(running);
}

#[test]
fn a_halt_stops_acting_outlives_the_host_and_is_ended_by_a_person() {
    let place = Place::new(&POLICY.replace("kinds: [scale-node, adjust-buffering], ", ""));
    let nobody = place.say(&["halt", "--why", "migration of the database"]);
    assert_eq!(nobody.status.code(), Some(3), "{}", said(&nobody));
    let running = place.start(&[]);
    running.says("the host is halted: migration of the database", SOON);
    running.says("held by halted", SOON);
    assert!(place.actions().is_empty());
    let held = "held by the gate halted: a person halted the host";
    // A tick is journaled a moment after it is told.
    until("the journal has it", SOON, || said(&place.say(&["explain"])).contains(held));

    text(&place.say(&["resume", "--why", "done"]));
    until("it acts again", SOON, || !place.actions().is_empty());
    let again = place.say(&["resume"]);
    assert!(said(&again).contains("there is nothing to resume there; nothing is halted"), "{}", said(&again));

    text(&place.say(&["halt", "orders", "--why", "enough"]));
    let unknown = place.say(&["halt", "nowhere", "--why", "x"]);
    assert!(said(&unknown).contains("no session is called \"nowhere\""), "{}", said(&unknown));
    drop(running);
    let running = place.start(&[]);
    running.says("orders is halted: enough", SOON);
}

#[test]
fn a_dry_run_proposes_and_does_nothing() {
    let place = Place::new(&POLICY.replace("kinds: [scale-node, adjust-buffering], ", ""));
    let running = place.start(&["--dry-run"]);
    running.says("proposed only: nothing was done", SOON);
    assert!(place.actions().is_empty());
}

#[test]
fn a_notice_is_posted_signed_and_again_when_the_server_fails_first() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", server.local_addr().unwrap());
    let (told, posted) = mpsc::channel();
    std::thread::spawn(move || {
        for (attempt, stream) in server.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let (head, body) = read_request(&stream);
            let status = if attempt == 0 { "503 Service Unavailable" } else { "204 No Content" };
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            told.send((head, body)).unwrap();
        }
    });
    let place = Place::new(POLICY);
    let _running = Running::start(
        flyball()
            .current_dir(place.path())
            .env("HOOK_SECRET", "It's a Secret to Everybody")
            .args(["run", "pipeline.yaml", "--policy", "policies", "--state", "state"])
            .args(["--notify", &url, "--notify-secret-env", "HOOK_SECRET"]),
    );
    let (first_head, first_body) = posted.recv_timeout(SOON).unwrap();
    let (head, body) = posted.recv_timeout(SOON).unwrap();
    assert_eq!((first_head.len(), &first_body), (head.len(), &body), "the same again");
    let notice: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&notice["what"], &notice["code"]), (&"notified".into(), &"approval-asked".into()));
    assert!(head.iter().any(|line| line.starts_with("flyball-signature: sha256=")), "{head:?}");
    let journal = &notice["journal"];
    assert!(journal["entries"].as_u64().unwrap() > 0, "{notice}");
    assert_eq!(
        journal["head"].as_str().unwrap().len(),
        64,
        "the chain's head goes out with each notice: {notice}"
    );
}

#[test]
fn a_notice_that_could_not_be_sent_is_sent_by_the_next_host() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let url = format!("http://{address}/hook");
    let place = Place::new(POLICY);
    let first = place.start(&["--notify", &url]);
    place.question();
    let notices = || -> Vec<Value> {
        let told = place.say(&["events", "--after", "0.0", "-n", "1000", "--what", "event", "--json"]);
        let told = String::from_utf8(told.stdout).unwrap();
        let entries = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].take());
        entries.filter(|event| event["what"] == "notified").collect()
    };
    until("the notice is kept", SOON, || !notices().is_empty());
    drop(first);
    let wanted = notices().swap_remove(0);

    let server = TcpListener::bind(address).unwrap();
    let (told, posted) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            told.send(read_request(&stream).1).unwrap();
            write!(stream, "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .unwrap();
        }
    });
    let _second = place.start(&["--notify", &url]);
    let mut notice: Value = serde_json::from_str(&posted.recv_timeout(SOON).unwrap()).unwrap();
    notice.as_object_mut().unwrap().remove("journal");
    assert_eq!(notice, wanted, "the first host's comes first");
}

#[test]
fn whoever_reads_the_events_goes_on_where_they_were_over_a_restart() {
    let place = Place::new(&POLICY.replace("kinds: [scale-node, adjust-buffering], ", ""));
    let read = |after: &str| -> Vec<(String, Value)> {
        let told = place.say(&["events", "--after", after, "-n", "100000", "--json"]);
        let told = String::from_utf8(told.stdout).unwrap();
        let entries = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        entries.map(|entry| (entry["number"].as_str().unwrap().to_owned(), entry)).collect()
    };
    let mut all: Vec<(String, Value)> = Vec::new();
    for _ in 0..2 {
        let host = place.start(&["--json"]);
        let before = all.len();
        until("it has acted", SOON, || {
            let last = all.last().map_or_else(|| "0.0".to_owned(), |(number, _)| number.clone());
            all.extend(read(&last));
            all.iter().skip(before).any(|(_, entry)| entry["tick"]["ending"] == "acted")
        });
        host.says("\"ending\":\"acted\"", SOON);
        drop(host);
    }
    let last = all.last().unwrap().0.clone();
    all.extend(read(&last));
    assert_eq!(all, read("0.0"), "each once and in order");
    let refused = place.say(&["events", "--after", "7"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("write RUN.PLACE, as in 3.120"), "{}", said(&refused));
    let shown = text(&place.say(&["events", "-n", "3"]));
    assert!(shown.contains(&last), "{shown}");
}

fn read_request(stream: &std::net::TcpStream) -> (Vec<String>, String) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}
