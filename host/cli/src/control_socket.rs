//! How another process talks to a running host: a Unix socket in its state directory that only its user may open. One
//! request a connection: a line of JSON with the protocol's version goes in, a line of JSON comes out.
//!
//! ```text
//! {"version":1,"ask":"plugins"}
//! {"version":1,"answer":[…]}
//! {"version":1,"ask":"rollback","session":"chat","count":2}
//! {"version":1,"error":"…"}
//! ```

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::exit::Failure;

const VERSION: u32 = 1;

/// The longest request that is read; the longest has a session's name in it.
const LONGEST_REQUEST: u64 = 64 * 1024;

/// The longest answer that is read.
const LONGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// What may be asked of a running host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Who judges what: sessions, policies and plugins.
    Status,
    /// The plugins, and what their calls cost.
    Plugins,
    /// What became of the calls that were to be recorded.
    Recordings,
    /// Stop all acting.
    Halt {
        /// Of this session; none: of all.
        session: Option<String>,
        why: String,
    },
    /// Act again, after a halt or a freeze.
    Resume {
        /// This session; none: the host.
        session: Option<String>,
        why: String,
    },
    /// The questions to people that stand.
    Approvals,
    /// A person says yes.
    Approve { id: String },
    /// A person says no.
    Deny { id: String, why: String },
    /// Undo the newest `count` actions.
    Rollback {
        /// Of this session; none: of the only one.
        session: Option<String>,
        count: u32,
    },
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    version: u32,
    #[serde(flatten)]
    request: Value,
}

/// Whoever answers.
#[async_trait]
pub(crate) trait Answers: Send + Sync {
    /// The answer, or why there is none, as a sentence.
    async fn answer(&self, request: Request) -> Result<Value, String>;
}

/// Listens until it is dropped; then the socket's file is gone.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    path: PathBuf,
    serving: tokio::task::JoinHandle<()>,
}

impl ControlSocket {
    /// Begins to listen. A socket that a dead host left behind is taken over; a living host's is not.
    pub(crate) fn open(path: PathBuf, answers: Arc<dyn Answers>) -> Result<Self> {
        if StdStream::connect(&path).is_ok() {
            bail!(
                "a host already runs with the state directory {}; stop it, or name another directory with --state DIR",
                path.parent().unwrap_or(Path::new(".")).display()
            );
        }
        let cannot = || format!("cannot listen on {}", path.display());
        match std::fs::remove_file(&path) {
            Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => {
                return Err(fault).with_context(cannot);
            }
            _ => {}
        }
        // The directory is this user's alone, so nobody can connect before the mode is set.
        let listener = UnixListener::bind(&path).with_context(cannot)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).with_context(cannot)?;
        let serving = tokio::spawn(serve(listener, answers));
        Ok(Self { path, serving })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        self.serving.abort();
        if let Err(fault) = std::fs::remove_file(&self.path) {
            tracing::debug!(%fault, "the control socket was gone already");
        }
    }
}

async fn serve(listener: UnixListener, answers: Arc<dyn Answers>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let answers = answers.clone();
                tokio::spawn(async move {
                    if let Err(fault) = one(stream, answers.as_ref()).await {
                        tracing::debug!(%fault, "a control connection broke off");
                    }
                });
            }
            Err(fault) => {
                tracing::warn!(%fault, "the control socket cannot accept");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn one(stream: UnixStream, answers: &dyn Answers) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    tokio::io::BufReader::new(read.take(LONGEST_REQUEST)).read_line(&mut line).await?;
    let reply = match parse(&line) {
        Ok(request) => match answers.answer(request).await {
            Ok(answer) => json!({ "version": VERSION, "answer": answer }),
            Err(error) => json!({ "version": VERSION, "error": error }),
        },
        Err(error) => json!({ "version": VERSION, "error": error }),
    };
    write.write_all(format!("{reply}\n").as_bytes()).await?;
    write.shutdown().await
}

fn parse(line: &str) -> Result<Request, String> {
    let envelope: Envelope =
        serde_json::from_str(line).map_err(|fault| format!("that is not a request: {fault}"))?;
    if envelope.version != VERSION {
        return Err(format!(
            "this host speaks version {VERSION} of the control protocol, not {}; use the flyball that started it",
            envelope.version
        ));
    }
    serde_json::from_value(envelope.request).map_err(|fault| format!("that is not a request: {fault}"))
}

/// Asks the host that runs with this socket. None: no host runs there.
pub(crate) fn ask(socket: &Path, request: &Request) -> Result<Option<Value>, Failure> {
    let Ok(mut stream) = StdStream::connect(socket) else { return Ok(None) };
    let mut envelope = serde_json::to_value(request).context("cannot write the request")?;
    if let Some(fields) = envelope.as_object_mut() {
        fields.insert("version".to_owned(), VERSION.into());
    }
    let broke = || format!("the host on {} broke off", socket.display());
    stream.set_read_timeout(Some(Duration::from_secs(120))).with_context(broke)?;
    stream.write_all(format!("{envelope}\n").as_bytes()).with_context(broke)?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST_ANSWER)).read_line(&mut line).with_context(broke)?;
    let reply: Value = serde_json::from_str(&line).with_context(broke)?;
    if let Some(error) = reply.get("error").and_then(Value::as_str) {
        return Err(anyhow::anyhow!("{error}").into());
    }
    Ok(Some(reply.get("answer").cloned().unwrap_or_default()))
}

/// The sentence for a command that needs a running host.
pub(crate) fn nobody(socket: &Path) -> Failure {
    Failure::NoHost(format!(
        "no host runs with the state directory {}; start one with `flyball run`, or name its directory with --state DIR",
        socket.parent().unwrap_or(Path::new(".")).display()
    ))
}
