//! Each fault does what it says, shows as it would, and ends as it says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use flyball_model::{Action, Executor, NodeStatus};
use flyball_ports::DataPlane as _;
use flyball_sim::{Plan, Sim};
use serde_json::json;
use std::sync::Arc;
use support::*;

/// `in → work → out` in processes of its own, with this fault.
fn with(what: &str) -> Plan {
    let mut plan = simple("");
    plan.graph.nodes[1].executor = Executor::Multiprocess;
    plan.with(faults(&format!("faults: [{{{what}}}]")))
}

async fn at(plan: Plan, seconds: f64) -> Arc<Sim> {
    let sim = begin(plan);
    pass(seconds).await;
    sim
}

#[tokio::test(start_paused = true)]
async fn a_crashed_node_does_nothing_until_it_is_restarted_and_loses_nothing() {
    let sim = at(with("at_s: 10, what: {crash: {node: work}}"), 20.0).await;
    let seen = see(&sim).await;
    assert_eq!(status(&seen, "work"), NodeStatus::Failed);
    assert!((number(&seen, "work", "heartbeat-age-ms") - 10_000.0).abs() < 1.0);
    assert!(number(&seen, "work", "memory-mb").is_nan());
    assert_eq!(number(&seen, "work", "items-per-second"), 0.0);
    assert_eq!(seen.errors[0].node, Some(1));
    let waiting = truth(&sim, "work").waiting;
    assert!((400..600).contains(&waiting), "{waiting}");
    act(&sim, restart("work")).await.unwrap();
    assert_eq!(status(&see(&sim).await, "work"), NodeStatus::Unknown, "no sample yet is no success");
    pass(20.0).await;
    let seen = see(&sim).await;
    assert_eq!(status(&seen, "work"), NodeStatus::Healthy);
    assert_eq!(number(&seen, "work", "restarts"), 1.0);
    let account = sim.account();
    assert_eq!((account.lost, account.dead_lettered), (0, 0));
    assert_whole(&sim);
}

#[tokio::test(start_paused = true)]
async fn a_crash_of_one_worker_leaves_the_others_and_may_lose_what_it_had_in_hand() {
    let mut plan = with("at_s: 10, what: {crash: {node: work, workers: 1, loses: true}}");
    plan.world.nodes.get_mut("work").unwrap().service_ms = flyball_sim::Service::Constant(35.0);
    plan.graph.nodes[1].replicas = 2;
    let sim = at(plan, 20.0).await;
    let work = truth(&sim, "work");
    assert_eq!((work.alive, work.dead), (1, 1));
    assert!(work.waiting > 100, "one worker is too slow: {}", work.waiting);
    assert_eq!(sim.account().lost, 1);
    assert_eq!(status(&see(&sim).await, "work"), NodeStatus::Failed);
    assert_whole(&sim);
}

#[tokio::test(start_paused = true)]
async fn a_plane_heals_a_crash_by_itself_when_its_time_is_over() {
    let sim = at(with("at_s: 10, for_s: 6, what: {crash: {node: work}}"), 12.0).await;
    assert_eq!(truth(&sim, "work").dead, 1);
    assert_eq!(sim.truth().faults, ["crash work"]);
    pass(10.0).await;
    let seen = see(&sim).await;
    assert_eq!((status(&seen, "work"), number(&seen, "work", "restarts")), (NodeStatus::Healthy, 1.0));
    assert!(sim.truth().faults.is_empty());
}

#[tokio::test(start_paused = true)]
async fn slow_work_takes_as_many_times_as_long_and_another_type_does_not() {
    let mut plan = with("at_s: 10, what: {slow: {node: work, factor: 3}}");
    plan.world.types.insert("backup".into(), world("otherwise: {service_ms: {constant: 8}}").otherwise);
    let sim = at(plan, 10.0).await;
    assert!((number(&see(&sim).await, "work", "latency-p50-ms") - 5.0).abs() < 0.1);
    pass(10.0).await;
    assert!((number(&see(&sim).await, "work", "latency-p50-ms") - 15.0).abs() < 0.2);
    act(&sim, replace("work", "backup")).await.unwrap();
    pass(10.0).await;
    assert!((number(&see(&sim).await, "work", "latency-p50-ms") - 8.0).abs() < 0.1);
    act(&sim, replace("work", "work")).await.unwrap();
    pass(10.0).await;
    assert!(
        (number(&see(&sim).await, "work", "latency-p50-ms") - 15.0).abs() < 0.2,
        "the old type has it again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_leak_grows_and_a_restart_helps_for_a_while() {
    let sim = at(with("at_s: 10, what: {slow: {node: work, factor: 3, over_s: 100}}"), 60.0).await;
    assert!((truth(&sim, "work").slower - 2.0).abs() < 0.01);
    act(&sim, restart("work")).await.unwrap();
    assert!((truth(&sim, "work").slower - 1.0).abs() < 0.01);
    pass(200.0).await;
    assert!((truth(&sim, "work").slower - 3.0).abs() < 0.01);
}

#[tokio::test(start_paused = true)]
async fn an_error_burst_fails_its_share_of_attempts_and_is_over() {
    let plan = with("at_s: 10, for_s: 60, what: {errors: {node: work, share: 0.7, message: no route}}");
    let sim = at(plan, 60.0).await;
    let seen = see(&sim).await;
    let share = number(&seen, "work", "errors-per-second") / 50.0;
    assert!((share - 0.49).abs() < 0.1, "each is tried twice: {share}");
    assert_eq!(status(&seen, "work"), NodeStatus::Degraded);
    assert_eq!(seen.nodes.last_errors[1].as_deref(), Some("no route"));
    pass(20.0).await;
    let seen = see(&sim).await;
    assert_eq!(
        (status(&seen, "work"), number(&seen, "work", "errors-per-second")),
        (NodeStatus::Healthy, 0.0)
    );
    assert_eq!(seen.nodes.last_errors[1], None);
    assert_whole(&sim);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_hangs_sends_no_heartbeat_and_a_restart_ends_it() {
    let sim = at(with("at_s: 10, what: {hang: {node: work}}"), 20.0).await;
    let seen = see(&sim).await;
    assert_eq!(status(&seen, "work"), NodeStatus::Degraded);
    assert_eq!(number(&seen, "work", "items-per-second"), 0.0);
    assert!(number(&seen, "work", "heartbeat-age-ms") > 9_000.0);
    act(&sim, scale("work", 3)).await.unwrap();
    pass(10.0).await;
    assert_eq!(number(&see(&sim).await, "work", "items-per-second"), 0.0, "new workers hang, too");
    act(&sim, restart("work")).await.unwrap();
    pass(20.0).await;
    assert_eq!(status(&see(&sim).await, "work"), NodeStatus::Healthy);
    assert!(sim.truth().faults.is_empty());
    assert_whole(&sim);
}

#[tokio::test(start_paused = true)]
async fn what_hung_goes_on_when_the_hang_is_over_by_itself() {
    let sim = at(with("at_s: 10, for_s: 5, what: {hang: {node: work}}"), 60.0).await;
    assert_eq!(status(&see(&sim).await, "work"), NodeStatus::Healthy);
    assert!(sim.account().in_flight < 5);
    assert_whole(&sim);
}

#[tokio::test(start_paused = true)]
async fn more_workers_do_not_help_against_a_rate_limit_and_may_make_it_worse() {
    let limit = |counts: bool| {
        let mut plan = with(&format!(
            "at_s: 0, what: {{rate-limit: {{node: work, limit: {{per_second: 20, counts_refused: {counts}}}}}}}"
        ));
        plan.retries.insert("work".into(), 0);
        plan.world.nodes.get_mut("work").unwrap().service_ms = flyball_sim::Service::Constant(18.0);
        plan
    };
    async fn delivered(plan: Plan, workers: u32) -> f64 {
        let sim = begin(plan);
        if workers > 1 {
            act(&sim, scale("work", workers)).await.unwrap();
        }
        pass(100.0).await;
        see(&sim).await.graph.throughput_per_second
    }
    let (one, four) = (delivered(limit(false), 1).await, delivered(limit(false), 4).await);
    assert!((one - 20.0).abs() < 1.0 && (four - 20.0).abs() < 1.0, "{one} {four}");
    let worse = delivered(limit(true), 4).await;
    assert!(worse < 10.0, "who asks more is refused more: {worse}");
    let sim = at(limit(false), 20.0).await;
    assert!(see(&sim).await.errors[0].message.starts_with("429"));
    assert_whole(&sim);
}

#[tokio::test(start_paused = true)]
async fn actions_do_not_fill_the_bucket_of_a_rate_limit() {
    let mut plan = with("at_s: 0, what: {rate-limit: {node: work, limit: {per_second: 10}}}");
    plan.retries.insert("work".into(), 0);
    let sim = begin(plan);
    for second in 0..100 {
        pass(1.0).await;
        act(&sim, scale("work", 2 + second % 2)).await.unwrap();
    }
    let delivered = sim.account().delivered;
    assert!((1_000..=1_020).contains(&delivered), "{delivered}");
}

#[tokio::test(start_paused = true)]
async fn leaking_memory_grows_until_the_worker_is_killed() {
    let plan = with("at_s: 10, what: {memory-leak: {node: work, mb_per_second: 2, killed_at_mb: 100}}");
    let sim = at(plan, 30.0).await;
    assert!((number(&see(&sim).await, "work", "memory-mb") - 64.0).abs() < 0.1, "24 and 20 seconds of 2");
    act(&sim, restart("work")).await.unwrap();
    assert!((number(&see(&sim).await, "work", "memory-mb") - 24.0).abs() < 0.1);
    pass(37.9).await;
    assert_eq!(truth(&sim, "work").dead, 0);
    pass(0.2).await;
    let seen = see(&sim).await;
    assert_eq!(status(&seen, "work"), NodeStatus::Failed);
    assert!(seen.nodes.last_errors[1].as_deref().unwrap().contains("memory"));
    act(&sim, scale("work", 2)).await.unwrap();
    pass(37.9).await;
    assert_eq!((truth(&sim, "work").alive, truth(&sim, "work").dead), (1, 1), "a new worker has room again");
    pass(0.2).await;
    assert_eq!(truth(&sim, "work").alive, 0);
    assert_whole(&sim);
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_configuration_is_healed_by_another_value() {
    let sim = at(with("at_s: 10, what: {poison: {node: work, key: beam, value: 0}}"), 20.0).await;
    assert_eq!(
        sim.graph().await.unwrap().node("work").unwrap().config,
        json!({"beam": 0}),
        "somebody set it"
    );
    assert_eq!(status(&see(&sim).await, "work"), NodeStatus::Failed);
    let patch = json!({"beam": null});
    act(&sim, Action::UpdateNodeConfig { node: "work".into(), patch }).await.unwrap();
    pass(10.0).await;
    assert_eq!(status(&see(&sim).await, "work"), NodeStatus::Healthy);
    assert_whole(&sim);
}

#[tokio::test(start_paused = true)]
async fn a_load_spike_brings_so_many_times_as_much() {
    let sim = at(with("at_s: 10, for_s: 10, what: {load: {source: in, factor: 4}}"), 20.0).await;
    let rate = number(&see(&sim).await, "in", "items-per-second");
    assert!((rate - 200.0).abs() < 25.0, "{rate}");
    pass(20.0).await;
    let rate = number(&see(&sim).await, "in", "items-per-second");
    assert!((rate - 50.0).abs() < 15.0, "{rate}");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_restarts_gives_nothing_and_counts_anew() {
    let sim = at(with("at_s: 10, for_s: 10, what: {source-restart: {source: in}}"), 19.0).await;
    let seen = see(&sim).await;
    assert_eq!(number(&seen, "in", "items-per-second"), 0.0);
    assert_eq!(seen.graph.throughput_per_second, 0.0);
    assert!(seen.graph.end_to_end_latency_ms.is_nan());
    pass(2.0).await;
    let seen = see(&sim).await;
    assert_eq!(number(&seen, "in", "restarts"), 1.0);
    assert!(number(&seen, "in", "items-per-second") > 100.0, "what waited outside comes at once");
}

#[tokio::test(start_paused = true)]
async fn a_gap_leaves_numbers_out_and_never_says_that_all_is_well() {
    let sim = at(with("at_s: 10, what: {gap: {nodes: [work], metrics: [latency-p99-ms]}}"), 20.0).await;
    let seen = see(&sim).await;
    assert!(number(&seen, "work", "latency-p99-ms").is_nan());
    assert!(number(&seen, "work", "latency-p50-ms") > 1.0 && number(&seen, "out", "latency-p99-ms") > 0.1);
    let sim = at(with("at_s: 10, what: {gap: {}}"), 20.0).await;
    let seen = see(&sim).await;
    assert!(number(&seen, "work", "samples").is_nan() && number(&seen, "out", "samples").is_nan());
    assert_eq!(status(&seen, "out"), NodeStatus::Unknown);
}

#[tokio::test(start_paused = true)]
async fn stale_readings_repeat_what_was_seen_and_may_pretend_to_be_new() {
    let stale = |honest: bool| with(&format!("at_s: 10, for_s: 20, what: {{stale: {{honest: {honest}}}}}"));
    let sim = at(stale(false), 15.0).await;
    let (first, at_first) = (see(&sim).await, sim.truth());
    pass(10.0).await;
    let (second, at_second) = (see(&sim).await, sim.truth());
    assert_eq!(number(&first, "work", "samples"), number(&second, "work", "samples"));
    assert_eq!(second.taken_at, 26_000);
    assert!(at_second.node("work").unwrap().finished > at_first.node("work").unwrap().finished);
    let sim = at(stale(true), 25.0).await;
    assert_eq!(see(&sim).await.taken_at, 11_000);
    pass(10.0).await;
    assert_eq!(see(&sim).await.taken_at, 36_000, "it is over");
}

#[tokio::test(start_paused = true)]
async fn a_plane_may_be_unobservable_or_look_empty_while_everything_runs() {
    let sim = at(with("at_s: 10, for_s: 5, what: {unobservable: {message: timeout}}"), 12.0).await;
    assert_eq!(sim.observe().await.unwrap_err().0, "timeout");
    pass(4.0).await;
    assert_eq!(see(&sim).await.nodes.len(), 3);
    let sim = at(with("at_s: 10, for_s: 2, what: {empty-topology: {graph_too: true}}"), 11.0).await;
    assert!(sim.graph().await.unwrap().nodes.is_empty());
    let sim = at(with("at_s: 10, for_s: 2, what: {empty-topology: {}}"), 11.0).await;
    assert_eq!(sim.graph().await.unwrap().nodes.len(), 3);
    let seen = see(&sim).await;
    assert!(seen.nodes.is_empty() && seen.edges.is_empty());
    pass(10.0).await;
    let seen = see(&sim).await;
    assert!((seen.graph.throughput_per_second - 50.0).abs() < 15.0, "nothing stood still");
}

#[tokio::test(start_paused = true)]
async fn the_clock_may_jump_both_ways() {
    let sim = at(with("at_s: 10, for_s: 10, what: {clock: {by_ms: -5000}}"), 9.0).await;
    assert_eq!(see(&sim).await.taken_at, 10_000);
    pass(2.0).await;
    assert_eq!(see(&sim).await.taken_at, 7_000);
    pass(10.0).await;
    assert_eq!(see(&sim).await.taken_at, 22_000);
}

#[tokio::test(start_paused = true)]
async fn the_series_of_a_replica_that_is_gone_persist() {
    let sim = at(with("at_s: 10, for_s: 60, what: {ghost: {node: work}}"), 15.0).await;
    assert_eq!(number(&see(&sim).await, "work", "replicas"), 2.0, "the living and the dead");
    act(&sim, Action::RemoveNode { node: "work".into() }).await.unwrap();
    pass(20.0).await;
    let seen = see(&sim).await;
    assert!(sim.graph().await.unwrap().node("work").is_none());
    assert!(number(&seen, "work", "samples") > 100.0, "it is gone and still counts");
    pass(60.0).await;
    assert_eq!(see(&sim).await.nodes.find("work"), None);
}

#[tokio::test(start_paused = true)]
async fn somebody_else_sets_the_replicas_back_again_and_again() {
    let plan = with(
        "at_s: 10, for_s: 25, what: {change: {every_s: 10, action: {kind: scale-node, node: work, replicas: 1}}}",
    );
    let sim = at(plan, 12.0).await;
    for seconds in [9.0, 10.0] {
        act(&sim, scale("work", 4)).await.unwrap();
        assert_eq!(sim.graph().await.unwrap().node("work").unwrap().replicas, 4);
        pass(seconds).await;
        assert_eq!(sim.graph().await.unwrap().node("work").unwrap().replicas, 1);
        assert_eq!(truth(&sim, "work").alive, 1);
    }
    pass(20.0).await;
    act(&sim, scale("work", 4)).await.unwrap();
    pass(60.0).await;
    assert_eq!(sim.graph().await.unwrap().node("work").unwrap().replicas, 4, "the other one has given up");
    assert_eq!(sim.applied().len(), 3, "what others do is not what was asked for");
}

#[tokio::test(start_paused = true)]
async fn a_plane_may_take_a_kind_of_action_otherwise_for_a_while() {
    let plan =
        with("at_s: 10, for_s: 10, what: {habit: {of: scale-node, is: {answer: refuses, why: quota}}}");
    let sim = at(plan, 15.0).await;
    assert_eq!(act(&sim, scale("work", 2)).await.unwrap_err().to_string(), "quota");
    pass(10.0).await;
    act(&sim, scale("work", 2)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_ended_by_what_its_document_says() {
    let plan = with("at_s: 10, ended_by: [switch-executor], what: {slow: {node: work, factor: 3}}");
    let sim = at(plan, 20.0).await;
    act(&sim, restart("work")).await.unwrap();
    assert_eq!(truth(&sim, "work").slower, 3.0);
    act(&sim, Action::SwitchExecutor { node: "work".into(), to: Executor::Wasm }).await.unwrap();
    assert_eq!(truth(&sim, "work").slower, 1.0);
}
