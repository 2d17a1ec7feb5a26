//! Whether somebody still writes a file: a policy that is taken while its upload pauses is half a policy, without the guards
//! that stand at its end.
//!
//! Two things are known. Linux shows which files are open and how, for every process that this one may look at; and whoever
//! writes is noticed by the watch on the directory, until the file is closed. Neither sees everything (a process of another
//! user, a file on another machine), so a file must also rest for a moment before it is taken, and the sure way is to write it
//! beside its place and rename it.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind};
use parking_lot::Mutex;

/// Bits of the flags that a file was opened with: to write, or to read and write.
const WRITES: u32 = 0o3;

/// The files of which the watch saw a write and no closing yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Writing(Arc<Mutex<HashSet<PathBuf>>>);

impl Writing {
    /// Takes in what the watch saw.
    pub(super) fn saw(&self, event: &Event) {
        let mut writing = self.0.lock();
        match event.kind {
            EventKind::Modify(ModifyKind::Data(_)) => writing.extend(event.paths.iter().cloned()),
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Remove(_) => writing.retain(|path| !event.paths.contains(path)),
            _ => {}
        }
    }

    /// Whether the file is being written, as far as the watch knows.
    pub(super) fn holds(&self, path: &Path) -> bool {
        let writing = self.0.lock();
        !writing.is_empty() && std::path::absolute(path).is_ok_and(|path| writing.contains(&path))
    }
}

/// Whether some process has the file open to write, as far as this process may see.
pub(super) fn is_open_to_write(file: &Metadata) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    let numbered = |name: &std::ffi::OsStr| {
        name.to_str().is_some_and(|name| name.bytes().all(|letter| letter.is_ascii_digit()))
    };
    processes
        .flatten()
        .filter(|process| numbered(&process.file_name()))
        .any(|process| holds_open(&process.path(), file))
}

fn holds_open(process: &Path, file: &Metadata) -> bool {
    let Ok(open) = std::fs::read_dir(process.join("fd")) else { return false };
    open.flatten().any(|open| {
        let same = std::fs::metadata(open.path())
            .is_ok_and(|found| found.ino() == file.ino() && found.dev() == file.dev());
        same && opened_to_write(&process.join("fdinfo").join(open.file_name()))
    })
}

fn opened_to_write(about: &Path) -> bool {
    let text = std::fs::read_to_string(about).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & WRITES != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use notify::event::DataChange;

    use super::*;

    #[test]
    fn a_file_is_open_to_write_as_long_as_its_writer_holds_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let shown = || is_open_to_write(&std::fs::metadata(&path).unwrap());
        assert!(shown());
        let (writer, path_kept) = file.into_parts();
        drop(writer);
        let _reader = std::fs::File::open(&path_kept).unwrap();
        assert!(!shown());
    }

    #[test]
    fn a_write_is_seen_until_it_is_closed_or_renamed() {
        let writing = Writing::default();
        let path = PathBuf::from("/srv/policies/p.yaml");
        let event = |kind| Event::new(kind).add_path(path.clone());
        for end in [
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Modify(ModifyKind::Name(notify::event::RenameMode::From)),
            EventKind::Remove(notify::event::RemoveKind::File),
        ] {
            writing.saw(&event(EventKind::Modify(ModifyKind::Data(DataChange::Any))));
            assert!(writing.holds(&path));
            writing.saw(&event(end));
            assert!(!writing.holds(&path));
        }
    }
}
