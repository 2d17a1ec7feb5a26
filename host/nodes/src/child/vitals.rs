//! What is known of a child from outside, also while it works and after its end: kept by whoever watches it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Exit;
use crate::CustomMetrics;

/// How a worker that answers no more came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerEnd {
    /// It had answered, and ended with success: another is to take its place, and nobody is to blame.
    Recycled,
    /// It crashed, ended with an error, broke the protocol or was silent for too long.
    Failed,
    /// A signal ended it that comes from outside: from a person, or from the kernel that is out of memory.
    FromOutside,
}

fn from_outside(signal: i32) -> bool {
    use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM};
    [SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM].into_iter().any(|outside| outside as i32 == signal)
}

/// How a child is doing. It can be kept and read while the child works, and after its end.
#[derive(Debug, Clone)]
pub struct Vitals(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pid: u32,
    heard: Mutex<Instant>,
    log: Mutex<VecDeque<String>>,
    answered: AtomicBool,
    metrics: CustomMetrics,
    complaint: Mutex<Option<String>>,
    complained: AtomicBool,
    exit: watch::Receiver<Option<Exit>>,
}

impl Vitals {
    pub(super) fn new(pid: u32, exit: watch::Receiver<Option<Exit>>) -> Self {
        let heard = Mutex::new(Instant::now());
        Self(Arc::new(Shared {
            pid,
            heard,
            log: Mutex::default(),
            answered: AtomicBool::new(false),
            metrics: CustomMetrics::default(),
            complaint: Mutex::default(),
            complained: AtomicBool::new(false),
            exit,
        }))
    }

    pub(super) fn beat(&self) {
        *self.0.heard.lock() = Instant::now();
    }

    pub(super) fn log(&self, line: String) {
        const KEPT: usize = 20;
        let mut log = self.0.log.lock();
        if log.len() >= KEPT {
            log.pop_front();
        }
        log.push_back(line);
    }

    pub(super) fn answer(&self) {
        self.0.answered.store(true, Ordering::Release);
    }

    /// Notes what the child does wrong that fails no item; of each child the first only, as it may do so all the time.
    pub(super) fn complain(&self, why: &str) {
        if !self.0.complained.swap(true, Ordering::AcqRel) {
            *self.0.complaint.lock() = Some(why.to_owned());
        }
        tracing::debug!(pid = self.pid(), "{}", flyball_model::printable(why));
    }

    /// What it does wrong that fails no item, told once.
    pub fn take_complaint(&self) -> Option<String> {
        self.0.complaint.lock().take()
    }

    /// The numbers that it reports of itself.
    pub fn metrics(&self) -> CustomMetrics {
        self.0.metrics.clone()
    }

    /// How it came to its end; none: it lives. A child that ends by itself, with code 0 and after it has answered, has
    /// done what it was to do: some programs leave after so many items and expect to be started again.
    pub fn end(&self) -> Option<WorkerEnd> {
        let exit = self.exit()?;
        Some(if exit.code == Some(0) && self.0.answered.load(Ordering::Acquire) {
            WorkerEnd::Recycled
        } else if exit.signal.is_some_and(from_outside) {
            WorkerEnd::FromOutside
        } else {
            WorkerEnd::Failed
        })
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// When it was last heard of; its start, if it never was.
    pub fn last_heartbeat(&self) -> Instant {
        *self.0.heard.lock()
    }

    /// How it ended; none: it lives.
    pub fn exit(&self) -> Option<Exit> {
        *self.0.exit.borrow()
    }

    /// Waits until it has ended and is reaped; none: the runtime ended first.
    pub async fn ended(&self) -> Option<Exit> {
        let mut exit = self.0.exit.clone();
        exit.wait_for(Option::is_some).await.ok().and_then(|exit| *exit)
    }

    /// The newest lines of its standard error, oldest first: few, and each cut short.
    pub fn log_lines(&self) -> Vec<String> {
        self.0.log.lock().iter().cloned().collect()
    }

    pub(super) fn last_words(&self) -> Option<String> {
        self.0.log.lock().back().cloned()
    }
}
