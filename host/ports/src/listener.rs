//! Whoever is told what happens, as it happens. Implemented by what prints and counts; called by the loop.

use flyball_model::{ActionRecord, EventRecord, Outcome, TickRecord};
use std::sync::Arc;

/// Whoever wants to be told what happens, as it happens: the terminal, the report.
pub trait Listener: Send + Sync {
    /// Each tick, quiet ones too.
    fn tick(&self, record: &Arc<TickRecord>);

    /// An earlier action whose outcome became known or whose undo was done.
    fn concluded(&self, action: &ActionRecord, outcome: Outcome);

    /// What happened to the loop itself.
    fn event(&self, event: &EventRecord) {
        let _ = event;
    }
}
