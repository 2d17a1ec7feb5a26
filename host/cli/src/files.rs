//! What this program reads whole, and how much of each: documents, plugins, keys. Every command reads through here, so that no
//! path that a person or a script names can hang it or fill its memory.

use std::path::Path;

use flyball_documents::Source;
use flyball_files::{FileError, Limit, read, read_text};

/// Larger documents are refused by whoever reads them, too.
const DOCUMENT: Limit = Limit::new(1 << 20, "split it, or name a policy, manifest or scenario");
/// As large as the engine takes, and a little more, so that it is the engine that says what a plugin may have.
const PLUGIN: Limit = Limit::new(65 << 20, "build the plugin optimised and stripped");
const KEY: Limit = Limit::new(16 << 10, "name a key that `flyball keygen` or minisign wrote");

/// A policy, manifest, scenario or world.
pub(crate) fn document(file: &Path) -> Result<Source, FileError> {
    Ok(Source::new(file.display().to_string(), read_text(file, DOCUMENT)?))
}

/// A component's bytes.
pub(crate) fn plugin(file: &Path) -> Result<Vec<u8>, FileError> {
    read(file, PLUGIN)
}

/// A key's text.
pub(crate) fn key(file: &Path) -> Result<String, FileError> {
    read_text(file, KEY)
}
