//! An action that a data plane is doing, whoever wants it. It has a task of its own, so that a data plane that takes its time delays no
//! tick, no approval and no halt of its session: a tick waits for it for half an interval and at most [`PATIENCE`], and the ticks after
//! that only look whether it is done.
//! Until it is, no other action is begun, and what earlier actions came to is not judged.
//!
//! Called by `door`, which begins it, by `landing` and `rollback`, which leave it to later ticks, and by `controller`, which takes in what
//! became of it.

use std::sync::Arc;
use std::time::Duration;

use flyball_model::{ActionRecord, Ending, GateRefusal, Observation, Outcome, TickRecord};
use flyball_ports::Panel;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::act::propose::Passed;
use crate::controller::Controller;
use crate::gates::pace::{refusal, seconds};
use crate::state::State;
use crate::verify::measure::Readings;
use crate::verify::rollback::Undoing;

/// How long a tick waits for the data plane, at most: whoever answers a question waits for the tick.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

/// An action that has been under way for so long is told to people, once: nothing else is begun meanwhile, and it may be for ever.
const LONG: Duration = Duration::from_secs(180);
/// The notice of such an action.
const STILL_APPLYING: &str = "still-applying";

/// An action that the data plane has begun with.
pub(crate) struct Started {
    task: JoinHandle<ActionRecord>,
    since: Instant,
    pub passed: Passed,
    /// Closed when the data plane has answered.
    answered: watch::Receiver<()>,
}

/// An action between its intent and what became of it.
pub(crate) struct Applying {
    pub started: Started,
    whose: Whose,
    /// Whether people were told that it takes long.
    told: bool,
    /// Closed when this is dropped, which it is once what became of it was taken in.
    taken_in: watch::Sender<()>,
}

/// Whose action it is, and what is needed once it has ended.
enum Whose {
    Decided(Before),
    Undo(Box<Undoing>),
}

/// What an action is measured against.
pub(crate) struct Before {
    pub readings: Readings,
    pub newest: Option<Arc<Observation>>,
    /// When the action before it was applied.
    pub last_applied: Option<Instant>,
}

impl Before {
    pub fn of(state: &State) -> Self {
        Self {
            readings: state.readings.clone(),
            newest: state.newest.clone(),
            last_applied: state.last_applied,
        }
    }
}

impl Started {
    /// A task of its own, which ends with what became of the action.
    pub fn new(doing: impl Future<Output = ActionRecord> + Send + 'static, passed: Passed) -> Self {
        let (open, answered) = watch::channel(());
        let task = tokio::spawn(async move {
            let _open = open;
            doing.await
        });
        Self { task, since: Instant::now(), passed, answered }
    }

    /// What became of it.
    pub async fn ended(&mut self) -> ActionRecord {
        (&mut self.task).await.unwrap_or_else(|error| {
            // The data plane panicked, or the runtime is going away.
            let note = Some(format!("the data plane broke off, and what it has done is not known: {error}"));
            ActionRecord { outcome: Outcome::Unknown, note, ..self.passed.intent.clone() }
        })
    }

    /// What became of it; none: it is not done within this time.
    pub async fn ended_within(&mut self, patience: Duration) -> Option<ActionRecord> {
        timeout(patience, self.ended()).await.ok()
    }

    /// Ends when the data plane has answered.
    pub fn answered(&self) -> impl Future<Output = ()> + use<> {
        let mut answered = self.answered.clone();
        async move { while answered.changed().await.is_ok() {} }
    }

    fn is_answered(&self) -> bool {
        self.answered.has_changed().is_err()
    }
}

impl Applying {
    pub fn decided(started: Started, before: Before) -> Self {
        Self { started, whose: Whose::Decided(before), told: false, taken_in: watch::Sender::new(()) }
    }

    pub fn undo(started: Started, undoing: Box<Undoing>) -> Self {
        Self { started, whose: Whose::Undo(undoing), told: false, taken_in: watch::Sender::new(()) }
    }

    /// Whether it is a step of an undo that the data plane has answered.
    pub fn is_answered_undo(&self) -> bool {
        self.started.is_answered() && matches!(self.whose, Whose::Undo(_))
    }

    /// The step and the undo that it is of.
    pub fn into_undo(self) -> Option<(Started, Box<Undoing>)> {
        match self.whose {
            Whose::Undo(undoing) => Some((self.started, undoing)),
            Whose::Decided(_) => None,
        }
    }

    /// Ends when what became of it was taken in.
    fn taken_in(&self) -> impl Future<Output = ()> + use<> {
        let mut taken_in = self.taken_in.subscribe();
        async move { while taken_in.changed().await.is_ok() {} }
    }

    pub fn gate(&self, now: Instant) -> GateRefusal {
        let action = &self.started.passed.intent;
        let message = format!(
            "the data plane has been doing action {} (\"{}\") for {}; opens when it has answered",
            action.id,
            action.proposal.action,
            seconds(now.duration_since(self.started.since))
        );
        refusal("applying", message)
    }
}

impl Controller {
    /// The session's state when no action is under way.
    pub(crate) async fn state_at_rest(&self) -> tokio::sync::MutexGuard<'_, State> {
        loop {
            let state = self.state.lock().await;
            let Some(applying) = &state.applying else { return state };
            let taken_in = applying.taken_in();
            drop(state);
            taken_in.await;
        }
    }

    /// How long a tick waits for the data plane.
    pub(crate) fn patience(&self) -> Duration {
        (self.options.interval / 2).min(PATIENCE)
    }

    /// Takes in what became of the action that was under way. `true`: that was a decided one, and it ends the tick. An undo goes on with
    /// its next step, and the tick with what it sees.
    pub(crate) async fn take_in_applied(
        &self,
        state: &mut State,
        panel: Option<&Panel>,
        record: &mut TickRecord,
    ) -> bool {
        let is_answered = |applying: &mut Applying| applying.started.is_answered();
        let Some(applying) = state.applying.take_if(is_answered) else { return false };
        let Applying { mut started, whose, taken_in, .. } = applying;
        match whose {
            Whose::Decided(before) => {
                let action = started.ended().await;
                self.applied(state, started.passed, before, action, record).await;
                record.gates = self.gates(state, panel, Instant::now(), record);
            }
            Whose::Undo(undoing) => {
                let until = Instant::now() + self.patience();
                if let Some((undo, by)) = self.go_on_undoing(state, undoing, started, until).await {
                    self.was_undone(state, undo, by, record).await;
                }
                return false;
            }
        }
        drop(taken_in);
        true
    }

    /// A data plane that does not answer is people's business: the host cannot know whether it will, and takes nothing back.
    pub(crate) async fn tell_still_applying(&self, state: &mut State, record: &mut TickRecord) {
        let Some(applying) = &mut state.applying else { return };
        let takes = applying.started.since.elapsed();
        if takes < LONG || std::mem::replace(&mut applying.told, true) {
            return;
        }
        let action = &applying.started.passed.intent;
        let message = format!(
            "{}: the data plane has been doing action {} (\"{}\") for {} and has not answered; nothing else is begun in the \
             session until it has: a person must look at the data plane",
            self.session,
            action.id,
            action.proposal.action,
            seconds(takes)
        );
        self.notify(record, STILL_APPLYING, message).await;
    }

    /// A tick ends while the data plane is at it.
    pub(crate) fn goes_on_applying(&self, state: &mut State, applying: Applying, record: &mut TickRecord) {
        record.ending = Ending::Applying;
        record.action = Some(applying.started.passed.intent.clone());
        state.applying = Some(applying);
    }
}
