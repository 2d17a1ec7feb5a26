#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench"
)]
//! What a whole tick costs: sandboxed judges beside the same judges in plain Rust, in turn, in one run. The journal is
//! left out. `cargo bench -p flyball --bench tick`

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_control::{Controller, LoopOptions};
use flyball_model::Ending;
use flyball_ports::{Panel, SystemClock};
use support::{Always, NoJournal, NoListener, Synthetic, plain, sandboxed};

const ROUNDS: usize = 400;

fn controller(panel: &Arc<Panel>, nodes: usize, floods_at: u64) -> Controller {
    Controller::new(
        Arc::new(Synthetic::new("bench".to_owned(), nodes, floods_at)),
        Arc::new(Always(panel.clone())),
        Arc::new(NoJournal),
        Arc::new(SystemClock),
        Arc::new(NoListener),
        LoopOptions {
            interval: Duration::from_secs(1),
            answer_within: Duration::from_secs(5),
            dry_run: false,
        },
    )
}

/// Median of the time of a tick on which nothing is found, after the window has filled.
async fn quiet(panel: &Arc<Panel>, nodes: usize) -> Duration {
    let controller = controller(panel, nodes, u64::MAX);
    for _ in 0..40 {
        assert_eq!(controller.tick().await.ending, Ending::Quiet);
    }
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let record = controller.tick().await;
        times.push(begun.elapsed());
        assert_eq!(record.ending, Ending::Quiet, "{record:?}");
    }
    median(times)
}

/// Median of the time of the tick that acts: finding, catalog, decision, host checks, three validators, apply.
async fn acting(panel: &Arc<Panel>, nodes: usize) -> Duration {
    let mut times = Vec::with_capacity(ROUNDS / 4);
    for _ in 0..ROUNDS / 4 {
        let controller = controller(panel, nodes, 4);
        let mut acted = false;
        for _ in 0..12 {
            let begun = Instant::now();
            let record = controller.tick().await;
            if record.ending == Ending::Acted {
                times.push(begun.elapsed());
                acted = true;
                break;
            }
            assert!(matches!(record.ending, Ending::Quiet), "{record:#?}");
        }
        assert!(acted, "a flooded node was never acted on");
    }
    median(times)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (plain, sandboxed) = (plain(2), sandboxed(2));
    println!("{:<8} {:>6} {:>14} {:>12} {:>8}   aim", "tick", "nodes", "sandboxed", "plain Rust", "ratio");
    let mut fifty = Duration::ZERO;
    for (nodes, aim) in [(10, None), (50, Some(30.0)), (500, None)] {
        // The sandboxed ticks stand between two rounds of plain ones, so that a machine that slows down shows in both.
        let (before, ours, after) = runtime.block_on(async {
            (quiet(&plain, nodes).await, quiet(&sandboxed, nodes).await, quiet(&plain, nodes).await)
        });
        let theirs = (before + after) / 2;
        row("quiet", nodes, ours, theirs, aim);
        if nodes == 50 {
            fifty = ours;
        }
        if nodes == 500 {
            println!(
                "         500 nodes cost {:.1} times 50; aim: at most 3",
                ours.as_secs_f64() / fifty.as_secs_f64()
            );
        }
    }
    for (nodes, aim) in [(50, Some(100.0)), (500, None)] {
        let (ours, theirs) =
            runtime.block_on(async { (acting(&sandboxed, nodes).await, acting(&plain, nodes).await) });
        row("acting", nodes, ours, theirs, aim);
    }
}

fn row(tick: &str, nodes: usize, sandboxed: Duration, plain: Duration, aim: Option<f64>) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!(
        "{tick:<8} {nodes:>6} {:>11.1} µs {:>9.1} µs {:>8.1}   {}",
        micros(sandboxed),
        micros(plain),
        sandboxed.as_secs_f64() / plain.as_secs_f64(),
        aim.map_or_else(String::new, |aim| format!(
            "{aim} µs: {}",
            if micros(sandboxed) <= aim { "met" } else { "missed" }
        ))
    );
}
