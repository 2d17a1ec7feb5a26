//! A session made of plain Rust: a scripted data plane, judges that are closures, a journal in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_control::{Controller, Fleet, LoopOptions};
use flyball_model::*;
use flyball_ports::*;
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;

/// Everything that was done, in order, by whoever did it.
pub type Log = Arc<Mutex<Vec<String>>>;

pub fn id(name: &str) -> PluginId {
    PluginId { name: name.into(), version: "1.0.0".into(), digest: name.into() }
}

pub fn node(id: &str) -> NodeSpec {
    NodeSpec {
        id: id.into(),
        node_type: "upper".into(),
        executor: Executor::Native,
        config: json!({}),
        replicas: 1,
        queue_capacity: 100,
        bypassed: false,
        optional: false,
    }
}

pub fn edge(from: &str, to: &str) -> (NodeId, NodeId) {
    (from.into(), to.into())
}

/// a → b → c
pub fn graph() -> GraphSpec {
    GraphSpec { nodes: vec![node("a"), node("b"), node("c")], edges: vec![edge("a", "b"), edge("b", "c")] }
}

pub fn node_type(name: &str, executors: &[Executor]) -> NodeType {
    NodeType {
        name: name.into(),
        summary: String::new(),
        provides: vec![],
        offers: executors
            .iter()
            .map(|executor| NodeOffer { executor: *executor, relative_speed: None, relative_cost: None })
            .collect(),
        config_schema: None,
        reach: flyball_model::Reach::Pure,
    }
}

/// What the plane shows and does.
pub struct View {
    pub name: &'static str,
    pub graph: GraphSpec,
    pub samples: f64,
    pub latency_ms: f64,
    pub throughput: f64,
    pub unobservable: Option<String>,
    /// Why the graph cannot be read, if it cannot.
    pub unreadable: Option<String>,
    /// Why it cannot be once an action was applied.
    pub unreadable_once_applied: Option<String>,
    pub refuses: Option<String>,
    /// Takes actions and does nothing.
    pub deaf: bool,
    /// Comes to grief when it is to act.
    pub panics: bool,
    /// How long an action takes.
    pub takes: Duration,
    pub support: Vec<Support>,
    pub types: Vec<NodeType>,
    pub applied: Vec<(Action, GraphSpec)>,
    pub observed: u32,
    /// When a reading says that it was taken; 0: it does not say.
    pub taken_at: UnixMillis,
    /// Happens once an action was done.
    pub once_applied: Option<Box<dyn FnOnce() + Send>>,
    /// A node at which half of all fails.
    pub failing: Option<&'static str>,
    /// More columns, each the same for all nodes.
    pub columns: Vec<(&'static str, f64)>,
}

pub struct Plane {
    pub view: Mutex<View>,
    /// The graph that was shown last.
    shown: Mutex<Arc<Graph>>,
    pub log: Log,
}

pub const SETTLE: Duration = Duration::from_secs(2);

impl Plane {
    fn new(log: Log) -> Self {
        let settle_ms = SETTLE.as_millis() as u64;
        let support = ActionKind::ALL.into_iter().map(|kind| Support::live(kind, settle_ms)).collect();
        Self {
            log,
            shown: Mutex::default(),
            view: Mutex::new(View {
                name: "s",
                graph: graph(),
                samples: 100.0,
                latency_ms: 5.0,
                throughput: 50.0,
                unobservable: None,
                unreadable: None,
                unreadable_once_applied: None,
                refuses: None,
                panics: false,
                deaf: false,
                takes: Duration::ZERO,
                support,
                types: vec![node_type("upper", &[Executor::Native, Executor::Wasm])],
                applied: vec![],
                observed: 0,
                taken_at: 0,
                once_applied: None,
                failing: None,
                columns: vec![],
            }),
        }
    }
}

#[async_trait]
impl DataPlane for Plane {
    fn session(&self) -> &str {
        self.view.lock().name
    }

    async fn observe(&self) -> Result<Observation, PlaneError> {
        let mut view = self.view.lock();
        view.observed += 1;
        if let Some(why) = &view.unobservable {
            return Err(PlaneError(why.clone()));
        }
        let nodes = &view.graph.nodes;
        let mut columns = NodeColumns {
            ids: nodes.iter().map(|node| Arc::from(node.id.as_str())).collect(),
            types: nodes.iter().map(|node| Arc::from(node.node_type.as_str())).collect(),
            executors: nodes.iter().map(|node| node.executor).collect(),
            statuses: vec![NodeStatus::Healthy; nodes.len()],
            latency_trends: vec![Trend::Stable; nodes.len()],
            last_errors: vec![None; nodes.len()],
            metrics: Metrics::default(),
        };
        columns.metrics.set(metric::SAMPLES, vec![view.samples; nodes.len()]);
        for (name, value) in &view.columns {
            columns.metrics.set(*name, vec![*value; nodes.len()]);
        }
        if let Some(failing) = view.failing {
            let errors = nodes.iter().map(|node| if node.id == failing { 50.0 } else { 0.0 }).collect();
            columns.metrics.set(metric::ERRORS_PER_SECOND, errors);
        }
        Ok(Observation {
            session: "s".into(),
            tick: 0,
            taken_at: view.taken_at,
            nodes: columns,
            graph: GraphMetrics {
                end_to_end_latency_ms: view.latency_ms,
                throughput_per_second: view.throughput,
                ..GraphMetrics::default()
            },
            edges: Arc::from([]),
            errors: vec![],
        })
    }

    async fn graph(&self) -> Result<Arc<Graph>, PlaneError> {
        let view = self.view.lock();
        if let Some(why) = &view.unreadable {
            return Err(PlaneError(why.clone()));
        }
        let mut shown = self.shown.lock();
        if **shown != view.graph {
            *shown = view.graph.clone().into();
        }
        Ok(Arc::clone(&shown))
    }

    fn support(&self) -> Vec<Support> {
        self.view.lock().support.clone()
    }

    fn reading_window(&self) -> Duration {
        Duration::ZERO
    }

    fn node_types(&self) -> Arc<[NodeType]> {
        self.view.lock().types.clone().into()
    }

    async fn apply(&self, action: &Action) -> Result<(), ApplyError> {
        self.log.lock().push(format!("apply {action}"));
        let takes = self.view.lock().takes;
        tokio::time::sleep(takes).await;
        let mut view = self.view.lock();
        assert!(!view.panics, "out of cheese");
        if let Some(why) = &view.refuses {
            return Err(ApplyError::Refused(why.clone()));
        }
        let before = view.graph.clone();
        view.applied.push((action.clone(), before));
        if let Some(why) = view.unreadable_once_applied.take() {
            view.unreadable = Some(why);
        }
        if !view.deaf {
            change(&mut view.graph, action);
        }
        let then = view.once_applied.take();
        drop(view);
        if let Some(then) = then {
            then();
        }
        Ok(())
    }
}

fn change(graph: &mut GraphSpec, action: &Action) {
    let at = |graph: &mut GraphSpec, id: &str, change: &dyn Fn(&mut NodeSpec)| {
        change(graph.nodes.iter_mut().find(|node| node.id == id).expect("the host checked that it is there"));
    };
    match action {
        Action::NoOp | Action::RestartProcess { .. } => {}
        Action::ReplaceNode { node, node_type, config } => at(graph, node, &|n| {
            n.node_type = node_type.clone();
            n.config = config.clone().unwrap_or_else(|| n.config.clone());
        }),
        Action::UpdateNodeConfig { node, patch } => at(graph, node, &|n| merge(&mut n.config, patch)),
        Action::BypassNode { node, active } => at(graph, node, &|n| n.bypassed = *active),
        Action::SwitchExecutor { node, to } => at(graph, node, &|n| n.executor = *to),
        Action::ScaleNode { node, replicas } => at(graph, node, &|n| n.replicas = *replicas),
        Action::AdjustBuffering { node, capacity } => at(graph, node, &|n| n.queue_capacity = *capacity),
        Action::RemoveNode { node } => {
            let before: Vec<NodeId> = graph.before(node).cloned().collect();
            let after: Vec<NodeId> = graph.after(node).cloned().collect();
            graph.nodes.retain(|n| n.id != *node);
            graph.edges.retain(|(from, to)| from != node && to != node);
            for from in &before {
                graph.edges.extend(after.iter().map(|to| (from.clone(), to.clone())));
            }
        }
        Action::InsertNode { id, node_type, config, after, .. } => {
            let followers: Vec<NodeId> = after.iter().flat_map(|n| graph.after(n)).cloned().collect();
            graph.edges.retain(|(from, _)| !after.contains(from));
            graph.edges.extend(after.iter().map(|from| (from.clone(), id.clone())));
            graph.edges.extend(followers.into_iter().map(|to| (id.clone(), to)));
            graph.nodes.push(NodeSpec { node_type: node_type.clone(), config: config.clone(), ..node(id) });
        }
    }
}

/// A judge that is a closure.
pub struct Plain<F> {
    pub id: PluginId,
    pub on_failure: OnFailure,
    pub takes: Duration,
    pub says: F,
}

impl<F: Send + Sync> Judge for Plain<F> {
    fn id(&self) -> &PluginId {
        &self.id
    }

    fn on_failure(&self) -> OnFailure {
        self.on_failure
    }
}

pub fn plain<F>(name: &str, says: F) -> Plain<F> {
    Plain { id: id(name), on_failure: OnFailure::Closed, takes: Duration::ZERO, says }
}

fn judged<T>(said: Result<T, String>) -> Result<Judged<T>, JudgeError> {
    said.map(|said| Judged { said, cost: Cost::default(), refused: Vec::new() }).map_err(JudgeError::from)
}

#[async_trait]
impl<F: Fn(&Sight) -> Result<Vec<Finding>, String> + Send + Sync> Heuristic for Plain<F> {
    async fn assess(&self, sight: &Sight) -> Result<Judged<Assessment>, JudgeError> {
        judged((self.says)(sight).map(Assessment::from))
    }
}

#[async_trait]
impl<F: Fn() -> Result<Vec<NodeType>, String> + Send + Sync> Catalog for Plain<F> {
    async fn list(&self) -> Result<Judged<Vec<NodeType>>, JudgeError> {
        judged((self.says)())
    }
}

#[async_trait]
impl<F: Fn(&Sight, &Situation) -> Result<Decided, String> + Send + Sync> Decider for Plain<F> {
    async fn decide(&self, sight: &Sight, situation: &Situation) -> Result<Judged<Decided>, JudgeError> {
        tokio::time::sleep(self.takes).await;
        judged((self.says)(sight, situation))
    }
}

#[async_trait]
impl<F: Fn(&Proposal) -> Result<Verdict, String> + Send + Sync> Validator for Plain<F> {
    async fn review(
        &self,
        _: &Sight,
        proposal: &Proposal,
        _: &str,
        _: &Situation,
    ) -> Result<Judged<Verdict>, JudgeError> {
        judged((self.says)(proposal))
    }
}

#[async_trait]
impl<F: Fn(&Action, &GraphSpec) -> Result<Reversal, String> + Send + Sync> Reverser for Plain<F> {
    async fn reverse(
        &self,
        action: &Action,
        before: &Arc<Graph>,
        _: &Arc<Graph>,
    ) -> Result<Judged<Reversal>, JudgeError> {
        judged((self.says)(action, before))
    }
}

pub fn decider(
    name: &str,
    says: impl Fn(&Sight, &Situation) -> Result<Decided, String> + Send + Sync + 'static,
) -> Turn<Arc<dyn Decider>> {
    turn(plain(name, says))
}

/// An entry among the deciders.
pub fn turn(decider: impl Decider + 'static) -> Turn<Arc<dyn Decider>> {
    Turn::from(Arc::new(decider) as Arc<dyn Decider>)
}

/// Always wants this.
pub fn wants(action: Action) -> Turn<Arc<dyn Decider>> {
    decider("wants", move |_, _| Ok(Decided::For(decision(action.clone()))))
}

/// Wants this after that long.
pub fn wants_after(takes: Duration, action: Action) -> Turn<Arc<dyn Decider>> {
    let says = move |_: &Sight, _: &Situation| Ok(Decided::For(decision(action.clone())));
    turn(Plain { takes, ..plain("slow", says) })
}

pub fn validator(
    name: &str,
    says: impl Fn(&Proposal) -> Result<Verdict, String> + Send + Sync + 'static,
) -> Rule<Arc<dyn Validator>> {
    Rule::One(Arc::new(plain(name, says)))
}

pub fn decision(action: Action) -> Decision {
    let reason = "it helps".into();
    let proposal = Proposal { action, reason, confidence: None, rests_on: vec![] };
    Decision { analysis: String::new(), issues: vec![], proposal }
}

pub fn because(code: &str) -> Reason {
    Reason { code: code.into(), message: code.into(), hint: None, rests_on: vec![] }
}

pub fn finding(code: &str, target: Option<&str>) -> Finding {
    Finding {
        code: code.into(),
        severity: Severity::Warning,
        target: target.map(Into::into),
        message: code.into(),
        rests_on: vec![],
    }
}

pub fn restart(node: &str) -> Action {
    Action::RestartProcess { node: node.into() }
}

pub fn scale(node: &str, replicas: u32) -> Action {
    Action::ScaleNode { node: node.into(), replicas }
}

#[derive(Default)]
pub struct Memory {
    pub log: Log,
    pub fails_to_intend: Mutex<bool>,
    pub unreadable: Mutex<bool>,
    pub actions: Mutex<Vec<ActionRecord>>,
    pub ticks: Mutex<Vec<TickRecord>>,
    pub events: Mutex<Vec<EventRecord>>,
    /// Happens while an intent is written.
    pub meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

#[async_trait]
impl Journal for Memory {
    async fn intend(&self, intent: &ActionRecord) -> Result<u64, JournalError> {
        if *self.fails_to_intend.lock() {
            return Err(JournalError("the disk is full".into()));
        }
        if let Some(meanwhile) = self.meanwhile.lock().take() {
            meanwhile();
        }
        let mut actions = self.actions.lock();
        let id = actions.len() as u64 + 1;
        self.log.lock().push(format!("intend {id}"));
        actions.push(ActionRecord { id, ..intent.clone() });
        Ok(id)
    }

    async fn conclude(&self, action: &ActionRecord) -> Result<(), JournalError> {
        self.log.lock().push(format!("conclude {} {}", action.id, action.outcome.name()));
        self.actions.lock()[action.id as usize - 1] = action.clone();
        Ok(())
    }

    async fn tick(&self, record: &Arc<TickRecord>) -> Result<(), JournalError> {
        self.ticks.lock().push(TickRecord::clone(record));
        Ok(())
    }

    async fn record(&self, event: &EventRecord) -> Result<(), JournalError> {
        if *self.fails_to_intend.lock() {
            return Err(JournalError("the disk is full".into()));
        }
        self.events.lock().push(event.clone());
        Ok(())
    }

    async fn recent(&self, _: &str, count: usize) -> Result<Vec<ActionRecord>, JournalError> {
        if *self.unreadable.lock() {
            return Err(JournalError("the disk is gone".into()));
        }
        Ok(self.actions.lock().iter().rev().take(count).cloned().collect())
    }

    async fn open_intents(&self, _: &str) -> Result<Vec<ActionRecord>, JournalError> {
        Ok(self.actions.lock().iter().filter(|action| action.settled_at.is_none()).cloned().collect())
    }

    async fn resumed_at(&self, session: &str) -> Result<Option<UnixMillis>, JournalError> {
        let events = self.events.lock();
        let resumed = events.iter().rev().find(|record| {
            matches!(record.event, Event::Resumed { .. }) && record.session.as_deref() == Some(session)
        });
        Ok(resumed.map(|record| record.at))
    }

    async fn halts(&self) -> Result<Vec<Halt>, JournalError> {
        let mut halts: Vec<Halt> = vec![];
        for EventRecord { at, session, event, .. } in self.events.lock().iter() {
            match event {
                Event::Halted { why, .. } => {
                    halts.push(Halt { session: session.clone(), at: *at, why: why.clone() });
                }
                Event::Resumed { .. } => halts.retain(|halt| halt.session != *session),
                _ => {}
            }
        }
        Ok(halts)
    }

    async fn learned(&self) -> Result<Vec<Learned>, JournalError> {
        Ok(Vec::new())
    }

    async fn undoable(&self, _: &str, count: usize) -> Result<Vec<ActionRecord>, JournalError> {
        let undone = |action: &&ActionRecord| {
            action.undoes.is_none()
                && action.after.is_some()
                && !matches!(action.outcome, Outcome::RolledBack | Outcome::Failed)
        };
        Ok(self.actions.lock().iter().rev().filter(undone).take(count).cloned().collect())
    }
}

/// The panel that judges now.
pub struct Switchboard(pub Mutex<Option<Arc<Panel>>>);

impl flyball_ports::Judges for Switchboard {
    fn panel(&self, _: &str) -> Option<Arc<Panel>> {
        self.0.lock().clone()
    }
}

#[derive(Default)]
pub struct Told {
    pub ticks: Mutex<Vec<(Instant, Ending)>>,
    pub concluded: Mutex<Vec<(u64, Outcome)>>,
    pub events: Mutex<Vec<Event>>,
}

impl Listener for Told {
    fn tick(&self, record: &Arc<TickRecord>) {
        self.ticks.lock().push((Instant::now(), record.ending));
    }

    fn concluded(&self, action: &ActionRecord, outcome: Outcome) {
        self.concluded.lock().push((action.id, outcome));
    }

    fn event(&self, event: &EventRecord) {
        self.events.lock().push(event.event.clone());
    }
}

pub fn rules() -> Rules {
    Rules {
        enabled: true,
        mutation: MutationPolicy::Full,
        max_latency_ms: None,
        min_throughput: None,
        protected: vec![],
        cooldown_ms: 5_000,
        max_actions: 5,
        window_ms: 60_000,
        history: 30,
        safety: Default::default(),
    }
}

/// A session with everything around it.
pub struct Rig {
    pub plane: Arc<Plane>,
    pub judges: Arc<Switchboard>,
    pub journal: Arc<Memory>,
    pub told: Arc<Told>,
    pub log: Log,
    /// What the one heuristic finds.
    pub trouble: Arc<Mutex<Vec<Finding>>>,
    pub controller: Arc<Controller>,
}

impl Rig {
    /// A session whose heuristic finds `slow` at b, judged by this panel.
    pub fn new(set_up: impl FnOnce(&mut Panel)) -> Self {
        let log = Log::default();
        let plane = Arc::new(Plane::new(Arc::clone(&log)));
        let journal = Arc::new(Memory { log: Arc::clone(&log), ..Memory::default() });
        let told = Arc::new(Told::default());
        let judges = Arc::new(Switchboard(Mutex::new(None)));
        let controller = Arc::new(Controller::new(
            plane.clone(),
            judges.clone(),
            journal.clone(),
            Arc::new(SystemClock),
            told.clone(),
            LoopOptions::default(),
        ));
        let trouble = Arc::new(Mutex::new(vec![finding("slow", Some("b"))]));
        let rig = Self { plane, judges, journal, told, log, trouble, controller };
        rig.publish(1, set_up);
        rig
    }

    /// The same among others of one host.
    pub fn in_fleet(fleet: &Arc<Fleet>, set_up: impl FnOnce(&mut Panel)) -> Self {
        let mut rig = Self::new(set_up);
        rig.controller = Arc::new(rig.made().in_fleet(Arc::clone(fleet)));
        rig
    }

    /// A host that begins anew on the same journal and data plane.
    pub fn restarted(&self) -> Controller {
        self.made()
    }

    fn made(&self) -> Controller {
        Controller::new(
            self.plane.clone(),
            self.judges.clone(),
            self.journal.clone(),
            Arc::new(SystemClock),
            self.told.clone(),
            LoopOptions::default(),
        )
    }

    /// What people were told, by code.
    pub fn notices(&self) -> Vec<String> {
        let events = self.told.events.lock();
        let notices = events.iter().filter_map(|event| match event {
            Event::Notified(notice) => Some(notice.code.clone()),
            _ => None,
        });
        notices.collect()
    }

    /// Another generation.
    pub fn publish(&self, generation: u64, set_up: impl FnOnce(&mut Panel)) {
        let mut panel = self.panel(generation);
        set_up(&mut panel);
        *self.judges.0.lock() = Some(Arc::new(panel));
    }

    fn panel(&self, generation: u64) -> Panel {
        let trouble = Arc::clone(&self.trouble);
        Panel {
            generation,
            policy: "p".into(),
            rules: rules(),
            heuristics: vec![Arc::new(plain("finds", move |_: &Sight| Ok(trouble.lock().clone())))],
            catalogs: vec![],
            deciders: vec![wants(restart("b"))],
            shadows: vec![],
            validators: vec![],
            reversers: vec![],
        }
    }

    pub async fn tick(&self) -> TickRecord {
        Arc::unwrap_or_clone(self.controller.tick().await)
    }

    /// A tick after this many seconds.
    pub async fn tick_in(&self, seconds: u64) -> TickRecord {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.tick().await
    }

    /// One tick a second, this many times.
    pub async fn ticks(&self, count: usize) -> Vec<TickRecord> {
        let mut records = vec![];
        for _ in 0..count {
            records.push(self.tick_in(1).await);
        }
        records
    }

    pub fn finds(&self, findings: Vec<Finding>) {
        *self.trouble.lock() = findings;
    }

    pub fn applied(&self) -> Vec<Action> {
        self.plane.view.lock().applied.iter().map(|(action, _)| action.clone()).collect()
    }

    pub fn outcome(&self, id: u64) -> Outcome {
        self.journal.actions.lock()[id as usize - 1].outcome
    }

    pub fn note(&self, id: u64) -> String {
        self.journal.actions.lock()[id as usize - 1].note.clone().unwrap_or_default()
    }
}

/// A reverser that puts the number of workers back.
pub fn puts_back() -> Arc<dyn Reverser> {
    Arc::new(plain("puts-back", |action: &Action, before: &GraphSpec| match action {
        Action::ScaleNode { node, .. } => {
            let actions = vec![scale(node, before.node(node).expect("it was there").replicas)];
            Ok(Reversal::Reversible { actions })
        }
        other => Ok(Reversal::Irreversible { why: format!("{other} is for ever") }),
    }))
}

/// Undoes a removal in two steps: the node, and its workers.
pub fn puts_b_back() -> Arc<dyn Reverser> {
    Arc::new(plain("two", |_: &Action, before: &GraphSpec| {
        let b = before.node("b").unwrap();
        let insert = Action::InsertNode {
            id: "b".into(),
            node_type: b.node_type.clone(),
            config: b.config.clone(),
            executor: Some(b.executor),
            after: vec!["a".into()],
            before: vec!["c".into()],
        };
        Ok(Reversal::Reversible { actions: vec![insert, scale("b", b.replicas)] })
    }))
}

/// The panel's safety, changed.
pub fn safety(panel: &mut Panel, change: impl FnOnce(&mut Safety)) {
    change(Arc::make_mut(&mut panel.rules.safety));
}

/// The policy lets actions make nodes of this type, configured like this.
pub fn may_create(panel: &mut Panel, node_type: &str, config: serde_json::Value) {
    let config = config.as_object().cloned();
    let entry = Creatable { node_type: node_type.into(), config, schema: None };
    safety(panel, |safety| safety.may_create.push(entry));
}

/// The gate that held.
pub fn gate(record: &TickRecord) -> &str {
    &record.gate.as_ref().expect("a gate held").gate
}

/// The codes of every no.
pub fn refusals(record: &TickRecord) -> Vec<&str> {
    record
        .verdicts
        .iter()
        .filter_map(|verdict| match &verdict.verdict {
            Verdict::Deny(reason) => Some(reason.code.as_str()),
            _ => None,
        })
        .collect()
}
