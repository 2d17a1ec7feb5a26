//! Contract to model: what plugins say. It is hostile input, already bounded in bytes by the call's output limit;
//! here JSON text is parsed, and what no honest plugin says is refused with the field's name.

use flyball_control::ports::Decided;
use flyball_model::{
    Action, Amendment, Decision, Evidence, Finding, NodeOffer, NodeType, Proposal, Reason, Reversal,
    Severity, Verdict,
};
use serde_json::Value;

use crate::bindings::{actions, deciding, judgement, offers, reviewing};
use crate::error::CallError;

/// Nothing nested deeper than this is a configuration. (serde_json itself stops at 128.)
const DEEPEST: usize = 64;

pub(crate) fn findings(said: Vec<judgement::Finding>) -> Vec<Finding> {
    said.into_iter()
        .map(|finding| Finding {
            code: finding.code,
            severity: match finding.severity {
                judgement::Severity::Info => Severity::Info,
                judgement::Severity::Warning => Severity::Warning,
                judgement::Severity::Critical => Severity::Critical,
            },
            target: finding.target,
            message: finding.message,
            rests_on: evidence(finding.rests_on),
        })
        .collect()
}

pub(crate) fn decided(said: Result<deciding::Decision, deciding::Failure>) -> Result<Decided, CallError> {
    match said {
        Ok(decision) => Ok(Decided::For(Decision {
            analysis: decision.analysis,
            issues: decision.issues,
            proposal: proposal(decision.proposal)?,
        })),
        Err(deciding::Failure::Abstain(why)) => Ok(Decided::Abstains(why)),
        Err(deciding::Failure::Failed(why)) => Err(CallError::Declined { message: why }),
    }
}

pub(crate) fn verdict(said: reviewing::Verdict) -> Result<Verdict, CallError> {
    Ok(match said {
        reviewing::Verdict::Allow => Verdict::Allow,
        reviewing::Verdict::Deny(why) => Verdict::Deny(reason(why)),
        reviewing::Verdict::Ask(why) => Verdict::Ask(reason(why)),
        reviewing::Verdict::Amend(amendment) => {
            Verdict::Amend(Amendment { action: action(amendment.action)?, reason: reason(amendment.reason) })
        }
    })
}

pub(crate) fn reversal(said: Result<Vec<actions::Action>, String>) -> Result<Reversal, CallError> {
    Ok(match said {
        Ok(actions) => {
            Reversal::Reversible { actions: actions.into_iter().map(action).collect::<Result<_, _>>()? }
        }
        Err(why) => Reversal::Irreversible { why },
    })
}

pub(crate) fn node_types(said: Vec<offers::NodeType>) -> Result<Vec<NodeType>, CallError> {
    said.into_iter().map(node_type).collect()
}

fn node_type(said: offers::NodeType) -> Result<NodeType, CallError> {
    Ok(NodeType {
        name: said.name,
        summary: said.summary,
        provides: said.provides,
        offers: said
            .offers
            .into_iter()
            .map(|offer| NodeOffer {
                executor: offer.executor.into(),
                relative_speed: offer.relative_speed.filter(|speed| speed.is_finite()),
                relative_cost: offer.relative_cost.filter(|cost| cost.is_finite()),
            })
            .collect(),
        config_schema: said.config_schema.map(|text| json("config-schema", &text)).transpose()?,
    })
}

fn evidence(said: Vec<judgement::Evidence>) -> Vec<Evidence> {
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

fn reason(said: judgement::Reason) -> Reason {
    Reason { code: said.code, message: said.message, hint: said.hint, rests_on: evidence(said.rests_on) }
}

fn proposal(said: actions::Proposal) -> Result<Proposal, CallError> {
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

fn action(said: actions::Action) -> Result<Action, CallError> {
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

fn json(field: &'static str, text: &str) -> Result<Value, CallError> {
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

fn invalid(field: &'static str, why: String) -> CallError {
    CallError::InvalidAnswer { field, why }
}
