//! A run whose model says its own key again leaves no byte of it anywhere.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::guests::guest_importing;
use crate::server::{Asked, Reply, Server};
use crate::speaking::KEY;
use crate::support::{Running, flyball, said};

const SOON: Duration = Duration::from_secs(300);

/// A node that cannot keep up, so that there is something to ask about.
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

/// A heuristic that asks the model, too, and finds everything that the host ever wrote into its memory.
fn dumps_its_memory() -> Vec<u8> {
    let fields = r#"(import "flyball:plugin/llm@0.1.0" "ask"
    (func $ask (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (data (i32.const 2700) "You hold a key.")
  (data (i32.const 2800) "Which one?")"#;
    let body = "(call $ask (i32.const 2700) (i32.const 15) (i32.const 2800) (i32.const 10)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 50) (i32.const 3500))
        (i32.store (i32.const 3024) (i32.const 65536))
        (i32.store (i32.const 3028) (i32.sub (global.get $next) (i32.const 65536)))
        (i32.store (i32.const 1200) (i32.const 3000)) (i32.store (i32.const 1204) (i32.const 1))";
    guest_importing("dumps", "1.0.0", fields, body)
}

fn policy(origin: &str) -> String {
    let grant = json!({
        "llm": { "provider": "openai", "model": "echo", "base_url": origin, "key": { "env": "FLYBALL_TEST_KEY" } },
        "state": {}, "log": true,
    });
    let limits = json!({ "time_ms": 30_000, "memory_mb": 64 });
    json!({
        "name": "p",
        "sessions": ["orders"],
        "mutation_policy": "optimize",
        "cooldown_ms": 200,
        "judges": {
            "heuristics": [
                { "plugin": "threshold-heuristic" },
                { "plugin": "dumps", "limits": limits, "grants": { "llm": grant["llm"] } },
            ],
            "deciders": [
                { "plugin": "llm-decider", "limits": limits, "grants": grant },
                { "plugin": "rule-decider" },
            ],
            "validators": [
                { "plugin": "mutation-policy" }, { "plugin": "protected-nodes" }, { "plugin": "no-oscillation" },
            ],
            "reversers": [{ "plugin": "standard-reverser" }],
        },
    })
    .to_string()
}

/// Every file under a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries
        .flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

fn holds(bytes: &[u8], key: &str) -> bool {
    bytes.windows(key.len()).any(|window| window == key.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_log_report_database_or_memory_of_a_plugin_holds_a_byte_of_the_key() {
    // Once as an answer and once as an error: what a server says of the key is told in both.
    let text = format!("It is {KEY}. Again: {KEY}");
    let answer = Reply::json(
        200,
        &json!({
            "choices": [{ "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 100, "completion_tokens": 20 },
        }),
    );
    let refusal = Reply::json(401, &json!({ "error": { "message": format!("the key {KEY} is not good") } }));
    let mut server = Server::saying([answer.clone(), refusal, answer]).await;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for folder in ["policies", "plugins"] {
        fs::create_dir(at(folder)).unwrap();
    }
    fs::write(at("pipeline.yaml"), PIPELINE).unwrap();
    fs::write(at("policies/p.yaml"), policy(&server.origin)).unwrap();
    fs::write(at("plugins/dumps.wasm"), dumps_its_memory()).unwrap();
    let host = Running::start(
        flyball()
            .current_dir(dir.path())
            .env("FLYBALL_TEST_KEY", KEY)
            // The compiler would write for minutes.
            .env("FLYBALL_LOG", "trace,cranelift_codegen=off,cranelift_frontend=off,regalloc2=off,wasmtime_internal_cranelift=off,wasmtime_environ=off,wasmtime=off,wasmparser=off")
            .args(["run", "pipeline.yaml", "--policy", "policies", "--plugins", "plugins"])
            .args(["--report", "report.json", "--state", "state", "--drain", "1s"]),
    );
    // Both plugins have asked, and the rules have acted.
    for _ in 0..2 {
        let arrived = tokio::time::timeout(SOON, server.arrived.recv()).await;
        assert!(arrived.is_ok(), "a plugin did not ask: {}", host.said());
    }
    tokio::task::block_in_place(|| host.says("allowed by host", SOON));
    let log = host.said();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(host.pid()).unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    tokio::task::block_in_place(|| host.end(SOON));

    let asked: Vec<Asked> = server.asked();
    assert!(asked.iter().all(|one| one.headers["authorization"] == format!("Bearer {KEY}").as_str()));
    assert!(!holds(log.as_bytes(), KEY), "{log}");
    let read = |args: &[&str]| {
        let output =
            flyball().current_dir(dir.path()).args(args).args(["--state", "state"]).output().unwrap();
        let text = said(&output);
        assert!(!holds(text.as_bytes(), KEY), "{args:?}: {text}");
        text
    };
    let told = read(&["journal", "--json"]) + &read(&["recordings", "--json"]);
    assert!(told.contains("It is {{key}}. Again: {{key}}"), "the memory of the plugin is not in it: {told}");
    // Offline and without the key, each call says the same again.
    drop(server);
    let again = read(&["replay", "--all"]);
    assert!(again.contains(", 0 different"), "{again}");
    let mut looked_at = Vec::new();
    for file in files(dir.path()) {
        assert!(!holds(&fs::read(&file).unwrap(), KEY), "{}", file.display());
        looked_at.push(file.file_name().unwrap().to_string_lossy().into_owned());
    }
    for expected in ["journal.db", "recordings.db", "report.json"] {
        assert!(looked_at.iter().any(|name| name == expected), "{looked_at:?}");
    }
}
