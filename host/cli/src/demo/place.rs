//! The demo's directory: what it runs on, and what it leaves behind.

use std::fs;
use std::path::{Path, PathBuf};

use crate::demo::model::Beside;
use anyhow::{Context, Result, bail};
use flyball_model::printable_path;
use sha2::{Digest, Sha256};

const PIPELINE: &str = include_str!("pipeline.yaml");
const POLICY: &str = include_str!("policy.yaml");

/// The plugin that is replaced half way.
pub(crate) const REPLACED_PLUGIN: &str = "no-oscillation";

/// What the policy's `queue_fill` is replaced by half way.
pub(crate) const TIGHTER_FILL: f64 = 0.6;

/// The demo's directory.
pub(crate) struct Place(PathBuf);

impl Place {
    /// The named directory, if it is new or empty; a new temporary one without a name.
    pub(crate) fn make(named: Option<&Path>) -> Result<Self> {
        let Some(dir) = named else {
            let dir = tempfile::Builder::new()
                .prefix("flyball-demo-")
                .tempdir()
                .context("cannot make a temporary directory; name one with --dir")?;
            return Ok(Self(dir.keep()));
        };
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", printable_path(dir)))?;
        let dir = dir.canonicalize().with_context(|| format!("cannot find {}", printable_path(dir)))?;
        if fs::read_dir(&dir)
            .with_context(|| format!("cannot read {}", printable_path(&dir)))?
            .next()
            .is_some()
        {
            bail!("{} is not empty; name a new directory with --dir", printable_path(&dir));
        }
        Ok(Self(dir))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.0.join("pipeline.yaml")
    }

    pub(crate) fn policies(&self) -> PathBuf {
        self.0.join("policies")
    }

    pub(crate) fn plugins(&self) -> PathBuf {
        self.0.join("plugins")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    pub(crate) fn report(&self) -> PathBuf {
        self.0.join("report.json")
    }

    pub(crate) fn dead_letters(&self) -> PathBuf {
        self.0.join("dead-letters.jsonl")
    }

    /// Lays out the manifest, the policy and an empty plugin directory.
    pub(crate) fn furnish(&self, service: &str, beside: &Beside) -> Result<()> {
        for dir in [self.policies(), self.plugins()] {
            fs::create_dir(&dir).with_context(|| format!("cannot make {}", printable_path(&dir)))?;
        }
        let out = self.0.join("out.jsonl");
        let pipeline = PIPELINE.replace("@SERVICE@", service).replace("@OUT@", &out.display().to_string());
        write(&self.manifest(), pipeline.as_bytes())?;
        write(&self.policies().join("demo.yaml"), policy(0.8, beside).as_bytes())
    }

    /// Lowers the queue threshold.
    pub(crate) fn tighten_policy(&self, beside: &Beside) -> Result<()> {
        write(&self.policies().join("demo.yaml"), policy(TIGHTER_FILL, beside).as_bytes())
    }

    /// Puts another build of a first-party plugin into the plugin directory. Its digest.
    pub(crate) fn replace_plugin(&self) -> Result<String> {
        let plugin =
            flyball_first_party::find(REPLACED_PLUGIN).context("the demo's plugin is not in the bundle")?;
        let stamped = stamp(plugin.wasm, b"a newer build, for the demo");
        write(&self.plugins().join(format!("{REPLACED_PLUGIN}.wasm")), &stamped)?;
        Ok(Sha256::digest(&stamped).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

fn policy(queue_fill: f64, beside: &Beside) -> String {
    POLICY.replace("@FILL@", &queue_fill.to_string()).replace("@SHADOWS@", &beside.shadows().to_string())
}

/// A custom section behind a component changes its bytes, and so its digest, as any new build does. The section's
/// form: id 0, its length, the length of its name, the name, the rest (WebAssembly core specification, 5.5.3).
fn stamp(component: &[u8], note: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"build";
    let mut stamped = component.to_vec();
    // Both lengths are below 128, where LEB128 is the number itself.
    stamped.extend([0, (1 + NAME.len() + note.len()) as u8, NAME.len() as u8]);
    stamped.extend(NAME);
    stamped.extend(note);
    stamped
}

/// Whole or not at all: written beside, then renamed over.
fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let cannot = || format!("cannot write {}", printable_path(file));
    let scratch = file.with_extension("new");
    fs::write(&scratch, bytes).with_context(cannot)?;
    fs::rename(&scratch, file).with_context(cannot)
}
