use std::collections::BTreeSet;

use flyball_model::{Creatable, DEEPEST_RULE, Limits, Problem, ValidatorGroup, ValidatorRule};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::decider_check;
use crate::wording::quoted;

/// What decisions that no plugin made are attributed to.
const RESERVED: [&str; 2] = ["host", "operator"];

/// Of names with `*` in them.
pub(crate) const MOST_PATTERNS: usize = 256;
pub(crate) const LONGEST_PATTERN: usize = 256;

const KINDS: [&str; 4] = ["heuristics", "catalogs", "validators", "reversers"];

/// What a schema cannot say of a policy. Looks at the value and not at the type, so that a fault elsewhere hides
/// none of these.
pub(crate) fn problems(policy: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    name(policy, &mut problems);
    sessions(policy, &mut problems);
    protected(policy, &mut problems);
    for kind in KINDS {
        plugins(kind, policy, &mut problems);
    }
    let validators = policy.pointer("/judges/validators").and_then(Value::as_array);
    for (index, rule) in validators.into_iter().flatten().enumerate() {
        groups(&format!("/judges/validators/{index}"), rule, 0, &mut problems);
    }
    if let Some(judges) = policy.get("judges") {
        time_for_models("/judges", judges, &mut problems);
    }
    decider_check::problems(policy, &mut problems);
    may_create(policy, &mut problems);
    problems
}

/// What actions may create must be a closed set: an entry that allows any text would be a way out of the sandbox.
fn may_create(policy: &Value, problems: &mut Vec<Problem>) {
    let entries = policy.pointer("/safety/may_create").and_then(Value::as_array);
    for (index, entry) in entries.into_iter().flatten().enumerate() {
        // What is no entry at all is told by the schema of policies.
        let Ok(entry) = Creatable::deserialize(entry) else { continue };
        let at = format!("/safety/may_create/{index}");
        if entry.node_type.trim().is_empty() {
            let problem = Problem::new(format!("{at}/type"), "an entry names no node type");
            problems.push(problem.help("name one, as manifests do: `type: http-out`"));
        }
        problems.extend(entry.open().map(|problem| Problem { pointer: at + &problem.pointer, ..problem }));
    }
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

/// A pattern is held against each node of a session, again for each action.
fn protected(policy: &Value, problems: &mut Vec<Problem>) {
    let patterns = policy.get("protected_nodes").and_then(Value::as_array).into_iter().flatten();
    let mut stars = 0;
    for (index, pattern) in patterns.enumerate() {
        let Some(pattern) = pattern.as_str() else { continue };
        let at = || format!("/protected_nodes/{index}");
        if pattern.trim().is_empty() {
            problems
                .push(Problem::new(at(), "an empty name protects no node").help("name one, or leave it out"));
        }
        if !pattern.contains('*') {
            continue;
        }
        stars += 1;
        if pattern.len() > LONGEST_PATTERN {
            let message = format!("the pattern has {} bytes; {LONGEST_PATTERN} are the most", pattern.len());
            problems.push(Problem::new(at(), message).help("make it shorter"));
        }
        if stars > MOST_PATTERNS {
            let message = format!("there are more than {MOST_PATTERNS} patterns");
            problems.push(Problem::new(at(), message).help("write fewer, with more `*` in them"));
            return;
        }
    }
}

fn plugins(kind: &str, policy: &Value, problems: &mut Vec<Problem>) {
    let Some(uses) = policy.pointer(&format!("/judges/{kind}")).and_then(Value::as_array) else { return };
    let mut seen = BTreeSet::new();
    for (index, used) in uses.iter().enumerate() {
        let Some(plugin) = used.get("plugin").and_then(Value::as_str) else { continue };
        let pointer = format!("/judges/{kind}/{index}/plugin");
        if let Some(problem) = misnamed(&pointer, plugin) {
            problems.push(problem);
        } else if !seen.insert(plugin) {
            problems.push(
                Problem::new(pointer, format!("{} is named twice among the {kind}", quoted(plugin)))
                    .help("leave one of them out"),
            );
        }
    }
}

/// The usual time of a call is none for a model: whoever grants one says how long it may take, wherever it stands.
fn time_for_models(at: &str, value: &Value, problems: &mut Vec<Problem>) {
    match value {
        Value::Object(entries) => {
            if value.pointer("/grants/llm").is_some_and(Value::is_object)
                && value.pointer("/limits/time_ms").is_none()
            {
                let message = format!(
                    "a model may be asked, and the call ends after {} ms, as `limits.time_ms` is not given",
                    Limits::default().time_ms
                );
                problems.push(
                    Problem::new(format!("{at}/grants/llm"), message)
                        .help("write how long the call may take, for example `limits: { time_ms: 60000 }`"),
                );
            }
            // What stands in a plugin's settings is the plugin's.
            for (key, entry) in entries.iter().filter(|(key, _)| *key != "settings") {
                time_for_models(
                    &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                    entry,
                    problems,
                );
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                time_for_models(&format!("{at}/{index}"), item, problems);
            }
        }
        _ => {}
    }
}

/// Groups of validators: that each has one form, that it can allow at all, and the names of the plugins in it.
fn groups(at: &str, rule: &Value, depth: usize, problems: &mut Vec<Problem>) {
    if depth > DEEPEST_RULE {
        let message = format!("groups are nested deeper than {DEEPEST_RULE}");
        problems.push(Problem::new(at, message).help("make it flatter, or a validator of your own"));
        return;
    }
    if let Some(plugin) = rule.get("plugin") {
        if depth > 0 && plugin.as_str().is_some_and(|plugin| !is_plugin_name(plugin)) {
            problems.push(not_a_name(format!("{at}/plugin"), plugin.as_str().unwrap_or_default()));
        }
        return;
    }
    let Some(group) = rule.as_object() else { return };
    // What is wrong inside an entry is its own fault; here it counts only which keys the group has.
    let shape = ValidatorGroup {
        all_of: given(group, "all_of").map(placeholders),
        any_of: given(group, "any_of").map(placeholders),
        of: given(group, "of").map(placeholders),
        at_least: given(group, "at_least")
            .map(|least| least.as_u64().and_then(|least| usize::try_from(least).ok()).unwrap_or(1)),
        not: given(group, "not").map(|_| Box::default()),
        name: None,
    };
    if let Err(problem) = shape.form() {
        problems.push(Problem { pointer: format!("{at}{}", problem.pointer), ..problem });
    }
    for key in ["all_of", "any_of", "of"] {
        for (index, member) in group.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
            groups(&format!("{at}/{key}/{index}"), member, depth + 1, problems);
        }
    }
    if let Some(member) = group.get("not") {
        groups(&format!("{at}/not"), member, depth + 1, problems);
    }
}

/// What a key of a group says. A key without a value says nothing, as where it is read.
pub(crate) fn given<'a>(group: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    group.get(key).filter(|value| !value.is_null())
}

fn placeholders(members: &Value) -> Vec<ValidatorRule> {
    vec![ValidatorRule::default(); members.as_array().map_or(1, Vec::len)]
}

/// Why a plugin cannot be called that.
pub(crate) fn misnamed(pointer: &str, plugin: &str) -> Option<Problem> {
    if !is_plugin_name(plugin) {
        return Some(not_a_name(pointer.to_owned(), plugin));
    }
    RESERVED.contains(&plugin).then(|| {
        Problem::new(pointer, format!("{} is what Flyball itself is called", quoted(plugin)))
            .help("validators trust what is decided by that name; give the plugin another")
    })
}

fn not_a_name(pointer: String, plugin: &str) -> Problem {
    Problem::new(pointer, format!("{} is not a plugin's name", quoted(plugin)))
        .help("lower case letters, digits and dashes")
}

/// The name becomes a file's name, so nothing in it may leave the plugin directory.
fn is_plugin_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
