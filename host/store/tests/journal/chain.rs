use std::path::Path;

use flyball_model::{Ending, Outcome};
use flyball_ports::Journal;
use flyball_store::{Head, JournalFault, Reader, Store, StoreError, Verified, migrate};
use rusqlite::Connection;

use crate::migrating::version_1;
use crate::records::{concluded, halted, intent, resumed, tick};

/// What the chain comes to, and each fault.
pub(crate) fn verified(directory: &Path, expected: Option<Head>) -> (Verified, Vec<JournalFault>) {
    let mut faults = Vec::new();
    let reader = Reader::open(directory).unwrap();
    let verified = reader.verify(expected, |fault| faults.push(fault)).unwrap();
    assert_eq!(verified.faults, faults.len() as u64);
    (verified, faults)
}

fn faults(directory: &Path) -> Vec<String> {
    verified(directory, None).1.iter().map(ToString::to_string).collect()
}

/// Changes the journal behind Flyball's back.
pub(crate) fn alter(directory: &Path, sql: &str) {
    let db = Connection::open(directory.join("journal.db")).unwrap();
    db.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    db.execute_batch(sql).unwrap();
}

/// Some of everything: a run, two actions, two ticks, two events.
async fn some(directory: &Path) -> Store {
    let store = Store::open(directory).unwrap();
    let run = store.begin_run().await.unwrap();
    let id = store.intend(&intent("shop", 1)).await.unwrap();
    store.conclude(&concluded(intent("shop", 1), id, Outcome::Effective)).await.unwrap();
    store.conclude(&concluded(intent("shop", 1), id, Outcome::Verified)).await.unwrap();
    store.intend(&intent("shop", 2)).await.unwrap();
    store.tick(&tick("shop", 1, Ending::Acted).into()).await.unwrap();
    store.tick(&tick("shop", 2, Ending::Held).into()).await.unwrap();
    store.record(&halted(None, 3)).await.unwrap();
    store.record(&resumed(None, 4)).await.unwrap();
    store.end_run(run).await.unwrap();
    store
}

#[tokio::test]
async fn everything_that_is_written_has_an_entry_and_an_untouched_journal_verifies() {
    let directory = tempfile::tempdir().unwrap();
    let empty = Store::open(directory.path()).unwrap();
    let (nothing, none) = verified(directory.path(), Some(Head::default()));
    assert_eq!((nothing.entries, nothing.head, none.len()), (0, Head::default(), 0));
    drop(empty);

    let store = some(directory.path()).await;
    let (first, none) = verified(directory.path(), None);
    assert_eq!((first.entries, none.len()), (10, 0), "{none:?}");
    drop(store);
    drop(some(directory.path()).await);
    let (second, none) = verified(directory.path(), Some(first.head));
    assert_eq!((second.entries, none.len()), (20, 0), "{none:?}");
    assert_ne!(first.head, second.head);
}

#[tokio::test]
async fn what_was_altered_is_told_with_its_place_and_what_it_says_now() {
    for (sql, expected) in [
        (
            "UPDATE actions SET note = 'p99 8 ms' WHERE id = 1",
            "row 1 of actions was altered: its outcome is not the one in the chain; it says",
        ),
        (
            "UPDATE actions SET settled_at = 7 WHERE id = 2",
            "row 2 of actions was altered: its outcome is not the one in the chain",
        ),
        (
            "UPDATE actions SET session = 'till' WHERE id = 2",
            "row 2 of actions was altered: its intent is not the one in the chain; it says run: 1, session: till",
        ),
        ("UPDATE ticks SET ending = 'quiet' WHERE id = 1", "row 1 of ticks was altered"),
        ("UPDATE runs SET version = '9' WHERE id = 1", "row 1 of runs was altered: its run is"),
        ("UPDATE runs SET ended = NULL WHERE id = 1", "row 1 of runs was altered: its run-ended is"),
        ("UPDATE events SET session = 'shop' WHERE id = 2", "row 2 of events was altered"),
        ("DELETE FROM actions WHERE id = 2", "row 2 of actions is missing: the chain has it since entry 5"),
        ("DELETE FROM ticks WHERE id = 1", "row 1 of ticks is missing"),
        (
            "INSERT INTO events (tick, at, what, event) VALUES (0, 5, 'resumed', '{}')",
            "row 3 of events is in no entry of the chain: it was put in by something else; it says run: nothing",
        ),
        ("UPDATE chain SET digest = zeroblob(32) WHERE id = 4", "entry 4 of the chain was altered"),
        ("UPDATE chain SET hash = x'00' WHERE id = 4", "entry 4 of the chain was altered"),
        ("UPDATE chain SET what = 'tock' WHERE id = 6", "entry 6 of the chain is of a tock"),
        ("UPDATE chain SET prev = zeroblob(32) WHERE id = 4", "the chain is broken before entry 4"),
        ("DELETE FROM chain WHERE id IN (4, 5)", "entries 4 to 5 of the chain are missing"),
        ("DELETE FROM chain WHERE id = 1", "entries 1 to 1 of the chain are missing"),
        ("DELETE FROM chain WHERE id >= 9", "entries 9 to 10 of the chain are missing"),
        ("DROP INDEX ticks_by_session; CREATE INDEX ticks_by_session ON ticks (session, tick)", ""),
    ] {
        let directory = tempfile::tempdir().unwrap();
        drop(some(directory.path()).await);
        alter(directory.path(), sql);
        let faults = faults(directory.path());
        if expected.is_empty() {
            assert!(faults.is_empty(), "{sql}: {faults:#?}");
        } else {
            assert!(faults.iter().any(|fault| fault.contains(expected)), "{sql}: {faults:#?}");
        }
    }
}

#[tokio::test]
async fn a_chain_that_was_rewritten_is_told_by_a_head_that_was_kept_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    drop(some(directory.path()).await);
    let (kept, _) = verified(directory.path(), None);
    // The end is cut off with all that was written there, and so that no number is missing.
    alter(
        directory.path(),
        "DELETE FROM events WHERE id = 2; DELETE FROM chain WHERE id >= 9; UPDATE runs SET ended = NULL;
         UPDATE sqlite_sequence SET seq = 8 WHERE name = 'chain'",
    );
    assert_eq!(faults(directory.path()), Vec::<String>::new());
    let (_, faults) = verified(directory.path(), Some(kept.head));
    assert_eq!(faults, [JournalFault::HeadMissing { head: kept.head }]);
    assert!(faults[0].to_string().contains(&kept.head.to_string()));

    // A host that goes on does not bring it back.
    drop(some(directory.path()).await);
    assert_eq!(
        verified(directory.path(), Some(kept.head)).1,
        [JournalFault::HeadMissing { head: kept.head }]
    );
}

#[tokio::test]
async fn an_end_that_was_cut_off_is_told_also_when_a_host_went_on_from_there() {
    let directory = tempfile::tempdir().unwrap();
    drop(some(directory.path()).await);
    alter(directory.path(), "DELETE FROM chain WHERE id >= 9");
    drop(some(directory.path()).await);
    let missing = JournalFault::EntriesMissing { first: 9, last: 10 };
    assert!(verified(directory.path(), None).1.contains(&missing));
}

#[tokio::test]
async fn a_chain_that_is_altered_under_a_running_host_shows_the_break() {
    let directory = tempfile::tempdir().unwrap();
    let store = some(directory.path()).await;
    alter(
        directory.path(),
        "DELETE FROM events WHERE id = 2; DELETE FROM chain WHERE id >= 9; UPDATE runs SET ended = NULL;
         UPDATE sqlite_sequence SET seq = 8 WHERE name = 'chain'",
    );
    store.record(&halted(None, 5)).await.unwrap();
    let (_, faults) = verified(directory.path(), None);
    assert_eq!(faults[0], JournalFault::EntriesMissing { first: 9, last: 10 }, "{faults:?}");
}

#[tokio::test]
async fn two_programs_that_write_by_turns_make_one_chain() {
    let directory = tempfile::tempdir().unwrap();
    let host = Store::open(directory.path()).unwrap();
    let other = Store::open(directory.path()).unwrap();
    for number in 1..=3 {
        host.intend(&intent("shop", number)).await.unwrap();
        other.record(&halted(None, number)).await.unwrap();
        other.record(&resumed(None, number)).await.unwrap();
    }
    let (verified, faults) = verified(directory.path(), None);
    assert_eq!((verified.entries, faults.len()), (9, 0), "{faults:?}");
}

#[tokio::test]
async fn a_journal_verifies_after_ticks_were_forgotten_and_only_those_may_be_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::keeping(directory.path(), 10).unwrap();
    for number in 1..=25 {
        store.tick(&tick("shop", number, Ending::Held).into()).await.unwrap();
        store.halts().await.unwrap();
    }
    drop(store);
    let (verified_, none) = verified(directory.path(), None);
    assert_eq!((verified_.entries, none.len()), (25 + 15, 0), "{none:?}");
    alter(directory.path(), "DELETE FROM ticks WHERE id = 16");
    assert_eq!(faults(directory.path()).len(), 1);
}

#[tokio::test]
async fn a_journal_of_version_1_is_taken_into_the_chain_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    version_1(directory.path());
    let error = Reader::open(directory.path()).unwrap().verify(None, |_| {}).unwrap_err();
    assert!(matches!(error, StoreError::Older(_)), "{error:?}");
    assert!(error.to_string().contains("`flyball journal migrate`"), "{error}");

    let migrated = migrate(directory.path()).unwrap();
    let store = Store::open(directory.path()).unwrap();
    let (first, none) = verified(directory.path(), None);
    assert_eq!((first.entries, none.len()), (3 + 5 + 5 + 1, 0), "{none:?}");
    assert_eq!((migrated.rows, migrated.head), (10, first.head));
    store.conclude(&concluded(intent("shop", 3), 3, Outcome::Failed)).await.unwrap();
    store.intend(&intent("shop", 4)).await.unwrap();
    drop(store);
    let (second, none) = verified(directory.path(), Some(first.head));
    assert_eq!((second.entries, none.len()), (16, 0), "{none:?}");
    assert_eq!(second.taken_over.unwrap().rows, 10, "it is said ever after");
    alter(directory.path(), "UPDATE ticks SET tick = 5 WHERE id = 9");
    assert_eq!(faults(directory.path()).len(), 1);
}

#[test]
fn a_head_is_read_as_it_is_printed() {
    let text = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    assert_eq!(text.parse::<Head>().unwrap().to_string(), text);
    for wrong in ["", "0", &text[2..], &format!("{text}00"), &text.replace('a', "ü")] {
        assert!(wrong.parse::<Head>().is_err(), "{wrong}");
    }
}
