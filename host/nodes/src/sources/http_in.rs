use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::SourceConfig;
use crate::{Progress, Source, SourceError, Taken};

/// Takes items by HTTP: `POST /items` with one JSON value or several, one behind the other (a line each, usually). The
/// answer is 202 with how many were accepted; all of a body are or none is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpIn {
    /// Where it listens: `127.0.0.1:8080`. With port 0 the system picks one.
    bind: String,
    /// What one body may hold, in KiB.
    #[serde(default = "default_body")]
    #[schemars(range(min = 1, max = 1_048_576))]
    max_body_kb: usize,
    /// Accepted items that may wait for the pipeline; also the most that one body may hold.
    #[serde(default = "default_buffer")]
    #[schemars(range(min = 1, max = 1_000_000))]
    buffer: usize,
    /// How long a request waits for room before it is answered with 503, in milliseconds.
    #[serde(default = "default_wait")]
    #[schemars(range(max = 600_000))]
    wait_ms: u64,
}

fn default_body() -> usize {
    1_024
}

fn default_buffer() -> usize {
    1_024
}

fn default_wait() -> u64 {
    1_000
}

impl HttpIn {
    fn address(&self) -> Result<SocketAddr, Problem> {
        self.bind.parse().map_err(|_| {
            Problem::new("/bind", format!("\"{}\" is no address with a port", self.bind))
                .help("write it like 127.0.0.1:8080")
        })
    }
}

impl SourceConfig for HttpIn {
    fn check(&self) -> Result<(), Problem> {
        self.address().map(drop)
    }

    fn open(self) -> Result<Box<dyn Source>, Problem> {
        let wanted = self.address()?;
        let unbound = |error: &dyn std::fmt::Display| {
            Problem::new("/bind", format!("cannot listen on {wanted}: {error}"))
        };
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| unbound(&error))?;
        let listener = TcpListener::bind(wanted).map_err(|error| unbound(&error))?;
        listener.set_nonblocking(true).map_err(|error| unbound(&error))?;
        let address = listener.local_addr().map_err(|error| unbound(&error))?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| unbound(&error))?;
        let (door, items) = channel(self.buffer.max(1));
        let door = Arc::new(Door { items: door, wait: Duration::from_millis(self.wait_ms) });
        let app = Router::new()
            .route("/items", post(accept))
            .layer(DefaultBodyLimit::max(self.max_body_kb.saturating_mul(1024)))
            .with_state(door);
        let server = runtime.spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%address, %error, "http-in stopped listening");
            }
        });
        tracing::info!(%address, "http-in listens at http://{address}/items");
        Ok(Box::new(Listener { items, address, server, given: 0 }))
    }
}

struct Door {
    items: Sender<Value>,
    wait: Duration,
}

async fn accept(State(door): State<Arc<Door>>, body: Bytes) -> Response {
    let parsed: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(&body).into_iter().collect();
    let bodies = match parsed {
        Ok(bodies) if bodies.is_empty() => {
            return refusal(StatusCode::BAD_REQUEST, "the body holds no JSON value".to_owned());
        }
        Ok(bodies) => bodies,
        Err(error) => {
            return refusal(
                StatusCode::BAD_REQUEST,
                format!("the body is not JSON: {error}; nothing was accepted"),
            );
        }
    };
    let count = bodies.len();
    let most = door.items.max_capacity();
    if count > most {
        let why = format!("the body holds {count} items; at most {most} are taken at once");
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, why);
    }
    match timeout(door.wait, door.items.reserve_many(count)).await {
        Ok(Ok(room)) => {
            // From here on nothing is awaited: a client that goes away cannot leave half of its items behind.
            for (place, body) in room.zip(bodies) {
                place.send(body);
            }
            (StatusCode::ACCEPTED, Json(json!({"accepted": count}))).into_response()
        }
        Ok(Err(_)) => refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "the pipeline is ending; nothing was accepted".to_owned(),
        ),
        Err(_) => {
            let why = "the pipeline does not keep up; nothing was accepted, try again later".to_owned();
            let mut answer = refusal(StatusCode::SERVICE_UNAVAILABLE, why);
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            answer
        }
    }
}

fn refusal(status: StatusCode, why: String) -> Response {
    (status, Json(json!({"error": why}))).into_response()
}

struct Listener {
    items: Receiver<Value>,
    address: SocketAddr,
    server: JoinHandle<()>,
    given: u64,
}

#[async_trait]
impl Source for Listener {
    async fn next(&mut self, max: usize) -> Result<Option<Vec<Taken>>, SourceError> {
        let mut bodies = Vec::new();
        let count = self.items.recv_many(&mut bodies, max.max(1)).await;
        self.given += count as u64;
        Ok((count > 0).then(|| bodies.into_iter().map(Ok).collect()))
    }

    /// What was answered with 202 is still given.
    fn stop(&mut self) {
        self.items.close();
    }

    fn progress(&self) -> Progress {
        Progress::of_items(self.given, None)
    }

    fn address(&self) -> Option<SocketAddr> {
        Some(self.address)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.server.abort();
    }
}
