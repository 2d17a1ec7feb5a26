//! The sessions that a host runs: each loop is a task of its own, started and stopped by name. It upholds that a name runs once, and that a
//! loop that is stopped ends the tick and the action that it is in.
//!
//! Called by the host.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::controller::Controller;

/// The fractional part of the golden ratio: its multiples fill the interval evenly, however many there will be.
const SPREAD: f64 = 0.618_033_988_749_895;

/// The sessions that a host runs. Each is a task; their first ticks are spread over the interval, so that thousands of
/// sessions do not all want the processor at once, every second.
#[derive(Default)]
pub struct Sessions {
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    started: u32,
    sessions: BTreeMap<Arc<str>, Session>,
}

struct Session {
    controller: Arc<Controller>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// A session of that name runs already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a session named {0:?} runs already; give each pipeline a name of its own")]
pub struct AlreadyRuns(pub String);

impl Sessions {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs the session until it is stopped.
    ///
    /// # Errors
    /// One of that name runs already.
    pub fn start(&self, controller: Arc<Controller>) -> Result<(), AlreadyRuns> {
        let mut running = self.running.lock();
        let name: Arc<str> = controller.session().into();
        if running.sessions.contains_key(&name) {
            return Err(AlreadyRuns(name.to_string()));
        }
        let first = Instant::now() + offset(running.started, controller.interval());
        running.started = running.started.wrapping_add(1);
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn({
            let controller = Arc::clone(&controller);
            async move {
                // The sender gone is a stop, too.
                controller.run_from(first, async move { drop(stopped.wait_for(|stop| *stop).await) }).await;
            }
        });
        running.sessions.insert(name, Session { controller, stop, task });
        Ok(())
    }

    /// The session of that name.
    pub fn get(&self, session: &str) -> Option<Arc<Controller>> {
        self.running.lock().sessions.get(session).map(|session| Arc::clone(&session.controller))
    }

    /// The names of all that run, in order.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.running.lock().sessions.keys().cloned().collect()
    }

    /// How many run.
    pub fn len(&self) -> usize {
        self.running.lock().sessions.len()
    }

    /// Whether none runs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stops one, after the tick that it is in. `false`: there is none of that name.
    pub async fn stop(&self, session: &str) -> bool {
        let stopping = self.running.lock().sessions.remove(session);
        match stopping {
            Some(session) => {
                session.end().await;
                true
            }
            None => false,
        }
    }

    /// Stops all, each after the tick that it is in.
    pub async fn stop_all(&self) {
        let stopping = std::mem::take(&mut self.running.lock().sessions);
        for session in stopping.values() {
            session.stop.send_replace(true);
        }
        for session in stopping.into_values() {
            session.end().await;
        }
    }
}

impl Session {
    async fn end(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(session = self.controller.session(), "the loop broke off: {error}");
        }
    }
}

/// When in the interval the n-th session ticks.
fn offset(started: u32, interval: Duration) -> Duration {
    interval.mul_f64((f64::from(started) * SPREAD).fract())
}
