//! The host's own checks of an action, whatever the plugins say of it: level, support, nodes, protection, parameters, types, reach. They come
//! before the validators and again after each amendment, so that no validator can amend its way past them.
//!
//! Called by `review` for every action, and by `asking`, which prefers an answer that can happen.

use std::collections::BTreeSet;
use std::sync::Arc;

use flyball_model::{
    Action, ActionKind, Attributed, Evidence, Executor, Finding, GraphSpec, NodeId, NodeType, Observation,
    Proposal, Reason, Rules, Safety, hidden_in, matching, total,
};
use flyball_ports::{Support, UndoKind};
use serde_json::Value;

use crate::act::reach::reach;
use crate::observe::masking::MaskedPlane;

/// The longest name of a new node.
const MAX_ID_BYTES: usize = 128;
/// More workers than this are a mistake or an attack.
const MAX_REPLICAS: u32 = 1_024;
/// More waiting items than this are a mistake or an attack.
const MAX_CAPACITY: u32 = 10_000_000;

/// What an action is held against.
pub(crate) struct Ground<'a> {
    pub graph: &'a GraphSpec,
    pub rules: &'a Rules,
    pub support: &'a [Support],
    /// Those of catalogs too.
    pub node_types: &'a [NodeType],
    /// What the data plane itself says of its types, and what its nodes were.
    pub plane: &'a MaskedPlane,
    /// The graph before what is undone, where it is an undo.
    pub restoring: Option<&'a GraphSpec>,
}

/// The rules of both: the narrower of each.
pub(crate) fn narrowed(one: &Rules, other: &Rules) -> Rules {
    let mut rules = one.clone();
    rules.enabled &= other.enabled;
    rules.mutation = rules.mutation.min(other.mutation);
    let mine: BTreeSet<&String> = one.protected.iter().collect();
    rules.protected.extend(other.protected.iter().filter(|pattern| !mine.contains(pattern)).cloned());
    rules.cooldown_ms = rules.cooldown_ms.max(other.cooldown_ms);
    rules.max_actions = rules.max_actions.min(other.max_actions);
    rules.window_ms = rules.window_ms.max(other.window_ms);
    rules.safety = Arc::new(safer(&one.safety, &other.safety));
    rules
}

/// What either asks of a person, forbids or only proposes; of budgets the smaller.
fn safer(one: &Safety, other: &Safety) -> Safety {
    let mut safety = other.clone();
    safety.propose_only |= one.propose_only;
    safety.undo_worse |= one.undo_worse;
    safety.give_back.kinds.retain(|kind| one.give_back.kinds.contains(kind));
    safety.give_back.after_ms = safety.give_back.after_ms.max(one.give_back.after_ms);
    safety.irreversible.retain(|kind| one.irreversible.contains(kind));
    safety.may_create.retain(|entry| one.may_create.contains(entry));
    for (mine, theirs) in
        [(&mut safety.dry_run, &one.dry_run), (&mut safety.approval.kinds, &one.approval.kinds)]
    {
        mine.extend(theirs.iter().copied());
    }
    safety.approval.expires_ms = safety.approval.expires_ms.min(one.approval.expires_ms);
    safety.attempts = safety.attempts.min(one.attempts);
    safety.futile = safety.futile.min(one.futile);
    safety.targets_at_once = safety.targets_at_once.min(one.targets_at_once);
    safety
}

/// Everything that is wrong with the action, whatever the plugins say of it.
pub(crate) fn check(action: &Action, ground: &Ground<'_>) -> Vec<Reason> {
    let mut wrong = Vec::new();
    wrong.extend(kind(action.kind(), ground));
    wrong.extend(nodes(action, ground.graph));
    wrong.extend(protected(action, ground));
    wrong.extend(parameters(action));
    let unknown = types(action, ground);
    if unknown.is_none() {
        wrong.extend(reach(action, ground));
    }
    wrong.extend(unknown);
    wrong
}

fn kind(kind: ActionKind, ground: &Ground<'_>) -> Vec<Reason> {
    let mut wrong = Vec::new();
    if !ground.rules.mutation.allows(kind) {
        let needed = kind.needs().name();
        wrong.push(Reason {
            hint: Some(format!("the mutation policy {needed} allows it")),
            ..reason(
                "kind-not-allowed",
                format!("the mutation policy {} does not allow {kind}", ground.rules.mutation.name()),
            )
        });
    }
    if kind == ActionKind::NoOp {
        return wrong;
    }
    match ground.support.iter().find(|support| support.kind == kind) {
        None => wrong.push(reason("kind-not-supported", format!("the data plane does not support {kind}"))),
        Some(support)
            if support.undo == UndoKind::Irreversible
                && !ground.rules.safety.irreversible.contains(&kind) =>
        {
            wrong.push(Reason {
                hint: Some(format!("`safety.irreversible: [{kind}]` in the policy allows it")),
                ..reason("irreversible", format!("the data plane cannot undo {kind}"))
            });
        }
        Some(_) => {}
    }
    wrong
}

fn nodes(action: &Action, graph: &GraphSpec) -> Vec<Reason> {
    let mut wrong: Vec<Reason> = action
        .touches()
        .into_iter()
        .filter(|node| graph.node(node).is_none())
        .map(|node| reason("unknown-node", format!("there is no node {node:?} in the graph")))
        .collect();
    if let Action::InsertNode { id, .. } = action
        && graph.node(id).is_some()
    {
        wrong.push(reason("node-exists", format!("there is a node {id:?} already")));
    }
    wrong
}

fn protected(action: &Action, ground: &Ground<'_>) -> Option<Reason> {
    let protected = &ground.rules.protected;
    let mut touched = touched(action, ground.graph).into_iter();
    let (node, by) = touched.find_map(|node| matching(protected, node).map(|by| (node, by)))?;
    let by = if by == node { String::new() } else { format!(" by {by:?}") };
    Some(reason("protected-node", format!("{node} is protected{by}, and the action touches it")))
}

/// The nodes that the action changes or whose edges it changes, as the graph is now: an insertion that names nothing
/// behind it changes the edges of all that follow.
fn touched<'a>(action: &'a Action, graph: &'a GraphSpec) -> Vec<&'a NodeId> {
    let mut touched = action.touches();
    touched.extend(action.target());
    if let Action::InsertNode { after, before, .. } = action
        && before.is_empty()
    {
        touched.extend(after.iter().flat_map(|node| graph.after(node)));
    }
    touched
}

fn parameters(action: &Action) -> Option<Reason> {
    let wrong = match action {
        Action::ScaleNode { replicas, .. } => outside("replicas", *replicas, MAX_REPLICAS),
        Action::AdjustBuffering { capacity, .. } => outside("capacity", *capacity, MAX_CAPACITY),
        Action::InsertNode { id, config, after, .. } => id_fault(id)
            .or_else(|| after.is_empty().then(|| "an insertion names no node to insert after".to_owned()))
            .or_else(|| not_an_object("config", config)),
        Action::ReplaceNode { config: Some(config), .. } => not_an_object("config", config),
        Action::UpdateNodeConfig { patch, .. } => not_an_object("patch", patch),
        _ => None,
    };
    wrong.map(|message| reason("bad-parameters", message))
}

fn outside(name: &str, value: u32, most: u32) -> Option<String> {
    (value == 0 || value > most).then(|| format!("{name} is {value}; it is from 1 to {most}"))
}

fn id_fault(id: &str) -> Option<String> {
    if id.trim().is_empty() {
        return Some("the new node has no name".to_owned());
    }
    if id.len() > MAX_ID_BYTES {
        return Some(format!("the new node's name has {} bytes; the most is {MAX_ID_BYTES}", id.len()));
    }
    hidden_in(id).map(|letter| {
        format!(
            "the new node's name {id:?} holds a character that cannot be seen (U+{:04X})",
            u32::from(letter)
        )
    })
}

fn not_an_object(name: &str, value: &Value) -> Option<String> {
    (!value.is_object()).then(|| format!("{name} is not a JSON object"))
}

fn types(action: &Action, ground: &Ground<'_>) -> Option<Reason> {
    match action {
        Action::ReplaceNode { node_type, .. } => known(node_type, ground).err(),
        Action::InsertNode { node_type, executor, .. } => match (known(node_type, ground), executor) {
            (Err(unknown), _) => Some(unknown),
            (Ok(known), Some(executor)) => not_offered(known, *executor),
            (Ok(_), None) => None,
        },
        Action::SwitchExecutor { node, to } => {
            let node_type = &ground.graph.node(node)?.node_type;
            known(node_type, ground).map_or_else(Some, |known| not_offered(known, *to))
        }
        _ => None,
    }
}

fn known<'a>(name: &str, ground: &Ground<'a>) -> Result<&'a NodeType, Reason> {
    ground.node_types.iter().find(|known| known.name == name).ok_or_else(|| {
        reason("unknown-node-type", format!("neither a catalog nor the data plane offers {name:?}"))
    })
}

fn not_offered(node_type: &NodeType, executor: Executor) -> Option<Reason> {
    let offered = node_type.offers.iter().any(|offer| offer.executor == executor);
    (!offered).then(|| {
        reason(
            "executor-not-offered",
            format!("the node type {} is not offered as {executor}", node_type.name),
        )
    })
}

/// What the proposal says that it rests on, and is not to be found in the observation.
pub(crate) fn unresolved(proposal: &Proposal, now: &Observation) -> Option<Reason> {
    let evidence = proposal.rests_on.iter().find(|evidence| !resolves(evidence, now))?;
    let what = match (&evidence.node, &evidence.metric) {
        (Some(node), Some(metric)) => format!("the metric {metric:?} of the node {node:?}"),
        (Some(node), None) => format!("the node {node:?}"),
        (None, Some(metric)) => format!("the graph's number {metric:?}"),
        (None, None) => return None,
    };
    let message = format!("the proposal rests on {what}, which the newest observation does not have");
    Some(Reason { rests_on: vec![evidence.clone()], ..reason("unresolved-evidence", message) })
}

fn resolves(evidence: &Evidence, now: &Observation) -> bool {
    let metric = evidence.metric.as_deref();
    match evidence.node.as_deref() {
        Some(node) => {
            now.nodes.find(node).is_some()
                && metric.is_none_or(|metric| now.nodes.metrics.get(metric).is_some())
        }
        None => metric.is_none_or(|metric| {
            matches!(metric, total::END_TO_END_LATENCY_MS | total::THROUGHPUT_PER_SECOND)
                || now.graph.others.iter().any(|(own, _)| own == metric)
        }),
    }
}

/// Of what was found, that which the proposal is for: what is said of a node that it touches or that it rests on. A
/// proposal that is about none of them is for them all.
pub(crate) fn answered<'a>(
    proposal: &Proposal,
    findings: &'a [Attributed<Finding>],
) -> Vec<&'a Attributed<Finding>> {
    let touched = proposal.action.touches();
    let about = |node: &NodeId| {
        touched.contains(&node)
            || proposal.rests_on.iter().any(|evidence| evidence.node.as_ref() == Some(node))
    };
    let near: Vec<_> =
        findings.iter().filter(|finding| finding.said.target.as_ref().is_some_and(about)).collect();
    if near.is_empty() { findings.iter().collect() } else { near }
}

/// Whether two findings say the same of the same.
pub(crate) fn same(one: &Finding, other: &Finding) -> bool {
    one.code == other.code && one.target == other.target
}

pub(crate) fn reason(code: &str, message: String) -> Reason {
    Reason { code: code.to_owned(), message, hint: None, rests_on: Vec::new() }
}
