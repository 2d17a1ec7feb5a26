//! The undo of an action: a reverser says by which steps, and each of them takes the one way of every action (`propose`), as a task of its
//! own: a data plane that takes its time for a step delays no tick. Between two steps the undo lies in the session's state (`applying`), and
//! whoever finds the step answered goes on with it: a tick, or the person who waits.
//!
//! It must uphold that nothing else begins in the session from the first step to the last, that what reached the data plane has its
//! outcome in the journal, and that a person gets the answer of what they asked for.
//!
//! Called by `aftermath` (the host's own undo), by `give_back` (what is no longer needed), by people through [`Controller::rollback`], and by
//! `applying`, which finds a step answered.

use std::collections::VecDeque;
use std::sync::Arc;

use flyball_model::{
    Action, ActionRecord, FailedJudge, Graph, Outcome, PluginId, PluginKind, Proposal, Reason, Reversal,
};
use flyball_ports::{DataPlane, JournalError, Judged, Panel, PlaneError, Situation};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::act::acting::shows;
use crate::act::applying::{Applying, Started};
use crate::act::checks::narrowed;
use crate::act::origin::{Guard, Origin};
use crate::act::propose::{Fate, Passed, Request, Trail};
use crate::act::reach::creatable;
use crate::act::review::acted;
use crate::controller::Controller;
use crate::decide::deciding::offered;
use crate::observe::assess::{ask, failed};
use crate::state::State;
use crate::verify::inverse::{self, Undone};
use crate::verify::measure::Measure;

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

/// An undo that is under way: what is left of it between two of its steps.
pub(crate) struct Undoing {
    action: ActionRecord,
    by: Undoer,
    panel: Arc<Panel>,
    /// Who says what undoes it.
    reverser: PluginId,
    /// The graph before the first step.
    found: Arc<Graph>,
    left: VecDeque<Action>,
    done: Vec<ActionRecord>,
}

/// Who undoes, and who is told when it is done.
pub(crate) enum Undoer {
    /// The host itself, of what made things worse: it goes on measuring by how the action was measured.
    Host(Measure),
    /// The host itself, of what is no longer needed: by this it sees whether that was right.
    GiveBack(Measure),
    /// A person, who is answered.
    Person(Box<Person>),
}

/// A person who wants actions undone.
pub(crate) struct Person {
    who: String,
    /// What is to be undone next, newest first.
    older: VecDeque<ActionRecord>,
    undone: Vec<Undo>,
    answer: oneshot::Sender<Vec<Undo>>,
}

impl Undoer {
    const fn origin(&self) -> Origin {
        match self {
            Self::Host(_) => Origin::HostUndo,
            Self::GiveBack(_) => Origin::GiveBack,
            Self::Person(_) => Origin::PersonUndo,
        }
    }

    fn id(&self) -> PluginId {
        match self {
            Self::Host(_) | Self::GiveBack(_) => PluginId::host(),
            Self::Person(_) => PluginId { name: OPERATOR.into(), version: "".into(), digest: "".into() },
        }
    }

    /// In whose name, as the journal tells it.
    fn whose(&self) -> String {
        match self {
            Self::Person(person) if !person.who.is_empty() => format!(", for {}", person.who),
            Self::GiveBack(_) => ", as what it was for is gone".to_owned(),
            _ => String::new(),
        }
    }
}

impl Controller {
    /// Undoes the newest `count` actions, newest first, at an operator's word, while the loop runs; `who` is the operator, as the
    /// journal is to tell it. Stops at the first
    /// that cannot be undone: what is older rests on it. Only the last result can therefore be an error, and there are
    /// fewer results than asked for when there is less to undo. Answers when the data plane has: until then the loop ticks on.
    ///
    /// # Errors
    /// The journal cannot say what there is to undo, or the host ends before it is known what became of it.
    pub async fn rollback(&self, count: usize, who: &str) -> Result<Vec<Undo>, JournalError> {
        let (answer, mut answered) = oneshot::channel();
        let mut state = self.state_at_rest().await;
        let actions = self.journal.undoable(&self.session, count).await?;
        let older = actions.into_iter().take(count).collect();
        let person = Person { who: who.to_owned(), older, undone: Vec::new(), answer };
        self.undo_next(&mut state, Box::new(person), Instant::now()).await;
        loop {
            let data_plane = state.applying.as_ref().map(|applying| applying.started.answered());
            drop(state);
            let data_plane = async move {
                match data_plane {
                    Some(answered) => answered.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                undone = &mut answered => {
                    return undone.map_err(|_| JournalError("what became of the undo is not known".to_owned()));
                }
                () = data_plane => {}
            }
            state = self.state.lock().await;
            // A tick may have been quicker.
            if let Some((started, undoing)) =
                state.applying.take_if(|it| it.is_answered_undo()).and_then(Applying::into_undo)
            {
                self.go_on_undoing(&mut state, undoing, started, Instant::now()).await;
            }
        }
    }

    /// The next of what a person wants undone, or their answer.
    async fn undo_next(&self, state: &mut State, mut person: Box<Person>, until: Instant) {
        while person.undone.last().is_none_or(|undo| undo.result.is_ok())
            && let Some(action) = person.older.pop_front()
        {
            match self.undo(state, action, Undoer::Person(person), until).await {
                Some((undo, Undoer::Person(back))) => {
                    person = back;
                    person.undone.push(undo);
                }
                // The data plane is at it.
                _ => return,
            }
        }
        // Whoever asked may be gone.
        drop(person.answer.send(person.undone));
    }

    /// Begins to undo it, at somebody's word: a person's, or the host's own, where the action made things worse. None: the data plane
    /// is still at it at the given time, and `applying` holds the undo.
    pub(crate) async fn undo(
        &self,
        state: &mut State,
        action: ActionRecord,
        by: Undoer,
        until: Instant,
    ) -> Option<(Undo, Undoer)> {
        match self.reversal_now(&action).await {
            Ok((panel, left, reverser, found)) => {
                let (left, done) = (left.into(), Vec::new());
                let undoing = Undoing { action, by, panel, reverser, found, left, done };
                self.take_steps(state, Box::new(undoing), until).await
            }
            Err(error) => Some((Undo { action, result: Err(error) }, by)),
        }
    }

    async fn reversal_now(
        &self,
        action: &ActionRecord,
    ) -> Result<(Arc<Panel>, Vec<Action>, PluginId, Arc<Graph>), UndoError> {
        let panel = self.judges.panel(&self.session).ok_or(UndoError::NoPolicy)?;
        let (steps, reverser) = self.reversal(action, &panel).await?;
        Ok((panel, steps, reverser, self.graph_to_undo_in().await?))
    }

    /// The data plane has answered a step: takes in what became of it, and goes on with the next. Some: an undo of the host's has ended.
    pub(crate) async fn go_on_undoing(
        &self,
        state: &mut State,
        mut undoing: Box<Undoing>,
        mut started: Started,
        until: Instant,
    ) -> Option<(Undo, Undoer)> {
        let done = started.ended().await;
        let ended = match self.step_done(state, &mut undoing, &started.passed, done) {
            Ok(()) => self.take_steps(state, undoing, until).await?,
            Err(error) => self.end_undo(state, *undoing, Err(error)).await,
        };
        match ended {
            (undo, Undoer::Person(mut person)) => {
                person.undone.push(undo);
                // An undo begins with its steps, which come back here.
                Box::pin(self.undo_next(state, person, until)).await;
                None
            }
            by_host => Some(by_host),
        }
    }

    /// Does what the reverser says, each step checked against the graph as it is then.
    async fn take_steps(
        &self,
        state: &mut State,
        mut undoing: Box<Undoing>,
        until: Instant,
    ) -> Option<(Undo, Undoer)> {
        loop {
            let stepped = match self.next_step(state, &mut undoing).await {
                Ok(Some(mut started)) => {
                    let patience = until.saturating_duration_since(Instant::now());
                    let Some(done) = started.ended_within(patience).await else {
                        state.applying = Some(Applying::undo(started, undoing));
                        return None;
                    };
                    self.step_done(state, &mut undoing, &started.passed, done)
                }
                Ok(None) => {
                    let result = self.is_as_it_was(&undoing).await;
                    return Some(self.end_undo(state, *undoing, result).await);
                }
                Err(error) => Err(error),
            };
            if let Err(error) = stepped {
                return Some(self.end_undo(state, *undoing, Err(error)).await);
            }
        }
    }

    /// The data plane begins with the next step; none: there is none left.
    async fn next_step(
        &self,
        state: &mut State,
        undoing: &mut Undoing,
    ) -> Result<Option<Started>, UndoError> {
        while let Some(step) = undoing.left.pop_front() {
            // A reverser cannot know what a data plane sets by itself; what is so already need not be done.
            let now = self.graph_to_undo_in().await?;
            if shows(&step, &now, &now) != Some(true) {
                return self.take_step(state, step, undoing).await.map(Some);
            }
        }
        Ok(None)
    }

    /// The data plane has answered a step.
    fn step_done(
        &self,
        state: &mut State,
        undoing: &mut Undoing,
        passed: &Passed,
        done: ActionRecord,
    ) -> Result<(), UndoError> {
        let now = Instant::now();
        acted(&undoing.panel.validators, &self.session);
        // The loop must not answer the undo before it has shown.
        state.pace.settles(now, passed.settle, done.proposal.action.to_string());
        state.pace.undone(now, done.tick);
        state.last_applied = Some(now);
        state.remember(&done, now);
        if !matches!(undoing.by, Undoer::Person(_)) {
            state.tries.add(&done, now);
            self.fleet.tried(now);
        }
        let failed = (done.outcome == Outcome::Failed).then(|| UndoError::NotApplied {
            undo: done.proposal.action.to_string(),
            error: done.note.clone().unwrap_or_default(),
        });
        undoing.done.push(done);
        failed.map_or(Ok(()), Err)
    }

    /// Whether the graph is as it was before the action, but for what somebody else has changed since.
    async fn is_as_it_was(&self, undoing: &Undoing) -> Result<(), UndoError> {
        let action = &undoing.action;
        let reached = self.graph_to_undo_in().await?;
        if reached.digest() == action.before.digest() {
            return Ok(());
        }
        let after = action.after.as_ref().unwrap_or(&undoing.found);
        let wanted = undoing.found.without(&action.before, after).digest();
        if reached.digest() == wanted {
            return Ok(());
        }
        Err(UndoError::Differs { wanted, now: reached.digest().to_owned() })
    }

    /// Writes down what came of it.
    async fn end_undo(
        &self,
        state: &mut State,
        undoing: Undoing,
        tried: Result<(), UndoError>,
    ) -> (Undo, Undoer) {
        let Undoing { mut action, by, mut done, .. } = undoing;
        // What never reached the data plane leaves the action as it was: it can still be undone.
        if done.is_empty() {
            return (Undo { action, result: tried.map(|()| done) }, by);
        }
        let outcome = if tried.is_ok() { Outcome::RolledBack } else { Outcome::RollbackFailed };
        let ids: Vec<String> = done.iter().map(|undo| undo.id.to_string()).collect();
        let ids = ids.join(", ");
        let helped = action.outcome;
        let (came_to, note) = match (&tried, &by) {
            // What an action came to is still so when it is no longer needed.
            (Ok(()), Undoer::GiveBack(_)) => {
                let note = action.note.as_deref().map(|note| format!("{note}; ")).unwrap_or_default();
                (helped, format!("{note}taken back by {ids}, as what it was for is gone"))
            }
            (Ok(()), _) => (outcome, format!("undone by {ids}")),
            (Err(error), _) => (outcome, format!("the undo by {ids} failed: {error}")),
        };
        if tried.is_ok() && !matches!(by, Undoer::GiveBack(_)) {
            state.standing.forget(action.id);
            if let Some(given_back) = action.undoes {
                state.standing.stands_again(given_back);
            }
        }
        action.note = Some(note);
        let recorded = self.record(state, (&mut action, came_to), (&mut done, outcome)).await;
        (Undo { action, result: tried.and(recorded).map(|()| done) }, by)
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
        undoing: &Undoing,
    ) -> Result<Started, UndoError> {
        let Undoing { action: undone, by, panel, reverser, .. } = undoing;
        let undo = step.to_string();
        let newest = match &state.newest {
            Some(newest) => Arc::clone(newest),
            None => Arc::new(self.plane.observe().await.map_err(UndoError::Unobserved)?),
        };
        let sight = state.sight(newest);
        // A policy that was tightened since the undo began is in force for what is left of it.
        let newest = self.judges.panel(&self.session).ok_or(UndoError::NoPolicy)?;
        let rules = narrowed(&panel.rules, &newest.rules);
        let mut trail = Trail::default();
        let own = self.plane.node_types();
        let types = offered(panel, &own, &mut trail.failures, &mut trail.costs).await;
        let graph = self.graph_to_undo_in().await?;
        let situation = Situation {
            findings: undone.findings.clone(),
            learned: self.fleet.learned(&undone.findings, &graph, self.clock.now()),
            graph,
            allowed: vec![step.kind()],
            node_types: creatable(&types, &rules.safety.may_create, &self.plane),
            past: state.past(sight.now.taken_at),
            rules: rules.as_shown(),
        };
        let what = &undone.proposal.action;
        let reason = format!("undo of action {}, \"{what}\"{}", undone.id, by.whose());
        let request = Request {
            origin: by.origin(),
            proposal: Proposal { action: step, reason, confidence: None, rests_on: Vec::new() },
            decided_by: by.id(),
            judged_by: vec![reverser.clone()],
            panel: Arc::clone(panel),
            newest: Some(&newest),
            rules,
            sight: &sight,
            situation: &situation,
            types: &types,
            findings: Vec::new(),
            found: &[],
            now: Instant::now(),
            approved: None,
            undone: Some(undone),
        };
        begun(self.propose(state, request, &mut trail).await, undo)
    }

    /// Writes down what became of the action and of what was to undo it.
    async fn record(
        &self,
        state: &mut State,
        (action, came_to): (&mut ActionRecord, Outcome),
        (done, outcome): (&mut [ActionRecord], Outcome),
    ) -> Result<(), UndoError> {
        state.follow_ups.retain(|follow_up| follow_up.record.id != action.id);
        let mut failed = None;
        let steps = done.iter_mut().map(|step| (step, outcome));
        for (record, outcome) in std::iter::once((action, came_to)).chain(steps) {
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
        Fate::Begun(started) => return Ok(*started),
        // An undo that is no more than a no-op is refused as no inverse.
        Fate::NoOp => {
            held(crate::act::checks::reason("no-inverse", "nothing would be done".to_owned()), undo)
        }
        Fate::Refused(Guard::Review | Guard::Inverse, reason) => {
            UndoError::Rejected { undo, reason: Box::new(reason) }
        }
        Fate::Refused(_, reason) | Fate::Proposed(reason) | Fate::Unapproved(reason, _) => held(reason, undo),
        Fate::Halted(.., Err(error)) => UndoError::NotRecorded(error),
        Fate::Halted(_, halted, Ok(())) => {
            held(crate::act::checks::reason(&halted.gate, halted.message), undo)
        }
        Fate::NotIntended(error) => UndoError::NotIntended { undo, error },
    })
}
