use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use flyball_model::{Ending, Outcome};
use flyball_ports::ActionFilter;
use flyball_ports::Journal;
use flyball_store::{Reader, Store};

use crate::chain::verified;
use crate::records::{concluded, halted, intent, tick};

#[tokio::test]
async fn an_intent_is_seen_by_a_second_connection_before_it_is_concluded() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let reader = Reader::open(directory.path()).unwrap();
    let id = store.intend(&intent("shop", 1)).await.unwrap();

    let open = reader.open_intents().unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].id, open[0].outcome, open[0].settled_at), (id, Outcome::Unknown, None));

    let done = concluded(intent("shop", 1), id, Outcome::Verified);
    store.conclude(&done).await.unwrap();
    assert!(reader.open_intents().unwrap().is_empty());
    assert_eq!(reader.actions(&ActionFilter::default()).unwrap(), [done]);
}

#[tokio::test]
async fn a_journal_that_is_opened_again_goes_on_counting() {
    let directory = tempfile::tempdir().unwrap();
    let mut ids = Vec::new();
    for opening in 1..=3 {
        let store = Store::open(directory.path()).unwrap();
        ids.push(store.intend(&intent("shop", opening)).await.unwrap());
        ids.push(store.intend(&intent("shop", opening)).await.unwrap());
    }
    assert!(ids.is_sorted_by(|earlier, later| earlier < later), "{ids:?}");
    assert_eq!(Reader::open(directory.path()).unwrap().open_intents().unwrap().len(), 6);
}

#[tokio::test]
async fn an_action_that_was_never_intended_is_not_concluded() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let error = store.conclude(&concluded(intent("shop", 1), 7, Outcome::Effective)).await.unwrap_err();
    assert!(error.to_string().contains("has no action 7"), "{error}");
    assert!(store.end_run(7).await.is_err());
}

/// Set for this very test in the process that is killed.
const CHILD: &str = "FLYBALL_STORE_TEST_DIRECTORY";

#[tokio::test]
async fn what_was_promised_is_there_and_verifies_after_the_host_is_killed() {
    if let Ok(directory) = std::env::var(CHILD) {
        write_until_killed(&directory).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "durability::what_was_promised_is_there_and_verifies_after_the_host_is_killed",
            "--nocapture",
        ])
        .env(CHILD, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let numbers = |line: String| line.strip_prefix("intended ").and_then(|id| id.parse::<u64>().ok());
    let promised: Vec<u64> = lines.filter_map(numbers).take(40).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(promised.len(), 40);

    let store = Store::open(directory.path()).unwrap();
    let reader = Reader::open(directory.path()).unwrap();
    let kept: Vec<u64> = reader.open_intents().unwrap().iter().map(|action| action.id).collect();
    assert!(promised.iter().all(|id| kept.contains(id)), "promised {promised:?}, kept {kept:?}");
    assert_eq!(reader.runs(1).unwrap()[0].ended, None, "a run that was killed never ended");
    let (before, faults) = verified(directory.path(), None);
    assert!(before.entries > 40 && faults.is_empty(), "{before:?} {faults:?}");
    store.record(&halted(Some("shop"), 1)).await.unwrap();
    let (after, faults) = verified(directory.path(), Some(before.head));
    assert!(after.entries == before.entries + 1 && faults.is_empty(), "{after:?} {faults:?}");
}

async fn write_until_killed(directory: &str) -> ! {
    let store = Store::open(directory.as_ref()).unwrap();
    store.begin_run().await.unwrap();
    for number in 1.. {
        let id = store.intend(&intent("shop", number)).await.unwrap();
        println!("\nintended {id}");
        store.tick(&tick("shop", number, Ending::Acted).into()).await.unwrap();
    }
    unreachable!("it writes until it is killed")
}
