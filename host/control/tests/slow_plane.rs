#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(dead_code, reason = "each test uses a part of the support")]
//! A data plane that takes thirty seconds for an action delays no tick, no answer of a person and no halt of its session, and
//! nothing else is begun meanwhile.

mod support;

use std::sync::Arc;
use std::time::Duration;

use flyball_control::{Controller, Fleet, LoopOptions};
use flyball_model::*;
use flyball_ports::*;
use support::*;
use tokio::time::Instant;

const TAKES: Duration = Duration::from_secs(30);
const NEVER: Duration = Duration::from_secs(1_000_000);

/// A session whose action is under way after its first tick.
async fn applying(fleet: &Arc<Fleet>, set_up: impl FnOnce(&mut Panel)) -> Rig {
    let rig = Rig::in_fleet(fleet, |panel| {
        panel.deciders = vec![wants(scale("b", 2))];
        panel.reversers = vec![puts_back()];
        set_up(panel);
    });
    rig.plane.view.lock().takes = TAKES;
    let began = Instant::now();
    let record = rig.tick().await;
    assert_eq!(record.ending, Ending::Applying, "{record:#?}");
    assert!(began.elapsed() <= Duration::from_millis(500), "a tick waits for half an interval");
    assert_eq!(record.action.unwrap().outcome, Outcome::Unknown);
    rig
}

/// Ticks once a second until a tick ends like this.
async fn until(rig: &Rig, ending: Ending) {
    for _ in 0..60 {
        if rig.tick_in(1).await.ending == ending {
            return;
        }
    }
    panic!("no tick ended as {ending:?}");
}

/// Ticks once a second until the action is done.
async fn until_done(rig: &Rig) -> TickRecord {
    for _ in 0..60 {
        let record = rig.tick_in(1).await;
        if matches!(record.ending, Ending::Acted | Ending::Failed) {
            return record;
        }
    }
    panic!("it was never done");
}

#[tokio::test(start_paused = true)]
async fn ticks_go_on_and_say_what_holds_them() {
    let rig = applying(&Fleet::new(vec![]), |_| {}).await;
    for second in 1..25 {
        let began = Instant::now();
        let record = rig.tick().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "tick {second} waited");
        assert_eq!((record.ending, gate(&record)), (Ending::Held, "applying"), "{record:#?}");
        assert!(record.gate.as_ref().unwrap().message.contains("has been doing action 1"));
        assert!(record.gates.iter().any(|gate| gate.gate == "applying" && !gate.open));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(rig.plane.view.lock().observed, 25, "each of them has looked");
    let record = until_done(&rig).await;
    let action = record.action.unwrap();
    assert_eq!((record.ending, action.id, action.outcome), (Ending::Acted, 1, Outcome::Effective));
    assert_eq!(rig.applied(), [scale("b", 2)]);
    assert_eq!(rig.outcome(1), Outcome::Effective);
    assert!(record.gates.iter().all(|gate| gate.gate != "applying"));
}

#[tokio::test(start_paused = true)]
async fn a_tick_waits_no_longer_for_being_one_of_few() {
    let rig = Rig::new(|panel| panel.deciders = vec![wants(scale("b", 2))]);
    rig.plane.view.lock().takes = TAKES;
    let options = LoopOptions { interval: Duration::from_secs(60), ..LoopOptions::default() };
    let (plane, judges, journal) = (rig.plane.clone(), rig.judges.clone(), rig.journal.clone());
    let seldom = Controller::new(plane, judges, journal, Arc::new(SystemClock), rig.told.clone(), options);
    let began = Instant::now();
    assert_eq!(seldom.tick().await.ending, Ending::Applying);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_the_data_plane_refuses_late_has_failed() {
    let rig = applying(&Fleet::new(vec![]), |_| {}).await;
    rig.plane.view.lock().refuses = Some("busy".into());
    let record = until_done(&rig).await;
    assert_eq!((record.ending, record.action.unwrap().outcome), (Ending::Failed, Outcome::Failed));
    assert_eq!(rig.note(1), "busy");
}

#[tokio::test(start_paused = true)]
async fn a_halt_is_heard_and_names_what_is_under_way() {
    let fleet = Fleet::new(vec![]);
    let rig = applying(&fleet, |_| {}).await;
    let under_way = fleet.halt(Halt { session: None, at: 0, why: "stop".into() });
    assert_eq!(under_way.len(), 1);
    assert!(under_way[0].1.contains("action 1"), "{under_way:?}");
    let record = rig.tick().await;
    assert_eq!((record.ending, gate(&record)), (Ending::Held, "halted"));
    // What has begun ends, and is known.
    let record = until_done(&rig).await;
    assert_eq!(record.ending, Ending::Acted);
}

#[tokio::test(start_paused = true)]
async fn a_person_is_answered_and_their_yes_waits() {
    let fleet = Fleet::new(vec![]);
    let rig = Rig::in_fleet(&fleet, |panel| {
        panel.deciders = vec![wants(scale("c", 2))];
        safety(panel, |safety| safety.approval.kinds = vec![ActionKind::ScaleNode]);
    });
    rig.finds(vec![finding("stuck", Some("c"))]);
    assert_eq!(rig.tick().await.ending, Ending::AwaitingApproval);
    // Another fault is answered meanwhile, slowly, and by nothing that shows in the graph.
    rig.finds(vec![finding("slow", Some("b")), finding("stuck", Some("c"))]);
    rig.plane.view.lock().takes = TAKES;
    rig.publish(1, |panel| {
        panel.deciders = vec![wants(restart("b"))];
        safety(panel, |safety| safety.approval.kinds = vec![ActionKind::ScaleNode]);
    });
    until(&rig, Ending::Applying).await;
    let question = rig.controller.approvals().await.remove(0);
    let asked = Instant::now();
    rig.controller.approve(&question.id, None).await.unwrap();
    assert_eq!(asked.elapsed(), Duration::ZERO, "the answer waited");
    assert_eq!(gate(&rig.tick().await), "applying");
    until_done(&rig).await;
    until(&rig, Ending::Applying).await;
    until_done(&rig).await;
    assert_eq!(rig.applied(), [restart("b"), scale("c", 2)]);
}

/// A session in which a decider has begun to think about c, which takes it fifteen seconds, and the data plane to do what a person has
/// approved at b, which takes it thirty.
async fn decided_meanwhile(set_up: impl Fn(&mut Panel)) -> Rig {
    let fleet = Fleet::new(vec![]);
    let guarded = |panel: &mut Panel| {
        safety(panel, |safety| safety.approval.kinds = vec![ActionKind::ScaleNode]);
        set_up(panel);
    };
    let rig = Rig::in_fleet(&fleet, |panel| {
        panel.deciders = vec![wants(scale("b", 2))];
        guarded(panel);
    });
    assert_eq!(rig.tick().await.ending, Ending::AwaitingApproval);
    rig.finds(vec![finding("slow", Some("b")), finding("stuck", Some("c"))]);
    rig.publish(1, |panel| {
        panel.deciders = vec![wants_after(Duration::from_secs(15), restart("c"))];
        guarded(panel);
    });
    until(&rig, Ending::Deciding).await;
    rig.plane.view.lock().takes = TAKES;
    let question = rig.controller.approvals().await.remove(0);
    rig.controller.approve(&question.id, None).await.unwrap();
    until(&rig, Ending::Applying).await;
    rig
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_while_an_action_is_under_way_waits_for_it() {
    let rig = decided_meanwhile(|_| {}).await;
    let records = rig.ticks(20).await;
    assert!(records.iter().all(|record| record.ending == Ending::Held), "{records:#?}");
    assert_eq!(gate(records.last().unwrap()), "applying");
    assert_eq!(rig.applied(), []);
    assert_eq!(until_done(&rig).await.ending, Ending::Acted);
    assert_eq!(rig.applied(), [scale("b", 2)]);
    // And then for what that starts, as a person's yes does.
    rig.plane.view.lock().takes = Duration::ZERO;
    assert_eq!(gate(&rig.tick_in(1).await), "settling");
    let record = until_done(&rig).await;
    assert_eq!(record.decision.unwrap().by.name.as_ref(), "slow", "it was not asked again");
    assert_eq!(rig.applied(), [scale("b", 2), restart("c")]);
    let ticks = rig.told.ticks.lock();
    assert!(ticks.iter().all(|(_, ending)| *ending != Ending::Rejected), "{ticks:?}");
    assert_eq!(ticks.iter().filter(|(_, ending)| *ending == Ending::Deciding).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_and_had_to_wait_is_held_against_what_is_found_then() {
    let rig = decided_meanwhile(|_| {}).await;
    rig.ticks(20).await;
    rig.finds(vec![finding("slow", Some("b"))]);
    until_done(&rig).await;
    rig.plane.view.lock().takes = Duration::ZERO;
    let records = rig.ticks(10).await;
    assert!(records.iter().any(|record| refusals(record) == ["finding-gone"]), "{records:#?}");
    assert_eq!(rig.applied(), [scale("b", 2)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_waits_for_nothing_once_nobody_judges_the_session() {
    let rig = decided_meanwhile(|_| {}).await;
    rig.ticks(20).await;
    until_done(&rig).await;
    *rig.judges.0.lock() = None;
    assert_eq!(refusals(&rig.tick_in(1).await)[0], "no-policy");
}

#[tokio::test(start_paused = true)]
async fn people_are_told_once_of_a_data_plane_that_does_not_answer() {
    for (quiet, undone) in [(false, false), (true, false), (false, true)] {
        let rig = Rig::new(|panel| {
            panel.deciders = vec![wants(scale("b", 2))];
            panel.reversers = vec![puts_back()];
        });
        rig.plane.view.lock().takes = if undone { Duration::ZERO } else { NEVER };
        rig.tick().await;
        if undone {
            rig.plane.view.lock().takes = NEVER;
            let undo = rig.controller.rollback(1, "a test");
            assert!(tokio::time::timeout(Duration::from_millis(1), undo).await.is_err());
        }
        if quiet {
            rig.finds(vec![]);
        }
        rig.ticks(170).await;
        assert_eq!(rig.notices(), Vec::<String>::new());
        rig.ticks(600).await;
        assert_eq!(rig.notices(), ["still-applying"], "quiet: {quiet}, an undo: {undone}");
        let action = if undone {
            "action 2 (\"scale b to 1\") for 180"
        } else {
            "action 1 (\"scale b to 2\") for 180"
        };
        let told = format!("{:?}", rig.told.events.lock()).replace('\\', "");
        assert!(told.contains(action), "{told}");
        assert!(told.contains("a person must look at the data plane"), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_undo_waits_for_what_is_under_way_and_undoes_it() {
    let rig = Arc::new(applying(&Fleet::new(vec![]), |_| {}).await);
    let undoing = {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move { rig.controller.rollback(1, "a test").await })
    };
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(gate(&rig.tick_in(1).await), "applying");
        assert!(began.elapsed() <= Duration::from_secs(1), "a tick waited for the undo");
    }
    rig.plane.view.lock().takes = Duration::ZERO;
    until_done(&rig).await;
    let undone = undoing.await.unwrap().unwrap();
    assert!(undone[0].result.is_ok(), "{undone:?}");
    assert_eq!(rig.plane.graph().await.unwrap().digest(), graph().digest());
}

#[tokio::test(start_paused = true)]
async fn a_data_plane_that_panics_leaves_the_loop_running_and_its_action_unknown() {
    let rig = Rig::new(|panel| panel.deciders = vec![wants(scale("b", 2))]);
    rig.plane.view.lock().panics = true;
    let action = rig.tick().await.action.unwrap();
    assert_eq!(action.outcome, Outcome::Unknown);
    assert!(action.note.unwrap().contains("what it has done is not known"));
    assert_eq!(gate(&rig.tick_in(1).await), "settling");
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_is_to_end_ends_when_its_action_has() {
    let rig = Rig::new(|panel| panel.deciders = vec![wants(scale("b", 2))]);
    rig.plane.view.lock().takes = TAKES;
    let began = Instant::now();
    rig.controller.run(tokio::time::sleep(Duration::from_millis(2_500))).await;
    assert!(began.elapsed() >= TAKES, "it ended after {:?}", began.elapsed());
    assert_eq!(rig.outcome(1), Outcome::Effective);
}

/// A session in which the host is undoing what made things worse, and the data plane takes its time for that.
async fn undoing(fleet: &Arc<Fleet>) -> Rig {
    let rig = Rig::in_fleet(fleet, |panel| {
        panel.deciders = vec![wants(scale("b", 2))];
        panel.reversers = vec![puts_back()];
    });
    rig.finds(vec![]);
    rig.plane.view.lock().columns =
        vec![(metric::ITEMS_PER_SECOND, 100.0), (metric::ERRORS_PER_SECOND, 0.0), (metric::QUEUE_DEPTH, 3.0)];
    rig.ticks(10).await;
    rig.finds(vec![finding("slow", Some("b"))]);
    assert_eq!(rig.tick_in(1).await.ending, Ending::Acted);
    rig.plane.view.lock().latency_ms = 80.0;
    rig.plane.view.lock().takes = TAKES;
    for _ in 0..4 {
        let began = Instant::now();
        let record = rig.tick_in(1).await;
        assert!(began.elapsed() <= Duration::from_millis(1_500), "a tick waits for half an interval");
        if gate(&record) == "applying" {
            assert_eq!((rig.applied().len(), rig.outcome(1)), (1, Outcome::Worse));
            return rig;
        }
    }
    panic!("nothing was undone");
}

#[tokio::test(start_paused = true)]
async fn a_slow_undo_by_the_host_delays_no_tick_and_is_measured_once_it_is_done() {
    let rig = undoing(&Fleet::new(vec![])).await;
    for second in 1..25 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        let record = rig.tick().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "tick {second} waited");
        assert_eq!((record.ending, gate(&record)), (Ending::Held, "applying"), "{record:#?}");
        let message = record.gate.unwrap().message;
        assert!(message.contains("has been doing action 2 (\"scale b to 1\")"), "{message}");
    }
    rig.plane.view.lock().latency_ms = 5.0;
    rig.ticks(7).await;
    assert_eq!(rig.applied(), [scale("b", 2), scale("b", 1)]);
    assert_eq!((rig.outcome(1), rig.outcome(2)), (Outcome::RolledBack, Outcome::RolledBack));
    rig.finds(vec![]);
    rig.ticks(5).await;
    assert!(rig.note(2).starts_with("the graph is as it was before, and so is"), "{}", rig.note(2));
    assert!(rig.notices().is_empty(), "{:?}", rig.notices());
}

#[tokio::test(start_paused = true)]
async fn a_halt_and_a_person_do_not_wait_for_a_slow_undo() {
    let fleet = Fleet::new(vec![]);
    let rig = undoing(&fleet).await;
    let asked = Instant::now();
    assert!(rig.controller.approvals().await.is_empty());
    assert!(rig.controller.approve("none", None).await.is_err());
    assert!(rig.controller.frozen().await.is_none());
    let under_way = fleet.halt(Halt { session: None, at: 0, why: "stop".into() });
    assert!(under_way[0].1.contains("action 2 (\"scale b to 1\")"), "{under_way:?}");
    assert_eq!(asked.elapsed(), Duration::ZERO, "somebody waited");
    assert_eq!(gate(&rig.tick().await), "halted");
    // What has begun ends, and is known.
    rig.ticks(31).await;
    assert_eq!((rig.outcome(1), rig.outcome(2)), (Outcome::RolledBack, Outcome::RolledBack));
}

#[tokio::test(start_paused = true)]
async fn a_slow_undo_that_the_data_plane_refuses_in_the_end_freezes_the_session_and_calls_people() {
    let rig = undoing(&Fleet::new(vec![])).await;
    rig.plane.view.lock().refuses = Some("busy".into());
    rig.ticks(31).await;
    assert_eq!((rig.outcome(1), rig.outcome(2)), (Outcome::RollbackFailed, Outcome::RollbackFailed));
    assert_eq!(rig.notices(), ["rollback-failed"]);
    assert!(rig.controller.frozen().await.unwrap().contains("busy"));
}

/// What was done to b is undone in two steps, each of which takes its time: the loop ticks on and begins nothing.
async fn undone_slowly(rig: &Arc<Rig>, count: usize) -> Vec<flyball_control::Undo> {
    rig.plane.view.lock().takes = TAKES;
    let asked = Instant::now();
    let undoing = {
        let rig = Arc::clone(rig);
        tokio::spawn(async move { rig.controller.rollback(count, "a test").await })
    };
    tokio::task::yield_now().await;
    while !undoing.is_finished() {
        let began = Instant::now();
        let record = rig.tick_in(1).await;
        assert!(began.elapsed() <= Duration::from_millis(1_500), "a tick waited for the undo");
        assert!(matches!(gate(&record), "applying" | "settling"), "{record:#?}");
    }
    assert!(asked.elapsed() >= TAKES * 2 && asked.elapsed() < TAKES * 2 + Duration::from_secs(5));
    undoing.await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_persons_slow_undo_is_answered_when_its_last_step_is_done() {
    let rig = Arc::new(Rig::new(|panel| {
        panel.deciders = vec![wants(Action::RemoveNode { node: "b".into() })];
        panel.reversers = vec![puts_b_back()];
    }));
    rig.plane.view.lock().graph.nodes[1].replicas = 2;
    let before = rig.plane.graph().await.unwrap().digest().to_owned();
    assert_eq!(rig.tick().await.ending, Ending::Acted);
    let undone = undone_slowly(&rig, 1).await;
    assert_eq!(undone[0].result.as_ref().unwrap().len(), 2, "{undone:?}");
    assert_eq!(rig.plane.graph().await.unwrap().digest(), before);
    assert_eq!((rig.outcome(1), rig.outcome(3)), (Outcome::RolledBack, Outcome::RolledBack));
}

#[tokio::test(start_paused = true)]
async fn a_persons_slow_undo_of_two_actions_is_one_answer_and_nothing_comes_between_them() {
    let rig = Arc::new(Rig::new(|panel| {
        panel.deciders = vec![wants(scale("b", 2))];
        panel.reversers = vec![puts_back()];
    }));
    assert_eq!(rig.tick().await.ending, Ending::Acted);
    rig.publish(2, |panel| {
        panel.deciders = vec![wants(scale("b", 3))];
        panel.reversers = vec![puts_back()];
    });
    assert_eq!(rig.tick_in(60).await.ending, Ending::Acted);
    let undone = undone_slowly(&rig, 5).await;
    assert_eq!(undone.len(), 2);
    assert!(undone.iter().all(|undo| undo.result.is_ok()), "{undone:?}");
    assert_eq!(rig.applied(), [scale("b", 2), scale("b", 3), scale("b", 2), scale("b", 1)]);
}

#[tokio::test(start_paused = true)]
async fn an_undo_whose_asker_is_gone_is_done_by_the_loop() {
    let rig = applying(&Fleet::new(vec![]), |_| {}).await;
    until_done(&rig).await;
    let undoing = rig.controller.rollback(1, "a test");
    assert!(tokio::time::timeout(Duration::from_secs(1), undoing).await.is_err(), "it takes its time");
    assert_eq!(rig.outcome(1), Outcome::Effective);
    rig.ticks(31).await;
    assert_eq!((rig.outcome(1), rig.outcome(2)), (Outcome::RolledBack, Outcome::RolledBack));
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_is_to_end_ends_when_its_undo_has() {
    let rig = Arc::new(applying(&Fleet::new(vec![]), |_| {}).await);
    until_done(&rig).await;
    let undoing = {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move { rig.controller.rollback(1, "a test").await })
    };
    rig.controller.run(tokio::time::sleep(Duration::from_millis(2_500))).await;
    assert_eq!(rig.outcome(1), Outcome::RolledBack);
    assert!(undoing.await.unwrap().unwrap()[0].result.is_ok());
}
