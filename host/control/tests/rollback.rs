//! An operator's undo.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use flyball_control::UndoError;
use flyball_model::*;
use flyball_ports::*;
use support::*;

fn reversible(actions: Vec<Action>) -> Result<Reversal, String> {
    Ok(Reversal::Reversible { actions })
}

/// Undoes scalings and executor switches from the snapshot, and nothing else.
fn reverser() -> Arc<dyn Reverser> {
    Arc::new(plain("reverses", |action: &Action, before: &GraphSpec| match action {
        Action::ScaleNode { node, .. } => reversible(vec![scale(node, before.node(node).unwrap().replicas)]),
        Action::SwitchExecutor { node, .. } => {
            let to = before.node(node).unwrap().executor;
            reversible(vec![Action::SwitchExecutor { node: node.clone(), to }])
        }
        _ => Ok(Reversal::Irreversible { why: "a process cannot be un-started".into() }),
    }))
}

/// A session on which these were done, in this order.
async fn after(actions: &[Action], set_up: impl FnOnce(&mut Panel)) -> Rig {
    let rig = Rig::new(|_| {});
    for action in actions {
        rig.publish(1, |panel| panel.deciders = vec![wants(action.clone())]);
        assert_eq!(rig.tick_in(10).await.ending, Ending::Acted);
    }
    rig.publish(2, |panel| {
        panel.reversers = vec![reverser()];
        set_up(panel);
    });
    rig.log.lock().clear();
    rig
}

fn to_wasm() -> Action {
    Action::SwitchExecutor { node: "b".into(), to: Executor::Wasm }
}

#[tokio::test(start_paused = true)]
async fn rollback_restores_in_reverse_order() {
    let rig = after(&[scale("b", 3), to_wasm()], |_| {}).await;
    let undone = rig.controller.rollback(5, "").await.unwrap();
    assert_eq!(
        *rig.log.lock(),
        [
            "intend 3",
            "apply switch b to native",
            "conclude 2 rolled-back",
            "conclude 3 rolled-back",
            "intend 4",
            "apply scale b to 1",
            "conclude 1 rolled-back",
            "conclude 4 rolled-back",
        ]
    );
    assert_eq!(undone.len(), 2);
    let steps = undone[0].result.as_ref().unwrap();
    assert_eq!(
        (steps[0].undoes, steps[0].generation, steps[0].decided_by.to_string()),
        (Some(2), 2, "operator".into())
    );
    assert_eq!(steps[0].judged_by, [id("reverses")]);
    assert_eq!(undone[1].action.note.as_deref(), Some("undone by 4"));
    assert_eq!(rig.plane.graph().await.unwrap().digest(), graph().digest());
    let told = [2, 3, 1, 4].map(|id| (id, Outcome::RolledBack));
    assert!(rig.told.concluded.lock().ends_with(&told));
}

#[tokio::test(start_paused = true)]
async fn rollback_undoes_no_more_than_asked() {
    let rig = after(&[scale("b", 3), to_wasm()], |_| {}).await;
    assert_eq!(rig.controller.rollback(1, "").await.unwrap().len(), 1);
    assert_eq!(rig.plane.graph().await.unwrap().node("b").unwrap().replicas, 3);
    assert_eq!(rig.controller.rollback(0, "").await.unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn rollback_stops_at_the_first_that_fails() {
    let rig = after(&[scale("b", 3), restart("b"), to_wasm()], |_| {}).await;
    let undone = rig.controller.rollback(3, "").await.unwrap();
    assert_eq!(undone.len(), 2);
    assert!(undone[0].result.is_ok());
    let error = undone[1].result.as_ref().unwrap_err();
    assert_eq!(error.to_string(), "restart b cannot be undone: a process cannot be un-started");
    assert_eq!(rig.plane.graph().await.unwrap().node("b").unwrap().replicas, 3, "what is older stays");
    assert_ne!(rig.outcome(2), Outcome::RollbackFailed, "nothing was tried");
}

#[tokio::test(start_paused = true)]
async fn an_undo_after_which_the_graph_is_another_has_failed() {
    let rig = after(&[scale("b", 3)], |_| {}).await;
    rig.plane.view.lock().deaf = true;
    let undone = rig.controller.rollback(1, "").await.unwrap();
    assert!(matches!(undone[0].result, Err(UndoError::Differs { .. })), "{undone:?}");
    assert_eq!((rig.outcome(1), rig.outcome(2)), (Outcome::RollbackFailed, Outcome::RollbackFailed));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_changed_since_stays_and_fails_no_undo() {
    let rig = after(&[scale("b", 3)], |_| {}).await;
    let elsewhere = |graph: &mut GraphSpec| {
        for node in &mut graph.nodes {
            match node.id.as_str() {
                "b" => node.queue_capacity = 77,
                _ => node.replicas = 5,
            }
        }
        graph.nodes.push(node("d"));
        graph.edges.push(("c".into(), "d".into()));
    };
    elsewhere(&mut rig.plane.view.lock().graph);
    let undone = rig.controller.rollback(1, "").await.unwrap();
    assert!(undone[0].result.is_ok(), "{undone:?}");
    let mut expected = graph();
    elsewhere(&mut expected);
    assert_eq!(rig.plane.graph().await.unwrap().digest(), expected.digest());
    assert_eq!(rig.outcome(1), Outcome::RolledBack);
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_the_data_plane_refuses_has_failed() {
    let rig = after(&[scale("b", 3)], |_| {}).await;
    rig.plane.view.lock().refuses = Some("busy".into());
    let undone = rig.controller.rollback(1, "").await.unwrap();
    assert!(matches!(&undone[0].result, Err(UndoError::NotApplied { error, .. }) if error == "busy"));
    assert_eq!((rig.outcome(1), rig.outcome(2)), (Outcome::RollbackFailed, Outcome::RollbackFailed));
}

#[tokio::test(start_paused = true)]
async fn an_undo_passes_the_same_guards() {
    type SetUp = fn(&mut Panel);
    let cases: [(SetUp, &str); 3] = [
        (|panel| panel.rules.protected = vec!["b".into()], "protected-node"),
        (|panel| panel.rules.mutation = MutationPolicy::Heal, "kind-not-allowed"),
        (|panel| panel.validators = vec![validator("denies", |_| Ok(Verdict::Deny(because("no"))))], "no"),
    ];
    for (set_up, code) in cases {
        let rig = after(&[scale("b", 3)], set_up).await;
        let undone = rig.controller.rollback(1, "").await.unwrap();
        let Err(UndoError::Rejected { reason, .. }) = &undone[0].result else { panic!("{undone:?}") };
        assert_eq!(reason.code, code);
        assert!(rig.log.lock().is_empty(), "nothing was done");
        assert_eq!(rig.outcome(1), Outcome::Effective, "so it can still be undone");
    }
}

#[tokio::test(start_paused = true)]
async fn an_undo_whose_intent_is_not_recorded_is_not_done() {
    let rig = after(&[scale("b", 3)], |_| {}).await;
    *rig.journal.fails_to_intend.lock() = true;
    let undone = rig.controller.rollback(1, "").await.unwrap();
    assert!(matches!(undone[0].result, Err(UndoError::NotIntended { .. })));
    assert!(rig.log.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn reversers_are_asked_until_one_knows() {
    let rig = after(&[scale("b", 3)], |panel| {
        panel.reversers = vec![
            Arc::new(plain("fails", |_: &Action, _: &GraphSpec| Err("no memory".into()))),
            Arc::new(plain("cannot", |_: &Action, _: &GraphSpec| {
                Ok(Reversal::Irreversible { why: "not mine".into() })
            })),
            reverser(),
        ];
    })
    .await;
    assert!(rig.controller.rollback(1, "").await.unwrap()[0].result.is_ok());

    let rig = after(&[scale("b", 3)], |panel| {
        panel.reversers = vec![Arc::new(plain("fails", |_: &Action, _: &GraphSpec| Err("no memory".into())))];
    })
    .await;
    let undone = rig.controller.rollback(1, "").await.unwrap();
    assert_eq!(
        undone[0].result.as_ref().unwrap_err().to_string(),
        "no reverser says what undoes scale b to 3; fails failed: no memory; add one to the policy, or mend it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_held_half_way_leaves_the_undo_failed() {
    let remove = Action::RemoveNode { node: "b".into() };
    let rig = after(&[scale("b", 3), remove], |panel| {
        panel.reversers = vec![puts_b_back()];
        panel.validators = vec![validator("no-scaling", |proposal| match proposal.action.kind() {
            ActionKind::ScaleNode => Ok(Verdict::Deny(because("no"))),
            _ => Ok(Verdict::Allow),
        })];
    })
    .await;
    let undone = rig.controller.rollback(1, "").await.unwrap();
    assert!(matches!(undone[0].result, Err(UndoError::Rejected { .. })), "{undone:?}");
    assert_eq!((rig.outcome(2), rig.outcome(3)), (Outcome::RollbackFailed, Outcome::RollbackFailed));
}

#[tokio::test(start_paused = true)]
async fn the_loop_does_not_answer_an_undo_before_it_has_shown() {
    let rig = after(&[scale("b", 3)], |_| {}).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    rig.controller.rollback(1, "").await.unwrap();
    assert_eq!(gate(&rig.tick_in(1).await), "settling");
    assert_eq!(gate(&rig.tick_in(2).await), "cooldown");
    assert_eq!(rig.tick_in(2).await.ending, Ending::Acted);
}

#[tokio::test(start_paused = true)]
async fn an_undo_is_done_while_a_decider_thinks_and_holds_what_it_decides() {
    let rig = after(&[scale("b", 3)], |_| {}).await;
    rig.publish(3, |panel| {
        panel.reversers = vec![reverser()];
        panel.deciders = vec![wants_after(Duration::from_secs(7), restart("b"))];
    });
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.tick().await.ending, Ending::Deciding);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(rig.controller.rollback(1, "").await.unwrap()[0].result.is_ok());
    let landed = rig.tick_in(1).await;
    assert_eq!((landed.ending, refusals(&landed)), (Ending::Rejected, vec!["settling"]));
}

#[tokio::test(start_paused = true)]
async fn a_step_of_an_undo_that_is_so_already_is_left_out() {
    let remove = Action::RemoveNode { node: "b".into() };
    let rig = after(std::slice::from_ref(&remove), |panel| panel.reversers = vec![puts_b_back()]).await;
    let undone = rig.controller.rollback(1, "").await.unwrap();
    assert_eq!(undone[0].result.as_ref().unwrap().len(), 1, "an inserted node has one worker");
    assert_eq!(rig.applied().len(), 2);
    assert_eq!(rig.applied()[0], remove);
}
