use flyball_json::{ItemLimits, Json};
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Each, NodeConfig, Transform, failed, field, text_at};
use crate::path::{FieldPath, kind};
use crate::{Processed, Processor};

/// Splits a text into words: a word is a longest run of characters that are alphanumeric in Unicode
/// (`char::is_alphanumeric`). The item is given the fields `tokens` (the words, in their order) and `count`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tokenise {
    /// Where the text is.
    #[serde(default = "text")]
    field: String,
    /// Whether each word is written in lower case (by Unicode, `str::to_lowercase`).
    #[serde(default = "yes")]
    lowercase: bool,
}

fn text() -> String {
    "text".to_owned()
}

fn yes() -> bool {
    true
}

impl NodeConfig for Tokenise {
    fn build(self, _: &ItemLimits) -> Result<Box<dyn Processor>, Problem> {
        Ok(Each::boxed(Tokeniser { path: field("field", &self.field)?, lowercase: self.lowercase }))
    }
}

struct Tokeniser {
    path: FieldPath,
    lowercase: bool,
}

impl Transform for Tokeniser {
    fn transform(&self, body: &Json) -> Processed {
        let Json::Object(fields) = body else {
            return Err(failed(format!("the item is {}, not an object with a text", kind(body))));
        };
        let tokens: Vec<Json> = text_at(&self.path, body)?
            .split(|character: char| !character.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(|word| if self.lowercase { word.to_lowercase().into() } else { word.into() })
            .collect();
        let mut fields = fields.clone();
        fields.insert("count", tokens.len() as u64);
        fields.insert("tokens", tokens);
        Ok(vec![Json::Object(fields)])
    }
}
