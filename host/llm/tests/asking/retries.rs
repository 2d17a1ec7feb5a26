//! Tries, deadlines and the breaker.

use std::time::Duration;

use flyball_llm::{BreakerLimits, Kind, Llms, Provider};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::server::{Reply, Server};
use crate::speaking::{ALL, ask, ask_for, fails, grant, question, says};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_provider_that_says_when_to_come_back_is_asked_then() {
    for provider in ALL {
        let server = Server::saying([
            fails(provider, 429, "too many").header("retry-after", "1"),
            says(provider, &json!({ "act": "wait" })),
        ])
        .await;
        let begun = Instant::now();
        assert_eq!(ask(&grant(provider, &server)).await.unwrap().tries, 2);
        assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn one_that_says_to_come_back_too_late_is_not_waited_for() {
    let date = fails(Provider::Openai, 429, "too many")
        .header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
        .header("retry-after", "Sun, 06 Nov 1994 09:49:37 GMT");
    let delay = json!({ "error": { "code": 429, "message": "too many", "details": [
        { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3600s" },
    ] } });
    let huge = fails(Provider::Anthropic, 503, "too many").header("retry-after", "18446744073709551615");
    let hour = Duration::from_secs(3_600);
    for (provider, reply, after) in [
        (Provider::Openai, date, Some(hour)),
        (Provider::Gemini, Reply::json(429, &delay), Some(hour)),
        (Provider::Anthropic, huge, None),
    ] {
        let server = Server::saying([reply]).await;
        let begun = Instant::now();
        let mut grant = grant(provider, &server);
        grant.limits.tries = 2;
        let error = ask(&grant).await.unwrap_err();
        if after.is_some() {
            assert_eq!((error.again_after, error.tries), (after, 1));
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_in_the_middle_is_tried_again() {
    for provider in ALL {
        let half = br#"{"id": "x", "content": [{"type": "te"#.to_vec();
        let server =
            Server::saying([Reply::CutOff(half.clone()), says(provider, &json!({ "act": "wait" }))]).await;
        assert_eq!(ask(&grant(provider, &server)).await.unwrap().tries, 2);
        let server = Server::saying([Reply::CutOff(half)]).await;
        let error = ask(&grant(provider, &server)).await.unwrap_err();
        assert_eq!((error.kind, error.tries), (Kind::CutOff, 3), "{error}");
    }
}

#[tokio::test]
async fn a_slow_provider_is_given_up_at_the_grants_time_and_at_the_callers() {
    for provider in ALL {
        let server = Server::saying([Reply::Nothing]).await;
        let mut grant = grant(provider, &server);
        let begun = Instant::now();
        let error = ask_for(&grant, &question(), Duration::from_millis(300)).await.unwrap_err();
        assert_eq!((error.kind, error.tries), (Kind::TimedOut, 1), "{error}");
        grant.limits.time_ms = 300;
        let error = ask_for(&grant, &question(), LONG).await.unwrap_err();
        assert_eq!((error.kind, error.tries), (Kind::TimedOut, 1), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn without_time_nothing_is_sent() {
    let server = Server::saying([says(Provider::Openai, &json!({}))]).await;
    let error = ask_for(&grant(Provider::Openai, &server), &question(), Duration::ZERO).await.unwrap_err();
    assert_eq!((error.kind, error.tries), (Kind::TimedOut, 0));
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn tries_and_their_pauses_end_at_the_deadline() {
    let server = Server::saying([fails(Provider::Openai, 500, "no")]).await;
    let mut grant = grant(Provider::Openai, &server);
    grant.limits.pause_ms = 60_000;
    let begun = Instant::now();
    let error = ask_for(&grant, &question(), Duration::from_secs(5)).await.unwrap_err();
    assert_eq!((error.kind, error.tries), (Kind::Server, 1));
    assert!(begun.elapsed() < Duration::from_secs(4), "a pause that ends too late is not begun");
}

#[tokio::test]
async fn a_question_that_is_dropped_is_given_up_at_the_provider_too() {
    let mut server = Server::saying([Reply::Nothing]).await;
    let llm = Llms::new().permit(&grant(Provider::Openai, &server)).unwrap();
    let question = question();
    tokio::select! {
        answer = llm.ask("s", &question, soon()) => panic!("{answer:?}"),
        _ = server.arrived.recv() => {}
    }
    timeout(LONG, server.gone.recv()).await.unwrap();
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_provider_that_fails_in_a_row_is_left_alone_and_then_seen_again() {
    for provider in ALL {
        let server = Server::saying([fails(provider, 500, "no")]).await;
        let mut grant = grant(provider, &server);
        grant.breaker = BreakerLimits { failures: 5, pause_ms: 60_000 };
        let llms = Llms::new();
        let (llm, other) = (llms.permit(&grant).unwrap(), llms.permit(&grant).unwrap());
        assert_eq!(llm.ask("s", &question(), soon()).await.unwrap_err().tries, 3);
        let error = llm.ask("s", &question(), soon()).await.unwrap_err();
        assert_eq!((error.kind, error.tries), (Kind::Server, 2), "the fifth failure opens it");
        assert!(llm.is_open());
        let error = other.ask("t", &question(), soon()).await.unwrap_err();
        assert_eq!((error.kind, error.tries), (Kind::Open, 0), "for all who ask this provider");
        assert!(error.again_after.unwrap() <= Duration::from_secs(60));
        assert_eq!(server.asked().len(), 5);

        a_minute_passes().await;
        let error = llm.ask("s", &question(), soon()).await.unwrap_err();
        assert_eq!((error.kind, error.tries), (Kind::Server, 1), "one question is enough to see");
        assert_eq!(server.asked().len(), 6);
        server.then_says([says(provider, &json!({ "act": "wait" }))]);
        a_minute_passes().await;
        assert!(llm.ask("s", &question(), soon()).await.is_ok());
        assert!(!llm.is_open());
    }
}

fn soon() -> Instant {
    Instant::now() + LONG
}

async fn a_minute_passes() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn what_is_the_questions_fault_or_the_callers_haste_does_not_open_it() {
    let server = Server::saying([fails(Provider::Openai, 400, "no")]).await;
    let mut grant = grant(Provider::Openai, &server);
    grant.breaker.failures = 1;
    grant.limits.tries = 1;
    let llm = Llms::new().permit(&grant).unwrap();
    llm.ask("s", &question(), soon()).await.unwrap_err();
    server.then_says([fails(Provider::Openai, 429, "no")]);
    llm.ask("s", &question(), soon()).await.unwrap_err();
    server.then_says([Reply::Nothing]);
    llm.ask("s", &question(), Instant::now() + Duration::from_millis(50)).await.unwrap_err();
    assert!(!llm.is_open());
    grant.limits.time_ms = 50;
    let llm = Llms::new().permit(&grant).unwrap();
    llm.ask("s", &question(), soon()).await.unwrap_err();
    assert!(llm.is_open(), "the grant's own time is enough for a provider that works");
}
