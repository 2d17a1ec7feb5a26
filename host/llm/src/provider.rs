use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::breaker::Breaker;
use crate::pace::Pace;

/// How one provider does, whoever asks it.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) breaker: Breaker,
    pub(crate) pace: Pace,
}

/// All providers, by origin.
#[derive(Debug, Default)]
pub(crate) struct Providers(Mutex<HashMap<String, Arc<State>>>);

impl Providers {
    /// The one at this origin. Those that no grant names any more are forgotten.
    pub(crate) fn at(&self, origin: &str) -> Arc<State> {
        let mut known = self.0.lock();
        known.retain(|name, state| name == origin || Arc::strong_count(state) > 1);
        Arc::clone(known.entry(origin.to_owned()).or_default())
    }
}
