//! Offers the node types that its settings list.
#![cfg_attr(target_family = "wasm", no_std)]

use flyball_plugin::catalog::Failure;
use flyball_plugin::json::{self, Map, Value, json};
use flyball_plugin::prelude::*;
use flyball_plugin::settings::{Fault, refuse_unknown, setting};
use flyball_plugin::{Offer, bindings};

/// The node types as the settings list them, or what is wrong with the list.
#[derive(Debug, Clone, PartialEq)]
pub struct StaticCatalog {
    types: Result<Vec<NodeType>, String>,
}

impl Catalog for StaticCatalog {
    fn list_types(&self) -> Result<Vec<NodeType>, Failure> {
        self.types.clone().map_err(|message| Failure { message, retry_after_ms: None })
    }
}

impl Settings for StaticCatalog {
    fn schema() -> Value {
        let factor = json!({ "type": "number", "exclusiveMinimum": 0 });
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "additionalProperties": false,
            "properties": { "types": {
                "description": "The node types, beside those that the data plane itself offers.",
                "type": "array",
                "items": {
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
                },
            } },
        })
    }

    fn load() -> Self {
        let types = match setting("types") {
            None => Ok(Vec::new()),
            Some(bindings::settings::Value::Other(text)) => {
                json::from_str(&text).map_err(|error| error.to_string()).and_then(|list: Value| parsed(&list))
            }
            Some(_) => Ok(Vec::new()),
        };
        Self { types }
    }

    fn check(given: &Map<String, Value>, faults: &mut Vec<Fault>) {
        refuse_unknown(given, &["types"], faults);
        let Some(types) = given.get("types") else { return };
        let Some(list) = types.as_array() else {
            faults.push(fault("/types".to_owned(), "not a list of node types".to_owned()));
            return;
        };
        for (index, entry) in list.iter().enumerate() {
            if let Err((path, message)) = node_type(entry) {
                faults.push(fault(format!("/types/{index}{path}"), message));
            }
        }
    }
}

fn fault(path: String, message: String) -> Fault {
    Fault { path, message }
}

fn parsed(list: &Value) -> Result<Vec<NodeType>, String> {
    let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
    entries
        .iter()
        .map(|entry| node_type(entry).map_err(|(path, message)| format!("{path}: {message}")))
        .collect()
}

/// Where in the entry, and what.
type Wrong = (String, String);

fn wrong<T>(path: impl Into<String>, message: impl Into<String>) -> Result<T, Wrong> {
    Err((path.into(), message.into()))
}

fn node_type(entry: &Value) -> Result<NodeType, Wrong> {
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
    let offers: Result<Vec<Offer>, Wrong> = offers
        .iter()
        .enumerate()
        .map(|(index, one)| offer(one).map_err(|(path, message)| (format!("/offers/{index}{path}"), message)))
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

fn provides(given: Option<&Value>) -> Result<Vec<String>, Wrong> {
    let Some(given) = given else { return Ok(Vec::new()) };
    let texts = given.as_array().and_then(|list| {
        list.iter().map(|text| text.as_str().map(ToOwned::to_owned)).collect::<Option<Vec<String>>>()
    });
    texts.map_or_else(|| wrong("/provides", "not a list of texts"), Ok)
}

fn offer(entry: &Value) -> Result<Offer, Wrong> {
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

fn only(fields: &Map<String, Value>, known: &[&str], path: &str) -> Result<(), Wrong> {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => wrong(path, format!("`{key}` is unknown; known are {}", known.join(", "))),
        None => Ok(()),
    }
}

flyball_plugin::catalog!(StaticCatalog);

flyball_plugin::cases!("../cases/bad.json", "../cases/empty.json", "../cases/listed.json",);
