//! What a session's loop takes in from the journal before it may act: what was left open when a host was killed, and what was
//! tried before.

use std::time::Duration;

use flyball_model::{ActionRecord, Event, Outcome, Rules, TickRecord};
use flyball_ports::{DataPlane, JournalError, PlaneError};
use tokio::time::Instant;

use crate::act::acting::shows;
use crate::act::propose::settle_time;
use crate::controller::Controller;
use crate::state::{PAST_ACTIONS, State};
use crate::telling::add_error;
use crate::verify::rollback::OPERATOR;

/// Earlier actions that are taken in: all that validators are told of.
const RECALLED: usize = PAST_ACTIONS;

/// Why a session cannot act yet.
#[derive(Debug, thiserror::Error)]
enum Unrestored {
    #[error("what the journal knows of the session could not be read: {0}")]
    Journal(#[from] JournalError),
    #[error("what was left open could not be held against the graph: {0}")]
    Graph(#[from] PlaneError),
}

impl Controller {
    /// Once; until it has worked, the loop must not act.
    pub(crate) async fn restore(&self, state: &mut State, rules: Option<&Rules>, record: &mut TickRecord) {
        match self.try_restore(state, rules, record).await {
            Ok(()) => {
                state.restored = true;
                if let Some(rules) = rules {
                    self.freeze_if_futile(state, &rules.safety, record).await;
                }
            }
            Err(error) => add_error(record, error.to_string()),
        }
    }

    async fn try_restore(
        &self,
        state: &mut State,
        rules: Option<&Rules>,
        record: &mut TickRecord,
    ) -> Result<(), Unrestored> {
        for open in self.journal.open_intents(&self.session).await? {
            self.reconcile(open, record).await?;
        }
        let resumed_at = self.journal.resumed_at(&self.session).await?.unwrap_or_default();
        let recent = self.journal.recent(&self.session, RECALLED).await?;
        let standing = self.journal.undoable(&self.session, RECALLED).await?;
        let (now, wall) = (Instant::now(), self.clock.now());
        let support = self.plane.support();
        // The wall clock may have jumped; what it says lies ahead was just now.
        let at = |action: &ActionRecord| {
            let age = Duration::from_millis(wall.saturating_sub(action.at));
            now.checked_sub(age).unwrap_or(now)
        };
        for action in &recent {
            state.recall(action, at(action));
        }
        // What a halt stopped before it was done was not tried; what a person undid is no doing of the host's.
        let tried = |action: &&ActionRecord| {
            action.outcome != Outcome::Rejected
                && (action.undoes.is_none() || action.decided_by.name.as_ref() != OPERATOR)
        };
        self.restore_standing(state, standing, rules).await?;
        for action in recent.iter().rev().filter(tried) {
            let at = at(action);
            if action.at > resumed_at {
                state.tries.add(action, at);
            }
            if action.undoes.is_some() {
                continue;
            }
            if let Some(rules) = rules {
                state.pace.tried(at, rules);
            }
            let settle = settle_time(&support, &action.proposal.action);
            state.pace.settles(at, settle, action.proposal.action.to_string());
        }
        Ok(())
    }

    /// What an earlier host did for a fault, and what the data plane still shows.
    async fn restore_standing(
        &self,
        state: &mut State,
        newest_first: Vec<ActionRecord>,
        rules: Option<&Rules>,
    ) -> Result<(), Unrestored> {
        if newest_first.is_empty() {
            return Ok(());
        }
        let give_back = rules.map(|rules| rules.safety.give_back.clone()).unwrap_or_default();
        let graph = self.plane.graph().await?;
        for action in newest_first.iter().rev() {
            if shows(&action.proposal.action, &action.before, &graph) == Some(true) {
                state.standing.add(action, None, &give_back, Instant::now());
            }
        }
        Ok(())
    }

    /// Holds what was intended against what the data plane shows. It is never done again.
    async fn reconcile(&self, mut action: ActionRecord, record: &mut TickRecord) -> Result<(), Unrestored> {
        let now = self.plane.graph().await?;
        let (outcome, shown) = match shows(&action.proposal.action, &action.before, &now) {
            Some(true) => (Outcome::Unknown, "the data plane shows it"),
            Some(false) => (Outcome::Failed, "the data plane does not show it"),
            None => (Outcome::Unknown, "nothing of it shows in a graph"),
        };
        let note = format!("a host was cut off before it knew what became of it; {shown} now");
        if outcome != Outcome::Failed {
            action.after = Some(now);
        }
        action.outcome = outcome;
        action.note = Some(note.clone());
        action.settled_at = Some(self.clock.now());
        self.journal.conclude(&action).await?;
        self.listener.concluded(&action, outcome);
        self.journal_event(record.tick, Event::Reconciled { action: action.id, outcome, note }).await?;
        Ok(())
    }
}
