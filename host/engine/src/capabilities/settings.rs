//! The capability `settings`: a plugin's settings, as a policy gives them and as the plugin reads them. `wasi:config` is the same.
//!
//! Every plugin has it, and it answers nothing but what the recorded policy says. The library makes them; guests read them.

use std::collections::BTreeMap;

use flyball_model::Grants;
use serde_json::{Map, Value};
use wasmtime::component::Linker;

use super::standard::config;
use super::{Capability, Whole};
use crate::bindings::settings;
use crate::call::Call;

/// See the module's page.
pub(super) struct SettingsImport;

impl Capability for SettingsImport {
    const NAME: &'static str = "settings";
    const IMPORTS: &'static [&'static str] =
        &["flyball:plugin/settings@0.1.0", "wasi:config/store@0.2.0-rc.1"];

    fn granted(_: &Grants) -> bool {
        true
    }

    fn add_to_linker(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
        settings::add_to_linker::<Call, Whole>(linker, |call| call)?;
        config::add_to_linker::<Call, Whole>(linker, |call| call)
    }
}

/// The settings of one use of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    value: Value,
    text: String,
}

impl Settings {
    /// From an object.
    pub fn new(entries: Map<String, Value>) -> Self {
        let value = Value::Object(entries);
        Self { text: value.to_string(), value }
    }

    /// All of them, an object.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// By JSON Pointer without its leading slash; the empty path is the whole. What is null was not given.
    pub(crate) fn get(&self, path: &str) -> Option<settings::Value> {
        if path.is_empty() {
            return Some(settings::Value::Other(self.text.clone()));
        }
        let found = path.split('/').try_fold(&self.value, |value, token| {
            let token = unescaped(token);
            match value {
                Value::Object(entries) => entries.get(token.as_ref()),
                Value::Array(items) => token.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            }
        });
        found.and_then(crossing)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(Map::new())
    }
}

impl From<&BTreeMap<String, Value>> for Settings {
    fn from(entries: &BTreeMap<String, Value>) -> Self {
        Self::new(entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

fn unescaped(token: &str) -> std::borrow::Cow<'_, str> {
    if token.contains('~') { token.replace("~1", "/").replace("~0", "~").into() } else { token.into() }
}

fn crossing(value: &Value) -> Option<settings::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(given) => settings::Value::Boolean(*given),
        Value::Number(given) => settings::Value::Number(given.as_f64().unwrap_or(f64::NAN)),
        Value::String(given) => settings::Value::Text(given.clone()),
        Value::Array(items) => {
            let texts: Option<Vec<String>> =
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            texts.map_or_else(|| settings::Value::Other(value.to_string()), settings::Value::Texts)
        }
        Value::Object(_) => settings::Value::Other(value.to_string()),
    })
}

impl settings::Host for Call {
    fn get(&mut self, path: String) -> wasmtime::Result<Option<settings::Value>> {
        self.enter()?;
        let value = self.settings.get(&path);
        self.gave(value)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(value: Value) -> Settings {
        Settings::new(value.as_object().unwrap().clone())
    }

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let settings = given(json!({"queue": {"high": 0.8, "a/b": [true, {"~": "x"}]}}));
        assert!(matches!(settings.get("queue/high"), Some(settings::Value::Number(0.8))));
        assert!(matches!(settings.get("queue/a~1b/0"), Some(settings::Value::Boolean(true))));
        assert!(matches!(settings.get("queue/a~1b/1/~0"), Some(settings::Value::Text(x)) if x == "x"));
        assert!(settings.get("queue/low").is_none());
        assert!(settings.get("queue/high/0").is_none());
    }

    #[test]
    fn a_list_of_texts_crosses_as_texts_and_any_other_as_json() {
        let settings = given(json!({"names": ["a", "b"], "mixed": ["a", 1], "none": [], "gone": null}));
        assert!(matches!(settings.get("names"), Some(settings::Value::Texts(names)) if names == ["a", "b"]));
        assert!(matches!(settings.get("mixed"), Some(settings::Value::Other(text)) if text == r#"["a",1]"#));
        assert!(matches!(settings.get("none"), Some(settings::Value::Texts(names)) if names.is_empty()));
        assert!(settings.get("gone").is_none());
    }

    #[test]
    fn the_empty_path_is_the_whole() {
        let settings = given(json!({"b": 1, "a": 2}));
        let Some(settings::Value::Other(text)) = settings.get("") else { unreachable!() };
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({"a": 2, "b": 1}));
    }
}
