//! Compiled components on disk, by the component's digest and the engine that compiled it.
//!
//! An entry is the SHA-256 of the compiled form, then the compiled form. It is written beside its place and renamed into
//! it, so that no reader sees half of one.

use std::io::Write;
use std::path::{Path, PathBuf};

use flyball_model::printable_path;
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// More entries than this are not kept: each reload of a plugin brings one.
const MOST: usize = 256;

const DIGEST_BYTES: usize = 32;

#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Makes the folder, for this user only, or refuses one that others can write to.
    pub(crate) fn open(folder: &Path, engine: &Engine) -> std::io::Result<Self> {
        let folder = folder.join(format!("v1-{}", compatibility(engine)));
        make_private(&folder)?;
        Ok(Self { folder })
    }

    /// The compiled form of the component of this digest, if a sound one is kept.
    pub(crate) fn find(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let entry = std::fs::read(self.path(digest)).ok()?;
        let (kept, compiled) = entry.split_at_checked(DIGEST_BYTES)?;
        if Sha256::digest(compiled).as_slice() != kept {
            tracing::warn!(%digest, "a compiled plugin in the cache is damaged; it is compiled again");
            return None;
        }
        #[allow(unsafe_code, reason = "wasmtime cannot check that compiled code is what it once compiled")]
        // SAFETY: only this module writes into the folder, which no other user can write to; the digest shows that the
        // bytes are those that were written, and the folder's name that this very engine configuration wrote them.
        let component = unsafe { Component::deserialize(engine, compiled) };
        component.inspect_err(|error| tracing::warn!(%digest, %error, "a compiled plugin does not load")).ok()
    }

    /// Keeps a compiled form. That it cannot be kept costs time at the next start, nothing else.
    pub(crate) fn keep(&self, digest: &str, component: &Component) {
        if let Err(error) = self.write(digest, component) {
            tracing::warn!(%digest, %error, "the compiled form of a plugin is not kept");
        }
    }

    fn write(&self, digest: &str, component: &Component) -> std::io::Result<()> {
        let compiled = component.serialize().map_err(std::io::Error::other)?;
        self.make_room();
        let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(&self.folder)?;
        file.write_all(&Sha256::digest(&compiled))?;
        file.write_all(&compiled)?;
        file.persist(self.path(digest)).map_err(|error| error.error)?;
        Ok(())
    }

    fn make_room(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        let mut entries: Vec<_> = entries
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        entries.sort_unstable();
        for (_, oldest) in entries.iter().take((entries.len() + 1).saturating_sub(MOST)) {
            // What another process removed already is gone as well.
            let _ = std::fs::remove_file(oldest);
        }
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.cwasm"))
    }
}

/// Names the engine: its version, its configuration, the machine's instruction set.
fn compatibility(engine: &Engine) -> String {
    struct Sha(Sha256);
    impl std::hash::Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            self.0.clone().finalize().first_chunk::<8>().map_or(0, |start| u64::from_be_bytes(*start))
        }
    }
    let mut hasher = Sha(Sha256::new());
    std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut hasher);
    format!("{:016x}", std::hash::Hasher::finish(&hasher))
}

#[cfg(unix)]
fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let found = std::fs::metadata(folder)?;
    // A file of our own making in it has our own user, whatever the process is called elsewhere.
    let ours = tempfile::tempfile_in(folder)?.metadata()?.uid();
    if found.uid() != ours || found.permissions().mode() & 0o022 != 0 {
        return Err(std::io::Error::other(format!(
            "{} belongs to or can be written by another user, who could put code of his own there; \
             remove it or name another cache directory",
            printable_path(folder)
        )));
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}
