//! One try: its turn, what came of it, and what it counts.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::ask::Asked;
use crate::breaker::Passage;
use crate::budget::Reserved;
use crate::error::Fault;
use crate::exchange::{Failed, Open, QuestionOutcome, Try, millis};
use crate::send::{Body, Sent, send};
use crate::wire::{Reading, fault};
use crate::{Decimal, Kind, Llm, ModelAnswer};

impl Llm {
    /// Waits for its turn and sends it.
    pub(crate) async fn attempt(
        &self,
        asked: &Asked<'_>,
        open: &mut Open,
        reserved: &mut Reserved,
    ) -> Result<ModelAnswer, Fault> {
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
        let most_kb = terms.grant.limits.max_kb;
        let sending = send(&terms.client, &terms.wire, &terms.key, asked.body.clone(), most_kb, &mut sent);
        let body = timeout_at(asked.ends, sending).await.unwrap_or_else(|_| {
            let cause = format!("no whole answer came in the {} ms that were left", millis(begun));
            Err(Fault::new(Kind::TimedOut, cause))
        });
        drop(turn);
        let reading = body.and_then(|body| self.read(&sent, body, open));
        let answer = reading.and_then(|reading| {
            sent.request_id = sent.request_id.take().or_else(|| reading.id.clone());
            let cost = self.settle(&reading, open, reserved);
            let content = reading.content(asked.question, &terms.key)?;
            let (stop, tokens, request_id) = (reading.stop, reading.tokens, sent.request_id.clone());
            Ok(ModelAnswer { content, stop, tokens, cost, request_id, tries: 0 })
        });
        let fault = answer.as_ref().err();
        judge(passage, fault.map(|fault| fault.kind), asked.by_grant);
        // What was turned away is not counted; what broke off may be.
        let turned_away = sent.status.is_some_and(|status| !is_good(status));
        if turned_away || fault.is_some_and(|fault| fault.kind == Kind::Unreachable) {
            reserved.not_counted();
        }
        reserved.lost();
        let failed =
            fault.map(|fault| Failed { kind: fault.kind, cause: terms.key.mask(fault.cause.clone()) });
        let one = Try { status: sent.status, request_id: sent.request_id, took_ms: millis(begun), failed };
        open.note(|exchange| {
            exchange.status = one.status;
            exchange.tries.push(one);
        });
        let tries = open.tries();
        answer.map(|answer| {
            open.note(|exchange| exchange.outcome = QuestionOutcome::Answered);
            ModelAnswer { tries, ..answer }
        })
    }

    /// What came whole, as the provider means it.
    fn read(&self, sent: &Sent, body: Body, open: &mut Open) -> Result<Reading, Fault> {
        open.note(|exchange| exchange.answer = Some(body.to_text()));
        let status = sent.status.unwrap_or_default();
        if (300..400).contains(&status) {
            let to = sent.location.as_deref().unwrap_or("nowhere");
            return Err(Fault::new(Kind::Redirected, format!("it answers {status} and sends to {to}")));
        }
        match body {
            Body::Json(value) if !is_good(status) => Err(fault(status, &value, sent.after)),
            Body::Text(text, _) if !is_good(status) => Err(fault(status, &Value::String(text), sent.after)),
            Body::Json(value) => match value.get("error").filter(|error| !error.is_null()) {
                Some(error) => Err(hidden(status, error, &value, sent.after)),
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

fn is_good(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Some gateways answer 200 and put the status into an error.
fn hidden(status: u16, error: &Value, body: &Value, after: Option<Duration>) -> Fault {
    let code = error.get("code").and_then(Value::as_u64);
    match code.and_then(|code| u16::try_from(code).ok()).filter(|code| *code >= 400) {
        Some(code) => fault(code, body, after),
        None => Fault { kind: Kind::Malformed, ..fault(status, body, None) },
    }
}

/// What it says of the provider.
fn judge(passage: Passage<'_>, failed: Option<Kind>, by_grant: bool) {
    match failed {
        Some(kind) if kind.is_failure() => passage.bad(),
        Some(Kind::TimedOut) if by_grant => passage.bad(),
        // Whoever asked had too little time, or all together ask too often.
        Some(Kind::TimedOut | Kind::RateLimited) => drop(passage),
        _ => passage.good(),
    }
}
