use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use flyball_store::{Reader, Store, StoreError};

#[test]
fn only_the_user_may_read_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let _store = Store::open(directory.path()).unwrap();
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let mode = fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_damaged_journal_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("journal.db"), "this is not a database".repeat(100)).unwrap();
    for error in [Store::open(directory.path()).unwrap_err(), Reader::open(directory.path()).unwrap_err()] {
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains("move it away"), "{error}");
    }
}

#[test]
fn a_read_only_journal_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    drop(Store::open(directory.path()).unwrap());
    fs::set_permissions(directory.path().join("journal.db"), Permissions::from_mode(0o400)).unwrap();
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error:?}");
    assert!(error.to_string().contains("make it and its directory writable"), "{error}");
}

#[test]
fn a_newer_journal_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(Store::open(directory.path()).unwrap());
    let path = directory.path().join("journal.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    for error in [Store::open(directory.path()).unwrap_err(), Reader::open(directory.path()).unwrap_err()] {
        assert!(matches!(error, StoreError::Newer { found: 99, known: 2, .. }), "{error:?}");
        assert!(error.to_string().contains("use the Flyball that wrote it"), "{error}");
    }
}

#[test]
fn where_nothing_ran_there_is_nothing_to_read() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(Reader::open(directory.path()), Err(StoreError::Missing(_))));
    assert!(!directory.path().join("journal.db").exists(), "reading begins no journal");
}

#[test]
fn a_state_directory_that_is_a_file_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(Store::open(file.path()), Err(StoreError::Unopenable { .. })));
}

#[test]
fn a_journal_can_be_read_after_its_host_has_gone() {
    let directory = tempfile::tempdir().unwrap();
    drop(Store::open(directory.path()).unwrap());
    assert!(Reader::open(directory.path()).unwrap().runs(10).unwrap().is_empty());
}
