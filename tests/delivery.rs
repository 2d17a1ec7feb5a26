#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! What a run delivers, where it writes, and that it ends, whoever reads from it or writes to it.

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use support::{flyball, is_ignored, read_json, said, until};

const SOON: Duration = Duration::from_secs(300);

fn pipeline(dir: &Path, source: &Value, sink: &Value) {
    let manifest =
        json!({"name": "p", "nodes": [source, sink], "connections": [{"from": "in", "to": "out"}]});
    fs::write(dir.join("p.yaml"), manifest.to_string()).unwrap();
}

fn endless() -> Value {
    json!({"id": "in", "type": "generate", "params": {"per_second": 100}})
}

fn twenty() -> Value {
    json!({"id": "in", "type": "generate", "params": {"per_second": 0, "limit": 20}})
}

fn to_file() -> Value {
    json!({"id": "out", "type": "file", "params": {"path": "out.jsonl"}})
}

fn run(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = flyball();
    command.current_dir(dir).args(["run", "p.yaml", "--state", "state"]).args(arguments);
    command
}

/// How it ends, if it does so by itself.
fn ends(child: &mut Child) -> Option<ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < SOON {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

fn pipe(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

#[test]
fn a_writer_that_says_nothing_keeps_no_run_from_ending() {
    let dir = tempfile::tempdir().unwrap();
    pipeline(dir.path(), &json!({"id": "in", "type": "lines", "params": {"path": "-"}}), &to_file());
    let mut child = run(dir.path(), &["--duration", "2s"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut writer = child.stdin.take().unwrap();
    writer.write_all(b"one\n").unwrap();
    assert!(ends(&mut child).is_some_and(|status| status.success()));
    assert_eq!(fs::read_to_string(dir.path().join("out.jsonl")).unwrap(), "\"one\"\n");
    drop(writer);
}

#[test]
fn a_pipe_that_nobody_writes_to_keeps_no_run_from_ending() {
    let dir = tempfile::tempdir().unwrap();
    pipe(&dir.path().join("fifo"));
    pipeline(dir.path(), &json!({"id": "in", "type": "lines", "params": {"path": "fifo"}}), &to_file());
    let mut child = run(dir.path(), &["--duration", "1s"]).spawn().unwrap();
    assert!(ends(&mut child).is_some_and(|status| status.success()));
    let mut child = run(dir.path(), &[]).spawn().unwrap();
    until("the sink is open", SOON, || dir.path().join("out.jsonl").exists());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(ends(&mut child).is_some(), "it did not end");
}

#[test]
fn a_pipe_is_read_to_its_writers_end() {
    let dir = tempfile::tempdir().unwrap();
    pipe(&dir.path().join("fifo"));
    pipeline(dir.path(), &json!({"id": "in", "type": "lines", "params": {"path": "fifo"}}), &to_file());
    let mut child = run(dir.path(), &[]).spawn().unwrap();
    fs::write(dir.path().join("fifo"), "one\ntwo\n").unwrap();
    assert!(ends(&mut child).is_some_and(|status| status.success()));
    assert_eq!(fs::read_to_string(dir.path().join("out.jsonl")).unwrap(), "\"one\"\n\"two\"\n");
}

#[test]
fn a_reader_that_is_stuck_keeps_no_run_from_ending() {
    let dir = tempfile::tempdir().unwrap();
    let body = json!({"n": "{{n}}", "pad": "x".repeat(1_000)});
    let source = json!({"id": "in", "type": "generate", "params": {"per_second": 2000, "body": body}});
    pipeline(dir.path(), &source, &json!({"id": "out", "type": "stdout"}));
    let mut child =
        run(dir.path(), &["--duration", "2s", "--drain", "500ms"]).stdout(Stdio::piped()).spawn().unwrap();
    let reader = child.stdout.take().unwrap();
    assert!(ends(&mut child).is_some(), "it did not end");
    drop(reader);
}

fn delivered(dir: &Path) -> usize {
    fs::read_to_string(dir.join("out.jsonl")).unwrap_or_default().lines().count()
}

#[test]
fn a_hang_up_drains_as_the_other_signals_do() {
    for signal in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT] {
        if signal == Signal::SIGHUP && is_ignored(signal) {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        pipeline(dir.path(), &endless(), &to_file());
        let mut child = run(dir.path(), &["--report", "report.json"]).spawn().unwrap();
        until("items arrive", SOON, || delivered(dir.path()) > 0);
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        assert!(ends(&mut child).is_some_and(|status| status.success()), "{signal}");
        let account = &read_json(&dir.path().join("report.json"))["sessions"][0]["account"];
        assert_eq!(
            (&account["in_flight"], &account["delivered"]),
            (&json!(0), &json!(delivered(dir.path())))
        );
        assert_eq!(account["accepted"], account["delivered"]);
    }
}

#[test]
fn a_hang_up_that_the_host_was_told_to_ignore_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    pipeline(dir.path(), &endless(), &to_file());
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" run p.yaml --state state", env!("CARGO_BIN_EXE_flyball")]);
    let mut child = command.current_dir(dir.path()).spawn().unwrap();
    until("items arrive", SOON, || delivered(dir.path()) > 0);
    let pid = Pid::from_raw(child.id().cast_signed());
    kill(pid, Signal::SIGHUP).unwrap();
    let before = delivered(dir.path());
    until("more items arrive", SOON, || delivered(dir.path()) > before + 50);
    kill(pid, Signal::SIGTERM).unwrap();
    assert!(ends(&mut child).is_some_and(|status| status.success()));
}

#[test]
fn a_report_leaves_what_it_is_written_to_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    pipeline(dir.path(), &twenty(), &json!({"id": "out", "type": "discard"}));
    symlink("/dev/null", at("null")).unwrap();
    fs::create_dir(at("volume")).unwrap();
    fs::write(at("volume/target.json"), "{}").unwrap();
    symlink("volume/target.json", at("link.json")).unwrap();
    for target in ["null", "link.json", "new.json"] {
        let output = run(dir.path(), &["--report", target]).output().unwrap();
        assert!(output.status.success(), "{target}: {}", said(&output));
    }
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    assert!(fs::symlink_metadata(at("link.json")).unwrap().is_symlink());
    assert_eq!(read_json(&at("volume/target.json"))["version"], json!(1));

    pipe(&at("pipe"));
    let reading = at("pipe");
    let reader = std::thread::spawn(move || fs::read_to_string(reading).unwrap());
    let output = run(dir.path(), &["--report", "pipe"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(serde_json::from_str::<Value>(&reader.join().unwrap()).is_ok());
    assert!(fs::metadata(at("pipe")).unwrap().file_type().is_fifo());

    // What a shell made standard output keeps what was said before.
    let log = fs::File::create(at("log")).unwrap();
    let before = fs::metadata(at("log")).unwrap().ino();
    let mut child = run(dir.path(), &["--report", "/proc/self/fd/1"]).stdout(log).spawn().unwrap();
    assert!(ends(&mut child).is_some_and(|status| status.success()));
    assert_eq!(fs::metadata(at("log")).unwrap().ino(), before);
    let text = fs::read_to_string(at("log")).unwrap();
    assert!(text.contains("20 accepted") && text.contains("\"sessions\""), "{text}");
}

#[test]
fn a_start_that_is_refused_leaves_standard_input_to_whoever_reads_next() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("taken")).unwrap();
    pipeline(
        dir.path(),
        &json!({"id": "in", "type": "lines", "params": {"path": "-"}}),
        &json!({"id": "out", "type": "file", "params": {"path": "taken"}}),
    );
    let file = dir.path().join("in.txt");
    fs::write(&file, "one\ntwo\n").unwrap();
    // A file's position is shared, as a pipe's content is.
    let mut input = fs::File::open(&file).unwrap();
    let output = run(dir.path(), &[]).stdin(input.try_clone().unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(std::io::Seek::stream_position(&mut input).unwrap(), 0, "{}", said(&output));
}

#[test]
fn a_report_that_cannot_be_written_stops_the_run_before_it_reads_an_item() {
    let dir = tempfile::tempdir().unwrap();
    pipeline(dir.path(), &twenty(), &to_file());
    for target in [".", "no/folder/report.json"] {
        let output = run(dir.path(), &["--report", target]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(&format!("cannot write the report {target}")), "{}", said(&output));
        assert!(!dir.path().join("out.jsonl").exists());
    }
}

#[test]
fn a_rotated_file_is_followed_without_a_signal() {
    let dir = tempfile::tempdir().unwrap();
    let (new, old) = (dir.path().join("out.jsonl"), dir.path().join("out.jsonl.1"));
    pipeline(dir.path(), &endless(), &to_file());
    let mut child = run(dir.path(), &["--duration", "4s"]).stdout(Stdio::piped()).spawn().unwrap();
    until("the first line", SOON, || fs::metadata(&new).is_ok_and(|seen| seen.len() > 0));
    fs::rename(&new, &old).unwrap();
    fs::write(&new, "").unwrap();
    let mut told = String::new();
    child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(ends(&mut child).is_some_and(|status| status.success()));
    let lines = [&old, &new].map(|path| fs::read_to_string(path).unwrap());
    let numbers = lines
        .iter()
        .flat_map(|text| text.lines())
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["n"].as_u64().unwrap());
    let count = lines.iter().map(|text| text.lines().count() as u64).sum();
    assert!(numbers.eq(0..count), "{lines:?}");
    assert!(!lines[1].is_empty());
    assert!(told.contains(&format!("{count} delivered")), "{told}");
}

#[test]
fn what_is_told_of_an_address_is_its_origin_alone() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let down = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://user:hunter2pass@{down}/x?api_key=topsecretkey");
    let ask = json!({"id": "ask", "type": "http-enrich", "retries": 0, "params": {"url": url}});
    let manifest = json!({
        "name": "p",
        "nodes": [endless(), ask, {"id": "out", "type": "http-out", "params": {"url": url}}],
        "connections": [{"from": "in", "to": "ask"}, {"from": "ask", "to": "out"}],
    });
    fs::write(dir.path().join("p.yaml"), manifest.to_string()).unwrap();
    let output =
        run(dir.path(), &["-v", "--duration", "3s", "--drain", "200ms", "--dead-letters", "dead.jsonl"])
            .output()
            .unwrap();
    let letters = fs::read_to_string(dir.path().join("dead.jsonl")).unwrap();
    assert!(letters.contains(&format!("http://{down} did not answer")), "{letters}");
    assert_eq!(fs::metadata(dir.path().join("dead.jsonl")).unwrap().mode() & 0o777, 0o600);
    for secret in ["hunter2pass", "topsecretkey"] {
        assert!(!said(&output).contains(secret) && !letters.contains(secret), "{}", said(&output));
    }
}

#[test]
fn the_environments_proxy_gets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let down = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sink = json!({"id": "out", "type": "http-out", "params": {"url": format!("http://{down}/x")}});
    pipeline(dir.path(), &endless(), &sink);
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let mut command = run(dir.path(), &["--duration", "1s", "--drain", "100ms"]);
    for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(variable, &address);
    }
    command.output().unwrap();
    assert!(proxy.accept().is_err(), "the proxy was spoken to");
}

#[test]
fn dead_letters_stop_at_their_bound_and_their_items_stay_in_flight() {
    let dir = tempfile::tempdir().unwrap();
    let body = json!({"text": "x".repeat(300_000)});
    let source =
        json!({"id": "in", "type": "generate", "params": {"per_second": 50, "limit": 8, "body": body}});
    let picky = json!({"id": "picky", "type": "parse-json", "retries": 0, "params": {"field": "text"}});
    let manifest = json!({
        "name": "p",
        "nodes": [source, picky, {"id": "out", "type": "discard"}],
        "connections": [{"from": "in", "to": "picky"}, {"from": "picky", "to": "out"}],
    });
    fs::write(dir.path().join("p.yaml"), manifest.to_string()).unwrap();
    let output = run(dir.path(), &["--duration", "3s", "--drain", "200ms", "--dead-letters-max-mb", "1"])
        .output()
        .unwrap();
    assert!(said(&output).contains("3 dead-lettered + 5 in flight"), "{}", said(&output));
    let letters = fs::read_to_string(dir.path().join("state/dead-letters.jsonl")).unwrap();
    assert!(letters.len() <= 1 << 20);
    assert_eq!(letters.lines().count(), 3);
    let say = |arguments: &[&str]| {
        let mut command = flyball();
        command.current_dir(dir.path()).arg("dead-letters").args(arguments).args(["--state", "state"]);
        said(&command.output().unwrap())
    };
    let listed = say(&["list", "-n", "2"]);
    assert!(!listed.contains("     1  ") && listed.contains("     3  "), "{listed}");
    assert!(listed.contains("  picky: ") && listed.contains("3 at picky"), "{listed}");
    assert!(say(&["list", "--node", "other"]).contains("no dead letters"));
    let item: Value = serde_json::from_str(say(&["show", "2", "--item"]).trim()).unwrap();
    assert_eq!(item, body);
    assert!(say(&["show", "4"]).contains("has no dead letter 4"), "{}", say(&["show", "4"]));
}

#[test]
fn what_stands_in_dead_letters_obeys_nobody_and_a_line_that_is_none_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let letter = |node: &str| json!({ "item": "\u{1b}[2Jx", "node": node, "error": "e\u{1b}]0;t\u{7}\nforged: line", "at": 7 });
    let half = letter("half").to_string();
    let lines = format!("{}\nthis is none\n{}\n{}", letter("a\u{1b}[31m"), letter("b"), half.split_at(20).0);
    fs::write(dir.path().join("dead.jsonl"), lines).unwrap();
    for arguments in [&["list"][..], &["list", "--json"], &["show", "1"], &["show", "3", "--item"]] {
        let mut command = flyball();
        command.current_dir(dir.path()).arg("dead-letters").args(arguments).args(["--file", "dead.jsonl"]);
        let output = command.output().unwrap();
        let text = said(&output);
        assert!(output.status.success() && !text.contains(['\u{1b}', '\u{7}']), "{arguments:?}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("forged")), "{arguments:?}: {text:?}");
        if arguments[0] == "list" {
            assert!(
                text.contains("lines of dead.jsonl that are no dead letters: 1") && !text.contains("half"),
                "{text}"
            );
        }
    }
}
