//! An action that a data plane is doing. It has a task of its own, so that a data plane that takes its time delays no tick, no
//! approval and no halt of its session: a tick waits for it for half an interval and at most [`PATIENCE`], and the ticks after that only
//! look whether it is done.
//! Until it is, no other action is begun, and what earlier actions came to is not judged.
//!
//! Called by `landing`, which begins it, and by `controller`, which takes in what became of it.

use std::sync::Arc;
use std::time::Duration;

use flyball_model::{ActionRecord, Ending, GateRefusal, Observation, Rules, TickRecord};
use flyball_ports::Panel;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::controller::Controller;
use crate::door::ended;
use crate::landing::Passed;
use crate::measure::Readings;
use crate::pace::{refusal, seconds};
use crate::state::State;

/// How long a tick waits for the data plane, at most: whoever answers a question waits for the tick.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

/// An action between its intent and what became of it.
pub(crate) struct Applying {
    task: JoinHandle<ActionRecord>,
    since: Instant,
    pub passed: Passed,
    /// What it was held to.
    pub rules: Rules,
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

impl Applying {
    pub fn new(task: JoinHandle<ActionRecord>, passed: Passed, rules: &Rules, state: &State) -> Self {
        Self {
            task,
            since: Instant::now(),
            passed,
            rules: rules.clone(),
            before: Before {
                readings: state.readings.clone(),
                newest: state.newest.clone(),
                last_applied: state.last_applied,
            },
            taken_in: watch::Sender::new(()),
        }
    }

    /// What became of it; none: it is not done within this time.
    pub async fn done_within(&mut self, patience: Duration) -> Option<ActionRecord> {
        let done = timeout(patience, &mut self.task).await.ok()?;
        Some(ended(self.passed.intent.clone(), done))
    }

    /// Ends when what became of it was taken in.
    fn taken_in(&self) -> impl Future<Output = ()> + use<> {
        let mut taken_in = self.taken_in.subscribe();
        async move { while taken_in.changed().await.is_ok() {} }
    }

    pub fn gate(&self, now: Instant) -> GateRefusal {
        let action = &self.passed.intent;
        let message = format!(
            "the data plane has been doing action {} (\"{}\") for {}; opens when it has answered",
            action.id,
            action.proposal.action,
            seconds(now.duration_since(self.since))
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
        let is_done = |applying: &mut Applying| applying.task.is_finished();
        let Some(mut applying) = state.applying.take_if(is_done) else { return false };
        let action = ended(applying.passed.intent.clone(), (&mut applying.task).await);
        self.applied(state, applying, action, record).await;
        record.gates = self.gates(state, panel, Instant::now(), record);
        true
    }

    /// A tick ends while the data plane is at it.
    pub(crate) fn goes_on_applying(&self, state: &mut State, applying: Applying, record: &mut TickRecord) {
        record.ending = Ending::Applying;
        record.action = Some(applying.passed.intent.clone());
        state.applying = Some(applying);
    }
}
