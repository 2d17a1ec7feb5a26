use std::sync::Arc;
use std::time::Duration;

use flyball_model::{
    Action, ActionRecord, FailedJudge, Graph, Outcome, PluginId, PluginKind, Proposal, Reason, Reversal,
};
use flyball_ports::{DataPlane, JournalError, Judged, Panel, PlaneError, Sight, Situation};
use tokio::time::Instant;

use crate::acting::shows;
use crate::assess::{ask, failed};
use crate::checks::Ground;
use crate::controller::Controller;
use crate::deciding::offered;
use crate::door::{Carried, Origin, Wanted};
use crate::inverse::{self, Undone};
use crate::landing::{distinct, settle_time};
use crate::reach::creatable;
use crate::review::{Review, Reviewers, acted};
use crate::state::State;

/// Who undoes at a person's word; no plugin may be called so.
pub(crate) const OPERATOR: &str = "operator";

/// What became of the undo of one action.
#[derive(Debug)]
pub struct Undo {
    /// The action that was to be undone, with its outcome as it is now.
    pub action: ActionRecord,
    /// What was done to undo it, in this order; the graph is as it was before the action.
    pub result: Result<Vec<ActionRecord>, UndoError>,
}

/// Why an action was not undone.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// Nobody can be asked.
    #[error(
        "no policy matches the session, so nobody says what undoes an action; add one that names the session"
    )]
    NoPolicy,
    /// The session was never seen, and cannot be seen now.
    #[error("the session cannot be observed, so the undo cannot be checked: {0}")]
    Unobserved(#[source] PlaneError),
    /// The reversers say so.
    #[error("{action} cannot be undone: {why}")]
    Irreversible {
        /// The action.
        action: String,
        /// Why, in the reverser's words.
        why: String,
    },
    /// No reverser answered.
    #[error("no reverser says what undoes {action}{}; add one to the policy, or mend it", failures(.failed))]
    NoReverser {
        /// The action.
        action: String,
        /// Those that failed.
        failed: Vec<FailedJudge>,
    },
    /// The host's checks or a validator said no.
    #[error("\"{undo}\" may not happen: {}: {}", .reason.code, .reason.message)]
    Rejected {
        /// What was to be done.
        undo: String,
        /// Why not.
        reason: Box<Reason>,
    },
    /// Whoever is right in wanting it, it is not done now: a halt, a dry run, propose only, or a person must say so.
    #[error("\"{undo}\" was not done: {}", .reason.message)]
    Held {
        /// What was to be done.
        undo: String,
        /// Why not.
        reason: Box<Reason>,
    },
    /// The intent could not be recorded, so the action was not done.
    #[error("\"{undo}\" was not done, as its intent could not be recorded: {error}")]
    NotIntended {
        /// What was to be done.
        undo: String,
        /// What the journal said.
        #[source]
        error: JournalError,
    },
    /// The data plane refused it or broke off.
    #[error("the data plane did not do \"{undo}\": {error}")]
    NotApplied {
        /// What was to be done.
        undo: String,
        /// What the data plane said.
        error: String,
    },
    /// It was done, and the graph is not what it would be without the action.
    #[error(
        "the undo was done, and the graph is not as it would be without the action: {now} instead of {wanted}"
    )]
    Differs {
        /// The digest of the graph as it was before the action, with whatever else was changed since.
        wanted: String,
        /// The digest of the graph now.
        now: String,
    },
    /// It was done, and the journal does not take that.
    #[error("the undo was done, and is not recorded: {0}")]
    NotRecorded(#[source] JournalError),
}

fn failures(failed: &[FailedJudge]) -> String {
    failed.iter().map(|failure| format!("; {} failed: {}", failure.by, failure.error)).collect()
}

/// Who undoes, and what they look at.
struct Undoing<'a> {
    panel: &'a Panel,
    sight: Sight,
    by: &'a Undoer,
}

/// Who undoes.
pub(crate) struct Undoer {
    origin: Origin,
    id: PluginId,
    /// In whose name, as the journal tells it.
    whose: String,
}

impl Undoer {
    /// The host itself.
    pub fn host() -> Self {
        Self { origin: Origin::Undo, id: PluginId::host(), whose: String::new() }
    }

    /// A person.
    fn person(who: &str) -> Self {
        let id = PluginId { name: OPERATOR.into(), version: "".into(), digest: "".into() };
        let whose = if who.is_empty() { String::new() } else { format!(", for {who}") };
        Self { origin: Origin::Operator, id, whose }
    }
}

impl Controller {
    /// Undoes the newest `count` actions, newest first, at an operator's word, while the loop runs; `who` is the operator, as the
    /// journal is to tell it. Stops at the first
    /// that cannot be undone: what is older rests on it. Only the last result can therefore be an error, and there are
    /// fewer results than asked for when there is less to undo.
    ///
    /// # Errors
    /// The journal cannot say what there is to undo.
    pub async fn rollback(&self, count: usize, who: &str) -> Result<Vec<Undo>, JournalError> {
        let mut state = self.state_at_rest().await;
        let actions = self.journal.undoable(&self.session, count).await?;
        let mut undone = Vec::with_capacity(actions.len());
        let by = Undoer::person(who);
        for action in actions.into_iter().take(count) {
            let undo = self.undo(&mut state, action, &by).await;
            let stop = undo.result.is_err();
            undone.push(undo);
            if stop {
                break;
            }
        }
        Ok(undone)
    }

    /// At somebody's word: an operator's, or the host's own, where the action made things worse.
    pub(crate) async fn undo(&self, state: &mut State, mut action: ActionRecord, by: &Undoer) -> Undo {
        let mut done = Vec::new();
        let tried = self.try_undo(state, &action, by, &mut done).await;
        // What never reached the data plane leaves the action as it was: it can still be undone.
        if done.is_empty() {
            return Undo { action, result: tried.map(|()| done) };
        }
        let outcome = if tried.is_ok() { Outcome::RolledBack } else { Outcome::RollbackFailed };
        let ids: Vec<String> = done.iter().map(|undo| undo.id.to_string()).collect();
        let note = match &tried {
            Ok(()) => format!("undone by {}", ids.join(", ")),
            Err(error) => format!("the undo by {} failed: {error}", ids.join(", ")),
        };
        let recorded = self.record(state, &mut action, &mut done, outcome, &note).await;
        Undo { action, result: tried.and(recorded).map(|()| done) }
    }

    /// Does what the reversers say, each step checked against the graph as it is then.
    async fn try_undo(
        &self,
        state: &mut State,
        action: &ActionRecord,
        by: &Undoer,
        done: &mut Vec<ActionRecord>,
    ) -> Result<(), UndoError> {
        let panel = self.judges.panel(&self.session).ok_or(UndoError::NoPolicy)?;
        let now = match &state.newest {
            Some(newest) => Arc::clone(newest),
            None => Arc::new(self.plane.observe().await.map_err(UndoError::Unobserved)?),
        };
        let undoing = Undoing { panel: &panel, sight: state.sight(now), by };
        let (actions, reverser) = self.reversal(action, &panel).await?;
        let found = self.graph_to_undo_in().await?;
        for step in actions {
            // A reverser cannot know what a data plane sets by itself; what is so already need not be done.
            let now = self.graph_to_undo_in().await?;
            if shows(&step, &now, &now) == Some(true) {
                continue;
            }
            let undo = self.take_step(state, action, step, &reverser, &undoing).await?;
            let failed = (undo.outcome == Outcome::Failed).then(|| UndoError::NotApplied {
                undo: undo.proposal.action.to_string(),
                error: undo.note.clone().unwrap_or_default(),
            });
            done.push(undo);
            if let Some(failed) = failed {
                return Err(failed);
            }
        }
        let reached = self.graph_to_undo_in().await?;
        if reached.digest() == action.before.digest() {
            return Ok(());
        }
        // Somebody else may have changed something since, which is to stay.
        let after = action.after.as_ref().unwrap_or(&found);
        let wanted = found.without(&action.before, after).digest();
        if reached.digest() == wanted {
            return Ok(());
        }
        Err(UndoError::Differs { wanted, now: reached.digest().to_owned() })
    }

    async fn graph_to_undo_in(&self) -> Result<Arc<Graph>, UndoError> {
        self.plane.graph().await.map_err(UndoError::Unobserved)
    }

    /// What undoes it, by the first reverser that knows.
    async fn reversal(
        &self,
        action: &ActionRecord,
        panel: &Panel,
    ) -> Result<(Vec<Action>, PluginId), UndoError> {
        let after = match &action.after {
            Some(after) => Arc::clone(after),
            None => self.graph_to_undo_in().await?,
        };
        let mut irreversible = None;
        let mut broken = Vec::new();
        for reverser in &panel.reversers {
            match ask(reverser.reverse(&action.proposal.action, &action.before, &after)).await {
                Ok(Judged { said: Reversal::Reversible { actions }, .. }) if !actions.is_empty() => {
                    // A mask is of what stood there, whatever the policy names.
                    let actions: Vec<Action> =
                        actions.into_iter().map(|it| self.plane.masked(it, &[])).collect();
                    let undone =
                        Undone { action: &action.proposal.action, before: &action.before, after: &after };
                    match inverse::fault(&undone, &actions) {
                        None => return Ok((actions, reverser.id().clone())),
                        Some(why) => broken.push(failed(reverser.id(), PluginKind::Reverser, why.into())),
                    }
                }
                Ok(Judged { said: Reversal::Reversible { .. }, .. }) => {
                    irreversible.get_or_insert_with(|| "the reverser names no action that would".to_owned());
                }
                Ok(Judged { said: Reversal::Irreversible { why }, .. }) => {
                    irreversible.get_or_insert(why);
                }
                Err(error) => broken.push(failed(reverser.id(), PluginKind::Reverser, error)),
            }
        }
        let action = action.proposal.action.to_string();
        Err(match irreversible {
            Some(why) => UndoError::Irreversible { action, why },
            None => UndoError::NoReverser { action, failed: broken },
        })
    }

    async fn take_step(
        &self,
        state: &mut State,
        undone: &ActionRecord,
        step: Action,
        reverser: &PluginId,
        undoing: &Undoing<'_>,
    ) -> Result<ActionRecord, UndoError> {
        let undo = step.to_string();
        let panel = undoing.panel;
        let (mut failures, mut costs) = (Vec::new(), Vec::new());
        let types = offered(panel, self.plane.node_types(), &mut failures, &mut costs).await;
        let situation = Situation {
            findings: undone.findings.clone(),
            graph: self.graph_to_undo_in().await?,
            allowed: vec![step.kind()],
            node_types: creatable(&types, &panel.rules.safety.may_create, &self.plane).into(),
            past: state.past(undoing.sight.now.taken_at),
            learned: self.fleet.learned(&undone.findings),
            rules: panel.rules.as_shown(),
        };
        let proposal = Proposal {
            action: step,
            reason: format!(
                "undo of action {}, \"{}\"{}",
                undone.id, undone.proposal.action, undoing.by.whose
            ),
            confidence: None,
            rests_on: Vec::new(),
        };
        let support = self.plane.support();
        let reviewers = Reviewers {
            validators: &panel.validators,
            sight: &undoing.sight,
            situation: &situation,
            ground: Ground {
                graph: &situation.graph,
                rules: &panel.rules,
                support: &support,
                node_types: &types,
                plane: &self.plane,
                restoring: Some(&undone.before),
            },
            decided_by: &undoing.by.id.name,
            // Whoever asks for the undo is a person, who need not ask another.
            approved: undoing.by.origin == Origin::Operator,
        };
        let mut review = Review::of(proposal, Vec::new(), &reviewers).await;
        let Some(proposal) = review.passed.take() else {
            let reason = review
                .refusal()
                .cloned()
                .unwrap_or_else(|| crate::checks::reason("rejected", "a guard said no".to_owned()));
            return Err(UndoError::Rejected { undo, reason: Box::new(reason) });
        };
        if let Some(why) = amended_away(undone, &proposal.action, &situation.graph) {
            let reason = Box::new(crate::checks::reason("no-inverse", why));
            return Err(UndoError::Rejected { undo, reason });
        }
        let settle = settle_time(&support, &proposal.action);
        let judged_by = std::iter::once(reverser.clone())
            .chain(review.verdicts.into_iter().map(|verdict| verdict.by))
            .collect();
        let intent = ActionRecord {
            id: 0,
            session: Arc::clone(&self.session),
            tick: state.ticks,
            generation: panel.generation,
            at: self.clock.now(),
            proposal,
            decided_by: undoing.by.id.clone(),
            judged_by: distinct(judged_by),
            findings: Vec::new(),
            before: Arc::clone(&situation.graph),
            after: None,
            outcome: Outcome::Unknown,
            note: None,
            settled_at: None,
            undoes: Some(undone.id),
        };
        let done = self.do_step(state, &intent, review.asked.as_ref(), undoing, undo).await?;
        acted(&panel.validators, &self.session);
        self.pause(state, settle, &done);
        Ok(done)
    }

    /// Through the door, and done.
    async fn do_step(
        &self,
        state: &State,
        intent: &ActionRecord,
        asks: Option<&Reason>,
        undoing: &Undoing<'_>,
        undo: String,
    ) -> Result<ActionRecord, UndoError> {
        let held = |reason: Reason| UndoError::Held { undo: undo.clone(), reason: Box::new(reason) };
        let wanted = Wanted {
            origin: undoing.by.origin,
            intent,
            rules: &undoing.panel.rules,
            frozen: state.frozen.as_deref(),
            asks,
            approved: None,
        };
        let cleared = self.door(&wanted).map_err(|barred| held(barred.into_reason()))?;
        match self.carry_out(cleared).await {
            Ok(Carried::Tried(done)) => Ok(done),
            Ok(Carried::Halted(record, halted)) => {
                self.journal.conclude(&record).await.map_err(UndoError::NotRecorded)?;
                Err(held(crate::checks::reason(&halted.gate, halted.message)))
            }
            Err(error) => Err(UndoError::NotIntended { undo, error }),
        }
    }

    /// The loop must not answer the undo before it has shown.
    fn pause(&self, state: &mut State, settle: Duration, undo: &ActionRecord) {
        let now = Instant::now();
        state.pace.settles(now, settle, undo.proposal.action.to_string());
        state.pace.undone(now, undo.tick);
        state.last_applied = Some(now);
        state.remember(undo, now);
    }

    /// Writes down what became of the action and of what was to undo it.
    async fn record(
        &self,
        state: &mut State,
        action: &mut ActionRecord,
        done: &mut [ActionRecord],
        outcome: Outcome,
        note: &str,
    ) -> Result<(), UndoError> {
        state.follow_ups.retain(|follow_up| follow_up.record.id != action.id);
        action.note = Some(note.to_owned());
        let mut failed = None;
        for record in std::iter::once(action).chain(done) {
            let before = std::mem::replace(&mut record.outcome, outcome);
            self.fleet.learn(record, Some(before));
            record.settled_at = Some(self.clock.now());
            state.learn(record.id, outcome);
            state.tries.conclude(record.id, outcome);
            if let Err(error) = self.journal.conclude(record).await {
                failed.get_or_insert(error);
            }
            self.listener.concluded(record, outcome);
        }
        failed.map_or(Ok(()), |error| Err(UndoError::NotRecorded(error)))
    }
}

/// Why a step that validators amended is no part of the undo any more, if it is not.
fn amended_away(undone: &ActionRecord, step: &Action, now: &Graph) -> Option<String> {
    let after = undone.after.as_deref().unwrap_or(now);
    let held = Undone { action: &undone.proposal.action, before: &undone.before, after };
    inverse::fault(&held, std::slice::from_ref(step))
}
