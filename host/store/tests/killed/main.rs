//! The host is killed with SIGKILL at each step of an action, again and again on one journal and one data plane that outlives
//! it. No fact is lost, nothing is done twice, and nothing is left half known.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod host;
mod plane;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use flyball_model::Outcome;
use flyball_ports::ActionFilter;
use flyball_store::Reader;
use plane::Kept;

/// Where a host of this test lives; set, this process is that host.
const HOME: &str = "FLYBALL_KILLED_HOME";
/// At which step it stops and waits to be killed.
const STEP: &str = "FLYBALL_KILLED_STEP";
/// What it says when it has come there.
const HERE: &str = "HERE";

/// Every step of an action and of its undo, as the journal and the data plane see them.
const STEPS: [&str; 8] = [
    "before intend",
    "after intend",
    "before apply",
    "after apply",
    "before conclude",
    "after conclude",
    "before record",
    "after tick",
];

/// So many kills at each.
const TIMES: usize = 30;

#[test]
fn a_host_that_is_killed_at_any_step_does_nothing_twice_and_leaves_nothing_half_known() {
    let home = tempfile::tempdir().unwrap();
    let mut kills = 0;
    for round in 0..TIMES {
        for step in STEPS {
            // What is there to be reconciled differs by how many actions went before.
            if killed_at(home.path(), &format!("{step} {}", 1 + round % 3)) {
                kills += 1;
            }
        }
        lives_again(home.path());
        check(home.path());
    }
    assert!(kills >= 200, "only {kills} of the kills came to be");
}

/// The host itself, where this process is one. Ignored: whoever runs the tests is not.
#[test]
#[ignore = "it is the host that the other test kills"]
fn host() {
    if let Ok(home) = std::env::var(HOME) {
        host::run(Path::new(&home), std::env::var(STEP).ok());
    }
}

fn start(home: &Path, step: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "host", "--nocapture"]).env(HOME, home).stdout(Stdio::piped());
    match step {
        Some(step) => command.env(STEP, step),
        None => command.env_remove(STEP),
    };
    command.spawn().unwrap()
}

/// Whether it came to the step; one that does not ends by itself.
fn killed_at(home: &Path, step: &str) -> bool {
    let mut host = start(home, Some(step));
    let lines = BufReader::new(host.stdout.take().unwrap()).lines().map_while(Result::ok);
    let came = lines.into_iter().any(|line| line.ends_with(HERE));
    host.kill().unwrap();
    host.wait().unwrap();
    came
}

fn lives_again(home: &Path) {
    let output = start(home, None).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn check(home: &Path) {
    let reader = Reader::open(home).unwrap();
    let mut faults = vec![];
    reader.verify(None, |fault| faults.push(fault.to_string())).unwrap();
    assert!(faults.is_empty(), "the journal does not verify: {faults:?}");
    let open = reader.open_intents().unwrap();
    assert!(open.is_empty(), "half known: {open:?}");
    let actions = reader.actions(&ActionFilter { limit: usize::MAX, ..ActionFilter::default() }).unwrap();
    let kept = Kept::read(home);
    let applied: BTreeSet<u64> = kept.applied.iter().copied().collect();
    assert_eq!(applied.len(), kept.applied.len(), "done twice: {:?}", kept.applied);
    for id in &applied {
        let action = actions.iter().find(|action| action.id == *id);
        assert!(action.is_some(), "action {id} was done, and the journal does not know of it");
    }
    for action in &actions {
        let failed = action.outcome == Outcome::Failed;
        assert_eq!(
            applied.contains(&action.id),
            !failed,
            "action {} is {:?} ({:?}), and the data plane says otherwise",
            action.id,
            action.outcome,
            action.note
        );
    }
}
