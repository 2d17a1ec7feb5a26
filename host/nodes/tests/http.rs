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
use flyball_nodes::{Item, ItemLimits, ProcessError, Processed, native, sink};
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

#[tokio::test]
async fn http_enrich_keeps_the_answer_in_the_item_and_names_the_status_of_a_refusal() {
    let url = server().await;
    let config = json!({"url": url, "field": "q", "into": "found.it", "timeout_ms": 300, "max_answer_kb": 1});
    let mut node = native("http-enrich", &config, &ItemLimits::default()).unwrap();
    let asked = ["slow", "fine", "fail", "garbage", "big"].map(|q| json!({"q": q}));
    let answers = node.process(&items(asked.into_iter().chain([json!({})]))).await;
    assert!(why(&answers[0]).ends_with("did not answer: timed out"), "{}", why(&answers[0]));
    assert_eq!(answers[1].as_ref().unwrap(), &[json!({"q": "fine", "found": {"it": {"echo": "fine"}}})]);
    assert!(why(&answers[2]).ends_with("answered 503 Service Unavailable"));
    assert!(why(&answers[3]).contains("answered 200 OK with what is not JSON"));
    assert!(why(&answers[4]).ends_with("answered more than 1024 bytes"));
    assert_eq!(why(&answers[5]), "the item (an object) has no \"q\"");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_failed_item_with_the_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let mut out = sink("http-out", &json!({"url": url})).unwrap();
    let error = out.deliver(&items([json!(1)])).await.pop().unwrap().unwrap_err().to_string();
    assert!(error.to_lowercase().contains("refused"), "{error}");
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
