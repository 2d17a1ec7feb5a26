//! Whatever a path leads to, reading it ends at once: with its bytes, or with a sentence.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use flyball_files::{FileError, Limit, read, read_text};
use nix::sys::stat::Mode;

const LIMIT: Limit = Limit::new(100, "split it");

/// Reads in a thread of its own: a test that would hang fails instead.
fn within_a_second(path: &Path) -> Result<Vec<u8>, FileError> {
    let (send, receive) = mpsc::channel();
    let path = path.to_owned();
    std::thread::spawn(move || send.send(read(&path, LIMIT)));
    receive.recv_timeout(Duration::from_secs(300)).unwrap()
}

fn refusal(path: &Path) -> String {
    within_a_second(path).unwrap_err().to_string()
}

#[test]
fn a_file_is_read_up_to_the_limit_and_refused_above_it_with_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some");
    fs::write(&path, [b'x'; 100]).unwrap();
    assert_eq!(within_a_second(&path).unwrap(), [b'x'; 100]);
    fs::write(&path, [b'x'; 101]).unwrap();
    let said = refusal(&path);
    assert!(said.ends_with("it has 101 bytes, and at most 100 are read; split it"), "{said}");
    assert!(said.contains(&path.display().to_string()), "{said}");
}

#[test]
fn a_fifo_that_nobody_writes_does_not_hang_and_its_writer_is_not_let_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o600)).unwrap();
    assert!(refusal(&path).contains("it is a pipe, not a file"));
    // A writer that waits for a reader still waits.
    use std::os::unix::fs::OpenOptionsExt;
    let writer = fs::OpenOptions::new()
        .write(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
        .open(&path)
        .unwrap_err();
    assert_eq!(writer.raw_os_error(), Some(nix::errno::Errno::ENXIO as i32));
}

#[test]
fn directories_sockets_and_devices_are_refused_by_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    assert!(refusal(dir.path()).contains("it is a directory, not a file"));
    let socket = dir.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    assert!(refusal(&socket).contains("it is a socket, not a file"));
    for device in ["/dev/zero", "/dev/null", "/dev/full"] {
        assert!(refusal(Path::new(device)).contains("it is a device, not a file"), "{device}");
    }
}

#[test]
fn what_the_kernel_makes_up_is_read_within_the_limit_although_it_says_it_has_no_bytes() {
    assert!(!within_a_second(Path::new("/proc/self/oom_score")).unwrap().is_empty());
    let said = refusal(Path::new("/proc/self/smaps"));
    assert!(said.contains("it has more than 100 bytes, and at most 100 are read"), "{said}");
}

#[test]
fn a_file_that_grows_while_it_is_read_is_refused_and_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("growing");
    let mut file = File::create(&path).unwrap();
    let (stop, stopped) = mpsc::channel::<()>();
    let writer = std::thread::spawn(move || {
        while stopped.try_recv().is_err() {
            if file.write_all(&[b'x'; 4096]).is_err() {
                break;
            }
        }
    });
    // Either there was nothing yet, or there was too much; it ends in any case.
    loop {
        match within_a_second(&path) {
            Ok(bytes) => assert!(bytes.len() <= 100),
            Err(error) => break assert!(matches!(error, FileError::TooLarge { .. }), "{error}"),
        }
    }
    stop.send(()).unwrap();
    writer.join().unwrap();
}

#[test]
fn links_are_followed_and_those_that_lead_nowhere_or_round_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "text").unwrap();
    let link = dir.path().join("link");
    symlink("file", &link).unwrap();
    assert_eq!(within_a_second(&link).unwrap(), b"text");
    let dangling = dir.path().join("dangling");
    symlink("nowhere", &dangling).unwrap();
    assert!(within_a_second(&dangling).unwrap_err().is_missing());
    let round = dir.path().join("round");
    symlink("round", &round).unwrap();
    let error = within_a_second(&round).unwrap_err();
    assert!(!error.is_missing() && matches!(error, FileError::System { .. }), "{error}");
    let device = dir.path().join("device");
    symlink("/dev/zero", &device).unwrap();
    assert!(refusal(&device).contains("a device"));
}

#[test]
fn what_is_not_there_is_told_with_its_name_made_visible() {
    let said = refusal(Path::new("no/such\u{1b}[2J\u{202e}file"));
    assert_eq!(said, "cannot read no/such\\u{1b}[2J\\u{202e}file: there is no such file; check the name");
}

#[test]
fn text_that_is_not_utf_8_is_refused_at_the_first_wrong_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text");
    fs::write(&path, "one\nzwö\n").unwrap();
    assert_eq!(read_text(&path, LIMIT).unwrap(), "one\nzwö\n");
    fs::write(&path, b"one\ncaf\xc3\xa9 \xe9\n").unwrap();
    let said = read_text(&path, LIMIT).unwrap_err().to_string();
    assert!(said.ends_with("text:2:6: the text is not UTF-8 (byte 0xe9); save it as UTF-8"), "{said}");
    fs::write(&path, b"\xff\xfeo\0n\0e\0").unwrap();
    let said = read_text(&path, LIMIT).unwrap_err().to_string();
    assert!(said.ends_with(
        "text:1:1: the text is not UTF-8 (byte 0xff); it begins as UTF-16 does; save it as UTF-8"
    ));
    fs::write(&path, b"cut \xf0\x9f").unwrap();
    assert!(read_text(&path, LIMIT).unwrap_err().to_string().contains("text:1:5:"));
}
