//! Numbers that a node plugin reports of itself.

use std::sync::Arc;

use flyball_engine::MetricSink;
use flyball_model::Limits;
use parking_lot::Mutex;

use crate::guests::{Parts, contract, encoded, judge};

/// A node that reports `cache-hits` and then `queue-depth`, and fails its item with what it is told of the latter.
fn reporting() -> Vec<u8> {
    let parts = Parts {
        imports: r#"(import "flyball:plugin/metrics@0.1.0" "set" (func $set (param i32 i32 f64 i32)))"#,
        fields: r#"(data (i32.const 4096) "cache-hits") (data (i32.const 4200) "queue-depth")"#,
        assess: "
    (call $set (i32.const 4096) (i32.const 10) (f64.const 2.5) (i32.const 1400))
    (call $set (i32.const 4200) (i32.const 11) (f64.const 1) (i32.const 1400))
    (i32.store8 (i32.const 1300) (i32.load8_u (i32.const 1400)))
    (i32.store (i32.const 1304) (i32.load (i32.const 1404)))
    (i32.store (i32.const 1308) (i32.load (i32.const 1408)))
    (i32.store (i32.const 1200) (i32.const 1300)) (i32.store (i32.const 1204) (i32.const 1))",
        answer: "(i32.const 1200)",
        ..Parts::good("reporting", "1.0.0")
    };
    let core = parts
        .core()
        .lines()
        .filter(|line| !line.contains("flyball:plugin/observed@0.1.0"))
        .collect::<Vec<_>>()
        .join("\n")
        .replace("flyball:plugin/assessing@0.1.0#assess", "flyball:plugin/processing@0.1.0#process");
    encoded(&core, "node", &contract(&[]))
}

#[test]
fn what_a_node_reports_reaches_whoever_runs_it_and_it_learns_what_is_refused() {
    let mut node = judge(&reporting(), Limits::default());
    let taken = Arc::new(Mutex::new(Vec::new()));
    let seen = taken.clone();
    node.report_to(MetricSink::new(move |name, value| {
        seen.lock().push((name.to_owned(), value));
        if name == "queue-depth" { Err("the host measures it".to_owned()) } else { Ok(()) }
    }));
    let answers = node.process(&[(1, b"1".to_vec())]).unwrap();
    assert_eq!(answers, [Err("the host measures it".to_owned())]);
    assert_eq!(*taken.lock(), [("cache-hits".to_owned(), 2.5), ("queue-depth".to_owned(), 1.0)]);
}

#[test]
fn a_node_that_nobody_runs_is_told_that_its_numbers_are_not_taken() {
    let answers = judge(&reporting(), Limits::default()).process(&[(1, b"1".to_vec())]).unwrap();
    assert!(matches!(&answers[0], Err(why) if why.contains("nobody takes numbers here")), "{answers:?}");
}
