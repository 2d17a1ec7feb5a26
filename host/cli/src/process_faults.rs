//! Faults that are made for real, with the signals that an operating system has.

use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;
use tokio::task::JoinHandle;

/// SIGKILL, as the kernel's out-of-memory killer does it.
pub(crate) fn kill(pid: u32) -> Result<()> {
    signal(pid, Signal::SIGKILL).with_context(|| format!("cannot kill process {pid}"))
}

fn signal(pid: u32, which: Signal) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid).context("that is no process number")?);
    send(pid, which).map_err(Into::into)
}

/// Takes a process off its processor for most of the time, as a machine does that is shared with too many.
pub(crate) struct Throttle {
    pid: u32,
    throttling: JoinHandle<()>,
}

impl Throttle {
    /// Stopped for `stopped`, let go for `going`, and so on.
    pub(crate) fn start(pid: u32, stopped: Duration, going: Duration) -> Self {
        let throttling = tokio::spawn(async move {
            while signal(pid, Signal::SIGSTOP).is_ok() {
                tokio::time::sleep(stopped).await;
                if signal(pid, Signal::SIGCONT).is_err() {
                    break;
                }
                tokio::time::sleep(going).await;
            }
        });
        Self { pid, throttling }
    }

    /// Lets the process go on as before; nothing stops it any more then.
    pub(crate) async fn stop(mut self) {
        self.throttling.abort();
        // Aborted on purpose.
        let _ = (&mut self.throttling).await;
    }

    /// When the process has ended.
    pub(crate) async fn ended(mut self) {
        // It ends by itself when the process takes no more signals.
        let _ = (&mut self.throttling).await;
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        self.throttling.abort();
        if let Err(fault) = signal(self.pid, Signal::SIGCONT) {
            tracing::debug!(%fault, pid = self.pid, "the slowed process is gone");
        }
    }
}
