use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use flyball_ports::{Keeper, Recorder};
use flyball_store::{EventEntries, PluginStates, RecordingsError, RecordingsReader};

use crate::calls::{SOON, all, assessed, recorded, start};

type Damage = fn(&Path);

#[test]
fn calls_that_a_damaged_read_only_or_newer_file_does_not_take_are_dropped_and_counted() {
    let damage: [(&str, Damage); 3] = [
        ("not a database", |path| fs::write(path, "this is no database".repeat(500)).unwrap()),
        ("read-only", |path| fs::set_permissions(path, Permissions::from_mode(0o400)).unwrap()),
        ("version 99", |path| {
            let db = rusqlite::Connection::open(path).unwrap();
            db.pragma_update(None, "user_version", 99).unwrap();
        }),
    ];
    for (what, damage) in damage {
        let directory = tempfile::tempdir().unwrap();
        recorded(directory.path(), all(), vec![assessed(1, true)]);
        damage(&directory.path().join("recordings.db"));
        let recordings = start(directory.path(), all());
        for tick in 1..=5 {
            recordings.record(assessed(tick, true));
        }
        assert!(recordings.settle(SOON));
        let status = recordings.status();
        assert_eq!((status.written, status.dropped), (0, 5), "{what}");
        assert!(status.trouble.as_ref().unwrap().contains(what), "{status:?}");
    }
}

#[test]
fn a_file_that_breaks_under_way_costs_calls_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let recordings = start(directory.path(), all());
    recordings.record(assessed(1, true));
    assert!(recordings.settle(SOON));
    rusqlite::Connection::open(directory.path().join("recordings.db"))
        .unwrap()
        .execute_batch("DROP TABLE parts")
        .unwrap();
    recordings.record(assessed(2, true));
    assert!(recordings.settle(SOON));
    let status = recordings.status();
    assert_eq!((status.written, status.dropped), (1, 1));
    assert!(status.trouble.unwrap().contains("no such table"));
}

/// A host looks whether its state directory is gone, and a new one of the same name would be another one to it.
#[test]
fn a_state_directory_that_is_gone_is_not_made_anew_by_what_is_kept_in_it() {
    let parent = tempfile::tempdir().unwrap();
    let gone = parent.path().join("state");
    let recordings = start(&gone, all());
    recordings.record(assessed(1, true));
    assert!(recordings.settle(SOON));
    assert_eq!(recordings.status().dropped, 1);
    let states = PluginStates::open(&gone).unwrap();
    assert!(states.load("counter", "orders").unwrap_err().contains("plugin-state.db"));
    states.keep("counter", "orders", [("n".to_owned(), Some(vec![1]))].into());
    drop((recordings, states));
    assert!(EventEntries::open(&gone).is_err());
    assert!(!gone.exists());
}

#[test]
fn whoever_records_is_never_held_up_by_a_disk_that_does_not_answer() {
    let directory = tempfile::tempdir().unwrap();
    let recordings = start(directory.path(), all());
    recordings.record(assessed(1, true));
    assert!(recordings.settle(SOON));
    // Another program that holds the file: the writer waits, whoever records does not.
    let db = rusqlite::Connection::open(directory.path().join("recordings.db")).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let calls: Vec<_> = (0..2_000).map(|_| assessed(1, true)).collect();
    let begun = Instant::now();
    calls.into_iter().for_each(|call| recordings.record(call));
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(500), "recording took {took:?}");
    assert!(recordings.status().dropped >= 1_000, "{:?}", recordings.status());
    db.execute_batch("ROLLBACK").unwrap();
    assert!(recordings.settle(SOON));
    let status = recordings.status();
    assert_eq!(status.written + status.dropped, 2_001, "each call is written or counted");
}

#[test]
fn where_nothing_was_recorded_there_is_nothing_to_read() {
    let directory = tempfile::tempdir().unwrap();
    let error = RecordingsReader::open(directory.path()).unwrap_err();
    assert!(matches!(error, RecordingsError::Missing(_)));
    assert!(!directory.path().join("recordings.db").exists());
}

#[test]
fn only_the_user_may_read_recordings() {
    let directory = tempfile::tempdir().unwrap();
    let _recordings = start(directory.path(), all());
    assert!(_recordings.settle(SOON));
    for name in ["recordings.db", "recordings.db-wal", "recordings.db-shm"] {
        let mode = fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
