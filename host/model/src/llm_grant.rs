use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Decimal, SecretSource};

/// Which language model a plugin may ask, how often, and for how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LlmGrant {
    /// Whose interface it speaks.
    pub provider: Provider,
    /// The model's name, as the provider knows it.
    #[schemars(length(min = 1, max = 200))]
    pub model: String,
    /// Where it is asked: what comes before `/v1/messages` (`anthropic`), `/chat/completions` (`openai`) or
    /// `/models/NAME:generateContent` (`gemini`). None: the provider's own. Plain `http` is for this machine only,
    /// unless `plain_http` names the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Where the host reads the key. The plugin never holds it. None: the server asks for none, as local ones do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretSource>,
    /// How an answer of a given form is asked for. None: `tool` of `anthropic`, `schema` of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_by: Option<AnswerBy>,
    /// How `openai` is told the longest answer. None: `max-completion-tokens` where no `base_url` is given, as the
    /// newer models there take nothing else, and `max-tokens` elsewhere, as other servers may know nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_limit: Option<TokenLimit>,
    /// Sampling temperature. None: the model's own, and the only one that some models take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Decimal>,
    /// Hosts other than this machine that may be asked by plain `http`, key included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plain_http: Vec<String>,
    /// What the provider asks for. None: what is asked has no cost, and money cannot be bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
    /// What one question may use, and how many there may be at once.
    #[serde(default)]
    pub limits: LlmLimits,
    /// What may be spent in an hour.
    #[serde(default)]
    pub budgets: Budgets,
    /// When a provider that fails is left alone.
    #[serde(default)]
    pub breaker: BreakerLimits,
    /// Answers that are given again to the same question.
    #[serde(default)]
    pub cache: CacheLimits,
}

/// Whose interface a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// Anthropic's Messages.
    Anthropic,
    /// OpenAI's chat completions, which llama.cpp, vLLM, Ollama and most gateways speak as well.
    Openai,
    /// Google's generateContent.
    Gemini,
}

impl Provider {
    /// Its name in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Openai => "openai",
            Self::Gemini => "gemini",
        }
    }

    /// Where it is asked unless a policy says otherwise.
    pub const fn base_url(self) -> &'static str {
        match self {
            Self::Anthropic => "https://api.anthropic.com",
            Self::Openai => "https://api.openai.com/v1",
            Self::Gemini => "https://generativelanguage.googleapis.com/v1beta",
        }
    }

    /// How it is asked for an answer of a given form unless a policy says otherwise.
    pub const fn answer_by(self) -> AnswerBy {
        match self {
            Self::Anthropic => AnswerBy::Tool,
            Self::Openai | Self::Gemini => AnswerBy::Schema,
        }
    }
}

/// How an answer of a given form is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerBy {
    /// By the provider's own means: the model can write nothing else.
    Schema,
    /// By a tool that the model must call, whose input is the answer. Models of Anthropic that always think take no
    /// such call.
    Tool,
    /// By asking for it in words; the first object in what the model writes is the answer. For servers that know
    /// nothing else.
    Plain,
}

/// How the longest answer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenLimit {
    /// `max_tokens`
    MaxTokens,
    /// `max_completion_tokens`
    MaxCompletionTokens,
}

/// What a million tokens cost, in any one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Of the question.
    pub input: Decimal,
    /// Of the answer, and of what is thought for it.
    pub output: Decimal,
    /// Of what the provider had in its own cache. None: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Decimal>,
}

/// What one question may use, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LlmLimits {
    /// The longest that one question may take, in milliseconds, tries and pauses together; never longer than what is
    /// left of the call.
    #[schemars(range(min = 1, max = 600_000))]
    pub time_ms: u64,
    /// The largest question, its schema included, in KiB.
    #[schemars(range(min = 1, max = 16_384))]
    pub question_kb: u64,
    /// The largest answer, as the provider sends it, in KiB.
    #[schemars(range(min = 1, max = 65_536))]
    pub max_kb: u64,
    /// The longest answer that may be asked for, in tokens.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub output_tokens: u32,
    /// How often a question is sent at most, where the provider is busy, fails or breaks off.
    #[schemars(range(min = 1, max = 10))]
    pub tries: u32,
    /// The pause before the second try, in milliseconds; it doubles with each further one. Where the provider says how
    /// long to wait, that counts.
    #[schemars(range(min = 1, max = 60_000))]
    pub pause_ms: u64,
    /// Questions to the provider at one time; others wait.
    #[schemars(range(min = 1, max = 1000))]
    pub at_once: u32,
    /// Questions to the provider in any minute, each try counted; others wait.
    #[schemars(range(min = 1, max = 100_000))]
    pub per_minute: u32,
}

impl Default for LlmLimits {
    fn default() -> Self {
        Self {
            time_ms: 60_000,
            question_kb: 256,
            max_kb: 1024,
            output_tokens: 4_096,
            tries: 3,
            pause_ms: 500,
            at_once: 4,
            per_minute: 60,
        }
    }
}

/// What may be spent in any hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// By all sessions of the host and all grants together.
    pub host: BudgetPerHour,
    /// By each session.
    pub session: BudgetPerHour,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            host: BudgetPerHour { tokens: Some(2_000_000), money: None },
            session: BudgetPerHour { tokens: Some(500_000), money: None },
        }
    }
}

/// What may be spent in any hour; none: it is not bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetPerHour {
    /// Tokens of questions and answers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Money, in the currency of the prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub money: Option<Decimal>,
}

/// When a provider that fails is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerLimits {
    /// Failures in a row, each try counted.
    #[schemars(range(min = 1))]
    pub failures: u32,
    /// How long it is left alone, in milliseconds; then one question is let through to see.
    #[schemars(range(min = 1))]
    pub pause_ms: u64,
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self { failures: 5, pause_ms: 30_000 }
    }
}

/// Answers that are given again to the same question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheLimits {
    /// How many; 0: none.
    #[schemars(range(max = 100_000))]
    pub answers: u32,
    /// How large they may be together, in KiB.
    #[schemars(range(max = 1_048_576))]
    pub max_kb: u64,
    /// How old one may be, in milliseconds.
    pub age_ms: u64,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { answers: 256, max_kb: 4_096, age_ms: 300_000 }
    }
}
