#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! What a session's loop makes of its data plane's graph: where it cannot be read, and that it is looked at once.

mod support;

use std::sync::Arc;

use flyball_control::UndoError;
use flyball_model::*;
use flyball_ports::*;
use parking_lot::Mutex;
use support::*;

const WHY: &str = "the registry is away";

fn unreadable(rig: &Rig, why: Option<&str>) {
    rig.plane.view.lock().unreadable = why.map(str::to_owned);
}

#[tokio::test(start_paused = true)]
async fn a_graph_that_cannot_be_read_ends_the_tick_unobserved_until_it_can() {
    let rig = Rig::new(|panel| panel.deciders = vec![wants(scale("b", 2))]);
    unreadable(&rig, Some(WHY));
    for record in rig.ticks(3).await {
        assert_eq!(record.ending, Ending::Unobserved, "{record:#?}");
        assert!(record.error.unwrap().contains(WHY));
    }
    assert!(rig.applied().is_empty());
    unreadable(&rig, None);
    rig.ticks(10).await;
    assert_eq!(rig.applied()[0], scale("b", 2));
}

#[tokio::test(start_paused = true)]
async fn a_decision_is_not_done_in_a_graph_that_cannot_be_read_any_more() {
    let thinks = std::time::Duration::from_secs(3);
    let rig = Rig::new(|panel| panel.deciders = vec![wants_after(thinks, scale("b", 2))]);
    assert_eq!(rig.tick().await.ending, Ending::Deciding);
    unreadable(&rig, Some(WHY));
    let record = rig.tick_in(4).await;
    assert_eq!(record.ending, Ending::Unobserved, "{record:#?}");
    assert!(record.error.unwrap().contains(&format!("the graph could not be read: {WHY}")));
    assert!(rig.applied().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_applied_and_cannot_be_read_back_is_accepted_and_says_so() {
    let rig = Rig::new(|panel| panel.deciders = vec![wants(scale("b", 2))]);
    rig.plane.view.lock().unreadable_once_applied = Some(WHY.to_owned());
    let action = rig.tick().await.action.unwrap();
    assert_eq!((action.outcome, &action.after), (Outcome::Accepted, &None));
    assert!(action.note.unwrap().contains(&format!("its graph could not be read: {WHY}")));
}

#[tokio::test(start_paused = true)]
async fn a_question_outlives_a_graph_that_cannot_be_read_and_its_yes_waits() {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![wants(scale("b", 2))];
        safety(panel, |safety| safety.approval.kinds = vec![ActionKind::ScaleNode]);
    });
    assert_eq!(rig.tick().await.ending, Ending::AwaitingApproval);
    let question = rig.controller.approvals().await.remove(0);
    rig.controller.approve(&question.id, None).await.unwrap();
    unreadable(&rig, Some(WHY));
    for record in rig.ticks(10).await {
        assert!(record.error.as_ref().is_some_and(|error| error.contains(WHY)), "{record:#?}");
    }
    assert!(rig.applied().is_empty());
    unreadable(&rig, None);
    rig.tick_in(1).await;
    assert_eq!(rig.applied(), [scale("b", 2)]);
}

#[tokio::test(start_paused = true)]
async fn an_undo_in_a_graph_that_cannot_be_read_leaves_the_action_to_be_undone_later() {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![wants(scale("b", 2))];
        panel.reversers = vec![puts_back()];
    });
    rig.tick().await;
    unreadable(&rig, Some(WHY));
    let undone = rig.controller.rollback(1, "a test").await.unwrap();
    assert!(matches!(&undone[0].result, Err(UndoError::Unobserved(why)) if why.0 == WHY), "{undone:?}");
    unreadable(&rig, None);
    let undone = rig.controller.rollback(1, "a test").await.unwrap();
    assert!(undone[0].result.is_ok(), "{undone:?}");
    assert_eq!(rig.plane.graph().await.unwrap().digest(), graph().digest());
}

/// A decider that keeps the graphs that it was shown, and wants nothing until it is told what.
#[tokio::test(start_paused = true)]
async fn as_long_as_the_graph_is_the_same_it_is_neither_copied_nor_masked_again() {
    let shown: Arc<Mutex<Vec<Arc<Graph>>>> = Arc::default();
    let keep = Arc::clone(&shown);
    let rig = Rig::new(|panel| {
        panel.deciders = vec![decider("keeps", move |_, situation| {
            keep.lock().push(Arc::clone(&situation.graph));
            let seen = keep.lock().len();
            Ok(Decided::For(decision(if seen < 3 { Action::NoOp } else { scale("b", 2) })))
        })];
    });
    for _ in 0..6 {
        rig.tick_in(600).await;
    }
    let shown = shown.lock();
    assert!(shown.len() > 3, "it was asked {} times", shown.len());
    assert!(shown[..3].windows(2).all(|two| Arc::ptr_eq(&two[0], &two[1])), "another copy of the same graph");
    assert_eq!(rig.applied()[0], scale("b", 2));
    assert!(!Arc::ptr_eq(&shown[2], &shown[3]) && shown[2].digest() != shown[3].digest());
}
