//! What was done for a fault is taken back once its reason is gone, and not while it is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;

use flyball_model::*;
use flyball_ports::*;
use support::*;

/// A session in which b was found to be slow and given two workers more.
async fn scaled(set_up: impl Fn(&mut Panel)) -> Rig {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![wants(scale("b", 3))];
        panel.reversers = vec![puts_back()];
        set_up(panel);
    });
    measures(&rig, 100.0, 2.0);
    assert_eq!(rig.tick_in(1).await.ending, Ending::Acted);
    rig.finds(vec![]);
    rig
}

/// Each node finishes so many items a second, each of which takes so long.
fn measures(rig: &Rig, per_second: f64, ms: f64) {
    rig.plane.view.lock().columns = vec![
        (metric::ITEMS_PER_SECOND, per_second),
        (metric::LATENCY_P50_MS, ms),
        (metric::ERRORS_PER_SECOND, 0.0),
        (metric::QUEUE_DEPTH, 0.0),
    ];
}

fn workers(rig: &Rig) -> u32 {
    rig.plane.view.lock().graph.nodes[1].replicas
}

/// After how many seconds b has one worker again.
async fn seconds_until_given_back(rig: &Rig, most: usize) -> Option<usize> {
    for second in 1..=most {
        rig.tick_in(1).await;
        if workers(rig) == 1 {
            return Some(second);
        }
    }
    None
}

#[tokio::test(start_paused = true)]
async fn workers_are_taken_back_once_their_reason_is_gone_for_long_enough() {
    let rig = scaled(|_| {}).await;
    let changes = rig.controller.changes().await;
    assert_eq!((changes[0].action, &changes[0].reasons[..]), (1, &["slow at b".to_owned()][..]));
    assert!(changes[0].ends.contains("after what it was for is gone"), "{changes:?}");
    let seconds = seconds_until_given_back(&rig, 200).await;
    assert!((118..=130).contains(&seconds.unwrap()), "{seconds:?}");
    rig.ticks(5).await;
    assert_eq!(rig.outcome(1), Outcome::Verified, "that it helped is still so");
    assert!(rig.note(1).ends_with("; taken back by 2, as what it was for is gone"), "{}", rig.note(1));
    assert_eq!(rig.outcome(2), Outcome::RolledBack);
    let step = rig.journal.actions.lock()[1].clone();
    assert_eq!((step.undoes, step.decided_by), (Some(1), PluginId::host()));
    assert!(rig.controller.changes().await.is_empty());
    assert!(rig.notices().is_empty(), "{:?}", rig.notices());
}

#[tokio::test(start_paused = true)]
async fn what_it_was_for_begins_the_wait_anew_whenever_it_is_found() {
    let rig = scaled(|_| {}).await;
    rig.ticks(100).await;
    // Too little to wake a decider is no reason, and what wakes one is.
    rig.publish(2, |panel| {
        panel.deciders = vec![];
        panel.reversers = vec![puts_back()];
    });
    rig.finds(vec![finding("other", Some("b"))]);
    rig.tick_in(1).await;
    rig.finds(vec![]);
    let seconds = seconds_until_given_back(&rig, 300).await;
    assert!(seconds.unwrap() >= 118, "{seconds:?}");
}

#[tokio::test(start_paused = true)]
async fn workers_that_are_busy_stay_and_people_see_why() {
    let rig = scaled(|_| {}).await;
    measures(&rig, 100.0, 9.0);
    assert_eq!(seconds_until_given_back(&rig, 400).await, None);
    let changes = rig.controller.changes().await;
    assert_eq!(
        changes[0].ends,
        "not yet: b has work for 1.3 workers, and would have 1, of which 0.6 may be busy"
    );
    measures(&rig, 20.0, 9.0);
    assert_eq!(seconds_until_given_back(&rig, 10).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn where_no_time_is_measured_the_rate_decides() {
    let rig = scaled(|_| {}).await;
    measures(&rig, 90.0, f64::NAN);
    assert_eq!(seconds_until_given_back(&rig, 400).await, None);
    let ends = rig.controller.changes().await.remove(0).ends;
    assert_eq!(ends, "not yet: b finishes 90.0 items a second, and did 100.0 when that was too few");
    measures(&rig, 30.0, f64::NAN);
    assert_eq!(seconds_until_given_back(&rig, 10).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn what_was_needed_again_soon_after_it_was_taken_back_is_kept_twice_as_long() {
    let rig = scaled(|_| {}).await;
    let mut waits = vec![];
    for _ in 0..3 {
        waits.push(seconds_until_given_back(&rig, 2_000).await.unwrap());
        rig.ticks(30).await;
        rig.finds(vec![finding("slow", Some("b"))]);
        for _ in 0..60 {
            if workers(&rig) == 3 {
                break;
            }
            rig.tick_in(1).await;
        }
        assert_eq!(workers(&rig), 3, "{waits:?}");
        rig.finds(vec![]);
    }
    assert!(waits[1] >= 2 * waits[0] - 15 && waits[2] >= 2 * waits[1] - 15, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_policy_does_not_name_stays_and_people_see_what_would_end_it() {
    let rig = scaled(|panel| safety(panel, |safety| safety.give_back.kinds = vec![])).await;
    assert_eq!(seconds_until_given_back(&rig, 400).await, None);
    let ends = rig.controller.changes().await.remove(0).ends;
    assert!(ends.starts_with("`flyball rollback`") && ends.contains("safety.give_back.kinds"), "{ends}");
    assert_eq!(rig.controller.rollback(1, "").await.unwrap().len(), 1);
    assert!(rig.controller.changes().await.is_empty(), "a person took it back");
}

#[tokio::test(start_paused = true)]
async fn changes_of_one_node_are_taken_back_newest_first() {
    let rig = scaled(|_| {}).await;
    rig.ticks(60).await;
    rig.publish(2, |panel| {
        panel.deciders = vec![wants(scale("b", 5))];
        panel.reversers = vec![puts_back()];
    });
    rig.finds(vec![finding("slow", Some("b"))]);
    rig.ticks(2).await;
    assert_eq!(workers(&rig), 5);
    rig.finds(vec![]);
    assert!(seconds_until_given_back(&rig, 400).await.is_some());
    assert_eq!(
        rig.applied(),
        [scale("b", 3), scale("b", 5), scale("b", 3), scale("b", 1)],
        "each step puts back what was there before"
    );
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_has_changed_since_is_left_to_them() {
    let rig = scaled(|_| {}).await;
    rig.plane.view.lock().graph.nodes[1].replicas = 4;
    rig.ticks(200).await;
    assert_eq!(workers(&rig), 4);
    assert!(rig.controller.changes().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_begins_anew_knows_what_stands() {
    let rig = scaled(|_| {}).await;
    rig.ticks(60).await;
    let anew = rig.restarted();
    anew.tick().await;
    assert_eq!(anew.changes().await.len(), 1);
    let mut given_back = false;
    for _ in 0..200 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        anew.tick().await;
        given_back |= workers(&rig) == 1;
    }
    assert!(given_back);
}

#[tokio::test(start_paused = true)]
async fn what_made_things_worse_when_it_was_taken_back_is_done_again_and_kept_longer() {
    let rig = scaled(|_| {}).await;
    let first = seconds_until_given_back(&rig, 200).await.unwrap();
    rig.plane.view.lock().latency_ms = 500.0;
    for _ in 0..30 {
        rig.tick_in(1).await;
        if workers(&rig) == 3 {
            rig.plane.view.lock().latency_ms = 5.0;
        }
    }
    assert_eq!(rig.applied(), [scale("b", 3), scale("b", 1), scale("b", 3)]);
    assert_eq!((rig.outcome(1), rig.outcome(2)), (Outcome::Verified, Outcome::RolledBack));
    let ends = rig.controller.changes().await.remove(0);
    assert_eq!((ends.action, workers(&rig)), (1, 3), "it stands again");
    assert!(rig.notices().is_empty(), "{:?}", rig.notices());
    let second = seconds_until_given_back(&rig, 1_000).await.unwrap();
    assert!(second >= 2 * first - 35, "{first} {second}");
}

#[tokio::test(start_paused = true)]
async fn a_give_back_that_the_data_plane_refuses_is_told_and_tried_again_later() {
    let rig = scaled(|_| {}).await;
    rig.ticks(60).await;
    rig.plane.view.lock().refuses = Some("busy".into());
    rig.ticks(100).await;
    assert_eq!(rig.notices(), ["give-back-failed"]);
    rig.plane.view.lock().refuses = None;
    assert!(seconds_until_given_back(&rig, 600).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_failed_judge_says_nothing_of_what_is_gone() {
    let rig = Rig::new(|_| {});
    let trouble = Arc::clone(&rig.trouble);
    rig.publish(1, |panel| {
        panel.deciders = vec![wants(scale("b", 3))];
        panel.reversers = vec![puts_back()];
    });
    measures(&rig, 100.0, 2.0);
    assert_eq!(rig.tick_in(1).await.ending, Ending::Acted);
    trouble.lock().clear();
    rig.publish(2, |panel| {
        panel.reversers = vec![puts_back()];
        panel.heuristics = vec![Arc::new(plain("fails", |_: &Sight| Err("out of cheese".to_owned())))];
    });
    assert_eq!(seconds_until_given_back(&rig, 400).await, None);
}
