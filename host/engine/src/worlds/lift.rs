//! Contract to model: the data that plugins of several worlds answer with. What one world alone says is lifted in that world's
//! file. It is hostile input, already bounded in bytes by the call's output limit; here JSON text is parsed, and what no honest
//! plugin says is refused with the field's name.

use flyball_model::{Action, Evidence, Proposal, Reason};
use serde_json::Value;

use crate::bindings::{actions, judgement};
use crate::error::CallError;

/// Nothing nested deeper than this is a configuration. (serde_json itself stops at 128.)
const DEEPEST: usize = 64;

pub(super) fn evidence(said: Vec<judgement::Evidence>) -> Vec<Evidence> {
    said.into_iter()
        .map(|evidence| Evidence {
            node: evidence.node,
            metric: evidence.metric,
            // JSON has no NaN: a number that is none is a number that is missing.
            value: evidence.value.filter(|value| value.is_finite()),
            limit: evidence.limit.filter(|limit| limit.is_finite()),
            note: evidence.note,
        })
        .collect()
}

pub(super) fn reason(said: judgement::Reason) -> Reason {
    Reason { code: said.code, message: said.message, hint: said.hint, rests_on: evidence(said.rests_on) }
}

pub(super) fn proposal(said: actions::Proposal) -> Result<Proposal, CallError> {
    if let Some(confidence) = said.confidence
        && !(0.0..=1.0).contains(&confidence)
    {
        return Err(invalid("confidence", format!("{confidence} is not from 0 to 1")));
    }
    Ok(Proposal {
        action: action(said.action)?,
        reason: said.reason,
        confidence: said.confidence,
        rests_on: evidence(said.rests_on),
    })
}

pub(super) fn action(said: actions::Action) -> Result<Action, CallError> {
    Ok(match said {
        actions::Action::NoOp => Action::NoOp,
        actions::Action::ReplaceNode(actions::Replacement { node, node_type, config }) => {
            Action::ReplaceNode {
                node,
                node_type,
                config: config.map(|text| json("replace-node.config", &text)).transpose()?,
            }
        }
        actions::Action::InsertNode(insertion) => Action::InsertNode {
            id: insertion.id,
            node_type: insertion.node_type,
            config: json("insert-node.config", &insertion.config)?,
            executor: insertion.executor.map(Into::into),
            after: insertion.after,
            before: insertion.before,
        },
        actions::Action::RemoveNode(node) => Action::RemoveNode { node },
        actions::Action::UpdateNodeConfig(actions::ConfigChange { node, patch }) => {
            Action::UpdateNodeConfig { node, patch: json("update-node-config.patch", &patch)? }
        }
        actions::Action::BypassNode(actions::Bypass { node, active }) => Action::BypassNode { node, active },
        actions::Action::SwitchExecutor(actions::ExecutorChange { node, to }) => {
            Action::SwitchExecutor { node, to: to.into() }
        }
        actions::Action::RestartProcess(node) => Action::RestartProcess { node },
        actions::Action::ScaleNode(actions::Scaling { node, replicas }) => {
            Action::ScaleNode { node, replicas }
        }
        actions::Action::AdjustBuffering(actions::Buffering { node, capacity }) => {
            Action::AdjustBuffering { node, capacity }
        }
    })
}

pub(super) fn json(field: &'static str, text: &str) -> Result<Value, CallError> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| invalid(field, format!("not JSON: {error}")))?;
    if deeper_than(&value, DEEPEST) {
        return Err(invalid(field, format!("nested deeper than {DEEPEST}")));
    }
    Ok(value)
}

fn deeper_than(value: &Value, limit: usize) -> bool {
    let Some(limit) = limit.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => items.iter().any(|item| deeper_than(item, limit)),
        Value::Object(entries) => entries.values().any(|entry| deeper_than(entry, limit)),
        _ => false,
    }
}

pub(super) fn invalid(field: &'static str, why: String) -> CallError {
    CallError::InvalidAnswer { field, why }
}
