use std::path::Path;
use std::sync::Arc;

use flyball_model::{HttpAnswer, HttpExchange};
use flyball_ports::{CallInput, CallRecord, Recorder, Said};
use flyball_store::{CallFilter, RecordingsOptions, RecordingsReader};

use crate::calls::{SOON, all, assessed, call, read, recorded, start};

const LIMIT: u64 = 2 << 20;

fn on_disk(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).unwrap().flatten();
    files.map(|file| file.metadata().unwrap().len()).sum()
}

/// Bytes that nothing compresses.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn large(seed: u64, length: usize) -> CallRecord {
    let answer = HttpAnswer::Answered { status: 200, headers: Vec::new(), body: noise(seed, length) };
    let exchange = HttpExchange {
        method: "GET".to_owned(),
        url: "https://example.com".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        answer,
    };
    CallRecord { http: vec![exchange], ..call(CallInput::List, Ok(Said::NodeTypes(Vec::new()))) }
}

#[test]
fn the_files_never_grow_over_the_limit_and_the_newest_calls_are_whole() {
    let directory = tempfile::tempdir().unwrap();
    let recordings = start(directory.path(), RecordingsOptions { most_bytes: LIMIT, ..all() });
    for round in 0..40 {
        for call in 0..10 {
            recordings.record(large(round * 10 + call, 15_000));
            recordings.record(assessed(round * 10 + call + 1, true));
        }
        assert!(recordings.settle(SOON));
        // The index of the write-ahead log is memory that has a name.
        let shared = directory.path().join("recordings.db-shm").metadata().unwrap().len();
        let size = on_disk(directory.path()) - shared;
        assert!(size <= LIMIT, "{size} bytes after round {round}");
    }
    assert_eq!((recordings.status().written, recordings.status().dropped), (800, 0));
    let kept = read(directory.path());
    assert!(kept.len() > 50 && kept.len() < 400, "{} of 800 are kept", kept.len());
    assert!(kept.iter().all(|recorded| !recorded.altered));
    assert_eq!(kept.last().unwrap().id, 800);
}

#[test]
fn a_call_that_is_larger_than_the_limit_is_dropped_alone() {
    let directory = tempfile::tempdir().unwrap();
    let recordings = start(directory.path(), RecordingsOptions { most_bytes: LIMIT, ..all() });
    recordings.record(assessed(1, true));
    recordings.record(large(1, 4 << 20));
    recordings.record(assessed(2, true));
    assert!(recordings.settle(SOON));
    let status = recordings.status();
    assert_eq!(status.dropped, 1);
    assert!(status.trouble.unwrap().contains("larger than a call may be"));
    let ticks: Vec<u64> = read(directory.path()).iter().map(|recorded| recorded.call.tick).collect();
    assert_eq!(ticks, [1, 2]);
}

#[test]
fn a_lower_limit_shrinks_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    recorded(directory.path(), all(), (0..300).map(|seed| large(seed, 15_000)).collect());
    assert!(on_disk(directory.path()) > LIMIT);
    let recordings = start(directory.path(), RecordingsOptions { most_bytes: LIMIT, ..all() });
    assert!(recordings.settle(SOON));
    drop(recordings);
    assert!(on_disk(directory.path()) <= LIMIT);
    assert!(read(directory.path()).iter().all(|recorded| !recorded.altered));
}

#[test]
fn what_is_older_than_its_days_is_forgotten_with_what_only_it_refers_to() {
    let directory = tempfile::tempdir().unwrap();
    recorded(directory.path(), all(), (1..=20).map(|tick| assessed(tick, true)).collect());
    let db = rusqlite::Connection::open(directory.path().join("recordings.db")).unwrap();
    db.execute("UPDATE calls SET written = 0", ()).unwrap();
    let left = recorded(directory.path(), all(), vec![assessed(900, true)]);
    assert_eq!(left.len(), 1);
    let parts: i64 = db.query_row("SELECT count(*) FROM parts", (), |row| row.get(0)).unwrap();
    // The observation, the thirty before it, the window, the policy.
    assert_eq!(parts, 33);
}

#[test]
fn an_observation_is_written_once_however_many_windows_it_is_in() {
    let directory = tempfile::tempdir().unwrap();
    let used = Arc::new(crate::calls::used());
    let calls = (1..=200).map(|tick| CallRecord { used: Arc::clone(&used), ..assessed(tick, true) });
    recorded(directory.path(), all(), calls.collect());
    let db = rusqlite::Connection::open(directory.path().join("recordings.db")).unwrap();
    let parts: i64 = db.query_row("SELECT count(*) FROM parts", (), |row| row.get(0)).unwrap();
    assert_eq!(parts, 200 + 200 + 1);
    let reader = RecordingsReader::open(directory.path()).unwrap();
    assert_eq!(reader.ids(&CallFilter::default()).unwrap().len(), 200);
}
