//! The one door: halt, dry run, propose only, approval and freeze hold for every action, whoever wants it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use flyball_control::{Controller, Fleet, LoopOptions, UndoError};
use flyball_model::*;
use flyball_ports::*;
use support::*;

fn halt(session: Option<&str>) -> Halt {
    Halt { session: session.map(Into::into), at: 0, why: "enough".into() }
}

/// A session that was given a second worker at b, which makes things worse from now on: the host will undo it in three ticks.
async fn about_to_be_undone(fleet: &Arc<Fleet>) -> Rig {
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
    rig
}

fn again(rig: &Rig, generation: u64, set_up: impl FnOnce(&mut Panel)) {
    rig.publish(generation, |panel| {
        panel.deciders = vec![];
        panel.reversers = vec![puts_back()];
        set_up(panel);
    });
}

fn last_notice(rig: &Rig) -> String {
    let events = rig.told.events.lock();
    let mut notices = events.iter().rev().filter_map(|event| match event {
        Event::Notified(notice) => Some(format!("{}: {}", notice.code, notice.message)),
        _ => None,
    });
    notices.next().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_undone_by_the_host_once_it_is_halted() {
    for whose in [None, Some("s")] {
        let fleet = Fleet::new(vec![]);
        let rig = about_to_be_undone(&fleet).await;
        fleet.halt(halt(whose));
        rig.ticks(20).await;
        assert_eq!(rig.applied(), [scale("b", 2)], "halted: {whose:?}");
        assert_eq!(rig.outcome(1), Outcome::Worse, "so it can still be undone by a person");
        assert_eq!(rig.journal.actions.lock().len(), 1, "nothing was even intended");
        let told = last_notice(&rig);
        assert!(
            told.starts_with("worse: action 1")
                && told.contains("a person halted")
                && told.contains("flyball rollback 1"),
            "{told}"
        );
        assert!(rig.controller.frozen().await.is_none(), "nothing failed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_halt_of_another_session_keeps_no_undo_from_happening() {
    let fleet = Fleet::new(vec![]);
    let rig = about_to_be_undone(&fleet).await;
    fleet.halt(halt(Some("another")));
    rig.ticks(3).await;
    assert_eq!(rig.applied(), [scale("b", 2), scale("b", 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_host_undoes_nothing_where_it_may_only_propose_or_a_person_must_say_so() {
    type SetUp = fn(&mut Panel);
    let cases: [(SetUp, &str); 5] = [
        (|panel| safety(panel, |safety| safety.propose_only = true), "safety.propose_only"),
        (|panel| safety(panel, |safety| safety.dry_run = vec![ActionKind::ScaleNode]), "safety.dry_run"),
        (
            |panel| safety(panel, |safety| safety.approval.kinds = vec![ActionKind::ScaleNode]),
            "a person to approve",
        ),
        (|panel| panel.validators = vec![validator("asks", |_| Ok(Verdict::Ask(because("risky"))))], "risky"),
        (|panel| panel.rules.enabled = false, "acting is switched off"),
    ];
    for (set_up, why) in cases {
        let fleet = Fleet::new(vec![]);
        let rig = about_to_be_undone(&fleet).await;
        again(&rig, 2, set_up);
        rig.ticks(20).await;
        assert_eq!(rig.applied(), [scale("b", 2)], "{why}");
        let told = rig.told.events.lock();
        let told =
            told.iter().any(|event| matches!(event, Event::Notified(notice) if notice.message.contains(why)));
        assert!(told, "{why}: {}", last_notice(&rig));
    }
}

#[tokio::test(start_paused = true)]
async fn a_persons_undo_is_an_approval_and_no_way_past_a_halt_or_a_dry_run() {
    type SetUp = fn(&mut Panel);
    let cases: [(SetUp, Option<&str>); 4] = [
        (|panel| safety(panel, |safety| safety.approval.kinds = vec![ActionKind::ScaleNode]), None),
        (|panel| panel.rules.enabled = false, None),
        (|panel| safety(panel, |safety| safety.propose_only = true), Some("propose-only")),
        (|panel| safety(panel, |safety| safety.dry_run = vec![ActionKind::ScaleNode]), Some("dry-run")),
    ];
    for (set_up, held) in cases {
        let fleet = Fleet::new(vec![]);
        let rig = about_to_be_undone(&fleet).await;
        again(&rig, 2, set_up);
        let undone = rig.controller.rollback(1, "alice").await.unwrap();
        match (held, &undone[0].result) {
            (None, Ok(steps)) => {
                assert!(steps[0].proposal.reason.ends_with(", for alice"), "{}", steps[0].proposal.reason);
            }
            (Some(code), Err(UndoError::Held { reason, .. })) => {
                assert_eq!(reason.code, code);
                assert_eq!(rig.applied().len(), 1);
            }
            (held, result) => panic!("{held:?}: {result:?}"),
        }
    }
    let fleet = Fleet::new(vec![]);
    let rig = about_to_be_undone(&fleet).await;
    fleet.halt(halt(Some("s")));
    let undone = rig.controller.rollback(1, "").await.unwrap();
    assert_eq!(
        undone[0].result.as_ref().unwrap_err().to_string(),
        "\"scale b to 1\" was not done: a person halted the session: enough; opens with `flyball resume s`"
    );
    assert_eq!(rig.applied().len(), 1);
    fleet.resume(Some("s"));
    assert!(
        rig.controller.rollback(1, "").await.unwrap()[0].result.is_ok(),
        "what was held can still be undone"
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_runs_dry_undoes_nothing_for_anybody() {
    let rig = about_to_be_undone(&Fleet::new(vec![])).await;
    let options = LoopOptions { dry_run: true, ..LoopOptions::default() };
    let dry = Controller::new(
        rig.plane.clone(),
        rig.judges.clone(),
        rig.journal.clone(),
        Arc::new(SystemClock),
        rig.told.clone(),
        options,
    );
    let undone = dry.rollback(1, "").await.unwrap();
    assert!(
        matches!(&undone[0].result, Err(UndoError::Held { reason, .. }) if reason.message.contains("--dry-run")),
        "{undone:?}"
    );
    assert_eq!(rig.applied().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_halt_that_comes_while_the_intent_is_written_keeps_the_action_from_the_data_plane() {
    let fleet = Fleet::new(vec![]);
    let halts = |rig: &Rig, fleet: &Arc<Fleet>| {
        let fleet = Arc::clone(fleet);
        *rig.journal.meanwhile.lock() = Some(Box::new(move || drop(fleet.halt(halt(None)))));
    };
    let rig = Rig::in_fleet(&fleet, |panel| panel.deciders = vec![wants(scale("b", 2))]);
    halts(&rig, &fleet);
    let record = rig.tick().await;
    assert_eq!((record.ending, refusals(&record)), (Ending::Rejected, vec!["halted"]));
    assert!(rig.applied().is_empty());
    assert_eq!(rig.outcome(1), Outcome::Rejected);
    assert!(rig.note(1).starts_with("nothing was done: a person halted the host"), "{}", rig.note(1));
    assert!(rig.journal.actions.lock()[0].settled_at.is_some(), "no restart takes it for an action cut off");

    let fleet = Fleet::new(vec![]);
    let rig = about_to_be_undone(&fleet).await;
    halts(&rig, &fleet);
    rig.ticks(10).await;
    assert_eq!((rig.applied().len(), rig.outcome(1)), (1, Outcome::Worse));
    assert_eq!(rig.outcome(2), Outcome::Rejected);
    fleet.resume(None);
    halts(&rig, &fleet);
    let undone = rig.controller.rollback(1, "").await.unwrap();
    assert!(matches!(undone[0].result, Err(UndoError::Held { .. })), "{undone:?}");
    assert_eq!(rig.applied().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_halt_names_what_was_under_way_and_does_not_wait_for_it() {
    let fleet = Fleet::new(vec![]);
    let rig = Rig::in_fleet(&fleet, |panel| panel.deciders = vec![wants(scale("b", 2))]);
    rig.plane.view.lock().takes = Duration::from_secs(60);
    let controller = Arc::clone(&rig.controller);
    let ticking = tokio::spawn(async move { controller.tick().await });
    while rig.log.lock().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(fleet.halt(halt(Some("another"))).is_empty());
    let under_way = fleet.halt(halt(None));
    assert_eq!(under_way, [("s".into(), "action 1 (\"scale b to 2\")".to_owned())]);
    assert_eq!(ticking.await.unwrap().ending, Ending::Applying);
    assert_eq!(fleet.halt(halt(None)).len(), 1, "it goes on");
    assert_eq!(rig.tick_in(60).await.ending, Ending::Acted);
    assert!(fleet.halt(halt(None)).is_empty(), "it is over");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_nobody_could_halt_acts_no_more_until_it_can_be_reached() {
    let fleet = Fleet::new(vec![]);
    let rig = about_to_be_undone(&fleet).await;
    assert!(fleet.suspend(Some("the state directory is gone".into())));
    assert!(!fleet.suspend(Some("the state directory is gone".into())), "it was told already");
    rig.ticks(20).await;
    assert_eq!(rig.applied().len(), 1);
    assert_eq!(gate(&rig.tick_in(1).await), "state-directory");
    assert!(!fleet.resume(None), "no person can end that by a word");
    assert!(fleet.suspend(None));
    assert_eq!(rig.tick_in(60).await.ending, Ending::Acted);
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_before_a_freeze_is_not_done_after_it() {
    let thinks = Duration::from_secs(40);
    let guarded = |panel: &mut Panel| {
        safety(panel, |safety| {
            safety.approval.kinds = vec![ActionKind::ScaleNode];
            safety.futile = 1;
        });
    };
    let rig = Rig::new(|panel| {
        panel.deciders = vec![wants(scale("b", 2))];
        guarded(panel);
    });
    assert_eq!(rig.tick().await.ending, Ending::AwaitingApproval);
    // Another fault's decider begins to think.
    rig.finds(vec![finding("slow", Some("b")), finding("stuck", Some("c"))]);
    rig.publish(1, |panel| {
        panel.deciders = vec![wants_after(thinks, restart("c"))];
        guarded(panel);
    });
    let begun = rig.ticks(20).await;
    assert!(begun.iter().any(|record| record.ending == Ending::Deciding), "{begun:#?}");
    // What a person approves meanwhile fails, which freezes the session.
    let question = rig.controller.approvals().await.remove(0);
    rig.controller.approve(&question.id, None).await.unwrap();
    rig.plane.view.lock().refuses = Some("busy".into());
    rig.tick_in(1).await;
    assert!(rig.controller.frozen().await.is_some());
    rig.plane.view.lock().refuses = None;
    let records = rig.ticks(60).await;
    assert!(records.iter().any(|record| refusals(record) == ["frozen"]), "{records:#?}");
    assert!(rig.applied().is_empty(), "{records:#?}");
}

/// Every kind of action, at b.
fn every_action() -> Vec<Action> {
    vec![
        scale("b", 3),
        Action::AdjustBuffering { node: "b".into(), capacity: 7 },
        Action::BypassNode { node: "b".into(), active: true },
        Action::SwitchExecutor { node: "b".into(), to: Executor::Wasm },
        Action::UpdateNodeConfig { node: "b".into(), patch: serde_json::json!({ "by": 2 }) },
        Action::ReplaceNode { node: "b".into(), node_type: "other".into(), config: None },
        Action::RemoveNode { node: "b".into() },
        Action::InsertNode {
            id: "n".into(),
            node_type: "upper".into(),
            config: serde_json::json!({}),
            executor: None,
            after: vec!["a".into()],
            before: vec![],
        },
    ]
}

/// What a reverser might say: each kind at each node, with what was before and with something else.
fn every_step() -> Vec<Action> {
    let mut steps = vec![];
    for node in ["a", "b", "c", "n"] {
        let id: NodeId = node.into();
        steps.extend([1, 2].map(|replicas| scale(node, replicas)));
        steps.extend([7, 100].map(|capacity| Action::AdjustBuffering { node: id.clone(), capacity }));
        steps.extend([true, false].map(|active| Action::BypassNode { node: id.clone(), active }));
        let executors = [Executor::Native, Executor::Wasm, Executor::Multiprocess];
        steps.extend(executors.map(|to| Action::SwitchExecutor { node: id.clone(), to }));
        let patches = [serde_json::json!({ "by": null }), serde_json::json!({ "command": ["sh"] })];
        steps.extend(patches.map(|patch| Action::UpdateNodeConfig { node: id.clone(), patch }));
        for node_type in ["upper", "other", "command"] {
            for config in [None, Some(serde_json::json!({})), Some(serde_json::json!({ "command": ["sh"] }))]
            {
                let node_type = node_type.to_owned();
                if let Some(config) = config.clone() {
                    let (after, before) = (vec!["a".into()], vec![]);
                    let executor = None;
                    let node_type = node_type.clone();
                    let id = id.clone();
                    steps.push(Action::InsertNode { id, node_type, config, executor, after, before });
                }
                steps.push(Action::ReplaceNode { node: id.clone(), node_type, config });
            }
        }
        steps.push(Action::RemoveNode { node: id.clone() });
        steps.push(restart(node));
    }
    steps
}

#[tokio::test(start_paused = true)]
async fn whatever_a_reverser_says_an_undo_puts_back_what_was_and_touches_nothing_else() {
    let types = || {
        let all = [Executor::Native, Executor::Wasm, Executor::Multiprocess];
        ["upper", "other", "command"].map(|name| node_type(name, &all)).to_vec()
    };
    let mut put_back = 0;
    for action in every_action() {
        for step in every_step() {
            let rig = Rig::new(|panel| panel.deciders = vec![wants(action.clone())]);
            rig.plane.view.lock().types = types();
            assert_eq!(rig.tick_in(10).await.ending, Ending::Acted, "{action}");
            let said = step.clone();
            rig.publish(2, |panel| {
                panel.reversers = vec![Arc::new(plain("says", move |_: &Action, _: &GraphSpec| {
                    Ok(Reversal::Reversible { actions: vec![said.clone()] })
                }))];
            });
            let undone = rig.controller.rollback(1, "").await.unwrap();
            match rig.applied().as_slice() {
                [_] => assert!(
                    undone[0].result.is_err()
                        || rig.plane.graph().await.unwrap().digest() == graph().digest()
                ),
                [_, done] => {
                    assert_eq!(*done, step);
                    assert_eq!(
                        rig.plane.graph().await.unwrap().digest(),
                        graph().digest(),
                        "{step} after {action}"
                    );
                    put_back += 1;
                }
                more => panic!("{more:?}"),
            }
        }
    }
    assert!(put_back >= every_action().len(), "each can be undone by some step; {put_back} were");
}

#[tokio::test(start_paused = true)]
async fn a_reverser_that_says_what_is_no_inverse_has_failed_and_the_next_one_is_asked() {
    let rig = Rig::new(|panel| panel.deciders = vec![wants(scale("b", 2))]);
    assert_eq!(rig.tick().await.ending, Ending::Acted);
    let hostile = || {
        let says = |_: &Action, _: &GraphSpec| {
            let (node, node_type) = ("c".into(), "command".into());
            let config = Some(serde_json::json!({ "command": ["sh"] }));
            Ok(Reversal::Reversible { actions: vec![Action::ReplaceNode { node, node_type, config }] })
        };
        Arc::new(plain("hostile", says))
    };
    rig.publish(2, |panel| panel.reversers = vec![hostile()]);
    let undone = rig.controller.rollback(1, "").await.unwrap();
    assert_eq!(
        undone[0].result.as_ref().unwrap_err().to_string(),
        "no reverser says what undoes scale b to 2; hostile failed: \"replace c by a command\" is no inverse of \
         \"scale b to 2\": what inverts it is scale-node; add one to the policy, or mend it"
    );
    rig.publish(3, |panel| panel.reversers = vec![hostile(), puts_back()]);
    assert!(rig.controller.rollback(1, "").await.unwrap()[0].result.is_ok());
    assert_eq!(rig.applied(), [scale("b", 2), scale("b", 1)]);
}
