//! An action that a data plane is doing. It has a task of its own, so that a data plane that takes its time delays no tick, no
//! approval and no halt of its session: a tick waits for it for half an interval and at most [`PATIENCE`], and the ticks after that only
//! look whether it is done.
//! Until it is, no other action is begun, and what earlier actions came to is not judged.
//!
//! Called by `landing`, which begins it, and by `controller`, which takes in what became of it.

use std::sync::Arc;
use std::time::Duration;

use flyball_model::{ActionRecord, Ending, GateRefusal, Observation, Outcome, TickRecord};
use flyball_ports::Panel;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::controller::Controller;
use crate::measure::Readings;
use crate::pace::{refusal, seconds};
use crate::propose::Passed;
use crate::state::State;

/// How long a tick waits for the data plane, at most: whoever answers a question waits for the tick.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

/// An action that the data plane has begun with.
pub(crate) struct Started {
    task: JoinHandle<ActionRecord>,
    since: Instant,
    pub passed: Passed,
}

/// A decided action between its intent and what became of it.
pub(crate) struct Applying {
    pub started: Started,
    /// What was read before it.
    pub before: Before,
    /// Closed when this is dropped, which it is once what became of it was taken in.
    taken_in: watch::Sender<()>,
}

/// What an action is measured against.
pub(crate) struct Before {
    pub readings: Readings,
    pub newest: Option<Arc<Observation>>,
    /// When the action before it was applied.
    pub last_applied: Option<Instant>,
}

impl Started {
    /// The task ends with what became of the action.
    pub fn new(task: JoinHandle<ActionRecord>, passed: Passed) -> Self {
        Self { task, since: Instant::now(), passed }
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

    fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

impl Applying {
    pub fn new(started: Started, state: &State) -> Self {
        Self {
            started,
            before: Before {
                readings: state.readings.clone(),
                newest: state.newest.clone(),
                last_applied: state.last_applied,
            },
            taken_in: watch::Sender::new(()),
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

    /// Takes in what became of the action that was under way, which ends the tick. `false`: none was, or it still is.
    pub(crate) async fn take_in_applied(
        &self,
        state: &mut State,
        panel: Option<&Panel>,
        record: &mut TickRecord,
    ) -> bool {
        let has_ended = |applying: &mut Applying| applying.started.has_ended();
        let Some(mut applying) = state.applying.take_if(has_ended) else { return false };
        let action = applying.started.ended().await;
        self.applied(state, applying, action, record).await;
        record.gates = self.gates(state, panel, Instant::now(), record);
        true
    }

    /// A tick ends while the data plane is at it.
    pub(crate) fn goes_on_applying(&self, state: &mut State, applying: Applying, record: &mut TickRecord) {
        record.ending = Ending::Applying;
        record.action = Some(applying.started.passed.intent.clone());
        state.applying = Some(applying);
    }
}
