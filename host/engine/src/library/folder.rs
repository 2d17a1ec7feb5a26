//! What lies in a directory, by content: a file is read whole again only when it may have changed. Rename-over, symlink swap
//! and a directory that was made anew all look the same from here.

use std::collections::{BTreeMap, HashMap};
use std::fs::Metadata;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::contract::LARGEST;
use crate::engine::digest_of;
use crate::signature::signature_beside;

/// A file that was changed a shorter time ago than this is read anyway: times are too coarse to tell two changes apart.
const SETTLED: Duration = Duration::from_secs(2);

/// One file as it was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) digest: Arc<str>,
    pub(super) bytes: Arc<[u8]>,
    /// What lies beside a component as its signature. It is looked at each time: it may come later than the file.
    pub(super) signature: Option<Arc<str>>,
}

/// A directory that is looked at again and again.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    extensions: &'static [&'static str],
    known: HashMap<PathBuf, (Print, Found)>,
}

/// What shows that a file was not touched. The change time cannot be set by a program.
#[derive(Debug, PartialEq, Eq)]
struct Print {
    length: u64,
    modified: Option<SystemTime>,
    identity: (u64, u64, i64, i64),
}

impl Folder {
    pub(super) fn new(path: &Path, extensions: &'static [&'static str]) -> Self {
        Self { path: path.to_owned(), extensions, known: HashMap::new() }
    }

    /// Every file with one of the extensions, by its name. Hidden files are left out: editors and ConfigMaps put
    /// unfinished things there.
    pub(super) fn scan(&mut self) -> std::io::Result<BTreeMap<String, Found>> {
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(&self.path)? {
            let path = entry?.path();
            let (Some(name), Some(extension)) = (
                path.file_name().and_then(|name| name.to_str()),
                path.extension().and_then(|end| end.to_str()),
            ) else {
                continue;
            };
            if name.starts_with('.') || !self.extensions.contains(&extension) {
                continue;
            }
            let name = name.to_owned();
            match self.look(&path) {
                Ok(Some(mut file)) => {
                    if extension == "wasm" {
                        file.signature = signature(&path);
                    }
                    found.insert(name, file);
                }
                Ok(None) => {}
                // It went away between the listing and the reading.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(path = %path.display(), %error, "cannot read the file"),
            }
        }
        self.known.retain(|path, _| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| found.contains_key(name))
        });
        Ok(found)
    }

    fn look(&mut self, path: &Path) -> std::io::Result<Option<Found>> {
        // Opened first and asked then, so that both are of one file whatever is renamed meanwhile.
        if !std::fs::metadata(path)?.is_file() {
            return Ok(None);
        }
        let file = std::fs::File::open(path)?;
        let metadata = file.metadata()?;
        let print = print(&metadata);
        if let Some((known, found)) = self.known.get(path)
            && *known == print
            && settled(&metadata)
        {
            return Ok(Some(found.clone()));
        }
        let mut bytes = Vec::new();
        file.take(u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut bytes)?;
        let digest = digest_of(&bytes);
        let found = Found { path: path.to_owned(), digest, bytes: bytes.into(), signature: None };
        self.known.insert(path.to_owned(), (print, found.clone()));
        Ok(Some(found))
    }
}

fn signature(path: &Path) -> Option<Arc<str>> {
    let found = signature_beside(path);
    let found = found
        .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "cannot read its signature"));
    found.ok()?.map(Arc::from)
}

#[cfg(unix)]
fn print(metadata: &Metadata) -> Print {
    use std::os::unix::fs::MetadataExt;
    Print {
        length: metadata.len(),
        modified: metadata.modified().ok(),
        identity: (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
    }
}

#[cfg(not(unix))]
fn print(metadata: &Metadata) -> Print {
    Print { length: metadata.len(), modified: metadata.modified().ok(), identity: (0, 0, 0, 0) }
}

#[cfg(unix)]
fn settled(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let changed = u64::try_from(metadata.ctime()).map(Duration::from_secs).unwrap_or_default();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(changed) > SETTLED + Duration::from_secs(1)
}

#[cfg(not(unix))]
fn settled(metadata: &Metadata) -> bool {
    let changed = metadata.modified().ok();
    changed.and_then(|changed| changed.elapsed().ok()).is_some_and(|since| since > SETTLED)
}
