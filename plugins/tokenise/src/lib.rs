//! Splits a text into words and counts them: the same as the host's native `tokenise`.
#![cfg_attr(target_family = "wasm", no_std)]

use flyball_plugin::item::Json;
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
    fn process(&self, body: Json) -> Processed {
        let Some(text) = at(&body, &self.field).and_then(Json::as_str) else {
            return Err(format!("there is no text at {}", self.field));
        };
        let tokens: Vec<Json> = text
            .split(|character: char| !character.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(|word| if self.lowercase { word.to_lowercase().into() } else { word.into() })
            .collect();
        let Json::Object(mut fields) = body else {
            return Err("the item is not an object, so nothing can be added to it".to_owned());
        };
        fields.insert("count", tokens.len() as u64);
        fields.insert("tokens", tokens);
        Ok(vec![fields.into()])
    }
}

fn at<'a>(body: &'a Json, path: &str) -> Option<&'a Json> {
    if path == "." {
        return Some(body);
    }
    if path.starts_with('/') {
        return body.pointer(path);
    }
    path.split('.').try_fold(body, |at, step| match at {
        Json::Object(fields) => fields.get(step),
        Json::List(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

flyball_plugin::node!(Tokenise);

flyball_plugin::cases!("../cases/as-written.json", "../cases/no-text.json", "../cases/words.json",);
