use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Decimal, SecretSource};

/// Which language model a plugin may ask, how often, and for how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LlmGrant {
    /// Provider whose API the server speaks.
    pub provider: Provider,
    /// The model's name, as the provider knows it.
    #[schemars(length(min = 1, max = 200))]
    pub model: String,
    /// Address of the server: the part before `/v1/messages` (`anthropic`), `/chat/completions` (`openai`) or
    /// `/models/NAME:generateContent` (`gemini`). By default the provider's own. Plain `http` is allowed for this machine only,
    /// and for the hosts in `plain_http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Where the host reads the API key. The plugin never holds it. Leave it out if the server needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretSource>,
    /// How a structured answer is requested. By default `tool` for `anthropic` and `schema` for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_by: Option<AnswerBy>,
    /// Name of the field that limits the answer, for `openai`. By default `max-completion-tokens` without a `base_url`, because newer
    /// models accept nothing else, and `max-tokens` with one, because other servers may know nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_limit: Option<TokenLimit>,
    /// Sampling temperature. By default the model's own; some models accept no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Decimal>,
    /// Hosts, other than this machine, to which requests and the key may be sent over plain `http`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plain_http: Vec<String>,
    /// Prices of the provider. Without them questions count as free, and `money` in `budgets` has no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
    /// Limits of one question, and of how many are asked.
    #[serde(default)]
    pub limits: LlmLimits,
    /// Budgets per hour.
    #[serde(default)]
    pub budgets: Budgets,
    /// Circuit breaker: pauses questions to a provider that fails.
    #[serde(default)]
    pub breaker: BreakerLimits,
    /// Cache of answers to equal questions.
    #[serde(default)]
    pub cache: CacheLimits,
}

/// Provider whose API a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// Anthropic's Messages API.
    Anthropic,
    /// OpenAI's chat completions API, which llama.cpp, vLLM, Ollama and most gateways speak as well.
    Openai,
    /// Google's generateContent API.
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

/// How a structured answer is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerBy {
    /// By the provider's structured output, which constrains what the model can write.
    Schema,
    /// By a tool that the model must call; the tool's input is the answer. Anthropic's models that always think do not
    /// support this.
    Tool,
    /// By asking in words; the first JSON object in the text is the answer. For servers that support nothing
    /// else.
    Plain,
}

/// Name of the request field that limits the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenLimit {
    /// `max_tokens`
    MaxTokens,
    /// `max_completion_tokens`
    MaxCompletionTokens,
}

/// Prices of a million tokens, in one currency of your choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Price of the question's tokens.
    pub input: Decimal,
    /// Price of the answer's tokens, thinking included.
    pub output: Decimal,
    /// Price of tokens from the provider's own cache. By default that of `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Decimal>,
}

/// Limits of one question, and of how many are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LlmLimits {
    /// Time limit of one question, all tries and pauses included, in milliseconds. The rest of the call's time bounds it
    /// too.
    #[schemars(range(min = 1, max = 600_000))]
    pub time_ms: u64,
    /// Maximum size of a question, its schema included, in KiB.
    #[schemars(range(min = 1, max = 16_384))]
    pub question_kb: u64,
    /// Maximum size of an answer as the provider sends it, in KiB.
    #[schemars(range(min = 1, max = 65_536))]
    pub max_kb: u64,
    /// Maximum length of an answer, in tokens.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub output_tokens: u32,
    /// Maximum number of times that a question is sent. It is sent again if the provider is busy, fails or breaks off.
    #[schemars(range(min = 1, max = 10))]
    pub tries: u32,
    /// Pause before the second try, in milliseconds. It doubles with each further try. If the provider says how long to
    /// wait, that counts instead.
    #[schemars(range(min = 1, max = 60_000))]
    pub pause_ms: u64,
    /// Maximum number of questions to the provider at the same time. Others wait.
    #[schemars(range(min = 1, max = 1000))]
    pub at_once: u32,
    /// Maximum number of questions to the provider in any minute; each try counts. Others wait.
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

/// Budgets of any hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// Budget of all sessions of the host and all grants together.
    pub host: BudgetPerHour,
    /// Budget of each session.
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

/// Budget of any hour. What is left out is not bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetPerHour {
    /// Maximum number of tokens, questions and answers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Maximum cost, in the currency of `prices`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub money: Option<Decimal>,
}

/// Circuit breaker: pauses questions to a provider that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerLimits {
    /// Number of failures in a row after which no questions are sent; each try counts.
    #[schemars(range(min = 1))]
    pub failures: u32,
    /// Length of the pause, in milliseconds. After it one question is sent as a trial.
    #[schemars(range(min = 1))]
    pub pause_ms: u64,
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self { failures: 5, pause_ms: 30_000 }
    }
}

/// Cache of answers to equal questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheLimits {
    /// Maximum number of answers. 0 turns the cache off.
    #[schemars(range(max = 100_000))]
    pub answers: u32,
    /// Maximum size of all answers together, in KiB.
    #[schemars(range(max = 1_048_576))]
    pub max_kb: u64,
    /// Maximum age of an answer, in milliseconds.
    pub age_ms: u64,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { answers: 256, max_kb: 4_096, age_ms: 300_000 }
    }
}
