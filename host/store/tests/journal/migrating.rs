use std::path::Path;

use flyball_control::ports::Journal;
use flyball_model::{ActionRecord, Ending, Outcome, TickRecord};
use flyball_store::{ActionFilter, EventFilter, Reader, Store, TickFilter};
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
    Store::open(directory.path()).unwrap_err();
    let version: i64 = db.query_row("PRAGMA user_version", (), |row| row.get(0)).unwrap();
    assert_eq!(version, 1);
    let reader = Reader::open(directory.path()).unwrap();
    assert_eq!(reader.actions(&ActionFilter::default()).unwrap(), newest_first(&actions));

    db.execute_batch("DROP TABLE events").unwrap();
    Store::open(directory.path()).unwrap();
}

fn newest_first<T: Clone>(records: &[T]) -> Vec<T> {
    records.iter().rev().cloned().collect()
}
