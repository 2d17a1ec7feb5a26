//! Who is asked, what they are told, and what goes on meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use flyball_model::*;
use flyball_ports::*;
use parking_lot::Mutex;
use support::*;

const THINKING: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn observing_goes_on_while_a_decider_thinks() {
    let rig = Rig::new(|panel| panel.deciders = vec![wants_after(THINKING, restart("b"))]);
    assert_eq!(rig.tick().await.ending, Ending::Deciding);
    let meanwhile = rig.ticks(29).await;
    assert!(meanwhile.iter().all(|record| record.ending == Ending::Held && gate(record) == "deciding"));
    assert_eq!(rig.plane.view.lock().observed, 30);
    let landed = rig.tick_in(2).await;
    assert_eq!(landed.ending, Ending::Acted);
    assert!(landed.decision.is_some());
    assert_eq!(landed.action.unwrap().tick, 31);
    assert_eq!(rig.applied(), [restart("b")]);
}

#[tokio::test(start_paused = true)]
async fn a_decider_that_answers_at_once_is_heard_on_the_same_tick() {
    let rig = Rig::new(|panel| panel.deciders = vec![wants_after(Duration::from_millis(15), restart("b"))]);
    assert_eq!(rig.tick().await.ending, Ending::Acted);
}

#[tokio::test(start_paused = true)]
async fn a_decision_whose_finding_is_gone_is_rejected() {
    let rig = Rig::new(|panel| panel.deciders = vec![wants_after(THINKING, restart("b"))]);
    assert_eq!(rig.tick().await.ending, Ending::Deciding);
    rig.finds(vec![finding("slow", Some("c")), finding("failing", Some("b"))]);
    let landed = rig.tick_in(31).await;
    assert_eq!((landed.ending, refusals(&landed)), (Ending::Rejected, vec!["finding-gone"]));
    assert!(rig.applied().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_decision_is_for_the_finding_at_the_node_that_it_touches() {
    let rig = Rig::new(|panel| panel.deciders = vec![wants_after(THINKING, restart("b"))]);
    rig.finds(vec![finding("slow", Some("b")), finding("slow", Some("c"))]);
    assert_eq!(rig.tick().await.ending, Ending::Deciding);
    rig.finds(vec![finding("slow", Some("c"))]);
    assert_eq!(refusals(&rig.tick_in(31).await), ["finding-gone"]);
}

#[tokio::test(start_paused = true)]
async fn a_decision_is_checked_against_the_graph_as_it_is_when_it_lands() {
    let rig = Rig::new(|panel| panel.deciders = vec![wants_after(THINKING, restart("b"))]);
    assert_eq!(rig.tick().await.ending, Ending::Deciding);
    rig.plane.view.lock().graph.nodes.retain(|node| node.id != "b");
    assert_eq!(refusals(&rig.tick_in(31).await), ["unknown-node"]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_tightened_while_a_decider_thinks_is_in_force_for_its_decision() {
    type SetUp = fn(&mut Panel);
    let cases: [(SetUp, &str); 3] = [
        (|panel| panel.rules.protected = vec!["b".into()], "protected-node"),
        (|panel| panel.rules.mutation = MutationPolicy::ReadOnly, "kind-not-allowed"),
        (|panel| panel.rules.enabled = false, "disabled"),
    ];
    for (tighten, code) in cases {
        let rig = Rig::new(|panel| panel.deciders = vec![wants_after(THINKING, restart("b"))]);
        assert_eq!(rig.tick().await.ending, Ending::Deciding);
        rig.publish(2, tighten);
        let landed = rig.tick_in(31).await;
        assert_eq!((landed.ending, refusals(&landed)), (Ending::Rejected, vec![code]));
        assert!(rig.applied().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_loosened_while_a_decider_thinks_is_not_in_force_for_its_decision() {
    let rig = Rig::new(|panel| {
        panel.rules.mutation = MutationPolicy::Heal;
        panel.deciders = vec![wants_after(THINKING, scale("b", 2))];
    });
    assert_eq!(rig.tick().await.ending, Ending::Deciding);
    rig.publish(2, |_| {});
    assert_eq!(refusals(&rig.tick_in(31).await), ["kind-not-allowed"]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_gone_when_a_decision_lands_rejects_it() {
    let rig = Rig::new(|panel| panel.deciders = vec![wants_after(THINKING, restart("b"))]);
    assert_eq!(rig.tick().await.ending, Ending::Deciding);
    *rig.judges.0.lock() = None;
    assert_eq!(refusals(&rig.tick_in(31).await), ["no-policy", "finding-gone"]);
    assert!(rig.applied().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_decision_is_reviewed_by_the_validators_that_it_began_with() {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![wants_after(THINKING, restart("b"))];
        panel.validators = vec![validator("old", |_| Ok(Verdict::Deny(because("old"))))];
    });
    assert_eq!(rig.tick().await.ending, Ending::Deciding);
    rig.publish(2, |_| {});
    let landed = rig.tick_in(31).await;
    assert_eq!((landed.generation, refusals(&landed)), (2, vec!["old"]));
}

#[tokio::test(start_paused = true)]
async fn deciders_are_asked_in_order_until_one_answers() {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![
            decider("fails", |_, _| Err("out of order".into())),
            decider("abstains", |_, _| Ok(Decided::Abstains("no rule fits".into()))),
            decider("answers", |_, _| Ok(Decided::For(decision(restart("b"))))),
            decider("never", |_, _| panic!("it was asked")),
        ];
    });
    let record = rig.tick().await;
    assert_eq!(record.ending, Ending::Acted);
    assert_eq!(record.decision.unwrap().by, id("answers"));
    let failures: Vec<_> =
        record.failures.iter().map(|failed| (failed.by.to_string(), failed.error.clone())).collect();
    assert_eq!(failures, [("fails".to_owned(), "out of order".to_owned())], "to abstain is no failure");
    let abstained: Vec<_> = record
        .answers
        .iter()
        .filter(|answer| answer.said == DeciderSaid::Abstains)
        .map(|answer| (answer.decider(), answer.why.as_str()))
        .collect();
    assert_eq!(abstained, [("abstains", "no rule fits")]);
    let judged_by = record.action.unwrap().judged_by;
    assert_eq!(judged_by, [id("abstains"), id("answers"), id("finds")]);
}

#[tokio::test(start_paused = true)]
async fn a_decider_that_panics_is_its_own_error() {
    let rig = Rig::new(|panel| {
        panel.deciders = vec![decider("panics", |_, _| panic!("index out of bounds")), wants(restart("b"))];
    });
    let record = rig.tick().await;
    assert_eq!(record.ending, Ending::Acted);
    assert_eq!(record.failures[0].by, id("panics"));
    assert_eq!(record.failures[0].error, "it panicked: index out of bounds");
}

#[tokio::test(start_paused = true)]
async fn a_heuristic_that_fails_is_a_finding_and_stops_nothing() {
    let rig = Rig::new(|panel| {
        panel.heuristics.insert(0, Arc::new(plain("fails", |_: &Sight| Err("no memory".into()))));
        panel.heuristics.insert(0, Arc::new(plain("panics", |_: &Sight| panic!("oh"))));
    });
    let record = rig.tick().await;
    assert_eq!(record.ending, Ending::Acted);
    let said: Vec<_> =
        record.findings.iter().map(|found| (found.said.code.as_str(), found.said.severity)).collect();
    let aside = ("judge-failed", Severity::Info);
    assert_eq!(said, [("slow", Severity::Warning), aside, aside]);
    assert_eq!(record.failures.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_decider_is_told_what_is_allowed_offered_and_past() {
    let told = Arc::new(Mutex::new(None));
    let tells = Arc::clone(&told);
    let rig = Rig::new(|panel| {
        panel.rules.mutation = MutationPolicy::Heal;
        may_create(panel, "lower", serde_json::json!({}));
        let mut upper = node_type("upper", &[Executor::Wasm, Executor::Multiprocess]);
        upper.offers[0].relative_speed = Some(4.0);
        let lists = move || Ok(vec![upper.clone(), node_type("lower", &[Executor::Native])]);
        panel.catalogs =
            vec![Arc::new(plain("lists", lists)), Arc::new(plain("fails", || Err("no network".into())))];
        panel.deciders = vec![decider("listens", move |sight, situation| {
            *tells.lock() = Some((sight.clone(), situation.clone()));
            Ok(Decided::For(decision(restart("b"))))
        })];
    });
    rig.plane.view.lock().support.retain(|support| support.kind != ActionKind::BypassNode);
    rig.finds(vec![
        finding("slow", Some("b")),
        Finding { severity: Severity::Critical, ..finding("down", Some("b")) },
    ]);
    let record = rig.tick().await;
    assert_eq!((record.failures[0].by.clone(), record.failures[0].kind), (id("fails"), PluginKind::Catalog));
    rig.tick_in(10).await;
    let (sight, situation) = told.lock().take().unwrap();
    assert_eq!((sight.now.tick, sight.past.len()), (2, 1));
    assert_eq!(situation.allowed, [ActionKind::NoOp, ActionKind::ReplaceNode, ActionKind::RestartProcess]);
    let names: Vec<_> = situation.node_types.iter().map(|known| known.name.as_str()).collect();
    assert_eq!(names, ["upper", "lower"]);
    let offers: Vec<_> =
        situation.node_types[0].offers.iter().map(|offer| (offer.executor, offer.relative_speed)).collect();
    let expected = [(Executor::Native, None), (Executor::Wasm, Some(4.0)), (Executor::Multiprocess, None)];
    assert_eq!(offers, expected);
    let codes: Vec<_> = situation.findings.iter().map(|found| found.code.as_str()).collect();
    assert_eq!(codes, ["down", "slow"], "worst first");
    let past: Vec<_> =
        situation.past.iter().map(|past| (past.proposal.action.clone(), past.outcome)).collect();
    assert_eq!(past, [(restart("b"), Outcome::Accepted)]);
}

#[tokio::test(start_paused = true)]
async fn the_history_is_as_long_as_the_policy_says() {
    let seen = Arc::new(Mutex::new(vec![]));
    let sees = Arc::clone(&seen);
    let rig = Rig::new(|panel| {
        panel.rules.history = 3;
        panel.heuristics = vec![Arc::new(plain("sees", move |sight: &Sight| {
            sees.lock().push(sight.past.newest(9).map(|seen| seen.tick).collect::<Vec<_>>());
            Ok(vec![])
        }))];
    });
    rig.ticks(5).await;
    assert_eq!(*seen.lock(), [vec![], vec![1], vec![1, 2], vec![1, 2, 3], vec![2, 3, 4]]);
}
