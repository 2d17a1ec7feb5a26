//! The host's side of starting a child: a supervisor between the two ([`super::supervisor`]), the pipes to the child, and
//! what the supervisor tells of it.
//!
//! A child that is wanted no more is ended by closing the socket to its supervisor, which also happens when the host is
//! killed. A supervisor that does not answer, because somebody stopped it, is killed by the host with all that descends
//! from it. [`super::ChildProcessor`] is the only caller.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream as Control;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use flyball_model::printable_path;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::descendants::end_descendants;
use super::supervisor::{CONTROL, Report, Supervisor};
use super::{ChildCommand, ChildError, Exit};

/// How long a supervisor may take to start a child, and to end what is left of one.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may take to end a child that is wanted no more; it does so with a signal that nothing can refuse.
const ENDING: Duration = Duration::from_secs(2);

/// The processes that the host started and has not reaped yet. Whoever reaps strangers leaves these alone; held while one
/// is started, so that none is taken for a stranger before it stands here.
pub(super) static OWN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// A child that was started.
pub(super) struct Started {
    pub(super) pid: u32,
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
    /// How it ended, when it has.
    pub(super) exit: watch::Receiver<Option<Exit>>,
    /// Dropped, it ends the child.
    pub(super) life: oneshot::Sender<()>,
}

/// Starts a child and waits until it is the program that was named. To be called within a tokio runtime.
pub(super) fn start(supervisor: &Supervisor, command: &ChildCommand) -> Result<Started, ChildError> {
    let unstarted = |cause: String| ChildError::Start { program: printable_path(&command.program), cause };
    let program = lookup(&command.program).map_err(unstarted)?;
    let (control, theirs) = Control::pair().map_err(|error| unstarted(error.to_string()))?;
    let mut starting = Command::new(&supervisor.program);
    starting.args(&supervisor.args).arg(program).args(&command.args).env_clear().envs(&command.env);
    starting.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    starting
        .fd_mappings(vec![FdMapping { parent_fd: theirs.into(), child_fd: CONTROL }])
        .map_err(|error| unstarted(error.to_string()))?;
    let mut child = {
        let mut own = OWN.lock();
        let child = starting.spawn().map_err(|error| unstarted(why_not(&error, supervisor)))?;
        own.extend(child.id().and_then(|pid| i32::try_from(pid).ok()));
        child
    };
    // It holds the supervisor's end of the socket, whose closing is to be seen.
    drop(starting);
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let heard = hear(&control);
    let (exit_seen, exit) = watch::channel(None);
    let (life, end) = oneshot::channel();
    match (heard, pipes, attached(control)) {
        (Ok(Report::Started(pid)), (Some(stdin), Some(stdout), Some(stderr)), Ok(control)) => {
            tokio::spawn(look_after(child, Pid::from_raw(pid), control, end, exit_seen));
            let pid = u32::try_from(pid).unwrap_or_default();
            Ok(Started { pid, stdin, stdout, stderr, exit, life })
        }
        (heard, _, attached) => {
            tokio::spawn(give_up(child));
            Err(unstarted(match (heard, attached) {
                (Ok(Report::Failed(cause)), _) => cause,
                (Err(error), _) | (_, Err(error)) => format!("its supervisor does not answer: {error}"),
                _ => "its supervisor did not say that it started".to_owned(),
            }))
        }
    }
}

fn attached(control: Control) -> io::Result<UnixStream> {
    control.set_nonblocking(true)?;
    UnixStream::from_std(control)
}

/// A name without a slash is looked for in the host's `PATH`, which the child itself does not get.
fn lookup(program: &Path) -> Result<PathBuf, String> {
    if program.components().count() != 1 || program.is_absolute() || program.starts_with(".") {
        return Ok(program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| executable(file))
        .ok_or_else(|| "no folder of the host's PATH has such a program".to_owned())
}

fn executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn why_not(error: &io::Error, supervisor: &Supervisor) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("{}, which is to supervise it, is not there", printable_path(&supervisor.program))
        }
        _ => error.to_string(),
    }
}

/// The supervisor's first line, and no byte more: what comes later is read elsewhere.
fn hear(mut control: &Control) -> io::Result<Report> {
    const LONGEST: usize = 4_096;
    control.set_read_timeout(Some(PATIENCE))?;
    let (mut line, mut byte) = (Vec::new(), [0]);
    while line.len() < LONGEST {
        match control.read(&mut byte) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) if byte == *b"\n" => return Ok(serde_json::from_slice(&line)?),
            Ok(_) => line.extend_from_slice(&byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// Until the child has ended by itself or is wanted no more, and all that descends from it is gone.
async fn look_after(
    supervisor: Child,
    child: Pid,
    control: UnixStream,
    end: oneshot::Receiver<()>,
    exit_seen: watch::Sender<Option<Exit>>,
) {
    let mut control = BufReader::new(control);
    let mut line = String::new();
    let reported = tokio::select! {
        read = control.read_line(&mut line) => read,
        _ = end => {
            // Closed to one side: the supervisor ends the child, and still says how it ended.
            let _ = control.get_mut().shutdown().await;
            timeout(ENDING, control.read_line(&mut line)).await.unwrap_or(Ok(0))
        }
    };
    let exit = match reported.ok().and_then(|_| serde_json::from_str(&line).ok()) {
        Some(Report::Ended { code, signal }) => Some(Exit { code, signal }),
        _ => None,
    };
    if let Some(exit) = exit {
        exit_seen.send_replace(Some(exit));
    } else {
        // The supervisor was killed or stopped; nobody else ends what it had.
        let _ = killpg(child, Signal::SIGKILL);
    }
    drop(control);
    let killed = reap(supervisor, if exit.is_some() { PATIENCE } else { ENDING }).await;
    if exit.is_none() {
        exit_seen.send_replace(Some(killed));
    }
}

/// A supervisor that did not start its child.
async fn give_up(mut supervisor: Child) {
    let _ = supervisor.start_kill();
    reap(supervisor, ENDING).await;
}

/// Waits for a supervisor's end; one that takes too long is killed with its descendants.
async fn reap(mut supervisor: Child, patience: Duration) -> Exit {
    let Some(pid) = supervisor.id().and_then(|pid| i32::try_from(pid).ok()) else {
        return Exit { code: None, signal: None };
    };
    let status = match timeout(patience, supervisor.wait()).await {
        Ok(status) => status,
        Err(_) => {
            let root = Pid::from_raw(pid);
            let ended = tokio::task::spawn_blocking(move || {
                end_descendants(root, || {});
                let _ = kill(root, Signal::SIGKILL);
            });
            let _ = ended.await;
            supervisor.wait().await
        }
    };
    OWN.lock().remove(&pid);
    status.map_or(Exit { code: None, signal: None }, Exit::from)
}
