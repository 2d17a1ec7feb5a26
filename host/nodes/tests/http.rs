#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test says what is wrong by failing"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use flyball_nodes::{Item, ItemLimits, ProcessError, Processed, Unavailable, native, sink};
use serde_json::{Value, json};
use tokio::net::TcpListener;

async fn serving(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://{address}")
}

/// Answers by what it is sent: `"fail"` with 503, `"garbage"` with what is no JSON, `"big"` with a lot, `"slow"` never.
async fn server() -> String {
    let app = Router::new().route(
        "/",
        post(|body: axum::Json<Value>| async move {
            match body.0.as_str() {
                Some("fail") => (StatusCode::SERVICE_UNAVAILABLE, "no".to_owned()),
                Some("garbage") => (StatusCode::OK, "<html>".to_owned()),
                Some("big") => (StatusCode::OK, format!("\"{}\"", "x".repeat(3_000))),
                Some("slow") => std::future::pending().await,
                _ => (StatusCode::OK, json!({"echo": body.0}).to_string()),
            }
        }),
    );
    serving(app).await
}

fn items(bodies: impl IntoIterator<Item = Value>) -> Vec<Item> {
    bodies.into_iter().zip(1..).map(|(body, id)| Item { id, body: body.into() }).collect()
}

fn why(answer: &Processed) -> String {
    match answer {
        Err(ProcessError::Item(why)) => why.clone(),
        other => panic!("expected a failed item, not {other:?}"),
    }
}

fn unavailable<T: std::fmt::Debug>(answer: Result<T, ProcessError>) -> Unavailable {
    match answer {
        Err(ProcessError::Unavailable(unavailable)) => unavailable,
        other => panic!("expected that the other side is unavailable, not {other:?}"),
    }
}

#[tokio::test]
async fn http_enrich_keeps_the_answer_in_the_item_and_names_the_status_of_a_refusal() {
    let url = server().await;
    let config = json!({"url": url, "field": "q", "into": "found.it", "timeout_ms": 300, "max_answer_kb": 1});
    let mut node = native("http-enrich", &config, &ItemLimits::default()).unwrap();
    let asked = ["slow", "fine", "fail", "garbage", "big"].map(|q| json!({"q": q}));
    let answers = node.process(&items(asked.into_iter().chain([json!({})]))).await;
    assert!(unavailable(answers[0].clone()).why.ends_with("did not answer: timed out"), "{answers:?}");
    assert_eq!(answers[1].as_ref().unwrap(), &[json!({"q": "fine", "found": {"it": {"echo": "fine"}}})]);
    assert!(unavailable(answers[2].clone()).why.ends_with("answered 503 Service Unavailable"));
    assert!(why(&answers[3]).contains("answered with what is not JSON"));
    assert!(why(&answers[4]).ends_with("answered more than 1024 bytes"));
    assert_eq!(why(&answers[5]), "the item (an object) has no \"q\"");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_the_cause_and_is_no_items_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let mut out = sink("http-out", &json!({"url": url})).unwrap();
    for answer in out.deliver(&items([json!(1), json!(2)])).await {
        let unavailable = unavailable(answer);
        assert!(unavailable.why.to_lowercase().contains("refused"), "{unavailable}");
        assert!(!unavailable.by_item);
    }
}

/// Counts what reaches it, by whatever way.
async fn somewhere_else() -> (String, Arc<AtomicUsize>) {
    let reached = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reached);
    let app = Router::new().fallback(move || async move {
        counter.fetch_add(1, Ordering::SeqCst);
        "{}"
    });
    (serving(app).await, reached)
}

async fn sending_to(status: StatusCode, to: &str) -> String {
    let to = format!("{to}/latest/meta-data");
    let redirect = move || {
        let to = to.clone();
        async move { (status, [("location", to)]) }
    };
    serving(Router::new().fallback(redirect)).await
}

#[tokio::test]
async fn a_redirect_is_followed_nowhere_and_delivers_nothing() {
    for status in [301, 302, 303, 307, 308].map(|status| StatusCode::from_u16(status).unwrap()) {
        let (there, reached) = somewhere_else().await;
        let url = sending_to(status, &there).await;
        let config = json!({"url": url});
        let answer = native("http-enrich", &config, &ItemLimits::default())
            .unwrap()
            .process(&items([json!(1)]))
            .await
            .pop()
            .unwrap();
        assert!(why(&answer).contains("which is not followed"), "{answer:?}");
        let answer = sink("http-out", &config).unwrap().deliver(&items([json!(1)])).await.pop().unwrap();
        assert!(why(&answer.map(|()| Vec::new())).contains(&format!("answered {status}")));
        assert_eq!(reached.load(Ordering::SeqCst), 0, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_that_the_manifest_names_carries_the_item_or_is_a_failure() {
    for (status, arrives) in
        [(307, true), (308, true), (301, false), (302, false), (303, false), (300, false)]
    {
        let (there, reached) = somewhere_else().await;
        let url = sending_to(StatusCode::from_u16(status).unwrap(), &there).await;
        let mut out = sink("http-out", &json!({"url": url, "redirects_to": [there]})).unwrap();
        let answer = out.deliver(&items([json!(1)])).await.pop().unwrap();
        assert_eq!(
            (answer.is_ok(), reached.load(Ordering::SeqCst)),
            (arrives, usize::from(arrives)),
            "{status}"
        );
    }
    let round = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = format!("http://{}", round.local_addr().unwrap());
    let app = Router::new().fallback(|| async { (StatusCode::PERMANENT_REDIRECT, [("location", "/again")]) });
    tokio::spawn(async move { axum::serve(round, app).await.unwrap() });
    let mut out = sink("http-out", &json!({"url": here, "redirects_to": [here]})).unwrap();
    let answer = out.deliver(&items([json!(1)])).await.pop().unwrap();
    assert!(why(&answer.map(|()| Vec::new())).contains("redirects more than 5 times"));
    let wrong = sink("http-out", &json!({"url": here, "redirects_to": ["elsewhere"]})).err().unwrap();
    assert!(wrong.to_string().contains("/redirects_to/0"), "{wrong}");
}

#[tokio::test]
async fn no_message_holds_more_of_an_address_than_its_origin() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let down = listener.local_addr().unwrap();
    drop(listener);
    let (there, _) = somewhere_else().await;
    let redirecting = sending_to(StatusCode::TEMPORARY_REDIRECT, &there.replace("//", "//u:hunter2@")).await;
    let failing = serving(Router::new().fallback(|| async { StatusCode::IM_A_TEAPOT })).await;
    let broken = serving(Router::new().fallback(|| async { StatusCode::BAD_GATEWAY })).await;
    for host in [down.to_string(), redirecting, failing, broken] {
        let host = host.trim_start_matches("http://");
        let url = format!("http://user:hunter2@{host}/hidden-path?api_key=topsecret#fragment");
        let mut out = sink("http-out", &json!({"url": url})).unwrap();
        let said = format!("{:?}", out.deliver(&items([json!(1)])).await);
        for secret in ["hunter2", "topsecret", "hidden-path", "user:"] {
            assert!(!said.contains(secret), "{said}");
        }
        assert!(said.contains(&format!("http://{host} ")), "{said}");
    }
    for wrong in ["gopher://user:hunter2@h/", "http://user:hunter2@h:notaport/", "user:hunter2@h"] {
        let error = sink("http-out", &json!({"url": wrong})).err().unwrap().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn what_the_address_says_of_a_user_is_sent_as_a_header() {
    let app = Router::new().fallback(|headers: axum::http::HeaderMap| async move {
        let basic = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let wanted = Some("Basic dXNlcjpwYSBzcw==".to_owned());
        if basic == wanted && headers.get("referer").is_none() {
            StatusCode::OK
        } else {
            StatusCode::FORBIDDEN
        }
    });
    let url = serving(app).await.replace("http://", "http://user:pa%20ss@");
    let mut out = sink("http-out", &json!({"url": url})).unwrap();
    out.deliver(&items([json!(1)])).await.pop().unwrap().unwrap();
}

/// What a status is for a sink: taken, `None`: this item's failure, or that the other side is unavailable, perhaps for this
/// item alone.
#[tokio::test]
async fn what_is_busy_is_told_from_what_refuses_an_item() {
    for (status, by_item) in [
        (400, None),
        (401, None),
        (404, None),
        (413, None),
        (422, None),
        (408, Some(true)),
        (425, Some(true)),
        (429, Some(false)),
        (500, Some(true)),
        (502, Some(true)),
        (503, Some(false)),
        (504, Some(true)),
    ] {
        let answer = move || async move { (StatusCode::from_u16(status).unwrap(), [("retry-after", "7")]) };
        let url = serving(Router::new().fallback(answer)).await;
        let mut out = sink("http-out", &json!({"url": url})).unwrap();
        let answers = out.deliver(&items([json!(1), json!(2)])).await;
        let Some(by_item) = by_item else {
            assert!(answers.iter().all(|answer| matches!(answer, Err(ProcessError::Item(_)))), "{status}");
            continue;
        };
        let mut told = answers.into_iter().map(unavailable);
        let first = told.next().unwrap();
        assert_eq!((first.by_item, first.retry_after), (by_item, Some(Duration::from_secs(7))), "{status}");
        assert!(!told.next().unwrap().by_item, "{status}: what was not sent cannot be to blame");
    }
}

#[tokio::test]
async fn http_out_posts_each_item_and_a_refusal_fails_that_item_only() {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let app = Router::new().route(
        "/in",
        post(move |body: axum::Json<Value>| async move {
            counter.fetch_add(1, Ordering::SeqCst);
            if body.0 == json!({"n": 2}) { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::NO_CONTENT }
        }),
    );
    let url = format!("{}/in", serving(app).await);
    let mut out = sink("http-out", &json!({"url": url, "concurrent": 4})).unwrap();
    let answers = out.deliver(&items((1..=3).map(|n| json!({"n": n})))).await;
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert!(answers[1].as_ref().unwrap_err().to_string().ends_with("answered 422 Unprocessable Entity"));
    assert_eq!(taken.load(Ordering::SeqCst), 3);
}
