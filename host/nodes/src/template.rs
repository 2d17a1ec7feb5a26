use serde_json::{Map, Value};

use crate::path::{FieldPath, kind};

/// A value in whose texts `{{path}}` stands for what a body holds there. A text that is nothing but one `{{path}}`
/// becomes that value, whatever its type; anywhere else it is written as text.
#[derive(Debug, Clone)]
pub(crate) enum Template {
    Constant(Value),
    Copy(FieldPath),
    Text(Vec<Part>),
    List(Vec<Template>),
    Object(Vec<(String, Template)>),
}

#[derive(Debug, Clone)]
pub(crate) enum Part {
    Literal(String),
    Field(FieldPath),
}

/// What a path that leads nowhere stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Fails,
    IsNull,
}

impl Template {
    /// The error says what is wrong with which text.
    pub(crate) fn new(written: &Value) -> Result<Self, String> {
        Ok(match written {
            Value::String(text) => Self::text(text)?,
            Value::Array(list) => {
                let parts: Vec<Self> = list.iter().map(Self::new).collect::<Result<_, _>>()?;
                if parts.iter().all(Self::is_constant) {
                    Self::Constant(written.clone())
                } else {
                    Self::List(parts)
                }
            }
            Value::Object(map) => {
                let parts: Vec<(String, Self)> = map
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), Self::new(value)?)))
                    .collect::<Result<_, String>>()?;
                if parts.iter().all(|(_, part)| part.is_constant()) {
                    Self::Constant(written.clone())
                } else {
                    Self::Object(parts)
                }
            }
            other => Self::Constant(other.clone()),
        })
    }

    fn text(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, from)) = rest.split_once("{{") {
            let (path, after) = from
                .split_once("}}")
                .ok_or_else(|| format!("\"{text}\" opens {{{{ without closing it; close it with }}}}"))?;
            if !before.is_empty() {
                parts.push(Part::Literal(before.to_owned()));
            }
            parts.push(Part::Field(path.trim().parse().map_err(|error| format!("in \"{text}\": {error}"))?));
            rest = after;
        }
        if parts.is_empty() {
            return Ok(Self::Constant(Value::String(text.to_owned())));
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(match parts.as_slice() {
            [Part::Field(path)] => Self::Copy(path.clone()),
            _ => Self::Text(parts),
        })
    }

    fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_))
    }

    /// Filled from a body. The error names the path that leads nowhere.
    pub(crate) fn fill(&self, body: &Value, missing: Missing) -> Result<Value, String> {
        Ok(match self {
            Self::Constant(value) => value.clone(),
            Self::Copy(path) => look(path, body, missing)?.cloned().unwrap_or(Value::Null),
            Self::Text(parts) => {
                let mut text = String::with_capacity(64);
                for part in parts {
                    match part {
                        Part::Literal(literal) => text.push_str(literal),
                        Part::Field(path) => write(&mut text, look(path, body, missing)?),
                    }
                }
                Value::String(text)
            }
            Self::List(parts) => {
                Value::Array(parts.iter().map(|part| part.fill(body, missing)).collect::<Result<_, _>>()?)
            }
            Self::Object(parts) => {
                let mut map = Map::new();
                for (key, part) in parts {
                    map.insert(key.clone(), part.fill(body, missing)?);
                }
                Value::Object(map)
            }
        })
    }
}

fn look<'a>(path: &FieldPath, body: &'a Value, missing: Missing) -> Result<Option<&'a Value>, String> {
    match (path.get(body), missing) {
        (None, Missing::Fails) => Err(format!("the item ({}) has no \"{path}\"", kind(body))),
        (found, _) => Ok(found),
    }
}

/// A text as it is, null as nothing, anything else as JSON.
fn write(text: &mut String, value: Option<&Value>) {
    use std::fmt::Write;
    match value {
        None | Some(Value::Null) => {}
        Some(Value::String(inner)) => text.push_str(inner),
        // Writing to a String does not fail.
        Some(other) => drop(write!(text, "{other}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fill(template: Value, body: Value) -> Result<Value, String> {
        Template::new(&template)?.fill(&body, Missing::Fails)
    }

    #[test]
    fn a_lone_path_keeps_its_type_and_a_path_in_a_text_is_written() {
        let body = json!({"user": {"name": "Ada", "tags": [1, 2]}, "n": 1.5});
        assert_eq!(
            fill(
                json!({"who": "{{user.name}}", "tags": "{{ user.tags }}", "say": "<{{n}}|{{user.tags}}>"}),
                body
            ),
            Ok(json!({"who": "Ada", "tags": [1, 2], "say": "<1.5|[1,2]>"}))
        );
    }

    #[test]
    fn a_path_that_leads_nowhere_fails_or_is_null_as_asked() {
        let template = Template::new(&json!(["{{a}}", "x{{a}}y"])).unwrap();
        assert_eq!(template.fill(&json!({}), Missing::IsNull), Ok(json!([null, "xy"])));
        assert_eq!(
            template.fill(&json!({}), Missing::Fails),
            Err("the item (an object) has no \"a\"".to_owned())
        );
    }

    #[test]
    fn an_open_brace_pair_is_refused() {
        let error = Template::new(&json!({"a": "{{x"})).unwrap_err();
        assert_eq!(error, "\"{{x\" opens {{ without closing it; close it with }}");
        assert!(Template::new(&json!("{{a..b}}")).is_err());
    }

    proptest! {
        #[test]
        fn text_without_a_brace_pair_is_given_out_as_it_is(text in "[^{}]{0,40}") {
            prop_assert_eq!(fill(json!(text.clone()), json!(null)), Ok(json!(text)));
        }

        #[test]
        fn any_text_either_compiles_or_is_refused_and_never_panics(text in "[a-c{}./ ]{0,24}") {
            let _ = fill(json!(text), json!({"a": {"b": 1}, "c": [2]}));
        }

        #[test]
        fn a_written_field_stands_between_its_neighbours(before in "[^{}]{0,9}", inner in ".{0,9}", after in "[^{}]{1,9}") {
            let filled = fill(json!(format!("{before}{{{{x}}}}{after}")), json!({"x": inner}));
            prop_assert_eq!(filled, Ok(json!(format!("{before}{inner}{after}"))));
        }
    }
}
