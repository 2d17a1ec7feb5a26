//! Splits a text into words and counts them: the same as the host's native `tokenise`.
#![cfg_attr(target_family = "wasm", no_std)]

use flyball_plugin::json::Value;
use flyball_plugin::prelude::*;

flyball_plugin::settings! {
    /// Which text, and how its words are written.
    pub struct Tokenise {
        /// Where the text is: a JSON Pointer (`/user/name`) or dotted (`user.name`); `.` is the whole item.
        field: String = "text".to_owned();
        /// Whether each word is written in lower case.
        lowercase: bool = true;
    }
}

impl Node for Tokenise {
    fn process(&self, body: Value) -> Processed {
        let Some(text) = at(&body, &self.field).and_then(Value::as_str) else {
            return Err(format!("there is no text at {}", self.field));
        };
        let tokens: Vec<Value> = text
            .split(|character: char| !character.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(|word| Value::String(if self.lowercase { word.to_lowercase() } else { word.to_owned() }))
            .collect();
        let Value::Object(mut fields) = body else {
            return Err("the item is not an object, so nothing can be added to it".to_owned());
        };
        fields.insert("count".to_owned(), Value::from(tokens.len()));
        fields.insert("tokens".to_owned(), Value::Array(tokens));
        Ok(vec![Value::Object(fields)])
    }
}

fn at<'a>(body: &'a Value, path: &str) -> Option<&'a Value> {
    if path == "." {
        return Some(body);
    }
    if path.starts_with('/') {
        return body.pointer(path);
    }
    path.split('.').try_fold(body, |at, step| match at {
        Value::Object(fields) => fields.get(step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

flyball_plugin::node!(Tokenise);

flyball_plugin::cases!("../cases/as-written.json", "../cases/no-text.json", "../cases/words.json",);
