#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! What comes out of a pipeline is what went in: digits, fields and bytes, whoever sent it and whichever worker had it.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use support::{Running, flyball, said};

const SOON: Duration = Duration::from_secs(300);

fn run(dir: &Path) -> String {
    let output = flyball().current_dir(dir).args(["run", "p.yaml", "--state", "state"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    fs::read_to_string(dir.join("out.jsonl")).unwrap()
}

#[test]
fn a_component_and_a_child_pass_on_the_digits_and_fields_that_a_file_has() {
    let dir = tempfile::tempdir().unwrap();
    let items = [
        r#"{"z":100000000000000000000000000,"text":"One two","a":[1.10,-0,7e10,1E+400],"m":9223372036854775808}"#,
        r#"{"text":"x","pi":3.14159265358979323846,"nested":{"b":0.10,"a":18446744073709551616}}"#,
    ];
    // As deep as an item may be.
    let deep = format!(r#"{{"text":"","deep":{}{}}}"#, "[".repeat(59), "]".repeat(59));
    fs::write(dir.path().join("in.jsonl"), format!("\u{feff}{}\n\n{}\n{deep}\n", items[0], items[1]))
        .unwrap();
    fs::write(
        dir.path().join("p.yaml"),
        r#"name: digits
keep_order: true
nodes:
  - { id: in, type: lines, params: { path: in.jsonl } }
  - { id: parse, type: parse-json }
  - { id: component, type: tokenise, executor: wasm }
  - { id: child, type: map, executor: multiprocess, params: { template: "{{.}}" } }
  - { id: out, type: file, params: { path: out.jsonl } }
connections:
  - { from: in, to: parse }
  - { from: parse, to: component }
  - { from: component, to: child }
  - { from: child, to: out }
"#,
    )
    .unwrap();
    let out = run(dir.path());
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    let tokenised = |item: &str, tokens: &str| item.strip_suffix('}').unwrap().to_owned() + tokens;
    assert_eq!(lines[0], tokenised(items[0], r#","count":2,"tokens":["one","two"]}"#));
    assert_eq!(lines[2], tokenised(&deep, r#","count":0,"tokens":[]}"#));
    assert_eq!(lines[1], tokenised(items[1], r#","count":1,"tokens":["x"]}"#));
}

#[test]
fn a_cell_that_could_be_a_number_or_a_name_stays_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "ts,commit,version,big,zip\n0,7e10,1.10,123456789012345678901234567890,01234\n1,12e5,2.50,18446744073709551615,80331\n";
    fs::write(dir.path().join("in.csv"), rows).unwrap();
    fs::write(
        dir.path().join("p.yaml"),
        r#"name: cells
nodes:
  - { id: in, type: csv-replay, params: { path: in.csv, timestamp_column: ts, speed: 1000 } }
  - { id: new, type: filter, params: { field: version, min: 2.5 } }
  - { id: out, type: file, params: { path: out.jsonl } }
connections: [{ from: in, to: new }, { from: new, to: out }]
"#,
    )
    .unwrap();
    let out = run(dir.path());
    let wanted = r#"{"ts":1,"commit":"12e5","version":"2.50","big":18446744073709551615,"zip":80331}"#;
    assert_eq!(out.trim_end(), wanted);
}

#[test]
fn an_item_that_a_child_could_not_bear_is_refused_where_it_comes_in_and_the_child_lives() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("p.yaml"),
        r#"name: deep
nodes:
  - { id: in, type: http-in, params: { bind: "127.0.0.1:0" } }
  - { id: child, type: map, executor: multiprocess, params: { template: "{{.}}" } }
  - { id: out, type: file, params: { path: out.jsonl } }
connections: [{ from: in, to: child }, { from: child, to: out }]
"#,
    )
    .unwrap();
    let mut command = flyball();
    let host = Running::start(command.current_dir(dir.path()).args(["run", "p.yaml", "--state", "state"]));
    host.says("takes items at http", SOON);
    let told = host.said();
    let (_, rest) = told.split_once("http://").unwrap();
    let address = rest.split('/').next().unwrap().to_owned();
    let post = |body: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST /items HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.get(9..12).unwrap_or_default().to_owned()
    };
    assert_eq!(post(&("[".repeat(127) + &"]".repeat(127))), "400");
    assert_eq!(post(&format!("[{}]", vec!["{\"\":0}"; 140_000].join(","))), "202");
    assert_eq!(post("{\"fine\":1.10}"), "202");
    support::until("both are delivered", SOON, || {
        fs::read_to_string(dir.path().join("out.jsonl")).unwrap_or_default().lines().count() == 2
    });
    let out = fs::read_to_string(dir.path().join("out.jsonl")).unwrap();
    assert!(out.ends_with("{\"fine\":1.10}\n"), "{:.100}", out);
    assert!(!host.said().contains("killed"), "{}", host.said());
}
