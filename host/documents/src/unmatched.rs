//! Names in a policy's guards that guard nothing of a session: a guard that is misspelt looks like one that holds.
//!
//! A policy may judge many sessions, so this is no fault of the policy; `flyball check` with a manifest beside it and a host
//! that starts a session tell it.

use std::collections::BTreeSet;

use flyball_model::{Policy, Problem, matches};
use serde_json::Value;

use crate::policy_check::{LONGEST_PATTERN, MOST_PATTERNS};
use crate::suggestion::meant;

/// For more guards than this nobody is told which node was probably meant.
const MOST_SEARCHES: usize = 20;

/// The first-party validator that protects nodes by its setting `nodes`.
const VALIDATOR: &str = "protected-nodes";

/// The names and patterns of nodes that fit none of these nodes, each at its place in the policy.
pub fn unmatched_nodes<'a>(policy: &Policy, nodes: impl IntoIterator<Item = &'a str>) -> Vec<Problem> {
    let nodes: BTreeSet<&str> = nodes.into_iter().collect();
    let mut guards = Vec::new();
    for (index, pattern) in policy.protected_nodes.iter().enumerate() {
        guards.push((format!("/protected_nodes/{index}"), pattern.clone()));
    }
    if let Ok(validators) = serde_json::to_value(&policy.judges.validators) {
        settings("/judges/validators", &validators, &mut guards);
    }
    let mut patterns = 0;
    let mut guards_nothing = |pattern: &str| {
        if !pattern.contains('*') {
            return !nodes.contains(pattern);
        }
        patterns += 1;
        patterns <= MOST_PATTERNS
            && pattern.len() <= LONGEST_PATTERN
            && !nodes.iter().any(|node| matches(pattern, node))
    };
    guards.retain(|(_, pattern)| guards_nothing(pattern));
    let told = guards.into_iter().enumerate();
    told.map(|(index, (pointer, pattern))| {
        let problem = Problem::new(pointer, format!("{pattern:?} protects nothing: no node is called so"));
        let searched = nodes.iter().copied().filter(|_| index < MOST_SEARCHES && !pattern.contains('*'));
        let help = match meant(&pattern, searched) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "correct the name, or leave it if another session has such a node".to_owned(),
        };
        problem.help(help).code("no-such-node")
    })
    .collect()
}

/// The validator stands in the list or in a group.
fn settings(at: &str, value: &Value, guards: &mut Vec<(String, String)>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                settings(&format!("{at}/{index}"), item, guards);
            }
        }
        Value::Object(entries) if entries.get("plugin").and_then(Value::as_str) == Some(VALIDATOR) => {
            let nodes = value.pointer("/settings/nodes").and_then(Value::as_array).into_iter().flatten();
            for (index, node) in nodes.enumerate() {
                guards.extend(
                    node.as_str().map(|node| (format!("{at}/settings/nodes/{index}"), node.to_owned())),
                );
            }
        }
        Value::Object(entries) => {
            for (key, entry) in entries {
                settings(&format!("{at}/{key}"), entry, guards);
            }
        }
        _ => {}
    }
}
