//! Everybody who is told what happens, as it happens. They are known only once a host is sure to start, and sessions are told of
//! by one name before that.
//!
//! Filled in by `host`.

use std::sync::{Arc, OnceLock};

use flyball_events::EventLog;
use flyball_model::{ActionRecord, EventRecord, Outcome, TickRecord};
use flyball_ports::Listener;
use flyball_store::QuietTicks;

use crate::recorder::Recorder;

/// The event log, and the others in the order in which they are told.
#[derive(Default)]
pub(crate) struct Listeners(OnceLock<(EventLog, Vec<Arc<dyn Listener>>)>);

impl Listeners {
    /// The host's own, and then others. It is said once.
    pub(crate) fn set(
        &self,
        recorder: Arc<Recorder>,
        quiet: &Arc<QuietTicks>,
        log: &EventLog,
        others: Vec<Arc<dyn Listener>>,
    ) {
        let mut all: Vec<Arc<dyn Listener>> = vec![recorder, quiet.clone()];
        all.extend(others);
        if self.0.set((log.clone(), all)).is_err() {
            tracing::error!("whoever is told what happens is known already");
        }
    }

    fn all(&self) -> impl Iterator<Item = &dyn Listener> {
        self.log().map(|log| log as &dyn Listener).into_iter().chain(self.others())
    }

    /// It holds nobody up, and numbers in the order in which it is told.
    pub(crate) fn log(&self) -> Option<&EventLog> {
        self.0.get().map(|(log, _)| log)
    }

    /// They may take locks of their own.
    pub(crate) fn others(&self) -> impl Iterator<Item = &dyn Listener> {
        self.0.get().into_iter().flat_map(|(_, others)| others).map(|other| &**other)
    }
}

impl Listener for Listeners {
    fn tick(&self, record: &Arc<TickRecord>) {
        self.all().for_each(|listener| listener.tick(record));
    }

    fn concluded(&self, action: &ActionRecord, outcome: Outcome) {
        self.all().for_each(|listener| listener.concluded(action, outcome));
    }

    fn event(&self, event: &EventRecord) {
        self.all().for_each(|listener| listener.event(event));
    }
}
