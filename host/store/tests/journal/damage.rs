use std::fs;
use std::path::Path;

use flyball_model::{ActionRecord, Ending, Outcome};
use flyball_ports::Journal;
use flyball_ports::{ActionFilter, EventFilter, TickFilter};
use flyball_store::{Reader, Store, StoreError};
use rusqlite::Connection;

use crate::records::{concluded, halted, intent, tick};

const PAGE: usize = 4_096;

/// A journal of some dozen pages, at rest. How many.
async fn written(directory: &Path) -> usize {
    let store = Store::open(directory).unwrap();
    let run = store.begin_run().await.unwrap();
    for number in 1..=12 {
        let mut intent = intent("shop", number);
        intent.proposal.reason = "because ".repeat(900);
        let id = store.intend(&intent).await.unwrap();
        store.conclude(&concluded(intent, id, Outcome::Verified)).await.unwrap();
        store.tick(&tick("shop", number, Ending::Acted).into()).await.unwrap();
        store.record(&halted(Some("shop"), number)).await.unwrap();
    }
    store.end_run(run).await.unwrap();
    drop(store);
    fs::read(directory.join("journal.db")).unwrap().len() / PAGE
}

/// It names the file and what to do, and is of a kind that this may be.
fn well_told(error: &StoreError) {
    let fits =
        matches!(error, StoreError::Damaged { .. } | StoreError::Unreadable { .. } | StoreError::Missing(_));
    assert!(fits, "{error:?}");
    assert!(error.to_string().contains("journal.db"), "{error}");
}

fn read_all(directory: &Path) {
    let reader = match Reader::open(directory) {
        Ok(reader) => reader,
        Err(error) => return well_told(&error),
    };
    let told = |outcome: Result<usize, StoreError>| outcome.map_or_else(|error| well_told(&error), drop);
    told(reader.actions(&ActionFilter::default()).map(|found| found.len()));
    told(reader.ticks(&TickFilter::default()).map(|found| found.len()));
    told(reader.events(&EventFilter::default()).map(|found| found.len()));
    told(reader.halts().map(|found| found.len()));
    told(reader.runs(9).map(|found| found.len()));
    told(reader.open_intents().map(|found| found.len()));
}

async fn write_some(directory: &Path) {
    let store = match Store::open(directory) {
        Ok(store) => store,
        Err(error) => return well_told(&error),
    };
    let told = |error: String| {
        assert!(error.contains("journal.db"), "{error}");
        assert!(error.contains("is damaged") || error.contains("cannot be read"), "{error}");
    };
    store.tick(&tick("shop", 1, Ending::Held).into()).await.unwrap();
    let id = match store.intend(&intent("shop", 1)).await {
        Ok(id) => id,
        Err(error) => return told(error.to_string()),
    };
    let concluded = concluded(intent("shop", 1), id, Outcome::Verified);
    if let Err(error) = store.conclude(&ActionRecord { id, ..concluded }).await {
        told(error.to_string());
    }
    for outcome in [store.record(&halted(None, 1)).await, store.halts().await.map(drop)] {
        if let Err(error) = outcome {
            told(error.to_string());
        }
    }
    if let Err(error) = store.recent("shop", 100).await {
        told(error.to_string());
    }
}

#[tokio::test]
async fn whichever_page_is_overwritten_it_is_told_and_nothing_breaks_off() {
    let directory = tempfile::tempdir().unwrap();
    let pages = written(directory.path()).await;
    assert!(pages > 20, "{pages}");
    let whole = fs::read(directory.path().join("journal.db")).unwrap();
    // Pages that hold nothing any more may hold anything.
    let unused: u16 = Connection::open(directory.path().join("journal.db"))
        .unwrap()
        .query_row("PRAGMA freelist_count", (), |row| row.get(0))
        .unwrap();
    for garbage in [0x00, 0xa5] {
        let mut unseen = 0;
        for page in 0..pages {
            let copy = tempfile::tempdir().unwrap();
            let mut bytes = whole.clone();
            bytes[page * PAGE..(page + 1) * PAGE].fill(garbage);
            fs::write(copy.path().join("journal.db"), &bytes).unwrap();
            let verified = Reader::open(copy.path()).and_then(|reader| reader.verify(None, |_| {}));
            match verified {
                Ok(verified) => unseen += u16::from(verified.faults == 0),
                Err(error) => well_told(&error),
            }
            read_all(copy.path());
            write_some(copy.path()).await;
        }
        assert!(unseen <= unused, "{unseen} pages with {garbage}");
    }
}

#[tokio::test]
async fn a_journal_that_was_cut_short_is_told_and_nothing_breaks_off() {
    let directory = tempfile::tempdir().unwrap();
    let pages = written(directory.path()).await;
    let whole = fs::read(directory.path().join("journal.db")).unwrap();
    for length in [50, 100, 1_000, PAGE, 3 * PAGE, pages / 2 * PAGE, pages * PAGE - 700] {
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join("journal.db"), &whole[..length]).unwrap();
        match Reader::open(copy.path()).and_then(|reader| reader.verify(None, |_| {})) {
            Ok(verified) => assert!(verified.faults > 0, "{length}"),
            Err(error) => well_told(&error),
        }
        read_all(copy.path());
        write_some(copy.path()).await;
    }
}

#[tokio::test]
async fn what_is_said_of_a_row_is_short_however_much_stands_in_it() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path()).await;
    let db = Connection::open(directory.path().join("journal.db")).unwrap();
    db.execute("UPDATE events SET event = json_quote(replace(hex(zeroblob(50000)), '00', 'x'))", []).unwrap();
    drop(db);
    let error = Reader::open(directory.path()).unwrap().events(&EventFilter::default()).unwrap_err();
    well_told(&error);
    assert!(error.to_string().len() < 1_000, "{} bytes", error.to_string().len());
}
