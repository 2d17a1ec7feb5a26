use async_trait::async_trait;
use flyball_json::{ItemLimits, Json, Number};
use flyball_model::Problem;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{NodeConfig, field};
use crate::path::FieldPath;
use crate::{CustomMetrics, Item, Processed, Processor};

/// Keeps or drops the items of which all the given conditions hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// What the conditions are about: `user.age`, `/user/age`, or `.` for the whole item.
    field: String,
    /// The field is there and equals this. Numbers are compared by their exact value, a text that is a number too where
    /// this is a number; where this is a text, a number is compared as it is written.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Value")]
    equals: Option<Value>,
    /// The field is missing or differs from this.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Value")]
    not_equals: Option<Value>,
    /// The field is a text in which this regular expression is found.
    matches: Option<String>,
    /// The field is a number, or a text that is one, at least this.
    min: Option<serde_json::Number>,
    /// The field is a number, or a text that is one, at most this.
    max: Option<serde_json::Number>,
    /// The field is there (`true`; null counts as there) or is missing (`false`).
    exists: Option<bool>,
    /// What becomes of the items of which the conditions hold; the others fare the other way.
    #[serde(default)]
    then: Then,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Then {
    #[default]
    Keep,
    Drop,
}

/// `equals: null` is a condition too: the field is null.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

enum Condition {
    Equals(Json),
    NotEquals(Json),
    Matches(Regex),
    Min(Number),
    Max(Number),
    Exists(bool),
}

impl Condition {
    fn holds(&self, found: Option<&Json>) -> bool {
        match self {
            Self::Equals(wanted) => found.is_some_and(|found| same(found, wanted)),
            Self::NotEquals(unwanted) => !found.is_some_and(|found| same(found, unwanted)),
            Self::Matches(pattern) => found.and_then(Json::as_str).is_some_and(|text| pattern.is_match(text)),
            Self::Min(least) => found.and_then(Json::to_number).is_some_and(|number| number >= *least),
            Self::Max(most) => found.and_then(Json::to_number).is_some_and(|number| number <= *most),
            Self::Exists(wanted) => found.is_some() == *wanted,
        }
    }
}

/// `1` and `1.0` are one number, and so is the cell `1.10` of a table where it is compared with a number.
fn same(found: &Json, wanted: &Json) -> bool {
    match (found, wanted) {
        (Json::Text(text), Json::Number(wanted)) => Number::parse(text).is_some_and(|found| found == *wanted),
        (Json::Number(found), Json::Text(wanted)) => found.as_str() == wanted,
        _ => found == wanted,
    }
}

impl NodeConfig for Filter {
    fn build(self, _: &ItemLimits) -> Result<Box<dyn Processor>, Problem> {
        let path = field("field", &self.field)?;
        let pattern =
            self.matches.map(|pattern| Regex::new(&pattern)).transpose().map_err(|error| {
                Problem::new("/matches", format!("this is no regular expression: {error}"))
            })?;
        let conditions: Vec<Condition> = [
            self.exists.map(Condition::Exists),
            self.equals.map(|value| Condition::Equals(value.into())),
            self.not_equals.map(|value| Condition::NotEquals(value.into())),
            self.min.map(|least| Condition::Min((&least).into())),
            self.max.map(|most| Condition::Max((&most).into())),
            pattern.map(Condition::Matches),
        ]
        .into_iter()
        .flatten()
        .collect();
        if conditions.is_empty() {
            return Err(Problem::new("", "the filter has no condition")
                .help("give at least one of equals, not_equals, matches, min, max, exists"));
        }
        let keeps = self.then == Then::Keep;
        Ok(Box::new(Sieve {
            path,
            conditions,
            keeps,
            kept: 0,
            dropped: 0,
            metrics: CustomMetrics::default(),
        }))
    }
}

struct Sieve {
    path: FieldPath,
    conditions: Vec<Condition>,
    keeps: bool,
    kept: u64,
    dropped: u64,
    /// A filter that suddenly drops everything fails nothing and is not slow: only these two numbers show it.
    metrics: CustomMetrics,
}

impl Sieve {
    fn keeps(&self, body: &Json) -> bool {
        let found = self.path.get(body);
        self.conditions.iter().all(|condition| condition.holds(found)) == self.keeps
    }
}

#[async_trait]
impl Processor for Sieve {
    async fn process(&mut self, items: &[Item]) -> Vec<Processed> {
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            let keeps = self.keeps(&item.body);
            *(if keeps { &mut self.kept } else { &mut self.dropped }) += 1;
            answers.push(Ok(if keeps { vec![item.body.clone()] } else { Vec::new() }));
        }
        for (name, count) in [("items-kept", self.kept), ("items-dropped", self.dropped)] {
            // The names are fit, and a count is finite.
            let _ = self.metrics.set(name, count as f64);
        }
        answers
    }

    fn metrics(&self) -> Option<CustomMetrics> {
        Some(self.metrics.clone())
    }
}
