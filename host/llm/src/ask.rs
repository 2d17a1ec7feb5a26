//! One question, with its tries.

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep, timeout_at};

use crate::budget::{Reserved, Spent};
use crate::error::Fault;
use crate::exchange::{Exchange, Failed, Open, Outcome, Try, millis, now};
use crate::pauses::pause;
use crate::send::{Body, Sent, send};
use crate::wire::{Reading, fault};
use crate::{Answer, Decimal, Kind, Llm, LlmError, Question, Tokens};

/// Until the provider tells, so many bytes of a question count as a token.
const BYTES_A_TOKEN: u64 = 4;

/// A question as it is sent.
struct Asked<'a> {
    session: &'a str,
    question: &'a Question,
    body: String,
    digest: String,
    /// When it ends.
    ends: Instant,
    /// Whether it is the grant's time that ends then, and not the caller's.
    by_grant: bool,
}

impl Llm {
    /// Asks it for a session and waits for the answer, no longer than the grant and `deadline` allow. Dropped, it asks no
    /// more.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    pub async fn ask(
        &self,
        session: &str,
        question: &Question,
        deadline: Instant,
    ) -> Result<Answer, LlmError> {
        let terms = &self.terms;
        let value = terms.wire.body(question);
        let body = value.to_string();
        let digest = self.digest(&body);
        let exchange = Exchange {
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
            outcome: Outcome::Abandoned,
        };
        let mut open = Open::new(exchange, self.shared.records.clone());
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

    async fn answer(&self, asked: &Asked<'_>, open: &mut Open) -> Result<Answer, Fault> {
        let grant = &self.terms.grant;
        asked.question.check(&grant.limits)?;
        Question::check_size(&asked.body, &grant.limits)?;
        if let Some(known) = self.terms.cache.get(&asked.digest) {
            let cost = grant.prices.map(|_| Decimal::default());
            open.note(|exchange| {
                exchange.outcome = Outcome::Known;
                exchange.stop = Some(known.stop.clone());
                exchange.cost = cost;
            });
            return Ok(Answer { cost, tries: 0, ..known });
        }
        let mut reserved = self.shared.ledger.reserve(asked.session, self.most(asked), &grant.budgets)?;
        loop {
            let fault = match self.one_try(asked, open, &mut reserved).await {
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

    fn spent(&self, tokens: Tokens) -> Spent {
        let money = self.terms.grant.prices.map_or_else(Decimal::default, |prices| tokens.cost(&prices));
        Spent { tokens: tokens.all(), money }
    }

    async fn one_try(
        &self,
        asked: &Asked<'_>,
        open: &mut Open,
        reserved: &mut Reserved,
    ) -> Result<Answer, Fault> {
        let terms = &self.terms;
        let shut = |left: Duration| {
            let failures = terms.grant.breaker.failures;
            Fault::new(Kind::Open, format!("it failed {failures} times in a row")).after(Some(left))
        };
        // Nobody waits for a turn that leads nowhere.
        if let Some(left) = terms.state.breaker.shut_for() {
            return Err(shut(left));
        }
        let turn = terms.state.pace.turn(&terms.grant.limits, asked.ends).await?;
        let passage = terms.state.breaker.enter(terms.grant.breaker).map_err(shut)?;
        reserved.sent();
        let (begun, mut sent) = (Instant::now(), Sent::default());
        let sending = send(
            &terms.client,
            &terms.wire,
            &terms.key,
            asked.body.clone(),
            terms.grant.limits.max_kb,
            &mut sent,
        );
        let body = timeout_at(asked.ends, sending).await.unwrap_or_else(|_| {
            let took = millis(begun);
            Err(Fault::new(Kind::TimedOut, format!("no whole answer came in the {took} ms that were left")))
        });
        drop(turn);
        let read = body.and_then(|body| self.read(&sent, body, open));
        let answer = read.and_then(|reading| {
            let id = sent.request_id.clone().or_else(|| reading.id.clone());
            sent.request_id = id.clone();
            let cost = self.settle(&reading, open, reserved);
            let content = reading.content(asked.question, &terms.key)?;
            Ok(Answer { content, stop: reading.stop, tokens: reading.tokens, cost, request_id: id, tries: 0 })
        });
        let failed = answer.as_ref().err();
        match failed.map(|fault| fault.kind) {
            Some(kind) if kind.is_failure() => passage.bad(),
            Some(Kind::TimedOut) if asked.by_grant => passage.bad(),
            // Whoever asked had too little time, or all together ask too often.
            Some(Kind::TimedOut | Kind::RateLimited) => drop(passage),
            _ => passage.good(),
        }
        // What was turned away is not counted; what broke off may be.
        let turned_away = sent.status.is_some_and(|status| !(200..300).contains(&status));
        if turned_away || failed.is_some_and(|fault| fault.kind == Kind::Unreachable) {
            reserved.not_counted();
        }
        reserved.lost();
        let failed = failed.map(|fault| Failed { kind: fault.kind, cause: fault.cause.clone() });
        let one = Try { status: sent.status, request_id: sent.request_id, took_ms: millis(begun), failed };
        open.note(|exchange| {
            exchange.status = one.status;
            exchange.tries.push(one);
        });
        let tries = open.tries();
        answer.map(|answer| {
            open.note(|exchange| exchange.outcome = Outcome::Answered);
            Answer { tries, ..answer }
        })
    }

    /// What came whole, as the provider means it.
    fn read(&self, sent: &Sent, body: Body, open: &mut Open) -> Result<Reading, Fault> {
        open.note(|exchange| exchange.answer = Some(body.to_text()));
        let status = sent.status.unwrap_or_default();
        match body {
            _ if (300..400).contains(&status) => {
                let to = sent.location.as_deref().unwrap_or("nowhere");
                Err(Fault::new(Kind::Redirected, format!("it answers {status} and sends to {to}")))
            }
            Body::Json(value) if !(200..300).contains(&status) => Err(fault(status, &value, sent.after)),
            Body::Text(text, _) if !(200..300).contains(&status) => {
                Err(fault(status, &Value::String(text), sent.after))
            }
            Body::Json(value) => match value.get("error").filter(|error| !error.is_null()) {
                // Some gateways say 200 and put the status into the error.
                Some(error) => {
                    let code = error.get("code").and_then(Value::as_u64);
                    let code = code.and_then(|code| u16::try_from(code).ok()).filter(|code| *code >= 400);
                    Err(match code {
                        Some(code) => fault(code, &value, sent.after),
                        None => Fault { kind: Kind::Malformed, ..fault(status, &value, None) },
                    })
                }
                None => self.terms.wire.read(&value),
            },
            Body::Text(_, why) => Err(Fault::new(Kind::Malformed, format!("its answer is no JSON: {why}"))),
        }
    }

    /// Counts what the provider tells.
    fn settle(&self, reading: &Reading, open: &mut Open, reserved: &mut Reserved) -> Option<Decimal> {
        reserved.settle(reading.tokens.map(|tokens| self.spent(tokens)));
        let prices = self.terms.grant.prices;
        let cost = prices.and_then(|prices| reading.tokens.map(|tokens| tokens.cost(&prices)));
        open.note(|exchange| {
            exchange.stop = Some(reading.stop.clone());
            exchange.tokens = reading.tokens;
            exchange.cost = cost;
        });
        cost
    }
}
