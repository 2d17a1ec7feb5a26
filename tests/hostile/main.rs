//! A host with a good plugin, into which one hostile component after another is put. Each folder beside this file is one:
//! what it is made of and `expect.txt`, which says what is told of it.
//!
//! | file | is |
//! |---|---|
//! | `imports.wat`, `memory.wat`, `realloc.wat`, `fields.wat`, `describe.wat`, `check-settings.wat`, `assess.wat`, `answer.wat`, `schema.json`, `version.txt` | a part that stands in the place of the good plugin's |
//! | `module.wat` | all of the core module instead |
//! | `component.wat` | all of the component instead |
//! | `bytes.txt` | how the file is made, by `recipes.rs` |
//! | `world.wit` | the world `guest`, when it is not `heuristic` |
//! | `kind.txt` | where the policy names it, when it is not under `heuristics` |
//! | `use.yaml` | how the policy uses it: limits, grants, settings |
//! | `expect.txt` | where it is told (`load`, `policy`, `call` or `answer`), then what, line by line |
//!
//! `$PORT` in them is the port of a server that takes what comes and never answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    dead_code,
    reason = "a test"
)]

#[path = "../../host/engine/tests/engine/guests.rs"]
mod guests;
mod host;
mod recipes;
mod scenario;
#[path = "../../host/engine/tests/engine/sights.rs"]
mod sights;

use std::time::{Duration, Instant};

use host::{Host, resident_mb};
use scenario::Scenario;

/// From the file's arrival to what is told of it, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// What compiling, caches of the allocator and the pool of instances may take in all.
const MOST_GROWTH_MB: u64 = 300;

#[test]
fn each_hostile_component_is_told_in_its_sentence_and_the_session_beside_it_misses_no_tick() {
    let mut scenarios = Scenario::all();
    assert!(scenarios.len() >= 25, "{}", scenarios.len());
    let host = Host::start();
    let before = resident_mb();
    let mut wrong = Vec::new();
    let only = std::env::var("FLYBALL_HOSTILE").unwrap_or_default();
    for scenario in scenarios.iter_mut().filter(|scenario| scenario.name.contains(&only)) {
        let begun = Instant::now();
        let told = host.face(scenario);
        let (took, holds) = (begun.elapsed(), resident_mb());
        println!("{}: {:.2} s, {holds} MB: {told:?}", scenario.name, took.as_secs_f64());
        if !scenario.expects(&told) {
            wrong.push(format!("{}\n  expected {:?}\n  told     {told:?}", scenario.name, scenario.expected));
        }
        if took > SOON {
            wrong.push(format!("{} took {:.1} s", scenario.name, took.as_secs_f64()));
        }
        if holds > before + MOST_GROWTH_MB {
            wrong.push(format!("after {} the host holds {holds} MB; it began with {before}", scenario.name));
        }
    }
    wrong.extend(host.end());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
