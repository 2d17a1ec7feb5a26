//! What the tests share: graphs, worlds, and a simulation that is let run in paused time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flyball_documents::{DocumentText, read_as};
use flyball_model::{Action, Executor, GraphSpec, NodeSpec, NodeStatus, Observation};
use flyball_ports::{ApplyError, DataPlane as _};
use flyball_sim::{FaultPlan, NodeTruth, Plan, Sim, SimulatedWorld};
use serde_json::json;

pub fn node(id: &str) -> NodeSpec {
    NodeSpec {
        id: id.into(),
        node_type: id.split('-').next().unwrap().into(),
        executor: Executor::Native,
        config: json!({}),
        replicas: 1,
        queue_capacity: 1_000,
        bypassed: false,
        optional: false,
    }
}

/// One node behind another.
pub fn line(ids: &[&str]) -> GraphSpec {
    GraphSpec {
        nodes: ids.iter().map(|id| node(id)).collect(),
        edges: ids.windows(2).map(|pair| (pair[0].into(), pair[1].into())).collect(),
    }
}

pub fn world(yaml: &str) -> SimulatedWorld {
    read_as(&DocumentText::new("world.yaml", yaml), "Flyball world")
        .unwrap_or_else(|faults| panic!("{faults:?}"))
}

pub fn faults(yaml: &str) -> FaultPlan {
    read_as(&DocumentText::new("faults.yaml", yaml), "Flyball faults")
        .unwrap_or_else(|faults| panic!("{faults:?}"))
}

pub fn plan(graph: GraphSpec, world: SimulatedWorld) -> Plan {
    let session = "s".to_owned();
    Plan {
        session,
        graph,
        retries: BTreeMap::new(),
        world,
        faults: FaultPlan::default(),
        seed: 7,
        start: 1_000,
    }
}

/// `in → work → out`, 50 items a second, 5 ms each.
pub fn simple(more_world: &str) -> Plan {
    let calm = "load: {rate: {constant: 50}}\nnodes: {work: {service_ms: {constant: 5}}}\n";
    plan(line(&["in", "work", "out"]), world(&format!("{calm}{more_world}")))
}

pub fn begin(plan: Plan) -> Arc<Sim> {
    Sim::new(plan).unwrap_or_else(|unsound| panic!("{unsound}"))
}

pub async fn pass(seconds: f64) {
    tokio::time::advance(Duration::from_secs_f64(seconds)).await;
}

pub async fn see(sim: &Sim) -> Observation {
    sim.observe().await.unwrap()
}

pub async fn act(sim: &Sim, action: Action) -> Result<(), ApplyError> {
    sim.apply(&action).await
}

pub fn number(seen: &Observation, node: &str, metric: &str) -> f64 {
    seen.nodes.number(seen.nodes.find(node).unwrap(), metric)
}

pub fn status(seen: &Observation, node: &str) -> NodeStatus {
    seen.nodes.statuses[seen.nodes.find(node).unwrap()]
}

pub fn truth(sim: &Sim, node: &str) -> NodeTruth {
    sim.truth().node(node).unwrap().clone()
}

pub fn scale(node: &str, replicas: u32) -> Action {
    Action::ScaleNode { node: node.into(), replicas }
}

pub fn restart(node: &str) -> Action {
    Action::RestartProcess { node: node.into() }
}

pub fn buffer(node: &str, capacity: u32) -> Action {
    Action::AdjustBuffering { node: node.into(), capacity }
}

pub fn replace(node: &str, by: &str) -> Action {
    Action::ReplaceNode { node: node.into(), node_type: by.into(), config: None }
}

pub fn assert_whole(sim: &Sim) {
    let account = sim.account();
    assert!(account.balances(), "{account:?}");
    assert!(sim.is_whole(), "a piece is nowhere: {account:?}");
}
