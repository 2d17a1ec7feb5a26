//! What an inverse of an action can be. A reverser answers with actions, and whoever may answer with any action could change any
//! node under the name of an undo. So the host holds each step against the action that is to be undone: it must be of a kind
//! that can invert that one, at the same node, and put back exactly what that node had before. Called by `rollback`, before
//! the first step is done.

use std::collections::BTreeSet;

use flyball_model::{Action, ActionKind, GraphSpec, NodeId, NodeSpec, merge};
use serde_json::{Map, Value};

/// More steps than this are no undo of one action: the longest puts back a node with four settings.
const MOST_STEPS: usize = 8;

/// What is undone, and the graph around it.
pub(crate) struct Undone<'a> {
    pub action: &'a Action,
    pub before: &'a GraphSpec,
    pub after: &'a GraphSpec,
}

/// Why these steps are no inverse of the action, if they are not.
pub(crate) fn fault(undone: &Undone<'_>, steps: &[Action]) -> Option<String> {
    if steps.len() > MOST_STEPS {
        return Some(format!("{} steps are no inverse of one action; the most is {MOST_STEPS}", steps.len()));
    }
    let fault = steps.iter().find_map(|step| Some((step, fault_of_step(undone, step)?)));
    fault.map(|(step, why)| format!("\"{step}\" is no inverse of \"{}\": {why}", undone.action))
}

fn fault_of_step(undone: &Undone<'_>, step: &Action) -> Option<String> {
    let kinds = inverses(undone.action.kind());
    if !kinds.contains(&step.kind()) {
        return Some(match kinds {
            [] => format!("nothing inverts {}", undone.action.kind()),
            kinds => format!("what inverts it is {}", named(kinds)),
        });
    }
    let target = undone.action.target()?;
    if step.target() != Some(target) {
        return Some(format!("it was done to {target}"));
    }
    if let Action::RemoveNode { .. } = step {
        return undone.before.node(target).map(|_| format!("{target} was there before"));
    }
    let Some(before) = undone.before.node(target) else {
        return Some(format!("{target} was not there before"));
    };
    (!puts_back(undone, step, before)).then(|| format!("it does not put back what {target} had before"))
}

/// Of which kinds the steps can be that undo an action of this kind.
const fn inverses(kind: ActionKind) -> &'static [ActionKind] {
    use ActionKind as K;
    match kind {
        K::NoOp | K::RestartProcess => &[],
        K::ReplaceNode => &[
            K::ReplaceNode,
            K::UpdateNodeConfig,
            K::SwitchExecutor,
            K::ScaleNode,
            K::AdjustBuffering,
            K::BypassNode,
        ],
        K::InsertNode => &[K::RemoveNode],
        K::RemoveNode => &[K::InsertNode, K::ScaleNode, K::AdjustBuffering, K::BypassNode],
        K::UpdateNodeConfig => &[K::UpdateNodeConfig, K::ReplaceNode],
        K::BypassNode => &[K::BypassNode],
        K::SwitchExecutor => &[K::SwitchExecutor],
        K::ScaleNode => &[K::ScaleNode],
        K::AdjustBuffering => &[K::AdjustBuffering],
    }
}

/// Whether the step gives the node what it had before.
fn puts_back(undone: &Undone<'_>, step: &Action, before: &NodeSpec) -> bool {
    let after = undone.after.node(&before.id);
    match step {
        Action::ReplaceNode { node_type, config, .. } => {
            let config = config.as_ref().or_else(|| after.map(|after| &after.config));
            *node_type == before.node_type && config == Some(&before.config)
        }
        Action::InsertNode { node_type, config, executor, after, before: behind, .. } => {
            let same =
                |named: &[NodeId], had: BTreeSet<&NodeId>| named.iter().collect::<BTreeSet<_>>() == had;
            *node_type == before.node_type
                && *config == before.config
                && executor.is_none_or(|executor| executor == before.executor)
                && same(after, undone.before.before(&before.id).collect())
                && (behind.is_empty() || same(behind, undone.before.after(&before.id).collect()))
        }
        Action::UpdateNodeConfig { patch, .. } => {
            after.is_some_and(|after| patches_back(&after.config, patch, &before.config))
        }
        Action::BypassNode { active, .. } => *active == before.bypassed,
        Action::SwitchExecutor { to, .. } => *to == before.executor,
        Action::ScaleNode { replicas, .. } => *replicas == before.replicas,
        Action::AdjustBuffering { capacity, .. } => *capacity == before.queue_capacity,
        Action::NoOp | Action::RemoveNode { .. } | Action::RestartProcess { .. } => false,
    }
}

/// Whether the patch touches only what the action changed, and sets it as it was.
fn patches_back(after: &Value, patch: &Value, before: &Value) -> bool {
    let nothing = Map::new();
    let (Some(touched), had, has) = (patch.as_object(), before.as_object(), after.as_object()) else {
        return false;
    };
    let (had, has) = (had.unwrap_or(&nothing), has.unwrap_or(&nothing));
    let mut patched = after.clone();
    merge(&mut patched, patch);
    touched.keys().all(|key| had.get(key) != has.get(key) && patched.get(key) == had.get(key))
}

fn named(kinds: &[ActionKind]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    names.join(", ")
}
