#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench"
)]
#![allow(dead_code, unused_imports, reason = "most of the support is for other benches and tests")]
//! What a session whose plugin runs into its time limit at every tick does to the ticks of the sessions beside it, and what
//! pipelines do whose nodes loop: their time from observation to record, with the neighbour and without, in turns.
//! `cargo bench -p flyball-engine --bench neighbours [-- SESSIONS ROUNDS]`

#[path = "../tests/engine/guests.rs"]
mod guests;
#[path = "../../cli/benches/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use flyball_control::{Controller, LoopOptions, Sessions};
use flyball_engine::{Library, LibraryOptions, Plugin, PluginJudge, PolicySource};
use flyball_model::{ActionRecord, Assessment, Limits, Outcome, PluginId, PluginUse, TickRecord};
use flyball_ports::{
    Heuristic, Judge as Port, JudgeError, Judged, Judges, Listener, Panel, Sight, SystemClock,
};
use parking_lot::Mutex;
use support::{Always, NoJournal, Synthetic, sandboxed};

const NODES: usize = 50;
const ROUND: Duration = Duration::from_secs(3);
const INTERVAL: Duration = Duration::from_millis(20);

/// How long each tick took, in milliseconds.
#[derive(Default)]
struct Took(Mutex<Vec<f64>>);

impl Listener for Took {
    fn tick(&self, record: &Arc<TickRecord>) {
        if record.tick > 1 && &*record.session != "hostile" {
            self.0.lock().push(record.took_ns as f64 / 1e6);
        }
    }

    fn concluded(&self, _: &ActionRecord, _: Outcome) {}
}

fn main() {
    let arguments: Vec<usize> =
        std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let sessions = arguments.first().copied().unwrap_or(50);
    let rounds = arguments.get(1).copied().unwrap_or(4);
    let (mut alone, mut beside, mut busy) = (Vec::new(), Vec::new(), Vec::new());
    let (mut nodes, mut threads) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        alone.extend(round(sessions, Neighbour::None));
        beside.extend(round(sessions, Neighbour::Endless));
        busy.extend(round(sessions, Neighbour::BusyThread));
        nodes.extend(round(sessions, Neighbour::LoopingNodes));
        threads.extend(round(sessions, Neighbour::BusyThreads));
    }
    let (alone, beside, busy) = (p99(alone), p99(beside), p99(busy));
    let (nodes, threads) = (p99(nodes), p99(threads));
    println!("{sessions} sessions of {NODES} nodes every {INTERVAL:?}, {rounds} rounds of {ROUND:?} each");
    println!("p99 of a tick alone                        {alone:>8.3} ms");
    println!("p99 of a tick beside one at its time limit {beside:>8.3} ms");
    println!("p99 of a tick beside a plain busy thread   {busy:>8.3} ms: what the machine does by itself");
    let ratio = beside / alone;
    println!("ratio {ratio:.2}   aim at most 2: {}", if ratio <= 2.0 { "met" } else { "missed" });
    println!("p99 of a tick beside {LOOPING} nodes that loop       {nodes:>8.3} ms");
    println!("p99 of a tick beside as many busy threads  {threads:>8.3} ms: what the machine does by itself");
    let ratio = nodes / threads;
    println!("ratio {ratio:.2}   aim at most 1.2: {}", if ratio <= 1.2 { "met" } else { "missed" });
}

fn p99(mut took: Vec<f64>) -> f64 {
    took.sort_by(f64::total_cmp);
    took[took.len() * 99 / 100]
}

#[derive(PartialEq)]
enum Neighbour {
    None,
    /// A session whose plugin is stopped after 15 of each 20 ms.
    Endless,
    /// A thread of nobody's that is busy for as long.
    BusyThread,
    /// Workers of nodes whose component loops until its time limit, without a pause.
    LoopingNodes,
    /// As many threads of nobody's as the pool of nodes has, busy all the time.
    BusyThreads,
}

/// How many workers loop.
const LOOPING: usize = 8;

/// What keeps nodes busy, until it is told.
struct Looping {
    _folder: tempfile::TempDir,
    library: Arc<Library>,
}

impl Looping {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let component = guests::node_guest("spin", "1.0.0", "(loop $again (br $again))");
        std::fs::write(folder.path().join("spin.wasm"), component).unwrap();
        let policy = flyball_documents::DocumentText::new("p.yaml", "name: p\njudges: {}\n");
        let library = Library::open(LibraryOptions {
            engine: guests::engine(),
            first_party: Vec::new(),
            plugins_dir: Some(folder.path().to_owned()),
            policies: PolicySource::Text(vec![policy]),
            versions: None,
        });
        Self { _folder: folder, library: library.unwrap() }
    }

    /// Each call is of a worker of its own, so that none is quarantined.
    async fn one(library: Arc<Library>, number: usize, over: Arc<AtomicBool>) {
        for call in 0.. {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let config = serde_json::json!({ "worker": number, "call": call });
            let mut worker = library.node_worker("looping", "spin", &config).unwrap();
            assert!(worker.process(vec![(1, b"{}".to_vec())]).await.is_err());
        }
    }
}

/// Busy for 15 ms and then for as long a pause, until it is told.
fn busy(over: &AtomicBool, pause: Duration) {
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(15) {
            std::hint::spin_loop();
        }
        std::thread::sleep(pause);
    }
}

fn round(count: usize, neighbour: Neighbour) -> Vec<f64> {
    let over = Arc::new(AtomicBool::new(false));
    let cores = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    let (threads, pause) = match neighbour {
        Neighbour::BusyThread => (1, Duration::from_millis(5)),
        Neighbour::BusyThreads => (cores, Duration::ZERO),
        _ => (0, Duration::ZERO),
    };
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || busy(&over, pause))
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let took = Arc::new(Took::default());
    let panel: Arc<dyn Judges> = Arc::new(Always(sandboxed(1)));
    let sessions = Sessions::new();
    runtime.block_on(async {
        let start = |name: String, judges: Arc<dyn Judges>| {
            let controller = Controller::new(
                Arc::new(Synthetic::new(name, NODES, u64::MAX)),
                judges,
                Arc::new(NoJournal),
                Arc::new(SystemClock),
                took.clone(),
                LoopOptions { interval: INTERVAL, ..LoopOptions::default() },
            );
            sessions.start(Arc::new(controller)).unwrap();
        };
        for number in 0..count {
            start(format!("session-{number}"), panel.clone());
        }
        if neighbour == Neighbour::Endless {
            start("hostile".to_owned(), Arc::new(Always(hostile())));
        }
        let looping = (neighbour == Neighbour::LoopingNodes).then(Looping::new);
        for number in 0..looping.as_ref().map_or(0, |_| LOOPING) {
            let library = Arc::clone(&looping.as_ref().unwrap().library);
            tokio::spawn(Looping::one(library, number, Arc::clone(&over)));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        took.0.lock().clear();
        tokio::time::sleep(ROUND).await;
        sessions.stop_all().await;
    });
    over.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    std::mem::take(&mut *took.0.lock())
}

/// Loops until it is stopped, at each tick: bound anew every time, it is never quarantined.
struct Endless {
    plugin: Arc<Plugin>,
    used: PluginUse,
}

impl Port for Endless {
    fn id(&self) -> &PluginId {
        self.plugin.id()
    }
}

#[async_trait]
impl Heuristic for Endless {
    async fn assess(&self, sight: &Sight) -> Result<Judged<Assessment>, JudgeError> {
        PluginJudge::new(Arc::clone(&self.plugin), &self.used, 1).expect("it may").assess(sight).await
    }
}

fn hostile() -> Arc<Panel> {
    let component = guests::guest("endless", "1.0.0", "(loop $again (br $again))");
    let plugin = Arc::new(guests::engine().load(&component).expect("it loads"));
    let limits = Limits { time_ms: 15, ..Limits::default() };
    let endless: Arc<dyn Heuristic> = Arc::new(Endless { plugin, used: guests::used("endless", limits) });
    let usual = sandboxed(1);
    Arc::new(Panel {
        generation: 1,
        policy: Arc::clone(&usual.policy),
        rules: usual.rules.clone(),
        heuristics: vec![endless],
        catalogs: Vec::new(),
        deciders: Vec::new(),
        shadows: Vec::new(),
        validators: Vec::new(),
        reversers: Vec::new(),
    })
}
