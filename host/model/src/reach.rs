//! Where nodes reach, and which of those that reach outside a policy lets actions make.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::marks::{Place, step, walk};
use crate::{Problem, SecretNames, merge};

/// Whether nodes of a type touch anything outside of their pipeline. The data plane says so of its own types; what it
/// says nothing of reaches outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// They work on items and on nothing else.
    Pure,
    /// They start processes, open files or sockets, or may do so.
    #[default]
    Outside,
}

/// A type of node that reaches outside and that actions may make, with the configurations that it may have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Creatable {
    /// The type, as manifests name it.
    #[serde(rename = "type")]
    pub node_type: String,
    /// The exact configuration that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Map<String, Value>>,
    /// JSON Schema of the configurations that are allowed. It must be closed: it allows no other properties, and it lists each
    /// text that it allows (`const` or `enum`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Map<String, Value>>,
}

/// Keywords of a closed schema; what others mean for which texts are allowed is not looked into.
const CLOSED: [&str; 21] = [
    "$schema",
    "title",
    "description",
    "type",
    "const",
    "enum",
    "properties",
    "required",
    "additionalProperties",
    "prefixItems",
    "items",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "default",
];

impl Creatable {
    /// Why it names no closed set of configurations, if it does not: pointers are relative to the entry.
    pub fn open(&self) -> Option<Problem> {
        let problem = match (&self.config, &self.schema) {
            (Some(_), None) => return None,
            (None, Some(schema)) => return open("/schema", &Value::Object(schema.clone())),
            (None, None) => {
                Problem::new("", "an entry names one configuration or a schema of them; this has neither")
            }
            (Some(_), Some(_)) => {
                Problem::new("", "an entry names one configuration or a schema of them; this has both")
            }
        };
        Some(problem.help(
            "write `config: {…}` for one node, or `schema: {…}` that lists what may stand in each text",
        ))
    }
}

/// The first place at which a schema allows what it does not list.
fn open(at: &str, schema: &Value) -> Option<Problem> {
    let Some(keywords) = schema.as_object() else {
        return match schema {
            Value::Bool(false) => None,
            _ => Some(
                Problem::new(at, "the schema is open: it allows anything here")
                    .help("list what may stand here: `const` or `enum`"),
            ),
        };
    };
    if let Some(other) = keywords.keys().find(|keyword| !CLOSED.contains(&keyword.as_str())) {
        let problem =
            Problem::new(step(at, other), format!("a closed schema cannot have the keyword \"{other}\""));
        return Some(problem.help("list what may stand here: `const` or `enum`"));
    }
    if keywords.contains_key("const") || keywords.contains_key("enum") {
        return None;
    }
    match keywords.get("type").and_then(Value::as_str) {
        Some("boolean" | "number" | "integer" | "null") => None,
        Some("object") => open_object(at, keywords),
        Some("array") => open_list(at, keywords),
        _ => {
            let problem = Problem::new(at, "the schema is open: any text may stand here");
            Some(problem.help("list what may: `const` or `enum`"))
        }
    }
}

fn open_object(at: &str, keywords: &Map<String, Value>) -> Option<Problem> {
    if keywords.get("additionalProperties") != Some(&Value::Bool(false)) {
        let problem = Problem::new(at, "the schema is open: it allows properties that it does not name");
        return Some(problem.help("write `additionalProperties: false`"));
    }
    let properties = keywords.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties.into_iter().find_map(|(name, schema)| open(&step(&format!("{at}/properties"), name), schema))
}

fn open_list(at: &str, keywords: &Map<String, Value>) -> Option<Problem> {
    if keywords.get("items") != Some(&Value::Bool(false)) {
        let problem = Problem::new(at, "the schema is open: the list may hold more than it names");
        return Some(problem.help("write the whole list as `const`, or `prefixItems` and `items: false`"));
    }
    let first = keywords.get("prefixItems").and_then(Value::as_array).into_iter().flatten();
    first.enumerate().find_map(|(index, schema)| open(&format!("{at}/prefixItems/{index}"), schema))
}

/// Where a JSON merge patch touches what no patch may: what decides where a node of this schema reaches, and secrets. A
/// type that reaches outside is not patched where its schema does not speak. None: nowhere.
pub fn touched(
    schema: Option<&Value>,
    reach: Reach,
    config: &Value,
    patch: &Value,
    names: &SecretNames,
) -> Option<String> {
    let guarded = |value: &Value| {
        let mut found: Vec<(String, Value)> = Vec::new();
        walk(&Place::whole(schema), "", value, &mut |pointer, mark, value| {
            let name = pointer.rsplit('/').next().unwrap_or_default();
            let unknown = mark.unknown && reach == Reach::Outside && !pointer.is_empty();
            if mark.reach || mark.secret || unknown || names.hides(name) {
                found.push((pointer.to_owned(), value.clone()));
            }
        });
        found
    };
    if let Some((pointer, _)) = guarded(patch).into_iter().next() {
        return Some(pointer);
    }
    let mut patched = config.clone();
    merge(&mut patched, patch);
    let (before, after) = (guarded(config), guarded(&patched));
    let differs = |one: &[(String, Value)], other: &[(String, Value)]| {
        one.iter().find(|guarded| !other.contains(guarded)).map(|(pointer, _)| pointer.clone())
    };
    differs(&before, &after).or_else(|| differs(&after, &before))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(value: Value) -> Creatable {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_entry_names_one_configuration_or_a_schema_of_them() {
        assert_eq!(entry(json!({ "type": "file", "config": { "path": "a" } })).open(), None);
        assert!(entry(json!({ "type": "file" })).open().unwrap().message.contains("neither"));
        let both = json!({ "type": "file", "config": {}, "schema": {} });
        assert!(entry(both).open().unwrap().message.contains("both"));
    }

    #[test]
    fn a_schema_is_closed_only_when_each_text_is_listed() {
        let closed = json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["url"],
            "properties": {
                "url": { "enum": ["http://a/", "http://b/"] },
                "timeout_ms": { "type": "integer", "maximum": 5000 },
                "args": { "type": "array", "prefixItems": [{ "const": "x" }], "items": false },
            },
        });
        assert_eq!(entry(json!({ "type": "http-out", "schema": closed })).open(), None);
        for (at, place, opened) in [
            ("/additionalProperties", "/schema", json!(true)),
            ("/type", "/schema", json!(["object", "null"])),
            ("/properties/url", "/schema/properties/url", json!({ "type": "string" })),
            ("/properties/url", "/schema/properties/url/pattern", json!({ "pattern": "^http" })),
            ("/properties/url", "/schema/properties/url", json!({})),
            ("/properties/url", "/schema/properties/url", json!(true)),
            ("/properties/url", "/schema/properties/url/$ref", json!({ "$ref": "#/x" })),
            ("/properties/url", "/schema/properties/url/anyOf", json!({ "anyOf": [{ "const": "a" }, {}] })),
            ("/properties/args/items", "/schema/properties/args", json!({ "const": "x" })),
            (
                "/properties/args/prefixItems/0",
                "/schema/properties/args/prefixItems/0",
                json!({ "type": "string" }),
            ),
            ("/properties/timeout_ms", "/schema/properties/timeout_ms", json!({ "maximum": 3 })),
        ] {
            let mut schema = closed.clone();
            *schema.pointer_mut(at).unwrap() = opened;
            let found = entry(json!({ "type": "http-out", "schema": schema })).open();
            assert_eq!(found.map(|problem| problem.pointer), Some(place.to_owned()), "{schema}");
        }
    }

    #[test]
    fn a_patch_that_touches_what_decides_or_is_secret_is_found_however_it_is_written() {
        let schema = json!({
            "properties": {
                "http": { "properties": {
                    "url": { "x-decides-reach": true },
                    "headers": { "writeOnly": true },
                    "timeout_ms": { "type": "integer" },
                } },
                "size": { "type": "integer" },
            },
        });
        let config = json!({ "http": { "url": "u", "headers": { "a": "b" } }, "size": 1 });
        let touches =
            |patch: Value| touched(Some(&schema), Reach::Outside, &config, &patch, &SecretNames::default());
        for patch in
            [json!({ "size": 2 }), json!({ "http": { "timeout_ms": 3 } }), json!({ "size": null }), json!({})]
        {
            assert_eq!(touches(patch.clone()), None, "{patch}");
        }
        for patch in [
            json!({ "http": { "url": "v" } }),
            json!({ "http": { "url": "u" } }),
            json!({ "http": { "url": null } }),
            json!({ "http": { "headers": { "a": null } } }),
            json!({ "http": { "headers": {} } }),
            json!({ "http": null }),
            json!({ "http": [] }),
            json!({ "http": "x" }),
            json!({ "URL": "v" }),
            json!({ "http": { "Url": "v" } }),
            json!({ "size": 2, "http": { "url": ["v"] } }),
            json!({ "password": "x" }),
        ] {
            assert!(touches(patch.clone()).is_some(), "{patch}");
        }
    }
}
