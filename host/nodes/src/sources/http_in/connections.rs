//! Connections to `http-in`: how many there may be, and for how long.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::sys::resource::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Door, request};

/// How long a connection is kept for more requests. One that is in use then ends with its answer.
const LIFETIME: Duration = Duration::from_secs(300);

/// The head of a request: more than any client of ours needs.
const HEAD_BYTES: usize = 16 * 1024;

/// No more than a quarter of the descriptors: the pipeline's files, children and the control socket need some too.
pub(super) fn most(wanted: usize) -> usize {
    let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(1_024, |(soft, _)| soft);
    wanted.min(usize::try_from(descriptors / 4).unwrap_or(usize::MAX)).max(1)
}

/// Takes connections until it is dropped, with all that are open.
pub(super) async fn accept(listener: TcpListener, door: Arc<Door>, most: usize) {
    let room = Arc::new(Semaphore::new(most));
    let mut open = JoinSet::new();
    loop {
        // One that is not taken costs nothing here: it waits in the system's queue.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        while open.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let serving = serve(stream, Arc::clone(&door));
                open.spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "http-in cannot take a connection; it tries again");
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Speaks HTTP over one connection until it ends or has had its time.
pub(super) fn serve<S>(stream: S, door: Arc<Door>) -> impl Future<Output = ()> + use<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // What is under way when the time is over may still take as long as one request may.
    let last = door.head_time + door.body_time + door.wait;
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(door.head_time).max_buf_size(HEAD_BYTES);
    let app = Router::new().route("/items", post(request::accept)).with_state(door);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    async move {
        tokio::pin!(connection);
        if let Ok(ended) = timeout(LIFETIME, connection.as_mut()).await {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to http-in broke off");
            }
            return;
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(last, connection).await;
    }
}
