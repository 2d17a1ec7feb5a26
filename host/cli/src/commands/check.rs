use std::path::Path;

use anyhow::{Context, anyhow};
use flyball_documents::{Source, locate, never_fires, read_policy};
use flyball_engine::{PolicySource, Versions};
use flyball_model::ValidatorRule;

use crate::args::{CheckOptions, Judging, Places};
use crate::assembly::{library_of, open_engine, open_library, open_manifest};
use crate::exit::Failure;
use crate::output::outln;
use crate::state_dir::StateDir;

/// Every file is checked, whatever the others are.
pub(crate) fn run(places: &Places, options: &CheckOptions) -> Result<(), Failure> {
    let state = StateDir::of(places)?;
    state.make()?;
    let mut failed = false;
    for file in &options.files {
        match one(file, options, &state) {
            Ok(what) => outln!("{}: {what}", file.display()),
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
    let text = read(file)?;
    if is_policy(&text) { policy(file, text, options, state) } else { manifest(file, options, state) }
}

fn read(file: &Path) -> Result<String, Failure> {
    Ok(std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?)
}

/// A policy names judges; a manifest names nodes. What names neither is told what a manifest must have.
fn is_policy(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("judges:"))
}

fn plugin(file: &Path, state: &StateDir) -> Result<String, Failure> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let plugin = open_engine(state)?.load(&bytes).map_err(|fault| anyhow!("{}: {fault}", file.display()))?;
    let description = plugin.description();
    let digest = &plugin.id().digest;
    let mut text = format!(
        "{} {} {}, {} bytes, sha256 {}\n  {}",
        plugin.kind(),
        description.name,
        description.version,
        plugin.size(),
        digest.get(..12).unwrap_or(digest),
        description.summary
    );
    for (grant, why) in &description.wants {
        text.push_str(&format!("\n  wants {}: {}", grant.escape_debug(), why.escape_debug()));
    }
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    if stem != Some(description.name.as_str()) {
        text.push_str(&format!("\n  in a plugin directory it must be called {}.wasm", description.name));
    }
    Ok(text)
}

fn policy(file: &Path, text: String, options: &CheckOptions, state: &StateDir) -> Result<String, Failure> {
    let source = Source::new(file.display().to_string(), text);
    let policy = read_policy(&source)?;
    let warnings = locate(&source, never_fires(&policy));
    library_of(
        PolicySource::Text(vec![source]),
        options.plugins.clone(),
        open_engine(state)?,
        Versions::look_at(&state.versions()),
    )?;
    let judges = &policy.judges;
    let warnings: String = warnings.lines().iter().map(|line| format!("\n  warning: {line}")).collect();
    let shadows = match judges.shadows.len() {
        0 => String::new(),
        shadows => format!(" and {shadows} shadows"),
    };
    Ok(format!(
        "policy {}: {} heuristics, {} deciders{shadows}, {} validators, {}{warnings}",
        policy.name,
        judges.heuristics.len(),
        judges.deciders().count(),
        judges.validators.iter().flat_map(ValidatorRule::uses).count(),
        policy.mutation_policy.name()
    ))
}

fn manifest(file: &Path, options: &CheckOptions, state: &StateDir) -> Result<String, Failure> {
    let library = open_library(&Judging { policy: None, plugins: options.plugins.clone() }, state)?;
    let manifest = open_manifest(file, &library)?;
    let mut text = format!(
        "manifest {}: {} nodes, {} connections",
        manifest.name,
        manifest.nodes.len(),
        manifest.connections.len()
    );
    if let Some(llm) = &manifest.controller.llm {
        text.push_str(&format!(
            "\n  it names the model {}; a manifest grants nothing: a policy does, by `grants.llm` of a decider such as \
             llm-decider",
            llm.model
        ));
    }
    Ok(text)
}
