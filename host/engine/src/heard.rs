//! Contract to model: what plugins say. It is hostile input, already bounded in bytes by the call's output limit;
//! here JSON text is parsed, and what no honest plugin says is refused with the field's name.

use std::sync::Arc;

use flyball_model::{
    Action, Amendment, Assessment, Check, Decision, Evidence, Finding, NodeColumns, NodeOffer, NodeType,
    Proposal, Reach, Reason, Reversal, Severity, Side, Verdict,
};
use flyball_ports::Decided;
use serde_json::Value;

use crate::bindings::{actions, assessing, deciding, judgement, offers, reviewing};
use crate::error::CallError;
use crate::logging::{LONGEST_REASON, plain};

/// Nothing nested deeper than this is a configuration. (serde_json itself stops at 128.)
const DEEPEST: usize = 64;

/// A heuristic has rules by the dozen, not by the hundred.
const MOST_CHECKS: usize = 64;
/// Of what a check says in words, in bytes.
const LONGEST_WORD: usize = 100;
const LONGEST_NOTE: usize = 200;

/// Of an observation with these nodes.
pub(crate) fn assessment(said: assessing::Assessment, nodes: &NodeColumns) -> Result<Assessment, CallError> {
    if said.checks.len() > MOST_CHECKS {
        return Err(invalid("checks", format!("{} of them; at most {MOST_CHECKS}", said.checks.len())));
    }
    let checks = said.checks.into_iter().map(|said| check(said, nodes));
    let checks = checks.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    Ok(Assessment { findings: findings(said.findings), checks })
}

/// None: it is held against no number, and says nothing.
fn check(said: judgement::Check, nodes: &NodeColumns) -> Result<Option<Check>, CallError> {
    let texts = [
        ("checks.code", &said.code, LONGEST_WORD),
        ("checks.metric", &said.metric, LONGEST_WORD),
        ("checks.note", &said.note, LONGEST_NOTE),
    ];
    for (field, text, most) in texts {
        if text.len() > most {
            return Err(invalid(field, format!("{} bytes; at most {most}", text.len())));
        }
    }
    let node = match said.node {
        None => None,
        Some(number) => match usize::try_from(number).ok().and_then(|index| nodes.ids.get(index)) {
            Some(id) => Some(Arc::clone(id)),
            None => return Err(invalid("checks.node", format!("there is no node {number}"))),
        },
    };
    Ok(said.limit.is_finite().then_some(Check {
        code: said.code,
        node,
        metric: said.metric,
        value: said.value.filter(|value| value.is_finite()),
        limit: said.limit,
        bad: match said.bad {
            judgement::Side::Above => Side::Above,
            judgement::Side::Below => Side::Below,
        },
        note: said.note,
    }))
}

fn findings(said: Vec<judgement::Finding>) -> Vec<Finding> {
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
        Err(deciding::Failure::Failed(why)) => {
            Err(CallError::Declined { message: plain(&why, LONGEST_REASON) })
        }
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
        // Whatever a plugin lists: only the data plane's own word counts.
        reach: Reach::Outside,
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
