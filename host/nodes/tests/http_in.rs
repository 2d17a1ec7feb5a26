#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test says what is wrong by failing"
)]

use std::time::Duration;

use flyball_nodes::{ItemLimits, Source, source};
use futures::FutureExt as _;
use serde_json::{Value, json};

/// One that accepts connections, as it was asked for items.
fn listening(more: Value) -> (String, Box<dyn Source>) {
    let (url, mut source) = bound(more);
    assert!(source.next(1).now_or_never().is_none());
    (url, source)
}

fn bound(more: Value) -> (String, Box<dyn Source>) {
    let mut config = json!({"bind": "127.0.0.1:0"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let source = source("http-in", &config, &ItemLimits::default()).unwrap();
    let address = source.address().unwrap();
    assert_ne!(address.port(), 0);
    (format!("http://{address}/items"), source)
}

async fn put(url: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = reqwest::Client::new()
        .post(url)
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
}

async fn next(source: &mut dyn Source) -> Option<Vec<Value>> {
    let taken = source.next(100).await.unwrap()?.into_iter().map(Result::unwrap);
    Some(taken.map(|item| serde_json::from_str(&item.to_string()).unwrap()).collect())
}

#[tokio::test]
async fn http_in_accepts_one_value_or_a_line_each() {
    let (url, mut source) = listening(json!({}));
    assert_eq!(put(&url, "{\n \"a\": 1\n}").await, (202, json!({"accepted": 1})));
    assert_eq!(put(&url, "{\"n\":1}\n{\"n\":2}\n\n\"three\"\n").await, (202, json!({"accepted": 3})));
    let taken = next(&mut *source).await.unwrap();
    assert_eq!(taken, [json!({"a": 1}), json!({"n": 1}), json!({"n": 2}), json!("three")]);
    assert_eq!(source.progress().items, 4);
    assert_eq!(put(&url, "\u{feff}1\n\n2").await, (202, json!({"accepted": 2})));
}

#[tokio::test]
async fn nobody_is_answered_before_the_pipeline_asks_for_items() {
    let (url, mut source) = bound(json!({}));
    let mut answer = tokio::spawn(async move { put(&url, "1").await });
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut answer).await.is_err());
    assert_eq!(next(&mut *source).await.unwrap(), [json!(1)]);
    assert_eq!(answer.await.unwrap(), (202, json!({"accepted": 1})));
}

#[tokio::test]
async fn http_in_accepts_all_of_a_body_or_nothing() {
    let (url, mut source) = listening(json!({"max_body_kb": 1, "buffer": 4}));
    let (status, answer) = put(&url, "1\n2\n{bad\n").await;
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().contains("line 3"), "{answer}");
    assert_eq!(put(&url, "").await.0, 400);
    assert_eq!(put(&url, "1 2 3 4 5").await.0, 413);
    assert_eq!(put(&url, format!("\"{}\"", "x".repeat(2_000))).await.0, 413);
    source.stop();
    assert_eq!(next(&mut *source).await, None);
}

#[tokio::test]
async fn http_in_refuses_when_the_pipeline_does_not_keep_up_and_accepts_again_when_it_does() {
    let (url, mut source) = listening(json!({"buffer": 2, "wait_ms": 50}));
    assert_eq!(put(&url, "1 2").await.0, 202);
    let (status, answer) = put(&url, "3").await;
    assert_eq!(status, 503);
    assert!(answer["error"].as_str().unwrap().contains("does not keep up"));
    assert_eq!(next(&mut *source).await.unwrap(), [json!(1), json!(2)]);
    assert_eq!(put(&url, "4").await.0, 202);
    assert_eq!(next(&mut *source).await.unwrap(), [json!(4)]);
}

#[tokio::test]
async fn what_was_accepted_is_given_after_the_stop_and_nothing_else_is_accepted() {
    let (url, mut source) = listening(json!({}));
    assert_eq!(put(&url, "1 2").await.0, 202);
    source.stop();
    assert_eq!(put(&url, "3").await.0, 503);
    assert_eq!(next(&mut *source).await.unwrap(), [json!(1), json!(2)]);
    assert_eq!(next(&mut *source).await, None);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let (_url, first) = listening(json!({}));
    let taken = first.address().unwrap().to_string();
    let error = source("http-in", &json!({"bind": taken}), &ItemLimits::default()).err().unwrap().to_string();
    assert!(error.contains(&format!("cannot listen on {taken}")), "{error}");
}

#[tokio::test]
async fn a_dropped_source_gives_its_port_back() {
    let (_url, first) = listening(json!({}));
    let address = first.address().unwrap().to_string();
    drop(first);
    let start = tokio::time::Instant::now();
    while source("http-in", &json!({"bind": address}), &ItemLimits::default()).is_err() {
        assert!(start.elapsed() < Duration::from_secs(5), "the port is still taken");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Sends bytes as they are and gives all that is answered until the other side closes.
async fn raw(source: &dyn Source, request: &[u8]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(source.address().unwrap()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(10), read).await.expect("the connection is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn send(source: &dyn Source, headers: &str, body: &str) -> String {
    let length = body.len();
    let request = format!(
        "POST /items HTTP/1.1\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    raw(source, request.as_bytes()).await
}

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn http_in_takes_json_only_and_names_the_compression_that_it_does_not_take() {
    let (_url, source) = listening(json!({}));
    let host = "host: localhost\r\n";
    for (kind, status) in [
        ("content-type: application/json; charset=utf-8\r\n", "202"),
        ("content-type: application/json; charset=\"UTF-8\"\r\n", "202"),
        ("content-type: application/json; charset=utf-16\r\n", "415"),
        ("content-type: application/json;Charset=\"UTF-16\"\r\n", "415"),
        ("content-type: application/x-ndjson; header=present; charset=iso-8859-1\r\n", "415"),
        ("content-type: application/x-ndjson\r\n", "202"),
        ("content-type: application/cloudevents+json\r\n", "202"),
        ("content-type: text/plain\r\n", "415"),
        ("content-type: application/x-www-form-urlencoded\r\n", "415"),
        ("", "415"),
    ] {
        let answer = send(&*source, &format!("{host}{kind}"), "1").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{kind}: {answer}");
    }
    let answer = send(&*source, &format!("{host}{JSON}content-encoding: gzip\r\n"), "1").await;
    assert!(answer.starts_with("HTTP/1.1 415 ") && answer.contains("compressed (gzip)"), "{answer}");
    assert!(answer.contains("accept-encoding: identity"), "{answer}");
}

#[tokio::test]
async fn http_in_refuses_what_a_page_from_elsewhere_can_make_a_browser_send() {
    let (_url, source) = listening(json!({"allowed_hosts": ["collector.internal"]}));
    let port = source.address().unwrap().port();
    for (headers, status) in [
        ("host: localhost:80\r\n".to_owned(), "202"),
        (format!("host: 127.0.0.1:{port}\r\n"), "202"),
        ("host: [::1]:80\r\n".to_owned(), "202"),
        ("host: Collector.internal:80\r\n".to_owned(), "202"),
        (format!("host: evil.example:{port}\r\n"), "403"),
        ("host: localhost.evil.example\r\n".to_owned(), "403"),
        ("host: \r\n".to_owned(), "403"),
        (String::new(), "403"),
        ("host: localhost\r\nhost: evil.example\r\n".to_owned(), "400"),
        ("host: localhost\r\norigin: http://localhost\r\n".to_owned(), "202"),
        ("host: localhost\r\norigin: http://collector.internal:99\r\n".to_owned(), "202"),
        ("host: localhost\r\norigin: http://evil.example\r\n".to_owned(), "403"),
        ("host: localhost\r\norigin: null\r\n".to_owned(), "403"),
    ] {
        let answer = send(&*source, &format!("{headers}{JSON}"), "1").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{headers}: {answer}");
    }
}

#[tokio::test]
async fn http_in_closes_connections_that_are_idle_or_slow_and_takes_others_then() {
    let more = json!({"max_connections": 2, "head_timeout_ms": 100, "body_timeout_ms": 100});
    let (_url, source) = listening(more);
    let address = source.address().unwrap();
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    // One after the other the idle ones are closed; then it is this one's turn.
    let answer = send(&*source, &format!("host: localhost\r\n{JSON}"), "1").await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert_eq!(raw(&*source, b"POST /items HTTP/1.1\r\nhost: lo").await, "");
    let slow = format!("POST /items HTTP/1.1\r\nhost: localhost\r\n{JSON}content-length: 10\r\n\r\n1");
    let answer = raw(&*source, slow.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let long = format!("POST /items HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    assert!(raw(&*source, long.as_bytes()).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn what_waits_in_http_in_is_bounded_by_what_it_takes_in_memory() {
    let limits = ItemLimits { decoded: 64 * 1024, ..ItemLimits::default() };
    let config = json!({"bind": "127.0.0.1:0", "wait_ms": 20});
    let mut source = source("http-in", &config, &limits).unwrap();
    assert!(source.next(1).now_or_never().is_none());
    let url = format!("http://{}/items", source.address().unwrap());
    let large = format!("[{}0]", "0,".repeat(1_500));
    let mut accepted = 0;
    while put(&url, large.clone()).await.0 == 202 {
        accepted += 1;
        assert!(accepted < 10, "nothing pushes back");
    }
    assert!(accepted >= 1);
    assert_eq!(next(&mut *source).await.unwrap().len(), accepted);
    assert_eq!(put(&url, large).await.0, 202, "there is room again");
    assert_eq!(next(&mut *source).await.unwrap().len(), 1);
    assert_eq!(put(&url, format!("[{}0]", "0,".repeat(5_000))).await.0, 413);
    assert_eq!(put(&url, "[".repeat(100) + &"]".repeat(100)).await.0, 400);
    let (status, answer) = put(&url, "{\"a\": 1, \"a\": 2}").await;
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().contains("the field \"a\" is there twice"), "{answer}");
}

#[tokio::test]
async fn http_in_speaks_over_any_stream() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut ours, theirs) = tokio::io::duplex(1_024);
    let config = json!({"bind": "127.0.0.1:0"});
    let (serving, mut source) = flyball_nodes::http_in_over(theirs, &config, &ItemLimits::default()).unwrap();
    let serving = tokio::spawn(serving);
    let request = format!("POST /items HTTP/1.1\r\nhost: localhost\r\n{JSON}content-length: 4\r\n\r\n1.10");
    ours.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(source.next(1).await.unwrap().unwrap()[0].as_ref().unwrap().to_string(), "1.10");
    ours.shutdown().await.unwrap();
    let mut answer = String::new();
    ours.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    serving.await.unwrap();
}
