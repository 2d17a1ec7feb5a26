//! The state directory: where a host keeps what outlives it (the journal, compiled plugins, dead letters) and where it is
//! spoken to. Nobody else may write there, and one host at a time has it.
//!
//! It is made for its user alone, or taken as it is and never changed: a directory of somebody else's, one that others may
//! write to, and a symbolic link are refused. The lock is on the directory itself (`flock(2)`), not on a file or a socket in
//! it: no cleaner can take it away, and it ends with the host, however that ends. [`HeldDir::look`] says later whether the
//! name still leads there.
//!
//! Whoever keeps or reads something there names it by a [`StateDir`]; a host holds it for as long as it runs.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use flyball_model::printable_path;
use nix::fcntl::OFlag;
use nix::unistd::geteuid;

/// Why the state directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Nobody named one, and the user has none.
    #[error("neither XDG_STATE_HOME nor HOME is set; name a directory with --state DIR")]
    NoHome,
    /// It would not be what it is called.
    #[error(
        "the state directory {} is a symbolic link; name the directory that it leads to with --state DIR", printable_path(.0)
    )]
    Link(PathBuf),
    /// It is a file.
    #[error("the state directory {} is no directory; name another with --state DIR", printable_path(.0))]
    NoDirectory(PathBuf),
    /// Its owner could change what is in it.
    #[error(
        "the state directory {} is another user's ({uid}); name one of your own with --state DIR", printable_path(.path)
    )]
    AnothersDirectory {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// Others could change what is in it.
    #[error(
        "the state directory {path} may be written by others, who could change what is in it; `chmod 700 {path}`, or name \
         another with --state DIR", path = printable_path(.0)
    )]
    WritableByOthers(PathBuf),
    /// Another host has it.
    #[error(
        "a host already runs with the state directory {}{}; stop it, or name another directory with --state DIR",
        printable_path(.path), .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Held {
        /// The directory.
        path: PathBuf,
        /// The host's process, where it can be told.
        pid: Option<u32>,
    },
    /// It is another directory than the one that this host has.
    #[error("{} is another directory now", printable_path(.0))]
    Replaced(PathBuf),
    /// The system does not let it be done.
    #[error("{doing}")]
    Io {
        /// What was to be done.
        doing: String,
        /// Why it was not.
        #[source]
        cause: io::Error,
    },
}

trait Cannot<T> {
    fn cannot(self, doing: impl FnOnce() -> String) -> Result<T, StateDirError>;
}

impl<T> Cannot<T> for io::Result<T> {
    fn cannot(self, doing: impl FnOnce() -> String) -> Result<T, StateDirError> {
        self.map_err(|cause| StateDirError::Io { doing: doing(), cause })
    }
}

const SOCKET: &str = "control.sock";
/// How long it may look held by somebody who only looks.
const A_MOMENT: Duration = Duration::from_millis(200);
const JOURNAL: &str = "journal.db";
/// The number of the process that holds the directory, for messages only.
const HOLDER: &str = "host.pid";

/// The directory, by its name.
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

/// What a file is whatever it is called: its device and its number there.
type Identity = (u64, u64);

fn identity(of: &fs::Metadata) -> Identity {
    (of.dev(), of.ino())
}

/// The directory while a host has it to itself.
#[derive(Debug)]
pub(crate) struct HeldDir {
    path: PathBuf,
    identity: Identity,
    /// Locked for as long as it is open.
    _locked: File,
}

/// What became of a held directory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// All is there.
    Whole,
    /// The socket is gone, or another one.
    NoSocket,
    /// The directory or the journal is gone, or another one: why.
    Lost(String),
}

impl StateDir {
    /// The user's own: `flyball` in `XDG_STATE_HOME`, or in `~/.local/state`. It is not made.
    ///
    /// # Errors
    ///
    /// The environment names neither.
    pub fn of_user() -> Result<Self, StateDirError> {
        let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = from("XDG_STATE_HOME").or_else(|| from("HOME").map(|home| home.join(".local/state")));
        match base {
            Some(base) => Ok(Self::at(base.join("flyball"))),
            None => Err(StateDirError::NoHome),
        }
    }

    /// This very one. A slash at its end would have a link followed.
    pub fn at(dir: PathBuf) -> Self {
        Self(dir.components().collect())
    }

    /// Makes it, for this user only, or takes the one that is there as it is.
    ///
    /// # Errors
    ///
    /// It cannot be made, or others could change what is in it.
    pub fn make(&self) -> Result<(), StateDirError> {
        self.open().map(drop)
    }

    fn open(&self) -> Result<File, StateDirError> {
        let path = printable_path(&self.0);
        let cannot = || format!("cannot make the state directory {path}; name another with --state DIR");
        let found = match fs::symlink_metadata(&self.0) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).cannot(cannot)?;
                fs::symlink_metadata(&self.0).cannot(cannot)?
            }
            found => found.cannot(cannot)?,
        };
        if found.is_symlink() {
            return Err(StateDirError::Link(self.0.clone()));
        }
        if !found.is_dir() {
            return Err(StateDirError::NoDirectory(self.0.clone()));
        }
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let dir = OpenOptions::new().read(true).custom_flags(flags.bits()).open(&self.0).cannot(cannot)?;
        let opened = dir.metadata().cannot(cannot)?;
        if opened.uid() != geteuid().as_raw() {
            return Err(StateDirError::AnothersDirectory { path: self.0.clone(), uid: opened.uid() });
        }
        if opened.permissions().mode() & 0o022 != 0 {
            return Err(StateDirError::WritableByOthers(self.0.clone()));
        }
        Ok(dir)
    }

    /// Takes it for this host, until what is answered is dropped.
    pub(crate) fn hold(&self) -> Result<HeldDir, StateDirError> {
        let dir = self.open()?;
        let begun = Instant::now();
        // Somebody who only asks whether it is held has it for a moment.
        let locked = loop {
            match dir.try_lock() {
                Err(fs::TryLockError::WouldBlock) if begun.elapsed() < A_MOMENT => {
                    thread::sleep(A_MOMENT / 20)
                }
                locked => break locked,
            }
        };
        match locked {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(StateDirError::Held { path: self.0.clone(), pid: self.holder() });
            }
            Err(fs::TryLockError::Error(fault)) => {
                return Err(fault).cannot(|| {
                    format!(
                        "cannot lock the state directory {}; name one on a local disk with --state DIR",
                        printable_path(&self.0)
                    )
                });
            }
        }
        let cannot = || format!("cannot write in the state directory {}", printable_path(&self.0));
        let held = HeldDir {
            path: std::path::absolute(&self.0).cannot(cannot)?,
            identity: identity(&dir.metadata().cannot(cannot)?),
            _locked: dir,
        };
        let holder = self.0.join(HOLDER);
        let _ = fs::remove_file(&holder);
        let mut file = flyball_files::create_private(&holder).map_err(io::Error::other).cannot(cannot)?;
        io::Write::write_all(&mut file, format!("{}\n", std::process::id()).as_bytes()).cannot(cannot)?;
        Ok(held)
    }

    /// Whether a host has it now.
    ///
    /// # Errors
    ///
    /// That cannot be told.
    pub fn is_held(&self) -> io::Result<bool> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(&self.0) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        match dir.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(fault)) => Err(fault),
        }
    }

    /// The process that has it, where it is held.
    pub fn holder(&self) -> Option<u32> {
        const LIMIT: flyball_files::Limit = flyball_files::Limit::new(32, "remove it");
        flyball_files::read_text(&self.0.join(HOLDER), LIMIT).ok()?.trim().parse().ok()
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Opens the directory, to reach the socket in it by a path that is short enough whatever its name is.
    pub(crate) fn reach(&self) -> io::Result<Reach> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_PATH;
        Ok(Reach(OpenOptions::new().read(true).custom_flags(flags.bits()).open(&self.0)?))
    }

    /// Where compiled plugins are kept.
    pub fn compiled(&self) -> PathBuf {
        self.0.join("compiled")
    }

    /// The components that served, by digest.
    pub fn versions(&self) -> PathBuf {
        self.0.join("plugins")
    }

    /// Whether a host has kept something in this directory: what lies there is the host's.
    pub fn is_one(path: &Path) -> bool {
        [JOURNAL, SOCKET, HOLDER].iter().any(|name| path.join(name).exists())
    }

    /// Where items go that failed for good, unless a host is told otherwise.
    pub fn dead_letters(&self) -> PathBuf {
        self.0.join("dead-letters.jsonl")
    }
}

/// An open directory. A Unix socket's address has 107 bytes; the path through the descriptor has a dozen.
#[derive(Debug)]
pub(crate) struct Reach(File);

impl Reach {
    /// The socket in the directory, for as long as this is open.
    pub(crate) fn socket(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", self.0.as_raw_fd()))
    }
}

impl HeldDir {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the socket, for messages.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
    }

    /// Opens it once more, if it is still the directory that the host holds.
    pub(crate) fn reach(&self) -> Result<Reach, StateDirError> {
        let cannot = || format!("cannot open {}", printable_path(&self.path));
        let reach = StateDir(self.path.clone()).reach().cannot(cannot)?;
        if identity(&reach.0.metadata().cannot(cannot)?) != self.identity {
            return Err(StateDirError::Replaced(self.path.clone()));
        }
        Ok(reach)
    }

    /// Nobody can reach the host any more.
    pub(crate) fn leave(&self) {
        for name in [SOCKET, HOLDER] {
            if let Err(fault) = fs::remove_file(self.path.join(name)) {
                tracing::debug!(%fault, name, "it was gone already");
            }
        }
    }

    /// What the journal's file is now; none: there is none.
    pub(crate) fn journal(&self) -> Option<Identity> {
        fs::symlink_metadata(self.path.join(JOURNAL)).ok().map(|file| identity(&file))
    }

    /// What the socket is now; none: there is none.
    pub(crate) fn socket_now(&self) -> Option<Identity> {
        let socket = fs::symlink_metadata(self.socket()).ok()?;
        socket.file_type().is_socket().then(|| identity(&socket))
    }

    /// Whether the directory, the journal and the socket are what they were.
    pub(crate) fn look(&self, journal: Option<Identity>, socket: Option<Identity>) -> Look {
        let path = printable_path(&self.path);
        match fs::symlink_metadata(&self.path) {
            Ok(now) if identity(&now) == self.identity => {}
            Ok(_) => return Look::Lost(format!("the state directory {path} was replaced by another one")),
            Err(_) => return Look::Lost(format!("the state directory {path} is gone")),
        }
        match self.journal() {
            now if now == journal => {}
            Some(_) => {
                return Look::Lost(format!("the journal {path}/{JOURNAL} was replaced by another one"));
            }
            None => return Look::Lost(format!("the journal {path}/{JOURNAL} is gone")),
        }
        if self.socket_now() == socket { Look::Whole } else { Look::NoSocket }
    }
}
