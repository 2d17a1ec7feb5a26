//! Room on the disk for halts that the journal does not take: a file whose blocks are there from the start, so that a halt is
//! kept although a guest, a sink or another program has filled the disk. It is overwritten in place. The next host takes what
//! it finds there into the journal before anything else.
//!
//! Called by `unjournaled`, which knows which halts the journal lacks.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use flyball_model::EventRecord;
use nix::fcntl::OFlag;

use crate::error::{Doing, HostError};

/// The name of the file in the state directory.
pub(crate) const NAME: &str = "halts.reserve";
/// A halt of the host and those of some dozens of sessions.
const BYTES: usize = 16 * 1024;

pub(crate) struct HaltReserve(File);

impl HaltReserve {
    /// Opens the file, and makes it where there is none. Beside it, what an earlier host left in it.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<EventRecord>), HostError> {
        let cannot = format!("cannot keep room on the disk for halts in {NAME}");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(path)
            .doing(&cannot)?;
        let mut bytes = vec![0; BYTES];
        let read = file.read_at(&mut bytes, 0).doing(&cannot)?;
        bytes.truncate(read);
        let text = String::from_utf8_lossy(&bytes);
        let left = text.lines().filter_map(|line| serde_json::from_str(line.trim()).ok()).collect();
        let reserve = Self(file);
        if read < BYTES {
            reserve.keep(&[]).doing(&cannot)?;
        }
        Ok((reserve, left))
    }

    /// These, and no others. What does not fit is left out, oldest first: the newest word counts. How many are kept.
    pub(crate) fn keep(&self, halts: &[EventRecord]) -> std::io::Result<usize> {
        let mut lines: Vec<String> = Vec::new();
        let mut length = 0;
        for halt in halts.iter().rev() {
            let line = serde_json::to_string(halt)?;
            if length + line.len() + 1 > BYTES {
                break;
            }
            length += line.len() + 1;
            lines.push(line);
        }
        let kept = lines.len();
        lines.reverse();
        let mut bytes = lines.into_iter().fold(Vec::with_capacity(BYTES), |mut bytes, line| {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
            bytes
        });
        bytes.resize(BYTES, b' ');
        self.0.write_all_at(&bytes, 0)?;
        self.0.sync_data()?;
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use flyball_model::Event;

    use super::*;

    fn halt(why: &str) -> EventRecord {
        let event = Event::Halted { why: why.to_owned(), by: None };
        EventRecord { at: 1, session: Some("s".into()), tick: 0, event }
    }

    #[test]
    fn what_is_kept_is_found_by_the_next_host_and_takes_no_more_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let (reserve, left) = HaltReserve::open(&path).unwrap();
        assert!(left.is_empty());
        assert_eq!(reserve.keep(&[halt("one"), halt("two")]).unwrap(), 2);
        assert_eq!(path.metadata().unwrap().len(), BYTES as u64);
        assert_eq!(HaltReserve::open(&path).unwrap().1, [halt("one"), halt("two")]);
        assert_eq!(reserve.keep(&[halt(&"x".repeat(BYTES)), halt("two")]).unwrap(), 1, "the newest counts");
        assert_eq!(HaltReserve::open(&path).unwrap().1, [halt("two")]);
        reserve.keep(&[]).unwrap();
        assert!(HaltReserve::open(&path).unwrap().1.is_empty());
    }
}
