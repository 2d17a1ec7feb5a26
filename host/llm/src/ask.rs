//! One question, with its tries.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use crate::budget::Spent;
use crate::error::Fault;
use crate::exchange::{ModelExchange, Open, QuestionOutcome, now};
use crate::pauses::pause;
use crate::{Decimal, Kind, Llm, LlmError, ModelAnswer, Question, Tokens};

/// Until the provider tells, so many bytes of a question count as a token.
const BYTES_A_TOKEN: u64 = 4;

/// A question as it is sent.
pub(crate) struct Asked<'a> {
    pub(crate) session: &'a str,
    pub(crate) question: &'a Question,
    pub(crate) body: String,
    pub(crate) digest: String,
    /// When it ends.
    pub(crate) ends: Instant,
    /// Whether it is the grant's time that ends then, and not the caller's.
    pub(crate) by_grant: bool,
}

impl Llm {
    /// Asks it for a session and waits for the answer, no longer than the grant and `deadline` allow. Dropped, it asks
    /// no more.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn ask(
        &self,
        session: &str,
        question: &Question,
        deadline: Instant,
    ) -> Result<ModelAnswer, LlmError> {
        let terms = &self.terms;
        let value = terms.wire.body(question);
        let body = value.to_string();
        let digest = self.digest(&body);
        let exchange = ModelExchange {
            at: now(),
            session: session.to_owned(),
            provider: terms.wire.provider,
            model: terms.key.mask(terms.wire.model.clone()),
            url: terms.key.mask(terms.wire.url.to_string()),
            digest: digest.clone(),
            request: terms.key.mask_value(value).to_string(),
            answer: None,
            status: None,
            stop: None,
            tokens: None,
            cost: None,
            tries: Vec::new(),
            took_ms: 0,
            outcome: QuestionOutcome::Abandoned,
        };
        let mut open = Open::new(exchange, self.records.clone());
        let own = Instant::now() + Duration::from_millis(terms.grant.limits.time_ms);
        let (ends, by_grant) = (own.min(deadline), own <= deadline);
        let asked = Asked { session, question, body, digest, ends, by_grant };
        self.answer(&asked, &mut open).await.map_err(|fault| {
            let error = self.error(fault, &open);
            open.failed(&error);
            error
        })
    }

    fn digest(&self, body: &str) -> String {
        let mut digest = Sha256::new();
        for part in [self.terms.wire.provider.name(), self.terms.wire.url.as_str(), body] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        format!("{:x}", digest.finalize())
    }

    fn error(&self, fault: Fault, open: &Open) -> LlmError {
        LlmError {
            kind: fault.kind,
            place: self.terms.place.clone(),
            cause: self.terms.key.mask(fault.cause),
            help: fault.kind.help().to_owned(),
            again_after: fault.after,
            request_id: open.request_id(),
            tries: open.tries(),
        }
    }

    async fn answer(&self, asked: &Asked<'_>, open: &mut Open) -> Result<ModelAnswer, Fault> {
        let grant = &self.terms.grant;
        asked.question.check(&grant.limits)?;
        Question::check_size(&asked.body, &grant.limits)?;
        if let Some(known) = self.terms.cache.get(&asked.digest) {
            let cost = grant.prices.map(|_| Decimal::default());
            open.note(|exchange| {
                exchange.outcome = QuestionOutcome::Known;
                exchange.stop = Some(known.stop.clone());
                exchange.cost = cost;
            });
            return Ok(ModelAnswer { cost, tries: 0, ..known });
        }
        if Instant::now() >= asked.ends {
            return Err(Fault::new(Kind::TimedOut, "no time is left for a question"));
        }
        let mut reserved = self.shared.ledger.reserve(asked.session, self.most(asked), &grant.budgets)?;
        loop {
            let fault = match self.attempt(asked, open, &mut reserved).await {
                Ok(answer) => {
                    self.terms.cache.put(&asked.digest, &answer);
                    return Ok(answer);
                }
                Err(fault) => fault,
            };
            let over = open.tries() >= grant.limits.tries || self.is_open();
            if over || !fault.kind.may_pass() {
                return Err(fault);
            }
            let pause = pause(Duration::from_millis(grant.limits.pause_ms), open.tries(), fault.after);
            if Instant::now().checked_add(pause).is_none_or(|next| next >= asked.ends) {
                return Err(fault);
            }
            sleep(pause).await;
        }
    }

    /// What it may take.
    fn most(&self, asked: &Asked<'_>) -> Spent {
        let bytes = u64::try_from(asked.body.len()).unwrap_or(u64::MAX);
        let output = u64::from(asked.question.max_tokens);
        self.spent(Tokens { input: bytes.div_ceil(BYTES_A_TOKEN), output, cached: 0 })
    }

    pub(crate) fn spent(&self, tokens: Tokens) -> Spent {
        let money = self.terms.grant.prices.map_or_else(Decimal::default, |prices| tokens.cost(&prices));
        Spent { tokens: tokens.all(), money }
    }
}
