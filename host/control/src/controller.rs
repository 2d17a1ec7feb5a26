use std::sync::Arc;
use std::time::Duration;

use flyball_model::{ActionKind, Attributed, Ending, Finding, TickRecord};
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::assess::{assess, wakes};
use crate::deciding::{Answer, Pending, Question};
use crate::follow_up::Look;
use crate::landing::Landing;
use crate::pace::{barred, deciding};
use crate::ports::{Clock, DataPlane, Journal, Judges, Listener, Panel, Sight, Situation};
use crate::state::State;

/// How a session's loop runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// From one tick to the next.
    pub interval: Duration,
    /// How long a tick waits for its deciders before it leaves them thinking and goes on.
    pub answer_within: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), answer_within: Duration::from_millis(20) }
    }
}

/// The loop of one session.
pub struct Controller {
    pub(crate) session: Arc<str>,
    pub(crate) plane: Arc<dyn DataPlane>,
    pub(crate) judges: Arc<dyn Judges>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) listener: Arc<dyn Listener>,
    options: Options,
    /// A tick and an undo exclude each other; a decider that thinks holds nothing.
    pub(crate) state: Mutex<State>,
}

impl Controller {
    /// The loop of the session that this data plane runs.
    pub fn new(
        plane: Arc<dyn DataPlane>,
        judges: Arc<dyn Judges>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        listener: Arc<dyn Listener>,
        options: Options,
    ) -> Self {
        let session = plane.session().into();
        Self { session, plane, judges, journal, clock, listener, options, state: Mutex::new(State::new()) }
    }

    /// The session's name.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// From one tick to the next.
    pub const fn interval(&self) -> Duration {
        self.options.interval
    }

    /// Ticks until `shutdown` comes, at once and then at every interval. A tick that has begun ends first; ticks that
    /// were missed are skipped; a decider that still thinks is asked no more.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) {
        self.run_from(Instant::now(), shutdown).await;
    }

    /// The same, with the first tick at this time.
    pub async fn run_from(&self, first: Instant, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut ticks = interval_at(first, self.options.interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                _ = ticks.tick() => { self.tick().await; }
            }
        }
        self.state.lock().await.pending = None;
    }

    /// One tick, now.
    pub async fn tick(&self) -> TickRecord {
        let mut state = self.state.lock().await;
        let started = Instant::now();
        state.ticks += 1;
        let panel = self.judges.panel(&self.session);
        let mut record = self.blank(state.ticks, panel.as_deref());
        self.observe_and_conduct(&mut state, panel, started, &mut record).await;
        let ended = Instant::now();
        state.pace.ended(ended, record.ending, record.tick);
        record.took_ns = u64::try_from(ended.duration_since(started).as_nanos()).unwrap_or(u64::MAX);
        if worth_keeping(&record)
            && let Err(error) = self.journal.tick(&record).await
        {
            add_error(&mut record, format!("the tick is not recorded: {error}"));
        }
        self.listener.tick(&record);
        record
    }

    fn blank(&self, tick: u64, panel: Option<&Panel>) -> TickRecord {
        TickRecord {
            session: Arc::clone(&self.session),
            tick,
            at: self.clock.now(),
            generation: panel.map_or(0, |panel| panel.generation),
            ending: Ending::Quiet,
            findings: Vec::new(),
            failures: Vec::new(),
            gate: None,
            decision: None,
            verdicts: Vec::new(),
            action: None,
            error: None,
            took_ns: 0,
            costs: Vec::new(),
        }
    }

    async fn observe_and_conduct(
        &self,
        state: &mut State,
        panel: Option<Arc<Panel>>,
        started: Instant,
        record: &mut TickRecord,
    ) {
        let mut observed = match self.plane.observe().await {
            Ok(observed) => observed,
            Err(error) => {
                record.ending = Ending::Unobserved;
                record.error = Some(format!("the session could not be observed: {error}"));
                return;
            }
        };
        observed.tick = record.tick;
        let history = panel.as_ref().map_or(0, |panel| panel.rules.history);
        let sight = state.see(Arc::new(observed), history);
        if let Some(panel) = &panel {
            assess(panel, &sight, &mut state.breaches, record).await;
        }
        if !state.follow_ups.is_empty() {
            self.follow_up(state, panel.as_deref(), &sight, started, record).await;
        }
        self.conduct(state, panel, &sight, started, record).await;
    }

    /// From what was found to how the tick ends.
    async fn conduct(
        &self,
        state: &mut State,
        panel: Option<Arc<Panel>>,
        sight: &Sight,
        now: Instant,
        record: &mut TickRecord,
    ) {
        let woken = record.findings.iter().any(wakes);
        if let Some(mut pending) = state.pending.take() {
            if !pending.task.is_finished() {
                if woken {
                    record.ending = Ending::Held;
                    let thinking = || deciding(pending.tick, pending.asked, now);
                    record.gate = Some(barred(panel.as_deref()).unwrap_or_else(thinking));
                }
                state.pending = Some(pending);
                return;
            }
            let answer = (&mut pending.task).await;
            self.answered(state, answer, &Landing { panel: panel.as_deref(), sight, now }, record).await;
            return;
        }
        record.gate = match &panel {
            Some(_) if !woken => return,
            panel => barred(panel.as_deref())
                .or_else(|| panel.as_ref().and_then(|panel| state.pace.closed(&panel.rules, now))),
        };
        let Some(panel) = panel else {
            return;
        };
        if record.gate.is_some() {
            record.ending = Ending::Held;
            return;
        }
        let question = self.question(state, &panel, sight, record);
        let mut pending = Pending::ask(question, record.tick);
        match timeout(self.options.answer_within, &mut pending.task).await {
            Ok(answer) => {
                self.answered(state, answer, &Landing { panel: Some(&panel), sight, now }, record).await;
            }
            Err(_) => {
                record.ending = Ending::Deciding;
                state.pending = Some(pending);
            }
        }
    }

    async fn answered(
        &self,
        state: &mut State,
        answer: Result<Answer, tokio::task::JoinError>,
        landing: &Landing<'_>,
        record: &mut TickRecord,
    ) {
        match answer {
            Ok(answer) => self.land(state, answer, landing, record).await,
            // A judge's panic is caught where it is asked; this is the runtime going away.
            Err(error) => {
                record.ending = Ending::Undecided;
                add_error(record, format!("the deciders were broken off: {error}"));
            }
        }
    }

    fn question(&self, state: &State, panel: &Arc<Panel>, sight: &Sight, record: &TickRecord) -> Question {
        let findings: Vec<Attributed<Finding>> =
            record.findings.iter().filter(|found| wakes(found)).cloned().collect();
        let support = self.plane.support();
        let allowed = ActionKind::ALL
            .into_iter()
            .filter(|kind| *kind == ActionKind::NoOp || support.iter().any(|support| support.kind == *kind))
            .filter(|kind| panel.rules.mutation.allows(*kind))
            .collect();
        let situation = Situation {
            findings: findings.iter().map(|found| found.said.clone()).collect(),
            graph: Arc::new(self.plane.graph()),
            allowed,
            node_types: self.plane.node_types().into(),
            past: state.past(),
            rules: panel.rules.clone(),
        };
        Question { panel: Arc::clone(panel), sight: sight.clone(), situation, findings }
    }

    /// Looks after the actions of which it is not known yet whether they helped.
    async fn follow_up(
        &self,
        state: &mut State,
        panel: Option<&Panel>,
        sight: &Sight,
        at: Instant,
        record: &mut TickRecord,
    ) {
        let mut open = std::mem::take(&mut state.follow_ups);
        let mut settled = Vec::new();
        let look = Look { at, panel, now: &sight.now, record };
        open.retain_mut(|follow_up| match follow_up.look(&look) {
            None => true,
            Some((outcome, note)) => {
                let mut action = follow_up.record.clone();
                action.outcome = outcome;
                action.note = Some(note);
                action.settled_at = Some(self.clock.now());
                settled.push(action);
                false
            }
        });
        state.follow_ups = open;
        for action in settled {
            state.learn(action.id, action.outcome);
            if let Err(error) = self.journal.conclude(&action).await {
                add_error(record, format!("what became of action {} is not recorded: {error}", action.id));
            }
            self.listener.concluded(&action, action.outcome);
        }
    }
}

/// Whether there is more to say of a tick than that all is well.
fn worth_keeping(record: &TickRecord) -> bool {
    record.ending != Ending::Quiet
        || !record.findings.is_empty()
        || !record.failures.is_empty()
        || record.error.is_some()
}

fn add_error(record: &mut TickRecord, error: String) {
    tracing::warn!(session = %record.session, tick = record.tick, "{error}");
    match &mut record.error {
        Some(errors) => {
            errors.push_str("; ");
            errors.push_str(&error);
        }
        none => *none = Some(error),
    }
}
