//! Names and patterns with characters that cannot be seen are refused where a document gives them.
//!
//! A name goes on to terminals, logs, file names, journals and models. Two names that look the same must be the same, and a
//! pattern that holds a character that nobody sees matches less than its author meant. What is data and no name (a node's
//! parameters, a plugin's settings, text for people) may hold anything. Called for every document that is read.

use flyball_model::{Problem, hidden_in};
use serde_json::Value;

use crate::tree::token;

/// Below these keys stands data of others, or text for people.
const DATA: [&str; 9] =
    ["settings", "params", "config", "patch", "summary", "about", "known_gap", "expect", "error"];

/// Each name, pattern or word with such a character, keys included.
pub(crate) fn problems(value: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    walk("", value, &mut problems);
    problems
}

fn walk(at: &str, value: &Value, problems: &mut Vec<Problem>) {
    match value {
        Value::String(text) => problems.extend(hidden_in(text).map(|letter| refused(at, "text", letter))),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(&format!("{at}/{index}"), item, problems);
            }
        }
        Value::Object(entries) => {
            for (key, entry) in entries {
                let at = format!("{at}/{}", token(key));
                problems.extend(hidden_in(key).map(|letter| refused(&at, "key", letter)));
                if !DATA.contains(&key.as_str()) {
                    walk(&at, entry, problems);
                }
            }
        }
        _ => {}
    }
}

fn refused(at: &str, what: &str, letter: char) -> Problem {
    let name = match letter {
        '\n' => "a line feed".to_owned(),
        '\r' => "a carriage return".to_owned(),
        '\t' => "a tab".to_owned(),
        other => format!("a character that cannot be seen, U+{:04X}", u32::from(other)),
    };
    Problem::new(at, format!("the {what} holds {name}"))
        .help("take it out: names are compared and shown as they are")
}
