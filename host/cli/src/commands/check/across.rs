//! What only shows when manifests, policies and plugins are held against each other: a session that no policy judges or
//! that two claim, a protected node that there is not, a plugin that nobody uses.

use std::collections::BTreeSet;

use flyball_documents::{locate, policy_for, unmatched_nodes};
use flyball_engine::Library;
use flyball_model::{Manifest, PluginKind, Policy, Problem};

use super::Found;
use super::told::{Checked, Told};

pub(super) fn hold(found: &Found, library: Option<&Library>, checked: &mut [Checked]) {
    if found.policies.is_empty() {
        return;
    }
    sessions(found, checked);
    protected(found, checked);
    plugins(found, library, checked);
}

/// Each manifest's session is judged by one of the policies.
fn sessions(found: &Found, checked: &mut [Checked]) {
    let policies: Vec<&Policy> = found.policies.iter().map(|(.., policy)| policy).collect();
    for (place, source, manifest) in &found.manifests {
        let Some(checked) = checked.get_mut(*place) else { continue };
        match policy_for(policies.iter().copied(), &manifest.name) {
            Ok(Some(policy)) => checked.notes.push(format!("judged by the policy {}", policy.name)),
            Ok(None) => {
                let problem = flyball_host::nobody_judges(&manifest.name, &policies);
                let problem = Problem { pointer: "/name".to_owned(), ..problem };
                checked.warnings.extend(Told::of_faults(&locate(source, vec![problem])));
            }
            Err(tie) => {
                let problem = Problem::new("/name", tie.to_string()).code("two-policies");
                checked.faults.extend(Told::of_faults(&locate(source, vec![problem])));
            }
        }
    }
    for (index, (place, source, policy)) in found.policies.iter().enumerate() {
        let before = found.policies.iter().take(index).find(|(.., other)| other.name == policy.name);
        if let (Some((_, other, _)), Some(checked)) = (before, checked.get_mut(*place)) {
            let message = format!("the policy in {} is called {:?} too", other.name, policy.name);
            let problem = Problem::new("/name", message).help("give each its own name").code("double-name");
            checked.faults.extend(Told::of_faults(&locate(source, vec![problem])));
        }
    }
}

/// A misspelt guard guards nothing: each name or pattern matches a node of a session that the policy judges.
fn protected(found: &Found, checked: &mut [Checked]) {
    let policies: Vec<&Policy> = found.policies.iter().map(|(.., policy)| policy).collect();
    for (place, source, policy) in &found.policies {
        let judges = |manifest: &&Manifest| {
            let chosen = policy_for(policies.iter().copied(), &manifest.name).ok().flatten();
            chosen.is_some_and(|chosen| std::ptr::eq(chosen, policy))
        };
        let manifests: Vec<&Manifest> =
            found.manifests.iter().map(|(.., manifest)| manifest).filter(judges).collect();
        if manifests.is_empty() {
            continue;
        }
        let nodes = manifests.iter().flat_map(|manifest| &manifest.nodes).map(|node| node.id.as_str());
        let problems = unmatched_nodes(policy, nodes);
        if let Some(checked) = checked.get_mut(*place)
            && !problems.is_empty()
        {
            checked.warnings.extend(Told::of_faults(&locate(source, problems)));
        }
    }
}

/// A plugin that was checked beside policies is used by one of them, or by a manifest.
fn plugins(found: &Found, library: Option<&Library>, checked: &mut [Checked]) {
    let judging = found.policies.iter().flat_map(|(.., policy)| policy.judges.all());
    let mut used: BTreeSet<&str> = judging.map(|used| used.plugin.as_str()).collect();
    used.extend(found.manifests.iter().flat_map(|(.., one)| &one.nodes).map(|node| node.node_type.as_str()));
    for (place, name) in found.plugins.iter().filter(|(_, name)| !used.contains(name.as_str())) {
        let is_node = library.and_then(|library| library.plugin_kind(name)) == Some(PluginKind::Node);
        if is_node && found.manifests.is_empty() {
            continue;
        }
        if let Some(checked) = checked.get_mut(*place) {
            let message = format!("no policy and no manifest that was checked uses the plugin {name}");
            let help =
                if is_node { "name it as the `type` of a node" } else { "name it in a policy's `judges`" };
            checked.warnings.push(Told::unused(checked.file(), message, help));
        }
    }
}
