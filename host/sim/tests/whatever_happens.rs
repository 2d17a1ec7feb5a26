//! Whatever graph, faults, habits and actions: the account balances, every piece is somewhere, one seed gives the same,
//! and what can be undone is undone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;

use flyball_model::{Action, ActionKind, Executor, GraphSpec, NodeId};
use flyball_ports::{DataPlane as _, Loss, PlaneChange};
use flyball_sim::{
    ActionBehaviour, ActionReply, Fault, FaultPlan, Plan, Rate, RateLimit, Service, Sim, SimulatedWorld,
    What, WhenFull, Work,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::Config;
use serde_json::{Map, Value, json};
use support::*;

const TYPES: [&str; 3] = ["work", "backup", "split"];
const EXECUTORS: [Executor; 3] = [Executor::Native, Executor::Multiprocess, Executor::Wasm];

/// A source, processors each fed by one or two before it, and one or two sinks.
fn graph() -> impl Strategy<Value = GraphSpec> {
    let processor =
        (any::<[prop::sample::Index; 2]>(), select(&TYPES[..]), select(&EXECUTORS[..]), 1..4u32, 1..30u32);
    (vec(processor, 1..7), any::<bool>()).prop_map(|(processors, two_sinks)| {
        let mut nodes = vec![node("in")];
        let mut edges: Vec<(NodeId, NodeId)> = Vec::new();
        for (number, (feeding, node_type, executor, replicas, capacity)) in processors.into_iter().enumerate()
        {
            let mut new = node(&format!("n{number}"));
            new.node_type = node_type.into();
            (new.executor, new.replicas, new.queue_capacity) = (executor, replicas, capacity);
            let mut from: Vec<_> =
                feeding.iter().map(|index| nodes[index.index(nodes.len())].id.clone()).collect();
            from.sort();
            from.dedup();
            edges.extend(from.into_iter().map(|from| (from, new.id.clone())));
            nodes.push(new);
        }
        let ends: Vec<NodeId> = nodes
            .iter()
            .map(|node| node.id.clone())
            .filter(|id| edges.iter().all(|(from, _)| from != id))
            .collect();
        let sinks: &[&str] = if two_sinks { &["out", "out-2"] } else { &["out"] };
        for sink in sinks {
            nodes.push(node(sink));
            edges.extend(ends.iter().map(|end| (end.clone(), (*sink).to_owned())));
        }
        GraphSpec { nodes, edges }
    })
}

fn id() -> impl Strategy<Value = NodeId> {
    select(&["in", "n0", "n1", "n2", "n3", "new-0", "new-1", "out", "no-such"][..]).prop_map(str::to_owned)
}

fn config() -> impl Strategy<Value = Value> {
    (0..3i32, any::<bool>()).prop_map(|(beam, deep)| {
        if deep { json!({"beam": beam, "model": {"size": beam, "name": "m"}}) } else { json!({"beam": beam}) }
    })
}

fn action() -> impl Strategy<Value = Action> {
    let config_or_none = prop_oneof![Just(None), config().prop_map(Some)];
    prop_oneof![
        (id(), select(&TYPES[..]), config_or_none).prop_map(|(node, node_type, config)| {
            Action::ReplaceNode { node, node_type: node_type.into(), config }
        }),
        (0..2u32, select(&TYPES[..]), config(), vec(id(), 1..3), vec(id(), 0..3)).prop_map(
            |(number, node_type, config, after, before)| Action::InsertNode {
                id: format!("new-{number}"),
                node_type: node_type.into(),
                config,
                executor: None,
                after,
                before,
            }
        ),
        (0..2u32, id()).prop_map(|(number, after)| Action::InsertNode {
            id: format!("new-{number}"),
            node_type: "work".into(),
            config: json!({}),
            executor: Some(Executor::Wasm),
            after: vec![after],
            before: vec![],
        }),
        id().prop_map(|node| Action::RemoveNode { node }),
        (id(), prop_oneof![config(), Just(json!({"beam": null})), Just(json!({"model": {"name": null}}))])
            .prop_map(|(node, patch)| Action::UpdateNodeConfig { node, patch }),
        (id(), any::<bool>()).prop_map(|(node, active)| Action::BypassNode { node, active }),
        (id(), select(&EXECUTORS[..])).prop_map(|(node, to)| Action::SwitchExecutor { node, to }),
        id().prop_map(restart_of),
        (id(), 1..6u32).prop_map(|(node, replicas)| Action::ScaleNode { node, replicas }),
        (id(), 1..40u32).prop_map(|(node, capacity)| Action::AdjustBuffering { node, capacity }),
    ]
}

fn restart_of(node: NodeId) -> Action {
    Action::RestartProcess { node }
}

fn what() -> impl Strategy<Value = What> {
    let node = || select(&["n0", "out"][..]).prop_map(str::to_owned);
    let source = || "in".to_owned();
    let message = || "broken".to_owned();
    prop_oneof![
        (node(), prop::option::of(1..3u32), any::<bool>()).prop_map(|(node, workers, loses)| What::Crash {
            node,
            workers,
            loses
        }),
        (node(), 0.5..20.0, prop::option::of(1.0..30.0)).prop_map(|(node, factor, over_s)| What::Slow {
            node,
            factor,
            over_s
        }),
        (node(), 0.0..1.0).prop_map(move |(node, share)| What::Errors { node, share, message: message() }),
        node().prop_map(|node| What::Hang { node }),
        (node(), 1.0..30.0, any::<bool>()).prop_map(|(node, per_second, counts_refused)| What::RateLimit {
            node,
            limit: RateLimit { per_second, refusal_ms: 1.0, counts_refused },
        }),
        (node(), 1.0..50.0).prop_map(|(node, mb_per_second)| What::MemoryLeak {
            node,
            mb_per_second,
            killed_at_mb: Some(100.0),
        }),
        node().prop_map(|node| What::Poison {
            node,
            key: "beam".into(),
            value: json!(0),
            errors: 1.0,
            slower: 2.0,
        }),
        (0.0..10.0).prop_map(move |factor| What::Load { source: source(), factor }),
        Just(What::SourceRestart { source: "in".into() }),
        Just(What::Gap { nodes: vec![], metrics: vec![] }),
        any::<bool>().prop_map(|honest| What::Stale { honest }),
        Just(What::EmptyTopology { graph_too: false }),
        node().prop_map(|node| What::Ghost { node }),
        (action(), prop::option::of(0.5..10.0))
            .prop_map(|(action, every_s)| What::Change { action, every_s }),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    (0.0..40.0, prop::option::of(0.1..20.0), any::<bool>(), what()).prop_map(
        |(at_s, for_s, any_type, what)| Fault {
            name: String::new(),
            at_s,
            for_s,
            ended_by: None,
            any_type,
            what,
        },
    )
}

fn habit() -> impl Strategy<Value = (ActionKind, ActionBehaviour)> {
    let losses = [None, Some(Loss::None), Some(Loss::InHand), Some(Loss::Waiting)];
    let answers = [
        ActionReply::Does,
        ActionReply::DoesNothing,
        ActionReply::OnlyShows,
        ActionReply::OnlyBehaves,
        ActionReply::Twice,
        ActionReply::Refuses,
        ActionReply::Fails,
    ];
    let changes = [PlaneChange::Live, PlaneChange::Restart, PlaneChange::Redeploy];
    (
        select(&ActionKind::ALL[..]),
        select(answers.to_vec()),
        select(losses.to_vec()),
        select(changes.to_vec()),
        0..3u64,
    )
        .prop_map(|(kind, answer, loses, change, seconds)| {
            let habit = ActionBehaviour {
                answer,
                loses,
                change,
                effective_after_ms: seconds * 700,
                stops_ms: seconds * 900,
                topology_empty_ms: seconds * 300,
                slower_after: 1.2,
                ..ActionBehaviour::default()
            };
            (kind, habit)
        })
}

fn work(service_ms: Service, errors: f64, filters: f64, pieces: u32) -> Work {
    Work { service_ms, errors, filters, pieces, contention: 0.1, ..Work::default() }
}

fn world_of(rate: f64, turns_away: bool, habits: Vec<(ActionKind, ActionBehaviour)>) -> SimulatedWorld {
    let mut world = SimulatedWorld::default();
    world.types.insert("work".into(), work(Service::Exponential(20.0), 0.05, 0.1, 1));
    world.types.insert("backup".into(), work(Service::Constant(30.0), 0.0, 0.0, 1));
    world.types.insert("split".into(), work(Service::LogNormal { mean: 5.0, cv: 2.0 }, 0.2, 0.0, 3));
    world.load.rate = Rate::Wave { mean: rate, amplitude: rate, period_s: 30.0, crest_s: 5.0 };
    world.load.when_full = if turns_away { WhenFull::TurnAway } else { WhenFull::Wait };
    world.habits = habits.into_iter().collect();
    world
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let habits = vec(habit(), 0..4);
    (graph(), any::<u64>(), 1.0..80.0, any::<bool>(), habits, vec(fault(), 0..5)).prop_map(
        |(graph, seed, rate, turns_away, habits, faults)| Plan {
            seed,
            ..plan(graph, world_of(rate, turns_away, habits)).with(FaultPlan { faults })
        },
    )
}

/// In paused time.
fn play<T>(what: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(what)
}

/// Each action after so much time; what was seen, in one text.
async fn run(sim: &Arc<Sim>, steps: &[(f64, Action)], check: bool) -> String {
    let mut seen = Vec::new();
    for (seconds, action) in steps {
        pass(*seconds).await;
        let before = sim.graph().await.unwrap();
        let told = act(sim, action.clone()).await;
        if told.is_err() {
            assert_eq!(
                sim.graph().await.unwrap().digest(),
                before.digest(),
                "{action} was not done and left a trace"
            );
        }
        if check {
            assert_whole(sim);
        }
        seen.push(serde_json::to_string(&sim.observe().await.unwrap()).unwrap());
    }
    pass(30.0).await;
    assert_whole(sim);
    seen.push(format!("{:?} {}", sim.account(), serde_json::to_string(&sim.truth()).unwrap()));
    seen.join("\n")
}

/// What undoes it, as the standard reverser says; none: it cannot be undone.
fn reverse(action: &Action, before: &GraphSpec) -> Option<Vec<Action>> {
    let old = action.target().and_then(|id| before.node(id));
    match action {
        Action::NoOp | Action::RestartProcess { .. } => None,
        Action::InsertNode { id, .. } => Some(vec![Action::RemoveNode { node: id.clone() }]),
        Action::RemoveNode { node: id } => {
            let old = old?;
            let insert = Action::InsertNode {
                id: id.clone(),
                node_type: old.node_type.clone(),
                config: old.config.clone(),
                executor: Some(old.executor),
                after: before.before(id).cloned().collect(),
                before: before.after(id).cloned().collect(),
            };
            let mut actions = vec![insert];
            actions.extend((old.replicas != 1).then(|| scale(id, old.replicas)));
            actions.extend((old.queue_capacity != 256).then(|| buffer(id, old.queue_capacity)));
            actions.extend(old.bypassed.then(|| Action::BypassNode { node: id.clone(), active: true }));
            Some(actions)
        }
        Action::ReplaceNode { node, .. } => {
            let old = old?;
            let (node_type, config) = (old.node_type.clone(), Some(old.config.clone()));
            Some(vec![Action::ReplaceNode { node: node.clone(), node_type, config }])
        }
        Action::UpdateNodeConfig { node, patch } => {
            let patch = unpatch(&old?.config, patch);
            Some(vec![Action::UpdateNodeConfig { node: node.clone(), patch }])
        }
        Action::BypassNode { node, active } => {
            Some(vec![Action::BypassNode { node: node.clone(), active: !active }])
        }
        Action::SwitchExecutor { node, .. } => {
            Some(vec![Action::SwitchExecutor { node: node.clone(), to: old?.executor }])
        }
        Action::ScaleNode { node, .. } => Some(vec![scale(node, old?.replicas)]),
        Action::AdjustBuffering { node, .. } => Some(vec![buffer(node, old?.queue_capacity)]),
    }
}

/// The merge patch that leads back to the configuration to which `patch` was applied.
fn unpatch(old: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return old.clone() };
    let back: Map<String, Value> = patch
        .iter()
        .map(|(key, patch)| (key.clone(), old.get(key).map_or(Value::Null, |old| unpatch_key(old, patch))))
        .collect();
    Value::Object(back)
}

fn unpatch_key(old: &Value, patch: &Value) -> Value {
    if old.is_object() && patch.is_object() { unpatch(old, patch) } else { old.clone() }
}

proptest! {
    #![proptest_config(Config { cases: 200, failure_persistence: None, ..Config::default() })]

    #[test]
    fn no_faults_and_actions_make_an_item_disappear(
        plan in any_plan(),
        steps in vec((0.0..4.0, action()), 0..12),
    ) {
        play(async { run(&begin(plan), &steps, true).await });
    }

    #[test]
    fn one_seed_gives_the_same_whatever_happens(
        plan in any_plan(),
        steps in vec((0.0..4.0, action()), 0..8),
    ) {
        let first = play(async { run(&begin(plan.clone()), &steps, false).await });
        let second = play(async { run(&begin(plan.clone()), &steps, true).await });
        prop_assert_eq!(first, second);
    }

    #[test]
    fn what_can_be_undone_leaves_the_graph_as_it_was(
        graph in graph(),
        steps in vec((0.0..2.0, action()), 1..12),
    ) {
        play(async {
            let sim = begin(plan(graph, world_of(20.0, false, vec![])));
            let mut undo = Vec::new();
            for (seconds, action) in &steps {
                pass(*seconds).await;
                let before = sim.graph().await.unwrap();
                if act(&sim, action.clone()).await.is_ok()
                    && let Some(reverse) = reverse(action, &before)
                {
                    undo.push((before.digest().to_owned(), reverse));
                }
            }
            for (digest, actions) in undo.into_iter().rev() {
                for action in actions {
                    act(&sim, action.clone()).await.unwrap_or_else(|error| panic!("{action}: {error}"));
                }
                assert_eq!(sim.graph().await.unwrap().digest(), digest);
                assert_eq!(sim.truth().running.digest(), digest);
            }
            pass(60.0).await;
            assert_whole(&sim);
            assert_eq!(sim.account().lost, 0);
        });
    }
}
