//! Whatever lies in a plugin directory is loaded or refused with a sentence, soon.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    dead_code,
    reason = "a test"
)]

#[path = "engine/guests.rs"]
mod guests;
#[path = "../fuzz/inputs.rs"]
mod inputs;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use arbitrary::Unstructured;
use flyball_engine::{Engine, EngineOptions};
use flyball_model::Limits;

/// How many files, when it is not the suite that asks.
const COUNT: &str = "FLYBALL_FILES";

/// Any longer for one file is a hang.
const SOON: Duration = Duration::from_secs(300);

/// SplitMix64: the same files on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect()
    }
}

/// What a refusal is called in the totals: its variant.
fn told(engine: &Engine, bytes: &[u8]) -> String {
    let Err(error) = engine.load(bytes) else { return "loaded".to_owned() };
    let said = error.to_string();
    assert!(!said.is_empty() && said.len() < 4_096, "{said}");
    assert!(!said.chars().any(|letter| letter.is_control() && letter != '\n'), "{said:?}");
    assert!(!said.contains("<wasm function"), "addresses tell nobody anything: {said}");
    let variant = format!("{error:?}");
    variant.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

#[test]
fn any_file_is_loaded_or_refused_with_a_sentence_and_soon() {
    let count = std::env::var(COUNT).map_or(1_000, |count| count.parse::<u64>().unwrap());
    let load_limits = Limits { time_ms: 50, ..Limits::default() };
    let engine = Engine::new(EngineOptions { load_limits, ..EngineOptions::default() }).unwrap();
    let mut whole = vec![guests::guest("whole", "1.0.0", "")];
    if count > 10_000 {
        // To compile one of these takes as long as a hundred of the other.
        whole.extend(flyball_first_party::ALL.iter().map(|plugin| plugin.wasm.to_vec()));
    }
    let whole = Arc::new(whole);
    let next = Arc::new(AtomicU64::new(0));
    let (tell, results) = channel();
    let workers: Vec<_> = (0..std::thread::available_parallelism().map_or(2, usize::from))
        .map(|_| {
            let (engine, whole, next, tell) = (engine.clone(), whole.clone(), next.clone(), tell.clone());
            std::thread::spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let mut random = Random(number);
                    // Now and then what is thought up does not end.
                    let file = std::iter::repeat_with(|| random.bytes(8_192))
                        .find_map(|bytes| inputs::file(&mut Unstructured::new(&bytes), &whole).ok())
                        .unwrap();
                    let begun = Instant::now();
                    let result =
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| told(&engine, &file)));
                    tell.send((number, begun.elapsed(), result.ok())).unwrap();
                }
            })
        })
        .collect();
    drop(tell);
    let (mut totals, mut longest) = (BTreeMap::<String, u64>::new(), (Duration::ZERO, 0));
    while next.load(Ordering::Relaxed) < count || workers.iter().any(|worker| !worker.is_finished()) {
        match results.recv_timeout(SOON) {
            Ok((number, took, result)) => {
                let result = result.unwrap_or_else(|| panic!("file {number} panics"));
                *totals.entry(result).or_default() += 1;
                longest = longest.max((took, number));
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
            Err(error) => panic!("{error}: one of the files before {} hangs", next.load(Ordering::Relaxed)),
        }
    }
    println!("{count} files: {totals:?}; the longest took {:?}, file {}", longest.0, longest.1);
    assert!(totals.len() > 5, "the files are too much alike: {totals:?}");
    assert!(totals.get("loaded").is_some_and(|loaded| *loaded > 0), "{totals:?}");
}
