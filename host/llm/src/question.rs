use std::fmt;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

use crate::LlmLimits;
use crate::error::{Fault, Kind};

/// What a plugin wants to know.
#[derive(Clone, Default)]
pub struct Question {
    /// What the model is to be and to keep to.
    pub system: String,
    /// What it is asked.
    pub user: String,
    /// The JSON Schema of the answer, which is an object. None: text.
    pub schema: Option<Value>,
    /// The same schema, compiled by whoever knows that it can be evaluated in short time; an answer that it does not
    /// allow is an error. None: any object is an answer.
    pub validator: Option<Arc<Validator>>,
    /// The longest answer, in tokens.
    pub max_tokens: u32,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("system", &self.system)
            .field("user", &self.user)
            .field("schema", &self.schema)
            .field("max_tokens", &self.max_tokens)
            .finish_non_exhaustive()
    }
}

impl Question {
    pub(crate) fn check(&self, limits: &LlmLimits) -> Result<(), Fault> {
        let wrong = |why: String| Err(Fault::new(Kind::Question, why));
        if self.user.trim().is_empty() {
            return wrong("the question has no user text".to_owned());
        }
        if self.max_tokens == 0 || self.max_tokens > limits.output_tokens {
            let most = limits.output_tokens;
            return wrong(format!(
                "the question asks for {} output tokens, and may for 1 to {most} (`limits.output_tokens`)",
                self.max_tokens
            ));
        }
        if let Some(schema) = &self.schema
            && schema.get("type").and_then(Value::as_str) != Some("object")
        {
            return wrong(
                "the schema of the answer has no \"type\": \"object\", as providers want".to_owned(),
            );
        }
        Ok(())
    }

    /// Whether a text of the question's size may be sent.
    pub(crate) fn check_size(body: &str, limits: &LlmLimits) -> Result<(), Fault> {
        let most = limits.question_kb.saturating_mul(1 << 10);
        if u64::try_from(body.len()).unwrap_or(u64::MAX) > most {
            let cause =
                format!("the question has more than {} KiB (`limits.question_kb`)", limits.question_kb);
            return Err(Fault::new(Kind::TooLarge, cause));
        }
        Ok(())
    }
}
