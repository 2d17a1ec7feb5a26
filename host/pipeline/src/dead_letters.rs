//! The dead letters: one file with a line of JSON for each item that failed for good, with the node, the error and the time.
//!
//! It upholds that an item is in there whole or not at all, that nobody but this user reads it, and that strangers who send
//! bad items fill no disk: the file has a bound of its own, and leaves a part of its disk free for whoever must write to
//! stop them. What finds no room is refused, and stays in flight at its node, which waits; nothing is thrown away to make
//! room. A file that is moved away makes room at once. `Mishaps` calls it, for every worker and source of a pipeline.

use std::io;
use std::path::Path;

use flyball_model::{UnixMillis, printable_path};
use flyball_nodes::{Json, LineFile, Lines};
use parking_lot::Mutex;
use serde::Serialize;

/// So much of the disk is left free: this part of it, and no more than this.
const FREE_PART: u64 = 20;
const FREE_MOST: u64 = 256 << 20;

/// One line.
#[derive(Serialize)]
pub(crate) struct Letter<'a> {
    pub(crate) item: &'a Json,
    pub(crate) node: &'a str,
    pub(crate) error: &'a str,
    pub(crate) at: UnixMillis,
}

pub(crate) struct DeadLetters {
    file: Mutex<LineFile>,
    most_bytes: u64,
}

impl DeadLetters {
    pub(crate) fn open(path: &Path, most_bytes: u64) -> io::Result<Self> {
        Ok(Self { file: Mutex::new(LineFile::open_private(path)?), most_bytes })
    }

    /// Writes one, whole, or says why it is not there.
    pub(crate) fn keep(&self, letter: &Letter<'_>) -> io::Result<()> {
        let mut lines = Lines::default();
        lines.push(letter)?;
        let mut file = self.file.lock();
        self.has_room(&file, lines.byte_len() as u64)?;
        file.append(&lines).error.map_or(Ok(()), Err)
    }

    fn has_room(&self, file: &LineFile, more: u64) -> io::Result<()> {
        let Some(length) = file.byte_len() else { return Ok(()) };
        if length.saturating_add(more) > self.most_bytes {
            let (has, most) = (length.div_ceil(1 << 20), self.most_bytes >> 20);
            return Err(io::Error::other(format!(
                "{} has {has} MiB, of {most} MiB that it may have; move it away, or raise --dead-letters-max-mb",
                printable_path(file.path())
            )));
        }
        // A file system that does not say is believed to have room.
        let Ok(disk) = nix::sys::statvfs::statvfs(file.path()) else { return Ok(()) };
        let unit = disk.fragment_size();
        let (all, free) = (unit.saturating_mul(disk.blocks()), unit.saturating_mul(disk.blocks_available()));
        let kept_free = (all / FREE_PART).min(FREE_MOST);
        if free.saturating_sub(more) < kept_free {
            return Err(io::Error::other(format!(
                "the disk of {} is nearly full: it must keep {} KiB free",
                printable_path(file.path()),
                kept_free >> 10
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn letter(item: &Json) -> Letter<'_> {
        Letter { item, node: "n", error: "e", at: 7 }
    }

    #[test]
    fn what_is_over_the_bound_is_refused_until_the_file_is_moved_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        let letters = DeadLetters::open(&path, 3 << 20).unwrap();
        let text = "x".repeat(1 << 20);
        let big = Json::from(text.clone());
        letters.keep(&letter(&big)).unwrap();
        letters.keep(&letter(&big)).unwrap();
        let error = letters.keep(&letter(&big)).unwrap_err().to_string();
        assert!(error.contains("3 MiB that it may have; move it away"), "{error}");
        letters.keep(&letter(&Json::from("small".to_owned()))).unwrap();
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        letters.keep(&letter(&big)).unwrap();
        let read = std::fs::read_to_string(&path).unwrap();
        let kept: Value = serde_json::from_str(&read).unwrap();
        assert_eq!(kept, json!({"item": text, "node": "n", "error": "e", "at": 7}));
    }
}
