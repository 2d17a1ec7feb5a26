use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Each, NodeConfig, Transform, failed, field, text_at};
use crate::path::FieldPath;
use crate::{Processed, Processor};

/// Reads a text as JSON.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParseJson {
    /// Where the text is; it is replaced by what it says. By default the whole item is the text.
    field: Option<String>,
}

impl NodeConfig for ParseJson {
    fn build(self) -> Result<Box<dyn Processor>, Problem> {
        let path = self.field.map_or_else(|| Ok(FieldPath::whole()), |path| field("field", &path))?;
        Ok(Each::boxed(Parser(path)))
    }
}

struct Parser(FieldPath);

impl Transform for Parser {
    fn transform(&self, body: &Value) -> Processed {
        let text = text_at(&self.0, body)?;
        let parsed: Value =
            serde_json::from_str(text).map_err(|error| failed(format!("not JSON: {error}")))?;
        if body.is_string() {
            return Ok(vec![parsed]);
        }
        let mut body = body.clone();
        self.0.set(&mut body, parsed).map_err(failed)?;
        Ok(vec![body])
    }
}
