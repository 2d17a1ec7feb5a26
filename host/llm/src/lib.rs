//! Asks language models for plugins. A plugin says what it wants to know, its policy's [`LlmGrant`] says whom it may
//! ask, how often and for how much, and the host adds model and key and sends it.
//!
//! What holds, whatever plugin and server do: a question goes to the grant's provider and nowhere else, as redirects
//! are not followed; a key goes into one header, and stands in no error, record or answer, where a server says it again
//! neither; time, bytes, tries, tokens and money are bounded; what does not answer is left alone for a while. What is
//! not held: a server that says the key in another spelling (as base64, say) gives it away to the plugin, so a key is
//! for servers that do not.

mod answer;
mod ask;
mod attempt;
mod breaker;
mod budget;
mod cache;
mod error;
mod exchange;
mod key;
mod pace;
mod pauses;
mod permit;
mod provider;
mod question;
mod send;
mod text;
mod wire;

pub use answer::{Content, ModelAnswer, Stop, Tokens};
pub use cache::Hits;
pub use error::{Kind, LlmError};
pub use exchange::{Exchanges, ModelExchange, QuestionOutcome, Try};
pub use flyball_model::{
    AnswerBy, BreakerLimits, BudgetPerHour, Budgets, CacheLimits, Decimal, LlmGrant, LlmLimits, Prices,
    Provider, TokenLimit,
};
pub use permit::Llm;
pub use question::Question;

use std::sync::Arc;

use flyball_model::Problem;

use crate::budget::Ledger;
use crate::provider::Providers;

/// What all grants of a host share: what was spent, and how each provider does.
#[derive(Debug, Clone, Default)]
pub struct Llms {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) providers: Arc<Providers>,
}

impl Llms {
    /// Nothing was asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a grant permits; its key is read now.
    ///
    /// # Errors
    ///
    /// What is wrong with the grant; pointers lead into it.
    pub fn permit(&self, grant: &LlmGrant) -> Result<Llm, Vec<Problem>> {
        Llm::new(self.clone(), grant)
    }
}
