//! What must not be written: the values of fields that are called like a secret.

use std::collections::BTreeMap;

use flyball_control::ports::{Decided, Said};
use flyball_model::{Action, GraphSpec, HttpAnswer, HttpExchange, LlmAnswer, LlmExchange, Reversal, Verdict};
use serde_json::Value;

/// What stands in the place of a masked value.
pub const MASKED: &str = "(masked)";

/// Names of fields whose values are masked, with all that end in one: `db_password`, `x-api-key`.
pub const SECRET_FIELDS: [&str; 14] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "api_key",
    "access_key",
    "secret_key",
    "private_key",
    "authorization",
    "credentials",
    "cookie",
    "connection_string",
];

/// Masks values, and counts how many.
#[derive(Debug, Clone)]
pub(crate) struct Mask {
    names: Vec<String>,
}

impl Mask {
    /// By the usual names and these.
    pub(crate) fn new(more: &[String]) -> Self {
        let usual = SECRET_FIELDS.into_iter().map(plain);
        let names = usual.chain(more.iter().map(|name| plain(name))).filter(|name| !name.is_empty());
        Self { names: names.collect() }
    }

    pub(crate) fn hides(&self, field: &str) -> bool {
        let field = plain(field);
        self.names.iter().any(|name| field.ends_with(name.as_str()))
    }

    pub(crate) fn value(&self, value: &mut Value) -> u32 {
        match value {
            Value::Object(fields) => fields.iter_mut().map(|(name, value)| self.field(name, value)).sum(),
            Value::Array(values) => values.iter_mut().map(|value| self.value(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }

    fn field(&self, name: &str, value: &mut Value) -> u32 {
        if !self.hides(name) {
            return self.value(value);
        }
        match value {
            Value::Null => 0,
            Value::String(text) => u32::from(mask_text(text)),
            _ => {
                *value = MASKED.into();
                1
            }
        }
    }

    pub(crate) fn settings(&self, settings: &mut BTreeMap<String, Value>) -> u32 {
        settings.iter_mut().map(|(name, value)| self.field(name, value)).sum()
    }

    pub(crate) fn graph(&self, graph: &mut GraphSpec) -> u32 {
        graph.nodes.iter_mut().map(|node| self.value(&mut node.config)).sum()
    }

    pub(crate) fn action(&self, action: &mut Action) -> u32 {
        match action {
            Action::ReplaceNode { config, .. } => config.as_mut().map_or(0, |config| self.value(config)),
            Action::InsertNode { config: value, .. } | Action::UpdateNodeConfig { patch: value, .. } => {
                self.value(value)
            }
            Action::NoOp
            | Action::RemoveNode { .. }
            | Action::BypassNode { .. }
            | Action::SwitchExecutor { .. }
            | Action::RestartProcess { .. }
            | Action::ScaleNode { .. }
            | Action::AdjustBuffering { .. } => 0,
        }
    }

    /// Of values by key.
    pub(crate) fn kept(&self, kept: &mut BTreeMap<String, Vec<u8>>) -> u32 {
        let hidden = kept.iter_mut().filter(|(name, _)| self.hides(name));
        hidden.map(|(_, value)| *value = MASKED.into()).count().try_into().unwrap_or(u32::MAX)
    }

    pub(crate) fn said(&self, said: &mut Said) -> u32 {
        match said {
            Said::Decided(Decided::For(decision)) => self.action(&mut decision.proposal.action),
            Said::Verdict(Verdict::Amend(amendment)) => self.action(&mut amendment.action),
            Said::Reversal(Reversal::Reversible { actions }) => {
                actions.iter_mut().map(|action| self.action(action)).sum()
            }
            _ => 0,
        }
    }

    pub(crate) fn exchange(&self, exchange: &mut HttpExchange) -> u32 {
        let HttpExchange { url, headers, body, answer, .. } = exchange;
        let mut masked = self.url(url) + self.headers(headers) + self.body(body);
        if let HttpAnswer::Answered { headers, body, .. } = answer {
            masked += self.headers(headers) + self.body(body);
        }
        masked
    }

    /// A text that holds what is called like a secret as JSON does is masked there, and else as it is.
    pub(crate) fn question(&self, exchange: &mut LlmExchange) -> u32 {
        let LlmExchange { answer, wire, .. } = exchange;
        let mut masked = wire.as_mut().map_or(0, |wire| self.json(wire));
        if let LlmAnswer::Answered(text) = answer {
            masked += self.json(text);
        }
        masked
    }

    fn json(&self, text: &mut String) -> u32 {
        let Ok(mut value) = serde_json::from_str::<Value>(text) else { return 0 };
        let masked = self.value(&mut value);
        if masked > 0 {
            *text = value.to_string();
        }
        masked
    }

    fn headers(&self, headers: &mut [(String, String)]) -> u32 {
        let hidden = headers.iter_mut().filter(|(name, _)| self.hides(name));
        hidden.map(|(_, value)| u32::from(mask_text(value))).sum()
    }

    /// A body that is JSON is written anew only where something in it is masked.
    fn body(&self, body: &mut Vec<u8>) -> u32 {
        let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return 0 };
        let masked = self.value(&mut value);
        if masked > 0 {
            *body = value.to_string().into_bytes();
        }
        masked
    }

    /// A parameter of a query, and a password before the host.
    fn url(&self, url: &mut String) -> u32 {
        let mut masked = 0;
        let (before, query) = match url.split_once('?') {
            Some((before, query)) => (before.to_owned(), Some(query.to_owned())),
            None => (url.clone(), None),
        };
        let mut text = match before.split_once("://").map(|(scheme, rest)| (scheme, rest.split_once('@'))) {
            Some((scheme, Some((user, rest)))) if !user.contains('/') => {
                masked += 1;
                format!("{scheme}://{MASKED}@{rest}")
            }
            _ => before.clone(),
        };
        if let Some(query) = query {
            let pairs: Vec<String> = query
                .split('&')
                .map(|pair| match pair.split_once('=') {
                    Some((name, value)) if self.hides(name) && !is_placeholder(value) => {
                        masked += 1;
                        format!("{name}={MASKED}")
                    }
                    _ => pair.to_owned(),
                })
                .collect();
            text = format!("{text}?{}", pairs.join("&"));
        }
        if masked > 0 {
            *url = text;
        }
        masked
    }
}

/// `X-API-Key`, `x_api_key` and `apiKey` are one name.
fn plain(name: &str) -> String {
    name.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// What holds nothing but a placeholder of the host's holds no secret.
fn mask_text(text: &mut String) -> bool {
    let hidden = !text.is_empty() && !is_placeholder(text);
    if hidden {
        *text = MASKED.to_owned();
    }
    hidden
}

/// `{{secret:NAME}}`, with or without a scheme before it: `Bearer {{secret:NAME}}`.
fn is_placeholder(text: &str) -> bool {
    let (scheme, last) = text.trim().split_once(' ').unwrap_or(("", text.trim()));
    if scheme.len() > 10 || !scheme.chars().all(|char| char.is_ascii_alphabetic()) {
        return false;
    }
    let named = last.strip_prefix("{{secret:").and_then(|rest| rest.strip_suffix("}}"));
    named.is_some_and(|name| !name.contains("}}"))
}
