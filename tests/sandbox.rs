//! Attacks on the released program by what a model says: that the host runs a program or opens a file for it, and that
//! it learns a secret of the pipeline's configuration. Observed from outside: by files, by the state directory's bytes,
//! by what the model was asked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Running, flyball, until};

const SOON: Duration = Duration::from_secs(90);

/// A model, or whoever stands where it is: it gives one answer to every question, and keeps what it was asked.
struct Model {
    port: u16,
    asked: Arc<Mutex<String>>,
}

impl Model {
    fn that_answers(answer: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let question = answered(stream, &answer).unwrap_or_default();
                kept.lock().unwrap().push_str(&question);
            }
        });
        Self { port, asked }
    }

    fn was_asked(&self) -> String {
        self.asked.lock().unwrap().clone()
    }
}

fn answered(mut stream: TcpStream, answer: &Value) -> std::io::Result<String> {
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    let body = loop {
        let count = stream.read(&mut chunk)?;
        read.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or_default() {
                break body.to_owned();
            }
        }
        if count == 0 {
            return Ok(String::new());
        }
    };
    let message = json!({ "role": "assistant", "content": answer.to_string() });
    let choices = json!([{ "message": message, "finish_reason": "stop" }]);
    let usage = json!({ "prompt_tokens": 1, "completion_tokens": 1 });
    let out = json!({ "id": "1", "choices": choices, "usage": usage }).to_string();
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json";
    write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{out}", out.len())?;
    Ok(body)
}

fn policy(level: &str, port: u16, safety: &str) -> String {
    format!(
        "name: p\nmutation_policy: {level}\ncooldown_ms: 500\n{safety}judges:\n  heuristics: [{{ plugin: threshold-heuristic }}]\n  \
         deciders:\n    - plugin: llm-decider\n      limits: {{ time_ms: 10000 }}\n      grants: {{ state: {{}}, llm: {{ \
         provider: openai, model: any, base_url: \"http://127.0.0.1:{port}/v1\" }} }}\n  validators: [{{ plugin: \
         mutation-policy }}, {{ plugin: protected-nodes }}]\n  reversers: [{{ plugin: standard-reverser }}]\n"
    )
}

fn start(dir: &Path, pipeline: &str, policy: &str) -> Running {
    fs::create_dir_all(dir.join("policies")).unwrap();
    fs::write(dir.join("pipeline.yaml"), pipeline).unwrap();
    fs::write(dir.join("policies/p.yaml"), policy).unwrap();
    let mut command = flyball();
    command.current_dir(dir).args(["run", "pipeline.yaml", "--policy", "policies", "--state", "state"]);
    Running::start(command.args([
        "--record",
        "all",
        "--drain",
        "1s",
        "--duration",
        "60s",
        "--report",
        "report.json",
    ]))
}

/// A decision that puts this in the place of a node.
fn replaces(node: &str, node_type: &str, config: &Value) -> Value {
    let action =
        json!({ "kind": "replace-node", "node": node, "node_type": node_type, "config": config.to_string() });
    let evidence = json!([{ "node": node, "metric": "queue-capacity", "value": 256, "note": "seen" }]);
    json!({ "analysis": "x", "issues": [], "reason": "another type", "confidence": 1.0, "action": action, "evidence": evidence })
}

const FAILING: &str = "name: shop\nnodes:\n  - { id: in, type: generate, params: { per_second: 20, body: \"not json\" } }\n  - { id: parse, \
                       type: parse-json }\n  - { id: out, type: discard }\nconnections: [ { from: in, to: parse }, { from: parse, to: out } \
                       ]\ncontroller: { observation_interval_ms: 250 }\n";

/// Every byte of a folder, in which a text may stand plainly.
fn bytes_of(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        all.extend(fs::read(entry.path()).unwrap_or_default());
    }
    all
}

fn stands_in(text: &str, bytes: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_models_answer_makes_the_host_run_no_program_and_open_no_file() {
    for (node, node_type, config) in [
        ("parse", "command", json!({ "command": ["sh", "-c", "id > escaped; exec cat"] })),
        ("out", "file", json!({ "path": "escaped" })),
    ] {
        // A state of its own each: the decider remembers what it asked.
        let dir = tempfile::tempdir().unwrap();
        let model = Model::that_answers(replaces(node, node_type, &config));
        let host = start(dir.path(), FAILING, &policy("heal", model.port, ""));
        host.says("the answer is not of its schema", SOON);
        assert!(model.was_asked().contains("parse-json") && !dir.path().join("escaped").exists());
        assert!(!host.said().contains("replace parse by"), "{}", host.said());
        drop(host);
    }
}

#[test]
fn what_the_policy_names_may_be_made_by_a_models_answer() {
    let dir = tempfile::tempdir().unwrap();
    let config = json!({ "path": "named" });
    let model = Model::that_answers(replaces("out", "file", &config));
    let safety = "safety: { may_create: [ { type: file, config: { path: named } } ] }\n";
    let host = start(dir.path(), FAILING, &policy("heal", model.port, safety));
    until("the file is opened", SOON, || dir.path().join("named").exists());
    drop(host);
}

#[test]
fn no_secret_of_a_configuration_reaches_a_model_or_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = "name: shop\nnodes:\n  - { id: in, type: generate, params: { per_second: 20 } }\n  - { id: enrich, type: command, \
                    executor: multiprocess, optional: true, params: { command: [\"sh\", \"-c\", \"exit 3\", \"--token\", \
                    \"tok-in-argv-123456\"], env: { DB_PASSWORD: \"db-password-123456\" } } }\n  - { id: out, type: discard }\n\
                    connections: [ { from: in, to: enrich }, { from: enrich, to: out } ]\ncontroller: { observation_interval_ms: 250 }\n";
    let model = Model::that_answers(replaces("enrich", "map", &json!({ "template": { "x": "1" } })));
    let host = start(dir.path(), pipeline, &policy("optimize", model.port, ""));
    until("the model was asked", SOON, || model.was_asked().contains("messages"));
    host.says("replace enrich", SOON);
    let undone = || {
        let undo =
            flyball().current_dir(dir.path()).args(["rollback", "1", "--state", "state"]).output().unwrap();
        undo.status.success()
    };
    until("the node is put back", SOON, undone);
    let said = host.said();
    drop(host);
    let (asked, disk) = (model.was_asked(), bytes_of(&dir.path().join("state")));
    // Its entries are compressed on the disk.
    let events = ["events", "--after", "0.0", "-n", "1000000", "--json", "--state", "state"];
    let events = flyball().current_dir(dir.path()).args(events).output().unwrap();
    assert!(stands_in("replace-node", &events.stdout), "the log has what was done");
    for secret in ["tok-in-argv-123456", "db-password-123456"] {
        assert!(!asked.contains(secret), "{asked}");
        assert!(!said.contains(secret), "{said}");
        assert!(!stands_in(secret, &events.stdout), "{secret} is in the event log");
        assert!(!stands_in(secret, &disk), "{secret} is on the disk");
        let report = fs::read(dir.path().join("report.json")).unwrap_or_default();
        assert!(!stands_in(secret, &report));
    }
    assert!(asked.contains("(masked)") && asked.contains("DB_PASSWORD"), "{asked}");
}
