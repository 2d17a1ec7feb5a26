#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench"
)]
#![allow(dead_code, reason = "the acting half of the support is for the other bench")]
//! Many sessions of 50 nodes at 1 Hz on one thread, with the default plugins: processor time, memory, lateness of a tick.
//! `cargo bench -p flyball --bench sessions [-- SESSIONS SECONDS]`

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_control::{Controller, LoopOptions, Sessions};
use flyball_model::{ActionRecord, Outcome, TickRecord};
use flyball_ports::{Listener, SystemClock};
use parking_lot::Mutex;
use support::{Always, NoJournal, Synthetic, sandboxed};

const NODES: usize = 50;

/// A tick's number, and when it began, in seconds.
type Began = (u64, f64);

/// When each tick of each session began.
struct Times {
    origin: Instant,
    begun: Mutex<HashMap<Arc<str>, Vec<Began>>>,
}

impl Listener for Times {
    fn tick(&self, record: &Arc<TickRecord>) {
        let at = self.origin.elapsed().as_secs_f64() - record.took_ns as f64 / 1e9;
        self.begun.lock().entry(record.session.clone()).or_default().push((record.tick, at));
    }

    fn concluded(&self, _: &ActionRecord, _: Outcome) {}
}

impl Times {
    /// How much later than its own schedule each tick began, in milliseconds, sorted. A session's schedule is the line
    /// of one tick a second that none of its ticks is ahead of; a tick that was skipped shows as a second of lateness.
    fn lateness(&self) -> Vec<f64> {
        let mut late = Vec::new();
        for ticks in self.begun.lock().values() {
            let due = |(tick, at): &Began| at - *tick as f64;
            let schedule = ticks.iter().map(due).fold(f64::INFINITY, f64::min);
            late.extend(ticks.iter().map(|tick| (due(tick) - schedule) * 1e3));
        }
        late.sort_by(f64::total_cmp);
        late
    }
}

fn main() {
    let arguments: Vec<usize> =
        std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let seconds = arguments.get(1).copied().unwrap_or(20);
    let counts = arguments.first().map_or_else(|| vec![1_000, 10_000], |count| vec![*count]);
    println!(
        "{:>9} {:>9} {:>12} {:>12} {:>14}   aim",
        "sessions", "ticks", "processor", "memory", "lateness p99"
    );
    for count in counts {
        measure(count, seconds);
    }
}

fn measure(count: usize, seconds: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let times = Arc::new(Times { origin: Instant::now(), begun: Mutex::default() });
    let memory_before = memory_mb();
    let panel = Arc::new(Always(sandboxed(1)));
    let sessions = Sessions::new();
    let (used, elapsed) = runtime.block_on(async {
        for number in 0..count {
            let plane = Synthetic::new(format!("session-{number}"), NODES, u64::MAX);
            let controller = Controller::new(
                Arc::new(plane),
                panel.clone(),
                Arc::new(NoJournal),
                Arc::new(SystemClock),
                times.clone(),
                LoopOptions { interval: Duration::from_secs(1), ..LoopOptions::default() },
            );
            sessions.start(Arc::new(controller)).unwrap();
        }
        // The first ticks of each session, while the others are still being made, are not what is measured.
        tokio::time::sleep(Duration::from_secs(2)).await;
        times.begun.lock().clear();
        let (used, begun) = (processor_seconds(), Instant::now());
        tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
        (processor_seconds() - used, begun.elapsed().as_secs_f64())
    });
    let late = times.lateness();
    let p99 = late[late.len() * 99 / 100];
    println!(
        "{count:>9} {:>9} {:>10.0} % {:>9.0} MB {:>11.1} ms   {}",
        late.len(),
        100.0 * used / elapsed,
        memory_mb() - memory_before,
        p99,
        if count == 10_000 {
            format!(
                "100 % of one core, 50 ms: {}",
                if used <= elapsed && p99 <= 50.0 { "met" } else { "missed" }
            )
        } else {
            String::new()
        }
    );
    runtime.block_on(sessions.stop_all());
}

/// User and system time of this process (proc(5), stat, fields 14 and 15; a tick of the clock is 10 ms on Linux).
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
