//! Reads a file whole: only a regular one, and only up to a limit.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

use crate::FileError;

/// How much of a file is read, and what to do about one that has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    bytes: u64,
    next: &'static str,
}

impl Limit {
    /// At most so many bytes; `next` tells a person what to do about a larger one, as in `split it`.
    pub const fn new(bytes: u64, next: &'static str) -> Self {
        Self { bytes, next }
    }

    /// At most so many bytes.
    pub const fn bytes(self) -> u64 {
        self.bytes
    }
}

/// All bytes of a regular file. Symbolic links are followed.
///
/// # Errors
///
/// There is none, it is no regular file, it has more bytes than the limit, or it cannot be read.
pub fn read(path: &Path, limit: Limit) -> Result<Vec<u8>, FileError> {
    let failed = |error| FileError::system("read", path, error);
    let file = open(path)?;
    let size = file.metadata().map_err(failed)?.len();
    if size > limit.bytes {
        return Err(too_large(path, Some(size), limit));
    }
    // What the kernel makes up while it is read says that it has no bytes, and a file may grow while it is read.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    file.take(limit.bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| match error.kind() {
        // It is open without blocking: what would make the program wait is no file to read whole.
        io::ErrorKind::WouldBlock => no_file(path, "something that others must write first"),
        _ => failed(error),
    })?;
    if u64::try_from(bytes.len()).is_ok_and(|read| read > limit.bytes) {
        return Err(too_large(path, None, limit));
    }
    Ok(bytes)
}

/// All of a text file. Symbolic links are followed.
///
/// # Errors
///
/// As for [`read`], or it is not UTF-8; then the error names the line and column of the first wrong byte.
pub fn read_text(path: &Path, limit: Limit) -> Result<String, FileError> {
    text(path, read(path, limit)?)
}

/// What was read as text; the path is for the error.
///
/// # Errors
///
/// It is not UTF-8; the error names the line and column of the first wrong byte.
pub fn text(path: &Path, bytes: Vec<u8>) -> Result<String, FileError> {
    String::from_utf8(bytes).map_err(|error| {
        let end = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let good = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
        let last_line = good.rsplit('\n').next().unwrap_or_default();
        let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        FileError::NotUtf8 {
            path: path.to_owned(),
            line: good.matches('\n').count() + 1,
            column: last_line.chars().count() + 1,
            byte: bytes.get(end).copied().unwrap_or_default(),
            next: if is_utf16 { "it begins as UTF-16 does; save it as UTF-8" } else { "save it as UTF-8" },
        }
    })
}

/// Opening a FIFO lets its writer go on, and opening a device may do anything, so the kind is asked first. In between it
/// may have been replaced, so it is asked again of what was opened, and opening does not wait.
fn open(path: &Path) -> Result<File, FileError> {
    let failed = |error| FileError::system("read", path, error);
    expect_file(path, fs::metadata(path).map_err(failed)?.file_type())?;
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).map_err(failed)?;
    expect_file(path, file.metadata().map_err(failed)?.file_type())?;
    Ok(file)
}

pub(crate) fn expect_file(path: &Path, kind: FileType) -> Result<(), FileError> {
    if kind.is_file() { Ok(()) } else { Err(no_file(path, name_of(kind))) }
}

fn name_of(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

fn no_file(path: &Path, what: &'static str) -> FileError {
    FileError::NoFile { path: path.to_owned(), what }
}

fn too_large(path: &Path, size: Option<u64>, limit: Limit) -> FileError {
    FileError::TooLarge { path: path.to_owned(), size, limit: limit.bytes, next: limit.next }
}
