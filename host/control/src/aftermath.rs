//! What is done when it becomes known what became of an action.

use flyball_model::{Event, Outcome, TickRecord};
use flyball_ports::{DataPlane, Loss, Panel, Sight, Support, UndoKind};
use tokio::time::Instant;

use crate::controller::{Controller, add_error};
use crate::follow_up::{FollowUp, Look};
use crate::propose::settle_time;
use crate::rollback::{Undo, UndoError, Undoer};
use crate::state::State;

impl Controller {
    /// Looks after the actions of which it is not known yet whether they helped.
    pub(crate) async fn follow_up(
        &self,
        state: &mut State,
        panel: Option<&Panel>,
        sight: &Sight,
        at: Instant,
        record: &mut TickRecord,
    ) {
        let mut settled = Vec::new();
        let look = Look { at, panel, now: &sight.now, record };
        for mut follow_up in std::mem::take(&mut state.follow_ups) {
            match follow_up.look(&look) {
                None => state.follow_ups.push(follow_up),
                Some((outcome, note)) => {
                    follow_up.record.outcome = outcome;
                    follow_up.record.note = Some(note);
                    follow_up.record.settled_at = Some(self.clock.now());
                    settled.push(follow_up);
                }
            }
        }
        for follow_up in settled {
            let action = follow_up.record.clone();
            state.learn(action.id, action.outcome);
            state.tries.conclude(action.id, action.outcome);
            self.fleet.learn(&action, None);
            if let Err(error) = self.journal.conclude(&action).await {
                add_error(record, format!("what became of action {} is not recorded: {error}", action.id));
            }
            self.listener.concluded(&action, action.outcome);
            if let Some(panel) = panel {
                if action.outcome == Outcome::Worse && panel.rules.safety.undo_worse {
                    self.undo_worse(state, follow_up, record).await;
                } else if let (Some(undone), Some(worse)) = (action.undoes, follow_up.still_worse()) {
                    let message =
                        format!("the undo of action {undone} did not mend what it had made worse: {worse}");
                    self.notify(record, "undo-did-not-help", message).await;
                }
                self.freeze_if_futile(state, &panel.rules.safety, record).await;
            }
        }
    }

    /// What made things worse is undone by the host itself, through the same guards; where that does not work, people must.
    async fn undo_worse(&self, state: &mut State, follow_up: FollowUp, record: &mut TickRecord) {
        let (action, measure) = follow_up.into_parts();
        let what = format!("action {} (\"{}\")", action.id, action.proposal.action);
        if action.after.as_ref().is_some_and(|after| after.digest() == action.before.digest()) {
            let message =
                format!("{what} made things worse and left the graph as it was: there is nothing to undo");
            self.notify(record, "worse", message).await;
            return;
        }
        let kind = action.proposal.action.kind();
        let loses = |support: &Support| support.undo != UndoKind::Reversible || support.loss == Loss::Waiting;
        if self.plane.support().iter().any(|support| support.kind == kind && loses(support)) {
            let message = format!(
                "{what} made things worse, and undoing it would lose work: `flyball rollback 1 --session {}` does it",
                self.session
            );
            self.notify(record, "worse", message).await;
            return;
        }
        let Undo { action, result } = self.undo(state, action, &Undoer::host()).await;
        match result {
            Ok(done) => {
                if let Some(last) = done.into_iter().next_back() {
                    let settle = settle_time(&self.plane.support(), &last.proposal.action);
                    state.follow_ups.push(FollowUp::of_undo(last, Instant::now(), settle, measure));
                }
            }
            // Nothing failed: somebody said that nothing is to be done now.
            Err(held @ UndoError::Held { .. }) if action.outcome != Outcome::RollbackFailed => {
                let session = &self.session;
                let message = format!(
                    "{what} made things worse, and is not undone: {held}; `flyball rollback 1 --session {session}` undoes it once it may"
                );
                self.notify(record, "worse", message).await;
            }
            Err(error) => {
                let message = format!("{what} made things worse, and its undo failed: {error}");
                state.frozen = Some(message.clone());
                self.tell(record, Event::Frozen { why: message.clone() }).await;
                self.notify(record, "rollback-failed", message).await;
            }
        }
    }
}
