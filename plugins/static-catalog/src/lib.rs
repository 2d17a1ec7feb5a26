//! Offers the node types that its settings list.
#![cfg_attr(target_family = "wasm", no_std)]

use flyball_plugin::bindings;
use flyball_plugin::catalog::{Failure, listed};
use flyball_plugin::json::{self, Map, Value, json};
use flyball_plugin::prelude::*;
use flyball_plugin::settings::{Fault, refuse_unknown, setting};

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
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "additionalProperties": false,
            "properties": { "types": {
                "description": "The node types, beside those that the data plane itself offers.",
                "type": "array",
                "items": listed::schema(),
            } },
        })
    }

    fn load() -> Self {
        let types = match setting("types") {
            Some(bindings::settings::Value::Other(text)) => json::from_str(&text)
                .map_err(|error| error.to_string())
                .and_then(|list: Value| listed::node_types(&list).map_err(|faults| in_one_line(&faults))),
            None | Some(_) => Ok(Vec::new()),
        };
        Self { types }
    }

    fn check(given: &Map<String, Value>, faults: &mut Vec<Fault>) {
        refuse_unknown(given, &["types"], faults);
        let wrong = given.get("types").and_then(|types| listed::node_types(types).err());
        faults.extend(wrong.into_iter().flatten().map(|fault| fault.below("/types")));
    }
}

fn in_one_line(faults: &[Fault]) -> String {
    let texts: Vec<String> =
        faults.iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect();
    texts.join("; ")
}

flyball_plugin::catalog!(StaticCatalog);

flyball_plugin::cases!("../cases/bad.json", "../cases/empty.json", "../cases/listed.json",);
