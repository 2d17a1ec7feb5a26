//! Whatever the judges say, the data plane is never asked for what is not allowed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use flyball_model::*;
use flyball_ports::*;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use support::*;

/// `z` never exists; `n` and `m` only once they were inserted.
const NAMES: [&str; 7] = ["a", "b", "c", "n", "m", "z", ""];

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => select(&NAMES[..3]), 1 => select(&NAMES[3..])].prop_map(str::to_owned)
}

fn new_name() -> impl Strategy<Value = String> {
    prop_oneof![4 => select(&["n", "m"][..]).prop_map(str::to_owned), 1 => name()]
}

fn executor() -> impl Strategy<Value = Executor> {
    select(&[Executor::Native, Executor::Multiprocess, Executor::Wasm][..])
}

fn any_action() -> impl Strategy<Value = Action> {
    let types = || select(&["upper", "upper", "magic"][..]).prop_map(str::to_owned);
    let names = || prop::collection::vec(name(), 0..2);
    prop_oneof![
        1 => Just(Action::NoOp),
        1 => (name(), types()).prop_map(|(node, node_type)| Action::ReplaceNode { node, node_type, config: None }),
        3 => (new_name(), types(), prop::option::of(executor()), names(), names()).prop_map(
            |(id, node_type, executor, after, before)| Action::InsertNode {
                id,
                node_type,
                config: json!({}),
                executor,
                after,
                before
            }
        ),
        1 => name().prop_map(|node| Action::RemoveNode { node }),
        1 => name().prop_map(|node| Action::UpdateNodeConfig { node, patch: json!({"x": 1}) }),
        1 => (name(), any::<bool>()).prop_map(|(node, active)| Action::BypassNode { node, active }),
        1 => (name(), executor()).prop_map(|(node, to)| Action::SwitchExecutor { node, to }),
        1 => name().prop_map(|node| Action::RestartProcess { node }),
        1 => (name(), 0_u32..4).prop_map(|(node, replicas)| Action::ScaleNode { node, replicas }),
        1 => (name(), 0_u32..4).prop_map(|(node, capacity)| Action::AdjustBuffering { node, capacity }),
    ]
}

#[derive(Debug, Clone)]
enum Says {
    Fails,
    Panics,
    Abstains,
    Wants(Action, Duration),
}

fn any_decider() -> impl Strategy<Value = Says> {
    prop_oneof![
        1 => Just(Says::Fails),
        1 => Just(Says::Panics),
        1 => Just(Says::Abstains),
        8 => (any_action(), select(&[0_u64, 0, 0, 3][..]))
            .prop_map(|(action, takes)| Says::Wants(action, Duration::from_secs(takes))),
    ]
}

#[derive(Debug, Clone)]
enum Ruling {
    Allow,
    Deny,
    Ask,
    Fail,
    Amend(Action),
}

fn any_verdict() -> impl Strategy<Value = Ruling> {
    prop_oneof![
        12 => Just(Ruling::Allow),
        1 => Just(Ruling::Deny),
        1 => Just(Ruling::Ask),
        1 => Just(Ruling::Fail),
        2 => any_action().prop_map(Ruling::Amend),
    ]
}

fn policy() -> impl Strategy<Value = (MutationPolicy, Vec<String>)> {
    let levels = prop_oneof![
        1 => Just(MutationPolicy::ReadOnly),
        2 => Just(MutationPolicy::Heal),
        2 => Just(MutationPolicy::Optimize),
        6 => Just(MutationPolicy::Full),
    ];
    let protected = prop::collection::vec(select(&["a", "b", "n"][..]).prop_map(str::to_owned), 0..2);
    (levels, protected)
}

#[derive(Debug, Clone)]
struct Step {
    policy: (MutationPolicy, Vec<String>),
    finds: Option<String>,
    deciders: Vec<Says>,
    verdicts: Vec<Ruling>,
    open: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let deciders = prop::collection::vec(any_decider(), 1..4);
    let verdicts = prop::collection::vec(any_verdict(), 0..3);
    (policy(), prop::option::weighted(0.9, name()), deciders, verdicts, any::<bool>()).prop_map(
        |(policy, finds, deciders, verdicts, open)| Step { policy, finds, deciders, verdicts, open },
    )
}

fn panel(panel: &mut Panel, step: &Step) {
    panel.rules.mutation = step.policy.0;
    panel.rules.protected = step.policy.1.clone();
    panel.rules.cooldown_ms = 0;
    panel.rules.max_actions = 1_000;
    panel.deciders = step
        .deciders
        .iter()
        .map(|says| match says.clone() {
            Says::Fails => decider("fails", |_, _| Err("fails".into())),
            Says::Panics => decider("panics", |_, _| panic!("panics")),
            Says::Abstains => decider("abstains", |_, _| Ok(Decided::Abstains("no".into()))),
            Says::Wants(action, takes) => wants_after(takes, action),
        })
        .collect();
    let on_failure = if step.open { OnFailure::Open } else { OnFailure::Closed };
    panel.validators = step
        .verdicts
        .iter()
        .map(|says| {
            let says = says.clone();
            let review = move |proposal: &Proposal| match &says {
                Ruling::Amend(action) if *action != proposal.action => {
                    Ok(Verdict::Amend(Amendment { action: action.clone(), reason: because("better") }))
                }
                Ruling::Allow | Ruling::Amend(_) => Ok(Verdict::Allow),
                Ruling::Deny => Ok(Verdict::Deny(because("no"))),
                Ruling::Ask => Ok(Verdict::Ask(because("ask"))),
                Ruling::Fail => Err("fails".into()),
            };
            Rule::One(Arc::new(Plain { on_failure, ..plain("reviews", review) }) as Arc<dyn Validator>)
        })
        .collect();
}

/// Whether the data plane may be asked for this, on this graph and by this policy.
fn may_happen(
    action: &Action,
    graph: &GraphSpec,
    (mutation, protected): &(MutationPolicy, Vec<String>),
) -> bool {
    let mut touched: Vec<&str> = action.touches().into_iter().map(String::as_str).collect();
    if let Action::InsertNode { after, before, .. } = action
        && before.is_empty()
    {
        let follows = graph.edges.iter().filter(|(from, _)| after.contains(from));
        touched.extend(follows.map(|(_, to)| to.as_str()));
    }
    let parameters = match action {
        Action::NoOp
        | Action::ScaleNode { replicas: 0, .. }
        | Action::AdjustBuffering { capacity: 0, .. } => false,
        Action::InsertNode { id, node_type, executor, after, .. } => {
            !id.is_empty()
                && graph.node(id).is_none()
                && !after.is_empty()
                && node_type == "upper"
                && *executor != Some(Executor::Multiprocess)
        }
        Action::ReplaceNode { node_type, .. } => node_type == "upper",
        Action::SwitchExecutor { to, .. } => *to != Executor::Multiprocess,
        _ => true,
    };
    parameters
        && action.kind() != ActionKind::AdjustBuffering
        && mutation.allows(action.kind())
        && touched.iter().all(|node| graph.node(node).is_some() && !protected.iter().any(|held| held == node))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_data_plane_is_never_asked_for_what_is_not_allowed_protected_or_unknown(
        steps in prop::collection::vec(step(), 1..12)
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let rig = Rig::new(|_| {});
            rig.plane.view.lock().support.retain(|support| support.kind != ActionKind::AdjustBuffering);
            rig.plane.view.lock().support.iter_mut().for_each(|support| support.settle_ms = 0);
            let mut checked = 0;
            for (generation, step) in steps.iter().enumerate() {
                rig.publish(generation as u64 + 1, |new| panel(new, step));
                rig.finds(step.finds.iter().map(|node| finding("slow", Some(node))).collect());
                let record = rig.tick_in(1).await;
                let view = rig.plane.view.lock();
                let new = &view.applied[checked..];
                prop_assert!(new.len() <= 1, "one action a tick");
                for (action, before) in new {
                    prop_assert!(may_happen(action, before, &step.policy), "{action} by {:?}", step.policy);
                    prop_assert_eq!(record.action.as_ref().map(|done| &done.proposal.action), Some(action));
                }
                checked = view.applied.len();
            }
            Ok(())
        })?;
    }
}
