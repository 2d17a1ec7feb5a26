#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "a test")]
//! A data plane of one's own, in one file: a bakery that no room of Flyball knows. It is watched, healed, recorded and rolled back
//! like any other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_host::{Host, StateDir, Threads, open_history};
use flyball_model::{
    Action, ActionKind, Caller, ControllerSection, Executor, Graph, GraphMetrics, GraphSpec, Metrics,
    NodeColumns, NodeSpec, NodeStatus, NodeType, Observation, Outcome, Trend, metric,
};
use flyball_ports::{ActionFilter, ApplyError, Clock, DataPlane, PlaneError, Support, SystemClock};
use flyball_store::{CallFilter, RecordingsReader};
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(300);

/// An oven with loaves waiting before it: with one baker they pile up, with two they do not.
struct Bakery(Mutex<Arc<Graph>>);

impl Bakery {
    fn open() -> Self {
        let node = |id: &str| NodeSpec {
            id: id.to_owned(),
            node_type: "oven".to_owned(),
            executor: Executor::Native,
            config: serde_json::json!({}),
            replicas: 1,
            queue_capacity: 40,
            bypassed: false,
            optional: false,
        };
        Self(Mutex::new(GraphSpec { nodes: vec![node("oven")], edges: Vec::new() }.into()))
    }

    fn bakers(&self) -> u32 {
        self.0.lock().node("oven").unwrap().replicas
    }
}

#[async_trait]
impl DataPlane for Bakery {
    fn session(&self) -> &str {
        "bakery"
    }

    async fn observe(&self) -> Result<Observation, PlaneError> {
        let bakers = f64::from(self.bakers());
        let mut metrics = Metrics::default();
        for (name, value) in [
            (metric::QUEUE_DEPTH, if bakers < 2.0 { 40.0 } else { 1.0 }),
            (metric::QUEUE_CAPACITY, 40.0),
            (metric::ITEMS_PER_SECOND, 10.0 * bakers),
            (metric::LATENCY_P50_MS, 100.0),
            (metric::LATENCY_P99_MS, 120.0),
            (metric::ERRORS_PER_SECOND, 0.0),
            (metric::SAMPLES, 50.0),
            (metric::REPLICAS, bakers),
        ] {
            metrics.set(name, vec![value]);
        }
        Ok(Observation {
            session: "bakery".into(),
            tick: 0,
            taken_at: SystemClock.now(),
            nodes: NodeColumns {
                ids: Arc::from(["oven".into()]),
                types: Arc::from(["oven".into()]),
                executors: vec![Executor::Native],
                statuses: vec![NodeStatus::Healthy],
                latency_trends: vec![Trend::Stable],
                last_errors: vec![None],
                metrics,
            },
            graph: GraphMetrics { throughput_per_second: 10.0 * bakers, ..GraphMetrics::default() },
            edges: Arc::from([]),
            errors: Vec::new(),
        })
    }

    async fn graph(&self) -> Result<Arc<Graph>, PlaneError> {
        Ok(Arc::clone(&self.0.lock()))
    }

    fn support(&self) -> Vec<Support> {
        vec![Support::live(ActionKind::ScaleNode, 100)]
    }

    fn reading_window(&self) -> Duration {
        Duration::ZERO
    }

    fn node_types(&self) -> Arc<[NodeType]> {
        Arc::from([])
    }

    async fn apply(&self, action: &Action) -> Result<(), ApplyError> {
        let Action::ScaleNode { replicas, .. } = action else {
            return Err(ApplyError::Refused(format!("a bakery does not {action}")));
        };
        let mut graph = self.0.lock();
        let mut changed = GraphSpec::clone(&graph);
        changed.nodes[0].replicas = *replicas;
        *graph = changed.into();
        Ok(())
    }
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "waited in vain until {what}");
}

#[test]
fn a_plane_that_nobody_knows_is_watched_healed_recorded_and_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::at(dir.path().join("state"));
    let threads = Threads::start().unwrap();
    let bakery = Arc::new(Bakery::open());
    threads.run(async {
        let settings = ControllerSection { observation_interval_ms: 20, ..ControllerSection::default() };
        let host =
            Host::builder_in(state.clone()).plane(bakery.clone(), settings).start(&threads).await.unwrap();
        until("the second baker has helped", async || {
            host.actions("bakery").iter().any(|action| action.outcome == Outcome::Verified)
        })
        .await;
        assert_eq!(bakery.bakers(), 2);
        let status = host.operations().status().await.unwrap();
        assert_eq!(status.sessions[0].policy.as_deref(), Some("default"));
        let me = Caller { uid: 0, pid: 1, program: "a test".to_owned() };
        let undone = host.operations().rollback(None, 1, me).await.unwrap();
        assert!(undone[0].undone, "{undone:?}");
        let report = host.stop().await;
        assert!(report.sessions[0].account.is_none(), "a bakery counts no items");
    });
    assert_eq!(bakery.bakers(), 1);
    let actions = open_history(&state).unwrap().actions(&ActionFilter::default()).unwrap();
    let outcomes: Vec<Outcome> = actions.iter().rev().map(|action| action.outcome).collect();
    assert_eq!(outcomes.first(), Some(&Outcome::RolledBack), "{outcomes:?}");
    let recorded = RecordingsReader::open(state.path()).unwrap().list(&CallFilter::default()).unwrap();
    assert!(
        recorded.iter().any(|call| &*call.by.name == "rule-decider"),
        "its decider's call can be made again"
    );
}
