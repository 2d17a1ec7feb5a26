//! What a disk that is full, read-only or damaged does to a journal that is open.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "../tests/journal/records.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod records;

use std::fs;
use std::path::Path;

use flyball_model::{ActionRecord, Ending, Outcome};
use flyball_ports::Journal;
use rusqlite::Connection;

use flyball_ports::ActionFilter;

use crate::{Reader, Store, TICKS_KEPT, file};
use records::{concluded, halted, intent, tick};

/// A store whose connection was prepared by this.
fn store_with(directory: &Path, pragma: &str) -> Store {
    let connection = file::open_to_write(directory).unwrap();
    connection.execute_batch(pragma).unwrap();
    Store::on(directory, connection, TICKS_KEPT).unwrap()
}

/// An intent of some pages.
fn large(number: u64) -> ActionRecord {
    let mut intent = intent("shop", number);
    intent.proposal.reason = "because ".repeat(4_000);
    intent
}

fn sound(directory: &Path) -> Vec<ActionRecord> {
    let reader = Reader::open(directory).unwrap();
    let verified = reader.verify(None, |fault| panic!("{fault}")).unwrap();
    assert!(verified.entries > 0);
    reader.actions(&ActionFilter { limit: usize::MAX, ..ActionFilter::default() }).unwrap()
}

#[tokio::test]
async fn a_full_disk_is_told_loses_nothing_and_once_there_is_room_the_journal_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    // What another program holds of the disk.
    drop(Store::open(directory.path()).unwrap());
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE ballast (it); INSERT INTO ballast VALUES (zeroblob(400000))").unwrap();
    let store = store_with(directory.path(), "PRAGMA max_page_count = 200");

    let mut written = Vec::new();
    let error = loop {
        match store.intend(&large(written.len() as u64)).await {
            Ok(id) => written.push(id),
            Err(error) => break error.to_string(),
        }
        assert!(written.len() < 1_000, "the disk is never full");
    };
    assert!(error.contains("no room is left for the journal") && error.contains("free some"), "{error}");
    assert!(!written.is_empty());
    for _ in 0..3 {
        let error = store.intend(&large(0)).await.unwrap_err().to_string();
        assert!(error.contains("no room is left"), "{error}");
        let mut event = halted(None, 1);
        event.event = flyball_model::Event::Halted { why: "because ".repeat(8_000), by: None };
        let error = store.record(&event).await.unwrap_err().to_string();
        assert!(error.contains("no room is left"), "{error}");
        let mut heavy = tick("shop", 1, Ending::Acted);
        heavy.error = Some("because ".repeat(8_000));
        store.tick(&heavy.into()).await.unwrap();
    }
    assert!(store.halts().await.unwrap().is_empty());
    assert_eq!(store.dropped_ticks(), 3);
    let ids = |actions: Vec<ActionRecord>| actions.iter().rev().map(|action| action.id).collect::<Vec<_>>();
    assert_eq!(ids(sound(directory.path())), written);

    other.execute_batch("DROP TABLE ballast").unwrap();
    let last = store.intend(&large(9)).await.unwrap();
    store.conclude(&concluded(large(9), last, Outcome::Verified)).await.unwrap();
    store.record(&halted(None, 2)).await.unwrap();
    written.push(last);
    drop(store);
    assert_eq!(ids(sound(directory.path())), written);
}

#[tokio::test]
async fn who_shares_a_transaction_with_what_does_not_fit_is_told_so_too_or_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with(directory.path(), "PRAGMA max_page_count = 60");
    let mut kept = Vec::new();
    let mut refused = 0;
    for round in 0..40 {
        let (big, small, event) = (large(round), intent("shop", round), halted(Some("shop"), round));
        let (big, small, event) =
            tokio::join!(store.intend(&big), store.intend(&small), store.record(&event),);
        for outcome in [big.map(Some), small.map(Some), event.map(|()| None)] {
            match outcome {
                Ok(id) => kept.extend(id),
                Err(error) => {
                    assert!(error.to_string().contains("no room is left"), "{error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 0 && !kept.is_empty());
    drop(store);
    let mut found: Vec<_> = sound(directory.path()).iter().map(|action| action.id).collect();
    found.reverse();
    assert_eq!(found, kept, "what was promised is there, and nothing else");
}

#[tokio::test]
async fn a_file_that_becomes_read_only_is_told_and_keeps_what_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    store.intend(&intent("shop", 1)).await.unwrap();
    drop(store);
    let store = store_with(directory.path(), "PRAGMA query_only = ON");
    for error in [
        store.intend(&intent("shop", 2)).await.unwrap_err(),
        store.record(&halted(None, 1)).await.unwrap_err(),
    ] {
        let error = error.to_string();
        assert!(error.contains("is read-only; make it and its directory writable"), "{error}");
    }
    store.tick(&tick("shop", 1, Ending::Held).into()).await.unwrap();
    store.begin_run().await.unwrap_err();
    assert_eq!(store.dropped_ticks(), 1);
    assert_eq!(store.open_intents("shop").await.unwrap().len(), 1);
    assert_eq!(sound(directory.path()).len(), 1);
}

#[tokio::test]
async fn a_file_that_shows_itself_as_damaged_is_written_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    let store = Store::open(directory.path()).unwrap();
    for number in 1..=20 {
        store.intend(&large(number)).await.unwrap();
    }
    drop(store);
    let root: i64 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'events'", (), |row| row.get(0))
        .unwrap();
    let store = Store::open(directory.path()).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let page = usize::try_from(root - 1).unwrap() * 4_096;
    bytes[page..page + 4_096].fill(0xa5);
    fs::write(&path, &bytes).unwrap();

    for error in [
        store.record(&halted(None, 1)).await.unwrap_err(),
        store.intend(&intent("shop", 21)).await.unwrap_err(),
    ] {
        let error = error.to_string();
        assert!(error.contains("is damaged") && error.contains("move it away"), "{error}");
        assert!(error.contains("journal.db"), "{error}");
    }
    assert_eq!(store.recent("shop", 100).await.unwrap().len(), 20, "what is whole can be read");
    drop(store);
    assert_eq!(fs::read(&path).unwrap(), bytes, "what is still whole in it stays so");
    assert_eq!(Reader::open(directory.path()).unwrap().actions(&ActionFilter::default()).unwrap().len(), 20);
}
