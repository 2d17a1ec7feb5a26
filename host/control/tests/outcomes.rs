//! What became of an action is measured, and what made things worse is undone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use flyball_model::*;
use flyball_ports::UndoKind;
use support::*;

/// A session that was well for ten seconds, then b is slow and is given a second worker.
async fn scaled() -> Rig {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![wants(scale("b", 2))];
        panel.reversers = vec![puts_back()];
    });
    rig.finds(vec![]);
    rig.plane.view.lock().columns =
        vec![(metric::ITEMS_PER_SECOND, 100.0), (metric::ERRORS_PER_SECOND, 0.0), (metric::QUEUE_DEPTH, 3.0)];
    rig.ticks(10).await;
    rig.finds(vec![finding("slow", Some("b"))]);
    assert_eq!(rig.tick_in(1).await.ending, Ending::Acted);
    rig
}

fn sets(rig: &Rig, name: &'static str, value: f64) {
    rig.plane.view.lock().columns.iter_mut().find(|(own, _)| *own == name).unwrap().1 = value;
}

#[tokio::test(start_paused = true)]
async fn what_raises_the_latency_is_worse_and_is_undone_within_two_settle_times() {
    let rig = scaled().await;
    rig.plane.view.lock().latency_ms = 80.0;
    rig.ticks(2).await;
    assert_eq!(rig.applied().len(), 1, "one look is not enough");
    rig.ticks(1).await;
    assert_eq!(rig.applied(), [scale("b", 2), scale("b", 1)]);
    assert_eq!(
        *rig.told.concluded.lock(),
        [(1, Outcome::Worse), (1, Outcome::RolledBack), (2, Outcome::RolledBack)]
    );
    let log = rig.log.lock().clone();
    assert!(log.contains(&"conclude 1 worse".to_owned()), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn an_undo_is_measured_too_and_people_are_told_when_it_did_not_help() {
    let rig = scaled().await;
    rig.plane.view.lock().latency_ms = 80.0;
    rig.ticks(3).await;
    rig.plane.view.lock().latency_ms = 5.0;
    rig.finds(vec![]);
    rig.ticks(5).await;
    assert_eq!((rig.outcome(1), rig.outcome(2)), (Outcome::RolledBack, Outcome::RolledBack));
    assert!(
        rig.note(2).starts_with("the graph is as it was before, and so is what was measured"),
        "{}",
        rig.note(2)
    );
    assert!(rig.notices().is_empty());

    let rig = scaled().await;
    rig.plane.view.lock().latency_ms = 80.0;
    rig.ticks(3).await;
    rig.finds(vec![]);
    rig.ticks(5).await;
    assert!(rig.note(2).starts_with("the graph is as it was before, and things are not"), "{}", rig.note(2));
    assert_eq!(rig.notices(), ["undo-did-not-help"]);
}

#[tokio::test(start_paused = true)]
async fn what_makes_items_fail_is_worse_and_its_numbers_are_kept() {
    let rig = scaled().await;
    sets(&rig, metric::ERRORS_PER_SECOND, 50.0);
    rig.ticks(3).await;
    assert_eq!(rig.told.concluded.lock()[0], (1, Outcome::Worse));
    assert_eq!(rig.note(1), "undone by 2");
}

#[tokio::test(start_paused = true)]
async fn a_policy_may_leave_the_undo_to_people() {
    let rig = scaled().await;
    rig.publish(2, |panel| {
        panel.deciders = vec![];
        safety(panel, |safety| safety.undo_worse = false);
    });
    rig.plane.view.lock().throughput = 10.0;
    rig.ticks(3).await;
    assert_eq!(rig.outcome(1), Outcome::Worse);
    assert_eq!(
        rig.note(1),
        "what is delivered a second was 50.0 before and is 10.0; at most 50.0 to 50.0 was to be expected, 3.0 s after \
         the action"
    );
    assert_eq!(rig.applied().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_latency_that_rises_with_the_load_is_not_the_actions_fault() {
    let rig = scaled().await;
    sets(&rig, metric::ITEMS_PER_SECOND, 300.0);
    rig.plane.view.lock().latency_ms = 80.0;
    rig.finds(vec![]);
    rig.ticks(5).await;
    assert_eq!(rig.outcome(1), Outcome::Verified, "{}", rig.note(1));
}

#[tokio::test(start_paused = true)]
async fn a_throughput_that_falls_with_the_load_is_not_the_actions_fault() {
    let rig = scaled().await;
    sets(&rig, metric::ITEMS_PER_SECOND, 20.0);
    rig.plane.view.lock().throughput = 10.0;
    rig.finds(vec![]);
    rig.ticks(5).await;
    assert_eq!(rig.outcome(1), Outcome::Verified, "{}", rig.note(1));
}

#[tokio::test(start_paused = true)]
async fn a_longer_queue_in_which_more_waits_than_the_old_one_held_has_cured_nothing() {
    let longer = || {
        let rig = Rig::new(|panel| {
            let action = Action::AdjustBuffering { node: "b".into(), capacity: 400 };
            panel.deciders = vec![wants(action)];
        });
        rig.plane.view.lock().columns = vec![(metric::ITEMS_PER_SECOND, 10.0), (metric::QUEUE_DEPTH, 0.0)];
        rig
    };
    let rig = longer();
    sets(&rig, metric::QUEUE_DEPTH, 95.0);
    assert_eq!(rig.tick_in(10).await.ending, Ending::Acted);
    // There is room again, so nothing is found; and no more is done than before.
    rig.finds(vec![]);
    sets(&rig, metric::QUEUE_DEPTH, 250.0);
    rig.ticks(20).await;
    assert_eq!(rig.outcome(1), Outcome::Effective, "{}", rig.note(1));
    rig.ticks(15).await;
    assert_eq!(rig.outcome(1), Outcome::Ineffective, "{}", rig.note(1));
    assert!(rig.note(1).starts_with("250 items wait there, more than its queue held"), "{}", rig.note(1));
    // A burst that it took is worked off in it.
    let rig = longer();
    sets(&rig, metric::QUEUE_DEPTH, 95.0);
    assert_eq!(rig.tick_in(10).await.ending, Ending::Acted);
    rig.finds(vec![]);
    sets(&rig, metric::QUEUE_DEPTH, 20.0);
    rig.ticks(8).await;
    assert_eq!(rig.outcome(1), Outcome::Verified, "{}", rig.note(1));
}

#[tokio::test(start_paused = true)]
async fn no_data_after_an_action_is_no_success() {
    let rig = scaled().await;
    rig.finds(vec![]);
    rig.plane.view.lock().samples = f64::NAN;
    rig.ticks(40).await;
    assert_eq!(rig.outcome(1), Outcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn what_was_getting_better_by_itself_is_not_claimed() {
    let mut of_depth = finding("slow", Some("b"));
    of_depth.rests_on = vec![Evidence {
        node: Some("b".into()),
        metric: Some(metric::QUEUE_DEPTH.into()),
        value: Some(60.0),
        limit: Some(40.0),
        note: String::new(),
    }];
    let rig = Rig::new(|panel| panel.deciders = vec![wants(scale("b", 2))]);
    rig.finds(vec![]);
    rig.plane.view.lock().columns = vec![(metric::QUEUE_DEPTH, 160.0)];
    for depth in (60..160).rev().step_by(10) {
        sets(&rig, metric::QUEUE_DEPTH, f64::from(depth));
        rig.tick_in(1).await;
    }
    rig.finds(vec![of_depth]);
    assert_eq!(rig.tick_in(1).await.ending, Ending::Acted);
    rig.finds(vec![]);
    for depth in [55, 45, 35, 25, 15] {
        sets(&rig, metric::QUEUE_DEPTH, f64::from(depth));
        rig.tick_in(1).await;
    }
    assert_eq!(rig.outcome(1), Outcome::Unknown);
    assert!(
        rig.note(1).starts_with("queue-depth of b was getting better before the action"),
        "{}",
        rig.note(1)
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_and_never_shows_in_the_running_pipeline_is_ineffective() {
    let rig = scaled().await;
    rig.plane.view.lock().columns.push((metric::REPLICAS, 1.0));
    rig.finds(vec![]);
    rig.ticks(40).await;
    assert_eq!(rig.outcome(1), Outcome::Ineffective);
    assert!(rig.note(1).contains("the running pipeline does not show it"), "{}", rig.note(1));
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_fails_freezes_the_session_and_tells_people() {
    let rig = scaled().await;
    rig.publish(2, |panel| panel.deciders = vec![wants(scale("b", 2))]);
    rig.plane.view.lock().latency_ms = 80.0;
    rig.ticks(3).await;
    assert_eq!(rig.outcome(1), Outcome::Worse);
    assert_eq!(rig.notices(), ["rollback-failed"]);
    assert_eq!(gate(&rig.tick_in(100).await), "frozen");
}

#[tokio::test(start_paused = true)]
async fn a_freeze_after_an_undo_that_failed_is_ended_by_a_person_only() {
    let rig = scaled().await;
    rig.publish(2, |panel| panel.deciders = vec![wants(scale("b", 2))]);
    rig.plane.view.lock().latency_ms = 80.0;
    rig.ticks(3).await;
    rig.finds(vec![]);
    rig.ticks(400).await;
    rig.plane.view.lock().graph.nodes[0].replicas += 1;
    rig.ticks(10).await;
    rig.finds(vec![finding("slow", Some("b"))]);
    assert_eq!(gate(&rig.tick_in(7_200).await), "frozen");
    assert_eq!(rig.notices(), ["rollback-failed"]);
    assert!(rig.controller.thaw().await);
}

#[tokio::test(start_paused = true)]
async fn what_made_things_worse_and_left_the_graph_as_it_was_cannot_be_undone_and_is_told() {
    let rig = Rig::new(|panel| panel.reversers = vec![puts_back()]);
    rig.finds(vec![]);
    rig.ticks(10).await;
    rig.finds(vec![finding("slow", Some("b"))]);
    rig.tick_in(1).await;
    rig.plane.view.lock().latency_ms = 80.0;
    rig.ticks(3).await;
    assert_eq!((rig.applied(), rig.outcome(1)), (vec![restart("b")], Outcome::Worse));
    assert_eq!(rig.notices(), ["worse"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_plane_cannot_undo_needs_the_policys_permission_by_name() {
    let irreversible = |rig: &Rig| {
        rig.plane.view.lock().support.iter_mut().for_each(|support| support.undo = UndoKind::Irreversible);
    };
    let rig = Rig::new(|_| {});
    irreversible(&rig);
    let record = rig.tick().await;
    assert_eq!((record.ending, refusals(&record)), (Ending::Rejected, vec!["irreversible"]));

    let rig =
        Rig::new(|panel| safety(panel, |safety| safety.irreversible = vec![ActionKind::RestartProcess]));
    irreversible(&rig);
    assert_eq!(rig.tick().await.ending, Ending::Acted);
}

#[tokio::test(start_paused = true)]
async fn what_was_getting_worse_already_is_not_the_actions_fault() {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![wants(scale("b", 2))];
        panel.reversers = vec![puts_back()];
    });
    rig.finds(vec![]);
    rig.plane.view.lock().columns = vec![(metric::ITEMS_PER_SECOND, 100.0), (metric::QUEUE_DEPTH, 3.0)];
    rig.ticks(10).await;
    // The trouble begins: it is seen on the tick on which it is answered, and goes on as it began.
    sets(&rig, metric::QUEUE_DEPTH, 20.0);
    rig.plane.view.lock().throughput = 45.0;
    rig.finds(vec![finding("slow", Some("b"))]);
    assert_eq!(rig.tick_in(1).await.ending, Ending::Acted);
    sets(&rig, metric::QUEUE_DEPTH, 100.0);
    rig.plane.view.lock().throughput = 20.0;
    rig.plane.view.lock().latency_ms = 900.0;
    rig.ticks(5).await;
    assert_eq!(rig.outcome(1), Outcome::Ineffective, "{}", rig.note(1));
    assert!(!rig.applied().contains(&scale("b", 1)), "nothing was undone");
}

#[tokio::test(start_paused = true)]
async fn errors_before_the_actions_node_are_not_its_fault() {
    for (node, outcome) in [("a", Outcome::Verified), ("b", Outcome::RolledBack), ("c", Outcome::RolledBack)]
    {
        let rig = scaled().await;
        rig.plane.view.lock().failing = Some(node);
        rig.finds(vec![]);
        rig.ticks(5).await;
        assert_eq!(rig.outcome(1), outcome, "{node}: {}", rig.note(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_is_as_old_as_the_one_before_is_no_reading() {
    let rig = scaled().await;
    rig.plane.view.lock().taken_at = 7;
    rig.tick_in(1).await;
    rig.finds(vec![]);
    let quiet = rig.tick_in(1).await;
    assert_eq!((quiet.ending, quiet.findings.len()), (Ending::Quiet, 0));
    let records = rig.ticks(15).await;
    assert_eq!(rig.outcome(1), Outcome::Effective, "nothing more is known of it");
    let last = records.last().unwrap();
    assert_eq!(last.ending, Ending::Unobserved);
    assert!(last.error.as_ref().unwrap().contains("nothing newer comes"), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn what_cures_what_was_broken_may_cost_some_latency() {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![wants(scale("b", 2))];
        panel.reversers = vec![puts_back()];
    });
    rig.finds(vec![]);
    rig.ticks(10).await;
    rig.finds(vec![Finding { severity: Severity::Critical, ..finding("broken", Some("b")) }]);
    assert_eq!(rig.tick_in(1).await.ending, Ending::Acted);
    rig.finds(vec![]);
    rig.plane.view.lock().latency_ms = 80.0;
    rig.ticks(5).await;
    assert_eq!(rig.outcome(1), Outcome::Verified, "{}", rig.note(1));
}

#[tokio::test(start_paused = true)]
async fn what_can_only_be_undone_at_a_loss_is_left_to_people() {
    let rig = scaled().await;
    rig.plane.view.lock().support.iter_mut().for_each(|support| support.undo = UndoKind::Lossy);
    rig.plane.view.lock().latency_ms = 80.0;
    rig.ticks(3).await;
    assert_eq!((rig.outcome(1), rig.applied().len()), (Outcome::Worse, 1));
    assert_eq!(rig.notices(), ["worse"]);
}

#[tokio::test(start_paused = true)]
async fn what_piled_up_meanwhile_makes_no_cure_ineffective() {
    let rig = Rig::new(|_| {});
    let piled = finding("full", Some("b"));
    rig.finds(vec![Finding { severity: Severity::Critical, ..finding("broken", Some("b")) }, piled.clone()]);
    assert_eq!(rig.tick().await.ending, Ending::Acted);
    rig.finds(vec![piled]);
    rig.ticks(6).await;
    assert_eq!(rig.outcome(1), Outcome::Accepted, "{}", rig.note(1));
    rig.finds(vec![]);
    rig.ticks(3).await;
    assert_eq!(rig.outcome(1), Outcome::Verified, "{}", rig.note(1));
}

#[tokio::test(start_paused = true)]
async fn what_was_gone_and_comes_back_is_not_held_against_the_action() {
    let rig = Rig::new(|_| {});
    rig.plane.view.lock().support.iter_mut().for_each(|support| support.settle_ms = 5_000);
    rig.tick().await;
    rig.finds(vec![]);
    rig.ticks(4).await;
    rig.finds(vec![finding("slow", Some("b"))]);
    rig.ticks(3).await;
    assert_eq!(rig.outcome(1), Outcome::Unknown);
    assert!(rig.note(1).starts_with("it was gone and came back"), "{}", rig.note(1));
}
