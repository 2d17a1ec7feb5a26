//! Questions to a language model, by the grant `llm`: the policy names the model, its key and the bounds, and the host
//! asks. Importing this module's functions makes the plugin one that serves only where it is granted.
//!
//! ```
//! use flyball_plugin::json::json;
//! use flyball_plugin::llm::{self, Failure};
//! use flyball_plugin::testing::with_llm;
//!
//! fn ask() -> Result<flyball_plugin::json::Value, Failure> {
//!     let form = json!({ "type": "object", "properties": { "sure": { "type": "boolean" } }, "required": ["sure"] });
//!     llm::question("You answer in one word.", "Is it late?", 20).form(&form).ask_json()
//! }
//!
//! // In a test, the test answers.
//! assert_eq!(with_llm(|_| Ok("{\"sure\":true}".to_owned()), ask).unwrap()["sure"], true);
//! assert!(matches!(with_llm(|_| Ok("Yes!".to_owned()), ask), Err(Failure::Unfit(_))));
//! assert!(matches!(ask(), Err(Failure::Refused(_))), "nothing is granted by default");
//! ```

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString as _};

use serde_json::Value;

pub use crate::bindings::llm::{Failure, Question};

/// What the model is to be and to keep to, what it is asked, and the longest answer in tokens.
pub fn question(system: &str, user: &str, max_tokens: u32) -> Question {
    Question { system: system.to_owned(), user: user.to_owned(), schema: None, max_tokens }
}

impl Question {
    /// Wants an answer that this JSON Schema allows; it is one of an object.
    #[must_use]
    pub fn form(mut self, schema: &Value) -> Self {
        self.schema = Some(schema.to_string());
        self
    }

    /// Waits for the whole answer; the time counts as the call's.
    ///
    /// # Errors
    /// The policy does not allow it, no whole answer came, or it is not what was asked for.
    pub fn ask(&self) -> Result<String, Failure> {
        #[cfg(target_family = "wasm")]
        return crate::bindings::llm::ask(self);
        #[cfg(not(target_family = "wasm"))]
        crate::testing::model_answer(self)
    }

    /// The same, as JSON.
    ///
    /// # Errors
    /// As [`Question::ask`]; [`Failure::Unfit`] also where the answer is no JSON.
    pub fn ask_json(&self) -> Result<Value, Failure> {
        serde_json::from_str(&self.ask()?)
            .map_err(|error| Failure::Unfit(format!("the answer is no JSON: {error}")))
    }
}

impl Failure {
    /// In a sentence.
    pub fn message(&self) -> &str {
        match self {
            Self::Refused(why) | Self::Failed(why) | Self::Unfit(why) => why,
        }
    }
}
