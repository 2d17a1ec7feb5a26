#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench"
)]
#![allow(dead_code, reason = "a part of the support is for the other benches")]
//! What a tick costs in a host as it is shipped: its policy, plugins, catalogs, listeners, event log, quiet ticks, recordings and journal,
//! over a pipeline whose nodes have schemas. `loop` is the processor time of the thread that ticks; the wall time beside it holds what the
//! tick waits for, which is the disk where it acts. `cargo bench -p flyball --bench shipped`

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_host::{Host, Session, Threads};
use flyball_model::{ControllerSection, Ending};
use nix::time::{ClockId, clock_gettime};
use support::Synthetic;

const QUIET: usize = 2_000;
const ACTING: usize = 100;

const POLICY: &str = "name: bench
mutation_policy: optimize
cooldown_ms: 0
breaker: { max_actions: 1000, window_ms: 1000 }
history: 30
# Each session has the same fault, one after the other.
safety: { systemic: { sessions: 100000 } }
judges:
  heuristics: [{ plugin: threshold-heuristic }]
  catalogs: [{ plugin: static-catalog }]
  deciders: [{ plugin: rule-decider, limits: { time_ms: 50 } }]
  validators: [{ plugin: mutation-policy }, { plugin: protected-nodes }, { plugin: no-oscillation }]
  reversers: [{ plugin: standard-reverser }]
";

/// One tick's wall time, and the processor time of its thread.
type Took = (Duration, Duration);

fn own_processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

async fn timed(session: &Session) -> (Took, Ending) {
    let (begun, used) = (Instant::now(), own_processor_time());
    let record = session.controller().tick().await;
    ((begun.elapsed(), own_processor_time() - used), record.ending)
}

fn medians(mut took: Vec<Took>) -> Took {
    let middle = took.len() / 2;
    took.sort_by_key(|(wall, _)| *wall);
    let wall = took[middle].0;
    took.sort_by_key(|(_, used)| *used);
    (wall, took[middle].1)
}

async fn quiet(host: &Host, nodes: usize) -> Took {
    let plane = Synthetic::new(format!("quiet-{nodes}"), nodes, u64::MAX);
    let session = host.add_plane(Arc::new(plane), ControllerSection::default()).await.unwrap();
    for _ in 0..40 {
        timed(&session).await;
    }
    let mut took = Vec::with_capacity(QUIET);
    for _ in 0..QUIET {
        let (tick, ending) = timed(&session).await;
        assert_eq!(ending, Ending::Quiet);
        took.push(tick);
    }
    medians(took)
}

async fn acting(host: &Host, nodes: usize) -> Took {
    let mut took = Vec::with_capacity(ACTING);
    for number in 0..ACTING {
        let plane = Synthetic::new(format!("acting-{nodes}-{number}"), nodes, 4);
        let session = host.add_plane(Arc::new(plane), ControllerSection::default()).await.unwrap();
        for tick in 0.. {
            let (this, ending) = timed(&session).await;
            if ending == Ending::Acted {
                took.push(this);
                break;
            }
            assert!(tick < 20, "a flooded node was never acted on: {ending:?}");
        }
        host.remove(session.name()).await.unwrap();
    }
    medians(took)
}

fn row(what: &str, nodes: usize, (wall, used): Took) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!("{what:<8} {nodes:>6} {:>11.1} µs {:>11.1} µs", micros(wall), micros(used));
}

fn main() {
    let state = tempfile::tempdir().unwrap();
    let policies = state.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(policies.join("bench.yaml"), POLICY).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let host = Host::builder(state.path().join("state"))
            .policies(&policies)
            .watch(false)
            .ticks_by_hand(true)
            .answer_within(Duration::from_secs(5))
            .start(&Threads::here().unwrap())
            .await
            .unwrap();
        println!("{:<8} {:>6} {:>14} {:>14}", "tick", "nodes", "wall", "loop");
        for nodes in [50, 500] {
            row("quiet", nodes, quiet(&host, nodes).await);
        }
        for nodes in [50, 500] {
            row("acting", nodes, acting(&host, nodes).await);
        }
        host.stop().await;
    });
}
