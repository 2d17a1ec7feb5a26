#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "a test")]
//! A reader that is cut at any entry and begins again sees each once, in order, over restarts of the host.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flyball_events::{EventLog, EventReader};
use flyball_model::{EntryNumber, Happened, LogEntry, Warning};
use flyball_ports::{EventStore, EventStoreError};
use flyball_store::EventEntries;
use proptest::prelude::*;

const PATIENCE: Duration = Duration::from_secs(300);

fn happened(text: impl std::fmt::Display) -> Happened {
    Happened::Warning(Warning::new("test", text.to_string()))
}

fn text(entry: &LogEntry) -> String {
    match &entry.happened {
        Happened::Warning(warning) => warning.message.clone(),
        other => panic!("{other:?}"),
    }
}

fn rest(reader: &mut EventReader) -> Vec<String> {
    std::iter::from_fn(|| reader.try_next().unwrap()).map(|entry| text(&entry)).collect()
}

fn log_in(dir: &std::path::Path, run: u64) -> EventLog {
    EventLog::start(run, Some(Arc::new(EventEntries::open(dir).unwrap()))).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Each run appends so many; the reader reads so many, is cut, and begins anew after the number that it had.
    #[test]
    fn a_reader_that_is_cut_anywhere_sees_each_entry_once_and_in_order(
        runs in prop::collection::vec((0_usize..3_000, prop::collection::vec(0_usize..1_500, 1..4)), 1..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut expected, mut seen) = (Vec::new(), Vec::new());
        let mut at = EntryNumber::default();
        for (run, (count, cuts)) in (1..).zip(runs) {
            let log = log_in(dir.path(), run);
            let mut appended = 0;
            for read in &cuts {
                let now = (count / cuts.len()).min(count - appended);
                for _ in 0..now {
                    expected.push(format!("{run}: {appended}"));
                    log.append(happened(expected.last().unwrap()));
                    appended += 1;
                }
                let mut reader = log.reader(at).unwrap();
                seen.extend(std::iter::from_fn(|| reader.try_next().unwrap()).take(*read).map(|entry| text(&entry)));
                at = reader.position();
            }
            prop_assert!(log.close(PATIENCE));
        }
        let last = log_in(dir.path(), 9);
        let mut reader = last.reader(at).unwrap();
        seen.extend(rest(&mut reader));
        prop_assert_eq!(seen, expected);
        last.append(happened("the end"));
        prop_assert_eq!(rest(&mut reader), ["the end"]);
    }
}

#[tokio::test]
async fn a_reader_waits_for_what_comes_and_ends_with_the_log() {
    let log = EventLog::start(1, None).unwrap();
    let mut reader = log.reader(EntryNumber::default()).unwrap();
    let reading = tokio::spawn(async move {
        let mut texts = Vec::new();
        while let Some(entry) = reader.next().await.unwrap() {
            texts.push(format!("{} {}", entry.number, text(&entry)));
        }
        texts
    });
    log.append(happened("one"));
    log.append(happened("two"));
    assert!(log.close(PATIENCE));
    assert!(log.append(happened("too late")).is_none());
    assert_eq!(reading.await.unwrap(), ["1.1 one", "1.2 two"]);
}

#[test]
fn a_number_that_was_never_given_is_refused() {
    let log = EventLog::start(2, None).unwrap();
    log.append(happened("one"));
    let refused = log.reader("2.2".parse().unwrap()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "there is no entry 2.2 yet, the newest is 2.1; read on after a number that this log has given"
    );
}

/// Takes nothing until it is mended, and counts how often it was asked to.
struct Broken(EventEntries, AtomicBool, AtomicUsize);

impl Broken {
    fn in_dir(dir: &std::path::Path) -> Arc<Self> {
        Arc::new(Self(EventEntries::open(dir).unwrap(), AtomicBool::new(true), AtomicUsize::new(0)))
    }
}

impl EventStore for Broken {
    fn write(&self, entries: &[Arc<LogEntry>]) -> Result<(), EventStoreError> {
        self.2.fetch_add(1, Ordering::SeqCst);
        match self.1.load(Ordering::SeqCst) {
            true => Err(EventStoreError("the disk is full".to_owned())),
            false => self.0.write(entries),
        }
    }

    fn read(&self, after: EntryNumber, most: usize) -> Result<Vec<Arc<LogEntry>>, EventStoreError> {
        self.0.read(after, most)
    }

    fn position(&self, reader: &str) -> Result<Option<EntryNumber>, EventStoreError> {
        self.0.position(reader)
    }

    fn keep_position(&self, reader: &str, at: EntryNumber) -> Result<(), EventStoreError> {
        self.0.keep_position(reader, at)
    }

    fn forget_position(&self, reader: &str) -> Result<(), EventStoreError> {
        self.0.forget_position(reader)
    }
}

#[test]
fn a_disk_that_takes_nothing_for_a_while_loses_nothing_and_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = Broken::in_dir(dir.path());
    let log = EventLog::start(1, Some(store.clone())).unwrap();
    let expected: Vec<String> = (0..5_000).map(|number| number.to_string()).collect();
    for text in &expected {
        log.append(happened(text));
    }
    assert_eq!(rest(&mut log.reader(EntryNumber::default()).unwrap()), expected, "from memory");
    store.1.store(false, Ordering::SeqCst);
    assert!(log.close(PATIENCE));
    let kept = store.read(EntryNumber::default(), usize::MAX).unwrap();
    assert_eq!(kept.iter().map(|entry| text(entry)).collect::<Vec<_>>(), expected);
    assert_eq!(log.lost(), 0);
}

#[test]
fn a_disk_that_takes_nothing_is_not_asked_for_each_entry() {
    let dir = tempfile::tempdir().unwrap();
    let store = Broken::in_dir(dir.path());
    let log = EventLog::start(1, Some(store.clone())).unwrap();
    log.append(happened("one"));
    let begun = Instant::now();
    while store.2.load(Ordering::SeqCst) == 0 {
        assert!(begun.elapsed() < PATIENCE, "the disk was never asked");
        std::thread::yield_now();
    }
    let (begun, before) = (Instant::now(), store.2.load(Ordering::SeqCst));
    for number in 0..10_000 {
        log.append(happened(number));
    }
    // At most once a second, however long this took.
    let asked = store.2.load(Ordering::SeqCst) - before;
    assert!(asked as u64 <= begun.elapsed().as_secs() + 1, "it was asked {asked} times more");
    store.1.store(false, Ordering::SeqCst);
    assert!(log.close(PATIENCE));
}

#[test]
fn what_no_disk_takes_and_memory_does_not_hold_goes_oldest_first_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Broken::in_dir(dir.path());
    let log = EventLog::start(1, Some(store.clone())).unwrap();
    let all: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    for text in &all {
        log.append(happened(text));
    }
    let lost = usize::try_from(log.lost()).unwrap();
    assert!((1..all.len()).contains(&lost), "{lost}");
    assert_eq!(rest(&mut log.reader(EntryNumber::default()).unwrap()), all[lost..]);
    store.1.store(false, Ordering::SeqCst);
    assert!(log.close(PATIENCE));
    let kept = store.read(EntryNumber::default(), usize::MAX).unwrap();
    assert_eq!(kept.iter().map(|entry| text(entry)).collect::<Vec<_>>(), all[lost..]);
}
