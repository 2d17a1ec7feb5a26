//! The form of an answer: a JSON Schema with nothing in it but what every provider's structured output takes. Every object
//! is closed and every property required; what may be missing is null; bounds of numbers are checked afterwards.

use flyball_plugin::json::{Map, Value, json};
use flyball_plugin::prelude::*;

/// Of nodes and of types; what is less relevant than so many others cannot be named. Providers bound the names of a form, too.
pub(crate) const MOST_NAMES: usize = 150;

/// What an answer may speak of.
#[derive(Debug, Default, Clone)]
pub(crate) struct Offer {
    /// Kinds of action.
    pub kinds: Vec<String>,
    /// Nodes that may be changed.
    pub targets: Vec<String>,
    /// Nodes that may be cited.
    pub seen: Vec<String>,
    /// Node types.
    pub types: Vec<String>,
    /// Metrics that may be cited.
    pub metrics: Vec<String>,
}

pub(crate) fn form(offer: &Offer) -> Value {
    let mut kinds = vec![closed([("kind", only("no-op"))])];
    if !offer.targets.is_empty() {
        kinds.extend(offer.kinds.iter().filter_map(|kind| action(kind)));
    }
    let cited = closed([
        ("node", nullable(json!({ "$ref": "#/$defs/seen" }))),
        ("metric", nullable(json!({ "$ref": "#/$defs/metric" }))),
        ("value", nullable(json!({ "type": "number" }))),
        ("note", text()),
    ]);
    let mut form = closed([
        ("analysis", text()),
        ("issues", json!({ "type": "array", "items": text() })),
        ("action", json!({ "anyOf": kinds })),
        ("reason", text()),
        ("confidence", json!({ "type": "number" })),
        ("evidence", json!({ "type": "array", "items": cited })),
    ]);
    if let Value::Object(entries) = &mut form {
        let definitions = json!({
            "node": one_of(&offer.targets),
            "seen": one_of(&offer.seen),
            "type": one_of(&offer.types),
            "metric": one_of(&offer.metrics),
        });
        entries.insert("$defs".to_owned(), definitions);
    }
    form
}

fn action(kind: &str) -> Option<Value> {
    let node = || ("node", json!({ "$ref": "#/$defs/node" }));
    let node_type = || ("node_type", json!({ "$ref": "#/$defs/type" }));
    let nodes = json!({ "type": "array", "items": { "$ref": "#/$defs/node" } });
    let executor = json!({ "type": "string", "enum": ["native", "multiprocess", "wasm"] });
    let whole = || json!({ "type": "integer" });
    let object = json!({ "type": "string", "description": "JSON text of an object" });
    let kind = ("kind", only(kind));
    Some(match kind.1.pointer("/enum/0").and_then(Value::as_str)? {
        "replace-node" => closed([kind, node(), node_type(), ("config", nullable(object))]),
        "insert-node" => closed([
            kind,
            ("id", text()),
            node_type(),
            ("config", object),
            ("executor", nullable(executor)),
            ("after", nodes.clone()),
            ("before", nodes),
        ]),
        "remove-node" | "restart-process" => closed([kind, node()]),
        "update-node-config" => closed([kind, node(), ("patch", object)]),
        "bypass-node" => closed([kind, node(), ("active", json!({ "type": "boolean" }))]),
        "switch-executor" => closed([kind, node(), ("to", executor)]),
        "scale-node" => closed([kind, node(), ("replicas", whole())]),
        "adjust-buffering" => closed([kind, node(), ("capacity", whole())]),
        _ => return None,
    })
}

fn closed<const N: usize>(properties: [(&str, Value); N]) -> Value {
    let required: Vec<Value> = properties.iter().map(|(name, _)| json!(name)).collect();
    let properties: Map<String, Value> =
        properties.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn only(value: &str) -> Value {
    json!({ "type": "string", "enum": [value] })
}

fn nullable(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn one_of(names: &[String]) -> Value {
    if names.is_empty() {
        return text();
    }
    json!({ "type": "string", "enum": names })
}
