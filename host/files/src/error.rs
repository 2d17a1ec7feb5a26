use std::io;
use std::path::{Path, PathBuf};

use flyball_model::printable_path;

/// Why a file is not read, or not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Nothing of that name.
    #[error("cannot read {}: there is no such file; check the name", printable_path(.path))]
    Missing {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A directory, FIFO, socket or device.
    #[error("cannot read {}: it is {what}, not a file; name a file", printable_path(.path))]
    NoFile {
        /// The path as it was given.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// More than may be read of it.
    #[error("cannot read {}: it has {} bytes, and at most {limit} are read; {next}", printable_path(.path), size_text(*.size, *.limit))]
    TooLarge {
        /// The path as it was given.
        path: PathBuf,
        /// Its size; none: it has no size of its own, or grew while it was read.
        size: Option<u64>,
        /// The most that is read.
        limit: u64,
        /// What to do about it.
        next: &'static str,
    },
    /// Text that is not UTF-8.
    #[error("{}:{line}:{column}: the text is not UTF-8 (byte 0x{byte:02x}); {next}", printable_path(.path))]
    NotUtf8 {
        /// The path as it was given.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
        /// The first that is wrong.
        byte: u8,
        /// What to do about it.
        next: &'static str,
    },
    /// A private file that another user owns.
    #[error("cannot open {}: it belongs to another user (uid {owner}); name a file of your own", printable_path(.path))]
    Foreign {
        /// The path as it was given.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// A private file's path that ends in a symbolic link.
    #[error("cannot open {}: it is a symbolic link, which is not followed here; name the file itself", printable_path(.path))]
    Link {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A file that was to be new.
    #[error("cannot make {}: it is there already; take it away or name another", printable_path(.path))]
    Exists {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot {doing} {}: {source}", printable_path(.path))]
    System {
        /// `read` or `open`.
        doing: &'static str,
        /// The path as it was given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl FileError {
    /// The path as it was given.
    pub fn path(&self) -> &Path {
        match self {
            Self::Missing { path }
            | Self::NoFile { path, .. }
            | Self::TooLarge { path, .. }
            | Self::NotUtf8 { path, .. }
            | Self::Foreign { path, .. }
            | Self::Link { path }
            | Self::Exists { path }
            | Self::System { path, .. } => path,
        }
    }

    /// Whether there is nothing of that name, as against something that cannot be read.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }

    pub(crate) fn system(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::System { doing, path, source },
        }
    }
}

fn size_text(size: Option<u64>, limit: u64) -> String {
    size.map_or_else(|| format!("more than {limit}"), |size| size.to_string())
}
