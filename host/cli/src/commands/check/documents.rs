//! A manifest, a policy or a golden case, each by itself.

use std::path::Path;

use flyball_documents::{
    DocumentText, is_manifest, is_policy, locate, policy_warnings, read_as, read_manifest, read_policy,
};
use flyball_engine::{PolicySource, Versions};
use flyball_model::{Case, HttpGrant, Manifest, Policy, Problem, ValidatorRule};
use serde_json::Value;

use super::told::{Checked, Told};
use super::{Bench, Found};
use crate::exit::Failure;
use flyball_host::{library_of, open_manifest, read_document};

pub(super) fn check(
    bench: &mut Bench,
    place: usize,
    file: &Path,
    found: &mut Found,
) -> Result<Checked, Failure> {
    let source = read_document(file)?;
    if is_policy(&source) {
        return policy(bench, place, file, source, found);
    }
    if file.extension().is_some_and(|extension| extension == "json") && !is_manifest(&source) {
        return case(file, &source);
    }
    if is_known_otherwise(file) && !is_manifest(&source) {
        let mut checked = Checked::good(file, "other", "not checked".to_owned());
        let message = "it belongs to a scenario; `flyball scenario` reads it".to_owned();
        checked.warnings.push(Told::of_file(file, "not-checked", message, None));
        return Ok(checked);
    }
    // What is neither is told what a manifest must have.
    manifest(bench, place, file, source, found)
}

/// What `flyball scenario` reads.
fn is_known_otherwise(file: &Path) -> bool {
    file.file_name()
        .is_some_and(|name| name == "scenario.yaml" || name == "world.yaml" || name == "faults.yaml")
}

fn policy(
    bench: &Bench,
    place: usize,
    file: &Path,
    source: DocumentText,
    found: &mut Found,
) -> Result<Checked, Failure> {
    let policy = read_policy(&source)?;
    library_of(
        PolicySource::Text(vec![source.clone()]),
        bench.plugins.clone(),
        bench.engine.clone(),
        Versions::look_at(&bench.state.versions()),
    )?;
    let mut problems = policy_warnings(&policy);
    problems.extend(unreachable_origins(&policy));
    let mut checked = Checked::good(file, "policy", policy_summary(&policy));
    checked.warnings = Told::of_faults(&locate(&source, problems));
    found.policies.push((place, source, policy));
    Ok(checked)
}

fn policy_summary(policy: &Policy) -> String {
    let judges = &policy.judges;
    let shadows = match judges.shadows.len() {
        0 => String::new(),
        shadows => format!(" and {shadows} shadows"),
    };
    format!(
        "policy {}: {} heuristics, {} deciders{shadows}, {} validators, {}",
        policy.name,
        judges.heuristics.len(),
        judges.deciders().count(),
        judges.validators.iter().flat_map(ValidatorRule::uses).count(),
        policy.mutation_policy.name()
    )
}

/// Origins that are granted and that the host will not reach, wherever in a policy they are granted.
fn unreachable_origins(policy: &Policy) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Ok(value) = serde_json::to_value(policy) {
        in_grants("", &value, &mut problems);
    }
    problems
}

fn in_grants(at: &str, value: &Value, problems: &mut Vec<Problem>) {
    match value {
        Value::Object(entries) => {
            let grant = value.pointer("/grants/http").cloned();
            if let Some(grant) = grant.and_then(|grant| serde_json::from_value::<HttpGrant>(grant).ok()) {
                let inside = flyball_outbound::unreachable_origins(&grant).into_iter();
                problems.extend(inside.map(|problem| Problem {
                    pointer: format!("{at}/grants/http{}", problem.pointer),
                    ..problem
                }));
            }
            // What stands in a plugin's settings is the plugin's.
            for (key, entry) in entries.iter().filter(|(key, _)| *key != "settings") {
                in_grants(&format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), entry, problems);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                in_grants(&format!("{at}/{index}"), item, problems);
            }
        }
        _ => {}
    }
}

fn manifest(
    bench: &mut Bench,
    place: usize,
    file: &Path,
    source: DocumentText,
    found: &mut Found,
) -> Result<Checked, Failure> {
    // What is wrong with the document itself is told without loading a plugin.
    read_manifest(&source)?;
    let library = bench.library()?;
    let manifest = open_manifest(file, &library)?;
    let mut checked = Checked::good(file, "manifest", manifest_summary(&manifest));
    if let Some(llm) = &manifest.controller.llm {
        checked.notes.push(format!(
            "it names the model {}; a manifest grants nothing: a policy does, by `grants.llm` of a decider such as \
             llm-decider",
            crate::narrator::tame(&llm.model)
        ));
    }
    found.manifests.push((place, source, manifest));
    Ok(checked)
}

fn manifest_summary(manifest: &Manifest) -> String {
    format!(
        "manifest {}: {} nodes, {} connections",
        manifest.name,
        manifest.nodes.len(),
        manifest.connections.len()
    )
}

fn case(file: &Path, source: &DocumentText) -> Result<Checked, Failure> {
    let case: Case = read_as(source, "Flyball golden case")?;
    Ok(Checked::good(file, "case", format!("golden case: {}", crate::narrator::tame(&case.about))))
}
