//! What was done for a fault is taken back once its reason is gone: by the way of every action, one at a time, when nothing else goes on in the
//! session. What is then measured says whether that was right; where a guard holds it, it is tried again later, and people see why.
//!
//! Called by `controller` on each tick on which nothing wakes a decider, and by `aftermath` when it has ended.

use std::sync::Arc;

use flyball_model::{StandingChange, TickRecord};
use flyball_ports::{DataPlane, Panel, Sight};
use tokio::time::Instant;

use crate::act::acting::shows;
use crate::act::propose::settle_time;
use crate::controller::Controller;
use crate::state::State;
use crate::verify::follow_up::FollowUp;
use crate::verify::measure::{Measure, Taken};
use crate::verify::rollback::{Undo, UndoError, Undoer};

impl Controller {
    /// What was done in this session and still stands, oldest first.
    pub async fn changes(&self) -> Vec<StandingChange> {
        let state = self.state.lock().await;
        let panel = self.judges.panel(&self.session);
        let give_back = panel.map(|panel| panel.rules.safety.give_back.clone()).unwrap_or_default();
        state.standing.told(&give_back, Instant::now())
    }

    /// Takes back the newest change that is no longer needed, if there is one.
    pub(crate) async fn give_back(
        &self,
        state: &mut State,
        panel: &Arc<Panel>,
        sight: &Sight,
        now: Instant,
        record: &mut TickRecord,
    ) {
        let rules = &panel.rules;
        let rests = state.applying.is_none() && state.follow_ups.is_empty() && state.asked.is_none();
        if !rests {
            return;
        }
        let Some(action) = state.standing.no_longer_needed(&rules.safety.give_back, now).cloned() else {
            return;
        };
        if let Some(gate) = state.pace.closed(rules, now) {
            state.standing.waits(action.id, gate.message);
            return;
        }
        // What cannot be read now is there at the next tick.
        let Ok(graph) = self.plane.graph().await else { return };
        if shows(&action.proposal.action, &action.before, &graph) != Some(true) {
            state.standing.forget(action.id);
            return;
        }
        let support = self.plane.support();
        let settle = settle_time(&support, &action.proposal.action);
        let taken = Taken {
            action: &action,
            at: now,
            since: state.last_applied,
            newest: Some(&sight.now),
            findings: &[],
        };
        let measure = Measure::new(&state.readings, &taken, settle, self.plane.reading_window());
        let until = Instant::now() + self.patience();
        if let Some((undo, by)) = self.undo(state, action, Undoer::GiveBack(measure), until).await {
            self.was_undone(state, undo, by, record).await;
        }
    }

    /// It was taken back, or was not to be.
    pub(crate) async fn was_given_back(
        &self,
        state: &mut State,
        undo: Undo,
        measure: Measure,
        record: &mut TickRecord,
    ) {
        let now = Instant::now();
        let Undo { action, result } = undo;
        match result {
            Ok(done) => {
                state.standing.given_back(action.id, now);
                if let Some(last) = done.into_iter().next_back() {
                    let settle = settle_time(&self.plane.support(), &last.proposal.action);
                    state.follow_ups.push(FollowUp::of_undo(last, now, settle, measure).giving_back());
                }
            }
            Err(error) => {
                let broke = matches!(
                    error,
                    UndoError::NotApplied { .. } | UndoError::Differs { .. } | UndoError::NotRecorded(_)
                );
                state.standing.put_off(action.id, error.to_string(), broke, now);
                if broke {
                    let message = format!(
                        "action {} (\"{}\") is no longer needed, and taking it back failed: {error}",
                        action.id, action.proposal.action
                    );
                    self.notify(record, "give-back-failed", message).await;
                }
            }
        }
    }
}
