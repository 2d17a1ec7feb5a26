//! A host that was killed: what it left open is known again, and nothing is done twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::Duration;

use flyball_model::*;
use flyball_ports::*;
use support::*;

/// An intent that was left open, and whether the data plane had done it.
async fn killed(action: Action, done: bool) -> Rig {
    let rig = Rig::new(|_| {});
    let before = rig.plane.graph().await.unwrap();
    let intent = ActionRecord {
        id: 0,
        session: "s".into(),
        tick: 1,
        generation: 1,
        at: SystemClock.now(),
        proposal: decision(action.clone()).proposal,
        decided_by: id("wants"),
        judged_by: vec![],
        findings: vec![finding("slow", Some("b"))],
        before,
        after: None,
        outcome: Outcome::Unknown,
        note: None,
        settled_at: None,
        undoes: None,
    };
    rig.journal.intend(&intent).await.unwrap();
    if done {
        rig.plane.apply(&action).await.unwrap();
    }
    rig
}

#[tokio::test(start_paused = true)]
async fn what_was_intended_and_done_is_known_and_not_done_again() {
    let rig = killed(scale("b", 2), true).await;
    let record = rig.tick().await;
    assert_eq!(rig.outcome(1), Outcome::Unknown);
    assert!(rig.note(1).contains("the data plane shows it now"), "{}", rig.note(1));
    assert_eq!(gate(&record), "settling", "it is as fresh as any action");
    assert_eq!(rig.applied().len(), 1);
    let events = rig.journal.events.lock();
    assert!(
        matches!(events[0].event, Event::Reconciled { action: 1, outcome: Outcome::Unknown, .. }),
        "{events:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_intended_and_not_done_has_failed() {
    let rig = killed(scale("b", 2), false).await;
    rig.tick().await;
    assert_eq!(rig.outcome(1), Outcome::Failed);
    assert!(rig.note(1).contains("the data plane does not show it now"), "{}", rig.note(1));
}

#[tokio::test(start_paused = true)]
async fn what_shows_in_no_graph_stays_unknown() {
    let rig = killed(restart("b"), true).await;
    rig.tick().await;
    assert_eq!(rig.outcome(1), Outcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn the_breaker_counts_what_was_done_before_the_restart() {
    let rig = Rig::new(|panel| panel.rules.max_actions = 1);
    assert_eq!(rig.tick().await.ending, Ending::Acted);
    rig.tick_in(10).await;
    let restarted = rig.restarted();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(gate(restarted.tick().await.as_ref()), "settling");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(gate(restarted.tick().await.as_ref()), "breaker");
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_journal_cannot_be_read_observes_and_does_not_act() {
    let rig = Rig::new(|_| {});
    *rig.journal.unreadable.lock() = true;
    let record = rig.tick().await;
    assert_eq!((record.ending, gate(&record)), (Ending::Held, "journal"));
    assert!(record.error.unwrap().contains("could not be read"));
    assert!(!record.findings.is_empty());
    *rig.journal.unreadable.lock() = false;
    assert_eq!(rig.tick_in(1).await.ending, Ending::Acted);
}
