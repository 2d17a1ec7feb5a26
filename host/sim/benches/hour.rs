#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]
//! An hour of a pipeline of 20 nodes, observed every second: how long it takes. `cargo bench -p flyball-sim`

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use flyball_model::{Executor, GraphSpec, NodeSpec};
use flyball_ports::DataPlane as _;
use flyball_sim::{FaultPlan, Load, Plan, Rate, Service, Sim, SimulatedWorld, Work};

const NODES: usize = 20;
const HOUR: u32 = 3_600;

fn main() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    println!("{:>12} {:>12} {:>14} {:>10}", "items/s", "looks", "attempts", "seconds");
    for rate in [10.0, 50.0, 200.0] {
        runtime.block_on(hour(rate));
    }
}

async fn hour(rate: f64) {
    let sim = Sim::new(plan(rate)).unwrap();
    let began = Instant::now();
    for _ in 0..HOUR {
        tokio::time::advance(Duration::from_secs(1)).await;
        std::hint::black_box(sim.observe().await.unwrap());
    }
    let took = began.elapsed().as_secs_f64();
    let attempts: u64 = sim.truth().nodes.iter().map(|node| node.finished + node.failed).sum();
    println!("{rate:>12} {HOUR:>12} {attempts:>14} {took:>10.2}");
}

/// A line of nodes with two workers each, three fifths busy.
fn plan(rate: f64) -> Plan {
    let nodes = (0..NODES).map(|number| NodeSpec {
        id: format!("n{number}"),
        node_type: if number == 0 {
            "in"
        } else if number + 1 == NODES {
            "out"
        } else {
            "work"
        }
        .to_owned(),
        executor: Executor::Native,
        config: serde_json::json!({}),
        replicas: if number == 0 { 1 } else { 2 },
        queue_capacity: 256,
        bypassed: false,
        optional: false,
    });
    let edges = (1..NODES).map(|number| (format!("n{}", number - 1), format!("n{number}")));
    let work = Work { service_ms: Service::LogNormal { mean: 1_200.0 / rate, cv: 1.0 }, ..Work::default() };
    Plan {
        session: "hour".to_owned(),
        graph: GraphSpec { nodes: nodes.collect(), edges: edges.collect() },
        retries: BTreeMap::new(),
        world: SimulatedWorld {
            otherwise: work,
            load: Load { rate: Rate::Constant(rate), ..Load::default() },
            ..SimulatedWorld::default()
        },
        faults: FaultPlan::default(),
        seed: 1,
        start: 0,
    }
}
