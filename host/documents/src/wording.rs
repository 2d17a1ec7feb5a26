//! What a schema's validator found, in sentences of ours.

use flyball_model::Problem;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError, Validator};
use serde_json::Value;

use crate::suggestion;
use crate::tree::token;

/// For more unknown keys of one mapping than this nobody is told which was probably meant.
const MOST_SEARCHES: usize = 100;

/// Text of a document that is longer than this is cut in messages.
const LONGEST_QUOTE: usize = 60;

/// The keys of a policy that say where the host reads a secret.
const NAMES_A_SECRET: [&str; 2] = ["key", "from"];

/// How the value that a pointer names is written in the document.
pub(crate) type Written<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

/// For more faults than are told, no sentence is made.
const MOST_WORDED: usize = 1_000;

pub(crate) fn problems(
    schema: &Value,
    validator: &Validator,
    value: &Value,
    written: Written<'_>,
) -> Vec<Problem> {
    validator.iter_errors(value).flat_map(|error| worded(schema, &error, written)).take(MOST_WORDED).collect()
}

fn worded(schema: &Value, error: &ValidationError<'_>, written: Written<'_>) -> Vec<Problem> {
    let pointer = error.instance_path().as_str();
    let value = error.instance();
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known = known_keys(schema, error);
            let told = unexpected.iter().take(MOST_WORDED).enumerate();
            told.map(|(index, key)| {
                unknown_key(pointer, key, if index < MOST_SEARCHES { &known } else { &[] })
            })
            .collect()
        }
        ValidationErrorKind::Required { property } => vec![missing_key(schema, error, pointer, property)],
        ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => {
            alternatives(schema, pointer, value, context, written)
        }
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
            vec![unknown_word(pointer, value, &options.iter().filter_map(Value::as_str).collect::<Vec<_>>())]
        }
        ValidationErrorKind::Type { kind } => vec![wrong_type(pointer, value, kind, written(pointer))],
        ValidationErrorKind::Minimum { limit } => {
            vec![out_of_range(pointer, value, &range(schema, error, &format!("at least {}", bound(limit))))]
        }
        ValidationErrorKind::Maximum { limit } => {
            vec![out_of_range(pointer, value, &range(schema, error, &format!("at most {}", bound(limit))))]
        }
        _ => vec![Problem::new(pointer, error.masked_with(quoted_value(value)).to_string())],
    }
}

/// Where the schema holds the keyword that was broken. The validator follows references and tells the place that
/// they lead to.
fn parent<'a>(schema: &'a Value, error: &ValidationError<'_>) -> Option<&'a Value> {
    let (parent, _) = error.schema_path().as_str().rsplit_once('/')?;
    schema.pointer(parent)
}

fn known_keys<'a>(schema: &'a Value, error: &ValidationError<'_>) -> Vec<&'a str> {
    parent(schema, error)
        .and_then(|schema| schema.get("properties"))
        .and_then(Value::as_object)
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

fn unknown_key(pointer: &str, key: &str, known: &[&str]) -> Problem {
    let problem = Problem::new(format!("{pointer}/{}", token(key)), format!("unknown key {}", quoted(key)));
    let problem = match key {
        "<<" => problem.help("merge keys are not of YAML 1.2; write out what is merged"),
        _ if known.is_empty() => problem,
        _ => problem.help(suggestion::help(key, known.iter().copied())),
    };
    problem.code("unknown-key").of_key()
}

fn missing_key(schema: &Value, error: &ValidationError<'_>, pointer: &str, property: &Value) -> Problem {
    let key = property.as_str().unwrap_or_default();
    let problem = Problem::new(pointer, format!("the key \"{key}\" is missing")).code("missing-key");
    let meaning = parent(schema, error)
        .and_then(|schema| schema.pointer(&format!("/properties/{}/description", token(key))))
        .and_then(Value::as_str)
        .and_then(|description| description.split(['.', ':']).next());
    match meaning {
        Some(meaning) => problem.help(format!("add it: {}", meaning.to_lowercase())),
        None => problem.help("add it"),
    }
}

/// Of several ways in which a value may be given: one of some words, or something that may also be left empty.
fn alternatives(
    schema: &Value,
    pointer: &str,
    value: &Value,
    context: &[Vec<ValidationError<'static>>],
    written: Written<'_>,
) -> Vec<Problem> {
    let errors = context.iter().flatten();
    let words: Vec<&str> = errors
        .clone()
        .filter_map(|error| match error.kind() {
            ValidationErrorKind::Constant { expected_value } => expected_value.as_str(),
            _ => None,
        })
        .collect();
    if !words.is_empty() {
        return vec![unknown_word(pointer, value, &words)];
    }
    errors
        .filter(|error| {
            !matches!(error.kind(), ValidationErrorKind::Type { kind: TypeKind::Single(JsonType::Null) })
        })
        .flat_map(|error| worded(schema, error, written))
        .collect()
}

fn unknown_word(pointer: &str, value: &Value, words: &[&str]) -> Problem {
    let name = name(pointer);
    let allowed = suggestion::allowed(words.iter().copied());
    let help = match value.as_str().and_then(|given| suggestion::meant(given, words.iter().copied())) {
        Some(word) => format!("did you mean \"{word}\"? {allowed}"),
        None => allowed,
    };
    Problem::new(pointer, format!("{name} cannot be {}", quoted_value(value)))
        .help(help)
        .code("unknown-value")
}

fn wrong_type(pointer: &str, value: &Value, kind: &TypeKind, written: Option<&str>) -> Problem {
    let types: Vec<JsonType> = match kind {
        TypeKind::Single(one) => vec![*one],
        TypeKind::Multiple(several) => several.iter().filter(|kind| *kind != JsonType::Null).collect(),
    };
    let wanted = types.iter().map(|kind| described(*kind)).collect::<Vec<_>>().join(" or ");
    let name = name(pointer);
    let given = match value {
        // Where a secret's source is named, somebody may have written the secret.
        Value::String(_) if NAMES_A_SECRET.contains(&name.as_str()) => "text".to_owned(),
        // As it is written: `010` and `1.0` are numbers that JSON writes otherwise.
        Value::Number(number) => written.map_or_else(|| number.to_string(), cut),
        _ => quoted_value(value),
    };
    let problem = Problem::new(pointer, format!("{name} must be {wanted}, not {given}")).code("wrong-type");
    match help(&types, value, &name, &given) {
        Some(help) => problem.help(help),
        None => problem,
    }
}

fn help(wanted: &[JsonType], value: &Value, name: &str, given: &str) -> Option<String> {
    match value {
        Value::Null if wanted.contains(&JsonType::String) => {
            Some("give it a value; a word such as null is put in quotes: \"null\"".to_owned())
        }
        Value::Null => Some("give it a value or leave the key out".to_owned()),
        Value::Number(_) | Value::Bool(_) if wanted.contains(&JsonType::String) => {
            Some(format!("put it in quotes: \"{given}\""))
        }
        Value::String(text) if wanted.contains(&JsonType::Boolean) => {
            match text.to_ascii_lowercase().as_str() {
                "yes" | "on" => Some("write true".to_owned()),
                "no" | "off" => Some("write false".to_owned()),
                _ => None,
            }
        }
        Value::String(text)
            if wanted.iter().any(|kind| matches!(kind, JsonType::Integer | JsonType::Number)) =>
        {
            number_meant(text, name)
        }
        _ if wanted.contains(&JsonType::Array) && !value.is_object() => {
            Some("put it in brackets: [...]".to_owned())
        }
        _ => None,
    }
}

fn out_of_range(pointer: &str, value: &Value, limit: &str) -> Problem {
    Problem::new(pointer, format!("{} must be {limit}, not {}", name(pointer), quoted_value(value)))
        .code("out-of-range")
}

/// Both ends of a range, where it has two that somebody chose; else the one that was left.
fn range(schema: &Value, error: &ValidationError<'_>, one: &str) -> String {
    let end = |key| parent(schema, error).and_then(|schema| schema.get(key));
    let of_its_type = |most: &Value| most.as_u64().is_some_and(|most| most >= u64::from(u32::MAX));
    match (end("minimum"), end("maximum")) {
        (Some(least), Some(most)) if !of_its_type(most) => format!("{} to {}", bound(least), bound(most)),
        _ => one.to_owned(),
    }
}

/// The number that a text was probably meant to be.
fn number_meant(text: &str, name: &str) -> Option<String> {
    if text.parse::<f64>().is_ok() {
        return Some("leave the quotes out".to_owned());
    }
    let digits = text.replace(['_', ' ', ',', '\''], "");
    if digits.len() < text.len() && digits.parse::<u64>().is_ok() {
        return Some(format!("write {digits}"));
    }
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit())?);
    let factor = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let millis = number.parse::<u64>().ok()?.checked_mul(factor).filter(|_| name.ends_with("_ms"))?;
    Some(format!("it is in milliseconds: write {millis}"))
}

/// A bound of a number with a fraction is written `0.0` in the schema; people write 0.
fn bound(limit: &Value) -> String {
    let text = limit.to_string();
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// JSON Schema calls `1000.0` a whole number; the types do not.
pub(crate) fn not_whole(pointer: &str, value: &Value) -> Problem {
    Problem::new(pointer, format!("{} must be a whole number, not {value}", name(pointer)))
        .help("write it without a fraction or an exponent")
        .code("wrong-type")
}

fn described(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => "nothing",
        JsonType::Number => "a number",
        JsonType::Object => "a mapping",
        JsonType::String => "text",
    }
}

/// What people call the place: the key, or the key of the list that it stands in.
fn name(pointer: &str) -> String {
    let mut indexes = String::new();
    for token in pointer.rsplit('/') {
        if token.parse::<usize>().is_err() {
            let key = token.replace("~1", "/").replace("~0", "~");
            return if key.is_empty() {
                "the document".to_owned()
            } else {
                format!("{}{indexes}", cut(&key).escape_debug())
            };
        }
        indexes.insert_str(0, &format!("[{token}]"));
    }
    "the document".to_owned()
}

fn quoted_value(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

/// Text of a document in a message: cut, and without anything that a terminal would obey.
pub(crate) fn quoted(text: &str) -> String {
    format!("{:?}", cut(text))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
