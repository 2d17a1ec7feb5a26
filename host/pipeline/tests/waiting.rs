//! What is outside cannot take an item now: a server is down, a disk is full, dead letters find no room. Items wait, nothing
//! is lost or doubled, the loop sees it, and the node can still be changed and stopped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use flyball_model::{Action, NodeStatus};
use flyball_pipeline::PipelineOptions;
use parking_lot::Mutex;
use serde_json::{Value, json};
use support::{Run, line, manifest, options, source};

type Refuses = Box<dyn Fn(u64) -> Option<StatusCode> + Send>;

/// Takes items as it is told to, and keeps their numbers in their order.
struct Server {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<u64>>>,
    /// What it answers to an item of this number; none: it takes it.
    refuses: Arc<Mutex<Refuses>>,
}

impl Server {
    async fn start(refuses: impl Fn(u64) -> Option<StatusCode> + Send + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), refuses).await
    }

    async fn start_at(
        address: SocketAddr,
        refuses: impl Fn(u64) -> Option<StatusCode> + Send + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let refuses: Arc<Mutex<Refuses>> = Arc::new(Mutex::new(Box::new(refuses)));
        let (keeps, asks) = (Arc::clone(&taken), Arc::clone(&refuses));
        let app = Router::new().fallback(move |body: axum::Json<Value>| async move {
            let n = body["n"].as_u64().unwrap();
            let refused = asks.lock()(n);
            if refused.is_none() {
                keeps.lock().push(n);
            }
            refused.unwrap_or(StatusCode::OK)
        });
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, taken, refuses }
    }

    fn takes_all(&self) {
        *self.refuses.lock() = Box::new(|_| None);
    }

    fn taken(&self) -> Vec<u64> {
        self.taken.lock().clone()
    }
}

fn posting_to(address: SocketAddr, items: u64, retries: u32) -> Value {
    let params = json!({"url": format!("http://{address}/in"), "timeout_ms": 2_000});
    let out = json!({"id": "out", "type": "http-out", "retries": retries, "params": params});
    manifest(true, json!([source(items), out]), &[("source", "out")])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_server_that_is_down_is_delivered_once_and_in_order_when_it_is_back() {
    let gone = Server::start(|_| None).await.address;
    // That one goes on; another address has nobody.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert_ne!(gone, address);
    drop(listener);
    let run = Run::start(posting_to(address, 2_000, 0)).await;
    run.has_status("out", NodeStatus::Degraded).await;
    let seen = run.observe().await;
    let error = seen.nodes.last_errors[seen.nodes.find("out").unwrap()].clone().unwrap();
    assert!(error.contains("did not answer") && error.to_lowercase().contains("refused"), "{error}");
    // It pushes back instead of taking more in than there is room for.
    run.until(|| run.pipeline.account().accepted >= 256, "a full queue").await;
    assert!(run.pipeline.account().accepted < 1_000, "{:?}", run.pipeline.account());
    let server = Server::start_at(address, |_| None).await;
    run.finish().await;
    let account = run.pipeline.account();
    assert_eq!((account.delivered, account.dead_lettered), (2_000, 0));
    assert!(server.taken().into_iter().eq(0..2_000));
    assert_eq!(run.status("out").await, NodeStatus::Healthy);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_broken_or_busy_for_a_while_costs_no_item() {
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::TOO_MANY_REQUESTS, StatusCode::BAD_GATEWAY]
    {
        let server = Server::start(move |_| Some(status)).await;
        let run = Run::start(posting_to(server.address, 300, 0)).await;
        run.has_status("out", NodeStatus::Degraded).await;
        // As long as several tries take.
        run.until(|| run.pipeline.account().accepted >= 250, "items that wait").await;
        assert_eq!(run.pipeline.account().dead_lettered, 0);
        server.takes_all();
        run.finish().await;
        assert_eq!((run.pipeline.account().delivered, run.lines("dead.jsonl").len()), (300, 0), "{status}");
        let taken: BTreeSet<u64> = server.taken().into_iter().collect();
        assert!(taken.into_iter().eq(0..300), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_breaks_a_server_which_takes_others_is_dead_lettered_and_holds_up_nobody() {
    let server = Server::start(|n| (n == 7 || n == 8).then_some(StatusCode::INTERNAL_SERVER_ERROR)).await;
    let run = Run::start(posting_to(server.address, 60, 1)).await;
    run.finish().await;
    let letters: Vec<_> = run.lines("dead.jsonl").iter().map(|letter| letter["item"]["n"].as_u64()).collect();
    assert_eq!(letters, [Some(7), Some(8)]);
    assert!(server.taken().into_iter().eq((0..60).filter(|n| *n != 7 && *n != 8)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_refuses_is_dead_lettered_whole_and_the_rest_is_delivered() {
    let server = Server::start(|n| (n % 10 == 3).then_some(StatusCode::UNPROCESSABLE_ENTITY)).await;
    let run = Run::start(posting_to(server.address, 100, 2)).await;
    run.finish().await;
    let letters = run.lines("dead.jsonl");
    assert!(
        letters
            .iter()
            .map(|letter| &letter["item"])
            .eq(&(0..10).map(|ten| json!({"n": ten * 10 + 3})).collect::<Vec<_>>())
    );
    assert_eq!(server.taken().len(), 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_waits_is_changed_and_stopped_at_once_and_its_items_stay_in_flight() {
    let server = Server::start(|_| Some(StatusCode::SERVICE_UNAVAILABLE)).await;
    let options =
        PipelineOptions { drain: Duration::from_millis(200), patience: Duration::from_secs(20), ..options() };
    let run = Run::start_with(posting_to(server.address, 100_000, 0), options).await;
    run.has_status("out", NodeStatus::Degraded).await;
    let began = Instant::now();
    run.act(Action::UpdateNodeConfig { node: "out".to_owned(), patch: json!({"concurrent": 4}) }).await;
    run.has_status("out", NodeStatus::Degraded).await;
    run.pipeline.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let account = run.pipeline.account();
    assert!(account.balances());
    assert_eq!((account.in_flight, run.pipeline.lost()), (account.accepted, 0));
    assert!(server.taken().is_empty());
}

/// What is written there finds no room.
fn fill(path: &Path) {
    let _ = std::fs::remove_file(path);
    std::os::unix::fs::symlink("/dev/full", path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_on_a_full_disk_waits_and_gets_every_line_once_when_there_is_room() {
    let run = Run::start(line(true, 3_000, vec![])).await;
    run.until(|| run.pipeline.account().delivered > 200, "deliveries").await;
    let (path, aside) = (run.folder.path().join("out.jsonl"), run.folder.path().join("aside.jsonl"));
    std::fs::rename(&path, &aside).unwrap();
    fill(&path);
    run.has_status("out", NodeStatus::Degraded).await;
    assert_eq!(run.pipeline.account().dead_lettered, 0);
    std::fs::remove_file(&path).unwrap();
    run.finish().await;
    let mut numbers: Vec<u64> = run.numbers("aside");
    numbers.extend(run.numbers("out"));
    assert!(numbers.into_iter().eq(0..3_000));
    assert_eq!(run.pipeline.account().delivered, 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_room_among_the_dead_letters_stays_in_flight_until_it_does() {
    let picky = json!({"id": "picky", "type": "no-odds", "executor": "wasm", "retries": 0});
    let run = Run::start(line(true, 300, vec![picky])).await;
    let path = run.folder.path().join("dead.jsonl");
    fill(&path);
    run.has_status("picky", NodeStatus::Degraded).await;
    let account = run.pipeline.account();
    assert!(account.balances() && account.in_flight > 0, "{account:?}");
    std::fs::remove_file(&path).unwrap();
    run.finish().await;
    let letters: Vec<Value> = run.lines("dead.jsonl").iter().map(|letter| letter["item"].clone()).collect();
    let account = run.pipeline.account();
    // What was written before the disk was full went with the file.
    assert_eq!((account.delivered, account.dead_lettered), (150, 150));
    assert!(letters.iter().all(|item| item["n"].as_u64().unwrap() % 2 == 1));
    assert!(letters.len() as u64 <= account.dead_lettered);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_bounded_and_nothing_vanishes_at_the_bound() {
    let options =
        PipelineOptions { dead_letters_most_bytes: 1_000, drain: Duration::from_millis(100), ..options() };
    let picky = json!({"id": "picky", "type": "fails", "executor": "wasm", "retries": 0});
    let run = Run::start_with(line(true, 1_000, vec![picky]), options).await;
    run.has_status("picky", NodeStatus::Degraded).await;
    run.pipeline.shutdown().await;
    let (account, letters) = (run.pipeline.account(), run.lines("dead.jsonl"));
    assert!(account.balances(), "{account:?}");
    assert_eq!(account.dead_lettered, letters.len() as u64);
    assert_eq!(account.in_flight, account.accepted - account.dead_lettered);
    assert!(std::fs::metadata(run.folder.path().join("dead.jsonl")).unwrap().len() <= 1_000);
    assert!(!letters.is_empty() && run.pipeline.lost() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_no_item_waits_for_room_among_the_dead_letters_too() {
    let mut nodes = line(true, 1, vec![]);
    nodes["nodes"][0] =
        json!({"id": "source", "type": "lines", "params": {"path": "OUT/in", "max_line_kb": 1}});
    let options =
        PipelineOptions { dead_letters_most_bytes: 10, drain: Duration::from_millis(100), ..options() };
    let run = Run::prepared(nodes, options, |folder| {
        std::fs::write(folder.join("in"), format!("{}\ngood\n", "x".repeat(3_000))).unwrap();
    })
    .await;
    run.until(|| run.pipeline.account().accepted == 2, "both lines").await;
    run.pipeline.shutdown().await;
    let account = run.pipeline.account();
    assert!(account.balances(), "{account:?}");
    assert_eq!((account.dead_lettered, run.pipeline.lost()), (0, 0));
    assert!(account.in_flight >= 1, "{account:?}");
}
