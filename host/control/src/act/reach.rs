//! Where an action may reach: the host's own check that nobody who proposes one gets out of the sandbox by the data plane.
//!
//! What a judge, a model, a reverser or a person's approval brings may make, put in another's place or configure anew
//! only nodes that reach nothing outside. A node that starts a process, opens a file or reaches an address is made only
//! where the policy names its type and its configuration (`safety.may_create`). Two things hold whatever the policy says:
//! a patch never touches what decides where a node reaches, nor a secret; and a mask is never written where it stands for
//! nothing.
//!
//! An undo may put back exactly what this run of the host has seen in that very place before the action that it undoes:
//! the manifest's own node, or one that the policy let an action make. What a reverser adds of its own is held to the rule.

use std::sync::Arc;

use flyball_model::{
    Action, Creatable, GraphSpec, NodeSpec, NodeType, Reach, Reason, mask_in, merge, touched,
};
use serde_json::Value;

use crate::act::checks::{Ground, reason};
use crate::observe::masking::MaskedPlane;

/// What stands against the action because of where it would reach.
pub(crate) fn reach(action: &Action, ground: &Ground<'_>) -> Option<Reason> {
    if let Action::UpdateNodeConfig { node, patch } = action
        && let Some(wrong) = patched(ground.graph.node(node)?, patch, ground)
    {
        return Some(wrong);
    }
    if let Err(place) = ground.plane.unmasked(action) {
        return Some(masked(&place));
    }
    match action {
        Action::ReplaceNode { node, node_type, config } => {
            let now = ground.graph.node(node)?;
            let carried = config.is_none() && now.node_type != *node_type;
            if carried && let Some(place) = mask_in(&now.config) {
                return Some(masked(&format!("{node}{place}")));
            }
            made(node, node_type, config.as_ref().unwrap_or(&now.config), ground)
        }
        Action::InsertNode { id, node_type, config, .. } => made(id, node_type, config, ground),
        Action::NoOp
        | Action::UpdateNodeConfig { .. }
        | Action::RemoveNode { .. }
        | Action::BypassNode { .. }
        | Action::SwitchExecutor { .. }
        | Action::RestartProcess { .. }
        | Action::ScaleNode { .. }
        | Action::AdjustBuffering { .. } => None,
    }
}

fn patched(now: &NodeSpec, patch: &Value, ground: &Ground<'_>) -> Option<Reason> {
    let of = ground.plane.own_type(&now.node_type);
    let of = of.unwrap_or_else(|| NodeType::unknown(&now.node_type));
    let names = ground.plane.names();
    if let Some(place) = touched(of.config_schema.as_ref(), of.reach, &now.config, patch, names) {
        let message = format!(
            "the patch touches {place:?} of {}, which decides where the node reaches or is secret; no patch may",
            now.id
        );
        return Some(Reason {
            hint: Some("patch other properties of the node".to_owned()),
            ..reason("decides-reach", message)
        });
    }
    if of.reach == Reach::Pure || ground.restoring.is_some() {
        return None;
    }
    let mut config = now.config.clone();
    merge(&mut config, patch);
    allowed(&now.id, &of, &config, ground)
}

fn made(node: &str, node_type: &str, config: &Value, ground: &Ground<'_>) -> Option<Reason> {
    let of = ground.plane.own_type(node_type).unwrap_or_else(|| NodeType::unknown(node_type));
    if of.reach == Reach::Pure || restores(node, node_type, config, ground) {
        return None;
    }
    allowed(node, &of, config, ground)
}

/// Whether this is the node exactly as it was before what is undone, in this run of the host.
fn restores(node: &str, node_type: &str, config: &Value, ground: &Ground<'_>) -> bool {
    let was = |before: &GraphSpec| {
        before.node(node).is_some_and(|was| was.node_type == node_type && was.config == *config)
    };
    ground.restoring.is_some_and(was) && ground.plane.has_been(node, node_type, config)
}

fn allowed(node: &str, of: &NodeType, config: &Value, ground: &Ground<'_>) -> Option<Reason> {
    let config = match ground.plane.unmasked_config(node, &of.name, config) {
        Ok(config) => config,
        Err(place) => return Some(masked(&place)),
    };
    let mut entries = ground.rules.safety.may_create.iter().filter(|entry| entry.node_type == of.name);
    if entries.any(|entry| admits(entry, &config)) {
        return None;
    }
    let named = ground.rules.safety.may_create.iter().any(|entry| entry.node_type == of.name);
    let what = if named { "with this configuration" } else { "" };
    let message = format!(
        "the node type {:?} reaches outside the pipeline (it starts processes, opens files or sockets), and the policy does \
         not let actions make it {what}",
        of.name
    );
    Some(Reason {
        hint: Some(format!(
            "an entry of `safety.may_create` with `type: {}` and exactly this `config` would allow it",
            of.name
        )),
        ..reason("reaches-outside", message.trim_end().to_owned())
    })
}

/// Whether an entry of a policy names this configuration. One that is open names none.
fn admits(entry: &Creatable, config: &Value) -> bool {
    if entry.open().is_some() {
        return false;
    }
    if let Some(exactly) = &entry.config {
        return config.as_object() == Some(exactly);
    }
    let schema = entry.schema.clone().map(Value::Object);
    schema
        .is_some_and(|schema| jsonschema::validator_for(&schema).is_ok_and(|schema| schema.is_valid(config)))
}

fn masked(place: &str) -> Reason {
    let message = format!("a mask stands at {place}, and what it stands for there is not known to this host");
    Reason {
        hint: Some("name a configuration without what is masked".to_owned()),
        ..reason("masked-value", message)
    }
}

/// Of the types that there are, those of which an action may make nodes, each with the configurations that it may have.
pub(crate) fn creatable(
    types: &Arc<[NodeType]>,
    may_create: &[Creatable],
    plane: &MaskedPlane,
) -> Arc<[NodeType]> {
    if types.iter().all(|of| plane.is_pure(&of.name)) {
        return Arc::clone(types);
    }
    let listed = |of: &NodeType| {
        if plane.is_pure(&of.name) {
            return Some(of.clone());
        }
        let entries = may_create.iter().filter(|entry| entry.node_type == of.name && entry.open().is_none());
        let schemas: Vec<Value> = entries.filter_map(|entry| narrowed(entry, of, plane)).collect();
        let schema = match <[Value; 1]>::try_from(schemas) {
            Ok([schema]) => schema,
            Err(schemas) if schemas.is_empty() => return None,
            Err(schemas) => serde_json::json!({ "anyOf": schemas }),
        };
        Some(NodeType { config_schema: Some(schema), ..of.clone() })
    };
    types.iter().filter_map(listed).collect()
}

/// What an entry allows, as judges may see it. They name a secret by its mask.
fn narrowed(entry: &Creatable, of: &NodeType, plane: &MaskedPlane) -> Option<Value> {
    let own = plane.own_type(&of.name).unwrap_or_else(|| NodeType::unknown(&of.name));
    if let Some(config) = &entry.config {
        let mut config = Value::Object(config.clone());
        flyball_model::mask_plainly(&mut config, Some(&own), plane.names());
        return Some(serde_json::json!({ "const": config }));
    }
    entry.schema.clone().map(Value::Object)
}
