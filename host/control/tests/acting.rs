//! Intent, act, read back; and whether it helped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;

use flyball_model::*;
use flyball_ports::*;
use support::*;

#[tokio::test(start_paused = true)]
async fn the_intent_is_journaled_before_the_act_and_the_result_after() {
    let rig = Rig::new(|panel| panel.deciders = vec![wants(scale("b", 2))]);
    let record = rig.tick().await;
    assert_eq!(*rig.log.lock(), ["intend 1", "apply scale b to 2", "conclude 1 effective"]);
    let action = record.action.unwrap();
    assert_eq!((action.id, action.outcome, action.generation), (1, Outcome::Effective, 1));
    assert_eq!(*action.before, graph());
    assert_eq!(action.after.unwrap().node("b").unwrap().replicas, 2);
    assert_eq!(action.findings, [finding("slow", Some("b"))]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_when_the_journal_does_not_take_the_intent() {
    let rig = Rig::new(|_| {});
    *rig.journal.fails_to_intend.lock() = true;
    let record = rig.tick().await;
    assert!(rig.log.lock().is_empty(), "neither applied nor concluded");
    assert_eq!((record.ending, record.action), (Ending::Failed, None));
    assert_eq!(
        record.error.unwrap(),
        "nothing was done, as its intent could not be recorded: the journal failed: the disk is full"
    );
    assert_eq!(gate(&rig.tick_in(1).await), "cooldown");
}

#[tokio::test(start_paused = true)]
async fn an_action_that_the_graph_does_not_show_is_accepted_and_not_effective() {
    let rig = Rig::new(|panel| panel.deciders = vec![wants(scale("b", 2))]);
    rig.plane.view.lock().deaf = true;
    let action = rig.tick().await.action.unwrap();
    assert_eq!(action.outcome, Outcome::Accepted);
    assert_eq!(action.note.unwrap(), "the data plane took it, and its graph does not show it");
}

#[tokio::test(start_paused = true)]
async fn a_restart_shows_in_no_graph_and_is_accepted() {
    let rig = Rig::new(|_| {});
    let action = rig.tick().await.action.unwrap();
    assert_eq!((action.outcome, action.note), (Outcome::Accepted, None));
}

#[tokio::test(start_paused = true)]
async fn what_the_data_plane_refuses_has_failed_with_its_words() {
    let rig = Rig::new(|_| {});
    rig.plane.view.lock().refuses = Some("b has no process".into());
    let record = rig.tick().await;
    let action = record.action.unwrap();
    assert_eq!((record.ending, action.outcome, action.after), (Ending::Failed, Outcome::Failed, None));
    assert_eq!(action.note.unwrap(), "b has no process");
    assert_eq!(rig.outcome(1), Outcome::Failed);
}

#[tokio::test(start_paused = true)]
async fn an_action_is_verified_by_three_observations_after_its_settle_time() {
    let rig = Rig::new(|_| {});
    rig.tick().await;
    rig.finds(vec![]);
    rig.ticks(3).await;
    assert_eq!(rig.outcome(1), Outcome::Accepted, "it settled two seconds ago, which gives two observations");
    rig.ticks(1).await;
    assert_eq!(rig.outcome(1), Outcome::Verified);
    assert_eq!(
        rig.note(1),
        "slow at b is gone in 3 observations in a row with at least 100 samples each, 4.0 s after the action; \
         too little was read before it to compare with"
    );
    assert_eq!(*rig.told.concluded.lock(), [(1, Outcome::Verified)]);
}

#[tokio::test(start_paused = true)]
async fn an_action_whose_finding_is_still_there_is_ineffective() {
    let rig = Rig::new(|_| {});
    rig.tick().await;
    rig.ticks(4).await;
    assert_eq!(rig.outcome(1), Outcome::Ineffective);
    assert_eq!(rig.note(1), "still found in 3 observations in a row, 4.0 s after the action: slow: slow");
}

#[tokio::test(start_paused = true)]
async fn no_data_is_never_success() {
    for samples in [0.0, f64::NAN] {
        let rig = Rig::new(|_| {});
        rig.tick().await;
        rig.finds(vec![]);
        rig.plane.view.lock().samples = samples;
        rig.ticks(30).await;
        assert_eq!(rig.outcome(1), Outcome::Accepted);
        rig.ticks(2).await;
        assert_eq!(rig.outcome(1), Outcome::Unknown);
        assert!(rig.note(1).contains("not enough was measured in 30 observations"), "{}", rig.note(1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_found_again_in_between_is_not_verified() {
    let rig = Rig::new(|panel| panel.rules.cooldown_ms = 600_000);
    rig.tick().await;
    for _ in 0..10 {
        rig.finds(vec![]);
        rig.ticks(2).await;
        rig.finds(vec![finding("slow", Some("b"))]);
        rig.ticks(1).await;
    }
    assert_eq!(rig.outcome(1), Outcome::Accepted);
}

#[tokio::test(start_paused = true)]
async fn a_heuristic_that_failed_found_nothing_which_is_no_success() {
    let rig = Rig::new(|_| {});
    rig.tick().await;
    rig.publish(2, |panel| {
        panel.heuristics = vec![Arc::new(plain("finds", |_: &Sight| Err("no memory".into())))];
    });
    rig.ticks(10).await;
    assert_eq!(rig.outcome(1), Outcome::Accepted);
    rig.publish(3, |panel| panel.heuristics.clear());
    rig.ticks(10).await;
    assert_eq!(rig.outcome(1), Outcome::Accepted, "the policy no longer names who found it");
    rig.finds(vec![]);
    rig.publish(4, |_| {});
    rig.ticks(3).await;
    assert_eq!(rig.outcome(1), Outcome::Verified);
}

#[tokio::test(start_paused = true)]
async fn a_bypass_is_verified_by_what_the_graph_delivers() {
    let bypass = || wants(Action::BypassNode { node: "b".into(), active: true });
    for (throughput, outcome) in
        [(50.0, Outcome::Verified), (f64::NAN, Outcome::Effective), (0.0, Outcome::Effective)]
    {
        let rig = Rig::new(|panel| panel.deciders = vec![bypass()]);
        rig.tick().await;
        rig.finds(vec![]);
        rig.plane.view.lock().samples = 0.0;
        rig.plane.view.lock().throughput = throughput;
        rig.ticks(5).await;
        assert_eq!(rig.outcome(1), outcome, "{throughput} a second");
    }
}

#[tokio::test(start_paused = true)]
async fn a_decider_is_told_what_became_of_earlier_actions() {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![decider("learns", |_, situation| {
            let worked = situation.past.first().is_none_or(|past| past.outcome == Outcome::Verified);
            Ok(Decided::For(decision(if worked { restart("b") } else { scale("b", 2) })))
        })];
    });
    rig.tick().await;
    rig.ticks(5).await;
    assert_eq!(rig.outcome(1), Outcome::Ineffective);
    assert_eq!(rig.applied(), [restart("b"), scale("b", 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_constraint_is_a_finding_on_the_second_tick_that_breaches_it() {
    let rig = Rig::new(|panel| {
        panel.rules.max_latency_ms = Some(10.0);
        panel.rules.min_throughput = Some(20.0);
    });
    rig.finds(vec![]);
    rig.plane.view.lock().latency_ms = 10.5;
    rig.plane.view.lock().throughput = 19.0;
    assert_eq!(rig.tick().await.ending, Ending::Quiet);
    let record = rig.tick_in(1).await;
    let codes: Vec<_> = record.findings.iter().map(|found| found.said.code.as_str()).collect();
    assert_eq!(codes, ["latency-over-limit", "throughput-under-limit"]);
    assert_eq!(record.findings[0].by, PluginId::host());
    assert_eq!(record.findings[0].said.message, "the end-to-end latency is 10.5 ms; the limit is 10 ms");
    assert_eq!(record.ending, Ending::Acted);
}

#[tokio::test(start_paused = true)]
async fn a_constraint_that_is_kept_in_between_is_not_breached_twice() {
    let rig = Rig::new(|panel| panel.rules.max_latency_ms = Some(10.0));
    rig.finds(vec![]);
    for latency in [11.0, 10.0, 11.0, 9.0, 11.0] {
        rig.plane.view.lock().latency_ms = latency;
        assert_eq!(rig.tick_in(1).await.ending, Ending::Quiet);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_measured_breaches_no_constraint_and_keeps_none() {
    let rig = Rig::new(|panel| {
        panel.rules.max_latency_ms = Some(10.0);
        panel.rules.min_throughput = Some(20.0);
    });
    rig.finds(vec![]);
    let show = |latency_ms, throughput| {
        let mut view = rig.plane.view.lock();
        (view.latency_ms, view.throughput) = (latency_ms, throughput);
    };
    show(f64::NAN, f64::NAN);
    assert!(rig.ticks(5).await.iter().all(|record| record.ending == Ending::Quiet));
    show(11.0, f64::NAN);
    assert_eq!(rig.tick_in(1).await.ending, Ending::Quiet);
    show(f64::NAN, f64::NAN);
    assert_eq!(rig.tick_in(1).await.ending, Ending::Quiet);
    show(11.0, f64::NAN);
    let record = rig.tick_in(1).await;
    assert_eq!(record.findings.len(), 1, "the tick without a sample is no success");
    assert_eq!(record.ending, Ending::Acted);
    show(f64::NAN, f64::NAN);
    rig.ticks(10).await;
    assert_eq!(rig.outcome(1), Outcome::Accepted, "nor does it verify the action");
    show(5.0, 50.0);
    rig.ticks(3).await;
    assert_eq!(rig.outcome(1), Outcome::Verified);
}
