use flyball_json::{ItemLimits, Json, Object, OverLimit};
use serde_json::Value;

use crate::path::{FieldPath, kind};

/// A value in whose texts `{{path}}` stands for what a body holds there. A text that is nothing but one `{{path}}`
/// becomes that value, whatever its type; anywhere else it is written as text.
#[derive(Debug, Clone)]
pub(crate) enum Template {
    Constant(Json),
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
                    Self::Constant(written.into())
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
                    Self::Constant(written.into())
                } else {
                    Self::Object(parts)
                }
            }
            other => Self::Constant(other.into()),
        })
    }

    fn text(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, from)) = rest.split_once("{{") {
            let (path, after) = from.split_once("}}").ok_or_else(|| {
                format!("\"{}\" opens {{{{ without closing it; close it with }}}}", begun(from))
            })?;
            if !before.is_empty() {
                parts.push(Part::Literal(before.to_owned()));
            }
            let field = path.trim().parse().map_err(|error| format!("in \"{{{{{path}}}}}\": {error}"))?;
            parts.push(Part::Field(field));
            rest = after;
        }
        if parts.is_empty() {
            return Ok(Self::Constant(text.into()));
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

    /// Filled from a body. The error names the path that leads nowhere, or the limit that what is made is beyond.
    pub(crate) fn fill(&self, body: &Json, missing: Missing, limits: &ItemLimits) -> Result<Json, String> {
        Filling { body, missing, limits, room: limits.decoded }.fill(self)
    }
}

/// One body on its way into a template. What is copied is counted before it is: a template may name a body many times.
struct Filling<'a> {
    body: &'a Json,
    missing: Missing,
    limits: &'a ItemLimits,
    room: usize,
}

impl<'a> Filling<'a> {
    fn fill(&mut self, template: &Template) -> Result<Json, String> {
        Ok(match template {
            Template::Constant(value) => value.clone(),
            Template::Copy(path) => {
                let found = self.look(path)?.unwrap_or(&Json::Null);
                let size = self.limits.check(found).map_err(beyond)?;
                self.take(size.decoded)?;
                found.clone()
            }
            Template::Text(parts) => self.write(parts)?,
            Template::List(parts) => {
                Json::List(parts.iter().map(|part| self.fill(part)).collect::<Result<_, _>>()?)
            }
            Template::Object(parts) => {
                let fields = parts.iter().map(|(key, part)| Ok((key.as_str(), self.fill(part)?)));
                Json::Object(fields.collect::<Result<Object, String>>()?)
            }
        })
    }

    fn take(&mut self, bytes: usize) -> Result<(), String> {
        let limit = self.limits.decoded;
        self.room = self.room.checked_sub(bytes).ok_or_else(|| beyond(OverLimit::Decoded { limit }))?;
        Ok(())
    }

    fn look(&self, path: &FieldPath) -> Result<Option<&'a Json>, String> {
        match (path.get(self.body), self.missing) {
            (None, Missing::Fails) => Err(format!("the item ({}) has no \"{path}\"", kind(self.body))),
            (found, _) => Ok(found),
        }
    }

    /// A text as it is, null as nothing, anything else as JSON.
    fn write(&mut self, parts: &[Part]) -> Result<Json, String> {
        use std::fmt::Write;
        let mut text = String::with_capacity(64);
        for part in parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Field(path) => match self.look(path)? {
                    None | Some(Json::Null) => {}
                    Some(found) => {
                        self.take(self.limits.check(found).map_err(beyond)?.encoded)?;
                        match found {
                            Json::Text(inner) => text.push_str(inner),
                            // Writing to a String does not fail.
                            other => drop(write!(text, "{other}")),
                        }
                    }
                },
            }
        }
        Ok(text.into())
    }
}

fn beyond(limit: OverLimit) -> String {
    format!("what the template makes is too large for an item: {limit}")
}

/// The first word behind an opening, which is to be found by it: the text around it may hold a secret.
fn begun(behind: &str) -> String {
    let word = behind.split_whitespace().next().unwrap_or_default();
    format!("{{{{{}", word.chars().take(20).collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fill(template: Value, body: Value) -> Result<Value, String> {
        let filled = Template::new(&template)?.fill(&body.into(), Missing::Fails, &ItemLimits::default())?;
        Ok(serde_json::from_str(&filled.to_string()).unwrap())
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
        let empty = Json::Object(Object::new());
        let limits = ItemLimits::default();
        assert_eq!(template.fill(&empty, Missing::IsNull, &limits), Ok(json!([null, "xy"]).into()));
        assert_eq!(
            template.fill(&empty, Missing::Fails, &limits),
            Err("the item (an object) has no \"a\"".to_owned())
        );
    }

    #[test]
    fn a_template_that_names_a_body_often_makes_no_more_than_an_item_may_be() {
        let limits = ItemLimits { decoded: 10_000, ..ItemLimits::default() };
        let body = Json::List(vec![Json::Null; 100]);
        for many in [json!(vec!["{{.}}"; 50]), json!("{{.}} ".repeat(50))] {
            let error = Template::new(&many).unwrap().fill(&body, Missing::Fails, &limits).unwrap_err();
            assert!(error.starts_with("what the template makes is too large for an item"), "{error}");
        }
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
