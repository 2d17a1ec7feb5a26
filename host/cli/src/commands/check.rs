use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use flyball_documents::{Source, read_policy};
use flyball_engine::{Engine, EngineOptions, Library, LibraryOptions, PolicySource};
use serde_json::Value;

use crate::args::{CheckOptions, Judging, Places};
use crate::assembly::{engine, first_party, library_failure, open_library, open_manifest};
use crate::exit::Failure;
use crate::state_dir::StateDir;

/// Every file is checked, whatever the others are.
pub(crate) fn run(places: &Places, options: &CheckOptions) -> Result<(), Failure> {
    let state = StateDir::of(places)?;
    state.make()?;
    let mut failed = false;
    for file in &options.files {
        match one(file, options, &state) {
            Ok(what) => println!("{}: {what}", file.display()),
            Err(failure) => {
                failed = true;
                failure.tell();
            }
        }
    }
    if failed { Err(Failure::Said) } else { Ok(()) }
}

fn one(file: &Path, options: &CheckOptions, state: &StateDir) -> Result<String, Failure> {
    if file.extension().is_some_and(|extension| extension == "wasm") {
        return plugin(file, state);
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let source = Source::new(file.display().to_string(), text);
    if is_policy(&source.text) { policy(source, options, state) } else { manifest(file, options, state) }
}

/// A policy names judges; a manifest names nodes. What names neither is told what a manifest must have.
fn is_policy(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("judges:"))
}
