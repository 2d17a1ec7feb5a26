use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::args::Places;

/// Where a host keeps what outlives it: the journal, compiled plugins, dead letters, the control socket. Nobody else may
/// read it: a journal tells what a pipeline does.
#[derive(Debug, Clone)]
pub(crate) struct StateDir(PathBuf);

impl StateDir {
    /// The one that the arguments name, or the user's own. It is not made.
    pub(crate) fn of(places: &Places) -> Result<Self> {
        if let Some(dir) = &places.state {
            return Ok(Self(dir.clone()));
        }
        let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = from("XDG_STATE_HOME").or_else(|| from("HOME").map(|home| home.join(".local/state")));
        match base {
            Some(base) => Ok(Self(base.join("flyball"))),
            None => bail!("neither XDG_STATE_HOME nor HOME is set; name a directory with --state DIR"),
        }
    }

    /// This very one.
    pub(crate) fn at(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// Makes it, for this user only.
    pub(crate) fn make(&self) -> Result<()> {
        let cannot =
            || format!("cannot make the state directory {}; name another with --state DIR", self.0.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).with_context(cannot)?;
        fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700)).with_context(cannot)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    pub(crate) fn compiled(&self) -> PathBuf {
        self.0.join("compiled")
    }

    /// The components that served, by digest.
    pub(crate) fn versions(&self) -> PathBuf {
        self.0.join("plugins")
    }

    pub(crate) fn dead_letters(&self) -> PathBuf {
        self.0.join("dead-letters.jsonl")
    }
}
