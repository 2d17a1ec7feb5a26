use std::path::Path;

use flyball_model::{ActionRecord, Ending, Outcome, TickRecord};
use flyball_ports::Journal;
use flyball_ports::{ActionFilter, EventFilter, TickFilter};
use flyball_store::{Reader, Store, StoreError, migrate};
use rusqlite::{Connection, params};

use crate::records::{concluded, halted, intent, tick};

/// As the first Flyball wrote it: two runs, of which the second was killed, three actions, of which the third is open,
/// and ticks, of which the oldest were forgotten.
pub(crate) fn version_1(directory: &Path) -> (Vec<ActionRecord>, Vec<TickRecord>) {
    let db = Connection::open(directory.join("journal.db")).unwrap();
    db.execute_batch(include_str!("version_1.sql")).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode = WAL;
         INSERT INTO runs (started, ended, version) VALUES (900, 2000, '0.1.0'), (2100, NULL, '0.1.0');",
    )
    .unwrap();
    let actions = [
        concluded(intent("shop", 1), 1, Outcome::Verified),
        concluded(intent("till", 2), 2, Outcome::Failed),
        ActionRecord { id: 3, ..intent("shop", 3) },
    ];
    let json = |value: serde_json::Value| value.to_string();
    for action in &actions {
        db.execute(
            "INSERT INTO actions (run, session, tick, generation, at, kind, target, proposal, findings, before,
                decided_by, judged_by, undoes, outcome, note, after, settled_at)
             VALUES (1, ?1, ?2, ?3, ?4, 'scale-node', 'map', ?5, ?6, ?7, ?8, ?9, NULL, ?10, ?11, ?12, ?13)",
            params![
                &*action.session,
                action.tick.cast_signed(),
                action.generation.cast_signed(),
                action.at.cast_signed(),
                json(serde_json::to_value(&action.proposal).unwrap()),
                json(serde_json::to_value(&action.findings).unwrap()),
                json(serde_json::to_value(&action.before).unwrap()),
                json(serde_json::to_value(&action.decided_by).unwrap()),
                json(serde_json::to_value(&action.judged_by).unwrap()),
                action.outcome.name(),
                action.note,
                action.after.as_ref().map(|after| json(serde_json::to_value(after).unwrap())),
                action.settled_at.map(u64::cast_signed),
            ],
        )
        .unwrap();
    }
    let ticks: Vec<_> = (1..=9).map(|number| tick("shop", number, Ending::Held)).collect();
    for record in &ticks {
        db.execute(
            "INSERT INTO ticks (run, session, tick, generation, at, ending, record) VALUES (1, ?1, ?2, 3, ?3, 'held', ?4)",
            params![
                &*record.session,
                record.tick.cast_signed(),
                record.at.cast_signed(),
                json(serde_json::to_value(record).unwrap())
            ],
        )
        .unwrap();
    }
    db.execute("DELETE FROM ticks WHERE id <= 4", ()).unwrap();
    (actions.into(), ticks[4..].into())
}

#[tokio::test]
async fn a_journal_of_version_1_is_taken_over_with_all_that_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let (actions, ticks) = version_1(directory.path());
    migrate(directory.path()).unwrap();
    let store = Store::open(directory.path()).unwrap();
    let reader = Reader::open(directory.path()).unwrap();
    assert_eq!(reader.actions(&ActionFilter::default()).unwrap(), newest_first(&actions));
    assert_eq!(reader.ticks(&TickFilter::default()).unwrap(), newest_first(&ticks));
    assert_eq!(reader.runs(9).unwrap().len(), 2);

    assert_eq!(store.intend(&intent("shop", 4)).await.unwrap(), 4);
    store.record(&halted(None, 1)).await.unwrap();
    assert_eq!(store.open_intents("shop").await.unwrap().len(), 2);
    assert_eq!(store.halts().await.unwrap().len(), 1);
    drop(store);
    assert_eq!(Store::open(directory.path()).unwrap().halts().await.unwrap().len(), 1);
}

#[test]
fn a_journal_of_version_1_is_read_as_it_is_where_no_host_has_taken_it_over() {
    let directory = tempfile::tempdir().unwrap();
    let (actions, ticks) = version_1(directory.path());
    let reader = Reader::open(directory.path()).unwrap();
    assert_eq!(reader.actions(&ActionFilter::default()).unwrap(), newest_first(&actions));
    assert_eq!(reader.ticks(&TickFilter::default()).unwrap(), newest_first(&ticks));
    assert!(reader.events(&EventFilter::default()).unwrap().is_empty());
    assert!(reader.halts().unwrap().is_empty());
}

#[test]
fn a_journal_that_cannot_be_taken_over_stays_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let (actions, _) = version_1(directory.path());
    let db = Connection::open(directory.path().join("journal.db")).unwrap();
    db.execute_batch("CREATE TABLE events (mine)").unwrap();
    migrate(directory.path()).unwrap_err();
    let version: i64 = db.query_row("PRAGMA user_version", (), |row| row.get(0)).unwrap();
    assert_eq!(version, 1);
    let reader = Reader::open(directory.path()).unwrap();
    assert_eq!(reader.actions(&ActionFilter::default()).unwrap(), newest_first(&actions));

    db.execute_batch("DROP TABLE events").unwrap();
    migrate(directory.path()).unwrap();
    Store::open(directory.path()).unwrap();
}

#[test]
fn a_host_does_not_take_a_journal_of_version_1_over_by_itself_and_says_who_may() {
    let directory = tempfile::tempdir().unwrap();
    let (actions, _) = version_1(directory.path());
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Older(_)), "{error:?}");
    assert!(error.to_string().contains("`flyball journal migrate` takes it over as it is"), "{error}");
    let reader = Reader::open(directory.path()).unwrap();
    assert_eq!(reader.actions(&ActionFilter::default()).unwrap(), newest_first(&actions));
    assert!(matches!(reader.verify(None, |_| {}), Err(StoreError::Older(_))), "nothing was made of it");
}

#[tokio::test]
async fn a_journal_whose_chain_was_taken_away_is_not_taken_over_as_one_of_version_1() {
    for (left, traces) in [
        ("DROP TABLE chain", "its table events"),
        ("DROP TABLE chain; DROP TABLE events", "its table events"),
        (
            "DROP TABLE chain; DROP TABLE events; DELETE FROM sqlite_sequence WHERE name IN ('chain', 'events');
             INSERT INTO sqlite_sequence VALUES ('chain', 7)",
            "its table chain",
        ),
        (
            "DROP TABLE chain; DROP TABLE events; DELETE FROM sqlite_sequence WHERE name IN ('chain', 'events')",
            "the file quiet-ticks.db beside it",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        store.intend(&intent("shop", 1)).await.unwrap();
        store.record(&halted(None, 1)).await.unwrap();
        drop(store);
        std::fs::write(directory.path().join("quiet-ticks.db"), "").unwrap();
        let path = directory.path().join("journal.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(&format!("{left}; PRAGMA user_version = 1")).unwrap();
        drop(db);

        assert!(matches!(Store::open(directory.path()), Err(StoreError::Older(_))), "{left}");
        let error = migrate(directory.path()).unwrap_err().to_string();
        assert!(error.contains("somebody took its chain away"), "{left}: {error}");
        if !traces.ends_with("events") {
            assert!(error.contains(traces), "{left}: {error}");
        }
        let version: i64 =
            Connection::open(&path).unwrap().query_row("PRAGMA user_version", (), |row| row.get(0)).unwrap();
        assert_eq!(version, 1, "it stays as it was found");
    }
}

#[tokio::test]
async fn a_journal_without_its_version_is_no_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    store.intend(&intent("shop", 1)).await.unwrap();
    drop(store);
    let db = Connection::open(directory.path().join("journal.db")).unwrap();
    db.pragma_update(None, "user_version", 0).unwrap();
    let error = Store::open(directory.path()).unwrap_err();
    assert!(error.to_string().contains("its version was taken away"), "{error}");
}

#[test]
fn only_a_journal_of_version_1_is_taken_over_and_only_once() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(migrate(directory.path()), Err(StoreError::Missing(_))));
    assert!(!directory.path().join("journal.db").exists());
    version_1(directory.path());
    migrate(directory.path()).unwrap();
    assert!(matches!(migrate(directory.path()), Err(StoreError::NothingToMigrate(_))));
}

#[tokio::test]
async fn the_head_that_a_host_tells_is_the_one_that_verifying_finds() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    for number in 1..=3 {
        store.intend(&intent("shop", number)).await.unwrap();
        let told = store.chain_end().await.unwrap();
        let verified =
            Reader::open(directory.path()).unwrap().verify(Some(told.head), |fault| panic!("{fault}"));
        assert_eq!(verified.unwrap().entries, told.entries);
    }
}

fn newest_first<T: Clone>(records: &[T]) -> Vec<T> {
    records.iter().rev().cloned().collect()
}
