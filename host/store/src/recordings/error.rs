use std::path::{Path, PathBuf};

/// Recordings could not be opened or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordingsError {
    /// Nothing was ever recorded there.
    #[error(
        "there are no recordings at {0}: run a host with this state directory first, and without `--record off`"
    )]
    Missing(PathBuf),
    /// A newer Flyball wrote them.
    #[error(
        "the recordings {path} have version {found} and this Flyball knows up to {known}; use the Flyball that wrote them, or move them away"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest known.
        known: i64,
    },
    /// There is no call of that number.
    #[error("no call {0} is recorded; `flyball recordings` lists those that are")]
    Unknown(u64),
    /// A call is there and cannot be read whole.
    #[error("the recording of call {id} is damaged: {cause}; it cannot be replayed")]
    Damaged {
        /// The call.
        id: u64,
        /// What was found.
        cause: String,
    },
    /// Anything else.
    #[error(
        "the recordings {path} cannot be used: {cause}; move the file away, with its -wal and -shm, and new ones are begun"
    )]
    Failed {
        /// The file.
        path: PathBuf,
        /// What was found.
        cause: String,
    },
}

impl RecordingsError {
    pub(crate) fn of(path: &Path, error: &rusqlite::Error) -> Self {
        Self::Failed { path: path.to_owned(), cause: error.to_string() }
    }
}
