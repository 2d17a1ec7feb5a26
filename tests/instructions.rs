#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test"
)]
//! How many instructions a tick of the loop takes, as a test builds it: time is noise on a busy machine, and a count is the same each time.
//! What changes it by more than a tenth is noticed here, and either mended or written down. It needs valgrind, and says so where
//! there is none.

#[path = "../host/cli/benches/support/mod.rs"]
#[allow(dead_code, reason = "a part of it is for the benches")]
mod support;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use flyball_control::{Controller, LoopOptions};
use flyball_model::Ending;
use flyball_ports::{Panel, SystemClock};
use support::{Always, NoJournal, NoListener, Synthetic, plain};

/// Of 50 nodes, two heuristics in plain Rust.
const QUIET: u64 = 470_000;
/// From the session's beginning to the tick that acts: three ticks before it, deciders, three validators, no journal.
const ACTING: u64 = 10_900_000;
const MARGIN: f64 = 0.1;

/// What the counted process is to do.
const WHAT: &str = "FLYBALL_TICKS";

const NODES: usize = 50;

fn controller(panel: &Arc<Panel>, floods_at: u64) -> Controller {
    Controller::new(
        Arc::new(Synthetic::new("counted".to_owned(), NODES, floods_at)),
        Arc::new(Always(Arc::clone(panel))),
        Arc::new(NoJournal),
        Arc::new(SystemClock),
        Arc::new(NoListener),
        LoopOptions { answer_within: Duration::from_secs(600), ..LoopOptions::default() },
    )
}

async fn quiet(panel: &Arc<Panel>, count: usize) {
    let controller = controller(panel, u64::MAX);
    for _ in 0..count {
        assert_eq!(controller.tick().await.ending, Ending::Quiet);
    }
}

/// Each in a session of its own, on its fourth tick or so.
async fn acting(panel: &Arc<Panel>, count: usize) {
    for _ in 0..count {
        let controller = controller(panel, 4);
        while controller.tick().await.ending != Ending::Acted {}
    }
}

/// What the other test has counted, in a process of its own.
#[test]
#[ignore = "it is what the other test counts"]
fn ticks() {
    let what = std::env::var(WHAT).unwrap();
    let (what, count) = what.split_once(' ').unwrap();
    let (panel, count) = (plain(2), count.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match what {
            "quiet" => quiet(&panel, count).await,
            _ => acting(&panel, count).await,
        }
    });
}

/// None: the valgrind that is here cannot run the program, such as one that knows neither its debug information nor the processor.
fn instructions(what: &str, count: u32) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "ticks", "--ignored", "--test-threads=1"])
        .env(WHAT, format!("{what} {count}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let Some((_, collected)) = collected else {
        println!("skipped: valgrind cannot run the program here: {said}");
        return None;
    };
    assert!(output.status.success(), "{said}");
    Some(collected.trim().parse().unwrap())
}

/// What one more costs, without what the program's start costs.
fn each(what: &str, few: u32, many: u32) -> Option<u64> {
    Some((instructions(what, many)? - instructions(what, few)?) / u64::from(many - few))
}

fn holds(what: &str, counted: u64, written: u64) {
    println!("{what}: {counted} instructions, {written} written down");
    let changed = counted as f64 / written as f64 - 1.0;
    assert!(
        changed.abs() <= MARGIN,
        "{what} takes {counted} instructions, {:+.0} % of the {written} that are written down: mend it, or write {counted} here and \
         say why",
        changed * 100.0
    );
}

#[test]
fn a_tick_takes_as_many_instructions_as_before() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: there is no valgrind here to count instructions with");
        return;
    }
    let (quiet, acting) = (each("quiet", 50, 250), each("acting", 10, 40));
    if let (Some(quiet), Some(acting)) = (quiet, acting) {
        holds("a quiet tick", quiet, QUIET);
        holds("an acting tick", acting, ACTING);
    }
}
