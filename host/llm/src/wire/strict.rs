//! Which schemas OpenAI's strict mode takes: every object closed, every property required, and nothing that composes
//! but `anyOf` (<https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>). What it does not take
//! it would refuse, so such a schema is sent without it.

use serde_json::Value;

/// What it does not know.
const UNKNOWN: [&str; 11] = [
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "prefixItems",
];

pub(super) fn takes(schema: &Value) -> bool {
    schema.get("anyOf").is_none() && all(schema)
}

fn all(schema: &Value) -> bool {
    let Value::Object(entries) = schema else { return false };
    if entries.keys().any(|name| UNKNOWN.contains(&name.as_str())) {
        return false;
    }
    let properties = entries.get("properties").and_then(Value::as_object);
    let is_object = properties.is_some() || entries.get("type").is_some_and(holds_object);
    if is_object {
        let required = entries.get("required").and_then(Value::as_array);
        let is_required =
            |name: &String| required.is_some_and(|names| names.iter().any(|one| one.as_str() == Some(name)));
        let closed = entries.get("additionalProperties") == Some(&Value::Bool(false));
        if !closed || !properties.is_some_and(|properties| properties.keys().all(is_required)) {
            return false;
        }
    }
    let members =
        |name: &str| entries.get(name).and_then(Value::as_object).into_iter().flat_map(|all| all.values());
    members("properties").chain(members("$defs")).all(all)
        && entries.get("items").is_none_or(all)
        && entries.get("anyOf").and_then(Value::as_array).is_none_or(|any| any.iter().all(all))
}

fn holds_object(kind: &Value) -> bool {
    match kind {
        Value::String(name) => name == "object",
        Value::Array(names) => names.iter().any(|name| name == "object"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_closed_schema_with_everything_required_is_strict_and_no_other() {
        let inner = json!({
            "type": "object", "properties": { "b": { "type": "string" } }, "required": ["b"], "additionalProperties": false,
        });
        let strict = json!({
            "type": "object",
            "properties": { "a": { "type": "array", "items": inner }, "c": { "anyOf": [inner, { "type": "null" }] } },
            "required": ["a", "c"],
            "additionalProperties": false,
        });
        assert!(takes(&strict));
        let without = |name: &str| {
            let mut schema = strict.clone();
            if let Some(entries) = schema.as_object_mut() {
                entries.remove(name);
            }
            schema
        };
        assert!(!takes(&without("additionalProperties")));
        assert!(!takes(&without("required")));
        assert!(!takes(&json!({ "type": "object" })), "it is open");
        assert!(!takes(&json!(true)));
        let mut deep = strict.clone();
        deep["properties"]["a"]["items"]["additionalProperties"] = json!(true);
        assert!(!takes(&deep));
        let mut composed = strict.clone();
        composed["allOf"] = json!([]);
        assert!(!takes(&composed));
    }
}
