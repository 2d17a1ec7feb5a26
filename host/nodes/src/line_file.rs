//! A file to which whole lines are appended: what the `file` sink and the dead letters write to.
//!
//! It upholds three things. A line is in the file whole or not at all: what a full disk cut off is taken back, and a line
//! that somebody else left unfinished is closed with a line end, so that nothing is glued to it. The file is the one that
//! stands at the path now: one that was renamed or replaced is opened anew before the next line, so that rotation needs no
//! signal. And several writers of this program, in this process or another, take turns by a lock on the file.
//!
//! Everything here blocks; who calls it from a runtime does so on a thread of its own, or with little to write.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long another writer's turn is waited for.
const TURN: Duration = Duration::from_secs(1);
/// How often is looked whether it is over, or whether a pipe has room.
const LOOK: Duration = Duration::from_millis(2);

/// Lines that are appended at once.
#[derive(Debug, Default, Clone)]
pub struct Lines {
    bytes: Vec<u8>,
    /// Where each line ends.
    ends: Vec<usize>,
}

impl Lines {
    /// Adds one line of JSON.
    ///
    /// # Errors
    ///
    /// The value has no JSON; nothing is added then.
    pub fn push(&mut self, value: &impl serde::Serialize) -> serde_json::Result<()> {
        if let Err(error) = serde_json::to_writer(&mut self.bytes, value) {
            self.bytes.truncate(self.ends.last().copied().unwrap_or_default());
            return Err(error);
        }
        self.bytes.push(b'\n');
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Their length, line ends included.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// How many lines end within so many bytes, and where the last of them does.
    pub(crate) fn whole_within(&self, written: usize) -> (usize, usize) {
        let whole = self.ends.partition_point(|end| *end <= written);
        (whole, whole.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or_default())
    }
}

/// What became of appended lines.
#[derive(Debug)]
pub struct Appended {
    /// How many of them, from the first, are whole in the file.
    pub whole: usize,
    /// Why not all.
    pub error: Option<io::Error>,
}

/// A file, a pipe or a device at a path.
#[derive(Debug)]
pub struct LineFile {
    path: PathBuf,
    /// It is this user's alone.
    private: bool,
    /// How long a pipe without room is waited for; a file never lets one wait.
    patience: Duration,
    /// None: it is opened with the next line.
    file: Option<File>,
    /// The last write into a pipe or device broke off.
    torn: bool,
}

impl LineFile {
    /// Opens it, making it if there is none. A pipe that nobody reads yet is opened with the first line.
    ///
    /// # Errors
    ///
    /// It cannot be opened for writing.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        Self::open_as(path.into(), false, Duration::MAX)
    }

    /// One that only this user can read (mode 0600), and that never lets its writer wait.
    ///
    /// # Errors
    ///
    /// It cannot be opened for writing, or cannot be made this user's alone.
    pub fn open_private(path: impl Into<PathBuf>) -> io::Result<Self> {
        Self::open_as(path.into(), true, Duration::ZERO)
    }

    fn open_as(path: PathBuf, private: bool, patience: Duration) -> io::Result<Self> {
        let mut this = Self { path, private, patience, file: None, torn: false };
        match this.current().err() {
            Some(error) if !this.waits_for_a_reader(&error) => Err(error),
            _ => Ok(this),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long the file at the path is now; none where that says nothing.
    pub fn byte_len(&self) -> Option<u64> {
        let there = std::fs::metadata(&self.path).ok()?;
        there.is_file().then_some(there.len())
    }

    /// Appends lines, each whole or not at all.
    pub fn append(&mut self, lines: &Lines) -> Appended {
        let (written, outcome) = self.try_append(lines);
        let (whole, _) = lines.whole_within(written);
        if outcome.is_err() {
            // A pipe whose reader went, or a file on a disk that went, is looked for anew.
            self.file = None;
        }
        Appended { whole, error: outcome.err() }
    }

    fn try_append(&mut self, lines: &Lines) -> (usize, io::Result<()>) {
        let patience = self.patience;
        let mut torn = self.torn;
        let file = match self.current() {
            Ok(file) => file,
            Err(error) => return (0, Err(error)),
        };
        if file.metadata().is_ok_and(|seen| seen.is_file()) {
            return append_to_file(file, lines);
        }
        let appended = append_to_stream(file, &mut torn, lines, patience);
        self.torn = torn;
        appended
    }

    /// The file that stands at the path, opened anew if it is another one than before.
    fn current(&mut self) -> io::Result<&mut File> {
        let kept = match self.file.take() {
            Some(file) if is_at(&file, &self.path)? => file,
            _ => self.reopen()?,
        };
        Ok(self.file.insert(kept))
    }

    fn reopen(&mut self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        // A pipe that nobody reads must not hold up whoever opens it.
        options.append(true).create(true).custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY);
        if self.private {
            options.mode(0o600);
        }
        // To see whether its last line is whole it must be read; where that is not allowed, it is believed.
        let is_file = std::fs::metadata(&self.path).map_or(true, |there| there.is_file());
        let file = match options.clone().read(is_file).open(&self.path) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => options.open(&self.path)?,
            other => other?,
        };
        let seen = file.metadata()?;
        if self.private && seen.is_file() && seen.mode() & 0o077 != 0 {
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        }
        Ok(file)
    }

    fn waits_for_a_reader(&self, error: &io::Error) -> bool {
        error.raw_os_error() == Some(nix::libc::ENXIO)
            && std::fs::metadata(&self.path).is_ok_and(|there| there.file_type().is_fifo())
    }
}

fn identity(seen: &Metadata) -> (u64, u64) {
    (seen.dev(), seen.ino())
}

/// Whether the open file is the one at the path. A path at which nothing stands any more has no file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(there) => Ok(identity(&there) == identity(&file.metadata()?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Unlocks when it is dropped.
struct Turn<'a>(&'a File);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // A file that is closed is unlocked as well.
        let _ = self.0.unlock();
    }
}

fn turn(file: &File) -> io::Result<Turn<'_>> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Turn(file)),
            Err(TryLockError::WouldBlock) if began.elapsed() < TURN => std::thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(ErrorKind::WouldBlock, "another program holds a lock on it"));
            }
            // A file system without locks.
            Err(TryLockError::Error(_)) => return Ok(Turn(file)),
        }
    }
}

fn append_to_file(file: &File, lines: &Lines) -> (usize, io::Result<()>) {
    let _turn = match turn(file) {
        Ok(turn) => turn,
        Err(error) => return (0, Err(error)),
    };
    let start = match file.metadata() {
        Ok(seen) => seen.len(),
        Err(error) => return (0, Err(error)),
    };
    let mut start = start;
    if ends_within_a_line(file, start) {
        if let (_, Err(error)) = put(file, b"\n", Duration::ZERO) {
            return (0, Err(error));
        }
        start += 1;
    }
    let (written, outcome) = put(file, &lines.bytes, Duration::ZERO);
    if outcome.is_ok() {
        return (written, outcome);
    }
    let (_, end) = lines.whole_within(written);
    // What another program appended meanwhile is not taken back; then the next line begins with a line end.
    if file.metadata().is_ok_and(|now| now.len() == start + written as u64) {
        let _ = file.set_len(start + end as u64);
    }
    (end, outcome)
}

fn ends_within_a_line(file: &File, length: u64) -> bool {
    let mut last = [b'\n'];
    let read = length.checked_sub(1).map(|at| file.read_at(&mut last, at));
    matches!(read, Some(Ok(1))) && last != [b'\n']
}

/// Writes into a pipe or device, which takes nothing back: what was torn is closed by a line end before the next line.
pub(crate) fn append_to_stream(
    file: &File,
    torn: &mut bool,
    lines: &Lines,
    patience: Duration,
) -> (usize, io::Result<()>) {
    if *torn && let (_, Err(error)) = put(file, b"\n", patience) {
        return (0, Err(error));
    }
    let (written, outcome) = put(file, &lines.bytes, patience);
    *torn = written > lines.whole_within(written).1;
    (written, outcome)
}

/// How many bytes were written, and why not all.
fn put(mut file: &File, bytes: &[u8], patience: Duration) -> (usize, io::Result<()>) {
    let mut done = 0;
    let began = Instant::now();
    let outcome = loop {
        let Some(left) = bytes.get(done..).filter(|left| !left.is_empty()) else { break Ok(()) };
        match file.write(left) {
            Ok(0) => break Err(ErrorKind::WriteZero.into()),
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && began.elapsed() < patience => {
                std::thread::sleep(LOOK);
            }
            Err(error) => break Err(error),
        }
    };
    (done, outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(numbers: impl IntoIterator<Item = u64>) -> Lines {
        let mut lines = Lines::default();
        numbers.into_iter().for_each(|number| lines.push(&number).unwrap());
        lines
    }

    #[test]
    fn a_line_that_somebody_left_unfinished_is_closed_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        std::fs::write(&path, "1\n{\"half").unwrap();
        let mut file = LineFile::open(&path).unwrap();
        assert_eq!(file.append(&lines([2])).whole, 1);
        // And one that another program leaves while this one is at work.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"tor").unwrap();
        assert_eq!(file.append(&lines([3])).whole, 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n{\"half\n2\ntor\n3\n");
    }

    #[test]
    fn a_renamed_removed_or_replaced_file_gets_no_line_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("out"), folder.path().join("out.1"));
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let mut file = LineFile::open(&path).unwrap();
        file.append(&lines([1]));
        std::fs::rename(&path, &old).unwrap();
        file.append(&lines([2]));
        assert_eq!((read(&old), read(&path)), ("1\n".to_owned(), "2\n".to_owned()));
        std::fs::rename(&path, &old).unwrap();
        std::fs::write(&path, "").unwrap();
        file.append(&lines([3]));
        assert_eq!((read(&old), read(&path)), ("2\n".to_owned(), "3\n".to_owned()));
        std::fs::remove_file(&path).unwrap();
        file.append(&lines([4]));
        assert_eq!(read(&path), "4\n");
        // A file that was copied and cut to nothing is the same one.
        std::fs::write(&path, "").unwrap();
        file.append(&lines([5]));
        assert_eq!(read(&path), "5\n");
    }

    #[test]
    fn a_folder_that_went_is_an_error_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, away) = (folder.path().join("inner"), folder.path().join("away"));
        std::fs::create_dir(&inner).unwrap();
        let mut file = LineFile::open(inner.join("out")).unwrap();
        std::fs::rename(&inner, &away).unwrap();
        let appended = file.append(&lines([1]));
        assert_eq!((appended.whole, appended.error.unwrap().kind()), (0, ErrorKind::NotFound));
        std::fs::create_dir(&inner).unwrap();
        assert!(file.append(&lines([1])).error.is_none());
        assert_eq!(std::fs::read_to_string(inner.join("out")).unwrap(), "1\n");
    }

    #[test]
    fn a_private_file_is_its_users_alone_also_when_it_was_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let mut file = LineFile::open_private(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        std::fs::remove_file(&path).unwrap();
        file.append(&lines([1]));
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn two_writers_of_one_file_mix_no_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let mut file = LineFile::open(&path).unwrap();
                scope.spawn(move || {
                    for at in 0..50 {
                        assert_eq!(
                            file.append(&lines((0..20).map(|n| writer * 1_000 + at * 20 + n))).whole,
                            20
                        );
                    }
                });
            }
        });
        let text = std::fs::read_to_string(&path).unwrap();
        let mut numbers: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert!(
            numbers.into_iter().eq((0..4).flat_map(|writer| (0..1_000).map(move |n| writer * 1_000 + n)))
        );
    }

    #[test]
    fn a_pipe_without_a_reader_is_waited_for_and_never_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut file = LineFile::open(&path).unwrap();
        assert_eq!(file.append(&lines([1])).whole, 0);
        let reader = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&path).unwrap();
        assert_eq!(file.append(&lines([1, 2])).whole, 2);
        let mut read = [0; 16];
        assert_eq!(io::Read::read(&mut &reader, &mut read).unwrap(), 4);
    }
}
