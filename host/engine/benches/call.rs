#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    dead_code,
    reason = "a bench"
)]
//! What the engine adds to a call: each first-party plugin called by the engine, and called by the least that wasmtime asks
//! for (the same component, the same allocator, epochs, fuel and memory limit, a fresh store and instance), in turns.
//! `cargo bench -p flyball-engine --bench call [-- ROUNDS]`

mod bare;
#[path = "../tests/engine/sights.rs"]
mod sights;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bare::Bare;
use flyball_engine::{Engine, EngineOptions, PluginJudge};
use flyball_model::{Action, Graph, Limits, PluginUse, Proposal};
use flyball_ports::{Catalog, Decider, Heuristic, Reverser, Sight, Situation, Validator};
use tokio::runtime::Runtime;

/// Calls in a row, of which the mean counts.
const CALLS: u32 = 200;

fn main() {
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(40);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!(
        "{:<22} {:>6} {:>12} {:>12} {:>8}   aim at most 1.15",
        "plugin", "nodes", "wasmtime µs", "engine µs", "ratio"
    );
    for nodes in [10, 50, 500] {
        compare(&runtime, rounds, "threshold-heuristic", nodes);
    }
    for plugin in ["rule-decider", "mutation-policy", "standard-reverser", "static-catalog", "tokenise"] {
        for nodes in [10, 50, 500] {
            compare(&runtime, rounds, plugin, nodes);
        }
    }
}

fn compare(runtime: &Runtime, rounds: usize, name: &str, nodes: usize) {
    let wasm = flyball_first_party::find(name).unwrap().wasm;
    let asked = Asked::new(nodes);
    let bare = Bare::new(name, wasm, &asked.sight, &asked.graph);
    let judge = judge(name, wasm);
    // The first call is made elsewhere, to see whether the plugin is quick.
    ours(runtime, &judge, name, &asked, 1);
    let (mut theirs_us, mut ours_us) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        theirs_us.push(timed(|| (0..CALLS).for_each(|_| bare.call(name, &asked))));
        ours_us.push(timed(|| ours(runtime, &judge, name, &asked, CALLS)));
    }
    let (theirs, ours) = (median(theirs_us), median(ours_us));
    let ratio = ours / theirs;
    let mut verdict = if ratio <= 1.15 { "met" } else { "missed" }.to_owned();
    if name == "threshold-heuristic" && nodes == 50 {
        verdict.push_str(if ours <= 8.0 { "; 8 µs: met" } else { "; 8 µs: missed" });
    }
    println!("{name:<22} {nodes:>6} {theirs:>12.2} {ours:>12.2} {ratio:>8.2}   {verdict}");
}

fn timed(calls: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    calls();
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn judge(name: &str, wasm: &[u8]) -> PluginJudge {
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let plugin = Arc::new(engine.load(wasm).unwrap());
    let used = PluginUse {
        plugin: name.to_owned(),
        settings: Default::default(),
        // Within 50 ms a decider is asked on the spot.
        limits: Limits { time_ms: 50, ..Limits::default() },
        grants: Default::default(),
        on_failure: Default::default(),
    };
    PluginJudge::new(plugin, &used, 1).unwrap()
}

fn ours(runtime: &Runtime, judge: &PluginJudge, name: &str, asked: &Asked, calls: u32) {
    let Asked { sight, situation, proposal, action, graph, items } = asked;
    runtime.block_on(async {
        for _ in 0..calls {
            match name {
                "threshold-heuristic" => drop(black_box(judge.assess(sight).await.unwrap())),
                "rule-decider" => drop(black_box(judge.decide(sight, situation).await.unwrap())),
                "mutation-policy" => {
                    drop(black_box(judge.review(sight, proposal, "rule-decider", situation).await.unwrap()));
                }
                "standard-reverser" => drop(black_box(judge.reverse(action, graph, graph).await.unwrap())),
                "static-catalog" => drop(black_box(judge.list().await.unwrap())),
                _ => drop(black_box(judge.process(items).unwrap())),
            }
        }
    });
}

/// What every plugin is asked, of so many nodes.
pub struct Asked {
    sight: Sight,
    situation: Situation,
    proposal: Proposal,
    action: Action,
    graph: Arc<Graph>,
    items: Vec<(u64, Vec<u8>)>,
}

impl Asked {
    fn new(nodes: usize) -> Self {
        let proposal = sights::proposal();
        Self {
            sight: sights::sight(nodes, 1),
            situation: sights::situation(nodes),
            action: proposal.action.clone(),
            proposal,
            graph: sights::graph(nodes).into(),
            items: (0..nodes as u64).map(|id| (id, br#"{"text":"one two three"}"#.to_vec())).collect(),
        }
    }
}
