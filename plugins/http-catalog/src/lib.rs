//! Offers the node types that an HTTP registry lists.
#![cfg_attr(target_family = "wasm", no_std)]

use flyball_plugin::catalog::{Failure, listed};
use flyball_plugin::http;
use flyball_plugin::prelude::*;

flyball_plugin::settings! {
    /// Where the registry is.
    pub struct HttpCatalog {
        /// Answers GET with JSON: a list of node types, or an object with such a list under `types`.
        url: String = String::new();
        /// Value of the `authorization` header; write `{{secret:NAME}}` for a secret of the grant.
        authorization: Option<String> = None;
    }
}

/// When to ask a registry again that did not answer, in milliseconds.
const AGAIN: u32 = 30_000;

impl Catalog for HttpCatalog {
    fn list_types(&self) -> Result<Vec<NodeType>, Failure> {
        if self.url.is_empty() {
            return Err(failure("the setting `url` is missing: name the registry's list".into(), None));
        }
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
            let first = faults.first().map(|fault| format!("{}: {}", fault.path, fault.message));
            failure(format!("the registry's answer is wrong at {}", first.unwrap_or_default()), None)
        })
    }
}

fn failure(message: String, retry_after_ms: Option<u32>) -> Failure {
    Failure { message, retry_after_ms }
}

flyball_plugin::catalog!(HttpCatalog, wants: { "http": "asks the registry that the setting `url` names" });

flyball_plugin::cases!(
    "../cases/listed.json",
    "../cases/not-found.json",
    "../cases/refused.json",
    "../cases/under-types.json",
    "../cases/wrong-entry.json",
);
