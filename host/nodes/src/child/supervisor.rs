//! The process between the host and a child, and all that it does.
//!
//! The host does not start a child itself. It starts this program again as `… --supervise PROGRAM ARGS…`
//! ([`super::started`]), which starts the child and waits. It upholds that nothing of a child outlives the child or the
//! host, however either ends:
//!
//! - It adopts what the child's descendants leave behind (a child subreaper), so that they stay in its part of the tree of
//!   processes also when they make sessions of their own or when whoever started them ends; and it reaps them.
//! - When the child ends, it kills all that is left of it.
//! - The host holds the other end of a socket. When that closes, because the host wants the child to end or because the host
//!   is gone, SIGKILL included, it kills the child and all that descends from it.
//! - When it is killed itself, the kernel kills the child (a parent-death signal), and the host ends what it adopts then.
//!
//! The child gets standard input, output and error of the host's making and no other descriptor, a session without a
//! terminal, a process group of its own, and no core dumps. Outside Linux there are neither subreapers nor parent-death
//! signals: there, what is killed is the child's process group.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread;

use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, close, dup2_stderr, dup2_stdin, dup2_stdout, getpid, setsid};
use serde::{Deserialize, Serialize};

use super::Exit;
use super::descendants::end_descendants;

/// How a supervisor is started: `program args… PROGRAM ARGS…`, the latter being the child's. What is started calls
/// [`supervise`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supervisor {
    /// The program.
    pub program: PathBuf,
    /// What it is given before the child's program.
    pub args: Vec<String>,
}

/// Where the supervisor finds its end of the host's socket.
pub(super) const CONTROL: RawFd = 3;

/// What the supervisor tells the host, a line of JSON each: first either of the first two, and the last at the child's end.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Report {
    /// The child's number.
    Started(i32),
    /// Why there is no child.
    Failed(String),
    /// The child is gone.
    Ended { code: Option<i32>, signal: Option<i32> },
}

/// Runs a program under supervision until nothing of it is left. To be called at the very beginning of a process that the
/// host started for it: every descriptor but the standard ones and the host's socket is closed.
pub fn supervise(command: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Some(control) = take_control() else {
        eprintln!("only the host can start a supervisor: there is no socket to it at descriptor {CONTROL}");
        return ExitCode::from(2);
    };
    // Already the leader of a session: then it has no terminal that is not its own.
    let _ = setsid();
    adopt();
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    match start(command) {
        Ok(child) => {
            tell(&control, &Report::Started(child.as_raw()));
            watch(child, control);
            ExitCode::SUCCESS
        }
        Err(error) => {
            tell(&control, &Report::Failed(error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// Takes the socket, and closes whatever else came along. None: there is no such descriptor.
#[expect(unsafe_code, reason = "a descriptor that was passed by number has no owner in safe Rust")]
fn take_control() -> Option<UnixStream> {
    let open = open_descriptors();
    if !open.contains(&CONTROL) {
        return None;
    }
    for descriptor in open {
        if descriptor > CONTROL {
            // One of them was the listing's own, and is closed already.
            let _ = close(descriptor);
        }
    }
    // SAFETY: it is open, and as the process has only begun, nothing else in it owns it.
    let control = unsafe { OwnedFd::from_raw_fd(CONTROL) };
    // A copy has the close-on-exec flag, which a descriptor that was passed cannot have.
    let copy = control.try_clone().ok()?;
    Some(UnixStream::from(copy))
}

fn open_descriptors() -> Vec<RawFd> {
    ["/proc/self/fd", "/dev/fd"]
        .into_iter()
        .find_map(|listing| std::fs::read_dir(listing).ok())
        .map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
        .unwrap_or_else(|| (0..1_024).collect())
}

#[cfg(target_os = "linux")]
fn adopt() {
    // Refused by no kernel that has it; without it orphans are init's to reap, and the process group is still killed.
    let _ = nix::sys::prctl::set_child_subreaper(true);
    // A name of its own: whoever looks for the host by its program's name does not mean this.
    let _ = nix::sys::prctl::set_name(c"node-supervisor");
}

#[cfg(not(target_os = "linux"))]
fn adopt() {}

/// Starts the child, and lets go of the pipes that are its own.
#[expect(
    unsafe_code,
    reason = "only between fork and exec can the child ask to be killed with its supervisor"
)]
fn start(command: impl IntoIterator<Item = OsString>) -> io::Result<Pid> {
    let mut words = command.into_iter();
    let program = words.next().ok_or_else(|| io::Error::other("no program is named"))?;
    let mut command = Command::new(program);
    command.args(words).process_group(0);
    let supervisor = getpid();
    // SAFETY: `end_with` calls prctl and getppid, which may be called between fork and exec, and allocates nothing.
    unsafe { command.pre_exec(move || end_with(supervisor)) };
    let child = command.spawn()?;
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&nothing)?;
    dup2_stdout(&nothing)?;
    dup2_stderr(&nothing)?;
    i32::try_from(child.id()).map(Pid::from_raw).map_err(io::Error::other)
}

/// Has the kernel kill this process when the supervisor is gone, also when that has just happened.
#[cfg(target_os = "linux")]
fn end_with(supervisor: Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    if nix::unistd::getppid() == supervisor { Ok(()) } else { Err(Errno::ESRCH.into()) }
}

#[cfg(not(target_os = "linux"))]
fn end_with(_supervisor: Pid) -> io::Result<()> {
    Ok(())
}

fn tell(mut control: &UnixStream, report: &Report) {
    let Ok(mut line) = serde_json::to_vec(report) else { return };
    line.push(b'\n');
    // The host may be gone, which the thread that reads learns too.
    let _ = control.write_all(&line);
}

/// Until the child and all that descends from it are gone.
fn watch(child: Pid, control: UnixStream) {
    if let Ok(mut ends) = control.try_clone() {
        thread::spawn(move || {
            // The host writes nothing: whatever comes, the end included, means that the child is to end.
            let _ = ends.read(&mut [0]);
            end(child, || {});
        });
    }
    let exit = wait(child);
    tell(&control, &Report::Ended { code: exit.code, signal: exit.signal });
    end(child, || {
        while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive)
        {
        }
    });
}

fn end(child: Pid, reap: impl FnMut()) {
    // The whole tree, and outside Linux at least the group.
    let _ = killpg(child, Signal::SIGKILL);
    end_descendants(getpid(), reap);
}

/// Reaps what ends, adopted processes too, until it is the child.
fn wait(child: Pid) -> Exit {
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => {
                return Exit { code: Some(code), signal: None };
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Exit { code: None, signal: Some(signal as i32) };
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Exit { code: None, signal: None },
        }
    }
}
