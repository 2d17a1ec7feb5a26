//! What is known of queues holds here: mean waits of M/M/1 and M/M/c, throughput of full lines, items that go two ways.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use flyball_sim::{Plan, Sim};
use support::*;

/// Erlang's C formula: how likely an arrival must wait before `c` servers that are offered `a` erlangs.
fn erlang_c(c: u32, a: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..c {
        term *= a / f64::from(k);
        sum += term;
    }
    let full = term * a / f64::from(c) * f64::from(c) / (f64::from(c) - a);
    full / (sum + full)
}

/// 40 items a second, exponential service.
fn queue(workers: u32, service_ms: f64, seed: u64) -> Plan {
    let mut graph = line(&["in", "work", "out"]);
    graph.nodes[1].replicas = workers;
    graph.nodes[1].queue_capacity = 100_000;
    graph.nodes[2].queue_capacity = 100_000;
    let world = world(&format!(
        "load: {{rate: {{constant: 40}}}}\notherwise: {{service_ms: {{constant: 0}}}}\n\
         nodes: {{work: {{service_ms: {{exponential: {service_ms}}}}}}}"
    ));
    Plan { seed, ..plan(graph, world) }
}

async fn mean_wait_ms(plan: Plan, hours: f64) -> f64 {
    let sim = begin(plan);
    pass(hours * 3_600.0).await;
    assert_whole(&sim);
    truth(&sim, "work").mean_wait_ms
}

async fn agrees(workers: u32, service_ms: f64, tolerance: f64) {
    let (arrivals, serves) = (40.0, 1_000.0 / service_ms);
    let wait = erlang_c(workers, arrivals / serves) / (f64::from(workers) * serves - arrivals) * 1_000.0;
    // The same for any seed; waits of one queue are alike, so several short runs say more than a long one.
    let mut sum = 0.0;
    for seed in 0..4 {
        sum += mean_wait_ms(queue(workers, service_ms, seed), 2.0).await;
    }
    let mean = sum / 4.0;
    assert!((mean / wait - 1.0).abs() < tolerance, "{mean} ms; theory says {wait} ms");
}

#[tokio::test(start_paused = true)]
async fn one_worker_makes_items_wait_as_in_an_m_m_1_queue() {
    // Half and four fifths busy: 12.5 and 80 ms.
    agrees(1, 12.5, 0.03).await;
    agrees(1, 20.0, 0.05).await;
}

#[tokio::test(start_paused = true)]
async fn several_workers_make_items_wait_as_in_an_m_m_c_queue() {
    agrees(2, 40.0, 0.05).await;
    agrees(4, 80.0, 0.05).await;
    agrees(10, 200.0, 0.06).await;
}

#[tokio::test(start_paused = true)]
async fn service_that_varies_more_makes_items_wait_longer_as_pollaczek_and_khinchine_say() {
    // Mean wait: ρ/(1-ρ) · (1+cv²)/2 · service time; at ρ = 0.6 and cv = 1.5.
    let mut sum = 0.0;
    for seed in 0..4 {
        let mut plan = queue(1, 15.0, seed);
        plan.world.nodes.get_mut("work").unwrap().service_ms =
            flyball_sim::Service::LogNormal { mean: 15.0, cv: 1.5 };
        sum += mean_wait_ms(plan, 2.0).await;
    }
    let (mean, wait) = (sum / 4.0, 0.6 / 0.4 * (1.0 + 1.5 * 1.5) / 2.0 * 15.0);
    assert!((mean / wait - 1.0).abs() < 0.06, "{mean} ms; theory says {wait} ms");
}

#[tokio::test(start_paused = true)]
async fn a_full_line_is_as_fast_as_its_slowest_node_and_stops_whoever_feeds_it() {
    let mut graph = line(&["in", "quick", "slow", "out"]);
    graph.nodes.iter_mut().for_each(|node| node.queue_capacity = 20);
    let world = world(
        "load: {rate: {constant: 100}}\n\
         types: {quick: {service_ms: {constant: 1}}, slow: {service_ms: {constant: 20}}}",
    );
    let sim = begin(plan(graph, world));
    pass(60.0).await;
    let seen = see(&sim).await;
    assert!((seen.graph.throughput_per_second - 50.0).abs() < 1.0, "{}", seen.graph.throughput_per_second);
    assert_eq!(number(&seen, "slow", "queue-depth"), 20.0);
    assert_eq!(truth(&sim, "quick").blocked, 1);
    let source = truth(&sim, "in");
    assert!(source.outside > 2_500, "what does not fit waits outside: {}", source.outside);
    assert_eq!(source.offered, source.finished + source.outside);
    assert_eq!(seen.nodes.ids[seen.graph.bottleneck.unwrap() as usize].as_ref(), "slow");
    let path: Vec<_> =
        seen.graph.critical_path.iter().map(|at| seen.nodes.ids[*at as usize].as_ref()).collect();
    assert_eq!(path, ["in", "quick", "slow", "out"]);
    assert_whole(&sim);
}

#[tokio::test(start_paused = true)]
async fn an_item_goes_to_every_node_behind_and_counts_once() {
    let mut graph = line(&["in", "a", "out"]);
    graph.nodes.push(node("side"));
    graph.edges.push(("a".into(), "side".into()));
    let sim = begin(plan(graph, world("types: {a: {pieces: 3}}")));
    pass(100.0).await;
    let (account, out, side) = (sim.account(), truth(&sim, "out"), truth(&sim, "side"));
    assert!(account.accepted > 800);
    assert!(out.finished.abs_diff(3 * account.delivered) <= 3 * account.in_flight);
    assert!(out.finished.abs_diff(side.finished) <= 3);
    assert_whole(&sim);
}

#[tokio::test(start_paused = true)]
async fn failed_items_are_tried_again_and_then_dead_lettered_and_filtered_ones_are_filtered() {
    let world =
        world("load: {rate: {constant: 50}}\nnodes: {work: {errors: 0.2, retries: 1, filters: 0.25}}");
    let sim = begin(plan(line(&["in", "work", "out"]), world));
    pass(2_000.0).await;
    let account = sim.account();
    let share = |count: u64| count as f64 / account.accepted as f64;
    assert!((share(account.dead_lettered) - 0.04).abs() < 0.004, "{account:?}");
    assert!((share(account.filtered) - 0.24).abs() < 0.01, "{account:?}");
    assert_whole(&sim);
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_the_same_observations_and_another_gives_others() {
    async fn run(seed: u64, look_every_s: f64) -> (String, flyball_sim::ItemTally) {
        let sim = begin(Plan { seed, ..queue(2, 40.0, 0) });
        for _ in 0..(60.0 / look_every_s) as usize {
            pass(look_every_s).await;
            see(&sim).await;
        }
        (serde_json::to_string(&see(&sim).await).unwrap(), sim.account())
    }
    assert_eq!(run(1, 1.0).await, run(1, 1.0).await);
    assert_eq!(run(1, 1.0).await, run(1, 7.5).await, "looking changes nothing");
    assert_ne!(run(1, 1.0).await.0, run(2, 1.0).await.0);
}

#[tokio::test(start_paused = true)]
async fn what_happens_at_one_node_changes_nothing_of_what_is_drawn_at_another() {
    async fn run(faulty: &str) -> (Sums, Sums) {
        let mut graph = line(&["in", "work-a", "out"]);
        graph.nodes.extend([node("work-b"), node("out-b")]);
        graph.edges.extend([("in".into(), "work-b".into()), ("work-b".into(), "out-b".into())]);
        let world = world("types: {work: {service_ms: {exponential: 60}}}");
        let sim = begin(plan(graph, world).with(faults(&format!("faults: [{faulty}]"))));
        pass(300.0).await;
        (sums(&sim, "work-a"), sums(&sim, "work-b"))
    }
    type Sums = (u64, f64);
    fn sums(sim: &Sim, id: &str) -> Sums {
        (truth(sim, id).finished, truth(sim, id).mean_wait_ms)
    }
    let (calm_a, calm_b) = run("").await;
    let (slow_a, slow_b) = run("{at_s: 5, for_s: 60, what: {slow: {node: work-a, factor: 2}}}").await;
    let (_, failing_b) = run("{at_s: 5, what: {errors: {node: work-a, share: 0.5}}}").await;
    assert_ne!(calm_a, slow_a);
    assert_eq!((calm_b, calm_b), (slow_b, failing_b));
    assert_ne!(calm_a.1, calm_b.1, "two nodes of one type are not the same node");
}

#[tokio::test(start_paused = true)]
async fn the_same_manifest_makes_a_plan() {
    let manifest = serde_json::json!({
        "name": "m",
        "nodes": [
            {"id": "in", "type": "generate"},
            {"id": "map", "type": "map", "executor": "multiprocess", "replicas": 2, "retries": 3},
            {"id": "out", "type": "discard"},
        ],
        "connections": [{"from": "in", "to": "map"}, {"from": "map", "to": "out"}],
    });
    let manifest: flyball_model::Manifest = serde_json::from_value(manifest).unwrap();
    let sim = Sim::new(Plan::of(&manifest, flyball_sim::SimulatedWorld::default(), 1)).unwrap();
    pass(10.0).await;
    let seen = see(&sim).await;
    assert_eq!(number(&seen, "map", "heartbeat-age-ms"), 0.0);
    assert!(number(&seen, "map", "memory-mb") > 1.0);
    assert!(number(&seen, "in", "latency-p50-ms").is_nan());
}
