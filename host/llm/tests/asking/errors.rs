//! What is made of an error.

use flyball_llm::{Kind, Provider};
use serde_json::json;

use crate::server::{Reply, Server};
use crate::speaking::{ALL, ask, fails, grant};

#[tokio::test]
async fn each_status_has_its_kind_and_those_of_the_question_are_not_tried_again() {
    for provider in ALL {
        for (status, kind) in [
            (400, Kind::Rejected),
            (401, Kind::Unauthorized),
            (403, Kind::Unauthorized),
            (404, Kind::NotFound),
            (413, Kind::TooLarge),
            (422, Kind::Rejected),
        ] {
            let server = Server::saying([fails(provider, status, "that went wrong")]).await;
            let error = ask(&grant(provider, &server)).await.unwrap_err();
            assert_eq!((error.kind, error.tries), (kind, 1), "{provider:?} {status}");
            assert_eq!(error.cause, format!("it answers {status}: that went wrong"));
            assert!(error.place.contains(&server.origin) && error.place.contains("model-1"), "{error}");
            assert!(!error.help.is_empty());
            assert_eq!(server.asked().len(), 1);
        }
    }
}

#[tokio::test]
async fn what_the_provider_cannot_do_now_is_tried_as_often_as_the_policy_says() {
    for provider in ALL {
        for (status, kind) in [
            (429, Kind::RateLimited),
            (500, Kind::Server),
            (502, Kind::Server),
            (503, Kind::Overloaded),
            (529, Kind::Overloaded),
        ] {
            let server = Server::saying([fails(provider, status, "later")]).await;
            let error = ask(&grant(provider, &server)).await.unwrap_err();
            assert_eq!((error.kind, error.tries), (kind, 3), "{provider:?} {status}");
            assert_eq!(server.asked().len(), 3);
        }
    }
}

#[tokio::test]
async fn what_the_status_does_not_tell_is_read_from_the_body() {
    let gemini = json!({ "error": {
        "code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT",
        "details": [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID" }],
    } });
    let quota = json!({ "error": { "message": "You exceeded it.", "type": "insufficient_quota", "code": "insufficient_quota" } });
    let filter = json!({ "error": { "message": "Filtered.", "type": null, "code": "content_filter" } });
    let hidden = json!({ "error": { "message": "No such model.", "code": 404 } });
    let strange = json!({ "error": "something" });
    for (provider, status, body, kind) in [
        (Provider::Gemini, 400, gemini, Kind::Unauthorized),
        (Provider::Openai, 429, quota, Kind::Rejected),
        (Provider::Openai, 400, filter, Kind::Refused),
        (Provider::Openai, 200, hidden, Kind::NotFound),
        (Provider::Openai, 200, strange, Kind::Malformed),
    ] {
        let server = Server::saying([Reply::json(status, &body)]).await;
        let error = ask(&grant(provider, &server)).await.unwrap_err();
        assert_eq!((error.kind, error.tries), (kind, 1), "{error}");
    }
}

#[tokio::test]
async fn an_overloaded_anthropic_is_overloaded_by_any_status() {
    let body = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let server = Server::saying([Reply::json(500, &body)]).await;
    assert_eq!(ask(&grant(Provider::Anthropic, &server)).await.unwrap_err().kind, Kind::Overloaded);
}

#[tokio::test]
async fn what_is_not_json_is_malformed_and_an_error_page_is_told_in_short() {
    for provider in ALL {
        for body in ["<html>hello</html>", "", "{\"content\"", "null", "7", "{}", "[]", "{\"choices\":[{}]}"]
        {
            let server = Server::saying([Reply::text(200, body)]).await;
            let error = ask(&grant(provider, &server)).await.unwrap_err();
            assert_eq!((error.kind, error.tries), (Kind::Malformed, 1), "{provider:?} {body}: {error}");
        }
        let page = format!("<html>\n<h1>Bad gateway\u{1b}</h1>{}</html>", "x".repeat(10_000));
        let server = Server::saying([Reply::text(502, &page)]).await;
        let error = ask(&grant(provider, &server)).await.unwrap_err();
        assert!(error.cause.starts_with("it answers 502: <html> <h1>Bad gateway</h1>xx"), "{error}");
        assert!(error.cause.len() < 400 && !error.cause.contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for provider in ALL {
        let other = Server::saying([fails(provider, 500, "not here")]).await;
        for status in [301, 302, 303, 307, 308] {
            let to = format!("{}/elsewhere", other.origin);
            let server = Server::saying([Reply::text(status, "").header("location", &to)]).await;
            let error = ask(&grant(provider, &server)).await.unwrap_err();
            assert_eq!((error.kind, error.tries), (Kind::Redirected, 1), "{status}");
            assert_eq!(error.cause, format!("it answers {status} and sends to {to}"));
        }
        assert!(other.asked().is_empty(), "the key goes to nobody else");
    }
}

#[tokio::test]
async fn the_providers_name_for_a_failed_request_is_told() {
    let server = Server::saying([fails(Provider::Anthropic, 400, "no").header("request-id", "req_7")]).await;
    let error = ask(&grant(Provider::Anthropic, &server)).await.unwrap_err();
    assert_eq!(error.request_id.as_deref(), Some("req_7"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let server = Server::saying([]).await;
    let mut grant = grant(Provider::Openai, &server);
    drop(server);
    // A port that was bound and is not any more.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    grant.base_url = Some(format!("http://{}", listener.local_addr().unwrap()));
    drop(listener);
    let error = ask(&grant).await.unwrap_err();
    assert_eq!((error.kind, error.tries), (Kind::Unreachable, 3), "{error}");
}
