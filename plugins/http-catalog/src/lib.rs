//! Offers the node types that an HTTP registry lists.
#![cfg_attr(target_family = "wasm", no_std)]

use flyball_plugin::catalog::{Failure, listed};
use flyball_plugin::http;
use flyball_plugin::json::{Map, Value, json};
use flyball_plugin::prelude::*;
use flyball_plugin::settings::{Fault, Setting, refuse_unknown, setting};

/// Where the registry is, and what opens it.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpCatalog {
    url: String,
    authorization: Option<String>,
}

impl Settings for HttpCatalog {
    fn schema() -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "additionalProperties": false,
            "required": ["url"],
            "properties": {
                "url": {
                    "description": "Answers GET with JSON: a list of node types, or an object with such a list under `types`.",
                    "type": "string",
                    "pattern": "^https?://",
                },
                "authorization": {
                    "description": "Value of the `authorization` header; write `{{secret:NAME}}` for a secret of the grant.",
                    "type": "string",
                },
            },
        })
    }

    fn load() -> Self {
        let text = |key| setting(key).and_then(String::from_value);
        Self { url: text("url").unwrap_or_default(), authorization: text("authorization") }
    }

    fn check(given: &Map<String, Value>, faults: &mut Vec<Fault>) {
        refuse_unknown(given, &["url", "authorization"], faults);
        let url = given.get("url").and_then(Value::as_str).unwrap_or_default();
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            faults.push(fault(
                "/url",
                "it names no registry; write it like https://registry.example.com/types",
            ));
        }
        if given.get("authorization").is_some_and(|value| !value.is_string()) {
            faults.push(fault("/authorization", "not text"));
        }
    }
}

fn fault(path: &str, message: &str) -> Fault {
    Fault { path: path.into(), message: message.into() }
}

/// When to ask a registry again that did not answer, in milliseconds.
const AGAIN: u32 = 30_000;

impl Catalog for HttpCatalog {
    fn list_types(&self) -> Result<Vec<NodeType>, Failure> {
        let mut asking = http::get(&self.url).header("accept", "application/json");
        if let Some(authorization) = &self.authorization {
            asking = asking.header("authorization", authorization);
        }
        let answer = asking.send().map_err(|why| match &why {
            http::Failure::Refused(why) => failure(format!("the registry may not be asked: {why}"), None),
            http::Failure::Failed(why) => failure(format!("the registry did not answer: {why}"), Some(AGAIN)),
        })?;
        if answer.status != 200 {
            return Err(failure(format!("the registry answered {}", answer.status), Some(AGAIN)));
        }
        let body = answer
            .json()
            .map_err(|why| failure(format!("the registry's answer is not JSON: {why}"), None))?;
        let list = body.get("types").unwrap_or(&body);
        listed::node_types(list).map_err(|faults| {
            let first = faults.first().map(|fault| match fault.path.as_str() {
                "" => format!(": {}", fault.message),
                path => format!(" at {path}: {}", fault.message),
            });
            failure(format!("the registry's answer is wrong{}", first.unwrap_or_default()), None)
        })
    }
}

fn failure(message: String, retry_after_ms: Option<u32>) -> Failure {
    Failure { message, retry_after_ms }
}

flyball_plugin::catalog!(HttpCatalog, wants: { "http": "asks the registry that the setting `url` names" });

flyball_plugin::cases!(
    "../cases/listed.json",
    "../cases/no-list.json",
    "../cases/no-registry.json",
    "../cases/not-found.json",
    "../cases/refused.json",
    "../cases/silent.json",
    "../cases/under-types.json",
    "../cases/wrong-entry.json",
    "../cases/wrong-settings.json",
);
