use flyball_model::{NodeType, Problem, SecretNames, mask_plainly};
use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use crate::catalog::definition;

/// What is wrong with the configuration of a built-in node type: nothing, when it can be used. Pointers are relative to
/// the configuration. Nothing outside is touched: a file that is missing shows when the pipeline starts.
pub fn check_config(node_type: &str, config: &Value) -> Vec<Problem> {
    let Some(definition) = definition(node_type) else {
        let problem = Problem::new("", format!("unknown node type \"{node_type}\""));
        let names = crate::catalog::names();
        return vec![match nearest(node_type, names) {
            Some(near) => problem.help(format!("did you mean \"{near}\"?")),
            None => problem,
        }];
    };
    let problems = against_schema(&definition.node_type(), config);
    if !problems.is_empty() {
        return problems;
    }
    (definition.check)(config).err().into_iter().collect()
}

/// The name that was probably meant.
pub(crate) fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(written, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn against_schema(node_type: &NodeType, config: &Value) -> Vec<Problem> {
    let Some(schema) = &node_type.config_schema else { return Vec::new() };
    // The validator says "false schema" of a key where there are no keys at all.
    if let (None, Some(map)) = (schema.get("properties"), config.as_object()) {
        return map.keys().map(|key| unknown_key("", key, &[])).collect();
    }
    match jsonschema::validator_for(schema) {
        Ok(validator) => {
            let mut masked = None;
            let problems = validator.iter_errors(config).flat_map(|error| {
                let masked = masked.get_or_insert_with(|| {
                    let mut masked = config.clone();
                    mask_plainly(&mut masked, Some(node_type), &SecretNames::default());
                    masked
                });
                problems_of(schema, masked, &error)
            });
            problems.collect()
        }
        Err(error) => vec![Problem::new("", format!("the type's own schema is invalid: {error}"))],
    }
}

/// `masked` is the configuration without its secrets: a value that is another one there is not quoted.
fn problems_of(schema: &Value, masked: &Value, error: &ValidationError<'_>) -> Vec<Problem> {
    let pointer = error.instance_path().as_str().to_owned();
    let found = error.instance();
    let shown = if masked.pointer(&pointer) == Some(found) { shown(found) } else { kind(found).to_owned() };
    let one = |message: String| vec![Problem::new(pointer.clone(), message)];
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known = known_keys(schema, error);
            unexpected.iter().map(|key| unknown_key(&pointer, key, &known)).collect()
        }
        ValidationErrorKind::Required { property } => {
            one(format!("\"{}\" is missing", property.as_str().unwrap_or_default()))
        }
        // A command or variables written as one text: the secret is somewhere in it.
        ValidationErrorKind::Type { kind: types } if wants_several(types) => {
            one(format!("this must be {}, not {}", wanted(types), kind(found)))
        }
        ValidationErrorKind::Type { kind } => one(format!("this must be {}, not {shown}", wanted(kind))),
        ValidationErrorKind::Minimum { limit } => one(format!("this must be at least {limit}, not {shown}")),
        ValidationErrorKind::Maximum { limit } => one(format!("this must be at most {limit}, not {shown}")),
        ValidationErrorKind::Enum { options } => one(format!("this must be one of {options}, not {shown}")),
        ValidationErrorKind::MinItems { limit } => {
            one(format!("this must hold at least {limit}, not {}", found.as_array().map_or(0, Vec::len)))
        }
        _ => one(error.masked_with("this").to_string()),
    }
}

fn unknown_key(pointer: &str, key: &str, known: &[&str]) -> Problem {
    let step = key.replace('~', "~0").replace('/', "~1");
    let problem = Problem::new(format!("{pointer}/{step}"), format!("unknown key \"{key}\""))
        .code("unknown-key")
        .of_key();
    match nearest(key, known.iter().copied()) {
        Some(near) => problem.help(format!("did you mean \"{near}\"?")),
        None if known.is_empty() => problem.help("there is nothing to configure here"),
        None => problem.help(format!("known are {}", known.join(", "))),
    }
}

/// The keys of the object schema that the error is about.
fn known_keys<'a>(schema: &'a Value, error: &ValidationError<'_>) -> Vec<&'a str> {
    let place = error.schema_path().as_str().trim_end_matches("/additionalProperties");
    let properties = schema.pointer(place).and_then(|object| object.get("properties"));
    properties
        .and_then(Value::as_object)
        .map(|map| map.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

fn wanted(kind: &TypeKind) -> String {
    let name = |name: &str| match name {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "an object",
        _ => "null",
    };
    match kind {
        TypeKind::Single(single) => name(single.as_str()).to_owned(),
        // An option's null is not worth a word.
        TypeKind::Multiple(several) => several
            .iter()
            .map(|single| single.as_str())
            .filter(|single| *single != "null")
            .map(name)
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

/// Whether a list or an object is wanted, which hold several values.
fn wants_several(types: &TypeKind) -> bool {
    let several = |name: &str| matches!(name, "array" | "object");
    match types {
        TypeKind::Single(single) => several(single.as_str()),
        TypeKind::Multiple(types) => types.iter().any(|single| several(single.as_str())),
    }
}

/// What can be said of any value, a secret one too.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// As JSON, but no page of it: a list or an object only as such, as it may hold what is nobody's to read.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Array(_) | Value::Object(_) => return kind(value).to_owned(),
        other => other.to_string(),
    };
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
