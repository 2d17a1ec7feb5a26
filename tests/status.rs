#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! Who judges what is told: at the start of a run, as it changes, and by `flyball status`.

#[path = "../host/engine/tests/engine/guests.rs"]
mod guests;
mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::{Running, flyball, replace, said, until};

const SOON: Duration = Duration::from_secs(300);

fn pipeline(name: &str) -> String {
    format!(
        "name: {name}\nnodes:\n  - {{ id: in, type: generate, params: {{ per_second: 50, body: {{ text: \"item {{{{n}}}}\" }} }} }}\n  \
         - {{ id: out, type: discard }}\nconnections: [{{ from: in, to: out }}]\ncontroller: {{ observation_interval_ms: 100 }}\n"
    )
}

fn policy(name: &str, sessions: &str) -> String {
    format!(
        "name: {name}\nsessions: [\"{sessions}\"]\nmutation_policy: heal\njudges:\n  heuristics: [{{ plugin: threshold-heuristic }}]\n  \
         deciders: [{{ plugin: rule-decider }}]\n  reversers: [{{ plugin: standard-reverser }}]\n"
    )
}

fn scratch() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("policies")).unwrap();
    fs::create_dir(dir.path().join("plugins")).unwrap();
    dir
}

fn start(dir: &Path, manifests: &[&str], more: &[&str]) -> Running {
    Running::start(
        flyball()
            .current_dir(dir)
            .arg("run")
            .args(manifests)
            .args(["--policy", "policies", "--plugins", "plugins", "--state", "state"])
            .args(more),
    )
}

fn status(dir: &Path) -> Option<Value> {
    let output = flyball().current_dir(dir).args(["status", "--json", "--state", "state"]).output().unwrap();
    output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
}

fn stop(host: Running) {
    kill(Pid::from_raw(i32::try_from(host.pid()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(host.end(SOON), Some(0));
}

fn of<'a>(list: &'a Value, key: &str, name: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|one| one[key] == name).unwrap_or(&Value::Null)
}

#[test]
fn what_nobody_judges_and_nobody_uses_is_told_at_the_start_and_in_the_status() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("shop.yaml"), pipeline("shop")).unwrap();
    fs::write(at("payments.yaml"), pipeline("payments")).unwrap();
    fs::write(at("policies/shop.yaml"), policy("of-shop", "shop*")).unwrap();
    fs::write(at("policies/payments.YAML"), policy("of-payments", "payments*")).unwrap();
    fs::write(at("plugins/idle.wasm"), guests::guest("idle", "1.0.0", "")).unwrap();
    let host = start(dir.path(), &["shop.yaml", "payments.yaml"], &[]);
    host.says(
        "warning: no policy judges the session \"payments\": it is observed, and nothing is done in it",
        SOON,
    );
    host.says(
        "payments.YAML is not read as a policy: policies end in .yaml or .yml, in small letters; rename it",
        SOON,
    );
    host.says("warning: nobody uses the plugin idle", SOON);
    host.says("no policy judges payments: it is observed", SOON);
    until("the host answers", SOON, || status(dir.path()).is_some());
    let found = status(dir.path()).unwrap();
    assert_eq!(of(&found["sessions"], "session", "shop")["policy"], "of-shop", "{found:#}");
    assert_eq!(of(&found["sessions"], "session", "payments")["policy"], Value::Null, "{found:#}");
    let shop = of(&found["policies"], "file", "shop.yaml");
    assert_eq!(
        (&shop["name"], &shop["state"], &shop["judges"][0]),
        (&"of-shop".into(), &"running".into(), &"shop".into())
    );
    let users = &of(&found["plugins"], "name", "threshold-heuristic")["used_by"];
    assert_eq!(users[0], "of-shop", "{found:#}");
    assert_eq!(of(&found["plugins"], "name", "idle")["used_by"], serde_json::json!([]));
    let codes: Vec<&str> =
        found["warnings"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["no-policy", "policy-not-read", "plugin-unused"]);
    fs::remove_file(at("plugins/idle.wasm")).unwrap();
    until("the plugin is gone in the status", SOON, || {
        let found = status(dir.path()).unwrap();
        let told = found["warnings"].as_array().unwrap().iter();
        told.filter(|one| one["code"] == "plugin-gone" || one["code"] == "plugin-broken")
            .any(|one| one["message"].as_str().is_some_and(|message| message.contains("idle")))
    });
    let text = flyball().current_dir(dir.path()).args(["status", "--state", "state"]).output().unwrap();
    let text = said(&text);
    assert!(text.contains("payments               none") && text.contains("observed only"), "{text}");
    let say = |arguments: &[&str]| {
        let mut command = flyball();
        command.current_dir(dir.path()).arg("status").args(arguments).args(["--state", "state"]);
        said(&command.output().unwrap())
    };
    until("something was delivered", SOON, || say(&[]).contains("delivered a second"));
    let one = say(&["--session", "shop"]);
    assert!(one.contains("NODE") && one.contains("\nin  ") && !one.contains("payments"), "{one}");
    let one: Value = serde_json::from_str(say(&["--session", "shop", "--json"]).trim()).unwrap();
    assert_eq!((&one["session"], &one["now"]["nodes"][0]["node"]), (&"shop".into(), &"in".into()));
    assert!(say(&["--session", "shup"]).contains("no session is called \"shup\""));
    let watching = Running::start(flyball().current_dir(dir.path()).args([
        "status",
        "--watch",
        "--session",
        "shop",
        "--state",
        "state",
    ]));
    until("it was shown twice", SOON, || watching.count("NODE") > 1);
    drop(watching);
    stop(host);
}

#[test]
fn a_policy_that_is_broken_or_taken_away_is_told_as_it_happens_and_in_the_status() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("shop.yaml"), pipeline("shop")).unwrap();
    fs::write(at("policies/shop.yaml"), policy("of-shop", "shop*")).unwrap();
    fs::write(at("policies/all.yaml"), policy("of-all", "*")).unwrap();
    let host = start(dir.path(), &["shop.yaml"], &[]);
    until("the host answers", SOON, || status(dir.path()).is_some());
    replace(&at("policies/shop.yaml"), policy("of-shop", "shop*").replace("deciders", "decders"));
    host.says("the last good one goes on", SOON);
    until("the broken policy is in the status", SOON, || {
        let found = status(dir.path()).unwrap();
        of(&found["warnings"], "code", "policy-broken")["message"].as_str().is_some_and(|message| {
            message.contains("shop.yaml") && message.contains("the text before it serves on")
        })
    });
    assert_eq!(of(&status(dir.path()).unwrap()["sessions"], "session", "shop")["policy"], "of-shop");
    fs::remove_file(at("policies/shop.yaml")).unwrap();
    host.says("shop is judged by the policy of-all now; the policy of-shop judged it before", SOON);
    until("the policy is gone in the status", SOON, || {
        let found = status(dir.path()).unwrap();
        of(&found["policies"], "file", "shop.yaml")["state"] == "gone"
            && of(&found["warnings"], "code", "policy-gone") != &Value::Null
    });
    fs::remove_file(at("policies/all.yaml")).unwrap();
    host.says("no policy judges shop any more, the policy of-all did", SOON);
    stop(host);
}

#[test]
fn json_lines_of_a_run_have_the_warnings_too() {
    let dir = scratch();
    fs::write(dir.path().join("shop.yaml"), pipeline("shop")).unwrap();
    let host = start(dir.path(), &["shop.yaml"], &["--json"]);
    host.says("\"code\":\"no-policy\"", SOON);
    stop(host);
}

#[test]
fn a_status_without_a_host_says_so() {
    let dir = scratch();
    let output = flyball().current_dir(dir.path()).args(["status", "--state", "state"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("no host runs with the state directory"), "{}", said(&output));
}
