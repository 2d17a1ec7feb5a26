//! A server that says what it is told to say.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use futures::StreamExt;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// What it says to one request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// This, whole.
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The beginning of this; then the connection breaks off.
    CutOff(Vec<u8>),
    /// It never ends.
    Endless,
    /// Nothing, for ever.
    Nothing,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        let json = ("content-type", "application/json".to_owned());
        Self::Whole(status, vec![json], body.to_string().into_bytes())
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self::Whole(status, Vec::new(), body.as_bytes().to_vec())
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Whole(_, headers, _) = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// What reached it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Value,
}

#[derive(Clone)]
struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    gone: mpsc::UnboundedSender<()>,
    arrived: mpsc::UnboundedSender<()>,
}

pub struct Server {
    pub origin: String,
    script: Script,
    /// One for each request that was given up before its answer.
    pub gone: mpsc::UnboundedReceiver<()>,
    /// One for each request.
    pub arrived: mpsc::UnboundedReceiver<()>,
    _stop: oneshot::Sender<()>,
}

/// Tells when a request is given up.
struct Told(Option<mpsc::UnboundedSender<()>>);

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(gone) = self.0.take() {
            let _ = gone.send(());
        }
    }
}

impl Server {
    /// Says these in turn, the last one ever again.
    pub async fn saying(replies: impl IntoIterator<Item = Reply>) -> Self {
        let (gone, told) = mpsc::unbounded_channel();
        let (arrived, came) = mpsc::unbounded_channel();
        let replies = Arc::new(Mutex::new(replies.into_iter().collect()));
        let script = Script { replies, asked: Arc::default(), gone, arrived };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(script.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let serving = axum::serve(listener, app);
            tokio::select! { _ = serving => {}, _ = stopped => {} }
        });
        Self { origin, script, gone: told, arrived: came, _stop: stop }
    }

    /// What reached it so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().unwrap().clone()
    }

    pub fn then_says(&self, replies: impl IntoIterator<Item = Reply>) {
        *self.script.replies.lock().unwrap() = replies.into_iter().collect();
    }
}

async fn answer(State(script): State<Script>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    script.asked.lock().unwrap().push(Asked { path: uri.to_string(), headers, body });
    let _ = script.arrived.send(());
    let reply = {
        let mut replies = script.replies.lock().unwrap();
        if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() }
    };
    let response = Response::builder();
    match reply.unwrap() {
        Reply::Whole(status, headers, body) => {
            let with = |response: axum::http::response::Builder, (name, value)| response.header(name, value);
            headers.into_iter().fold(response.status(status), with).body(Body::from(body)).unwrap()
        }
        Reply::CutOff(body) => {
            let chunks = [Ok(body), Err(std::io::Error::other("it breaks off"))];
            response.body(Body::from_stream(futures::stream::iter(chunks))).unwrap()
        }
        Reply::Endless => {
            let chunks = futures::stream::repeat(vec![b' '; 1024]).map(Ok::<_, std::io::Error>);
            response.body(Body::from_stream(chunks)).unwrap()
        }
        Reply::Nothing => {
            let _told = Told(Some(script.gone.clone()));
            std::future::pending().await
        }
    }
}
