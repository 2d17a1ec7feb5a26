//! A data plane that is a file: it outlives whoever controls it, and knows which action it has done.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flyball_model::*;
use flyball_ports::{ApplyError, DataPlane, PlaneError, Support};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::host::Steps;

#[derive(Clone, Serialize, Deserialize)]
pub struct Kept {
    pub graph: GraphSpec,
    /// The journal's numbers of what was done, in order.
    pub applied: Vec<u64>,
}

impl Kept {
    fn file(home: &Path) -> PathBuf {
        home.join("plane.json")
    }

    pub fn read(home: &Path) -> Self {
        match fs::read(Self::file(home)) {
            Ok(text) => serde_json::from_slice(&text).unwrap(),
            Err(_) => Self { graph: graph(), applied: vec![] },
        }
    }

    /// Whole or not at all.
    fn write(&self, home: &Path) {
        let scratch = home.join("plane.json.new");
        let mut file = File::create(&scratch).unwrap();
        file.write_all(&serde_json::to_vec(self).unwrap()).unwrap();
        file.sync_all().unwrap();
        fs::rename(scratch, Self::file(home)).unwrap();
    }
}

fn graph() -> GraphSpec {
    let node = |id: &str| NodeSpec {
        id: id.into(),
        node_type: "upper".into(),
        executor: Executor::Native,
        config: json!({}),
        replicas: 1,
        queue_capacity: 100,
        bypassed: false,
        optional: false,
    };
    GraphSpec { nodes: vec![node("a"), node("b")], edges: vec![("a".into(), "b".into())] }
}

pub struct Plane {
    pub home: PathBuf,
    pub steps: Arc<Steps>,
    /// The number of the newest intent: what is applied next.
    pub intended: Arc<AtomicU64>,
}

#[async_trait]
impl DataPlane for Plane {
    fn session(&self) -> &str {
        "s"
    }

    async fn observe(&self) -> Result<Observation, PlaneError> {
        let graph = Kept::read(&self.home).graph;
        let nodes = &graph.nodes;
        let mut columns = NodeColumns {
            ids: nodes.iter().map(|node| Arc::from(node.id.as_str())).collect(),
            types: nodes.iter().map(|node| Arc::from(node.node_type.as_str())).collect(),
            executors: nodes.iter().map(|node| node.executor).collect(),
            statuses: vec![NodeStatus::Healthy; nodes.len()],
            latency_trends: vec![Trend::Stable; nodes.len()],
            last_errors: vec![None; nodes.len()],
            metrics: Metrics::default(),
        };
        columns.metrics.set(metric::SAMPLES, vec![100.0; nodes.len()]);
        Ok(Observation {
            session: "s".into(),
            tick: 0,
            taken_at: 0,
            nodes: columns,
            graph: GraphMetrics::default(),
            edges: Arc::from([]),
            errors: vec![],
        })
    }

    async fn graph(&self) -> Result<Arc<Graph>, PlaneError> {
        Ok(Kept::read(&self.home).graph.into())
    }

    fn support(&self) -> Vec<Support> {
        vec![Support::live(ActionKind::ScaleNode, 0)]
    }

    fn reading_window(&self) -> Duration {
        Duration::ZERO
    }

    fn node_types(&self) -> Arc<[NodeType]> {
        Arc::from([])
    }

    async fn apply(&self, action: &Action) -> Result<(), ApplyError> {
        self.steps.at("before apply");
        let mut kept = Kept::read(&self.home);
        let Action::ScaleNode { node, replicas } = action else {
            return Err(ApplyError::Refused("only scaling is known here".into()));
        };
        kept.graph.nodes.iter_mut().find(|own| own.id == *node).unwrap().replicas = *replicas;
        kept.applied.push(self.intended.load(Ordering::SeqCst));
        kept.write(&self.home);
        self.steps.at("after apply");
        Ok(())
    }
}
