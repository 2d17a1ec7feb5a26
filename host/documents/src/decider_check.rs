use std::collections::{BTreeMap, BTreeSet};

use flyball_model::{DEEPEST_RULE, DeciderBranch, DeciderGroup, DeciderRule, Problem};
use serde_json::Value;

use crate::policy_check::{given, misnamed};
use crate::wording::quoted;

/// What a schema cannot say of deciders and their shadows.
pub(crate) fn problems(policy: &Value, problems: &mut Vec<Problem>) {
    let mut deciders = Deciders { problems, called: BTreeMap::new() };
    if let Some(rules) = policy.pointer("/judges/deciders").and_then(Value::as_array) {
        deciders.list("/judges/deciders", rules, 0);
    }
    let followed: BTreeSet<String> = deciders.called.keys().cloned().collect();
    if let Some(shadows) = policy.pointer("/judges/shadows").and_then(Value::as_array) {
        deciders.shadows(shadows, &followed);
    }
}

struct Deciders<'a> {
    problems: &'a mut Vec<Problem>,
    /// Which plugin each name stands for.
    called: BTreeMap<String, String>,
}

impl Deciders<'_> {
    /// One list of entries: in it each name stands once.
    fn list(&mut self, at: &str, rules: &[Value], depth: usize) {
        let mut seen = BTreeSet::new();
        for (index, rule) in rules.iter().enumerate() {
            let at = format!("{at}/{index}");
            match rule.get("plugin") {
                Some(_) => self.one(&at, rule, &mut seen),
                None => self.group(&at, rule, depth),
            }
        }
    }

    fn one(&mut self, at: &str, used: &Value, seen: &mut BTreeSet<String>) {
        let Some((pointer, name)) = self.name(at, used) else { return };
        if !seen.insert(name.clone()) {
            self.problems.push(
                Problem::new(pointer, format!("{} is named twice among the deciders", quoted(&name)))
                    .help("leave one of them out, or give one a `name` of its own"),
            );
        }
    }

    /// What an entry is called, and where that is said. None: something is wrong with it, and noted.
    fn name(&mut self, at: &str, used: &Value) -> Option<(String, String)> {
        let plugin = used.get("plugin").and_then(Value::as_str)?;
        let given = used.get("name").and_then(Value::as_str);
        let called = given.unwrap_or(plugin);
        let plugins = format!("{at}/plugin");
        let pointer = if given.is_some() { format!("{at}/name") } else { plugins.clone() };
        let wrong = misnamed(&plugins, plugin).or_else(|| misnamed(&pointer, called));
        if let Some(wrong) = wrong {
            self.problems.push(wrong);
            return None;
        }
        match self.called.get(called) {
            Some(other) if other != plugin => {
                let message =
                    format!("{} is what a use of {} is called already", quoted(called), quoted(other));
                self.problems.push(Problem::new(pointer, message).help("give one of them another `name`"));
                None
            }
            _ => {
                self.called.insert(called.to_owned(), plugin.to_owned());
                Some((pointer, called.to_owned()))
            }
        }
    }

    fn group(&mut self, at: &str, rule: &Value, depth: usize) {
        let Some(group) = rule.as_object() else { return };
        if depth >= DEEPEST_RULE {
            let message = format!("groups are nested deeper than {DEEPEST_RULE}");
            self.problems.push(Problem::new(at, message).help("make it flatter"));
            return;
        }
        // What is wrong inside an entry is its own fault; here it counts only which keys the group has.
        let many = |members: &Value| members.as_array().map_or(1, Vec::len);
        let shape = DeciderGroup {
            route: given(group, "route").map(|ways| vec![DeciderBranch::default(); many(ways)]),
            at_least: given(group, "at_least")
                .map(|least| least.as_u64().and_then(|least| usize::try_from(least).ok()).unwrap_or(1)),
            of: given(group, "of").map(|members| vec![DeciderRule::default(); many(members)]),
            ..DeciderGroup::default()
        };
        if let Err(problem) = shape.form() {
            self.problems.push(Problem { pointer: format!("{at}{}", problem.pointer), ..problem });
        }
        if let Some(members) = group.get("of").and_then(Value::as_array) {
            self.list(&format!("{at}/of"), members, depth + 1);
        }
        for (index, way) in group.get("route").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let Some(asked) = way.get("ask").and_then(Value::as_array) else { continue };
            let at = format!("{at}/route/{index}/ask");
            if asked.is_empty() {
                self.problems.push(Problem::new(at, "this way of the route asks nobody").help(
                    "name a decider, or leave the way out: what no way is for is asked of the next entry",
                ));
                continue;
            }
            self.list(&at, asked, depth + 1);
        }
    }

    fn shadows(&mut self, shadows: &[Value], followed: &BTreeSet<String>) {
        let mut seen = BTreeSet::new();
        for (index, shadow) in shadows.iter().enumerate() {
            let Some((pointer, name)) = self.name(&format!("/judges/shadows/{index}"), shadow) else {
                continue;
            };
            let wrong = if followed.contains(&name) {
                format!("{} is a decider already, and would not be told apart", quoted(&name))
            } else if !seen.insert(name.clone()) {
                format!("{} is named twice among the shadows", quoted(&name))
            } else {
                continue;
            };
            self.problems.push(Problem::new(pointer, wrong).help("give it a `name` of its own"));
        }
    }
}
