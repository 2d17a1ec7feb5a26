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

/// In the order in which they are told.
#[derive(Default)]
pub(crate) struct Listeners(OnceLock<Vec<Arc<dyn Listener>>>);

impl Listeners {
    /// The host's own, and then others. It is said once.
    pub(crate) fn set(
        &self,
        recorder: Arc<Recorder>,
        quiet: &Arc<QuietTicks>,
        log: &EventLog,
        others: Vec<Arc<dyn Listener>>,
    ) {
        let mut all: Vec<Arc<dyn Listener>> = vec![recorder, quiet.clone(), Arc::new(log.clone())];
        all.extend(others);
        if self.0.set(all).is_err() {
            tracing::error!("whoever is told what happens is known already");
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<dyn Listener>> {
        self.0.get().into_iter().flatten()
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
