//! Keys: the host holds them, one header carries them, and nobody reads one back.

use std::fmt;
use std::path::Path;

use flyball_files::Limit;
use flyball_model::{Problem, SecretSource};
use reqwest::header::HeaderValue;
use serde_json::Value;
use zeroize::Zeroizing;

/// What stands wherever a key would.
const PLACEHOLDER: &str = "{{key}}";

/// A shorter one would be found, and masked, in what has nothing to do with it.
const SHORTEST: usize = 8;

/// A header's value is shorter than a file of this size.
const LARGEST: Limit = Limit::new(64 << 10, "name a file that holds the key and nothing else");

/// A provider's key; none where a server asks for none.
#[derive(Clone, Default)]
pub(crate) struct Key(Option<Zeroizing<String>>);

fn is_name(variable: &str) -> bool {
    let letters = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    variable.starts_with(|first: char| !first.is_ascii_digit()) && variable.chars().all(letters)
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Key(..)" } else { "Key(none)" })
    }
}

impl Key {
    /// Reads it.
    pub(crate) fn read(from: &SecretSource) -> Result<Self, Problem> {
        let (text, at) = match from {
            SecretSource::Env(variable) if !is_name(variable) => {
                // It is not said again: it may be the key itself.
                return Err(Problem::new("/env", "this is not the name of an environment variable").help(
                    "write the name, as in `key: { env: MODEL_KEY }`, and put the key into the environment",
                ));
            }
            SecretSource::Env(variable) => {
                let text = std::env::var(variable).map_err(|_| {
                    Problem::new("/env", format!("the key is not in the environment as {variable}"))
                        .help(format!("set {variable} for the host"))
                })?;
                (Zeroizing::new(text), "/env")
            }
            SecretSource::File(file) => {
                let text = flyball_files::read_text(Path::new(file), LARGEST)
                    .map_err(|error| Problem::new("/file", format!("there is no key: {error}")))?;
                (Zeroizing::new(text), "/file")
            }
        };
        Self::of(&text).map_err(|why| Problem::new(at, format!("the key {why}")))
    }

    /// White space around it is not part of it. A brace would let a key begin in a placeholder.
    fn of(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() < SHORTEST {
            return Err(format!(
                "is shorter than {SHORTEST} characters; leave `key` out if the server asks for none"
            ));
        }
        if !text.chars().all(|letter| letter.is_ascii_graphic() && letter != '{' && letter != '}') {
            return Err("has characters that no key has".to_owned());
        }
        Ok(Self(Some(Zeroizing::new(text.to_owned()))))
    }

    /// As a header carries it, after these words.
    pub(crate) fn header(&self, before: &str) -> Option<HeaderValue> {
        let key = self.0.as_ref()?;
        let text = Zeroizing::new(format!("{before}{}", key.as_str()));
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Puts the placeholder wherever the key stands.
    pub(crate) fn mask(&self, text: String) -> String {
        match &self.0 {
            Some(key) if text.contains(key.as_str()) => text.replace(key.as_str(), PLACEHOLDER),
            _ => text,
        }
    }

    /// In all of a value, names and numbers included. What was escaped in JSON is plain here.
    pub(crate) fn mask_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.mask(text)),
            Value::Array(items) => items.into_iter().map(|item| self.mask_value(item)).collect(),
            Value::Object(entries) => {
                let masked =
                    entries.into_iter().map(|(name, value)| (self.mask(name), self.mask_value(value)));
                Value::Object(masked.collect())
            }
            Value::Number(number) => {
                let text = number.to_string();
                match self.mask(text.clone()) {
                    masked if masked == text => Value::Number(number),
                    masked => Value::String(masked),
                }
            }
            plain => plain,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_shows_nowhere() {
        let key = Key::of(" sk-0123456789\n").unwrap();
        assert_eq!(format!("{key:?}"), "Key(..)");
        assert_eq!(format!("{:?}", key.header("Bearer ").unwrap()), "Sensitive");
        let masked = key.mask_value(json!({ "sk-0123456789": ["a sk-0123456789 b", 1, null] }));
        assert_eq!(masked, json!({ "{{key}}": ["a {{key}} b", 1, null] }));
    }

    #[test]
    fn a_key_of_digits_is_found_in_numbers() {
        let key = Key::of("1234567890").unwrap();
        assert_eq!(key.mask_value(json!({ "n": 12_345_678_901_u64 })), json!({ "n": "{{key}}1" }));
    }

    #[test]
    fn what_is_no_key_is_not_taken() {
        for wrong in ["", "short", "with space in it", "with{{brace}}", "späte-schlüssel"] {
            assert!(Key::of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_that_is_not_there_is_told_at_its_place() {
        let problem = Key::read(&SecretSource::Env("FLYBALL_LLM_NOT_SET".into())).unwrap_err();
        assert_eq!(problem.pointer, "/env");
        let problem = Key::read(&SecretSource::File("/not/there".into())).unwrap_err();
        assert_eq!(problem.pointer, "/file");
    }

    proptest! {
        #[test]
        fn no_text_keeps_a_key(key in "[!-z|~]{8,20}", before in "\\PC{0,20}", times in 0..4_usize) {
            let held = Key::of(&key).unwrap();
            let text = format!("{before}{}", key.repeat(times));
            prop_assert!(!held.mask(text.clone()).contains(&key));
            let value = json!({ &text: [&text, { "x": &text }] });
            prop_assert!(!held.mask_value(value).to_string().contains(&key.replace('\\', "\\\\").replace('"', "\\\"")));
        }
    }
}
