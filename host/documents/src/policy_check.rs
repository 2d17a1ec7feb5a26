use std::collections::BTreeSet;

use flyball_model::Problem;
use serde_json::Value;

use crate::wording::quoted;

const KINDS: [&str; 5] = ["heuristics", "catalogs", "deciders", "validators", "reversers"];

/// What a schema cannot say of a policy. Looks at the value and not at the type, so that a fault elsewhere hides
/// none of these.
pub(crate) fn problems(policy: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    name(policy, &mut problems);
    sessions(policy, &mut problems);
    for kind in KINDS {
        plugins(kind, policy, &mut problems);
    }
    problems
}

fn name(policy: &Value, problems: &mut Vec<Problem>) {
    if policy.get("name").and_then(Value::as_str).is_some_and(|name| name.trim().is_empty()) {
        problems.push(Problem::new("/name", "the name is empty").help("reports call the policy by it"));
    }
}

fn sessions(policy: &Value, problems: &mut Vec<Problem>) {
    let Some(patterns) = policy.get("sessions").and_then(Value::as_array) else { return };
    if patterns.is_empty() {
        problems.push(
            Problem::new("/sessions", "no session is named, so the policy judges none")
                .help("name one, or write \"*\" for all"),
        );
    }
    for (index, pattern) in patterns.iter().enumerate() {
        if pattern.as_str().is_some_and(|pattern| pattern.trim().is_empty()) {
            problems.push(
                Problem::new(format!("/sessions/{index}"), "an empty pattern matches no session")
                    .help("name one, or write \"*\" for all"),
            );
        }
    }
}

fn plugins(kind: &str, policy: &Value, problems: &mut Vec<Problem>) {
    let Some(uses) = policy.pointer(&format!("/judges/{kind}")).and_then(Value::as_array) else { return };
    let mut seen = BTreeSet::new();
    for (index, used) in uses.iter().enumerate() {
        let Some(plugin) = used.get("plugin").and_then(Value::as_str) else { continue };
        let pointer = format!("/judges/{kind}/{index}/plugin");
        if !is_plugin_name(plugin) {
            problems.push(
                Problem::new(pointer, format!("{} is not a plugin's name", quoted(plugin)))
                    .help("lower case letters, digits and dashes"),
            );
        } else if !seen.insert(plugin) {
            problems.push(
                Problem::new(pointer, format!("{} is named twice among the {kind}", quoted(plugin)))
                    .help("leave one of them out"),
            );
        }
    }
}

/// The name becomes a file's name, so nothing in it may leave the plugin directory.
fn is_plugin_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
