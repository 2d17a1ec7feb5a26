//! What is made of an answer.

use std::sync::Arc;
use std::time::Duration;

use flyball_llm::{AnswerBy, Content, Decimal, Kind, Llms, Prices, Provider, Question, Stop, Tokens};
use serde_json::json;
use tokio::time::Instant;

use crate::server::{Reply, Server};
use crate::speaking::{ALL, Ending, ask, ask_for, ends, grant, question, says, says_by, schema, writes};

#[tokio::test]
async fn each_provider_answers_with_content_tokens_and_its_name_for_it() {
    for (provider, id, stop) in [
        (Provider::Anthropic, "req_9", Stop::Tool),
        (Provider::Openai, "req_9", Stop::End),
        (Provider::Gemini, "resp-1", Stop::End),
    ] {
        let mut reply = says(provider, &json!({ "act": "scale" }));
        reply = match provider {
            Provider::Anthropic => reply.header("request-id", id),
            Provider::Openai => reply.header("x-request-id", id),
            Provider::Gemini => reply,
        };
        let server = Server::saying([reply]).await;
        let mut grant = grant(provider, &server);
        let price = |millionths| Decimal::millionths(millionths);
        let prices =
            Prices { input: price(3_000_000), output: price(15_000_000), cached_input: Some(price(300_000)) };
        grant.prices = Some(prices);
        let answer = ask(&grant).await.unwrap();
        assert_eq!(answer.content, Content::Json(json!({ "act": "scale" })));
        assert_eq!(answer.stop, stop);
        assert_eq!(answer.tokens, Some(Tokens { input: 100, output: 20, cached: 40 }), "{provider:?}");
        assert_eq!(answer.cost, Some(price(60 * 3 + 12 + 20 * 15)));
        assert_eq!(answer.request_id.as_deref(), Some(id));
        assert_eq!(answer.tries, 1);
    }
}

#[tokio::test]
async fn an_answer_comes_by_each_way_that_it_can_be_asked_for() {
    for provider in ALL {
        for by in [AnswerBy::Schema, AnswerBy::Tool, AnswerBy::Plain] {
            let server = Server::saying([says_by(provider, by, &json!({ "act": "wait" }))]).await;
            let mut grant = grant(provider, &server);
            grant.answer_by = Some(by);
            assert_eq!(ask(&grant).await.unwrap().content, Content::Json(json!({ "act": "wait" })));
        }
    }
}

#[tokio::test]
async fn prose_and_fences_around_an_answer_are_left_out() {
    for provider in ALL {
        let server = Server::saying([writes(
            provider,
            "Sure! Here {it} is:\n```json\n{\"act\": \"wait\"}\n```\nBye.",
        )])
        .await;
        assert_eq!(
            ask(&grant(provider, &server)).await.unwrap().content,
            Content::Json(json!({ "act": "wait" }))
        );
    }
}

#[tokio::test]
async fn what_is_no_object_is_malformed() {
    for provider in ALL {
        for text in ["I would wait.", "", "[1]", "{\"act\": \"wa", "{\"a\": {\"act\": \"wait\"}"] {
            let server = Server::saying([writes(provider, text)]).await;
            let error = ask(&grant(provider, &server)).await.unwrap_err();
            assert_eq!((error.kind, error.tries), (Kind::Malformed, 1), "{provider:?} {text}: {error}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_its_schema_does_not_allow_is_malformed() {
    let server = Server::saying([says(Provider::Openai, &json!({ "act": 7 }))]).await;
    let validator = Some(Arc::new(jsonschema::validator_for(&schema()).unwrap()));
    let question = Question { validator, ..question() };
    let error =
        ask_for(&grant(Provider::Openai, &server), &question, Duration::from_secs(20)).await.unwrap_err();
    assert_eq!(error.kind, Kind::Malformed);
    assert!(error.cause.contains("not of its schema at /act"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_cut_by_its_limit_is_told_as_cut_even_if_it_looks_whole() {
    for provider in ALL {
        let server = Server::saying([ends(provider, "{\"act\": \"wait\"}", Ending::Limit)]).await;
        let error = ask(&grant(provider, &server)).await.unwrap_err();
        assert_eq!((error.kind, error.tries), (Kind::Truncated, 1), "{provider:?}");
        assert!(
            error.cause.contains("200 output tokens") && error.help.contains("more output tokens"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_a_filter_holds_back_is_refused() {
    for provider in ALL {
        let server = Server::saying([ends(provider, "", Ending::Filter)]).await;
        let error = ask(&grant(provider, &server)).await.unwrap_err();
        assert_eq!((error.kind, error.tries), (Kind::Refused, 1), "{provider:?}: {error}");
    }
}

#[tokio::test]
async fn what_the_model_itself_refuses_is_told_in_its_words() {
    let message = json!({ "role": "assistant", "content": null, "refusal": "I cannot help with that." });
    let body = json!({ "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] });
    let server = Server::saying([Reply::json(200, &body)]).await;
    let error = ask(&grant(Provider::Openai, &server)).await.unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.cause.ends_with("refuses to answer: I cannot help with that."), "{error}");
}

#[tokio::test]
async fn a_question_that_gemini_blocks_is_refused() {
    let body = json!({ "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" }, "usageMetadata": { "promptTokenCount": 9 } });
    let server = Server::saying([Reply::json(200, &body)]).await;
    let error = ask(&grant(Provider::Gemini, &server)).await.unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.cause.contains("PROHIBITED_CONTENT"), "{error}");
}

#[tokio::test]
async fn what_gemini_thinks_is_no_part_of_its_answer() {
    let parts = json!([{ "text": "{\"act\": \"no\"}", "thought": true }, { "text": "{\"act\": \"yes\"}" }]);
    let body = json!({ "candidates": [{ "content": { "parts": parts }, "finishReason": "STOP" }] });
    let server = Server::saying([Reply::json(200, &body)]).await;
    let answer = ask(&grant(Provider::Gemini, &server)).await.unwrap();
    assert_eq!((answer.content, answer.tokens), (Content::Json(json!({ "act": "yes" })), None));
}

#[tokio::test]
async fn the_same_question_is_asked_once_and_counted() {
    let server = Server::saying([says(Provider::Openai, &json!({ "act": "wait" }))]).await;
    let mut grant = grant(Provider::Openai, &server);
    let price = Decimal::millionths(1_000_000);
    grant.prices = Some(Prices { input: price, output: price, cached_input: None });
    let llm = Llms::new().permit(&grant).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let first = llm.ask("s", &question(), deadline).await.unwrap();
    let second = llm.ask("t", &question(), deadline).await.unwrap();
    assert_eq!((second.content, second.tries), (first.content, 0));
    assert_eq!((first.cost, second.cost), (Some(Decimal::millionths(120)), Some(Decimal::default())));
    let other = Question { user: "And now?".into(), ..question() };
    llm.ask("s", &other, deadline).await.unwrap();
    assert_eq!(server.asked().len(), 2);
    let hits = llm.hits();
    assert_eq!((hits.known, hits.asked), (1, 2));
}

#[tokio::test]
async fn what_failed_is_asked_again() {
    let server =
        Server::saying([writes(Provider::Openai, "no"), says(Provider::Openai, &json!({ "act": "wait" }))])
            .await;
    let llm = Llms::new().permit(&grant(Provider::Openai, &server)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    assert!(llm.ask("s", &question(), deadline).await.is_err());
    assert!(llm.ask("s", &question(), deadline).await.is_ok());
}
