use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Error, ErrorCode};

/// The journal could not be opened, read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing was ever written there.
    #[error(
        "there is no journal at {0}: no host has run with this state directory yet; run one, or name another directory"
    )]
    Missing(PathBuf),
    /// The directory or the file cannot be made or opened.
    #[error(
        "the journal {path} cannot be opened: {cause}; make it readable and writable for this user, or name another state directory"
    )]
    Unopenable {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// It may be read but not written.
    #[error(
        "the journal {0} is read-only; make it and its directory writable for this user, or name another state directory"
    )]
    ReadOnly(PathBuf),
    /// It is not a database, or a damaged one.
    #[error(
        "the journal {path} is damaged: {cause}; move it away together with its -wal and -shm files, and a new one is begun"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        cause: String,
    },
    /// A newer Flyball wrote it.
    #[error(
        "the journal {path} has version {found} and this Flyball knows up to {known}; use the Flyball that wrote it or a newer one, or name another state directory"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest known.
        known: i64,
    },
    /// An older Flyball wrote it, and it does not have what is asked for.
    #[error(
        "the journal {0} is of version 1, which kept no chain: nothing shows whether it was altered since it was written; if you know where it comes from, `flyball journal migrate` takes it over as it is, else move it away"
    )]
    Older(PathBuf),
    /// There is nothing to take over.
    #[error("the journal {0} has a chain already, so there is nothing to take over")]
    NothingToMigrate(PathBuf),
    /// It says that it is of version 1, and was of a newer one.
    #[error(
        "the journal {path} says that it is of version 1, and {trace} is of a newer one: somebody took its chain away; keep a copy of it, and move it away so that a new one is begun"
    )]
    WasNewer {
        /// The file.
        path: PathBuf,
        /// What a journal of version 1 cannot have.
        trace: String,
    },
    /// Another program holds it.
    #[error("the journal {0} is locked by another program; stop that one, or name another state directory")]
    Locked(PathBuf),
    /// No room is left. Once there is, it goes on.
    #[error("no room is left for the journal {0}; free some on its disk, and it goes on")]
    Full(PathBuf),
    /// There is no action or run of that number.
    #[error(
        "the journal has no {what} {id}; it was begun with another journal, or its intent was never recorded"
    )]
    Unknown {
        /// `action` or `run`.
        what: &'static str,
        /// The number.
        id: u64,
    },
    /// A row does not hold what Flyball writes.
    #[error(
        "a row of the journal {path} cannot be read: {cause}; `flyball journal verify` tells whether it was altered"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The writing thread is gone.
    #[error("the journal's writer has stopped; start the host again")]
    Stopped,
    /// Anything else that SQLite says.
    #[error("the journal {path} failed: {cause}; look at its disk, and start the host again")]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: String,
    },
}

impl StoreError {
    pub(crate) fn of(path: &Path, error: &Error) -> Self {
        let (path, cause) = (path.to_owned(), cause(error));
        if let Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..) | Error::Utf8Error(..) =
            error
        {
            return Self::Unreadable { path, cause };
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged { path, cause },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(path),
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::Unopenable { path, cause },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked(path),
            Some(ErrorCode::DiskFull) => Self::Full(path),
            // What a file system says that has become read-only, SQLite does not pass on.
            Some(ErrorCode::SystemIoFailure) if !may_be_written(&path) => Self::ReadOnly(path),
            _ => Self::Failed { path, cause },
        }
    }

    pub(crate) fn unopenable(path: &Path, error: &std::io::Error) -> Self {
        Self::Unopenable { path: path.to_owned(), cause: error.to_string() }
    }
}

/// What is wrong, at most 500 characters of it: a parser quotes what stands in a row, whole.
fn cause(error: &Error) -> String {
    let mut cause = error.to_string();
    if let Some((end, _)) = cause.char_indices().nth(500) {
        cause.truncate(end);
        cause.push('…');
    }
    cause
}

fn may_be_written(path: &Path) -> bool {
    let opened = OpenOptions::new().append(true).open(path).map_err(|error| error.kind());
    !matches!(opened, Err(ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied))
}
