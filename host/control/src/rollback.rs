use std::sync::Arc;
use std::time::Duration;

use flyball_model::{
    Action, ActionRecord, FailedJudge, Graph, Outcome, PluginId, PluginKind, Proposal, Reason, Reversal,
};
use flyball_ports::{DataPlane, JournalError, Judged, Panel, PlaneError, Sight, Situation};
use tokio::time::Instant;

use crate::acting::shows;
use crate::applying::Started;
use crate::assess::{ask, failed};
use crate::checks::narrowed;
use crate::controller::Controller;
use crate::deciding::offered;
use crate::inverse::{self, Undone};
use crate::origin::{Guard, Origin};
use crate::propose::{Fate, Request, Trail};
use crate::reach::creatable;
use crate::review::acted;
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

/// What is undone, and by whom.
struct Undoing<'a> {
    action: &'a ActionRecord,
    by: &'a Undoer,
    panel: Arc<Panel>,
    sight: Sight,
    /// Who says what undoes it.
    reverser: PluginId,
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
        Self { origin: Origin::HostUndo, id: PluginId::host(), whose: String::new() }
    }

    /// A person.
    fn person(who: &str) -> Self {
        let id = PluginId { name: OPERATOR.into(), version: "".into(), digest: "".into() };
        let whose = if who.is_empty() { String::new() } else { format!(", for {who}") };
        Self { origin: Origin::PersonUndo, id, whose }
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
        let (actions, reverser) = self.reversal(action, &panel).await?;
        let undoing = Undoing { action, by, panel, sight: state.sight(now), reverser };
        let found = self.graph_to_undo_in().await?;
        for step in actions {
            // A reverser cannot know what a data plane sets by itself; what is so already need not be done.
            let now = self.graph_to_undo_in().await?;
            if shows(&step, &now, &now) == Some(true) {
                continue;
            }
            let undo = self.take_step(state, step, &undoing).await?;
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
        step: Action,
        undoing: &Undoing<'_>,
    ) -> Result<ActionRecord, UndoError> {
        let Undoing { action: undone, by, panel, sight, reverser } = undoing;
        let undo = step.to_string();
        // A policy that was tightened since the undo began is in force for what is left of it.
        let newest = self.judges.panel(&self.session).ok_or(UndoError::NoPolicy)?;
        let rules = narrowed(&panel.rules, &newest.rules);
        let mut trail = Trail::default();
        let own = self.plane.node_types();
        let types = offered(panel, own, &mut trail.failures, &mut trail.costs).await;
        let situation = Situation {
            findings: undone.findings.clone(),
            graph: self.graph_to_undo_in().await?,
            allowed: vec![step.kind()],
            node_types: creatable(&types, &rules.safety.may_create, &self.plane).into(),
            past: state.past(sight.now.taken_at),
            learned: self.fleet.learned(&undone.findings),
            rules: rules.as_shown(),
        };
        let what = &undone.proposal.action;
        let reason = format!("undo of action {}, \"{what}\"{}", undone.id, by.whose);
        let request = Request {
            origin: by.origin,
            proposal: Proposal { action: step, reason, confidence: None, rests_on: Vec::new() },
            decided_by: by.id.clone(),
            judged_by: vec![reverser.clone()],
            panel: Arc::clone(panel),
            newest: Some(&newest),
            rules,
            sight,
            situation: &situation,
            types: &types,
            findings: Vec::new(),
            found: &[],
            now: Instant::now(),
            approved: None,
            undone: Some(undone),
        };
        let mut started = begun(self.propose(state, request, &mut trail).await, undo)?;
        let done = started.ended().await;
        acted(&panel.validators, &self.session);
        self.pause(state, started.passed.settle, &done);
        if by.origin == Origin::HostUndo {
            let now = Instant::now();
            state.tries.add(&done, now);
            self.fleet.tried(now);
        }
        Ok(done)
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

/// The step that the data plane has begun with, or why it has not.
fn begun(fate: Fate, undo: String) -> Result<Started, UndoError> {
    let held = |reason: Reason, undo| UndoError::Held { undo, reason: Box::new(reason) };
    Err(match fate {
        Fate::Begun(started) => return Ok(started),
        // An undo that is no more than a no-op is refused as no inverse.
        Fate::NoOp => held(crate::checks::reason("no-inverse", "nothing would be done".to_owned()), undo),
        Fate::Refused(Guard::Review | Guard::Inverse, reason) => {
            UndoError::Rejected { undo, reason: Box::new(reason) }
        }
        Fate::Refused(_, reason) | Fate::Proposed(reason) | Fate::Unapproved(reason, _) => held(reason, undo),
        Fate::Halted(.., Err(error)) => UndoError::NotRecorded(error),
        Fate::Halted(_, halted, Ok(())) => held(crate::checks::reason(&halted.gate, halted.message), undo),
        Fate::NotIntended(error) => UndoError::NotIntended { undo, error },
    })
}
