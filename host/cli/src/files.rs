//! What this program reads whole beside documents, and how much of each: plugins and keys. Every command reads through here or by
//! `flyball_host::read_document`, so that no path that a person or a script names can hang it or fill its memory.

use std::path::Path;

use flyball_files::{FileError, Limit, read, read_text};

/// As large as the engine takes, and a little more, so that it is the engine that says what a plugin may have.
const PLUGIN: Limit = Limit::new(65 << 20, "build the plugin optimised and stripped");
const KEY: Limit = Limit::new(16 << 10, "name a key that `flyball keygen` or minisign wrote");

/// A component's bytes.
pub(crate) fn plugin(file: &Path) -> Result<Vec<u8>, FileError> {
    read(file, PLUGIN)
}

/// A key's text.
pub(crate) fn key(file: &Path) -> Result<String, FileError> {
    read_text(file, KEY)
}
