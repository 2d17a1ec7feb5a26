//! Opens files that only their user may read and write: never through a link that somebody laid there, never one of
//! another user, and made with their mode, so that there is no moment at which others can open them.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::geteuid;

use crate::FileError;
use crate::reading::expect_file;

/// Nobody but the user reads or writes.
const MODE: u32 = 0o600;

/// Opens a private file to read it and to write at its end; makes it if it is not there. A file of one's own that others
/// may read is made private.
///
/// # Errors
///
/// It is a symbolic link, no regular file, another user's, or cannot be opened.
pub fn open_private(path: &Path) -> Result<File, FileError> {
    let file = checked(path, options().append(true).create(true))?;
    let failed = |error| FileError::system("open", path, error);
    let metadata = file.metadata().map_err(failed)?;
    let owner = metadata.uid();
    if owner != geteuid().as_raw() {
        return Err(FileError::Foreign { path: path.to_owned(), owner });
    }
    if metadata.mode() & 0o777 != MODE {
        file.set_permissions(Permissions::from_mode(MODE)).map_err(failed)?;
    }
    Ok(file)
}

/// Makes a new private file.
///
/// # Errors
///
/// Something of that name is there, also a link that leads nowhere, or it cannot be made.
pub fn create_private(path: &Path) -> Result<File, FileError> {
    checked(path, options().write(true).create_new(true))
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    options.read(true).mode(MODE).custom_flags(flags.bits());
    options
}

fn checked(path: &Path, options: &OpenOptions) -> Result<File, FileError> {
    let file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists { path: path.to_owned() },
        _ if error.raw_os_error() == Some(Errno::ELOOP as i32) => FileError::Link { path: path.to_owned() },
        io::ErrorKind::NotFound => FileError::System { doing: "open", path: path.to_owned(), source: error },
        _ => FileError::system("open", path, error),
    })?;
    let kind = file.metadata().map_err(|error| FileError::system("open", path, error))?.file_type();
    expect_file(path, kind)?;
    Ok(file)
}
