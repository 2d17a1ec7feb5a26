//! The service that the demo's optional node asks: healthy until it is told to be rate-limited.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    limited: Arc<AtomicBool>,
    serving: JoinHandle<()>,
}

impl Service {
    pub(crate) async fn start() -> Result<Self> {
        let limited = Arc::new(AtomicBool::new(false));
        let router = axum::Router::new().route("/", post(answer)).with_state(limited.clone());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("the demo's service cannot listen")?;
        let address = listener.local_addr().context("the demo's service cannot listen")?;
        let serving = tokio::spawn(async move {
            if let Err(fault) = axum::serve(listener, router).await {
                tracing::warn!(%fault, "the demo's service stopped");
            }
        });
        Ok(Self { address, limited, serving })
    }

    /// From now on it answers 429 to everybody.
    pub(crate) fn limit(&self) {
        self.limited.store(true, Ordering::Relaxed);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A word count is all the sentiment there is here; the point is that it is asked for over HTTP.
async fn answer(
    State(limited): State<Arc<AtomicBool>>,
    Json(text): Json<Value>,
) -> (StatusCode, Json<Value>) {
    if limited.load(Ordering::Relaxed) {
        return (StatusCode::TOO_MANY_REQUESTS, Json(json!({ "error": "API rate limit exceeded" })));
    }
    let words = text.to_string().split_whitespace().count();
    (StatusCode::OK, Json(json!({ "words": words, "mood": "calm" })))
}
