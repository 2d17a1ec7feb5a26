//! Quiet ticks go round in a file of a bounded size.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(dead_code, reason = "the records are for other tests, too")]

#[path = "journal/records.rs"]
mod records;

use std::sync::Arc;
use std::time::Duration;

use flyball_model::{Check, Checked, Cost, Ending, GateState, PluginId, Side, TickRecord};
use flyball_ports::Listener;
use flyball_store::{QuietTicks, QuietTicksReader};

const SOON: Duration = Duration::from_secs(300);

fn quiet(session: &str, tick: u64) -> TickRecord {
    let check = Check {
        code: "queue-pressure".into(),
        node: Some("b".into()),
        metric: "queue-depth".into(),
        value: None,
        limit: 80.5,
        bad: Side::Above,
        note: "for 3 ticks on end, not 1".into(),
    };
    TickRecord {
        session: session.into(),
        tick,
        findings: vec![],
        failures: vec![],
        gate: None,
        decision: None,
        verdicts: vec![],
        action: None,
        error: None,
        checks: vec![Checked { by: PluginId::host(), checks: vec![check] }],
        gates: vec![GateState { gate: "halted".into(), open: false, message: "a person did".into() }],
        costs: vec![(PluginId::host(), Cost::default())],
        ..records::tick(session, tick, Ending::Quiet)
    }
}

fn read(directory: &std::path::Path) -> QuietTicksReader {
    QuietTicksReader::open(directory).unwrap().unwrap()
}

#[test]
fn a_quiet_tick_is_read_as_it_was_told_without_its_costs_and_others_are_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    assert!(QuietTicksReader::open(dir.path()).unwrap().is_none(), "nothing was ever kept");
    let kept = QuietTicks::start(dir.path()).unwrap();
    kept.tick(&quiet("a", 1).into());
    kept.tick(&Arc::new(TickRecord { ending: Ending::Held, ..quiet("a", 2) }));
    kept.tick(&Arc::new(TickRecord { error: Some("the disk is full".into()), ..quiet("a", 3) }));
    assert!(kept.settle(SOON));
    let reader = read(dir.path());
    let told = TickRecord { costs: vec![], ..quiet("a", 1) };
    assert_eq!(reader.newest("a", Some(1)).unwrap(), Some(told));
    assert_eq!(reader.numbers("a", 0).unwrap(), Some((1, 1)));
    assert_eq!(reader.newest("b", None).unwrap(), None);
    assert_eq!(reader.numbers("b", 0).unwrap(), None);
}

#[test]
fn the_oldest_are_forgotten_across_runs_and_sessions() {
    let dir = tempfile::tempdir().unwrap();
    for run in 0..3 {
        let kept = QuietTicks::keeping(dir.path(), 100).unwrap();
        for tick in 1..=100 {
            kept.tick(&quiet(if tick % 2 == 0 { "a" } else { "b" }, run * 100 + tick).into());
        }
        assert_eq!(kept.dropped(), 0);
    }
    let reader = read(dir.path());
    let (lowest, highest) = reader.numbers("a", 0).unwrap().unwrap();
    assert_eq!(highest, 300);
    assert!((199..=202).contains(&lowest), "{lowest}");
    assert_eq!(reader.newest("a", Some(100)).unwrap(), None);
    assert_eq!(reader.newest("b", None).unwrap().unwrap().tick, 299);
    assert_eq!(reader.sessions().unwrap(), ["a", "b"]);
}

#[test]
fn a_file_that_cannot_be_written_costs_the_ticks_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("quiet-ticks.db")).unwrap();
    let kept = QuietTicks::start(dir.path()).unwrap();
    for tick in 1..=3 {
        kept.tick(&quiet("a", tick).into());
    }
    assert!(kept.settle(SOON));
    assert_eq!(kept.dropped(), 3);
    let error = QuietTicksReader::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("quiet-ticks.db cannot be read: ") && error.contains("move it away"), "{error}");
}
