//! The source `http-in`: its configuration, and the items on their way from a request to the pipeline.
//!
//! Everybody who reaches the port is a stranger. What they can take is bounded: connections ([`connections`]), the time
//! and size of heads and bodies, and the memory that accepted items take until the pipeline has them, which can be many
//! times their text. What a browser can be made to send by a page from elsewhere is refused ([`request`]).

mod connections;
mod request;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_json::{ItemLimits, Json, Size};
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::{BATCH_BYTES, SourceConfig};
use crate::{Source, SourceError, SourceProgress, Taken};

/// Takes items by HTTP: `POST /items` with one JSON value or several, one behind the other (a line each, usually), as
/// `application/json` or `application/x-ndjson`. The answer is 202 with how many were accepted; all of a body are or
/// none is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpIn {
    /// Where it listens: `127.0.0.1:8080`. With port 0 the system picks one.
    #[schemars(extend("x-decides-reach" = true))]
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
    /// The names by which it may be called, beside `localhost` and any IP address: a request for another host is refused
    /// with 403, so that no web page can reach it by a name of its own. `*` allows any.
    #[serde(default)]
    #[schemars(extend("x-decides-reach" = true))]
    allowed_hosts: Vec<String>,
    /// Connections at once; others wait to be taken. Never more than a quarter of the file descriptors that the process
    /// may have.
    #[serde(default = "default_connections")]
    #[schemars(range(min = 1, max = 65_536))]
    max_connections: usize,
    /// How long a connection may be without a whole request head, in milliseconds, idle ones included.
    #[serde(default = "default_head")]
    #[schemars(range(min = 10, max = 600_000))]
    head_timeout_ms: u64,
    /// How long a body may take, in milliseconds.
    #[serde(default = "default_body_time")]
    #[schemars(range(min = 10, max = 3_600_000))]
    body_timeout_ms: u64,
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

fn default_connections() -> usize {
    128
}

fn default_head() -> u64 {
    10_000
}

fn default_body_time() -> u64 {
    30_000
}

impl HttpIn {
    fn address(&self) -> Result<SocketAddr, Problem> {
        self.bind.parse().map_err(|_| {
            Problem::new("/bind", format!("\"{}\" is no address with a port", self.bind))
                .help("write it like 127.0.0.1:8080")
        })
    }

    fn door(&self, limits: &ItemLimits) -> (Arc<Door>, Receiver<Accepted>) {
        let (items, accepted) = channel(self.buffer.max(1));
        let door = Door {
            items,
            memory: Arc::new(Semaphore::new(kib(2 * limits.decoded))),
            limits: *limits,
            wait: Duration::from_millis(self.wait_ms),
            max_body: self.max_body_kb.saturating_mul(1024),
            head_time: Duration::from_millis(self.head_timeout_ms),
            body_time: Duration::from_millis(self.body_timeout_ms),
            allowed_hosts: self.allowed_hosts.clone(),
        };
        (Arc::new(door), accepted)
    }
}

impl SourceConfig for HttpIn {
    fn check(&self) -> Result<(), Problem> {
        if let Some(place) = self.allowed_hosts.iter().position(|host| host.is_empty() || host.contains('/'))
        {
            let problem = Problem::new(format!("/allowed_hosts/{place}"), "this is no host's name");
            return Err(problem.help("write it like collector.internal, without a scheme or a path"));
        }
        self.address().map(drop)
    }

    fn open(self, limits: &ItemLimits) -> Result<Box<dyn Source>, Problem> {
        let wanted = self.address()?;
        let unbound = |error: &dyn std::fmt::Display| {
            Problem::new("/bind", format!("cannot listen on {wanted}: {error}"))
        };
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| unbound(&error))?;
        let listener = TcpListener::bind(wanted).map_err(|error| unbound(&error))?;
        listener.set_nonblocking(true).map_err(|error| unbound(&error))?;
        let address = listener.local_addr().map_err(|error| unbound(&error))?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| unbound(&error))?;
        let (door, items) = self.door(limits);
        let most = connections::most(self.max_connections);
        let accept = move || runtime.spawn(connections::accept(listener, door, most));
        tracing::info!(%address, "http-in listens at http://{address}/items");
        let server = Server::Waits(Box::new(accept));
        Ok(Box::new(Listener { items, next: None, address: Some(address), server, given: 0 }))
    }
}

/// What every request needs: its limits, and the way to the pipeline.
pub(super) struct Door {
    items: Sender<Accepted>,
    /// The memory that accepted items take until the pipeline takes them, in KiB.
    memory: Arc<Semaphore>,
    limits: ItemLimits,
    wait: Duration,
    max_body: usize,
    head_time: Duration,
    body_time: Duration,
    allowed_hosts: Vec<String>,
}

/// Rounded up.
fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

/// An item that was answered with 202.
pub(super) struct Accepted {
    item: Json,
    size: Size,
    /// Given back with the last item of its body.
    _memory: Arc<OwnedSemaphorePermit>,
}

struct Listener {
    items: Receiver<Accepted>,
    /// Taken from the channel and not given yet.
    next: Option<Accepted>,
    address: Option<SocketAddr>,
    server: Server,
    given: u64,
}

/// Who accepts connections. Until the pipeline asks for items nobody does: they wait in the listener's backlog, and a start
/// that is refused has answered none.
enum Server {
    Waits(Box<dyn FnOnce() -> JoinHandle<()> + Send>),
    Runs(JoinHandle<()>),
    Nobody,
}

impl Server {
    fn start(&mut self) {
        *self = match std::mem::replace(self, Self::Nobody) {
            Self::Waits(accept) => Self::Runs(accept()),
            other => other,
        };
    }
}

#[async_trait]
impl Source for Listener {
    async fn next(&mut self, max: usize) -> Result<Option<Vec<Taken>>, SourceError> {
        self.server.start();
        if self.next.is_none() {
            self.next = self.items.recv().await;
        }
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(Accepted { item, size, .. }) = self.next.take() {
            bytes += size.decoded;
            taken.push(Ok(item));
            if taken.len() >= max || bytes >= BATCH_BYTES {
                break;
            }
            self.next = self.items.try_recv().ok();
        }
        self.given += taken.len() as u64;
        Ok((!taken.is_empty()).then_some(taken))
    }

    /// What was answered with 202 is still given.
    fn stop(&mut self) {
        self.items.close();
    }

    fn progress(&self) -> SourceProgress {
        SourceProgress::of_items(self.given, None)
    }

    fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Server::Runs(server) = &self.server {
            server.abort();
        }
    }
}

/// Speaks HTTP over any stream, as over a connection to the port: for tests and fuzzing. Ends with the stream; what was
/// accepted is given by the source.
pub fn http_in_over<S>(
    stream: S,
    config: &serde_json::Value,
    limits: &ItemLimits,
) -> Result<(impl Future<Output = ()> + use<S>, Box<dyn Source>), Problem>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = HttpIn::deserialize(config).map_err(|error| Problem::new("", error.to_string()))?;
    let (door, items) = config.door(limits);
    let source = Listener { items, next: None, address: None, server: Server::Nobody, given: 0 };
    Ok((connections::serve(stream, door), Box::new(source)))
}
