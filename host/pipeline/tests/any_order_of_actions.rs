//! Whatever actions come in whatever order, with children killed between them: every item arrives at every sink exactly
//! once and in order, and the account balances. What is undone, as the first-party reverser says, leaves the graph as it was.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::sync::{Arc, LazyLock};

use flyball_engine::{Engine, EngineOptions, PluginJudge};
use flyball_model::{Action, ActionKind, Executor, Graph, Limits, PluginUse, Reversal};
use flyball_ports::{ApplyError, DataPlane as _, Reverser as _};
use futures::FutureExt as _;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Value, json};
use support::{Run, killed, manifest, pass, sink, source};

const ITEMS: u64 = 2_500;
const NODES: [&str; 4] = ["first", "child", "last", "side"];

#[derive(Debug, Clone)]
enum Step {
    Do(Action),
    Undo(Action),
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => action().prop_map(Step::Do),
        5 => action().prop_map(Step::Undo),
        1 => Just(Step::Kill),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let node = || proptest::sample::select(&NODES[..]).prop_map(str::to_owned);
    let executor =
        || proptest::sample::select(&[Executor::Native, Executor::Multiprocess, Executor::Wasm][..]);
    let config = || json!({"template": "{{.}}"});
    prop_oneof![
        (node(), any::<bool>()).prop_map(move |(node, flaky)| {
            let node_type = if flaky { "flaky" } else { "map" }.to_owned();
            Action::ReplaceNode { node, node_type, config: Some(config()) }
        }),
        (node(), 0..3, executor()).prop_map(move |(after, number, executor)| {
            Action::InsertNode {
                id: format!("new-{number}"),
                node_type: "map".to_owned(),
                config: config(),
                executor: Some(executor),
                after: vec![after],
                before: vec![],
            }
        }),
        (0..3).prop_map(|number| Action::RemoveNode { node: format!("new-{number}") }),
        node().prop_map(|node| Action::RemoveNode { node }),
        (node(), any::<bool>()).prop_map(|(node, null)| {
            let patch = json!({"on_missing": if null { json!("null") } else { Value::Null }});
            Action::UpdateNodeConfig { node, patch }
        }),
        (node(), any::<bool>()).prop_map(|(node, active)| Action::BypassNode { node, active }),
        (node(), executor()).prop_map(|(node, to)| Action::SwitchExecutor { node, to }),
        node().prop_map(|node| Action::RestartProcess { node }),
        (node(), 1u32..5).prop_map(|(node, replicas)| Action::ScaleNode { node, replicas }),
        (node(), 1u32..100).prop_map(|(node, capacity)| Action::AdjustBuffering { node, capacity }),
    ]
}

/// `source → first → child → last → out`, and `first → side → aside`.
async fn start() -> Run {
    let mut child = pass("child", "multiprocess");
    // A child that is killed again and again is not the item's fault.
    child["retries"] = json!(100);
    let mut first = pass("first", "native");
    first["replicas"] = json!(2);
    let nodes = json!([
        source(ITEMS),
        first,
        child,
        pass("last", "wasm"),
        pass("side", "native"),
        sink("out"),
        sink("aside")
    ]);
    let edges = [
        ("source", "first"),
        ("first", "child"),
        ("child", "last"),
        ("last", "out"),
        ("first", "side"),
        ("side", "aside"),
    ];
    Run::start(manifest(true, nodes, &edges)).await
}

async fn kill_one(run: &Run) {
    for node in &run.pipeline.graph().await.unwrap().nodes {
        if let Some(pid) = run.pipeline.worker_pids(&node.id).first() {
            // One that died of an action just now is as dead.
            let _ = killed(*pid);
            return;
        }
    }
}

async fn play(steps: Vec<Step>) {
    let run = start().await;
    let mut applied = 0;
    for (number, step) in (1..).zip(&steps) {
        run.until(|| run.pipeline.account().accepted >= number * 100 || stuck(&run), "load").await;
        match step {
            Step::Kill => kill_one(&run).await,
            Step::Do(action) => {
                let before = run.pipeline.graph().await.unwrap();
                applied += u32::from(did(&run, action, &before).await);
            }
            Step::Undo(action) => {
                let before = run.pipeline.graph().await.unwrap();
                if did(&run, action, &before).await {
                    applied += 1;
                    undo(&run, action, &before).await;
                }
            }
        }
        let account = run.pipeline.account();
        assert!(account.balances(), "after {step:?}: {account:?}");
    }
    heal(&run).await;
    run.finish().await;
    run.assert_whole("out", ITEMS);
    run.assert_whole("aside", ITEMS);
    assert!(applied > 0 || steps.len() < 5, "all of {steps:?} was refused");
}

async fn did(run: &Run, action: &Action, before: &Arc<Graph>) -> bool {
    match run.try_act(action).await {
        Ok(()) => true,
        Err(ApplyError::Refused(_)) => {
            assert_eq!(run.pipeline.graph().await.unwrap(), *before, "{action}");
            false
        }
        Err(ApplyError::Failed(why)) => panic!("{action}: {why}"),
    }
}

/// As the first-party reverser says.
static REVERSER: LazyLock<PluginJudge> = LazyLock::new(|| {
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let plugin = engine.load(flyball_first_party::find("standard-reverser").unwrap().wasm).unwrap();
    let used = PluginUse {
        plugin: "standard-reverser".to_owned(),
        settings: Default::default(),
        limits: Limits { time_ms: 10_000, ..Limits::default() },
        grants: Default::default(),
        on_failure: Default::default(),
    };
    PluginJudge::new(Arc::new(plugin), &used, 1).unwrap()
});

async fn undo(run: &Run, action: &Action, before: &Arc<Graph>) {
    let after = run.pipeline.graph().await.unwrap();
    match REVERSER.reverse(action, before, &after).await.unwrap().said {
        Reversal::Reversible { actions } => {
            for step in &actions {
                match run.try_act(step).await {
                    Ok(()) => {}
                    // The loop leaves out what is so already.
                    Err(ApplyError::Refused(why)) if why.ends_with("already") => {}
                    Err(error) => panic!("the undo of {action}, {step}, was not done: {error}"),
                }
            }
            assert_eq!(
                run.pipeline.graph().await.unwrap().digest(),
                before.digest(),
                "{action} undone by {actions:?}"
            );
        }
        Reversal::Irreversible { why } => {
            let may = matches!(
                action.kind(),
                ActionKind::RestartProcess | ActionKind::RemoveNode | ActionKind::InsertNode
            );
            assert!(may, "{action} cannot be undone: {why}");
        }
    }
}

/// A killed child may hold up everything until it is restarted.
fn stuck(run: &Run) -> bool {
    let graph = run.pipeline.graph().now_or_never().unwrap().unwrap();
    graph.nodes.iter().any(|node| {
        node.executor == Executor::Multiprocess
            && !node.bypassed
            && run.pipeline.worker_pids(&node.id).len() < node.replicas as usize
    })
}

/// What the controller would do.
async fn heal(run: &Run) {
    for node in &run.pipeline.graph().await.unwrap().nodes {
        if node.executor == Executor::Multiprocess && !node.bypassed {
            run.try_act(&Action::RestartProcess { node: node.id.clone() }).await.unwrap();
        }
    }
}

proptest! {
    #![proptest_config(Config { cases: 10, max_shrink_iters: 20, ..Config::default() })]

    #[test]
    fn no_order_of_actions_loses_doubles_or_reorders_items(steps in proptest::collection::vec(step(), 4..16)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(steps));
    }
}
