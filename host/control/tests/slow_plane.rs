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

use flyball_control::{Controller, Fleet, Options};
use flyball_model::*;
use flyball_ports::*;
use support::*;
use tokio::time::Instant;

const TAKES: Duration = Duration::from_secs(30);

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
    let options = Options { interval: Duration::from_secs(60), ..Options::default() };
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

#[tokio::test(start_paused = true)]
async fn what_was_decided_before_is_not_begun_beside_it() {
    let fleet = Fleet::new(vec![]);
    let rig = Rig::in_fleet(&fleet, |panel| {
        panel.deciders = vec![wants(scale("b", 2))];
        safety(panel, |safety| safety.approval.kinds = vec![ActionKind::ScaleNode]);
    });
    assert_eq!(rig.tick().await.ending, Ending::AwaitingApproval);
    rig.finds(vec![finding("slow", Some("b")), finding("stuck", Some("c"))]);
    rig.publish(1, |panel| {
        panel.deciders = vec![wants_after(Duration::from_secs(15), restart("c"))];
        safety(panel, |safety| safety.approval.kinds = vec![ActionKind::ScaleNode]);
    });
    until(&rig, Ending::Deciding).await;
    rig.plane.view.lock().takes = TAKES;
    let question = rig.controller.approvals().await.remove(0);
    rig.controller.approve(&question.id, None).await.unwrap();
    until(&rig, Ending::Applying).await;
    let records = rig.ticks(20).await;
    assert!(records.iter().any(|record| refusals(record) == ["applying"]), "{records:#?}");
    assert_eq!(until_done(&rig).await.ending, Ending::Acted);
    assert_eq!(rig.applied(), [scale("b", 2)]);
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
