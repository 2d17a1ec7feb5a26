//! Policies and plugins as a host reads them, and the past as it keeps it, for whoever runs, checks or looks at something.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flyball_documents::{DocumentText, locate, read_manifest};
use flyball_engine::{Engine, EngineOptions, Library, LibraryOptions, OpenError, PolicySource, Versions};
use flyball_files::{FileError, Limit, read_text};
use flyball_model::Manifest;
use flyball_ports::{HistoryError, StoredHistory};
use flyball_store::HistoryReader;

use crate::error::{Doing, HostError};
use crate::state_dir::StateDir;
use crate::wasm_nodes::LibraryNodes;

/// The policy of whoever names none.
pub const DEFAULT_POLICY: &str = include_str!("../../../policies/default.yaml");

/// Larger documents are refused by whoever reads them, too.
const DOCUMENT: Limit = Limit::new(1 << 20, "split it, or name a policy, manifest or scenario");

/// Where policies and plugins lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folders {
    /// A directory of policies (`*.yaml`, `*.yml`); none: the built-in policy.
    pub policies: Option<PathBuf>,
    /// A directory of plugins (`NAME.wasm`); one here replaces the first-party plugin of its name.
    pub plugins: Option<PathBuf>,
}

impl Folders {
    /// Where the policies come from.
    pub fn policy_source(&self) -> PolicySource {
        match &self.policies {
            Some(dir) => PolicySource::Dir(dir.clone()),
            None => PolicySource::Text(vec![DocumentText::new("built-in policy", DEFAULT_POLICY)]),
        }
    }
}

/// The WebAssembly engine, with its cache of compiled plugins in the state directory; without one where there is no such
/// directory, as whoever only looks at something makes none.
///
/// # Errors
///
/// The machine cannot run one.
pub fn open_engine(state: &StateDir) -> Result<Engine, HostError> {
    open_engine_with(state, EngineOptions::default())
}

/// The same, with more than its cache.
pub(crate) fn open_engine_with(state: &StateDir, options: EngineOptions) -> Result<Engine, HostError> {
    let cache_dir = state.path().is_dir().then(|| state.compiled());
    Engine::new(EngineOptions { cache_dir, ..options }).doing("cannot start the WebAssembly engine")
}

/// The plugins and policies that a run with these folders judges by.
///
/// # Errors
///
/// A policy is wrong, or a plugin that it names does not load.
pub fn open_library(folders: &Folders, state: &StateDir) -> Result<Arc<Library>, HostError> {
    let versions = Versions::look_at(&state.versions());
    library_of(folders.policy_source(), folders.plugins.clone(), open_engine(state)?, versions)
}

/// The plugins, first-party ones among them, with these policies.
///
/// # Errors
///
/// A policy is wrong, or a plugin that it names does not load.
pub fn library_of(
    policies: PolicySource,
    plugins_dir: Option<PathBuf>,
    engine: Engine,
    versions: Versions,
) -> Result<Arc<Library>, HostError> {
    let first_party =
        flyball_first_party::ALL.iter().map(|plugin| (plugin.name.to_owned(), plugin.wasm.into())).collect();
    let options = LibraryOptions { engine, first_party, plugins_dir, policies, versions: Some(versions) };
    Library::open(options).map_err(|fault| match fault {
        OpenError::Documents(faults) => HostError::Documents(faults),
        other => HostError::Library(other),
    })
}

/// A policy, manifest, scenario or world, from a file of any kind that a person may name.
///
/// # Errors
///
/// It cannot be read, or is too large.
pub fn read_document(file: &Path) -> Result<DocumentText, FileError> {
    Ok(DocumentText::new(file.display().to_string(), read_text(file, DOCUMENT)?))
}

/// Reads a manifest whole: as a document, and as a pipeline of nodes that exist.
///
/// # Errors
///
/// It cannot be read, or is wrong; each fault has its place.
pub fn open_manifest(file: &Path, library: &Arc<Library>) -> Result<Manifest, HostError> {
    let source = read_document(file)?;
    let manifest = read_manifest(&source)?;
    let nodes = LibraryNodes { library: Arc::clone(library), session: manifest.name.clone() };
    let problems = flyball_pipeline::check(&manifest, &nodes);
    if problems.is_empty() { Ok(manifest) } else { Err(locate(&source, problems).into()) }
}

/// What was done, seen and decided so far with this state directory, also while a host runs there.
///
/// # Errors
///
/// There is no journal, or it cannot be read.
pub fn open_history(state: &StateDir) -> Result<Box<dyn StoredHistory>, HistoryError> {
    Ok(Box::new(HistoryReader::open(state.path())?))
}
