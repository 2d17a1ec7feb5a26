//! A pipeline of which one node has failed until somebody does something about it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_model::{
    Action, ActionKind, Executor, Graph, GraphMetrics, GraphSpec, Metrics, NodeColumns, NodeOffer, NodeSpec,
    NodeStatus, NodeType, Observation, SeenError, Trend, metric,
};
use flyball_ports::{ApplyError, Clock, DataPlane, PlaneError, Support, SystemClock};
use parking_lot::Mutex;

/// The node that has failed, unless it is called otherwise.
pub const WORK: &str = "work";

/// `feed` → the failed node → `out`. What it supports is done at once, and kept.
pub struct Failing {
    session: String,
    node: String,
    error: String,
    applied: Mutex<Vec<Action>>,
}

impl Failing {
    pub fn new(session: &str) -> Arc<Self> {
        Self::telling(session, WORK, "the process exited with code 137")
    }

    /// The failed node is called so, and its last error says this.
    pub fn telling(session: &str, node: &str, error: &str) -> Arc<Self> {
        Arc::new(Self {
            session: session.to_owned(),
            node: node.to_owned(),
            error: error.to_owned(),
            applied: Mutex::default(),
        })
    }

    pub fn applied(&self) -> Vec<Action> {
        self.applied.lock().clone()
    }

    fn ids(&self) -> [&str; 3] {
        ["feed", &self.node, "out"]
    }
}

const TYPES: [&str; 3] = ["listen", "tokenise", "discard"];

/// Only a process can be started again.
const EXECUTORS: [Executor; 3] = [Executor::Native, Executor::Multiprocess, Executor::Native];

#[async_trait]
impl DataPlane for Failing {
    fn session(&self) -> &str {
        &self.session
    }

    async fn observe(&self) -> Result<Observation, PlaneError> {
        let now = SystemClock.now();
        let well = !self.applied().is_empty();
        let mut metrics = Metrics::default();
        for (name, values) in [
            (metric::LATENCY_P50_MS, [1.0, 4.5, 1.0]),
            (metric::LATENCY_P99_MS, [2.0, 12.25, 2.0]),
            (metric::ITEMS_PER_SECOND, [100.0, 0.0, 0.0]),
            (metric::QUEUE_DEPTH, [0.0, 12.0, 0.0]),
            (metric::QUEUE_CAPACITY, [256.0; 3]),
            (metric::ERRORS_PER_SECOND, [0.0, if well { 0.0 } else { 100.0 }, 0.0]),
            (metric::SAMPLES, [1_000.0; 3]),
            (metric::REPLICAS, [1.0; 3]),
        ] {
            metrics.set(name, values.to_vec());
        }
        let error = (!well).then(|| Arc::from(self.error.as_str()));
        Ok(Observation {
            session: self.session.as_str().into(),
            tick: 0,
            taken_at: now,
            nodes: NodeColumns {
                ids: self.ids().map(Arc::from).to_vec().into(),
                types: TYPES.map(Arc::from).to_vec().into(),
                executors: EXECUTORS.to_vec(),
                statuses: vec![
                    NodeStatus::Healthy,
                    if well { NodeStatus::Healthy } else { NodeStatus::Failed },
                    NodeStatus::Healthy,
                ],
                latency_trends: vec![Trend::Stable; 3],
                last_errors: vec![None, error.clone(), None],
                metrics,
            },
            graph: GraphMetrics {
                throughput_per_second: 100.0,
                critical_path: vec![0, 1, 2],
                ..GraphMetrics::default()
            },
            edges: vec![(0, 1), (1, 2)].into(),
            errors: error.map(|message| SeenError { at: now, node: Some(1), message }).into_iter().collect(),
        })
    }

    async fn graph(&self) -> Result<Arc<Graph>, PlaneError> {
        let ids = self.ids();
        let parts = ids.iter().zip(TYPES).zip(&EXECUTORS);
        let nodes = parts.map(|((id, node_type), executor)| NodeSpec {
            id: (*id).to_owned(),
            node_type: node_type.to_owned(),
            executor: *executor,
            config: serde_json::json!({ "field": "text" }),
            replicas: 1,
            queue_capacity: 256,
            bypassed: false,
            optional: false,
        });
        let edges = ids.windows(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned()));
        Ok(GraphSpec { nodes: nodes.collect(), edges: edges.collect() }.into())
    }

    /// Nothing can be bypassed here.
    fn support(&self) -> Vec<Support> {
        ActionKind::ALL
            .into_iter()
            .filter(|kind| *kind != ActionKind::BypassNode)
            .map(|kind| Support::live(kind, 100))
            .collect()
    }

    fn reading_window(&self) -> Duration {
        Duration::ZERO
    }

    fn node_types(&self) -> Arc<[NodeType]> {
        let offered = |name: &str, executor| NodeType {
            name: name.to_owned(),
            summary: "a part of the pipeline".to_owned(),
            provides: Vec::new(),
            offers: vec![NodeOffer { executor, relative_speed: None, relative_cost: None }],
            config_schema: None,
            reach: flyball_model::Reach::Pure,
        };
        TYPES.iter().zip(EXECUTORS).map(|(name, executor)| offered(name, executor)).collect()
    }

    async fn apply(&self, action: &Action) -> Result<(), ApplyError> {
        self.applied.lock().push(action.clone());
        Ok(())
    }
}
