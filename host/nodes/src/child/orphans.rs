//! What the host does with processes that it becomes the parent of without having started them.
//!
//! Those are what a child left behind whose supervisor was killed, and in a container whose first process the host is also
//! whatever else loses its parent there. The former are killed, the latter are only reaped when they end, so that none
//! stays a zombie. Processes that were there before the host was (of a script that became the host by `exec`) are not ours
//! to end; where there are any, or where the host is the first process of its container, strangers are reaped only.
//!
//! Nothing here touches a process that the host started: those have their own reaper ([`super::started`]).
//! The program calls [`adopt_orphans`] before it starts a pipeline.

use std::collections::BTreeSet;
use std::io;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getpid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::AbortHandle;
use tokio::time::{Duration, sleep};

use super::descendants::{Process, end_descendants, processes};
use super::started::OWN;

/// Until it is dropped, the host ends and reaps the processes that it adopts.
#[derive(Debug)]
pub struct Adopting(AbortHandle);

impl Drop for Adopting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Makes this process the parent of what its descendants leave behind, and sees to it that this is ended and reaped. To be
/// called within a tokio runtime, by a program that starts no processes but children of nodes.
///
/// # Errors
///
/// The system refuses to tell when a child ends.
pub fn adopt_orphans() -> io::Result<Adopting> {
    let inherited: BTreeSet<i32> = children().into_iter().map(|process| process.pid).collect();
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        tracing::warn!(%error, "what a killed supervisor leaves behind cannot be adopted, and may outlive its node");
    }
    let exact = inherited.is_empty() && getpid().as_raw() != 1;
    let mut ended = signal(SignalKind::child())?;
    let task = tokio::spawn(async move {
        while ended.recv().await.is_some() {
            while sweep(&inherited, exact) {
                sleep(Duration::from_millis(20)).await;
            }
        }
    });
    Ok(Adopting(task.abort_handle()))
}

fn children() -> Vec<Process> {
    let me = getpid().as_raw();
    processes().into_iter().filter(|process| process.parent == me).collect()
}

/// True: something was killed and is to be reaped.
fn sweep(inherited: &BTreeSet<i32>, exact: bool) -> bool {
    let own = OWN.lock();
    let mut killed = false;
    for Process { pid, zombie, .. } in children() {
        if own.contains(&pid) {
            continue;
        }
        let pid = Pid::from_raw(pid);
        if zombie {
            let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
        } else if exact && !inherited.contains(&pid.as_raw()) {
            end_descendants(pid, || {});
            let _ = kill(pid, Signal::SIGKILL);
            tracing::debug!(%pid, "a process that a killed supervisor left behind was ended");
            killed = true;
        }
    }
    killed
}
