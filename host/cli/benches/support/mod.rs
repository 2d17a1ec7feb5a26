//! A data plane that costs next to nothing, judges in the sandbox, and the same judges in plain Rust.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flyball_engine::{Engine, EngineOptions, Plugin, PluginJudge as Sandboxed};
use flyball_model::{
    Action, ActionKind, ActionRecord, Assessment, Cost, Decision, EventRecord, Evidence, Executor, Finding,
    Graph, GraphMetrics, GraphSpec, Halt, Learned, Limits, Metrics, MutationPolicy, NodeColumns, NodeOffer,
    NodeSpec, NodeStatus, NodeType, Observation, OnFailure, Outcome, PluginId, PluginUse, Proposal, Reach,
    Reason, Rule, Rules, Severity, TickRecord, Trend, Turn, UnixMillis, Verdict, metric,
};
use flyball_ports::{
    ApplyError, Catalog, DataPlane, Decided, Decider, Heuristic, Journal, JournalError, Judge, JudgeError,
    Judged, Judges, Listener, Panel, PlaneError, Reverser, Sight, Situation, Support, Validator,
};
use parking_lot::Mutex;
use serde_json::json;

/// A pipeline of so many nodes, of which the one in the middle is flooded from tick `floods_at` on.
pub struct Synthetic {
    session: String,
    calm: Observation,
    flooded: Observation,
    floods_at: u64,
    ticks: AtomicU64,
    graph: Mutex<Arc<Graph>>,
    types: Arc<[NodeType]>,
}

/// As many as the embedded pipeline has, each with the schema of what it takes.
fn node_types() -> Arc<[NodeType]> {
    let named = |name: String| NodeType {
        summary: format!("what {name} does with an item"),
        provides: vec!["mapping".to_owned()],
        offers: [Executor::Native, Executor::Multiprocess]
            .map(|executor| NodeOffer { executor, relative_speed: Some(1.0), relative_cost: Some(1.0) })
            .into(),
        config_schema: Some(json!({
            "type": "object",
            "required": ["template"],
            "additionalProperties": false,
            "properties": {
                "template": { "type": "string", "description": "what becomes of an item", "default": "{{x}}" },
                "limit": { "type": "integer", "minimum": 1, "maximum": 1000, "description": "how many at once" },
                "key": { "type": "string", "writeOnly": true, "description": "by which it is let in" },
            },
        })),
        reach: Reach::Pure,
        name,
    };
    std::iter::once("map".to_owned())
        .chain((1..20).map(|number| format!("map-{number}")))
        .map(named)
        .collect()
}

impl Synthetic {
    pub fn new(session: String, nodes: usize, floods_at: u64) -> Self {
        let graph = GraphSpec {
            nodes: (0..nodes)
                .map(|node| NodeSpec {
                    id: format!("node-{node}"),
                    node_type: "map".to_owned(),
                    executor: Executor::Native,
                    config: json!({ "template": "{{x}}" }),
                    replicas: 1,
                    queue_capacity: 100,
                    bypassed: false,
                    optional: false,
                })
                .collect(),
            edges: (1..nodes).map(|node| (format!("node-{}", node - 1), format!("node-{node}"))).collect(),
        };
        Self {
            calm: observation(&session, nodes, false),
            flooded: observation(&session, nodes, true),
            session,
            floods_at,
            ticks: AtomicU64::new(0),
            graph: Mutex::new(graph.into()),
            types: node_types(),
        }
    }
}

fn observation(session: &str, nodes: usize, flooded: bool) -> Observation {
    let middle = nodes / 2;
    let column = |usual: f64, there: f64| -> Vec<f64> {
        (0..nodes).map(|node| if flooded && node == middle { there } else { usual }).collect()
    };
    let mut metrics = Metrics::default();
    metrics.set(metric::LATENCY_P50_MS, column(2.0, 9.0));
    metrics.set(metric::LATENCY_P99_MS, column(6.0, 20.0));
    metrics.set(metric::ITEMS_PER_SECOND, column(100.0, 100.0));
    metrics.set(metric::QUEUE_DEPTH, column(3.0, 95.0));
    metrics.set(metric::QUEUE_CAPACITY, column(100.0, 100.0));
    metrics.set(metric::ERRORS_PER_SECOND, column(0.0, 0.0));
    metrics.set(metric::SAMPLES, column(500.0, 500.0));
    metrics.set(metric::MEMORY_MB, column(f64::NAN, f64::NAN));
    metrics.set(metric::CPU_PERCENT, column(f64::NAN, f64::NAN));
    metrics.set(metric::RESTARTS, column(0.0, 0.0));
    metrics.set(metric::HEARTBEAT_AGE_MS, column(f64::NAN, f64::NAN));
    metrics.set(metric::REPLICAS, column(1.0, 1.0));
    Observation {
        session: session.into(),
        tick: 0,
        taken_at: 1_700_000_000_000,
        nodes: NodeColumns {
            ids: (0..nodes).map(|node| Arc::from(format!("node-{node}"))).collect(),
            types: (0..nodes).map(|_| Arc::from("map")).collect(),
            executors: vec![Executor::Native; nodes],
            statuses: vec![NodeStatus::Healthy; nodes],
            latency_trends: vec![Trend::Stable; nodes],
            last_errors: vec![None; nodes],
            metrics,
        },
        graph: GraphMetrics {
            end_to_end_latency_ms: 40.0,
            throughput_per_second: 100.0,
            bottleneck: flooded.then_some(middle as u32),
            critical_path: (0..nodes as u32).collect(),
            others: Vec::new(),
        },
        edges: (1..nodes as u32).map(|node| (node - 1, node)).collect(),
        errors: Vec::new(),
    }
}

#[async_trait]
impl DataPlane for Synthetic {
    fn session(&self) -> &str {
        &self.session
    }

    async fn observe(&self) -> Result<Observation, PlaneError> {
        let tick = self.ticks.fetch_add(1, Ordering::Relaxed) + 1;
        let seen = if tick >= self.floods_at { &self.flooded } else { &self.calm };
        Ok(Observation { taken_at: seen.taken_at + tick * 1_000, ..seen.clone() })
    }

    async fn graph(&self) -> Result<Arc<Graph>, PlaneError> {
        Ok(Arc::clone(&self.graph.lock()))
    }

    fn support(&self) -> Vec<Support> {
        ActionKind::ALL.into_iter().map(|kind| Support::live(kind, 1_000)).collect()
    }

    fn reading_window(&self) -> Duration {
        Duration::ZERO
    }

    fn node_types(&self) -> Arc<[NodeType]> {
        Arc::clone(&self.types)
    }

    async fn apply(&self, action: &Action) -> Result<(), ApplyError> {
        let mut held = self.graph.lock();
        let mut graph = GraphSpec::clone(&held);
        let target = action.target().cloned().unwrap_or_default();
        let node = graph.nodes.iter_mut().find(|node| node.id == target);
        match (action, node) {
            (Action::ScaleNode { replicas, .. }, Some(node)) => node.replicas = *replicas,
            (Action::AdjustBuffering { capacity, .. }, Some(node)) => node.queue_capacity = *capacity,
            (other, _) => return Err(ApplyError::Refused(format!("not in this bench: {other}"))),
        }
        *held = graph.into();
        Ok(())
    }
}

/// Keeps nothing: the benches leave the journal out.
pub struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    async fn intend(&self, _: &ActionRecord) -> Result<u64, JournalError> {
        Ok(1)
    }

    async fn conclude(&self, _: &ActionRecord) -> Result<(), JournalError> {
        Ok(())
    }

    async fn tick(&self, _: &Arc<TickRecord>) -> Result<(), JournalError> {
        Ok(())
    }

    async fn record(&self, _: &EventRecord) -> Result<(), JournalError> {
        Ok(())
    }

    async fn recent(&self, _: &str, _: usize) -> Result<Vec<ActionRecord>, JournalError> {
        Ok(Vec::new())
    }

    async fn open_intents(&self, _: &str) -> Result<Vec<ActionRecord>, JournalError> {
        Ok(Vec::new())
    }

    async fn resumed_at(&self, _: &str) -> Result<Option<UnixMillis>, JournalError> {
        Ok(None)
    }

    async fn halts(&self) -> Result<Vec<Halt>, JournalError> {
        Ok(Vec::new())
    }

    async fn learned(&self) -> Result<Vec<Learned>, JournalError> {
        Ok(Vec::new())
    }

    async fn undoable(&self, _: &str, _: usize) -> Result<Vec<ActionRecord>, JournalError> {
        Ok(Vec::new())
    }
}

/// Hears nothing.
pub struct NoListener;

impl Listener for NoListener {
    fn tick(&self, _: &Arc<TickRecord>) {}
    fn concluded(&self, _: &ActionRecord, _: Outcome) {}
}

/// One panel for every session.
pub struct Always(pub Arc<Panel>);

impl Judges for Always {
    fn panel(&self, _: &str) -> Option<Arc<Panel>> {
        Some(self.0.clone())
    }
}

fn rules() -> Rules {
    Rules {
        enabled: true,
        mutation: MutationPolicy::Optimize,
        max_latency_ms: None,
        min_throughput: None,
        protected: vec!["node-0".to_owned()],
        cooldown_ms: 5_000,
        max_actions: 5,
        window_ms: 60_000,
        history: 30,
        safety: Default::default(),
    }
}

/// The first-party plugins, as the default policy uses them; `heuristics` of them ask the same heuristic.
pub fn sandboxed(heuristics: usize) -> Arc<Panel> {
    let engine = Engine::new(EngineOptions::default()).expect("an engine");
    let load = |name: &str| -> Arc<Plugin> {
        let plugin = flyball_first_party::find(name).expect("a first-party plugin");
        Arc::new(engine.load(plugin.wasm).expect("it loads"))
    };
    let judge = |plugin: Arc<Plugin>| {
        // Within 50 ms a decider is asked on the spot, as the plain one is.
        let limits = Limits { time_ms: 50, ..Limits::default() };
        let used = PluginUse {
            plugin: plugin.id().name.to_string(),
            settings: Default::default(),
            limits,
            grants: Default::default(),
            on_failure: OnFailure::Closed,
        };
        Arc::new(Sandboxed::new(plugin, &used, 1).expect("it may"))
    };
    let heuristic = load("threshold-heuristic");
    Arc::new(Panel {
        generation: 1,
        policy: "bench".into(),
        rules: rules(),
        heuristics: (0..heuristics).map(|_| judge(heuristic.clone()) as Arc<dyn Heuristic>).collect(),
        catalogs: vec![judge(load("static-catalog")) as Arc<dyn Catalog>],
        deciders: vec![Turn::from(judge(load("rule-decider")) as Arc<dyn Decider>)],
        shadows: Vec::new(),
        validators: ["mutation-policy", "protected-nodes", "no-oscillation"]
            .map(|name| Rule::One(judge(load(name)) as Arc<dyn Validator>))
            .to_vec(),
        reversers: vec![judge(load("standard-reverser")) as Arc<dyn Reverser>],
    })
}

/// The same rules without a sandbox.
pub fn plain(heuristics: usize) -> Arc<Panel> {
    let plain =
        Arc::new(Plain(PluginId { name: "plain".into(), version: "1.0.0".into(), digest: "".into() }));
    Arc::new(Panel {
        generation: 1,
        policy: "bench".into(),
        rules: rules(),
        heuristics: (0..heuristics).map(|_| plain.clone() as Arc<dyn Heuristic>).collect(),
        catalogs: Vec::new(),
        deciders: vec![Turn::from(plain.clone() as Arc<dyn Decider>)],
        shadows: Vec::new(),
        validators: (0..3).map(|_| Rule::One(plain.clone() as Arc<dyn Validator>)).collect(),
        reversers: Vec::new(),
    })
}

struct Plain(PluginId);

impl Judge for Plain {
    fn id(&self) -> &PluginId {
        &self.0
    }
}

fn judged<T>(said: T) -> Result<Judged<T>, JudgeError> {
    Ok(Judged { said, cost: Cost::default(), refused: Vec::new() })
}

#[async_trait]
impl Heuristic for Plain {
    async fn assess(&self, sight: &Sight) -> Result<Judged<Assessment>, JudgeError> {
        let nodes = &sight.now.nodes;
        let mut findings = Vec::new();
        for node in 0..nodes.len() {
            let bad = !matches!(nodes.statuses[node], NodeStatus::Healthy | NodeStatus::Unknown)
                || nodes.number(node, metric::ERRORS_PER_SECOND) > 5.0
                || nodes.number(node, metric::HEARTBEAT_AGE_MS) > 5_000.0;
            let depth = nodes.number(node, metric::QUEUE_DEPTH);
            let full = |depth: f64, capacity: f64| depth > 0.8 * capacity;
            if !bad && !full(depth, nodes.number(node, metric::QUEUE_CAPACITY)) {
                continue;
            }
            let id = nodes.ids[node].to_string();
            let before = sight.past.series(&id, metric::QUEUE_DEPTH, 2);
            let capacities = sight.past.series(&id, metric::QUEUE_CAPACITY, 2);
            if before.len() < 2
                || !before.iter().zip(&capacities).all(|(depth, capacity)| full(*depth, *capacity))
            {
                continue;
            }
            findings.push(Finding {
                code: "queue-pressure".to_owned(),
                severity: Severity::Warning,
                message: format!("{depth} items wait before {id}"),
                rests_on: vec![evidence(&id, metric::QUEUE_DEPTH, depth)],
                target: Some(id),
            });
        }
        judged(findings.into())
    }
}

fn evidence(node: &str, metric: &str, value: f64) -> Evidence {
    Evidence {
        node: Some(node.to_owned()),
        metric: Some(metric.to_owned()),
        value: Some(value),
        limit: None,
        note: String::new(),
    }
}

#[async_trait]
impl Decider for Plain {
    async fn decide(&self, sight: &Sight, situation: &Situation) -> Result<Judged<Decided>, JudgeError> {
        let Some(finding) = situation.findings.first() else {
            return judged(Decided::Abstains("nothing to do".to_owned()));
        };
        let node = finding.target.clone().unwrap_or_default();
        let capacity = situation.graph.node(&node).map_or(100, |node| node.queue_capacity);
        let index = sight.now.nodes.find(&node).unwrap_or_default();
        let depth = sight.now.nodes.number(index, metric::QUEUE_DEPTH);
        judged(Decided::For(Decision {
            analysis: finding.message.clone(),
            issues: vec![finding.message.clone()],
            proposal: Proposal {
                action: Action::AdjustBuffering { node: node.clone(), capacity: capacity * 2 },
                reason: "the queue is nearly full".to_owned(),
                confidence: Some(0.8),
                rests_on: vec![evidence(&node, metric::QUEUE_DEPTH, depth)],
            },
        }))
    }
}

#[async_trait]
impl Validator for Plain {
    async fn review(
        &self,
        _: &Sight,
        proposal: &Proposal,
        _: &str,
        situation: &Situation,
    ) -> Result<Judged<Verdict>, JudgeError> {
        let action = &proposal.action;
        let protected = action.touches().into_iter().any(|node| situation.rules.protected.contains(node));
        let repeats = situation.past.iter().any(|past| past.proposal.action == *action);
        if protected || repeats || !situation.rules.mutation.allows(action.kind()) {
            let reason =
                Reason { code: "no".to_owned(), message: "no".to_owned(), hint: None, rests_on: Vec::new() };
            return judged(Verdict::Deny(reason));
        }
        judged(Verdict::Allow)
    }
}
