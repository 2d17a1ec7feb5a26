//! What people say to the loop: approve, deny, halt, resume, propose only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;

use flyball_control::{ApprovalError, Fleet};
use flyball_model::*;
use flyball_ports::*;
use support::*;

fn asks_for(kind: ActionKind) -> impl FnOnce(&mut Panel) {
    move |panel| safety(panel, |safety| safety.approval.kinds = vec![kind])
}

async fn asked(rig: &Rig) -> Approval {
    assert_eq!(rig.tick().await.ending, Ending::AwaitingApproval);
    rig.controller.approvals().await.remove(0)
}

#[tokio::test(start_paused = true)]
async fn what_a_person_approves_is_done_on_the_next_tick_and_once() {
    let rig = Rig::new(asks_for(ActionKind::RestartProcess));
    let question = asked(&rig).await;
    assert_eq!(
        (question.action.clone(), question.reason.code.as_str()),
        (restart("b"), "approval-by-policy")
    );
    assert_eq!(rig.notices(), ["approval-asked"]);
    assert_eq!(gate(&rig.tick_in(1).await), "approval");
    assert!(rig.applied().is_empty());

    rig.controller.approve(&question.id, None).await.unwrap();
    assert_eq!(gate(&rig.tick_in(1).await), "cooldown", "a yes waits for what is a matter of time");
    assert_eq!(rig.tick_in(5).await.ending, Ending::Acted);
    assert_eq!(rig.applied(), [restart("b")]);
    let again = rig.controller.approve(&question.id, None).await.unwrap_err();
    assert!(matches!(again, ApprovalError::Unknown { .. }), "{again}");
    let next = rig.tick_in(10).await;
    assert_eq!(next.ending, Ending::AwaitingApproval, "the next one is asked for again");
}

#[tokio::test(start_paused = true)]
async fn a_validator_may_ask_and_nobody_is_asked_for_what_another_denies() {
    let asks = || validator("asks", |_| Ok(Verdict::Ask(because("risky"))));
    let rig = Rig::new(|panel| panel.validators = vec![asks()]);
    assert_eq!(asked(&rig).await.reason, because("risky"));

    let denies = validator("denies", |_| Ok(Verdict::Deny(because("no"))));
    let rig = Rig::new(|panel| panel.validators = vec![asks(), denies]);
    assert_eq!(rig.tick().await.ending, Ending::Rejected);
    assert!(rig.controller.approvals().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_person_denies_is_not_done() {
    let rig = Rig::new(asks_for(ActionKind::RestartProcess));
    let question = asked(&rig).await;
    rig.controller.deny(&question.id, "not at noon", None).await.unwrap();
    assert!(rig.controller.approve(&question.id, None).await.is_err());
    rig.ticks(4).await;
    assert!(rig.applied().is_empty());
    let again = rig.tick_in(10).await;
    assert_eq!(
        (again.ending, refusals(&again)),
        (Ending::Rejected, vec!["asked-in-vain"]),
        "nobody is nagged"
    );
    let denied = Event::ApprovalDenied { id: question.id, why: "not at noon".into(), by: None };
    assert!(rig.told.events.lock().contains(&denied));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_answers_expires_and_that_is_journaled() {
    let rig = Rig::new(|panel| {
        safety(panel, |safety| {
            safety.approval = ApprovalRules { kinds: vec![ActionKind::RestartProcess], expires_ms: 60_000 };
        });
    });
    let question = asked(&rig).await;
    rig.tick_in(59).await;
    assert_eq!(rig.controller.approvals().await.len(), 1);
    rig.tick_in(2).await;
    let expired = Event::ApprovalExpired { id: question.id.clone(), why: "nobody answered in time".into() };
    assert!(rig.journal.events.lock().iter().any(|record| record.event == expired));
    assert!(rig.controller.approve(&question.id, None).await.is_err());
    assert!(rig.applied().is_empty());
    rig.ticks(50).await;
    assert_eq!(rig.notices(), ["approval-asked"], "nobody is nagged");
    rig.ticks(60).await;
    assert_eq!(rig.notices(), ["approval-asked", "approval-asked"], "a while later it may be asked again");
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_void_when_the_graph_or_the_finding_is_another() {
    let rig = Rig::new(asks_for(ActionKind::RestartProcess));
    let question = asked(&rig).await;
    rig.controller.approve(&question.id, None).await.unwrap();
    rig.plane.view.lock().graph.nodes[0].replicas = 7;
    rig.tick_in(1).await;
    assert!(rig.applied().is_empty());
    let why = "the graph has changed since it was asked".to_owned();
    assert!(rig.told.events.lock().contains(&Event::ApprovalExpired { id: question.id, why }));

    let rig = Rig::new(asks_for(ActionKind::RestartProcess));
    let question = asked(&rig).await;
    rig.finds(vec![finding("other", Some("c"))]);
    rig.ticks(2).await;
    assert_eq!(rig.controller.approvals().await.len(), 1, "a finding may come and go");
    rig.ticks(1).await;
    assert!(rig.controller.approve(&question.id, None).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_question_that_stands_keeps_nobody_from_healing_something_else() {
    let rig = Rig::new(|panel| {
        safety(panel, |safety| safety.approval.kinds = vec![ActionKind::RestartProcess]);
        panel.deciders = vec![decider("both", |_, situation| {
            let codes: Vec<&str> = situation.findings.iter().map(|finding| finding.code.as_str()).collect();
            let action = if codes.contains(&"slow") { restart("b") } else { scale("c", 2) };
            Ok(Decided::For(decision(action)))
        })];
    });
    let question = asked(&rig).await;
    rig.finds(vec![finding("slow", Some("b")), finding("full", Some("c"))]);
    assert_eq!(rig.tick_in(6).await.ending, Ending::Acted);
    assert_eq!(rig.applied(), [scale("c", 2)]);
    let expired =
        Event::ApprovalExpired { id: question.id, why: "the graph has changed since it was asked".into() };
    rig.tick_in(1).await;
    assert!(rig.told.events.lock().contains(&expired));
}

#[tokio::test(start_paused = true)]
async fn people_are_asked_one_question_at_a_time() {
    let rig = Rig::new(|panel| {
        safety(panel, |safety| safety.approval.kinds = vec![ActionKind::RestartProcess]);
        panel.deciders = vec![decider("worst", |_, situation| {
            let node = situation.findings[0].target.clone().unwrap();
            Ok(Decided::For(decision(restart(&node))))
        })];
    });
    asked(&rig).await;
    rig.finds(vec![finding("slow", Some("b")), finding("slow", Some("c"))]);
    let record = rig.tick_in(6).await;
    assert_eq!((record.ending, refusals(&record)), (Ending::Rejected, vec!["another-question-stands"]));
    assert_eq!(rig.notices(), ["approval-asked"]);
}

#[tokio::test(start_paused = true)]
async fn an_approved_action_is_checked_again_when_it_is_applied() {
    let rig = Rig::new(asks_for(ActionKind::RestartProcess));
    let question = asked(&rig).await;
    rig.controller.approve(&question.id, None).await.unwrap();
    rig.publish(2, |panel| panel.rules.protected = vec!["b".into()]);
    let record = rig.tick_in(6).await;
    assert_eq!((record.ending, refusals(&record)), (Ending::Rejected, vec!["protected-node"]));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_what_cannot_be_journaled_and_no_answer_counts_that_is_not() {
    let rig = Rig::new(asks_for(ActionKind::RestartProcess));
    *rig.journal.fails_to_intend.lock() = true;
    assert_eq!(rig.tick().await.ending, Ending::Failed);
    assert!(rig.controller.approvals().await.is_empty());
    *rig.journal.fails_to_intend.lock() = false;
    let record = rig.tick_in(10).await;
    assert_eq!(record.ending, Ending::AwaitingApproval);
    let question = rig.controller.approvals().await.remove(0);
    *rig.journal.fails_to_intend.lock() = true;
    assert!(matches!(rig.controller.approve(&question.id, None).await, Err(ApprovalError::NotRecorded(_))));
    rig.tick_in(1).await;
    assert!(rig.applied().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_proposed_only_is_judged_and_not_done() {
    let rig = Rig::new(|panel| safety(panel, |safety| safety.propose_only = true));
    let record = rig.tick().await;
    assert_eq!((record.ending, record.action), (Ending::Proposed, None));
    assert!(record.decision.is_some());

    let rig = Rig::new(|panel| safety(panel, |safety| safety.dry_run = vec![ActionKind::RestartProcess]));
    assert_eq!(rig.tick().await.ending, Ending::Proposed);
    rig.publish(2, |panel| {
        panel.deciders = vec![wants(scale("b", 2))];
        safety(panel, |safety| safety.dry_run = vec![ActionKind::RestartProcess]);
    });
    assert_eq!(rig.tick_in(10).await.ending, Ending::Acted, "a dry run of one kind is none of another");
    assert_eq!(rig.applied(), [scale("b", 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_halt_stops_all_acting_within_one_tick_and_observing_goes_on() {
    let fleet = Fleet::new(vec![]);
    let (mine, other) = (Rig::in_fleet(&fleet, |_| {}), Rig::in_fleet(&fleet, |_| {}));
    fleet.halt(Halt { session: None, at: 0, why: "migration".into() });
    for rig in [&mine, &other] {
        let record = rig.tick().await;
        assert_eq!((record.ending, gate(&record)), (Ending::Held, "halted"));
        assert_eq!(
            record.gate.unwrap().message,
            "a person halted the host: migration; opens with `flyball resume`"
        );
        assert!(!record.findings.is_empty());
    }
    assert!(fleet.resume(None));
    assert!(!fleet.resume(None));
    assert_eq!(mine.tick_in(1).await.ending, Ending::Acted);
}

#[tokio::test(start_paused = true)]
async fn a_halt_of_one_session_is_none_of_another() {
    let fleet = Fleet::new(vec![Halt { session: Some("other".into()), at: 0, why: "x".into() }]);
    assert_eq!(Rig::in_fleet(&fleet, |_| {}).tick().await.ending, Ending::Acted);
    fleet.halt(Halt { session: Some("s".into()), at: 0, why: "y".into() });
    assert_eq!(gate(&Rig::in_fleet(&fleet, |_| {}).tick().await), "halted");
}

#[tokio::test(start_paused = true)]
async fn a_halt_while_a_decider_thinks_stops_what_it_decides() {
    let fleet = Fleet::new(vec![]);
    let thinks = std::time::Duration::from_secs(3);
    let rig = Rig::in_fleet(&fleet, |panel| panel.deciders = vec![wants_after(thinks, restart("b"))]);
    assert_eq!(rig.tick().await.ending, Ending::Deciding);
    fleet.halt(Halt { session: None, at: 0, why: "stop".into() });
    let record = rig.tick_in(4).await;
    assert_eq!((record.ending, refusals(&record)), (Ending::Rejected, vec!["halted"]));
    assert!(rig.applied().is_empty());
    drop(Arc::clone(&fleet));
}

#[tokio::test(start_paused = true)]
async fn people_are_told_once_of_a_critical_fault_that_gets_no_answer() {
    let denies = || validator("denies", |_| Ok(Verdict::Deny(because("not-here"))));
    let failed = |severity| Finding { severity, ..finding("node-failed", Some("b")) };
    let rig = Rig::new(|panel| panel.validators = vec![denies()]);
    rig.finds(vec![failed(Severity::Warning)]);
    for _ in 0..30 {
        rig.tick_in(10).await;
    }
    assert!(rig.notices().is_empty(), "a warning wakes nobody");

    rig.finds(vec![]);
    rig.tick_in(10).await;
    rig.finds(vec![failed(Severity::Critical)]);
    let mut decisions = 0;
    while decisions < 3 {
        assert!(rig.notices().is_empty(), "after {decisions} decisions");
        decisions += u32::from(rig.tick_in(10).await.ending == Ending::Rejected);
    }
    assert_eq!(rig.notices(), ["unanswered"]);
    for _ in 0..100 {
        rig.tick_in(10).await;
    }
    assert_eq!(rig.notices(), ["unanswered"], "nobody is nagged");
    assert!(rig.applied().is_empty());
}
