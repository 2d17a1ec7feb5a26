#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! One host has a state directory, people reach it there, and what they are told of it is true.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use support::{Running, flyball, said, until};

/// A host on a busy machine needs its time to start.
const SOON: Duration = Duration::from_secs(300);

/// Never ends by itself.
const ENDLESS: &str = r#"name: endless
nodes:
  - { id: in, type: generate, params: { per_second: 50, body: { text: "item {{n}}" } } }
  - { id: out, type: file, params: { path: out.jsonl } }
connections: [{ from: in, to: out }]
controller: { observation_interval_ms: 100 }
"#;

const OTHER: &str = r#"name: other
nodes:
  - { id: in, type: lines, params: { path: lines.txt } }
  - { id: out, type: file, params: { path: other.jsonl } }
connections: [{ from: in, to: out }]
"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.at("endless.yaml"), ENDLESS).unwrap();
        fs::write(place.at("other.yaml"), OTHER).unwrap();
        fs::write(place.at("lines.txt"), "one\ntwo\nthree\n").unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Running {
        Running::start(flyball().current_dir(self.0.path()).arg("run").args(arguments))
    }

    fn say(&self, arguments: &[&str]) -> Output {
        flyball().current_dir(self.0.path()).args(arguments).output().unwrap()
    }

    /// A host that can be asked.
    fn host(&self, state: &str) -> Running {
        let host = self.run(&["endless.yaml", "--state", state]);
        until("the host answers", SOON, || self.say(&["approvals", "--state", state]).status.success());
        host
    }
}

fn events(place: &Place, state: &str) -> String {
    said(&place.say(&["journal", "--events", "--state", state]))
}

#[test]
fn a_second_host_is_refused_before_anything_of_it_runs() {
    let place = Place::new();
    let first = place.host("state");
    // Whatever is taken away from the directory, it is still the first one's.
    for gone in ["control.sock", "host.pid"] {
        let _ = fs::remove_file(place.at("state").join(gone));
        let second = place.say(&["run", "other.yaml", "--state", "state"]);
        assert_eq!(second.status.code(), Some(1), "{}", said(&second));
        assert!(
            said(&second).contains("a host already runs with the state directory state"),
            "{}",
            said(&second)
        );
    }
    assert!(!place.at("other.jsonl").exists(), "no sink was opened");
    let runs: i64 = rusqlite::Connection::open(place.at("state/journal.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM runs", (), |row| row.get(0))
        .unwrap();
    assert_eq!(runs, 1, "no run was begun");
    drop(first);
    let after = place.say(&["run", "other.yaml", "--state", "state"]);
    assert!(after.status.success(), "a host that was killed holds nothing: {}", said(&after));
}

#[test]
fn nothing_is_read_or_written_by_a_run_that_cannot_start() {
    let place = Place::new();
    let refused = |arguments: &[&str], why: &str| {
        let output = place.say(&[&["run", "other.yaml"], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(why), "{}", said(&output));
        assert!(fs::read_to_string(place.at("other.jsonl")).unwrap_or_default().is_empty(), "{arguments:?}");
    };
    refused(
        &["--state", "state", "--report", "nowhere/report.json"],
        "cannot write the report nowhere/report.json",
    );
    refused(&["--state", "state", "--report", "."], "cannot write the report .; name another with --report");
    refused(&["--state", "state", "--policy", "nowhere"], "nowhere");
    fs::write(place.at("file"), "").unwrap();
    refused(&["--state", "file"], "no directory");
    refused(&["--state", "state", "--dead-letters", "nowhere/dead"], "dead letters cannot be written");
    fs::write(place.at("broken.yaml"), ENDLESS.replace("path: out.jsonl", "path: nowhere/out.jsonl"))
        .unwrap();
    refused(&["broken.yaml", "--state", "state"], "broken.yaml cannot start");
}

#[test]
fn a_state_directory_is_made_for_its_user_alone_or_taken_as_it_is_or_refused() {
    let place = Place::new();
    let mode = |name: &str| place.at(name).metadata().unwrap().permissions().mode() & 0o777;
    let set = |name: &str, mode: u32| {
        fs::set_permissions(place.at(name), fs::Permissions::from_mode(mode)).unwrap()
    };
    let run = |state: &str| place.say(&["run", "other.yaml", "--state", state]);
    assert!(run("new/below").status.success());
    assert_eq!((mode("new"), mode("new/below")), (0o700, 0o700));
    fs::create_dir(place.at("mine")).unwrap();
    set("mine", 0o755);
    assert!(run("mine").status.success());
    assert_eq!(mode("mine"), 0o755, "what is there is not changed");
    for private in ["journal.db", "halts.reserve"] {
        assert_eq!(place.at("mine").join(private).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    fs::create_dir(place.at("ours")).unwrap();
    for open in [0o770, 0o777, 0o1777, 0o702] {
        set("ours", open);
        let output = run("ours");
        assert_eq!(output.status.code(), Some(1));
        assert!(
            said(&output).contains("may be written by others") && said(&output).contains("chmod 700 ours")
        );
        assert_eq!(fs::read_dir(place.at("ours")).unwrap().count(), 0, "nothing was laid there");
    }
    symlink(place.at("mine"), place.at("link")).unwrap();
    for link in ["link", "link/"] {
        let output = run(link);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("is a symbolic link"), "{}", said(&output));
    }
    if place.at("mine").metadata().unwrap().uid() == 0 {
        fs::create_dir(place.at("theirs")).unwrap();
        std::os::unix::fs::chown(place.at("theirs"), Some(12_345), None).unwrap();
        let output = run("theirs");
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("another user's (12345)"), "{}", said(&output));
    }
}

#[test]
fn a_state_directory_with_a_long_name_works() {
    let place = Place::new();
    let state = "worktree-of-a-long-branch-name/".repeat(6) + "state";
    let host = place.host(&state);
    let halted = place.say(&["halt", "--why", "enough", "--state", &state]);
    assert!(halted.status.success() && said(&halted).contains("acts no more"), "{}", said(&halted));
    assert!(place.say(&["plugins", "--state", &state]).status.success());
    drop(host);
}

#[test]
fn whoever_halts_where_no_host_runs_is_told_so() {
    let place = Place::new();
    let halted = place.say(&["halt", "--why", "enough", "--state", "state"]);
    assert_eq!(halted.status.code(), Some(3), "{}", said(&halted));
    let text = said(&halted);
    assert!(text.contains("no host runs with the state directory state, so none was stopped"), "{text}");
    assert!(text.contains("holds for the next host there") && !text.contains("acts no more"), "{text}");
    for arguments in [&["rollback", "1"][..], &["approve", "x"], &["deny", "x", "--why", "y"], &["approvals"]]
    {
        let output = place.say(&[arguments, &["--state", "state"]].concat());
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(said(&output).contains("no host runs with the state directory state"), "{}", said(&output));
    }
    let host = place.host("state");
    host.says("the host is halted: enough", SOON);
    drop(host);
    let resumed = place.say(&["resume", "--state", "state"]);
    assert_eq!(resumed.status.code(), Some(3), "{}", said(&resumed));
    assert!(said(&resumed).contains("no host runs") && !said(&resumed).contains("may act again."));
    let again = place.say(&["resume", "--state", "state"]);
    assert!(said(&again).contains("there is nothing to resume"), "{}", said(&again));
    assert!(events(&place, "state").contains("halted by a person (user "), "{}", events(&place, "state"));
}

#[test]
fn a_host_that_has_the_directory_and_no_socket_yet_is_not_told_to_be_gone() {
    let place = Place::new();
    fs::create_dir(place.at("state")).unwrap();
    fs::set_permissions(place.at("state"), fs::Permissions::from_mode(0o700)).unwrap();
    // What a host does first of all when it starts.
    let held = fs::File::open(place.at("state")).unwrap();
    held.lock().unwrap();
    let output = place.say(&["status", "--state", "state"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let text = said(&output);
    assert!(text.contains("it has no socket; if it is still starting, ask once more"), "{text}");
    assert!(!text.contains("no host runs"), "{text}");
}

#[test]
fn a_socket_that_is_removed_is_made_anew_and_a_halt_reaches_the_host() {
    let place = Place::new();
    let host = place.host("state");
    fs::remove_file(place.at("state/control.sock")).unwrap();
    let halted = place.say(&["halt", "--why", "stop it now", "--state", "state"]);
    assert!(halted.status.success() && said(&halted).contains("the host acts no more"), "{}", said(&halted));
    host.says("halted by a person", SOON);
    host.says("the control socket was removed", SOON);
    // Another socket in its place is none of the host's.
    fs::remove_file(place.at("state/control.sock")).unwrap();
    let other = UnixListener::bind(place.at("state/control.sock")).unwrap();
    until("the host has its socket again", SOON, || host.count("the control socket was removed") > 1);
    // Whoever asked the other one would wait for its answer.
    drop(other);
    until("it answers", SOON, || place.say(&["approvals", "--state", "state"]).status.success());
}

#[test]
fn a_host_whose_state_directory_is_gone_or_another_stops_acting_and_says_so() {
    let place = Place::new();
    let host = place.host("state");
    fs::rename(place.at("state"), place.at("moved")).unwrap();
    host.says("the state directory", SOON);
    host.says("is gone: nobody could halt this host", SOON);
    let halted = place.say(&["halt", "--why", "stop it now", "--state", "state"]);
    assert_eq!(halted.status.code(), Some(3), "{}", said(&halted));
    host.says("was replaced by another one", SOON);
    fs::remove_dir_all(place.at("state")).unwrap();
    fs::rename(place.at("moved"), place.at("state")).unwrap();
    host.says("the host acts again", SOON);
    let halted = place.say(&["halt", "--why", "stop it now", "--state", "state"]);
    assert!(halted.status.success(), "{}", said(&halted));
    fs::remove_file(place.at("state/journal.db")).unwrap();
    host.says("the journal", SOON);
    host.says("journal.db is gone: nobody could halt this host", SOON);
}

/// Starts a pipeline with a child that runs this, while the host is halted. A child runs as the host's user, and may open its
/// socket: `resume.sh` does so, and writes down what it was told.
fn host_with_a_child(place: &Place, script: &str) -> Running {
    let resume = format!(
        "'{}' resume --state state --why 'let me' > told.txt 2>&1; echo \"exit $?\" >> told.txt\n",
        env!("CARGO_BIN_EXE_flyball")
    );
    fs::write(place.at("resume.sh"), resume).unwrap();
    fs::write(place.at("child.sh"), format!("{script}\ncat > nothing.txt\n")).unwrap();
    let manifest = r#"name: children
nodes:
  - { id: in, type: generate, params: { per_second: 1 } }
  - { id: child, type: command, executor: multiprocess, params: { command: [sh, child.sh] } }
  - { id: out, type: discard }
connections: [{ from: in, to: child }, { from: child, to: out }]
"#;
    fs::write(place.at("children.yaml"), manifest).unwrap();
    place.say(&["halt", "--why", "enough", "--state", "state"]);
    place.run(&["children.yaml", "--state", "state"])
}

/// What a child that wanted the host resumed was told, and that the host is still halted.
fn is_refused(place: &Place) {
    let text = || fs::read_to_string(place.at("told.txt")).unwrap_or_default();
    until("the child was told", SOON, || text().contains("exit"));
    assert!(
        text().contains("was started by this host, directly or not") && text().contains("exit 1"),
        "{}",
        text()
    );
    let still = place.say(&["resume", "--state", "state", "--why", "I may"]);
    assert!(still.status.success(), "it was halted until a person resumed it: {}", said(&still));
    let told = events(place, "state");
    assert_eq!(told.matches("resumed by a person").count(), 1, "{told}");
}

#[test]
fn a_child_of_the_host_can_not_resume_it() {
    let place = Place::new();
    let _host = host_with_a_child(&place, ". ./resume.sh");
    is_refused(&place);
}

#[test]
fn a_grandchild_whose_parents_have_ended_can_not_resume_the_host() {
    let place = Place::new();
    let _host = host_with_a_child(&place, "(setsid sh -c 'sleep 1; . ./resume.sh' &)");
    is_refused(&place);
}
