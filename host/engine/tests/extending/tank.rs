//! A data plane of a test's own, as any crate may add one: a tank whose queue overflows until it has a second replica. All that the
//! loop needs to know of it is in this file; `main.rs` hands it to the loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flyball_model::{
    Action, ActionKind, Executor, Graph, GraphMetrics, GraphSpec, Metrics, NodeColumns, NodeSpec, NodeStatus,
    NodeType, Observation, Trend, metric,
};
use flyball_ports::{ApplyError, DataPlane, PlaneError, Support};
use parking_lot::Mutex;
use serde_json::json;

pub struct Tank {
    graph: Mutex<Arc<Graph>>,
    seconds: AtomicU64,
}

impl Tank {
    pub fn new() -> Self {
        let node = NodeSpec {
            id: "tank".to_owned(),
            node_type: "tank".to_owned(),
            executor: Executor::Native,
            config: json!({}),
            replicas: 1,
            queue_capacity: 100,
            bypassed: false,
            optional: false,
        };
        let graph = GraphSpec { nodes: vec![node], edges: Vec::new() };
        Self { graph: Mutex::new(graph.into()), seconds: AtomicU64::new(0) }
    }

    pub fn replicas(&self) -> u32 {
        self.graph.lock().nodes[0].replicas
    }
}

#[async_trait]
impl DataPlane for Tank {
    fn session(&self) -> &str {
        "tank"
    }

    /// A second passes with each look.
    async fn observe(&self) -> Result<Observation, PlaneError> {
        let replicas = self.replicas();
        let second = self.seconds.fetch_add(1, Ordering::Relaxed);
        let mut metrics = Metrics::default();
        for (name, value) in [
            (metric::LATENCY_P99_MS, 5.0),
            (metric::ITEMS_PER_SECOND, 50.0),
            (metric::QUEUE_DEPTH, if replicas == 1 { 95.0 } else { 2.0 }),
            (metric::QUEUE_CAPACITY, 100.0),
            (metric::ERRORS_PER_SECOND, 0.0),
            (metric::SAMPLES, 500.0),
            (metric::REPLICAS, f64::from(replicas)),
        ] {
            metrics.set(name, vec![value]);
        }
        Ok(Observation {
            session: "tank".into(),
            tick: 0,
            taken_at: 1_700_000_000_000 + 1_000 * second,
            nodes: NodeColumns {
                ids: ["tank".into()].into(),
                types: ["tank".into()].into(),
                executors: vec![Executor::Native],
                statuses: vec![NodeStatus::Healthy],
                latency_trends: vec![Trend::Stable],
                last_errors: vec![None],
                metrics,
            },
            graph: GraphMetrics { throughput_per_second: 50.0, ..GraphMetrics::default() },
            edges: [].into(),
            errors: Vec::new(),
        })
    }

    async fn graph(&self) -> Result<Arc<Graph>, PlaneError> {
        Ok(Arc::clone(&self.graph.lock()))
    }

    fn support(&self) -> Vec<Support> {
        vec![Support::live(ActionKind::ScaleNode, 1_000)]
    }

    fn reading_window(&self) -> Duration {
        Duration::ZERO
    }

    fn node_types(&self) -> Vec<NodeType> {
        Vec::new()
    }

    async fn apply(&self, action: &Action) -> Result<(), ApplyError> {
        let Action::ScaleNode { replicas, .. } = action else {
            return Err(ApplyError::Refused(format!("a tank is scaled and nothing else: {action}")));
        };
        let mut held = self.graph.lock();
        let mut graph = GraphSpec::clone(&held);
        graph.nodes[0].replicas = *replicas;
        *held = graph.into();
        Ok(())
    }
}
