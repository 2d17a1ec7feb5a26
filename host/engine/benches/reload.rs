#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    dead_code,
    reason = "a bench"
)]
//! From the moment a plugin's file is whole to the moment its new version serves, with 1, 20 and 200 plugins in use and
//! a session that ticks on meanwhile. A hit finds the compiled form in the cache; a miss compiles. The library waits 100 ms
//! for a change to be over; that is shown apart.
//! `cargo bench -p flyball-engine --bench reload [-- RELOADS]`

#[path = "../tests/engine/guests.rs"]
mod guests;
#[path = "../tests/engine/sights.rs"]
mod sights;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flyball_engine::{Engine, EngineOptions, Library, LibraryOptions, PolicySource, Versions};
use flyball_ports::Judges;

/// What the library waits for after the last change.
const DEBOUNCE_MS: f64 = 100.0;

fn main() {
    let reloads = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10);
    println!(
        "{:>8} {:>6} {:>22} {:>16} {:>22}   aim",
        "plugins", "cache", "to serving, median ms", "after debounce", "longest tick ms, quiet"
    );
    for plugins in [1, 20, 200] {
        let place = Place::new(plugins);
        for hit in [true, false] {
            place.measure(plugins, hit, reloads);
        }
    }
}

struct Place {
    folder: tempfile::TempDir,
    library: Arc<Library>,
}

fn version(number: usize) -> Vec<u8> {
    guests::guest("p0", &format!("1.0.{number}"), "")
}

fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let beside = folder.join("beside");
    std::fs::write(&beside, bytes).unwrap();
    std::fs::rename(beside, folder.join("plugins").join(name)).unwrap();
}

impl Place {
    fn new(plugins: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        let mut policy = "name: main\njudges:\n  heuristics:\n".to_owned();
        for number in 0..plugins {
            let name = format!("p{number}");
            put(folder.path(), &format!("{name}.wasm"), &guests::guest(&name, "1.0.0", ""));
            policy.push_str(&format!("    - plugin: {name}\n"));
        }
        std::fs::write(folder.path().join("policies/main.yaml"), policy).unwrap();
        let cache_dir = Some(folder.path().join("compiled"));
        let library = Library::open(LibraryOptions {
            engine: Engine::new(EngineOptions { cache_dir, ..EngineOptions::default() }).unwrap(),
            first_party: Vec::new(),
            plugins_dir: Some(folder.path().join("plugins")),
            policies: PolicySource::Dir(folder.path().join("policies")),
            versions: Some(Versions::open(&folder.path().join("versions")).unwrap()),
        })
        .unwrap();
        library.register("main", Default::default());
        library.watch().unwrap();
        Self { folder, library }
    }

    fn measure(&self, plugins: usize, hit: bool, reloads: usize) {
        let quiet = self.ticking(|| std::thread::sleep(Duration::from_secs(2))).1;
        // Both versions of the hit are compiled before they count.
        let number = |reload: usize| if hit { 1 + reload % 2 } else { 1_000 + reload };
        for reload in 0..2 {
            self.serve(&version(number(reload + 10_000)));
        }
        let (mut times, longest) = self.ticking(|| {
            (0..reloads).map(|reload| self.serve(&version(number(reload)))).collect::<Vec<f64>>()
        });
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        let after = median - DEBOUNCE_MS;
        let aim = match hit {
            true if after <= 50.0 => "50 ms: met",
            true => "50 ms: missed",
            false => "",
        };
        let cache = if hit { "hit" } else { "miss" };
        println!(
            "{plugins:>8} {cache:>6} {median:>22.1} {after:>16.1} {longest:>14.2}, {quiet:>6.2}   {aim}"
        );
    }

    /// How long it took until these bytes served, in milliseconds.
    fn serve(&self, bytes: &[u8]) -> f64 {
        let before = self.library.generation();
        put(self.folder.path(), "p0.wasm", bytes);
        let begun = Instant::now();
        while self.library.generation() == before {
            assert!(begun.elapsed() < Duration::from_secs(30), "it never serves");
            std::thread::sleep(Duration::from_micros(200));
        }
        begun.elapsed().as_secs_f64() * 1e3
    }

    /// Does it while a session ticks, and tells the longest tick, in milliseconds.
    fn ticking<T>(&self, doing: impl FnOnce() -> T) -> (T, f64) {
        let (over, longest) = (AtomicBool::new(false), AtomicU64::new(0));
        let done = std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let sight = sights::sight(50, 1);
                while !over.load(Ordering::Relaxed) {
                    let panel = self.library.panel("main").unwrap();
                    let begun = Instant::now();
                    for heuristic in &panel.heuristics {
                        runtime.block_on(heuristic.assess(&sight)).unwrap();
                    }
                    longest.fetch_max(begun.elapsed().as_micros() as u64, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            let done = doing();
            over.store(true, Ordering::Relaxed);
            done
        });
        (done, longest.load(Ordering::Relaxed) as f64 / 1e3)
    }
}
