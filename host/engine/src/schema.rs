//! A plugin's schema of its settings. The host itself evaluates it, without the limits of a call, so it must not be able
//! to say in a few bytes what takes for ever: definitions that hold each other twice, or themselves; patterns that
//! backtrack or swell.

use std::collections::HashMap;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// What a schema may hold, each reference counted as what it refers to.
const MOST: u64 = 10_000;

/// How deep it may nest, on the way through references too.
const DEEPEST: usize = 128;

/// A pattern counts as much as so many plain parts.
const PATTERN: u64 = 50;

/// A compiled pattern, in bytes; what it keeps while it is matched is bounded by the same.
const LARGEST_PATTERN: usize = 256 << 10;

/// Compiles it, or says why not.
pub(crate) fn compiled(schema: &Value) -> Result<Validator, String> {
    let mut weighing = Weighing { root: schema, known: HashMap::new(), open: vec!["#"] };
    weighing.of(schema, 0)?;
    // Of the two engines it is the one that never backtracks.
    let patterns = PatternOptions::regex().size_limit(LARGEST_PATTERN).dfa_size_limit(LARGEST_PATTERN);
    jsonschema::options()
        .with_pattern_options(patterns)
        .build(schema)
        .map_err(|error| format!("is not a JSON Schema: {error}"))
}

struct Weighing<'a> {
    root: &'a Value,
    known: HashMap<&'a str, u64>,
    open: Vec<&'a str>,
}

impl<'a> Weighing<'a> {
    fn of(&mut self, schema: &'a Value, depth: usize) -> Result<u64, String> {
        if depth > DEEPEST {
            return Err(format!("nests deeper than {DEEPEST}"));
        }
        let mut weight = 1_u64;
        match schema {
            Value::Object(entries) => {
                for (key, value) in entries {
                    weight = weight.saturating_add(self.entry(key, value, depth)?);
                }
            }
            Value::Array(items) => {
                for item in items {
                    weight = weight.saturating_add(self.of(item, depth + 1)?);
                }
            }
            _ => {}
        }
        if weight > MOST {
            return Err(format!("has more than {MOST} parts, each reference counted as what it refers to"));
        }
        Ok(weight)
    }

    fn entry(&mut self, key: &str, value: &'a Value, depth: usize) -> Result<u64, String> {
        match (key, value) {
            ("$ref", Value::String(to)) => self.referred(to, depth),
            ("$id", Value::String(_)) if depth > 0 => {
                Err("has an $id within; only the whole may have one".to_owned())
            }
            ("$anchor" | "$dynamicAnchor" | "$dynamicRef" | "$recursiveRef", Value::String(_)) => {
                Err(format!("uses {key}; refer by \"#/$defs/NAME\""))
            }
            ("pattern", Value::String(_)) => Ok(PATTERN),
            ("patternProperties", Value::Object(patterns)) => {
                let count = u64::try_from(patterns.len()).unwrap_or(u64::MAX);
                Ok(self.of(value, depth + 1)?.saturating_add(count.saturating_mul(PATTERN)))
            }
            _ => self.of(value, depth + 1),
        }
    }

    fn referred(&mut self, to: &'a str, depth: usize) -> Result<u64, String> {
        if let Some(known) = self.known.get(to) {
            return Ok(*known);
        }
        if self.open.contains(&to) {
            return Err(format!("holds itself, by $ref {to:?}"));
        }
        let root = self.root;
        let Some(target) = to.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) else {
            return Err(format!("refers to {to:?}, which is not in it"));
        };
        self.open.push(to);
        let weight = self.of(target, depth + 1)?;
        self.open.pop();
        self.known.insert(to, weight);
        Ok(weight)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn definitions_that_are_used_twice_are_a_schema_like_any_other() {
        let schema = json!({
            "properties": { "a": { "$ref": "#/$defs/share" }, "b": { "$ref": "#/$defs/share" }, "$id": { "type": "string" } },
            "$defs": { "share": { "type": "number", "maximum": 1 } },
        });
        let schema = compiled(&schema).unwrap();
        assert!(schema.is_valid(&json!({ "a": 0.5, "b": 1 })));
        assert!(!schema.is_valid(&json!({ "a": 2 })));
    }

    #[test]
    fn a_way_round_the_count_is_refused() {
        for (schema, why) in [
            (json!({ "$ref": "#" }), "holds itself"),
            (
                json!({ "$ref": "#/$defs/a", "$defs": { "a": { "not": { "$ref": "#/$defs/a" } } } }),
                "holds itself",
            ),
            (json!({ "$ref": "#/%24defs/a", "$defs": { "a": {} } }), "not in it"),
            (json!({ "$ref": "other.json" }), "not in it"),
            (json!({ "allOf": [{ "$id": "http://x/y", "$ref": "#" }] }), "$id within"),
            (json!({ "$defs": { "a": { "$anchor": "a" } } }), "uses $anchor"),
            (json!({ "$dynamicRef": "#a" }), "uses $dynamicRef"),
        ] {
            let said = compiled(&schema).unwrap_err();
            assert!(said.contains(why), "{schema}: {said}");
        }
    }

    #[test]
    fn a_chain_of_references_is_as_deep_as_what_it_leads_through() {
        let mut definitions = serde_json::Map::new();
        for n in 0..5_000 {
            definitions.insert(format!("d{n}"), json!({ "$ref": format!("#/$defs/d{}", n + 1) }));
        }
        definitions.insert("d5000".to_owned(), json!({}));
        let said = compiled(&json!({ "$ref": "#/$defs/d0", "$defs": definitions })).unwrap_err();
        assert!(said.contains("deeper"), "{said}");
    }
}
