//! The loop of one session: a tick from its observation to its record, and the ticks one after another. It upholds that a tick runs in
//! one generation, that it ends whatever happens in it, and that its record is journaled and told.
//!
//! Called by the host, through `Sessions` or by itself, and by people, whose words are in `approvals`, `rollback` and `telling`.

use std::sync::Arc;
use std::time::Duration;

use flyball_model::{Ending, GateRefusal, TickRecord};
use flyball_ports::{Clock, DataPlane, Journal, Judges, Listener, Panel, Sight};
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::act::landing::Landing;
use crate::decide::deciding::{Answer, Pending};
use crate::decide::shadows::Shadows;
use crate::gates::approvals::Standing;
use crate::gates::fleet::Fleet;
use crate::gates::pace::barred;
use crate::observe::assess::{assess, wakes};
use crate::observe::masking::MaskedPlane;
use crate::state::State;
use crate::telling::{add_error, unread_graph};

/// How a session's loop runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopOptions {
    /// From one tick to the next. A tick waits for the data plane to do an action for half of it and at most half a
    /// second, and then leaves it at that.
    pub interval: Duration,
    /// How long a tick waits for its deciders before it leaves them thinking and goes on.
    pub answer_within: Duration,
    /// Decide and judge, and do nothing, whatever the policy says.
    pub dry_run: bool,
}

impl Default for LoopOptions {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), answer_within: Duration::from_millis(20), dry_run: false }
    }
}

/// The loop of one session.
pub struct Controller {
    pub(crate) session: Arc<str>,
    /// As everybody may see it.
    pub(crate) plane: Arc<MaskedPlane>,
    pub(crate) judges: Arc<dyn Judges>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) listener: Arc<dyn Listener>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) options: LoopOptions,
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
        options: LoopOptions,
    ) -> Self {
        let session = plane.session().into();
        let fleet = Fleet::new(Vec::new());
        fleet.joined();
        Self {
            session,
            plane: Arc::new(MaskedPlane::new(plane)),
            judges,
            journal,
            clock,
            listener,
            fleet,
            options,
            state: Mutex::new(State::new()),
        }
    }

    /// The same among the other sessions of its host.
    #[must_use]
    pub fn in_fleet(mut self, fleet: Arc<Fleet>) -> Self {
        fleet.joined();
        self.fleet.left();
        self.fleet = fleet;
        self
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
        // An action that has begun ends first, too; until it has, nothing else begins.
        while self.state.lock().await.applying.is_some() {
            ticks.tick().await;
            self.tick().await;
        }
        let mut state = self.state.lock().await;
        state.pending = None;
        state.shadows = Shadows::default();
    }

    /// One tick, now.
    pub async fn tick(&self) -> Arc<TickRecord> {
        let mut state = self.state.lock().await;
        let started = Instant::now();
        state.ticks += 1;
        let panel = self.judges.panel(&self.session);
        let mut record = self.blank(state.ticks, panel.as_deref());
        self.tell_policy(&mut state, panel.as_deref(), &mut record).await;
        state.shadows.heard(&mut record).await;
        if !self.take_in_applied(&mut state, panel.as_deref(), &mut record).await {
            self.observe_and_conduct(&mut state, panel.clone(), started, &mut record).await;
        }
        let ended = Instant::now();
        state.pace.ended(ended, &record);
        self.tell_unanswered(&mut state, panel.as_deref(), &mut record).await;
        self.tell_still_applying(&mut state, &mut record).await;
        if !state.is_at_something() {
            self.fleet.lets_go(&self.session);
        }
        record.took_ns = u64::try_from(ended.duration_since(started).as_nanos()).unwrap_or(u64::MAX);
        // Whoever keeps it shares it.
        let mut record = Arc::new(record);
        if !record.is_quiet()
            && let Err(error) = self.journal.tick(&record).await
        {
            add_error(Arc::make_mut(&mut record), format!("the tick is not recorded: {error}"));
        }
        state.last = Some(Arc::clone(&record));
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
            checks: Vec::new(),
            gates: Vec::new(),
            failures: Vec::new(),
            gate: None,
            decision: None,
            answers: Vec::new(),
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
                state.tries.not_looked();
                record.ending = Ending::Unobserved;
                record.error = Some(format!("the session could not be observed: {error}"));
                return;
            }
        };
        observed.tick = record.tick;
        if !state.restored {
            self.restore(state, panel.as_ref().map(|panel| &panel.rules), record).await;
        }
        if let Some(old) = state.old_reading(observed.taken_at, started, self.plane.reading_window()) {
            if let Some(error) = old {
                record.ending = Ending::Unobserved;
                record.error = Some(error);
            }
            return;
        }
        let history = panel.as_ref().map_or(0, |panel| panel.rules.history);
        let sight = state.see(Arc::new(observed), history, self.plane.reading_window());
        if let Some(panel) = &panel {
            assess(panel, &sight, &mut state.breaches, record).await;
        }
        state.standing.look(&sight.now, record, started);
        if !state.follow_ups.is_empty() && state.applying.is_none() {
            self.follow_up(state, panel.as_deref(), &sight, started, record).await;
        }
        self.look_whether_in_vain(state, panel.as_deref(), started, record).await;
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
        let standing = self.look_at_question(state, panel.as_deref(), now, record).await;
        record.gates = self.gates(state, panel.as_deref(), now, record);
        match standing {
            Standing::None => {}
            Standing::Approved(approved) => {
                let (answer, approval) = *approved;
                let landing = Landing { panel: panel.as_deref(), sight, now, approved: Some(approval) };
                self.land(state, answer, &landing, record).await;
                return;
            }
            Standing::Waits(gate) => {
                if !record.findings.iter().any(|found| wakes(found) && !state.is_asked(&found.said)) {
                    held(record, panel.as_deref(), woken, gate);
                    return;
                }
            }
        }
        if let Some(mut pending) = state.pending.take() {
            if let Some(gate) = pending.waits(state, panel.as_deref(), now) {
                held(record, panel.as_deref(), woken, gate);
                state.pending = Some(pending);
                return;
            }
            let answer = (&mut pending.task).await;
            let landing = Landing { panel: panel.as_deref(), sight, now, approved: None };
            self.answered(state, answer, &landing, record).await;
            return;
        }
        if let (false, Some(panel)) = (woken, &panel) {
            self.give_back(state, panel, sight, now, record).await;
            return;
        }
        record.gate = self.closed_gate(state, panel.as_deref(), now, record).await;
        let Some(panel) = panel else {
            return;
        };
        if record.gate.is_some() {
            record.ending = Ending::Held;
            return;
        }
        self.ask_deciders(state, panel, sight, now, record).await;
    }

    /// Has the deciders think, and hears what they say at once.
    async fn ask_deciders(
        &self,
        state: &mut State,
        panel: Arc<Panel>,
        sight: &Sight,
        now: Instant,
        record: &mut TickRecord,
    ) {
        let question = match self.question(state, &panel, sight, record).await {
            Ok(question) => question,
            Err(error) => {
                record.ending = Ending::Unobserved;
                add_error(record, unread_graph(&error));
                return;
            }
        };
        let (mut pending, shown) = Pending::ask(question, record.tick);
        state.shadows.ask(&panel, sight, &shown, &self.plane, record);
        drop(shown);
        match timeout(self.options.answer_within, &mut pending.task).await {
            Ok(answer) => {
                let landing = Landing { panel: Some(&panel), sight, now, approved: None };
                self.answered(state, answer, &landing, record).await;
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
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.fleet.lets_go(&self.session);
        self.fleet.left();
    }
}

/// Nothing is done about what was found on this tick, if anything was.
fn held(record: &mut TickRecord, panel: Option<&Panel>, woken: bool, gate: GateRefusal) {
    if woken {
        record.ending = Ending::Held;
        record.gate = Some(barred(panel).unwrap_or(gate));
    }
}
