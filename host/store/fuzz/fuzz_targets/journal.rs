//! Whatever lies where a journal should be is read, verified, taken over and opened, or refused with a sentence.
//!
//! A file of random bytes is no database and is refused at its first page. So the input is a list of changes to a sound
//! journal: bytes of the file, and statements on its tables as whoever may write the file could make them. An input that
//! begins as a database does is taken as it is.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use flyball_ports::Journal;
use flyball_model::{Event, EventRecord};
use flyball_ports::{ActionFilter, EventFilter, TickFilter};
use flyball_store::{Reader, Store, StoreError, migrate};
use libfuzzer_sys::{Corpus, fuzz_target};
use rusqlite::Connection;

/// What every SQLite file begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// What a stranger may do to the tables.
const STATEMENTS: [&str; 16] = [
    "DROP TABLE chain",
    "DROP TABLE events",
    "DROP TABLE ticks",
    "DELETE FROM chain WHERE id % 2 = 0",
    "UPDATE chain SET what = 'took-over', ref = -1, at = -1",
    "UPDATE chain SET hash = x'00', prev = x''",
    "UPDATE events SET event = '{\"what\":\"halted\",\"why\":\"\u{1b}[2J\"}', at = -9223372036854775808",
    "UPDATE events SET event = 'no json'",
    "UPDATE events SET session = x'ff', tick = -1",
    "INSERT INTO runs (started, ended, version) VALUES (-1, 9223372036854775807, x'00ff')",
    "INSERT INTO ticks (session, tick, generation, at, ending, record) VALUES ('a', -1, -1, -1, '', '[]')",
    "PRAGMA user_version = 0",
    "PRAGMA user_version = 1",
    "PRAGMA user_version = 99",
    "DELETE FROM sqlite_sequence",
    "CREATE VIEW halted AS SELECT * FROM events",
];

/// The bytes of a sound journal of a few rows.
fn sound() -> &'static [u8] {
    static SOUND: OnceLock<Vec<u8>> = OnceLock::new();
    SOUND.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let store = Store::open(dir.path()).expect("a journal");
        runtime.block_on(async {
            store.begin_run().await.expect("a run");
            for tick in 0..4 {
                let event = Event::Halted { why: format!("reason {tick}"), by: None };
                let record = EventRecord { at: 1_000 + tick, session: Some("shop".into()), tick, event };
                store.record(&record).await.expect("an event");
            }
        });
        drop(store);
        std::fs::read(dir.path().join("journal.db")).expect("its bytes")
    })
}

/// Two bytes for where, one for what; the first of them tells whether it is a byte or a statement.
fn changed(dir: &Path, input: &[u8]) {
    let path = dir.join("journal.db");
    if input.starts_with(MAGIC) {
        std::fs::write(&path, input).expect("the file is written");
        return;
    }
    let mut bytes = sound().to_vec();
    let (steps, _) = input.as_chunks::<3>();
    for [high, low, value] in steps.iter().filter(|[high, ..]| high & 0x80 == 0) {
        let at = usize::from(*high) << 8 | usize::from(*low);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = *value;
        }
    }
    std::fs::write(&path, bytes).expect("the file is written");
    let Ok(db) = Connection::open(&path) else { return };
    for [_, _, value] in steps.iter().filter(|[high, ..]| high & 0x80 != 0) {
        // What the file does not let itself be done to is as it is.
        let _ = STATEMENTS.get(usize::from(*value) % STATEMENTS.len()).map(|sql| db.execute_batch(sql));
    }
}

fn fit(error: &StoreError) {
    let said = error.to_string();
    assert!(!said.is_empty() && said.len() < 4_096, "{said}");
}

fn read(dir: &Path) -> Result<(), StoreError> {
    let reader = Reader::open(dir)?;
    for read in [
        reader.actions(&ActionFilter::default()).map(drop),
        reader.ticks(&TickFilter::default()).map(drop),
        reader.events(&EventFilter::default()).map(drop),
        reader.halts().map(drop),
        reader.runs(10).map(drop),
        reader.sessions().map(drop),
        reader.learned().map(drop),
        reader.open_intents().map(drop),
    ] {
        read.as_ref().err().into_iter().for_each(fit);
    }
    let mut faults = 0;
    let verified = reader.verify(None, |fault| {
        faults += 1;
        assert!(fault.to_string().len() < 16_384);
    })?;
    assert_eq!(verified.faults, faults);
    Ok(())
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let dir = tempfile::tempdir().expect("a directory");
    changed(dir.path(), input);
    read(dir.path()).as_ref().err().into_iter().for_each(fit);
    migrate(dir.path()).as_ref().err().into_iter().for_each(fit);
    match Store::open(dir.path()) {
        Err(error) => fit(&error),
        Ok(store) => {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async {
                let _ = store.halts().await;
                let event = Event::Resumed { why: String::new(), by: None };
                let _ = store.record(&EventRecord { at: 1, session: None, tick: 0, event }).await;
                let _ = store.chain_end().await;
            });
        }
    }
    Corpus::Keep
});
