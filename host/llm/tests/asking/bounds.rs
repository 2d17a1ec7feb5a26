//! Sizes, budgets and turns.

use std::time::Duration;

use flyball_llm::{BudgetPerHour, Decimal, Kind, LlmGrant, Llms, Prices, Provider, Question};
use serde_json::json;
use tokio::time::Instant;

use crate::server::{Reply, Server};
use crate::speaking::{ALL, ask, ask_for, grant, question, says};

const LONG: Duration = Duration::from_secs(20);

/// The same question would be known.
fn numbered(number: usize) -> Question {
    Question { user: format!("Question {number}?"), ..question() }
}

async fn uncached(provider: Provider, server: &Server, change: impl FnOnce(&mut LlmGrant)) -> LlmGrant {
    server.then_says([says(provider, &json!({ "act": "wait" }))]);
    let mut grant = grant(provider, server);
    change(&mut grant);
    grant
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_given_up() {
    for provider in ALL {
        let large = Reply::text(200, &" ".repeat(3 << 10));
        for reply in [large, Reply::Endless] {
            let server = Server::saying([reply]).await;
            let mut grant = grant(provider, &server);
            grant.limits.max_kb = 2;
            let error = ask(&grant).await.unwrap_err();
            assert_eq!((error.kind, error.tries), (Kind::TooLarge, 1), "{error}");
            assert!(error.cause.contains("more than 2 KiB"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_question_that_may_not_be_asked_is_not_sent() {
    let server = Server::saying([Reply::text(500, "")]).await;
    let mut grant = grant(Provider::Openai, &server);
    grant.limits.question_kb = 1;
    for (wrong, kind, why) in [
        (Question { user: " \n".into(), ..question() }, Kind::Question, "no user text"),
        (Question { max_tokens: 0, ..question() }, Kind::Question, "asks for 0 output tokens"),
        (Question { max_tokens: 4_097, ..question() }, Kind::Question, "`limits.output_tokens`"),
        (
            Question { schema: Some(json!({ "type": "array" })), ..question() },
            Kind::Question,
            "\"type\": \"object\"",
        ),
        (Question { user: "x".repeat(1_024), ..question() }, Kind::TooLarge, "`limits.question_kb`"),
    ] {
        let error = ask_for(&grant, &wrong, LONG).await.unwrap_err();
        assert_eq!((error.kind, error.tries), (kind, 0));
        assert!(error.cause.contains(why), "{error}");
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn a_session_that_spent_its_hour_asks_no_more_and_others_do() {
    let server = Server::saying([]).await;
    // Each takes 120 tokens, and at most 200 and a part of the question.
    let grant = uncached(Provider::Anthropic, &server, |grant| {
        grant.budgets.session = BudgetPerHour { tokens: Some(700), money: None };
    })
    .await;
    let llm = Llms::new().permit(&grant).unwrap();
    let mut answered = 0;
    let error = loop {
        match llm.ask("s", &numbered(answered), Instant::now() + LONG).await {
            Ok(_) => answered += 1,
            Err(error) => break error,
        }
        assert!(answered < 10);
    };
    assert_eq!((error.kind, error.tries), (Kind::Budget, 0));
    assert!(
        error.cause.starts_with(&format!("the session spent {} of 700 tokens", 120 * answered)),
        "{error}"
    );
    assert!(error.again_after.unwrap() <= Duration::from_secs(3_660));
    assert_eq!(server.asked().len(), answered);
    assert!(llm.ask("t", &numbered(100), Instant::now() + LONG).await.is_ok());
}

#[tokio::test]
async fn the_hosts_budget_is_one_for_all_grants() {
    let server = Server::saying([]).await;
    let price = Decimal::millionths(1_000_000);
    let grant = uncached(Provider::Openai, &server, |grant| {
        grant.prices = Some(Prices { input: price, output: price, cached_input: None });
        grant.budgets.host.money = Some(Decimal::millionths(400));
    })
    .await;
    let llms = Llms::new();
    let (llm, other) = (llms.permit(&grant).unwrap(), llms.permit(&grant).unwrap());
    assert!(llm.ask("s", &question(), Instant::now() + LONG).await.is_ok());
    let error = other.ask("t", &question(), Instant::now() + LONG).await.unwrap_err();
    assert_eq!(error.kind, Kind::Budget);
    assert!(error.cause.starts_with("the host spent 0.00012 of 0.0004 an hour"), "{error}");
}

#[tokio::test]
async fn what_was_given_up_under_way_is_spent() {
    let mut server = Server::saying([Reply::Nothing]).await;
    let mut grant = grant(Provider::Openai, &server);
    grant.budgets.session.tokens = Some(500);
    let llm = Llms::new().permit(&grant).unwrap();
    let question = question();
    tokio::select! {
        answer = llm.ask("s", &question, Instant::now() + LONG) => panic!("{answer:?}"),
        _ = server.arrived.recv() => {}
    }
    let error = llm.ask("s", &question, Instant::now() + LONG).await.unwrap_err();
    assert_eq!(error.kind, Kind::Budget, "nobody knows what the provider counted: {error}");
}

#[tokio::test]
async fn what_the_provider_turned_away_is_not_spent() {
    let server =
        Server::saying([Reply::text(500, ""), says(Provider::Openai, &json!({ "act": "wait" }))]).await;
    let mut grant = grant(Provider::Openai, &server);
    grant.budgets.session.tokens = Some(500);
    grant.limits.tries = 1;
    let llm = Llms::new().permit(&grant).unwrap();
    assert_eq!(llm.ask("s", &question(), Instant::now() + LONG).await.unwrap_err().kind, Kind::Server);
    assert!(llm.ask("s", &question(), Instant::now() + LONG).await.is_ok());
}

#[tokio::test]
async fn questions_at_once_and_in_a_minute_are_bounded_for_a_provider() {
    let mut server = Server::saying([Reply::Nothing]).await;
    let mut grant = grant(Provider::Openai, &server);
    grant.limits.at_once = 1;
    grant.limits.per_minute = 2;
    let llms = Llms::new();
    let (llm, other) = (llms.permit(&grant).unwrap(), llms.permit(&grant).unwrap());
    let first = tokio::spawn(async move { llm.ask("s", &question(), Instant::now() + LONG).await });
    server.arrived.recv().await.unwrap();
    let error = other.ask("t", &question(), Instant::now() + Duration::from_millis(300)).await.unwrap_err();
    assert_eq!((error.kind, error.tries), (Kind::Busy, 0), "{error}");
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    server.then_says([says(Provider::Openai, &json!({ "act": "wait" }))]);
    assert!(other.ask("t", &question(), Instant::now() + LONG).await.is_ok());
    let error = other.ask("t", &numbered(1), Instant::now() + LONG).await.unwrap_err();
    assert_eq!(error.kind, Kind::Busy);
    assert!(error.cause.contains("2 questions were sent in the last minute"), "{error}");
    assert!(error.again_after.unwrap() > LONG);
}
