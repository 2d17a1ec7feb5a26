//! Where `--report` is written.
//!
//! It upholds that what stands at the path stays what it is. A regular file is replaced whole, so that nobody reads half a
//! report, and it keeps its mode; a link is followed to its file; a device, a pipe or an open descriptor (`/dev/stdout`,
//! `/proc/self/fd/1`) is written to; and a file that cannot be replaced, as one that is mounted by itself, is written over. It
//! is known before the run starts that it can be written. `flyball run` calls it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flyball_host::Report;
use flyball_model::printable_path;
use nix::libc;

/// How long a pipe's reader may take.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);
/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

/// A report's place, looked at before the run.
#[derive(Debug)]
pub(crate) struct ReportFile {
    named: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// The file that links lead to, there or not.
    File(PathBuf),
    /// A regular file that is somebody's open descriptor: what is in it stays.
    Descriptor(File),
    /// A device or a pipe that is open.
    Stream(File),
    /// A pipe that nobody reads yet.
    Pipe,
}

impl ReportFile {
    /// Looks whether a report can be written there, and changes nothing.
    pub(crate) fn open(named: &Path) -> Result<Self> {
        let place = find(named).with_context(|| {
            format!("cannot write the report {}; name another with --report", printable_path(named))
        })?;
        Ok(Self { named: named.to_owned(), place })
    }

    /// Writes the report there, as JSON.
    pub(crate) fn write_report(self, report: &Report) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(report).context("the report has no JSON")?;
        text.push(b'\n');
        self.write(&text)
    }

    fn write(self, text: &[u8]) -> Result<()> {
        let done = match self.place {
            Place::File(path) => replace(&path, text),
            Place::Descriptor(mut file) => file.write_all(text),
            Place::Stream(file) => pour(file, text),
            Place::Pipe => wait_for_reader(&self.named).and_then(|file| pour(file, text)),
        };
        done.with_context(|| format!("cannot write the report {}", printable_path(&self.named)))
    }
}

fn find(named: &Path) -> io::Result<Place> {
    let (path, descriptor) = followed(named)?;
    // The name that was given, as the links of /proc lead where no path leads.
    let seen = match fs::metadata(named) {
        Ok(seen) => seen,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            scratch(&path)?;
            return Ok(Place::File(path));
        }
        Err(error) => return Err(error),
    };
    if seen.is_dir() {
        return Err(io::Error::new(ErrorKind::IsADirectory, "it is a directory"));
    }
    let mut options = OpenOptions::new();
    options.append(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let opened = options.open(named);
    if seen.is_file() {
        let file = opened?;
        return Ok(if descriptor {
            Place::Descriptor(shared(&path)?.unwrap_or(file))
        } else {
            Place::File(path)
        });
    }
    match opened {
        Ok(file) => Ok(Place::Stream(file)),
        Err(error) if seen.file_type().is_fifo() && error.raw_os_error() == Some(libc::ENXIO) => {
            Ok(Place::Pipe)
        }
        Err(error) => Err(error),
    }
}

/// Standard output and standard error themselves, as whoever else writes to them goes on from where they are.
fn shared(path: &Path) -> io::Result<Option<File>> {
    let own = fs::canonicalize("/proc/self/fd")?;
    let mine = path.parent().is_some_and(|folder| folder.canonicalize().is_ok_and(|folder| folder == own));
    let descriptor = match path.file_name().and_then(|name| name.to_str()).filter(|_| mine) {
        Some("1") => io::stdout().as_fd().try_clone_to_owned()?,
        Some("2") => io::stderr().as_fd().try_clone_to_owned()?,
        _ => return Ok(None),
    };
    Ok(Some(File::from(descriptor)))
}

/// Where links lead, and whether through a process's table of descriptors.
fn followed(named: &Path) -> io::Result<(PathBuf, bool)> {
    let mut path = named.to_owned();
    for _ in 0..MOST_LINKS {
        let folder = folder_of(&path);
        let inside = folder.canonicalize()?;
        if inside.starts_with("/proc") {
            return Ok((path, true));
        }
        match fs::read_link(&path) {
            Ok(to) => path = inside.join(to),
            // No link, or nothing there.
            Err(_) => return Ok((path, false)),
        }
    }
    Err(io::Error::other("its links lead to each other"))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn scratch(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(".report-").tempfile_in(folder_of(path))
}

/// Whole or not at all, where the file's folder allows that.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let before = fs::metadata(path).ok();
    let replaced = scratch(path).and_then(|mut scratch| {
        scratch.write_all(text)?;
        if let Some(before) = &before {
            scratch.as_file().set_permissions(before.permissions())?;
        }
        scratch.persist(path).map_err(|error| error.error).map(drop)
    });
    match replaced {
        // A folder that takes no new file, or a file that is mounted by itself.
        Err(_) if before.is_some() => fs::write(path, text),
        other => other,
    }
}

/// A pipe whose reader is stuck keeps the program from ending for no longer than this.
fn pour(mut file: File, text: &[u8]) -> io::Result<()> {
    let began = Instant::now();
    let mut done = 0;
    while let Some(left) = text.get(done..).filter(|left| !left.is_empty()) {
        match file.write(left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && began.elapsed() < PATIENCE => {
                std::thread::sleep(LOOK);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_for_reader(named: &Path) -> io::Result<File> {
    let began = Instant::now();
    loop {
        match OpenOptions::new().append(true).custom_flags(libc::O_NONBLOCK).open(named) {
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) && began.elapsed() < PATIENCE => {
                std::thread::sleep(LOOK);
            }
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {
                return Err(io::Error::other("nobody reads from this pipe"));
            }
            other => return other,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    fn written(path: &Path) {
        ReportFile::open(path).unwrap().write(b"{}").unwrap();
    }

    fn pipe(path: &Path) {
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    }

    fn reader(path: &Path) -> File {
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap()
    }

    #[test]
    fn a_file_is_replaced_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        written(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(&path, "longer than a report").unwrap();
        let before = fs::metadata(&path).unwrap();
        written(&path);
        let after = fs::metadata(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}");
        assert_eq!(after.mode(), before.mode());
        assert_ne!(after.ino(), before.ino(), "half a report could have been read");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was left behind");
    }

    #[test]
    fn links_stay_links_also_to_what_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        let volume = folder.path().join("volume");
        fs::create_dir(&volume).unwrap();
        let (link, over) = (folder.path().join("link"), folder.path().join("over"));
        symlink("volume/target.json", &link).unwrap();
        symlink(&link, &over).unwrap();
        for _ in 0..2 {
            written(&over);
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::read_to_string(volume.join("target.json")).unwrap(), "{}");
        }
    }

    #[test]
    fn a_device_stays_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("null");
        symlink("/dev/null", &link).unwrap();
        written(&link);
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        assert!(ReportFile::open(Path::new("/dev/full")).unwrap().write(b"{}").is_err());
    }

    #[test]
    fn a_pipe_is_written_to_whether_its_reader_is_there_before_or_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        pipe(&path);
        let read = |mut from: File| {
            let mut text = [0; 8];
            let count = from.read(&mut text).unwrap();
            text.get(..count).unwrap().to_vec()
        };
        let before = reader(&path);
        written(&path);
        assert_eq!(read(before), b"{}");
        let place = ReportFile::open(&path).unwrap();
        let after = reader(&path);
        place.write(b"{}").unwrap();
        assert_eq!(read(after), b"{}");
        assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
    }

    #[test]
    fn what_an_open_descriptor_holds_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "said before\n").unwrap();
        let log = OpenOptions::new().append(true).open(&path).unwrap();
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&log);
        let before = fs::metadata(&path).unwrap().ino();
        written(Path::new(&format!("/proc/self/fd/{descriptor}")));
        assert_eq!(fs::read_to_string(&path).unwrap(), "said before\n{}");
        assert_eq!(fs::metadata(&path).unwrap().ino(), before);
    }

    #[test]
    fn what_cannot_be_written_is_told_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let looped = folder.path().join("loop");
        symlink(&looped, &looped).unwrap();
        for path in [folder.path().to_owned(), folder.path().join("no/folder/report"), looped] {
            let error = format!("{:#}", ReportFile::open(&path).unwrap_err());
            assert!(error.contains(&format!("cannot write the report {}", path.display())), "{error}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
