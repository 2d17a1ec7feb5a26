//! Whatever is written, and whatever single thing of it is altered then: it is found.

use std::path::Path;

use flyball_model::{Ending, Event, Outcome};
use flyball_ports::Journal;
use flyball_store::{JournalFault, Store};
use proptest::prelude::*;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::chain::verified;
use crate::records::{concluded, event, halted, intent, tick};

const TABLES: [&str; 5] = ["runs", "actions", "ticks", "events", "chain"];

#[derive(Debug, Clone)]
enum Step {
    BeginRun,
    EndRun,
    Intend(u64),
    Conclude(usize, Outcome),
    Tick(u64),
    Record(String),
    Open,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        Just(Outcome::Unknown),
        Just(Outcome::Verified),
        Just(Outcome::Failed),
        Just(Outcome::RolledBack)
    ];
    prop_oneof![
        1 => Just(Step::BeginRun),
        1 => Just(Step::EndRun),
        4 => any::<u32>().prop_map(|number| Step::Intend(number.into())),
        4 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::Conclude(which, outcome)),
        6 => any::<u32>().prop_map(|number| Step::Tick(number.into())),
        3 => any::<String>().prop_map(Step::Record),
        1 => Just(Step::Open),
    ]
}

/// One thing that is done to one row, or to two.
#[derive(Debug, Clone)]
enum Harm {
    /// This byte of this column.
    Byte {
        column: usize,
        byte: usize,
        flip: u8,
    },
    Delete,
    /// All columns but the number.
    Swap(usize),
}

fn harm() -> impl Strategy<Value = (usize, usize, Harm)> {
    let harm = prop_oneof![
        4 => (any::<usize>(), any::<usize>(), 1..=u8::MAX)
            .prop_map(|(column, byte, flip)| Harm::Byte { column, byte, flip }),
        1 => Just(Harm::Delete),
        1 => any::<usize>().prop_map(Harm::Swap),
    ];
    (any::<usize>(), any::<usize>(), harm)
}

async fn write(directory: &Path, steps: &[Step]) {
    let open = || Store::keeping(directory, 5).unwrap();
    let mut store = Some(open());
    let (mut run, mut intents) = (None, Vec::new());
    for step in steps {
        let journal = store.as_ref().unwrap();
        match step {
            Step::BeginRun => run = Some(journal.begin_run().await.unwrap()),
            Step::EndRun => {
                if let Some(run) = run {
                    journal.end_run(run).await.unwrap();
                }
            }
            Step::Intend(number) => intents.push(journal.intend(&intent("shop", *number)).await.unwrap()),
            Step::Conclude(which, outcome) => {
                if !intents.is_empty() {
                    let id = intents[which % intents.len()];
                    journal.conclude(&concluded(intent("shop", 1), id, *outcome)).await.unwrap();
                }
            }
            Step::Tick(number) => journal.tick(&tick("shop", *number, Ending::Held).into()).await.unwrap(),
            Step::Record(why) => {
                journal.record(&event(Some("shop"), 1, Event::Frozen { why: why.clone() })).await.unwrap();
            }
            Step::Open => {
                drop(store.take());
                store = Some(open());
            }
        }
    }
    store.unwrap().record(&halted(None, 1)).await.unwrap();
}

/// The rows of a table, each with all of its columns; the first is its number.
fn rows(db: &Connection, table: &str) -> (Vec<String>, Vec<Vec<Value>>) {
    let mut statement = db.prepare(&format!("SELECT * FROM {table} ORDER BY id")).unwrap();
    let names: Vec<String> = statement.column_names().iter().map(ToString::to_string).collect();
    let rows = statement
        .query_map((), |row| (0..names.len()).map(|column| row.get(column)).collect())
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    (names, rows)
}

fn set(db: &Connection, table: &str, names: &[String], id: &Value, values: &[Value]) -> bool {
    let columns = names.iter().enumerate().map(|(at, name)| format!("\"{name}\" = ?{}", at + 2));
    let sql = format!("UPDATE {table} SET {} WHERE id = ?1", columns.collect::<Vec<_>>().join(", "));
    db.execute(&sql, params_from_iter(std::iter::once(id).chain(values))).is_ok()
}

/// Whether anything is another now.
fn do_harm(db: &Connection, table: &str, row: usize, harm: &Harm) -> bool {
    let (names, rows) = rows(db, table);
    if rows.is_empty() {
        return false;
    }
    let chosen = &rows[row % rows.len()];
    let id = &chosen[0];
    match harm {
        Harm::Delete => db.execute(&format!("DELETE FROM {table} WHERE id = ?1"), [id]).unwrap() == 1,
        Harm::Swap(other) => {
            let other = &rows[other % rows.len()];
            chosen[1..] != other[1..]
                && set(db, table, &names[1..], id, &other[1..])
                && set(db, table, &names[1..], &other[0], &chosen[1..])
        }
        Harm::Byte { column, byte, flip } => {
            let column = column % names.len();
            let (value, text) = match &chosen[column] {
                Value::Integer(number) => {
                    (Value::Integer(number ^ (i64::from(*flip) << (8 * (byte % 8)))), false)
                }
                Value::Text(text) => (Value::Blob(flipped(text.as_bytes(), *byte, *flip)), true),
                Value::Blob(blob) => (Value::Blob(flipped(blob, *byte, *flip)), false),
                Value::Null => (Value::Blob(vec![*flip]), true),
                Value::Real(number) => panic!("no column holds {number}"),
            };
            let name = &names[column];
            let as_text = format!("UPDATE {table} SET \"{name}\" = CAST(?2 AS TEXT) WHERE id = ?1");
            let as_it_is = format!("UPDATE {table} SET \"{name}\" = ?2 WHERE id = ?1");
            let altered = db.execute(if text { &as_text } else { &as_it_is }, [id, &value]);
            // A number takes no text, and an `id` is there once.
            altered.is_ok() || db.execute(&as_it_is, [id, &Value::Integer(i64::from(*flip) << 40)]).is_ok()
        }
    }
}

fn flipped(bytes: &[u8], byte: usize, flip: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.is_empty() {
        return vec![flip];
    }
    let at = byte % bytes.len();
    bytes[at] ^= flip;
    bytes
}

/// What is found in a copy of the journal to which this was done; none: nothing was altered by it.
fn found_after(journal: &Path, harm: impl FnOnce(&Connection) -> bool) -> Option<Vec<JournalFault>> {
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(journal.join("journal.db"), copy.path().join("journal.db")).unwrap();
    let db = Connection::open(copy.path().join("journal.db")).unwrap();
    db.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF").unwrap();
    harm(&db).then(|| verified(copy.path(), None).1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn one_thing_that_is_altered_in_any_journal_is_found_and_nothing_where_nothing_was(
        steps in prop::collection::vec(step(), 0..25),
        harms in prop::collection::vec(harm(), 12),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(write(directory.path(), &steps));
        let (_, faults) = verified(directory.path(), None);
        prop_assert!(faults.is_empty(), "untouched: {faults:?}");
        for (table, row, harm) in &harms {
            let table = TABLES[table % TABLES.len()];
            let found = found_after(directory.path(), |db| do_harm(db, table, *row, harm));
            prop_assert!(found.is_none_or(|faults| !faults.is_empty()), "{table} {row:?} {harm:?}");
        }
    }
}

#[tokio::test]
async fn each_column_of_each_row_of_a_journal_is_held_against_the_chain() {
    let directory = tempfile::tempdir().unwrap();
    let outcomes = [Outcome::Verified, Outcome::RolledBack];
    let mut steps = vec![Step::BeginRun, Step::Intend(1), Step::Intend(2), Step::EndRun, Step::BeginRun];
    steps.extend(outcomes.map(|outcome| Step::Conclude(0, outcome)));
    steps.extend((1..=7).map(Step::Tick));
    write(directory.path(), &steps).await;
    let db = Connection::open(directory.path().join("journal.db")).unwrap();
    let mut altered = 0;
    for table in TABLES {
        let (names, rows) = rows(&db, table);
        for (row, column) in (0..rows.len()).flat_map(|row| (0..names.len()).map(move |column| (row, column)))
        {
            let harm = Harm::Byte { column, byte: 0, flip: 64 };
            if let Some(faults) = found_after(directory.path(), |db| do_harm(db, table, row, &harm)) {
                altered += 1;
                assert!(!faults.is_empty(), "{table} {} of {:?}", names[column], rows[row]);
            }
        }
    }
    assert!(altered > 150, "{altered}");
}
