//! What a child is given of the host, and what is left of it when it, its supervisor or the host ends: looked at from
//! outside, in `/proc`.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test says what is wrong by failing"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flyball_nodes::{
    ChildCommand, ChildOptions, ChildProcessor, Item, Processor, Supervisor, adopt_orphans, check_config,
    child_command,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(300);

fn supervisor() -> Supervisor {
    Supervisor { program: env!("CARGO_BIN_EXE_flyball-node").into(), args: vec!["--supervise".to_owned()] }
}

fn spawn(command: &ChildCommand) -> ChildProcessor {
    let options = ChildOptions { item_timeout: LIMIT, ..ChildOptions::default() };
    ChildProcessor::spawn(&supervisor(), command, options).unwrap()
}

fn shell(script: &str) -> ChildProcessor {
    spawn(&ChildCommand::new("sh", ["-c", script]))
}

async fn ask(child: &mut ChildProcessor) -> Value {
    let answers = child.process(&[Item { id: 1, body: json!(1).into() }]).await;
    serde_json::to_value(answers.into_iter().next().unwrap().unwrap().remove(0)).unwrap()
}

/// It is there, and no zombie.
fn alive(pid: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn stat(pid: u32, field: usize) -> i64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split_whitespace().nth(field).unwrap().parse().unwrap()
}

fn parent(pid: u32) -> u32 {
    stat(pid, 1).try_into().unwrap()
}

fn environment(pid: u32) -> String {
    String::from_utf8(fs::read(format!("/proc/{pid}/environ")).unwrap()).unwrap()
}

fn descriptors(pid: u32) -> BTreeSet<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
}

fn stop(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

#[tokio::test]
async fn a_command_has_the_variables_that_the_manifest_names_and_no_other() {
    let config = json!({"command": ["sleep", "1000"], "env": {"REGION": "eu"}, "pass_env": ["PATH"]});
    assert_eq!(check_config("command", &config), []);
    let (command, _) = child_command("command", &config, std::path::Path::new("unused")).unwrap();
    let child = spawn(&command);
    let pid = child.pid().unwrap();
    let expected = format!("PATH={}\0REGION=eu\0", std::env::var("PATH").unwrap());
    assert_eq!(environment(pid), expected);
    assert_eq!(environment(parent(pid)), expected, "nor has its supervisor");
}

#[tokio::test]
async fn a_built_in_child_has_no_variables_at_all() {
    let mut child =
        spawn(&ChildCommand::new(env!("CARGO_BIN_EXE_flyball-node"), ["map", r#"{"template":"{{.}}"}"#]));
    assert_eq!(ask(&mut child).await, json!(1));
    assert_eq!(environment(child.pid().unwrap()), "");
}

#[test]
fn variables_that_cannot_be_are_told_at_their_place() {
    for (config, place) in [
        (json!({"command": ["x"], "env": {"A=B": "c"}}), "/env/A=B"),
        (json!({"command": ["x"], "env": {"A": "c\u{0}"}}), "/env/A"),
        (json!({"command": ["x"], "pass_env": ["PATH", ""]}), "/pass_env/1"),
        (json!({"command": ["x"], "env": {"A": "c"}, "pass_env": ["A"]}), "/pass_env/0"),
        (json!({"command": ["x\u{0}"]}), "/command/0"),
    ] {
        let problems = check_config("command", &config);
        assert!(problems.iter().any(|problem| problem.pointer == place), "{config}: {problems:?}");
    }
    // Whether the host has it is known only where the host is.
    let missing = json!({"command": ["x"], "pass_env": ["NO_SUCH_VARIABLE_HERE"]});
    assert_eq!(check_config("command", &missing), []);
    let error = child_command("command", &missing, std::path::Path::new("unused")).unwrap_err().to_string();
    assert!(error.contains("/pass_env/0") && error.contains("NO_SUCH_VARIABLE_HERE"), "{error}");
}

#[tokio::test]
async fn a_child_has_three_descriptors_whatever_the_host_has_open() {
    let file = fs::File::open("/proc/self/status").unwrap();
    // Without the close-on-exec flag, as what the host itself inherited has none.
    let leaky = nix::unistd::dup(&file).unwrap();
    let children: Vec<_> = (0..3).map(|_| shell("exec sleep 1000")).collect();
    for child in &children {
        let pid = child.pid().unwrap();
        // While the shell becomes `sleep`, the loader opens its libraries.
        until_async("it has three descriptors", || descriptors(pid) == BTreeSet::from([0, 1, 2])).await;
        for descriptor in descriptors(parent(pid)) {
            let open = fs::read_link(format!("/proc/{}/fd/{descriptor}", parent(pid))).unwrap();
            let open = open.to_str().unwrap();
            assert!(open == "/dev/null" || open.starts_with("socket:"), "its supervisor has {open}");
        }
    }
    drop(leaky);
}

#[tokio::test]
async fn a_child_has_a_session_without_a_terminal_and_leaves_no_core() {
    let child = shell("exec sleep 1000");
    let pid = child.pid().unwrap();
    let (group, session, terminal) = (stat(pid, 2), stat(pid, 3), stat(pid, 4));
    assert_eq!((group, session, terminal), (i64::from(pid), i64::from(parent(pid)), 0));
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}

/// Starts three that stay behind: in its group, in a session of its own, and one whose parent is gone already.
const FAMILY: &str = r#"
    sleep 1000 >/dev/null 2>&1 </dev/null & one=$!
    setsid sh -c 'echo $$ > two; exec sleep 1000' >/dev/null 2>&1 </dev/null &
    (setsid sh -c 'echo $$ > three; exec sleep 1000' >/dev/null 2>&1 </dev/null &)
    until [ -s two ] && [ -s three ]; do sleep 0.01; done
    read line
    echo "{\"id\":1,\"out\":[[$one,$(cat two),$(cat three)]]}"
"#;

async fn family(then: &str) -> (ChildProcessor, Vec<u64>) {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("cd {}\n{FAMILY}\n{then}", dir.path().display());
    let mut child = shell(&script);
    let pids: Vec<u64> = serde_json::from_value(ask(&mut child).await).unwrap();
    assert_eq!(pids.len(), 3);
    (child, pids)
}

#[tokio::test]
async fn whatever_descends_from_a_child_ends_when_the_child_is_wanted_no_more() {
    let (child, pids) = family("cat").await;
    assert!(pids.iter().all(|pid| alive(*pid)));
    let vitals = child.vitals();
    drop(child);
    vitals.ended().await;
    until("all generations are gone", || pids.iter().all(|pid| !alive(*pid)));
}

#[tokio::test]
async fn whatever_descends_from_a_child_ends_when_the_child_ends_by_itself_or_is_killed() {
    for end in ["exit 0", "exit 3", "kill -9 $$"] {
        let (child, pids) = family(end).await;
        child.vitals().ended().await;
        until("all generations are gone", || pids.iter().all(|pid| !alive(*pid)));
        drop(child);
    }
}

#[tokio::test]
async fn a_child_ends_with_its_supervisor() {
    let child = shell("exec sleep 1000");
    let pid = child.pid().unwrap();
    stop(parent(pid), Signal::SIGKILL);
    let exit = child.vitals().ended().await.unwrap();
    assert_eq!(exit.signal, Some(9));
    until("the child is gone", || !alive(pid.into()));
}

#[tokio::test]
async fn a_supervisor_that_somebody_stopped_keeps_nothing_alive() {
    let (child, pids) = family("cat").await;
    let (pid, vitals) = (child.pid().unwrap(), child.vitals());
    let supervisor = parent(pid);
    stop(supervisor, Signal::SIGSTOP);
    drop(child);
    until_async("everything is gone", || !alive(pid.into()) && pids.iter().all(|pid| !alive(*pid))).await;
    drop(vitals);
}

async fn until_async(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(40), "not within the limit: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Not a test of its own: the host that the tests below stop and kill, in a process of its own.
#[test]
fn a_host_for_the_other_tests() {
    let Ok(part) = std::env::var("HOST_FOR_A_TEST") else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match part.as_str() {
            "family" => {
                let _adopting = adopt_orphans().unwrap();
                let (child, pids) = family("cat").await;
                let child_pid = child.pid().unwrap();
                say(&json!({"child": child_pid, "supervisor": parent(child_pid), "others": pids}));
                std::future::pending::<()>().await;
            }
            "slow" => {
                let options =
                    ChildOptions { item_timeout: Duration::from_secs(2), ..ChildOptions::default() };
                let script = r#"read a; sleep 1; echo '{"id":1,"out":["late"]}'; cat"#;
                let mut child =
                    ChildProcessor::spawn(&supervisor(), &ChildCommand::new("sh", ["-c", script]), options)
                        .unwrap();
                say(&json!({"child": child.pid()}));
                let answers = child.process(&[Item { id: 1, body: json!(1).into() }]).await;
                say(
                    &json!({"answer": answers[0].as_ref().map(|out| out.len()).map_err(ToString::to_string)}),
                );
            }
            _ => descriptors_run_out(),
        }
    });
}

fn descriptors_run_out() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let used = descriptors(std::process::id()).len() as u64;
    setrlimit(Resource::RLIMIT_NOFILE, used + 4, hard).unwrap();
    let command = ChildCommand::new("sh", ["-c", "cat"]);
    let failed =
        ChildProcessor::spawn(&supervisor(), &command, ChildOptions::default()).unwrap_err().to_string();
    setrlimit(Resource::RLIMIT_NOFILE, 256.min(hard), hard).unwrap();
    let again = ChildProcessor::spawn(&supervisor(), &command, ChildOptions::default());
    say(&json!({"failed": failed, "again": again.is_ok()}));
}

/// A line of its own, told from what the test's harness writes.
fn say(value: &Value) {
    println!("\nHOST {value}");
}

struct Host {
    process: std::process::Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Host {
    fn start(part: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_host_for_the_other_tests", "--nocapture", "--test-threads=1"])
            .env("HOST_FOR_A_TEST", part)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    fn says(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the host said nothing more");
            if let Some(said) = line.strip_prefix("HOST ") {
                return serde_json::from_str(said).unwrap();
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn pids(said: &Value) -> Vec<u64> {
    let mut pids: Vec<u64> = said["others"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    pids.extend([said["child"].as_u64().unwrap(), said["supervisor"].as_u64().unwrap()]);
    pids
}

#[test]
fn nothing_of_a_child_outlives_a_host_that_is_killed() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGABRT] {
        let mut host = Host::start("family");
        let pids = pids(&host.says());
        assert!(pids.iter().all(|pid| alive(*pid)));
        stop(host.process.id(), signal);
        until("all of it is gone", || pids.iter().all(|pid| !alive(*pid)));
    }
}

#[test]
fn what_a_killed_supervisor_leaves_behind_is_ended_and_reaped_by_the_host() {
    let mut host = Host::start("family");
    let said = host.says();
    let pids = pids(&said);
    stop(said["supervisor"].as_u64().unwrap().try_into().unwrap(), Signal::SIGKILL);
    until("all of it is gone, without a zombie", || {
        pids.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
    });
}

#[test]
fn a_host_that_was_stopped_does_not_blame_its_child_for_that() {
    let mut host = Host::start("slow");
    host.says();
    stop(host.process.id(), Signal::SIGSTOP);
    // Longer than the child may take, and than it takes.
    std::thread::sleep(Duration::from_secs(4));
    stop(host.process.id(), Signal::SIGCONT);
    assert_eq!(host.says(), json!({"answer": {"Ok": 1}}));
}

#[test]
fn a_child_that_no_descriptors_are_left_for_is_a_clear_error_and_can_be_tried_again() {
    let mut host = Host::start("descriptors");
    let said = host.says();
    let failed = said["failed"].as_str().unwrap();
    assert!(failed.starts_with("cannot start \"sh\"") && failed.contains("Too many open files"), "{failed}");
    assert_eq!(said["again"], true);
}
