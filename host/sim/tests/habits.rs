//! A plane takes actions as its world says: at once, late, half, twice or not at all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::time::Duration;

use flyball_model::{Action, ActionKind, Executor};
use flyball_ports::{ApplyError, DataPlane as _, Loss, PlaneChange, UndoKind};
use flyball_sim::{ActionAnswer, Plan};
use serde_json::json;
use support::*;
use tokio::time::Instant;

/// Scaling is done like this.
fn scaling(habit: &str) -> Plan {
    simple(&format!("habits: {{scale-node: {{{habit}}}}}"))
}

fn declared(sim: &flyball_sim::Sim, kind: ActionKind) -> Option<flyball_ports::Support> {
    sim.support().into_iter().find(|support| support.kind == kind)
}

#[tokio::test(start_paused = true)]
async fn by_default_every_kind_is_done_at_once_and_loses_nothing() {
    let sim = begin(simple(""));
    assert_eq!(sim.support().len(), ActionKind::ALL.len());
    let scaling = declared(&sim, ActionKind::ScaleNode).unwrap();
    assert_eq!((scaling.settle_ms, scaling.change), (5_000, PlaneChange::Live));
    assert_eq!((scaling.undo, scaling.loss), (UndoKind::Reversible, Loss::None));
    act(&sim, scale("work", 3)).await.unwrap();
    assert_eq!(
        (sim.graph().await.unwrap().node("work").unwrap().replicas, truth(&sim, "work").alive),
        (3, 3)
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_plane_declares_is_what_its_world_says() {
    let sim = begin(scaling("settle_ms: 9000, change: redeploy, undo: lossy, loss: in-hand"));
    let scaling = declared(&sim, ActionKind::ScaleNode).unwrap();
    assert_eq!((scaling.settle_ms, scaling.change), (9_000, PlaneChange::Redeploy));
    assert_eq!((scaling.undo, scaling.loss), (UndoKind::Lossy, Loss::InHand));
    let sim = begin(simple("habits: {bypass-node: {supported: false}}"));
    assert!(declared(&sim, ActionKind::BypassNode).is_none());
    let bypass = Action::BypassNode { node: "work".into(), active: true };
    assert!(matches!(act(&sim, bypass).await, Err(ApplyError::Refused(_))));
}

#[tokio::test(start_paused = true)]
async fn accepted_may_mean_that_nothing_happens() {
    let sim = begin(scaling("answer: does-nothing"));
    let before = sim.graph().await.unwrap();
    act(&sim, scale("work", 3)).await.unwrap();
    pass(60.0).await;
    assert_eq!((sim.graph().await.unwrap(), truth(&sim, "work").alive), (before, 1));
    assert_eq!(sim.applied()[0].told, ActionAnswer::Accepted);
}

#[tokio::test(start_paused = true)]
async fn the_graph_may_show_what_nothing_follows_and_the_other_way_round() {
    let sim = begin(scaling("answer: only-shows"));
    act(&sim, scale("work", 3)).await.unwrap();
    pass(60.0).await;
    assert_eq!(
        (sim.graph().await.unwrap().node("work").unwrap().replicas, truth(&sim, "work").alive),
        (3, 1)
    );
    assert_eq!(number(&see(&sim).await, "work", "replicas"), 1.0, "what is measured is what is");
    let sim = begin(scaling("answer: only-behaves"));
    act(&sim, scale("work", 3)).await.unwrap();
    assert_eq!(
        (sim.graph().await.unwrap().node("work").unwrap().replicas, truth(&sim, "work").alive),
        (1, 3)
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_may_take_effect_later_and_be_answered_late() {
    let sim = begin(scaling("effective_after_ms: 2700, answers_after_ms: 1000"));
    assert_eq!(declared(&sim, ActionKind::ScaleNode).unwrap().settle_ms, 7_700);
    let began = Instant::now();
    act(&sim, scale("work", 3)).await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    assert_eq!(
        (sim.graph().await.unwrap().node("work").unwrap().replicas, truth(&sim, "work").alive),
        (3, 1)
    );
    assert_eq!(sim.truth().effects_to_come, 1);
    pass(1.6).await;
    assert_eq!(truth(&sim, "work").alive, 1);
    pass(0.2).await;
    assert_eq!(truth(&sim, "work").alive, 3);
}

#[tokio::test(start_paused = true)]
async fn a_plane_that_refuses_changes_nothing_and_one_that_fails_leaves_the_graph_as_it_was() {
    let sim = begin(scaling("answer: refuses, why: no quota"));
    assert!(matches!(act(&sim, scale("work", 3)).await, Err(ApplyError::Refused(why)) if why == "no quota"));
    let sim = begin(scaling(
        "answer: fails, why: timeout, change: redeploy, stops_ms: 3000, topology_empty_ms: 2000",
    ));
    let before = sim.graph().await.unwrap();
    pass(10.0).await;
    assert!(matches!(act(&sim, scale("work", 3)).await, Err(ApplyError::Failed(why)) if why == "timeout"));
    assert_eq!(sim.graph().await.unwrap(), before);
    assert!(truth(&sim, "work").paused && see(&sim).await.nodes.is_empty(), "half-way is not without effect");
    pass(10.0).await;
    assert_eq!(truth(&sim, "work").alive, 1);
    assert!(matches!(sim.applied()[0].told, ActionAnswer::Failed(_)));
    assert_whole(&sim);
}

#[tokio::test(start_paused = true)]
async fn what_is_done_twice_goes_as_far_again() {
    let sim = begin(scaling("answer: twice"));
    act(&sim, scale("work", 3)).await.unwrap();
    assert_eq!(
        (sim.graph().await.unwrap().node("work").unwrap().replicas, truth(&sim, "work").alive),
        (5, 5)
    );
    assert_eq!(sim.applied().len(), 1, "it was asked for once");
    let mut plan = simple("habits: {restart-process: {answer: twice}}");
    plan.graph.nodes[1].executor = Executor::Multiprocess;
    let sim = begin(plan);
    act(&sim, restart("work")).await.unwrap();
    assert_eq!(truth(&sim, "work").restarts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_lossy_plane_drops_what_waits_when_a_bound_is_lowered() {
    for (loss, lost) in [("loss: waiting", true), ("loss: none", false), ("loss: none, loses: waiting", true)]
    {
        let mut plan = simple(&format!("habits: {{adjust-buffering: {{{loss}}}}}"));
        plan.world.nodes.get_mut("work").unwrap().service_ms = flyball_sim::Service::Constant(100.0);
        let sim = begin(plan);
        pass(10.0).await;
        let waiting = truth(&sim, "work").waiting as u64;
        act(&sim, buffer("work", 100)).await.unwrap();
        assert_eq!(sim.account().lost, if lost { waiting - 100 } else { 0 });
        assert_whole(&sim);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_stops_its_node_and_a_redeploy_stops_all_and_looks_empty() {
    let sim = begin(scaling("change: restart, stops_ms: 4000"));
    pass(10.0).await;
    act(&sim, scale("work", 2)).await.unwrap();
    assert!(truth(&sim, "work").paused && !truth(&sim, "out").paused);
    pass(3.9).await;
    assert!(truth(&sim, "work").waiting > 100);
    pass(6.0).await;
    assert!(truth(&sim, "work").waiting < 10);
    let sim = begin(scaling("change: redeploy, stops_ms: 4000, topology_empty_ms: 2000"));
    pass(10.0).await;
    act(&sim, scale("work", 2)).await.unwrap();
    let accepted = sim.account().accepted;
    pass(1.9).await;
    assert!(see(&sim).await.nodes.is_empty());
    pass(2.0).await;
    assert_eq!((see(&sim).await.nodes.len(), sim.account().accepted), (3, accepted));
    pass(1.0).await;
    assert!(sim.account().accepted > accepted + 100, "what came meanwhile waited outside");
    assert_eq!(sim.account().lost, 0);
    assert_whole(&sim);
}

#[tokio::test(start_paused = true)]
async fn more_workers_on_one_resource_may_make_it_worse() {
    async fn throughput(more: &str, workers: u32) -> f64 {
        let mut plan = simple(&format!("types: {{}}\notherwise: {{{more}}}"));
        plan.world.load = world("load: {rate: {constant: 1000}}").load;
        let mut work = plan.world.otherwise.clone();
        work.service_ms = flyball_sim::Service::Constant(10.0);
        plan.world.nodes.insert("work".into(), work);
        plan.graph.nodes[1].replicas = workers;
        let sim = begin(plan);
        pass(20.0).await;
        see(&sim).await.graph.throughput_per_second
    }
    assert!((throughput("", 4).await - 400.0).abs() < 8.0);
    assert!((throughput("contention: 1", 4).await - 100.0).abs() < 4.0, "one lock for all");
    // 4 / (1 + 0.5·3 + 0.2·12) of 100 a second, and fewer workers do more.
    let (two, four) = (
        throughput("contention: 0.5, coherence: 0.2", 2).await,
        throughput("contention: 0.5, coherence: 0.2", 4).await,
    );
    assert!((four - 81.6).abs() < 3.0 && two > four, "{two} {four}");
}

#[tokio::test(start_paused = true)]
async fn a_change_may_leave_its_node_slower_until_it_has_new_workers() {
    let sim = begin(scaling("slower_after: 2"));
    act(&sim, scale("work", 2)).await.unwrap();
    assert_eq!(truth(&sim, "work").slower, 2.0);
    act(&sim, Action::SwitchExecutor { node: "work".into(), to: Executor::Wasm }).await.unwrap();
    assert_eq!(truth(&sim, "work").slower, 1.0);
}

#[tokio::test(start_paused = true)]
async fn executors_have_speeds_and_types_are_offered_with_them() {
    let sim = begin(simple(
        "types: {backup: {provides: [work], executors: {native: {speed: 4}, wasm: {speed: 2, cost: 3}}}}",
    ));
    act(&sim, replace("work", "backup")).await.unwrap();
    assert_eq!(truth(&sim, "work").service_mean_ms, 0.25);
    act(&sim, Action::SwitchExecutor { node: "work".into(), to: Executor::Wasm }).await.unwrap();
    assert_eq!(truth(&sim, "work").service_mean_ms, 0.5);
    let refused = act(&sim, Action::SwitchExecutor { node: "work".into(), to: Executor::Multiprocess }).await;
    assert_eq!(refused.unwrap_err().to_string(), "\"backup\" has no multiprocess executor");
    let types = sim.node_types();
    let backup = types.iter().find(|node_type| node_type.name == "backup").unwrap();
    assert_eq!(backup.provides, ["work"]);
    let speeds: Vec<_> =
        backup.offers.iter().map(|offer| (offer.executor, offer.relative_speed.unwrap())).collect();
    assert_eq!(speeds, [(Executor::Native, 2.0), (Executor::Wasm, 1.0)]);
    let refused = act(&sim, replace("work", "bakcup")).await.unwrap_err().to_string();
    assert_eq!(refused, "unknown node type \"bakcup\"; did you mean \"backup\"?");
}

#[tokio::test(start_paused = true)]
async fn a_configuration_may_make_a_node_quicker_and_a_bypass_makes_it_instant() {
    let sim = begin(simple("otherwise: {}").with(faults("faults: []")));
    let mut plan = simple("");
    plan.world.nodes.get_mut("work").unwrap().settings =
        world("otherwise: {settings: [{at: /beam, is: 1, slower: 0.5}]}").otherwise.settings;
    let tuned = begin(plan);
    for sim in [&sim, &tuned] {
        act(sim, Action::UpdateNodeConfig { node: "work".into(), patch: json!({"beam": 1}) }).await.unwrap();
    }
    assert_eq!((truth(&sim, "work").slower, truth(&tuned, "work").slower), (1.0, 0.5));
    act(&sim, Action::BypassNode { node: "work".into(), active: true }).await.unwrap();
    pass(10.0).await;
    assert_eq!(number(&see(&sim).await, "work", "latency-p99-ms"), 0.0001, "the least that is kept");
    assert_whole(&sim);
}

#[tokio::test(start_paused = true)]
async fn a_node_is_put_on_an_edge_and_taken_out_again_and_nothing_is_lost() {
    let sim = begin(simple("types: {cache: {service_ms: {constant: 2}}}"));
    let graph = sim.graph().await.unwrap();
    pass(5.0).await;
    let insert = Action::InsertNode {
        id: "new".into(),
        node_type: "cache".into(),
        config: json!({}),
        executor: None,
        after: vec!["work".into()],
        before: vec![],
    };
    act(&sim, insert).await.unwrap();
    pass(5.0).await;
    let seen = see(&sim).await;
    assert!((number(&seen, "new", "latency-p50-ms") - 2.0).abs() < 0.05);
    assert_eq!(seen.edges.len(), 3);
    act(&sim, Action::RemoveNode { node: "new".into() }).await.unwrap();
    pass(5.0).await;
    assert_eq!(sim.graph().await.unwrap().digest(), graph.digest());
    assert_eq!(sim.account().lost, 0);
    assert_whole(&sim);
}
