//! How another process talks to a running host: a Unix socket in its state directory that only its user may open. One
//! request a connection: a line of JSON with the protocol's version goes in, a line of JSON comes out.
//!
//! ```text
//! {"version":1,"ask":"plugins"}
//! {"version":1,"answer":[…]}
//! {"version":1,"ask":"rollback","session":"chat","count":2}
//! {"version":1,"error":"…"}
//! ```
//!
//! The host must hear a halt whatever else is going on, so this side runs on the control thread (`threads`), and:
//!
//! - a connection has [`TO_ASK`] to send its line. At most [`MOST_SILENT`] may be about to; a new one takes the place of the
//!   oldest, so a thousand idle connections keep nobody out;
//! - at most [`MOST_ANSWERING`] requests are answered at once, and halts beside them;
//! - some descriptors are kept in reserve (`spare_descriptors`): for the connection, and for telling who asks;
//! - who asks is looked at first (`caller`): a process that the host started is refused;
//! - a socket that was removed is made anew, as long as the state directory is still this host's (`state_watch`).
//!
//! Called by `hearing`; [`ask`] is what other processes call.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flyball_model::{Caller, printable_path};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::caller;
use crate::error::{Doing, HostError};
use crate::operations::{OperationError, Operations};
use crate::spare_descriptors::SpareDescriptors;
use crate::state_dir::{Reach, StateDir};

const VERSION: u32 = 1;

/// The longest request that is read; the longest has a session's name in it.
const LONGEST_REQUEST: u64 = 64 * 1024;

/// The longest answer that is read.
const LONGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// How long a connection may take to ask.
const TO_ASK: Duration = Duration::from_secs(5);
/// How long it may take to read its answer.
const TO_HEAR: Duration = Duration::from_secs(10);
/// How long until accepting is tried again after it failed.
const TO_HAVE_ROOM: Duration = Duration::from_millis(50);
/// Connections that have not asked yet.
const MOST_SILENT: usize = 64;
/// The spare descriptors that telling who asks takes: a process may be looked up while another thread takes what was let go.
const TO_TELL_WHO: usize = 4;
/// Requests that are being answered.
const MOST_ANSWERING: usize = 64;

/// How long a command looks for a host that is there, and whose socket is not.
const TO_REACH: Duration = Duration::from_secs(2);
/// How long a command waits for an answer; an undo may take its time.
const TO_ANSWER: Duration = Duration::from_secs(120);

/// What may be asked of a running host by its socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ControlRequest {
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
        /// In the person's words.
        why: String,
    },
    /// Act again, after a halt or a freeze.
    Resume {
        /// This session; none: the host.
        session: Option<String>,
        /// In the person's words.
        why: String,
    },
    /// What was done and still stands.
    Changes {
        /// In this session; none: in all.
        session: Option<String>,
    },
    /// The questions to people that stand.
    Approvals,
    /// A person says yes.
    Approve {
        /// To this question.
        id: String,
    },
    /// A person says no.
    Deny {
        /// To this question.
        id: String,
        /// In the person's words.
        why: String,
    },
    /// Undo the newest `count` actions.
    Rollback {
        /// Of this session; none: of the only one.
        session: Option<String>,
        /// So many.
        count: u32,
    },
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    version: u32,
    #[serde(flatten)]
    request: Value,
}

/// Begins to listen in this directory, in the place of whatever socket is there: whoever has the directory's lock is the only
/// host there. Nobody can connect before the socket is this user's alone.
pub(crate) fn listen_in(reach: &Reach) -> Result<UnixListener, HostError> {
    let path = reach.socket();
    match fs::remove_file(&path) {
        Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => {
            return Err(fault).doing("cannot take the place of what is called control.sock");
        }
        _ => {}
    }
    let cannot = "cannot listen on the control socket";
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).doing(cannot)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(&path).doing(cannot)?).doing(cannot)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).doing(cannot)?;
    listen(&socket, Backlog::new(1_024).doing(cannot)?).doing(cannot)?;
    UnixListener::from_std(socket.into()).doing(cannot)
}

/// Answers on this listener, and on those that come after it, until there are to be no more.
pub(crate) async fn serve(
    mut listener: UnixListener,
    mut anew: mpsc::Receiver<UnixListener>,
    spare: SpareDescriptors,
    operations: Operations,
) {
    let server = Arc::new(Server {
        operations,
        silent: Silent::default(),
        answering: Semaphore::new(MOST_ANSWERING),
        spare,
    });
    loop {
        tokio::select! {
            next = anew.recv() => match next {
                Some(next) => listener = next,
                None => return,
            },
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => server.clone().take(stream),
                // Without descriptors this fails also where nobody waits, for whom no room is to be made.
                Err(_) if !is_waited_at(&listener) => tokio::time::sleep(TO_HAVE_ROOM).await,
                // Room is made, first by what is kept for that, then by who has not asked.
                Err(_) if server.spare.let_one_go() || server.silent.evict() => {
                    tokio::task::yield_now().await;
                }
                Err(fault) => {
                    tracing::warn!(%fault, "the control socket cannot accept");
                    tokio::time::sleep(TO_HAVE_ROOM).await;
                }
            },
        }
    }
}

/// Whether somebody has connected who is not accepted yet.
fn is_waited_at(listener: &UnixListener) -> bool {
    let mut asked = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    poll(&mut asked, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

struct Server {
    operations: Operations,
    silent: Silent,
    answering: Semaphore,
    spare: SpareDescriptors,
}

/// The connections that have not asked yet, oldest first.
#[derive(Default)]
struct Silent {
    next: AtomicU64,
    waiting: Mutex<VecDeque<(u64, AbortHandle)>>,
}

impl Silent {
    /// The oldest must go. `false`: there is none.
    fn evict(&self) -> bool {
        let oldest = self.waiting.lock().pop_front();
        oldest.inspect(|(_, oldest)| oldest.abort()).is_some()
    }

    fn asked(&self, number: u64) {
        self.waiting.lock().retain(|(other, _)| *other != number);
    }
}

impl Server {
    fn take(self: Arc<Self>, stream: UnixStream) {
        let number = self.silent.next.fetch_add(1, Ordering::Relaxed);
        let server = self.clone();
        if self.silent.waiting.lock().len() >= MOST_SILENT {
            self.silent.evict();
        }
        let mut waiting = self.silent.waiting.lock();
        let task = tokio::spawn(async move {
            if let Err(fault) = server.one(stream, number).await {
                tracing::debug!(%fault, "a control connection broke off");
            }
            server.silent.asked(number);
            server.spare.refill();
        });
        waiting.push_back((number, task.abort_handle()));
    }

    async fn one(&self, stream: UnixStream, number: u64) -> std::io::Result<()> {
        self.spare.let_go_if_needed(TO_TELL_WHO);
        let by = caller::of(&stream);
        let (read, mut write) = stream.into_split();
        let mut line = String::new();
        let mut reader = tokio::io::BufReader::new(read.take(LONGEST_REQUEST));
        let asked = timeout(TO_ASK, reader.read_line(&mut line)).await;
        self.silent.asked(number);
        let said = match (by, asked) {
            (Err(refused), _) => Err(refused),
            (_, Err(_)) => Err(format!("nothing was asked within {} s", TO_ASK.as_secs())),
            (_, Ok(Err(fault))) => return Err(fault),
            (Ok(by), Ok(Ok(_))) => match parse(&line) {
                Ok(request) => self.answer(request, by).await,
                Err(fault) => Err(fault),
            },
        };
        let reply = match said {
            Ok(answer) => json!({ "version": VERSION, "answer": answer }),
            Err(error) => json!({ "version": VERSION, "error": error }),
        };
        let telling = async {
            write.write_all(format!("{reply}\n").as_bytes()).await?;
            write.shutdown().await
        };
        timeout(TO_HEAR, telling).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }

    async fn answer(&self, request: ControlRequest, by: Caller) -> Result<Value, String> {
        // A halt is answered however many others ask.
        let _turn = match (&request, self.answering.try_acquire()) {
            (ControlRequest::Halt { .. }, turn) => turn.ok(),
            (_, Ok(turn)) => Some(turn),
            (_, Err(_)) => {
                return Err(format!("this host answers {MOST_ANSWERING} requests already; ask again"));
            }
        };
        self.operations.answer(request, by).await
    }
}

impl Operations {
    /// The answer as JSON, or why there is none, as a sentence. Called on the control thread, which must not be held up.
    async fn answer(&self, request: ControlRequest, by: Caller) -> Result<Value, String> {
        match request {
            ControlRequest::Status => written(self.status().await),
            ControlRequest::Plugins => written(self.plugins().await),
            ControlRequest::Recordings => written(Ok(self.recordings())),
            ControlRequest::Halt { session, why } => written(self.halt(session, why, by).await),
            ControlRequest::Resume { session, why } => written(self.resume(session, why, by).await),
            ControlRequest::Changes { session } => written(self.changes(session.as_deref()).await),
            ControlRequest::Approvals => written(self.approvals().await),
            ControlRequest::Approve { id } => written(self.approve(&id, by).await),
            ControlRequest::Deny { id, why } => written(self.deny(&id, &why, by).await),
            ControlRequest::Rollback { session, count } => {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                written(self.rollback(session.as_deref(), count, by).await)
            }
        }
    }
}

fn written<T: Serialize>(answer: Result<T, OperationError>) -> Result<Value, String> {
    let answer = answer.map_err(|error| error.to_string())?;
    serde_json::to_value(answer).map_err(|error| error.to_string())
}

fn parse(line: &str) -> Result<ControlRequest, String> {
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

/// What came of asking.
pub enum RequestResult {
    /// The host's answer.
    Answer(Value),
    /// No host has this state directory.
    NoHost,
    /// A host has it and cannot be asked: why, as a sentence.
    Unreachable(String),
}

/// Why a host that can be reached did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It says why.
    #[error("{0}")]
    Refused(String),
    /// Its answer did not come, or is none.
    #[error("the host with the state directory {} broke off", printable_path(.dir))]
    BrokenOff {
        /// The state directory.
        dir: PathBuf,
        /// What happened.
        #[source]
        cause: std::io::Error,
    },
}

/// Asks the host that has this state directory. A socket that is gone is waited for where a host is there: it makes it anew.
///
/// # Errors
///
/// The host refuses, or breaks off.
pub fn ask(state: &StateDir, request: &ControlRequest) -> Result<RequestResult, AskError> {
    let begun = Instant::now();
    let stream = loop {
        let fault = match state.reach().and_then(|reach| StdStream::connect(reach.socket())) {
            Ok(stream) => break stream,
            Err(fault) => fault,
        };
        match state.is_held() {
            Ok(false) => return Ok(RequestResult::NoHost),
            Ok(true) if begun.elapsed() > TO_REACH => {
                return Ok(RequestResult::Unreachable(unreachable(state, &fault)));
            }
            Ok(true) => std::thread::sleep(TO_REACH / 40),
            Err(fault) => {
                let dir = printable_path(state.path());
                let why =
                    format!("it cannot be told whether a host runs with the state directory {dir}: {fault}");
                return Ok(RequestResult::Unreachable(why));
            }
        }
    };
    let answer = converse(stream, request)
        .map_err(|cause| AskError::BrokenOff { dir: state.path().to_owned(), cause })?;
    if let Some(error) = answer.get("error").and_then(Value::as_str) {
        return Err(AskError::Refused(error.to_owned()));
    }
    Ok(RequestResult::Answer(answer.get("answer").cloned().unwrap_or_default()))
}

fn converse(mut stream: StdStream, request: &ControlRequest) -> std::io::Result<Value> {
    let mut envelope = serde_json::to_value(request)?;
    if let Some(fields) = envelope.as_object_mut() {
        fields.insert("version".to_owned(), VERSION.into());
    }
    stream.set_read_timeout(Some(TO_ANSWER))?;
    stream.write_all(format!("{envelope}\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST_ANSWER)).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

fn unreachable(state: &StateDir, fault: &std::io::Error) -> String {
    let stop = state.holder().map(|pid| format!("; `kill {pid}` stops it")).unwrap_or_default();
    let why = match fault.kind() {
        std::io::ErrorKind::NotFound => "it has no socket; if it is still starting, ask once more".to_owned(),
        _ => fault.to_string(),
    };
    format!(
        "a host runs with the state directory {} and cannot be asked ({why}), so it may act on{stop}",
        printable_path(state.path())
    )
}

/// That there is none, as the beginning of a sentence.
pub fn no_host(state: &StateDir) -> String {
    format!("no host runs with the state directory {}", printable_path(state.path()))
}
