//! The components that served, on disk by digest, so that one can go back to one and replay what one said.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flyball_model::printable_path;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::generation::{Seal, Serving};
use crate::engine::digest_of;
use crate::signature::{signature_beside, signature_path};

/// As many versions of a plugin are kept.
const MOST: usize = 10;

/// A directory that holds them: `DIGEST.wasm`, and of each plugin `NAME.json` and, when one went back, `NAME.back.json`.
#[derive(Debug, Clone)]
pub struct Versions {
    dir: PathBuf,
    only_looks: bool,
}

/// What is known of one plugin's versions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Served {
    /// Digest of what its file holds, or the host brought.
    pub offered: Arc<str>,
    /// Digest of what serves.
    pub running: Arc<str>,
    /// Digests of all that served and are kept, the one that came to serve last first.
    pub versions: Vec<Arc<str>>,
    /// What serves came from a file of the plugin directory, and not with the host.
    #[serde(default)]
    pub from_file: bool,
}

/// That one went back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Back {
    /// From what the plugin's file held then: these very bytes are passed over; any others serve as usual.
    pub over: Arc<str>,
    /// To this.
    pub to: Arc<str>,
}

/// Why one cannot go back.
#[derive(Debug, thiserror::Error)]
pub enum VersionsError {
    /// The plugin never served.
    #[error("no version of {name:?} served here; `flyball plugins` lists what does")]
    Unknown {
        /// Which.
        name: String,
    },
    /// There is nothing before it.
    #[error("no version of {name:?} before {running} is kept")]
    NoneBefore {
        /// Which.
        name: String,
        /// The running one, shortened.
        running: String,
    },
    /// Nobody went back.
    #[error("{name:?} was not rolled back")]
    NotBack {
        /// Which.
        name: String,
    },
    /// The disk.
    #[error("{path}: {error}", path = printable_path(path))]
    Disk {
        /// Where.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl Versions {
    /// In this directory, which is made.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub fn open(dir: &Path) -> Result<Self, VersionsError> {
        std::fs::create_dir_all(dir).map_err(|error| VersionsError::Disk { path: dir.to_owned(), error })?;
        Ok(Self { dir: dir.to_owned(), only_looks: false })
    }

    /// To see what serves in this directory, which need not be there: a library writes nothing into it.
    pub fn look_at(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), only_looks: true }
    }

    /// A newer file came: that one went back is over.
    pub(super) fn overtaken(&self, name: &str) {
        if !self.only_looks
            && let Err(error) = self.go_forward(name)
        {
            tracing::warn!(plugin = name, %error, "cannot forget that the plugin was rolled back");
        }
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The component of this digest, if it is kept and sound.
    pub fn component(&self, digest: &str) -> Option<Vec<u8>> {
        let bytes = std::fs::read(self.dir.join(format!("{digest}.wasm"))).ok()?;
        (*digest_of(&bytes) == *digest).then_some(bytes)
    }

    /// The signature that the component of this digest had when it served.
    pub(super) fn signature(&self, digest: &str) -> Option<Arc<str>> {
        signature_beside(&self.dir.join(format!("{digest}.wasm"))).ok()?.map(Arc::from)
    }

    /// The names of all plugins that served.
    pub(super) fn names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return Vec::new() };
        let name = |entry: std::fs::DirEntry| {
            let name = entry.file_name();
            let name = name.to_str()?.strip_suffix(".json")?;
            (!name.contains('.')).then(|| name.to_owned())
        };
        let mut names: Vec<String> = entries.flatten().filter_map(name).collect();
        names.sort_unstable();
        names
    }

    /// What is known of a plugin.
    pub fn of(&self, name: &str) -> Option<Served> {
        self.read(&self.record(name))
    }

    /// That one went back with a plugin.
    pub fn back(&self, name: &str) -> Option<Back> {
        self.read(&self.back_record(name))
    }

    /// Goes back to the version before the one that runs. A host that runs takes it over at its next look.
    ///
    /// # Errors
    ///
    /// There is none, or the disk does not take it.
    pub fn roll_back(&self, name: &str) -> Result<Back, VersionsError> {
        let served = self.of(name).ok_or_else(|| VersionsError::Unknown { name: name.to_owned() })?;
        let running = self.back(name).map_or(served.running, |back| back.to);
        let mut older = served.versions.iter().skip_while(|version| **version != running).skip(1);
        let to = older.find(|version| self.component(version).is_some()).cloned();
        let to = to.ok_or_else(|| VersionsError::NoneBefore {
            name: name.to_owned(),
            running: running.chars().take(12).collect(),
        })?;
        let back = Back { over: served.offered, to };
        self.write(&self.back_record(name), &back)?;
        Ok(back)
    }

    /// Goes forward again, to what the plugin's file holds.
    ///
    /// # Errors
    ///
    /// Nobody went back, or the disk does not take it.
    pub fn go_forward(&self, name: &str) -> Result<(), VersionsError> {
        let path = self.back_record(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(VersionsError::NotBack { name: name.to_owned() })
            }
            Err(error) => Err(VersionsError::Disk { path, error }),
            Ok(()) => Ok(()),
        }
    }

    /// Keeps what serves now, and forgets the oldest.
    pub(super) fn serves(
        &self,
        name: &str,
        offered: &Arc<str>,
        running: &Arc<str>,
        serving: &Serving,
    ) -> Result<(), VersionsError> {
        if self.only_looks {
            return Ok(());
        }
        let before = self.of(name).unwrap_or_default();
        let mut after = Served {
            offered: Arc::clone(offered),
            running: Arc::clone(running),
            from_file: serving.path.is_some(),
            ..before.clone()
        };
        if !after.versions.contains(running) {
            let path = self.dir.join(format!("{running}.wasm"));
            self.put(&path, &serving.bytes)?;
            after.versions.insert(0, Arc::clone(running));
        } else if before.running != *running && offered == running {
            // One that served long ago and was deployed anew comes after those that served since. One that a person went back
            // to keeps its place, so that he can go back further.
            after.versions.retain(|version| version != running);
            after.versions.insert(0, Arc::clone(running));
        }
        if let Seal::Signature(text) = &serving.seal
            && self.signature(running).as_ref() != Some(text)
        {
            self.put(&signature_path(&self.dir.join(format!("{running}.wasm"))), text.as_bytes())?;
        }
        after.versions.truncate(MOST);
        if after == before {
            return Ok(());
        }
        self.write(&self.record(name), &after)?;
        if before.versions.iter().any(|version| !after.versions.contains(version)) {
            self.forget();
        }
        Ok(())
    }

    /// The policies that judged when a host last ran here: digests by file.
    pub(super) fn policies(&self) -> BTreeMap<String, Arc<str>> {
        self.read(&self.policies_record()).unwrap_or_default()
    }

    /// Keeps which policies judge.
    pub(super) fn judge(&self, policies: &BTreeMap<String, Arc<str>>) -> Result<(), VersionsError> {
        if self.only_looks || self.policies() == *policies {
            return Ok(());
        }
        self.write(&self.policies_record(), policies)
    }

    fn policies_record(&self) -> PathBuf {
        self.dir.join("policies.served.json")
    }

    /// Removes the components that no plugin's record names.
    fn forget(&self) {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return };
        let paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        let ends = |path: &&PathBuf, end: &str| path.extension().is_some_and(|extension| extension == end);
        let named: BTreeSet<Arc<str>> = paths
            .iter()
            .filter(|path| ends(path, "json"))
            // `NAME.back.json` and `policies.served.json` name no components of their own.
            .filter(|path| {
                path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| !stem.contains('.'))
            })
            .filter_map(|path| self.read::<Served>(path))
            .flat_map(|served| served.versions)
            .collect();
        for path in paths.iter().filter(|path| ends(path, "wasm")) {
            let digest = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if !named.contains(digest) {
                // What another process removed already is gone as well.
                let _ = std::fs::remove_file(path);
                let _ = std::fs::remove_file(signature_path(path));
            }
        }
    }

    fn record(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.json"))
    }

    fn back_record(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.back.json"))
    }

    fn read<T: DeserializeOwned>(&self, path: &Path) -> Option<T> {
        let text = std::fs::read(path).ok()?;
        serde_json::from_slice(&text)
            .inspect_err(
                |error| tracing::warn!(path = %printable_path(path), %error, "a record of versions is damaged"),
            )
            .ok()
    }

    fn write<T: Serialize>(&self, path: &Path, record: &T) -> Result<(), VersionsError> {
        let text = serde_json::to_vec_pretty(record)
            .map_err(|error| VersionsError::Disk { path: path.to_owned(), error: error.into() })?;
        self.put(path, &text)
    }

    /// Beside its place first, so that nobody sees half of it.
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), VersionsError> {
        let failed = |error| VersionsError::Disk { path: path.to_owned(), error };
        let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(&self.dir).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}
