//! What happens to the loop itself is journaled and told.

use std::sync::Arc;

use flyball_model::{Event, EventRecord, Notice, Safety, TickRecord};

use crate::controller::{Controller, add_error};
use crate::ports::JournalError;
use crate::state::State;

impl Controller {
    /// On disk when it returns, and told.
    pub(crate) async fn journal_event(&self, tick: u64, event: Event) -> Result<(), JournalError> {
        let event =
            EventRecord { at: self.clock.now(), session: Some(Arc::clone(&self.session)), tick, event };
        let journaled = self.journal.record(&event).await;
        self.listener.event(&event);
        journaled
    }

    /// The same, where the loop goes on whether it could be journaled or not.
    pub(crate) async fn tell(&self, record: &mut TickRecord, event: Event) {
        if let Err(error) = self.journal_event(record.tick, event).await {
            add_error(record, format!("not all that happened is recorded: {error}"));
        }
    }

    /// Tells people.
    pub(crate) async fn notify(&self, record: &mut TickRecord, code: &str, message: String) {
        self.tell(record, Event::Notified(Notice { code: code.to_owned(), message })).await;
    }

    /// Actions that do not help come to an end.
    pub(crate) async fn freeze_if_futile(&self, state: &mut State, safety: &Safety, record: &mut TickRecord) {
        let futile = state.tries.futile();
        if state.frozen.is_some() || futile < safety.futile {
            return;
        }
        let why = format!("{futile} actions in a row did not help; the limit is {}", safety.futile);
        state.frozen = Some(why.clone());
        self.tell(record, Event::Frozen { why: why.clone() }).await;
        let message = format!("{} is frozen: {why}; `flyball resume {}` ends it", self.session, self.session);
        self.notify(record, "frozen", message).await;
    }

    /// A person lets the loop act again after a freeze, and begin anew. `false`: it was not frozen.
    pub async fn thaw(&self) -> bool {
        let mut state = self.state.lock().await;
        state.tries.forget();
        state.escalated.clear();
        state.told.clear();
        state.frozen.take().is_some()
    }

    /// Why the session is frozen, if it is.
    pub async fn frozen(&self) -> Option<String> {
        self.state.lock().await.frozen.clone()
    }
}
