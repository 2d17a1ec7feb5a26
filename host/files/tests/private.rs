//! Private files are private from their first moment, and never somebody else's.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs::{self, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{PermissionsExt, symlink};

use flyball_files::{FileError, create_private, open_private};
use nix::sys::stat::Mode;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_private_file_is_made_with_its_mode_and_written_at_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kept");
    open_private(&path).unwrap().write_all(b"one").unwrap();
    assert_eq!(mode(&path), 0o600);
    let mut again = open_private(&path).unwrap();
    again.write_all(b"two").unwrap();
    again.rewind().unwrap();
    let mut all = String::new();
    again.read_to_string(&mut all).unwrap();
    assert_eq!(all, "onetwo");
}

#[test]
fn a_file_of_ones_own_that_others_may_read_is_made_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("open");
    fs::write(&path, "x").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    open_private(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn links_pipes_and_directories_are_not_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    fs::write(&target, "mine").unwrap();
    let link = dir.path().join("link");
    symlink(&target, &link).unwrap();
    assert!(matches!(open_private(&link).unwrap_err(), FileError::Link { .. }));
    assert!(matches!(create_private(&link).unwrap_err(), FileError::Exists { .. }));
    let dangling = dir.path().join("dangling");
    symlink(dir.path().join("made"), &dangling).unwrap();
    assert!(open_private(&dangling).is_err() && create_private(&dangling).is_err());
    assert!(!dir.path().join("made").exists());
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::from_bits_truncate(0o600)).unwrap();
    assert!(open_private(&fifo).unwrap_err().to_string().contains("a pipe"));
    assert!(open_private(dir.path()).is_err());
}

#[test]
fn a_file_that_was_to_be_new_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    create_private(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    let said = create_private(&path).unwrap_err().to_string();
    assert!(said.contains("it is there already; take it away or name another"), "{said}");
}

#[test]
fn another_users_file_is_refused() {
    // Only the superuser can make one; elsewhere a file of the system serves.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("theirs");
    fs::write(&path, "theirs").unwrap();
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(65_534), Some(65_534)).unwrap();
        let error = open_private(&path).unwrap_err();
        assert!(matches!(error, FileError::Foreign { owner: 65_534, .. }), "{error}");
        assert!(error.to_string().contains("belongs to another user"), "{error}");
    } else {
        assert!(open_private(std::path::Path::new("/etc/hostname")).is_err());
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
}
