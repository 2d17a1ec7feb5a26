//! Items a second through five native nodes, beside the same five processors called in a plain loop.
//! `cargo bench -p flyball-pipeline`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_control::ports::DataPlane as _;
use flyball_model::{Manifest, NodeType};
use flyball_nodes::{Item, Processor, WasmNodes};
use flyball_pipeline::{BuiltinChild, Options, Parts, Pipeline};
use serde_json::{Value, json};

const ITEMS: u64 = 400_000;
const AIM: f64 = 200_000.0;
const ROUNDS: usize = 3;

struct NoWasm;

impl WasmNodes for NoWasm {
    fn types(&self) -> Vec<NodeType> {
        Vec::new()
    }

    fn worker(&self, node_type: &str, _: &Value) -> Result<Box<dyn Processor>, String> {
        Err(format!("no {node_type} here"))
    }
}

fn nodes() -> [(&'static str, Value); 5] {
    [
        ("parse-json", json!({})),
        ("filter", json!({"field": "level", "not_equals": "debug"})),
        ("map", json!({"template": {"text": "{{text}}", "n": "{{n}}"}})),
        ("regex-extract", json!({"pattern": "(?P<user>u[0-9]+) took", "field": "text"})),
        ("tokenise", json!({"field": "text"})),
    ]
}

fn body() -> Value {
    json!(r#"{"n": 7, "level": "info", "text": "request of u17 took 35 ms"}"#)
}

async fn plain() -> f64 {
    let mut processors: Vec<_> =
        nodes().iter().map(|(name, config)| flyball_nodes::native(name, config).unwrap()).collect();
    let began = Instant::now();
    let mut delivered = 0;
    for first in (0..ITEMS).step_by(64) {
        let mut items: Vec<Item> =
            (first..(first + 64).min(ITEMS)).map(|id| Item { id, body: body() }).collect();
        for processor in &mut processors {
            let answers = processor.process(&items).await;
            items = items
                .iter()
                .zip(answers)
                .flat_map(|(item, answer)| {
                    answer.unwrap().into_iter().map(|body| Item { id: item.id, body }).collect::<Vec<_>>()
                })
                .collect();
        }
        delivered += items.len() as u64;
    }
    assert_eq!(delivered, ITEMS);
    ITEMS as f64 / began.elapsed().as_secs_f64()
}

fn manifest(keep_order: bool) -> Manifest {
    let mut all = vec![
        json!({"id": "source", "type": "generate", "params": {"per_second": 0, "limit": ITEMS, "body": body()}}),
    ];
    let mut connections = Vec::new();
    let mut last = "source";
    for (name, config) in &nodes() {
        all.push(json!({"id": name, "type": name, "queue_capacity": 1024, "params": config}));
        connections.push(json!({"from": last, "to": name}));
        last = name;
    }
    all.push(json!({"id": "out", "type": "discard", "queue_capacity": 1024}));
    connections.push(json!({"from": last, "to": "out"}));
    let manifest =
        json!({"name": "bench", "keep_order": keep_order, "nodes": all, "connections": connections});
    serde_json::from_value(manifest).unwrap()
}

async fn piped(keep_order: bool) -> (f64, Duration) {
    let parts = Parts {
        wasm: Arc::new(NoWasm),
        builtin_child: BuiltinChild { program: "none".into(), args: Vec::new() },
        dead_letters: None,
        options: Options::default(),
    };
    let began = Instant::now();
    let pipeline = Pipeline::start(manifest(keep_order), parts).await.unwrap();
    pipeline.finished().await;
    let rate = ITEMS as f64 / began.elapsed().as_secs_f64();
    let account = pipeline.account();
    assert!(
        account.balances() && account.delivered == ITEMS,
        "{account:?} {:?}",
        pipeline.observe().await.unwrap().errors
    );
    let mut best = Duration::MAX;
    for _ in 0..1_000 {
        let began = Instant::now();
        std::hint::black_box(pipeline.observe().await.unwrap());
        best = best.min(began.elapsed());
    }
    (rate, best)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("{ITEMS} items through {}", nodes().map(|(name, _)| name).join(" → "));
    let (mut loops, mut piped_rates, mut ordered, mut observing) = (0f64, 0f64, 0f64, Duration::MAX);
    for _ in 0..ROUNDS {
        loops = loops.max(runtime.block_on(async { tokio::spawn(plain()).await.unwrap() }));
        let (rate, seen) = runtime.block_on(async { tokio::spawn(piped(false)).await.unwrap() });
        piped_rates = piped_rates.max(rate);
        observing = observing.min(seen);
        ordered = ordered.max(runtime.block_on(async { tokio::spawn(piped(true)).await.unwrap() }).0);
    }
    println!("plain loop, one core     {loops:>10.0} items/s   (baseline: the same processors)");
    for (name, rate) in [("pipeline", piped_rates), ("pipeline, keep_order", ordered)] {
        println!(
            "{name:<24} {rate:>10.0} items/s   aim {AIM:.0}, {:.2} of it; {:.2} of the loop",
            rate / AIM,
            rate / loops
        );
    }
    println!("observing its 7 nodes    {observing:>10.1?}");
}
