use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Decimal, Prices};

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelAnswer {
    /// What it says.
    pub content: Content,
    /// Why it ended.
    pub stop: Stop,
    /// What it took. None: the server does not tell.
    pub tokens: Option<Tokens>,
    /// What it cost now: nothing, if it was given before. None: the policy knows no prices, or the server tells no
    /// tokens.
    pub cost: Option<Decimal>,
    /// The provider's name for it, for whoever asks the provider about it.
    pub request_id: Option<String>,
    /// How often it was asked; 0: it was known.
    pub tries: u32,
}

/// What a model says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// An object, as a form was asked for.
    Json(Value),
    /// Text, as none was.
    Text(String),
}

impl Content {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Json(value) => value.to_string().len(),
            Self::Text(text) => text.len(),
        }
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// It was at its end.
    End,
    /// The tool was called.
    Tool,
    /// It was as long as it may be.
    Limit,
    /// A filter, or the model itself, would not say it.
    Filter,
    /// Something else, in the provider's words.
    Other(String),
}

/// What a question and its answer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tokens {
    /// The question, what the provider had in its cache included.
    pub input: u64,
    /// The answer, and what was thought for it.
    pub output: u64,
    /// Of the question, what the provider had in its cache.
    pub cached: u64,
}

impl Tokens {
    /// Question and answer.
    pub const fn all(self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// What they cost.
    pub fn cost(self, prices: &Prices) -> Decimal {
        let cached = self.cached.min(self.input);
        let fine = prices
            .input
            .of_tokens(self.input.saturating_sub(cached))
            .saturating_add(prices.cached_input.unwrap_or(prices.input).of_tokens(cached))
            .saturating_add(prices.output.of_tokens(self.output));
        Decimal::from_fine(fine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cached_has_its_own_price() {
        let prices = Prices {
            input: Decimal::millionths(3_000_000),
            output: Decimal::millionths(15_000_000),
            cached_input: Some(Decimal::millionths(300_000)),
        };
        let tokens = Tokens { input: 1_000, output: 100, cached: 600 };
        assert_eq!(tokens.cost(&prices), Decimal::millionths(400 * 3 + 100 * 15 + 180));
        let none = Prices { cached_input: None, ..prices };
        assert_eq!(tokens.cost(&none), Decimal::millionths(1_000 * 3 + 100 * 15));
    }
}
