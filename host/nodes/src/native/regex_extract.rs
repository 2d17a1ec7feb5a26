use flyball_json::{ItemLimits, Json, Object};
use flyball_model::Problem;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Each, NodeConfig, Transform, failed, field, text_at};
use crate::path::{FieldPath, kind};
use crate::{Processed, Processor};

/// Takes named groups of a pattern out of a text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegexExtract {
    /// With named groups: `(?<status>\d+) (?<path>\S+)`. Each group becomes a field of the item.
    pattern: String,
    /// Where the text is. By default the whole item is the text, and the groups become the whole item.
    field: Option<String>,
    /// What becomes of an item whose text the pattern does not match.
    #[serde(default)]
    on_mismatch: OnMismatch,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum OnMismatch {
    #[default]
    Fail,
    Filter,
    Pass,
}

impl NodeConfig for RegexExtract {
    fn build(self, _: &ItemLimits) -> Result<Box<dyn Processor>, Problem> {
        let pattern = Regex::new(&self.pattern).map_err(|error| {
            Problem::new("/pattern", format!("the pattern is no regular expression: {error}"))
        })?;
        let groups: Vec<(usize, String)> = pattern
            .capture_names()
            .enumerate()
            .filter_map(|(number, name)| Some((number, name?.to_owned())))
            .collect();
        if groups.is_empty() {
            return Err(Problem::new("/pattern", "the pattern has no named group")
                .help("name what is to be taken out: (?<status>\\d+)"));
        }
        let path = self.field.map_or_else(|| Ok(FieldPath::whole()), |path| field("field", &path))?;
        Ok(Each::boxed(Extractor { pattern, groups, path, on_mismatch: self.on_mismatch }))
    }
}

struct Extractor {
    pattern: Regex,
    groups: Vec<(usize, String)>,
    path: FieldPath,
    on_mismatch: OnMismatch,
}

impl Transform for Extractor {
    fn transform(&self, body: &Json) -> Processed {
        let Some(found) = self.pattern.captures(text_at(&self.path, body)?) else {
            return match self.on_mismatch {
                OnMismatch::Fail => Err(failed(format!("\"{}\" does not match the pattern", self.path))),
                OnMismatch::Filter => Ok(Vec::new()),
                OnMismatch::Pass => Ok(vec![body.clone()]),
            };
        };
        let mut fields = match body {
            Json::Object(object) => object.clone(),
            Json::Text(_) => Object::new(),
            other => return Err(failed(format!("the item is {}: it takes no fields", kind(other)))),
        };
        for (number, name) in &self.groups {
            if let Some(group) = found.get(*number) {
                fields.insert(name.as_str(), group.as_str());
            }
        }
        Ok(vec![Json::Object(fields)])
    }
}
