//! What is done when it becomes known what became of an action: what made things worse is undone, and people are told where that does not
//! work. Called by `controller` on each tick, and by `applying` when an undo has ended that took its time.

use flyball_model::{Event, Outcome, TickRecord};
use flyball_ports::{DataPlane, Loss, Panel, Sight, Support, UndoKind};
use tokio::time::Instant;

use crate::act::propose::settle_time;
use crate::controller::Controller;
use crate::state::State;
use crate::telling::add_error;
use crate::verify::follow_up::{FollowUp, Look};
use crate::verify::rollback::{Undo, UndoError, Undoer};

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
        for mut follow_up in std::mem::take(&mut state.follow_ups) {
            // What is undone meanwhile changes what would be seen.
            if state.applying.is_some() {
                state.follow_ups.push(follow_up);
                continue;
            }
            match follow_up.look(&Look { at, panel, now: &sight.now, record }) {
                None => state.follow_ups.push(follow_up),
                Some((outcome, note)) => {
                    follow_up.record.outcome = outcome;
                    follow_up.record.note = Some(note);
                    follow_up.record.settled_at = Some(self.clock.now());
                    self.concluded(state, panel, follow_up, record).await;
                }
            }
        }
    }

    /// It is known what became of an action.
    async fn concluded(
        &self,
        state: &mut State,
        panel: Option<&Panel>,
        follow_up: FollowUp,
        record: &mut TickRecord,
    ) {
        let action = follow_up.record.clone();
        state.learn(action.id, action.outcome);
        state.tries.conclude(action.id, action.outcome);
        state.standing.concluded(&action);
        self.fleet.learn(&action, None);
        if let Err(error) = self.journal.conclude(&action).await {
            add_error(record, format!("what became of action {} is not recorded: {error}", action.id));
        }
        self.listener.concluded(&action, action.outcome);
        let Some(panel) = panel else { return };
        if action.outcome == Outcome::Worse && panel.rules.safety.undo_worse {
            self.undo_worse(state, follow_up, record).await;
        } else if action.outcome == Outcome::Worse {
            // The policy leaves it to people, whom the outcome tells.
        } else if let (Some(undone), Some(worse)) = (action.undoes, follow_up.still_worse()) {
            let message = format!("the undo of action {undone} did not mend what it had made worse: {worse}");
            self.notify(record, "undo-did-not-help", message).await;
        }
        self.freeze_if_futile(state, &panel.rules.safety, record).await;
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
        let until = Instant::now() + self.patience();
        if let Some((undo, by)) = self.undo(state, action, Undoer::Host(measure), until).await {
            self.was_undone(state, undo, by, record).await;
        }
    }

    /// An undo by the host has ended, or was not to be.
    pub(crate) async fn was_undone(
        &self,
        state: &mut State,
        undo: Undo,
        by: Undoer,
        record: &mut TickRecord,
    ) {
        let measure = match by {
            Undoer::Host(measure) => measure,
            Undoer::GiveBack(measure) => return self.was_given_back(state, undo, measure, record).await,
            // They are answered.
            Undoer::Person(_) => return,
        };
        let Undo { action, result } = undo;
        let what = format!("action {} (\"{}\")", action.id, action.proposal.action);
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
