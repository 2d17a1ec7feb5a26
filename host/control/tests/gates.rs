//! When the loop does not act, and says why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use flyball_model::*;
use flyball_ports::*;
use support::*;

fn message(record: &TickRecord) -> &str {
    &record.gate.as_ref().unwrap().message
}

/// The next tick after a decision that ended like this is held by the cooldown, and the first after it is not.
async fn starts_a_cooldown(rig: &Rig, ending: Ending) {
    assert_eq!(rig.tick().await.ending, ending);
    let held = rig.tick_in(1).await;
    assert_eq!((held.ending, gate(&held)), (Ending::Held, "cooldown"), "{held:#?}");
    assert_eq!(rig.tick_in(3).await.ending, Ending::Held);
    assert_eq!(rig.tick_in(1).await.ending, ending, "five seconds are over");
}

#[tokio::test(start_paused = true)]
async fn a_no_op_starts_a_cooldown() {
    starts_a_cooldown(&Rig::new(|panel| panel.deciders = vec![wants(Action::NoOp)]), Ending::NoOp).await;
}

#[tokio::test(start_paused = true)]
async fn a_rejection_starts_a_cooldown() {
    let denies = validator("denies", |_| Ok(Verdict::Deny(because("no"))));
    starts_a_cooldown(&Rig::new(|panel| panel.validators = vec![denies]), Ending::Rejected).await;
}

#[tokio::test(start_paused = true)]
async fn a_decider_that_fails_starts_a_cooldown() {
    let fails = decider("fails", |_, _| Err("out of order".into()));
    starts_a_cooldown(&Rig::new(|panel| panel.deciders = vec![fails]), Ending::Undecided).await;
}

#[tokio::test(start_paused = true)]
async fn an_action_that_the_data_plane_refuses_starts_a_cooldown() {
    let rig = Rig::new(|_| {});
    rig.plane.view.lock().refuses = Some("busy".into());
    rig.plane.view.lock().support.iter_mut().for_each(|support| support.settle_ms = 0);
    starts_a_cooldown(&rig, Ending::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn an_action_starts_a_cooldown() {
    let rig = Rig::new(|_| {});
    rig.plane.view.lock().support.iter_mut().for_each(|support| support.settle_ms = 0);
    starts_a_cooldown(&rig, Ending::Acted).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_could_not_be_observed_starts_a_cooldown() {
    let rig = Rig::new(|_| {});
    rig.plane.view.lock().unobservable = Some("gone".into());
    let record = rig.tick().await;
    assert_eq!(record.ending, Ending::Unobserved);
    assert!(record.error.unwrap().contains("gone"));
    rig.plane.view.lock().unobservable = None;
    assert_eq!(gate(&rig.tick_in(1).await), "cooldown");
    assert_eq!(rig.tick_in(4).await.ending, Ending::Acted);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_tick_starts_no_cooldown() {
    let rig = Rig::new(|_| {});
    rig.finds(vec![]);
    assert_eq!(rig.tick().await.ending, Ending::Quiet);
    rig.finds(vec![finding("slow", Some("b"))]);
    assert_eq!(rig.tick_in(1).await.ending, Ending::Acted);
}

#[tokio::test(start_paused = true)]
async fn what_is_only_good_to_know_wakes_no_decider() {
    let rig = Rig::new(|panel| panel.deciders = vec![decider("never", |_, _| panic!("it was woken"))]);
    rig.finds(vec![Finding { severity: Severity::Info, ..finding("aside", None) }]);
    let record = rig.tick().await;
    assert_eq!((record.ending, record.failures.len(), record.findings.len()), (Ending::Quiet, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_cooldown_is_never_shorter_than_the_settle_time() {
    let rig = Rig::new(|panel| panel.rules.cooldown_ms = 100);
    rig.plane.view.lock().support.iter_mut().for_each(|support| support.settle_ms = 8_000);
    assert_eq!(rig.tick().await.ending, Ending::Acted);
    let held = rig.tick_in(7).await;
    assert_eq!((held.ending, gate(&held)), (Ending::Held, "settling"));
    assert_eq!(message(&held), "7.0 s of 8.0 s have passed since \"restart b\"; opens in 1.0 s");
    let held = rig.tick_in(1).await;
    assert_eq!((held.ending, gate(&held)), (Ending::Held, "verifying"));
    assert_eq!(
        message(&held),
        "whether action 1 (\"restart b\") helped is not known yet; opens when it is, or has had twice its settle time"
    );
    assert_eq!(rig.tick_in(8).await.ending, Ending::Acted);
}

#[tokio::test(start_paused = true)]
async fn the_breaker_holds_the_sixth_action_until_the_first_leaves_the_window() {
    let rig = Rig::new(|panel| {
        panel.rules.safety = Arc::new(Safety { attempts: 9, futile: 9, ..Safety::default() })
    });
    for _ in 0..5 {
        assert_eq!(rig.tick().await.ending, Ending::Acted);
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
    let held = rig.tick().await;
    assert_eq!((held.ending, gate(&held)), (Ending::Held, "breaker"));
    assert_eq!(message(&held), "5 actions were tried within 60.0 s, the limit is 5; opens in 30.0 s");
    assert_eq!(rig.tick_in(29).await.ending, Ending::Held);
    assert_eq!(rig.tick_in(1).await.ending, Ending::Acted);
    assert_eq!(rig.applied().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn an_action_that_failed_counts_for_the_breaker() {
    let rig = Rig::new(|panel| panel.rules.max_actions = 1);
    rig.plane.view.lock().refuses = Some("busy".into());
    assert_eq!(rig.tick().await.ending, Ending::Failed);
    assert_eq!(gate(&rig.tick_in(10).await), "breaker");
}

#[tokio::test(start_paused = true)]
async fn each_gate_explains_itself() {
    let rig = Rig::new(|_| {});
    *rig.judges.0.lock() = None;
    let record = rig.tick().await;
    assert_eq!((record.ending, gate(&record)), (Ending::Quiet, "no-policy"));
    assert_eq!(message(&record), "no policy matches the session; opens when one does");

    rig.publish(2, |panel| panel.rules.enabled = false);
    let record = rig.tick().await;
    assert_eq!((record.ending, gate(&record)), (Ending::Held, "disabled"));
    assert!(message(&record).contains("by the policy p"));

    rig.publish(3, |panel| panel.rules.mutation = MutationPolicy::ReadOnly);
    let record = rig.tick().await;
    assert_eq!((record.ending, gate(&record)), (Ending::Held, "read-only"));
    assert!(message(&record).contains("opens at heal or more"));

    rig.publish(4, |panel| panel.deciders = vec![wants_after(Duration::from_secs(10), Action::NoOp)]);
    assert_eq!(rig.tick().await.ending, Ending::Deciding);
    let record = rig.tick_in(3).await;
    assert_eq!((record.ending, gate(&record)), (Ending::Held, "deciding"));
    assert_eq!(
        message(&record),
        "a decider has been thinking for 3.0 s about what was found on tick 4; opens when it answers"
    );

    assert_eq!(rig.tick_in(10).await.ending, Ending::NoOp);
    let record = rig.tick_in(1).await;
    assert_eq!((record.ending, gate(&record)), (Ending::Held, "cooldown"));
    assert_eq!(
        message(&record),
        "1.0 s of 5.0 s have passed since tick 6, on which a decider chose to do nothing; opens in 4.0 s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_that_a_policy_shortens_is_shorter_at_once() {
    let rig = Rig::new(|panel| panel.deciders = vec![wants(Action::NoOp)]);
    assert_eq!(rig.tick().await.ending, Ending::NoOp);
    assert_eq!(gate(&rig.tick_in(2).await), "cooldown");
    rig.publish(2, |panel| panel.rules.cooldown_ms = 1_000);
    assert_eq!(rig.tick().await.ending, Ending::Acted);
}

#[tokio::test(start_paused = true)]
async fn a_tick_runs_in_one_generation() {
    let rig = Arc::new(Rig::new(|_| {}));
    let swaps = Arc::clone(&rig);
    rig.publish(2, |panel| {
        panel.heuristics.push(Arc::new(plain("swaps", move |_: &Sight| {
            swaps.publish(3, |panel| panel.deciders = vec![wants(Action::NoOp)]);
            Ok(vec![])
        })));
    });
    let record = rig.tick().await;
    assert_eq!((record.generation, record.ending), (2, Ending::Acted));
    assert_eq!(record.action.unwrap().generation, 2);
    let next = rig.tick_in(6).await;
    assert_eq!((next.generation, next.ending), (3, Ending::NoOp));
}

#[tokio::test(start_paused = true)]
async fn quiet_ticks_are_told_and_not_journaled() {
    let rig = Rig::new(|_| {});
    rig.finds(vec![]);
    rig.ticks(3).await;
    assert_eq!((rig.told.ticks.lock().len(), rig.journal.ticks.lock().len()), (3, 0));
    rig.finds(vec![finding("slow", Some("b"))]);
    rig.tick().await;
    assert_eq!(rig.journal.ticks.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_neighbours_trouble_is_no_leave_to_act_again_where_an_action_has_not_shown_yet() {
    let rig = Rig::new(|panel| {
        panel.rules.cooldown_ms = 1_000;
        panel.deciders = vec![decider("up", |_, situation| {
            let replicas = situation.graph.node("b").unwrap().replicas + 1;
            Ok(Decided::For(decision(scale("b", replicas))))
        })];
    });
    assert_eq!(rig.tick().await.ending, Ending::Acted);
    rig.finds(vec![finding("full", Some("a"))]);
    let record = rig.tick_in(3).await;
    assert_eq!((record.ending, refusals(&record)), (Ending::Rejected, vec!["verifying"]));
    assert_eq!(rig.applied().len(), 1);
}

fn state<'a>(record: &'a TickRecord, name: &str) -> &'a GateState {
    record.gates.iter().find(|gate| gate.gate == name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_quiet_tick_tells_how_every_gate_stood() {
    let rig = Rig::new(|_| {});
    rig.finds(vec![]);
    let quiet = rig.tick().await;
    assert!(quiet.is_quiet());
    let names: Vec<&str> = quiet.gates.iter().map(|gate| gate.gate.as_ref()).collect();
    assert_eq!(
        names,
        [
            "no-policy",
            "disabled",
            "read-only",
            "halted",
            "frozen",
            "journal",
            "systemic-fault",
            "approval",
            "deciding",
            "settling",
            "cooldown",
            "breaker",
            "verifying"
        ]
    );
    assert!(quiet.gates.iter().all(|gate| gate.open && gate.message.is_empty()), "{quiet:#?}");
}

#[tokio::test(start_paused = true)]
async fn gates_that_are_open_again_tell_the_numbers_that_they_rest_on() {
    let rig = Rig::new(|_| {});
    assert_eq!(rig.tick().await.ending, Ending::Acted);
    let held = rig.tick_in(1).await;
    assert_eq!(gate(&held), "settling");
    for closed in ["settling", "cooldown", "verifying"] {
        assert!(!state(&held, closed).open, "{closed}: {held:#?}");
    }
    assert!(state(&held, "cooldown").message.contains("1.0 s of 5.0 s have passed"), "{held:#?}");
    assert!(state(&held, "breaker").open);
    rig.finds(vec![]);
    let quiet = rig.tick_in(100).await;
    assert!(quiet.gates.iter().all(|gate| gate.open), "{quiet:#?}");
    assert!(state(&quiet, "cooldown").message.ends_with("on which an action was taken; 5.0 s were needed"));
    assert!(state(&quiet, "breaker").message.starts_with("0 actions were tried within"), "{quiet:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_looked_at_is_in_the_record_of_a_quiet_tick_with_the_constraints_beside_it() {
    struct Looks(PluginId);
    impl Judge for Looks {
        fn id(&self) -> &PluginId {
            &self.0
        }
    }
    #[async_trait::async_trait]
    impl Heuristic for Looks {
        async fn assess(&self, _: &Sight) -> Result<Judged<Assessment>, JudgeError> {
            let check = Check {
                code: "queue-pressure".into(),
                node: Some("b".into()),
                metric: "queue-depth".into(),
                value: Some(10.0),
                limit: 80.0,
                bad: Side::Above,
                note: String::new(),
            };
            let said = Assessment { findings: vec![], checks: vec![check] };
            Ok(Judged { said, cost: Cost::default(), refused: vec![] })
        }
    }
    let rig = Rig::new(|panel| {
        panel.heuristics = vec![Arc::new(Looks(id("looks")))];
        panel.rules.max_latency_ms = Some(100.0);
    });
    rig.plane.view.lock().latency_ms = 140.0;
    let quiet = rig.tick().await;
    assert!(quiet.is_quiet(), "one breach is not enough: {quiet:#?}");
    let checks = |by: usize| &quiet.checks[by].checks[0];
    assert_eq!((&*quiet.checks[0].by.name, checks(0).is_beyond()), ("looks", false));
    assert_eq!((&*quiet.checks[1].by.name, checks(1).is_beyond()), ("host", true));
    assert_eq!((checks(1).value, checks(1).limit), (Some(140.0), 100.0));
    assert_eq!(checks(1).note, "for 1 of 2 ticks on end");
    assert_eq!(rig.tick_in(1).await.checks[1].checks[0].note, "", "now it is a finding");
}
