//! What a node type's configuration schema says beyond the form of a value: which places decide where a node reaches,
//! and which hold secrets.
//!
//! Two annotations count, wherever a schema has them:
//!
//! | annotation | says |
//! |---|---|
//! | `x-decides-reach: true` | what stands here decides which process is started, which file is opened or which address is reached |
//! | `writeOnly: true` | what stands here is secret (JSON Schema's own annotation: a value that is written and never read back) |
//!
//! An annotation on an object or a list holds for everything in it. Where several schemas apply to one place (`allOf`,
//! `anyOf`, `if`, `$ref`), what any of them says counts: a mark may be too wide, never too narrow. A schema may come
//! from a plugin, so the work is bounded: at each place each part of the schema is looked at once.

use std::collections::BTreeSet;

use serde_json::Value;

/// The annotation of a place that decides where a node reaches.
pub const DECIDES_REACH: &str = "x-decides-reach";
/// The annotation of a place that holds a secret.
pub const SECRET: &str = "writeOnly";

/// Keywords whose schemas apply to the same place.
const ONE: [&str; 4] = ["if", "then", "else", "not"];
const MANY: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// What a schema says of one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// What stands there decides where the node reaches.
    pub reach: bool,
    /// What stands there is secret.
    pub secret: bool,
    /// The schema does not speak of this place.
    pub unknown: bool,
}

/// Everything that a schema says of one place, and of the places in it.
#[derive(Debug, Clone)]
pub(crate) struct Place<'a> {
    root: &'a Value,
    schemas: Vec<&'a Value>,
    pub(crate) mark: Mark,
}

impl<'a> Place<'a> {
    /// The whole configuration; no schema speaks of nothing.
    pub(crate) fn whole(schema: Option<&'a Value>) -> Self {
        static NONE: Value = Value::Null;
        Self::of(schema.unwrap_or(&NONE), schema.into_iter().collect(), Mark::default())
    }

    fn of(root: &'a Value, direct: Vec<&'a Value>, around: Mark) -> Self {
        let mut schemas = Vec::new();
        let mut seen = BTreeSet::new();
        let mut open = direct;
        while let Some(schema) = open.pop() {
            if !seen.insert(std::ptr::from_ref(schema).addr()) {
                continue;
            }
            schemas.push(schema);
            open.extend(schema.get("$ref").and_then(Value::as_str).and_then(|at| referred(root, at)));
            open.extend(ONE.iter().filter_map(|keyword| schema.get(*keyword)));
            for keyword in MANY {
                open.extend(schema.get(keyword).and_then(Value::as_array).into_iter().flatten());
            }
            open.extend(
                schema
                    .get("dependentSchemas")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flat_map(|of| of.values()),
            );
        }
        let says = |name: &str| schemas.iter().any(|schema| schema.get(name) == Some(&Value::Bool(true)));
        let mark = Mark {
            reach: around.reach || says(DECIDES_REACH),
            secret: around.secret || says(SECRET),
            unknown: schemas.is_empty() && !around.reach && !around.secret,
        };
        Self { root, schemas, mark }
    }

    /// What stands under this key.
    pub(crate) fn key(&self, key: &str) -> Self {
        let mut direct = Vec::new();
        for schema in &self.schemas {
            let own = schema.get("properties").and_then(|properties| properties.get(key));
            direct.extend(own);
            let patterns = schema.get("patternProperties").and_then(Value::as_object);
            direct.extend(patterns.into_iter().flat_map(|patterns| patterns.values()));
            if own.is_none() {
                let others = ["additionalProperties", "unevaluatedProperties"];
                direct.extend(
                    others
                        .iter()
                        .filter_map(|others| schema.get(*others))
                        .filter(|of| **of != Value::Bool(false)),
                );
            }
        }
        Self::of(self.root, direct, self.mark)
    }

    /// What stands at this number of a list.
    pub(crate) fn item(&self, index: usize) -> Self {
        let mut direct = Vec::new();
        for schema in &self.schemas {
            let first = schema.get("prefixItems").and_then(|first| first.get(index));
            direct.extend(first);
            if first.is_none() {
                let others = ["items", "unevaluatedItems", "contains"];
                direct.extend(
                    others
                        .iter()
                        .filter_map(|others| schema.get(*others))
                        .filter(|of| **of != Value::Bool(false)),
                );
            }
        }
        Self::of(self.root, direct, self.mark)
    }
}

/// References within the schema only: nothing is fetched.
fn referred<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

/// The places of a configuration, each with what the schema says of it; containers too.
pub fn marks(schema: Option<&Value>, config: &Value) -> Vec<(String, Mark)> {
    let mut found = Vec::new();
    walk(&Place::whole(schema), "", config, &mut |pointer, mark, _| found.push((pointer.to_owned(), mark)));
    found
}

pub(crate) fn walk<'v>(
    place: &Place<'_>,
    pointer: &str,
    value: &'v Value,
    visit: &mut impl FnMut(&str, Mark, &'v Value),
) {
    visit(pointer, place.mark, value);
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                walk(&place.key(key), &step(pointer, key), value, visit);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                walk(&place.item(index), &format!("{pointer}/{index}"), value, visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// One step further in a JSON Pointer.
pub(crate) fn step(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn marked(schema: &Value, config: &Value, of: fn(Mark) -> bool) -> Vec<String> {
        marks(Some(schema), config).into_iter().filter(|(_, mark)| of(*mark)).map(|(at, _)| at).collect()
    }

    #[test]
    fn a_mark_holds_for_everything_in_it_and_is_found_behind_references_and_branches() {
        let schema = json!({
            "properties": {
                "env": { "$ref": "#/$defs/secret" },
                "to": { "anyOf": [{ "type": "null" }, { "x-decides-reach": true }] },
                "args": { "prefixItems": [{}], "items": { "writeOnly": true } },
            },
            "$defs": { "secret": { "writeOnly": true, "type": "object" } },
        });
        let config = json!({ "env": { "A": ["b"] }, "to": { "url": "x" }, "args": ["p", "q"], "free": 1 });
        let secret = marked(&schema, &config, |mark| mark.secret);
        assert_eq!(secret, ["/args/1", "/env", "/env/A", "/env/A/0"]);
        assert_eq!(marked(&schema, &config, |mark| mark.reach), ["/to", "/to/url"]);
        assert_eq!(marked(&schema, &config, |mark| mark.unknown), ["/free"]);
    }

    #[test]
    fn a_schema_that_refers_to_itself_comes_to_an_end() {
        let mut twice = serde_json::Map::new();
        for at in 0..60 {
            let next = json!({ "$ref": format!("#/$defs/{}", (at + 1) % 60) });
            twice.insert(at.to_string(), json!({ "allOf": [next, next] }));
        }
        let schema = json!({ "$ref": "#/$defs/0", "$defs": twice, "properties": { "a": { "$ref": "#" } } });
        let config = json!({ "a": { "a": { "a": 1 } } });
        assert_eq!(marks(Some(&schema), &config).len(), 4);
    }
}
