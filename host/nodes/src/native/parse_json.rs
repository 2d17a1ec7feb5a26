use flyball_json::{ItemLimits, Json, JsonError};
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Each, NodeConfig, Transform, failed, field, text_at};
use crate::path::FieldPath;
use crate::{Processed, Processor};

/// Reads a text as JSON. An item that is a blank line is filtered: between lines of JSON it says nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParseJson {
    /// Where the text is; it is replaced by what it says. By default the whole item is the text.
    field: Option<String>,
}

impl NodeConfig for ParseJson {
    fn build(self, limits: &ItemLimits) -> Result<Box<dyn Processor>, Problem> {
        let path = self.field.map_or_else(|| Ok(FieldPath::whole()), |path| field("field", &path))?;
        Ok(Each::boxed(Parser { path, limits: *limits }))
    }
}

struct Parser {
    path: FieldPath,
    limits: ItemLimits,
}

impl Transform for Parser {
    fn transform(&self, body: &Json) -> Processed {
        let text = text_at(&self.path, body)?;
        // Some programs begin a file with a mark of its byte order, which is no part of the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if body.as_str().is_some() && text.trim_ascii().is_empty() {
            return Ok(Vec::new());
        }
        let parsed = Json::read(text.as_bytes(), &self.limits).map_err(|error| match error {
            JsonError::Syntax { .. } => failed(format!("not JSON: {error}")),
            _ => failed(format!("the JSON is no item: {error}")),
        })?;
        if body.as_str().is_some() {
            return Ok(vec![parsed]);
        }
        let mut body = body.clone();
        self.path.set(&mut body, parsed).map_err(failed)?;
        Ok(vec![body])
    }
}
