//! Node types as JSON lists them: in a setting, or in a registry's answer.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value, json};

use crate::settings::Fault;
use crate::{Executor, NodeType, Offer};

/// JSON Schema of one node type.
pub fn schema() -> Value {
    let factor = json!({ "type": "number", "exclusiveMinimum": 0 });
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "offers"],
        "properties": {
            "name": { "type": "string", "minLength": 1 },
            "summary": { "type": "string" },
            "provides": { "type": "array", "items": { "type": "string" } },
            "offers": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["executor"],
                    "properties": {
                        "executor": { "enum": ["native", "multiprocess", "wasm"] },
                        "relative_speed": factor,
                        "relative_cost": factor,
                    },
                },
            },
            "config_schema": { "type": "object" },
        },
    })
}

/// Every node type of a list.
///
/// # Errors
/// Every entry that is none, with its place in the list.
pub fn node_types(list: &Value) -> Result<Vec<NodeType>, Vec<Fault>> {
    let Some(entries) = list.as_array() else {
        return Err([Fault { path: String::new(), message: "not a list of node types".to_owned() }].into());
    };
    let (mut types, mut faults) = (Vec::new(), Vec::new());
    for (index, entry) in entries.iter().enumerate() {
        match node_type(entry) {
            Ok(one) => types.push(one),
            Err(fault) => faults.push(fault.below(&format!("/{index}"))),
        }
    }
    if faults.is_empty() { Ok(types) } else { Err(faults) }
}

fn wrong<T>(path: impl Into<String>, message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { path: path.into(), message: message.into() })
}

fn node_type(entry: &Value) -> Result<NodeType, Fault> {
    let Some(fields) = entry.as_object() else { return wrong("", "a node type is an object") };
    only(fields, &["name", "summary", "provides", "offers", "config_schema"], "")?;
    let Some(name) = fields.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) else {
        return wrong("/name", "a node type needs a name");
    };
    let summary = match fields.get("summary") {
        None => "",
        Some(Value::String(summary)) => summary,
        Some(_) => return wrong("/summary", "not text"),
    };
    let offers = fields.get("offers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if offers.is_empty() {
        return wrong("/offers", "a node type needs at least one offer, as: {\"executor\": \"native\"}");
    }
    let offers: Result<Vec<Offer>, Fault> = offers
        .iter()
        .enumerate()
        .map(|(index, one)| offer(one).map_err(|fault| fault.below(&format!("/offers/{index}"))))
        .collect();
    Ok(NodeType {
        name: name.to_owned(),
        summary: summary.to_owned(),
        provides: provides(fields.get("provides"))?,
        offers: offers?,
        config_schema: match fields.get("config_schema") {
            None => None,
            Some(schema @ Value::Object(_)) => Some(schema.to_string()),
            Some(_) => return wrong("/config_schema", "a JSON Schema is an object"),
        },
    })
}

fn provides(given: Option<&Value>) -> Result<Vec<String>, Fault> {
    let Some(given) = given else { return Ok(Vec::new()) };
    let texts = given.as_array().and_then(|list| {
        list.iter().map(|text| text.as_str().map(ToOwned::to_owned)).collect::<Option<Vec<String>>>()
    });
    texts.map_or_else(|| wrong("/provides", "not a list of texts"), Ok)
}

fn offer(entry: &Value) -> Result<Offer, Fault> {
    let Some(fields) = entry.as_object() else { return wrong("", "an offer is an object") };
    only(fields, &["executor", "relative_speed", "relative_cost"], "")?;
    let executor = match fields.get("executor").and_then(Value::as_str) {
        Some("native") => Executor::Native,
        Some("multiprocess") => Executor::Multiprocess,
        Some("wasm") => Executor::Wasm,
        _ => return wrong("/executor", "an executor is native, multiprocess or wasm"),
    };
    let factor = |key: &str| match fields.get(key).map(Value::as_f64) {
        None => Ok(None),
        Some(Some(number)) if number > 0.0 => Ok(Some(number)),
        Some(_) => wrong(format!("/{key}"), "not a number above 0"),
    };
    Ok(Offer { executor, relative_speed: factor("relative_speed")?, relative_cost: factor("relative_cost")? })
}

fn only(fields: &Map<String, Value>, known: &[&str], path: &str) -> Result<(), Fault> {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => wrong(path, format!("`{key}` is unknown; known are {}", known.join(", "))),
        None => Ok(()),
    }
}
