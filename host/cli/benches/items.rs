//! Items a second through five nodes, all native and with one of them a component, beside the same five processors called
//! in a plain loop. `cargo bench -p flyball --bench items`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_engine::{Engine, EngineOptions, Library, LibraryOptions, PolicySource};
use flyball_host::LibraryNodes;
use flyball_model::Manifest;
use flyball_nodes::{Item, ItemLimits};
use flyball_pipeline::{Pipeline, PipelineInputs, PipelineOptions};
use flyball_ports::DataPlane as _;
use serde_json::{Value, json};

const ITEMS: u64 = 400_000;
const ROUNDS: usize = 3;

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
    let mut processors: Vec<_> = nodes()
        .iter()
        .map(|(name, config)| flyball_nodes::native(name, config, &ItemLimits::default()).unwrap())
        .collect();
    let began = Instant::now();
    let mut delivered = 0;
    for first in (0..ITEMS).step_by(64) {
        let mut items: Vec<Item> =
            (first..(first + 64).min(ITEMS)).map(|id| Item { id, body: body().into() }).collect();
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

/// How the five are run.
#[derive(Clone, Copy, Default)]
struct Variant {
    keep_order: bool,
    /// The last of the five is a component.
    wasm: bool,
}

fn manifest(variant: Variant) -> Manifest {
    let mut all = vec![
        json!({"id": "source", "type": "generate", "params": {"per_second": 0, "limit": ITEMS, "body": body()}}),
    ];
    let mut connections = Vec::new();
    let mut last = "source";
    for (name, config) in &nodes() {
        let executor = if variant.wasm && *name == "tokenise" { "wasm" } else { "native" };
        all.push(json!({
            "id": name, "type": name, "executor": executor, "queue_capacity": 1024, "params": config
        }));
        connections.push(json!({"from": last, "to": name}));
        last = name;
    }
    all.push(json!({"id": "out", "type": "discard", "queue_capacity": 1024}));
    connections.push(json!({"from": last, "to": "out"}));
    let manifest =
        json!({"name": "bench", "keep_order": variant.keep_order, "nodes": all, "connections": connections});
    serde_json::from_value(manifest).unwrap()
}

async fn piped(library: Arc<Library>, variant: Variant) -> (f64, Duration) {
    let parts = PipelineInputs {
        wasm: Arc::new(LibraryNodes { library, session: "items".to_owned() }),
        builtin_child: None,
        dead_letters: None,
        options: PipelineOptions::default(),
    };
    let began = Instant::now();
    let pipeline = Pipeline::start(manifest(variant), parts).await.unwrap();
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

fn library() -> Arc<Library> {
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let first_party =
        flyball_first_party::ALL.iter().map(|plugin| (plugin.name.to_owned(), plugin.wasm.into())).collect();
    let options = LibraryOptions {
        engine,
        first_party,
        plugins_dir: None,
        policies: PolicySource::Text(Vec::new()),
        versions: None,
    };
    Library::open(options).unwrap()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let library = library();
    println!("{ITEMS} items through {}", nodes().map(|(name, _)| name).join(" → "));
    let variants = [
        ("native", 200_000.0, Variant::default()),
        ("native, keep_order", 200_000.0, Variant { keep_order: true, ..Variant::default() }),
        ("tokenise as a component", 100_000.0, Variant { wasm: true, ..Variant::default() }),
    ];
    let (mut loops, mut rates, mut observing) = (0f64, [0f64; 3], Duration::MAX);
    for _ in 0..ROUNDS {
        loops = loops.max(runtime.block_on(async { tokio::spawn(plain()).await.unwrap() }));
        for (best, (_, _, variant)) in rates.iter_mut().zip(variants) {
            let piping = piped(library.clone(), variant);
            let (rate, seen) = runtime.block_on(async { tokio::spawn(piping).await.unwrap() });
            *best = best.max(rate);
            observing = observing.min(seen);
        }
    }
    println!("{:<26} {loops:>10.0} items/s   the same processors, one core", "plain loop");
    for ((name, aim, _), rate) in variants.iter().zip(rates) {
        println!(
            "{name:<26} {rate:>10.0} items/s   {:.2} of the loop; aim {aim:.0}: {}",
            rate / loops,
            if rate >= *aim { "met" } else { "missed" }
        );
    }
    println!("observing its 7 nodes      {observing:>10.1?}");
}
