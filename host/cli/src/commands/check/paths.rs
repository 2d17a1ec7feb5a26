//! Which files are checked: those that are named, and those in folders that are named.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::exit::Failure;
use flyball_host::StateDir;
use flyball_model::printable_path;

/// Folders in folders are looked into so far, and no link is followed: what is named is a tree.
const DEEPEST: usize = 8;
/// More files than this in one folder are no folder of documents.
const MOST_FILES: usize = 10_000;

/// What a file is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plugin,
    Document,
    /// It looks like one that a host would read, and a host would not.
    NotRead(&'static str),
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Document => "document",
            Self::NotRead(_) => "other",
        }
    }
}

type Named = Result<(PathBuf, Kind), (PathBuf, Failure)>;

/// Every file in the order of naming, those of a folder by their names.
pub(super) fn files(named: &[PathBuf]) -> Vec<Named> {
    named.iter().flat_map(|path| if path.is_dir() { folder(path) } else { vec![Ok(one(path))] }).collect()
}

/// A folder among them that holds plugins: documents that are checked with it may name them.
pub(super) fn plugin_folder(named: &[PathBuf]) -> Option<PathBuf> {
    let holds_plugins = |folder: &&PathBuf| {
        let entries = folder.is_dir().then(|| std::fs::read_dir(folder).ok()).flatten();
        entries.into_iter().flatten().flatten().any(|entry| has_extension(&entry.path(), "wasm"))
    };
    named.iter().find(holds_plugins).cloned()
}

fn one(path: &Path) -> (PathBuf, Kind) {
    let kind = if has_extension(path, "wasm") { Kind::Plugin } else { Kind::Document };
    (path.to_owned(), kind)
}

fn folder(path: &Path) -> Vec<Named> {
    let mut found = Vec::new();
    if let Err(failure) = walk(path, 0, &mut found) {
        return vec![Err((path.to_owned(), failure))];
    }
    if found.is_empty() {
        let message =
            "there is no manifest (*.yaml), policy (*.yaml), plugin (*.wasm) or golden case (*.json) in it";
        return vec![Err((
            path.to_owned(),
            anyhow!("{}: {message}; name another folder", printable_path(path)).into(),
        ))];
    }
    found.into_iter().map(Ok).collect()
}

fn walk(path: &Path, depth: usize, found: &mut Vec<(PathBuf, Kind)>) -> Result<(), Failure> {
    let cannot = || format!("cannot read the folder {}", printable_path(path));
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).with_context(cannot)? {
        entries.push(entry.with_context(cannot)?);
        if entries.len() > MOST_FILES {
            return Err(anyhow!(
                "{} has more than {MOST_FILES} entries; name the files",
                printable_path(path)
            )
            .into());
        }
    }
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (name, inner) = (entry.file_name(), entry.path());
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        match (is_folder, kind_in_folder(&inner)) {
            _ if is_build_output(&name) => {}
            (true, _) if StateDir::is_one(&inner) => {}
            (true, _) if depth < DEEPEST && !is_hidden(&name) => walk(&inner, depth + 1, found)?,
            (false, Some(kind)) => found.push((inner, kind)),
            _ => {}
        }
    }
    Ok(())
}

fn kind_in_folder(path: &Path) -> Option<Kind> {
    let extension = path.extension()?.to_str()?;
    let document = ["yaml", "yml"].contains(&extension.to_ascii_lowercase().as_str());
    match extension {
        _ if document && path.file_name().is_some_and(is_hidden) => {
            Some(Kind::NotRead("a host does not read hidden files; take the dot away, or take the file away"))
        }
        "wasm" => Some(Kind::Plugin),
        "yaml" | "yml" => Some(Kind::Document),
        "json" if looks_like_a_case(path) => Some(Kind::Document),
        _ if document => Some(Kind::NotRead("a host reads *.yaml and *.yml, in small letters; rename it")),
        _ => None,
    }
}

/// Other JSON files are nobody's business here.
fn looks_like_a_case(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|folder| folder == "cases")
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|has| has == extension)
}

fn is_hidden(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with('.')
}

/// What a build leaves behind holds many components that nobody wrote.
fn is_build_output(name: &OsStr) -> bool {
    name == "target" || name == "node_modules"
}
