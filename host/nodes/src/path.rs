use std::fmt;
use std::str::FromStr;

use flyball_json::Json;

/// Where something is in a body: a JSON Pointer (`/user/name`) or dotted (`user.name`); `.` is the whole body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldPath {
    written: String,
    steps: Vec<String>,
}

/// A path that cannot be one.
#[derive(Debug, thiserror::Error)]
#[error(
    "\"{0}\" is no path to a field; write it like \"user.name\" or \"/user/name\", or \".\" for the whole"
)]
pub(crate) struct BadPath(String);

impl FromStr for FieldPath {
    type Err = BadPath;

    fn from_str(written: &str) -> Result<Self, BadPath> {
        let steps: Vec<String> = if written == "." {
            Vec::new()
        } else if let Some(pointer) = written.strip_prefix('/') {
            pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
        } else {
            let steps: Vec<String> = written.split('.').map(str::to_owned).collect();
            if steps.iter().any(String::is_empty) {
                return Err(BadPath(written.to_owned()));
            }
            steps
        };
        Ok(Self { written: written.to_owned(), steps })
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.written)
    }
}

impl FieldPath {
    /// The whole body.
    pub(crate) fn whole() -> Self {
        Self { written: ".".to_owned(), steps: Vec::new() }
    }

    /// What is there. A list's elements are reached by their number.
    pub(crate) fn get<'a>(&self, body: &'a Json) -> Option<&'a Json> {
        self.steps.iter().try_fold(body, |at, step| match at {
            Json::Object(object) => object.get(step),
            Json::List(list) => list.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Puts it there; objects that are missing on the way are made. The error says what is in the way.
    pub(crate) fn set(&self, body: &mut Json, new: Json) -> Result<(), String> {
        let mut at = body;
        for step in &self.steps {
            let next = match at {
                Json::Object(object) => object.entry(step),
                Json::List(list) => {
                    step.parse::<usize>().ok().and_then(|index| list.get_mut(index)).ok_or_else(|| {
                        format!("cannot put anything at \"{self}\": the list has no element {step}")
                    })?
                }
                other => {
                    return Err(format!(
                        "cannot put anything at \"{self}\": there is {} in the way",
                        kind(other)
                    ));
                }
            };
            at = next;
        }
        *at = new;
        Ok(())
    }
}

/// What a value is, for a sentence.
pub(crate) fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::Text(_) => "a text",
        Json::List(_) => "a list",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dotted_path_and_a_pointer_reach_the_same() {
        let body = Json::from(json!({"a": {"b": [1, {"c": 2}]}, "x.y": 3, "": 4}));
        let at = |path: &str| path.parse::<FieldPath>().unwrap().get(&body).cloned();
        assert_eq!(at("a.b.1.c"), Some(Json::from(json!(2))));
        assert_eq!(at("/a/b/1/c"), Some(Json::from(json!(2))));
        assert_eq!(at("/x.y"), Some(Json::from(json!(3))));
        assert_eq!(at("/"), Some(Json::from(json!(4))));
        assert_eq!(at("."), Some(body.clone()));
        assert_eq!(at("a.b.9"), None);
        assert_eq!(at("a.b.c"), None);
    }

    #[test]
    fn an_empty_step_is_refused_with_a_next_step() {
        let error = "a..b".parse::<FieldPath>().unwrap_err().to_string();
        assert!(error.contains("user.name"), "{error}");
        assert!("".parse::<FieldPath>().is_err());
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let path: FieldPath = "a.b".parse().unwrap();
        let mut body = Json::from(json!({"a": 5}));
        assert_eq!(
            path.set(&mut body, json!(1).into()).unwrap_err(),
            "cannot put anything at \"a.b\": there is a number in the way"
        );
        assert_eq!(body, json!({"a": 5}));
    }

    proptest! {
        #[test]
        fn what_is_set_is_read_again(steps in prop::collection::vec("[a-z~/]{1,4}", 1..4), number: i64) {
            let pointer: String =
                steps.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect();
            let path: FieldPath = pointer.parse().unwrap();
            let mut body = Json::from(json!({}));
            let number = Json::from(json!(number));
            path.set(&mut body, number.clone()).unwrap();
            prop_assert_eq!(path.get(&body), Some(&number));
            prop_assert_eq!(body.pointer(&pointer), Some(&number));
        }
    }
}
