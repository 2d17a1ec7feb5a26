//! Whatever actions come in whatever order, with children killed between them: every item arrives at every sink exactly
//! once and in order, and the account balances.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use flyball_control::ports::{ApplyError, DataPlane as _};
use flyball_model::{Action, Executor};
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Value, json};
use support::{Run, kill, manifest, pass, sink, source};

const ITEMS: u64 = 2_500;
const NODES: [&str; 4] = ["first", "child", "last", "side"];

#[derive(Debug, Clone)]
enum Step {
    Do(Action),
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let node = || proptest::sample::select(&NODES[..]).prop_map(str::to_owned);
    let executor =
        || proptest::sample::select(&[Executor::Native, Executor::Multiprocess, Executor::Wasm][..]);
    let config = || json!({"template": "{{.}}"});
    prop_oneof![
        (node(), any::<bool>()).prop_map(move |(node, flaky)| {
            let node_type = if flaky { "flaky" } else { "map" }.to_owned();
            Step::Do(Action::ReplaceNode { node, node_type, config: Some(config()) })
        }),
        (node(), 0..3, executor()).prop_map(move |(after, number, executor)| {
            Step::Do(Action::InsertNode {
                id: format!("new-{number}"),
                node_type: "map".to_owned(),
                config: config(),
                executor: Some(executor),
                after: vec![after],
                before: vec![],
            })
        }),
        (0..3).prop_map(|number| Step::Do(Action::RemoveNode { node: format!("new-{number}") })),
        node().prop_map(|node| Step::Do(Action::RemoveNode { node })),
        (node(), any::<bool>()).prop_map(|(node, null)| {
            let patch = json!({"on_missing": if null { json!("null") } else { Value::Null }});
            Step::Do(Action::UpdateNodeConfig { node, patch })
        }),
        (node(), any::<bool>()).prop_map(|(node, active)| Step::Do(Action::BypassNode { node, active })),
        (node(), executor()).prop_map(|(node, to)| Step::Do(Action::SwitchExecutor { node, to })),
        node().prop_map(|node| Step::Do(Action::RestartProcess { node })),
        (node(), 1u32..5).prop_map(|(node, replicas)| Step::Do(Action::ScaleNode { node, replicas })),
        (node(), 1u32..100).prop_map(|(node, capacity)| Step::Do(Action::AdjustBuffering { node, capacity })),
        Just(Step::Kill),
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
    for node in run.pipeline.graph().nodes {
        if let Some(pid) = run.pipeline.worker_pids(&node.id).first() {
            kill(*pid);
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
                let before = run.pipeline.graph();
                match run.try_act(action).await {
                    Ok(()) => applied += 1,
                    Err(ApplyError::Refused(_)) => assert_eq!(run.pipeline.graph(), before, "{action}"),
                    Err(ApplyError::Failed(why)) => panic!("{action}: {why}"),
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

/// A killed child may hold up everything until it is restarted.
fn stuck(run: &Run) -> bool {
    run.pipeline.graph().nodes.iter().any(|node| {
        node.executor == Executor::Multiprocess
            && !node.bypassed
            && run.pipeline.worker_pids(&node.id).len() < node.replicas as usize
    })
}

/// What the controller would do.
async fn heal(run: &Run) {
    for node in run.pipeline.graph().nodes {
        if node.executor == Executor::Multiprocess && !node.bypassed {
            run.try_act(&Action::RestartProcess { node: node.id }).await.unwrap();
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
