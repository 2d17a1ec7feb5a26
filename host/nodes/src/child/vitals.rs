use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Exit;

/// How a child is doing. It can be kept and read while the child works, and after its end.
#[derive(Debug, Clone)]
pub struct Vitals(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pid: u32,
    heard: Mutex<Instant>,
    log: Mutex<VecDeque<String>>,
    exit: watch::Receiver<Option<Exit>>,
}

impl Vitals {
    pub(super) fn new(pid: u32, exit: watch::Receiver<Option<Exit>>) -> Self {
        let heard = Mutex::new(Instant::now());
        Self(Arc::new(Shared { pid, heard, log: Mutex::default(), exit }))
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
