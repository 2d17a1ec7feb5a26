//! `flyball check`: says what is wrong with manifests, policies, plugins and golden cases, and what is probably not meant,
//! without running them. Every file is checked, whatever the others are; then all of them are held against each other.
//!
//! What is wrong fails the command; a warning does not. Both have file, line, column, code, cause and next step, for people
//! or as one JSON document.

mod across;
mod component;
mod documents;
mod paths;
mod told;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use flyball_documents::DocumentText;
use flyball_engine::{Engine, Library};
use flyball_host::{Folders, StateDir, open_engine, open_library};
use flyball_model::{Manifest, Policy};

use self::paths::Kind;
use self::told::{Checked, Told};
use crate::args::Places;
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// Manifests and policies (*.yaml), plugins (*.wasm), golden cases (cases/*.json), and folders of them
    #[arg(required = true, value_name = "PATH")]
    pub(crate) files: Vec<PathBuf>,

    /// A directory of plugins that manifests and policies may name [default: a folder of plugins among the paths]
    #[arg(long, value_name = "DIR")]
    pub(crate) plugins: Option<PathBuf>,

    /// How to say it: for people, or as one JSON document with the faults and warnings, each with file, line, column, code,
    /// message and help
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: CheckFormat,
}

/// How `check` says what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// For people
    Text,
    /// One JSON document
    Json,
}

/// What checking needs, opened once.
struct Bench {
    state: StateDir,
    engine: Engine,
    /// The directory of plugins that documents may name.
    plugins: Option<PathBuf>,
    /// With the plugins and without a policy of anybody's; opened when the first manifest is checked.
    library: Option<Arc<Library>>,
}

/// The documents and plugins that were read, each with the place of its file among those that were checked.
#[derive(Default)]
struct Found {
    manifests: Vec<(usize, DocumentText, Manifest)>,
    policies: Vec<(usize, DocumentText, Policy)>,
    /// By name.
    plugins: Vec<(usize, String)>,
}

pub(crate) fn run(places: &Places, options: &CheckOptions) -> Result<(), Failure> {
    let state = places.state_dir()?;
    let files = paths::files(&options.files);
    let plugins = options.plugins.clone().or_else(|| paths::plugin_folder(&options.files));
    let mut bench = Bench { engine: open_engine(&state)?, state, plugins, library: None };
    let (mut checked, mut found) = (Vec::new(), Found::default());
    for file in files {
        let place = checked.len();
        checked.push(match file {
            Ok((path, kind)) => bench.one(place, &path, kind, &mut found),
            Err((path, failure)) => Checked::failed(&path, "unreadable", failure),
        });
    }
    across::hold(&found, bench.library.as_deref(), &mut checked);
    match options.format {
        CheckFormat::Text => checked.iter().for_each(Checked::print),
        CheckFormat::Json => told::print_json(&checked)?,
    }
    if checked.iter().any(Checked::is_faulty) { Err(Failure::Said) } else { Ok(()) }
}

impl Bench {
    fn one(&mut self, place: usize, file: &Path, kind: Kind, found: &mut Found) -> Checked {
        let done = match kind {
            Kind::Plugin => component::check(self, place, file, found),
            Kind::Document => documents::check(self, place, file, found),
            Kind::NotRead(why) => {
                let mut checked = Checked::good(file, "other", "not checked".to_owned());
                checked.warnings.push(Told::of_file(file, "not-read", why.to_owned(), None));
                Ok(checked)
            }
        };
        done.unwrap_or_else(|failure| Checked::failed(file, kind.name(), failure))
    }

    fn library(&mut self) -> Result<Arc<Library>, Failure> {
        if let Some(library) = &self.library {
            return Ok(library.clone());
        }
        let library = open_library(&Folders { policies: None, plugins: self.plugins.clone() }, &self.state)?;
        self.library = Some(library.clone());
        Ok(library)
    }
}
