use std::sync::LazyLock;

use flyball_model::{Manifest, Policy};
use schemars::JsonSchema;
use serde_json::{Value, json};

static POLICY: LazyLock<Value> = LazyLock::new(|| of::<Policy>("Flyball policy"));
static MANIFEST: LazyLock<Value> = LazyLock::new(|| of::<Manifest>("Flyball manifest"));

/// The JSON Schema (2020-12) of a policy.
pub fn policy_schema() -> Value {
    POLICY.clone()
}

/// The JSON Schema (2020-12) of a manifest.
pub fn manifest_schema() -> Value {
    MANIFEST.clone()
}

pub(crate) fn policy() -> &'static Value {
    &POLICY
}

pub(crate) fn manifest() -> &'static Value {
    &MANIFEST
}

/// The JSON Schema (2020-12) of a document of this type.
pub fn of<T: JsonSchema>(title: &str) -> Value {
    let mut schema = schemars::schema_for!(T).to_value();
    bound_whole_numbers(&mut schema);
    spell_read_only_both_ways(&mut schema);
    if let Value::Object(entries) = &mut schema {
        entries.insert("title".to_owned(), json!(title));
    }
    schema
}

/// The type also reads `readonly`, of which its derived schema does not know.
fn spell_read_only_both_ways(schema: &mut Value) {
    if let Some(Value::Array(levels)) = schema.pointer_mut("/$defs/MutationPolicy/oneOf") {
        levels
            .push(json!({ "const": "readonly", "type": "string", "description": "The same as read-only." }));
    }
}

/// `format` is only a remark in JSON Schema; without a maximum a number too large for its type would be found last.
fn bound_whole_numbers(schema: &mut Value) {
    match schema {
        Value::Object(entries) => {
            let limit = match entries.get("format").and_then(Value::as_str) {
                Some("uint32") => Some(json!(u32::MAX)),
                Some("uint64") => Some(json!(u64::MAX)),
                _ => None,
            };
            if let Some(limit) = limit {
                entries.entry("maximum").or_insert(limit);
            }
            entries.values_mut().for_each(bound_whole_numbers);
        }
        Value::Array(items) => items.iter_mut().for_each(bound_whole_numbers),
        _ => {}
    }
}
