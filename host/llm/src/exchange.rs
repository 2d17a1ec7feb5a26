use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use flyball_model::UnixMillis;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{Decimal, Kind, LlmError, Provider, Stop, Tokens};

/// One question and what became of it. The key stands nowhere in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelExchange {
    /// When it was asked.
    pub at: UnixMillis,
    /// For which session.
    pub session: String,
    /// Whose interface was spoken.
    pub provider: Provider,
    /// Which model was asked.
    pub model: String,
    /// Where.
    pub url: String,
    /// SHA-256 of provider, address and request: the same question has the same one.
    pub digest: String,
    /// What was sent, without headers.
    pub request: String,
    /// What came back last, if it came whole.
    pub answer: Option<String>,
    /// Its HTTP status.
    pub status: Option<u16>,
    /// Why the answer ended.
    pub stop: Option<Stop>,
    /// What it took, as the provider tells.
    pub tokens: Option<Tokens>,
    /// What it cost, by the policy's prices.
    pub cost: Option<Decimal>,
    /// Each time it was sent. None: it was known, or was not sent.
    pub tries: Vec<Try>,
    /// From question to end, in milliseconds.
    pub took_ms: u64,
    /// What became of it.
    pub outcome: QuestionOutcome,
}

/// One time that a question was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// HTTP status, if there was one.
    pub status: Option<u16>,
    /// The provider's name for it.
    pub request_id: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What went wrong with it.
    pub failed: Option<Failed>,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuestionOutcome {
    /// It was answered.
    Answered,
    /// It was answered before.
    Known,
    /// It was not.
    Failed(Failed),
    /// Whoever asked went away.
    Abandoned,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Of which kind it is.
    pub kind: Kind,
    /// The cause.
    pub cause: String,
}

/// Keeps questions and answers.
pub trait Exchanges: Send + Sync {
    /// One is over. It is called where the question was asked, so it must not block.
    fn keep(&self, exchange: ModelExchange);
}

/// A question under way. It is told when it ends, and when nobody waits for it any more.
pub(crate) struct Open {
    exchange: Option<ModelExchange>,
    begun: Instant,
    to: Option<Arc<dyn Exchanges>>,
}

impl Open {
    pub(crate) fn new(exchange: ModelExchange, to: Option<Arc<dyn Exchanges>>) -> Self {
        Self { exchange: Some(exchange), begun: Instant::now(), to }
    }

    pub(crate) fn note(&mut self, note: impl FnOnce(&mut ModelExchange)) {
        if let Some(exchange) = &mut self.exchange {
            note(exchange);
        }
    }

    pub(crate) fn tries(&self) -> u32 {
        self.exchange.as_ref().map_or(0, |exchange| u32::try_from(exchange.tries.len()).unwrap_or(u32::MAX))
    }

    pub(crate) fn request_id(&self) -> Option<String> {
        self.exchange.as_ref()?.tries.last()?.request_id.clone()
    }

    pub(crate) fn failed(&mut self, error: &LlmError) {
        let failed = Failed { kind: error.kind, cause: error.cause.clone() };
        self.note(|exchange| exchange.outcome = QuestionOutcome::Failed(failed));
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let (Some(mut exchange), Some(to)) = (self.exchange.take(), &self.to) {
            exchange.took_ms = millis(self.begun);
            to.keep(exchange);
        }
    }
}

/// Since then.
pub(crate) fn millis(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// By the wall clock.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
