use flyball_store::{CallFilter, RecordingsError, RecordingsReader};

use crate::calls::{all, assessed, read, recorded};

fn change(sql: &str) -> Vec<flyball_store::RecordedCall> {
    let directory = tempfile::tempdir().unwrap();
    recorded(directory.path(), all(), vec![assessed(3, true), assessed(4, false)]);
    let db = rusqlite::Connection::open(directory.path().join("recordings.db")).unwrap();
    assert!(db.execute(sql, ()).unwrap() > 0);
    read(directory.path())
}

#[test]
fn a_recording_that_was_changed_says_so() {
    for sql in [
        "UPDATE calls SET said = (SELECT said FROM calls WHERE id = 2) WHERE id = 1",
        "UPDATE calls SET fuel = fuel + 1 WHERE id = 1",
        "UPDATE calls SET component = 'ff' WHERE id = 1",
        "UPDATE calls SET now = (SELECT now FROM calls WHERE id = 2) WHERE id = 1",
        "UPDATE parts SET body = (SELECT body FROM parts WHERE id = (SELECT now FROM calls WHERE id = 2))
         WHERE id = (SELECT now FROM calls WHERE id = 1)",
    ] {
        let calls = change(sql);
        assert!(calls[0].altered, "{sql}");
    }
    let untouched = change("UPDATE calls SET batch = batch WHERE id = 1");
    assert!(untouched.iter().all(|call| !call.altered));
}

#[test]
fn a_recording_that_cannot_be_read_is_an_error_of_that_call() {
    for sql in [
        "UPDATE parts SET body = x'00' WHERE id = (SELECT now FROM calls WHERE id = 1)",
        "UPDATE calls SET asked = x'28b52ffd' WHERE id = 1",
        "UPDATE calls SET past = 999 WHERE id = 1",
        "UPDATE calls SET kind = 'a king' WHERE id = 1",
        "UPDATE calls SET now = NULL WHERE id = 1",
    ] {
        let directory = tempfile::tempdir().unwrap();
        recorded(directory.path(), all(), vec![assessed(3, true)]);
        let db = rusqlite::Connection::open(directory.path().join("recordings.db")).unwrap();
        db.execute(sql, ()).unwrap();
        let reader = RecordingsReader::open(directory.path()).unwrap();
        let error = reader.call(1).unwrap_err();
        assert!(matches!(error, RecordingsError::Damaged { id: 1, .. }), "{sql}: {error}");
        assert_eq!(reader.list(&CallFilter::default()).unwrap().len(), 1);
        assert_eq!(reader.call(2).unwrap_err(), RecordingsError::Unknown(2));
    }
}
