//! From what should serve to what can: whatever does not fit goes back to its last good version, one by one, until the
//! rest fits together.

use std::collections::BTreeMap;
use std::sync::Arc;

use flyball_documents::{locate, policy_for};
use flyball_model::Problem;

use super::bind::{Candidate, Unbound, bind};
use super::generation::{Bound, Generation, Serving};
use super::report::{Subject, Trouble};
use crate::LoadError;
use crate::stage::{Stage, Stopwatch};

/// What should serve, and what is known to be wrong with it.
pub(super) struct Wanted {
    pub(super) plugins: BTreeMap<String, Serving>,
    pub(super) policies: BTreeMap<String, Candidate>,
    /// Plugins of which no version serves.
    pub(super) unloadable: BTreeMap<String, LoadError>,
}

/// What fits together, and what had to go back. `sessions` are those that must not be left between two policies.
pub(super) fn resolve(
    mut wanted: Wanted,
    running: &Generation,
    sessions: &[String],
    troubles: &mut BTreeMap<Subject, Trouble>,
    watch: &mut Stopwatch,
) -> Generation {
    let desired = wanted.policies.clone();
    let bound = loop {
        let (bound, failed) = bind_all(&wanted, running, sessions, watch);
        if failed.is_empty() {
            break bound;
        }
        for (file, unbound) in failed {
            go_back(&mut wanted, running, &file, &unbound, troubles);
        }
    };
    let mut next =
        Generation { number: running.number + 1, plugins: wanted.plugins.clone(), policies: bound };
    // A policy that went back on account of a plugin that then went back too may fit after all.
    for (file, candidate) in desired {
        if next.policies.get(&file).is_some_and(|bound| bound.digest == candidate.digest) {
            continue;
        }
        let before = wanted.policies.insert(file.clone(), candidate);
        let (bound, failed) = bind_all(&wanted, running, sessions, watch);
        if failed.is_empty() {
            next.policies = bound;
            troubles.remove(&Subject::Policy(file));
        } else if let Some(before) = before {
            wanted.policies.insert(file, before);
        } else {
            wanted.policies.remove(&file);
        }
    }
    next
}

type Failed = BTreeMap<String, Unbound>;

fn bind_all(
    wanted: &Wanted,
    running: &Generation,
    sessions: &[String],
    watch: &mut Stopwatch,
) -> (BTreeMap<String, Arc<Bound>>, Failed) {
    let (mut bound, mut failed) = (BTreeMap::new(), Failed::new());
    for (file, candidate) in &wanted.policies {
        if let Some(same) = unchanged(running, file, candidate, &wanted.plugins) {
            bound.insert(file.clone(), same);
            continue;
        }
        match bind(candidate, &wanted.plugins, &wanted.unloadable, running.number + 1, watch) {
            Ok(new) => drop(bound.insert(file.clone(), Arc::new(new))),
            Err(unbound) => drop(failed.insert(file.clone(), unbound)),
        }
    }
    watch.at(Stage::Swap);
    if failed.is_empty() {
        failed = disagreeing(wanted, running, sessions);
    }
    (bound, failed)
}

fn unchanged(
    running: &Generation,
    file: &str,
    candidate: &Candidate,
    plugins: &BTreeMap<String, Serving>,
) -> Option<Arc<Bound>> {
    let bound = running.policies.get(file).filter(|bound| bound.digest == candidate.digest)?;
    let same = bound.judges().all(|judge| {
        let id = judge.plugin().id();
        plugins.get(&*id.name).is_some_and(|serving| *serving.digest() == id.digest)
    });
    same.then(|| Arc::clone(bound))
}

/// Policies that are good each and cannot be together.
fn disagreeing(wanted: &Wanted, running: &Generation, sessions: &[String]) -> Failed {
    let mut failed = Failed::new();
    let changed = |file: &str, candidate: &Candidate| {
        running.policies.get(file).is_none_or(|bound| bound.digest != candidate.digest)
    };
    let mut blame = |name: &str, pointer: &str, message: String| {
        // The one that came last is to blame.
        let named = || wanted.policies.iter().filter(|(_, candidate)| candidate.policy.name == name);
        let found =
            named().rfind(|(file, candidate)| changed(file, candidate)).or_else(|| named().next_back());
        if let Some((file, candidate)) = found {
            let faults = locate(&candidate.source, vec![Problem::new(pointer, message)]);
            failed.insert(file.clone(), Unbound { stage: Stage::Swap, faults });
        }
    };
    let mut names: Vec<&str> =
        wanted.policies.values().map(|candidate| candidate.policy.name.as_str()).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        if let [first, second] = pair
            && first == second
        {
            blame(first, "/name", format!("another policy is called {first:?} too; give each its own name"));
        }
    }
    for session in sessions {
        if let Err(tie) = policy_for(wanted.policies.values().map(|candidate| &candidate.policy), session) {
            let newer = |name: &str| {
                wanted.policies.iter().any(|(file, one)| one.policy.name == name && changed(file, one))
            };
            let name = if newer(&tie.second) { &tie.second } else { &tie.first };
            blame(name, "/sessions", tie.to_string());
        }
    }
    failed
}

/// The policy goes back if it changed, else the plugins that it uses and that changed.
fn go_back(
    wanted: &mut Wanted,
    running: &Generation,
    file: &str,
    unbound: &Unbound,
    troubles: &mut BTreeMap<Subject, Trouble>,
) {
    let Some(candidate) = wanted.policies.get(file) else { return };
    let Unbound { stage, faults } = unbound;
    let last_good = running.policies.get(file);
    if let Some(bound) = last_good.filter(|bound| bound.digest == candidate.digest) {
        let mut reverted = false;
        for (name, before) in running.plugins.iter().filter(|(name, _)| bound.uses(name)) {
            let now = wanted.plugins.get(name).map(|serving| Arc::clone(serving.digest()));
            if now.as_ref() == Some(before.digest()) {
                continue;
            }
            reverted = true;
            let error = format!("it does not fit the policy that uses it: {faults}");
            note(troubles, Subject::Plugin(name.clone()), now, *stage, error);
            wanted.plugins.insert(name.clone(), before.clone());
        }
        if reverted {
            return;
        }
    }
    let desired = Some(Arc::clone(&candidate.digest));
    note(troubles, Subject::Policy(file.to_owned()), desired, *stage, faults.to_string());
    match last_good.filter(|bound| bound.digest != candidate.digest) {
        Some(bound) => {
            let before = Candidate {
                source: bound.source.clone(),
                digest: Arc::clone(&bound.digest),
                policy: bound.policy.clone(),
            };
            wanted.policies.insert(file.to_owned(), before);
        }
        None => drop(wanted.policies.remove(file)),
    }
}

pub(super) fn note(
    troubles: &mut BTreeMap<Subject, Trouble>,
    subject: Subject,
    desired: Option<Arc<str>>,
    stage: Stage,
    error: String,
) {
    troubles.insert(subject.clone(), Trouble { subject, desired, stage, error });
}
