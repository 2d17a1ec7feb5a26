//! Model to contract: the data that several worlds hand to their plugins. What one world alone asks is lowered in that world's
//! file. Nothing here can fail: the model holds nothing that the contract cannot say.

use std::collections::BTreeSet;

use flyball_model::{
    Action, Evidence, Finding, GraphSpec, Learned, MutationPolicy, NodeSpec, NodeType, Outcome, PastAction,
    Proposal, Severity, matching,
};
use flyball_ports::Situation;

use crate::bindings::{actions, judgement, offers};

pub(super) fn learned(learned: &Learned) -> actions::Learned {
    actions::Learned {
        finding: learned.finding.clone(),
        kind: learned.kind.name().to_owned(),
        node_type: learned.node_type.clone(),
        verified: learned.verified,
        ineffective: learned.ineffective,
        worse: learned.worse,
        unknown: learned.unknown,
        failed: learned.failed,
        rolled_back: learned.rolled_back,
        newest: learned.newest,
    }
}

pub(crate) fn each<T, U>(items: &[T], lower: fn(&T) -> U) -> Vec<U> {
    items.iter().map(lower).collect()
}

pub(super) fn constraints(situation: &Situation) -> actions::Constraints {
    let rules = &situation.rules;
    actions::Constraints {
        max_latency_ms: rules.max_latency_ms,
        min_throughput: rules.min_throughput,
        mutation: match rules.mutation {
            MutationPolicy::ReadOnly => actions::MutationPolicy::ReadOnly,
            MutationPolicy::Heal => actions::MutationPolicy::Heal,
            MutationPolicy::Optimize => actions::MutationPolicy::Optimize,
            MutationPolicy::Full => actions::MutationPolicy::Full,
        },
        protected: protected(&rules.protected, &situation.graph),
    }
}

/// Most plugins compare names: beside the patterns of the rules they are given the nodes that fit one.
fn protected(patterns: &[String], graph: &GraphSpec) -> Vec<String> {
    let mut named = patterns.to_vec();
    let known: BTreeSet<&str> = patterns.iter().map(String::as_str).collect();
    let stars: Vec<String> = patterns.iter().filter(|pattern| pattern.contains('*')).cloned().collect();
    let fitting = graph.nodes.iter().map(|node| &node.id).filter(|id| matching(&stars, id).is_some());
    named.extend(fitting.filter(|id| !known.contains(id.as_str())).cloned());
    named
}

pub(super) fn finding(finding: &Finding) -> judgement::Finding {
    judgement::Finding {
        code: finding.code.clone(),
        severity: match finding.severity {
            Severity::Info => judgement::Severity::Info,
            Severity::Warning => judgement::Severity::Warning,
            Severity::Critical => judgement::Severity::Critical,
        },
        target: finding.target.clone(),
        message: finding.message.clone(),
        rests_on: each(&finding.rests_on, evidence),
    }
}

fn evidence(evidence: &Evidence) -> judgement::Evidence {
    judgement::Evidence {
        node: evidence.node.clone(),
        metric: evidence.metric.clone(),
        value: evidence.value,
        limit: evidence.limit,
        note: evidence.note.clone(),
    }
}

pub(crate) fn graph(graph: &GraphSpec) -> actions::GraphSpec {
    actions::GraphSpec { nodes: each(&graph.nodes, node), edges: graph.edges.clone() }
}

pub(crate) fn node(node: &NodeSpec) -> actions::NodeSpec {
    actions::NodeSpec {
        id: node.id.clone(),
        node_type: node.node_type.clone(),
        executor: node.executor.into(),
        config: node.config.to_string(),
        replicas: node.replicas,
        queue_capacity: node.queue_capacity,
        bypassed: node.bypassed,
        optional: node.optional,
    }
}

pub(crate) fn node_type(of: &NodeType) -> offers::NodeType {
    let offers = of.offers.iter().map(|offer| offers::Offer {
        executor: offer.executor.into(),
        relative_speed: offer.relative_speed,
        relative_cost: offer.relative_cost,
    });
    offers::NodeType {
        name: of.name.clone(),
        summary: of.summary.clone(),
        provides: of.provides.clone(),
        offers: offers.collect(),
        config_schema: of.config_schema.as_ref().map(ToString::to_string),
    }
}

pub(super) fn past_action(past: &PastAction) -> actions::PastAction {
    actions::PastAction {
        at: past.at,
        proposal: proposal(&past.proposal),
        outcome: match past.outcome {
            Outcome::Unknown => actions::Outcome::Unknown,
            Outcome::Accepted => actions::Outcome::Accepted,
            Outcome::Effective => actions::Outcome::Effective,
            Outcome::Verified => actions::Outcome::Verified,
            Outcome::Ineffective => actions::Outcome::Ineffective,
            Outcome::Worse => actions::Outcome::Worse,
            Outcome::RolledBack => actions::Outcome::RolledBack,
            Outcome::RollbackFailed => actions::Outcome::RollbackFailed,
            Outcome::Rejected => actions::Outcome::Rejected,
            Outcome::Failed => actions::Outcome::Failed,
        },
        decided_by: past.decided_by.clone(),
    }
}

pub(super) fn proposal(proposal: &Proposal) -> actions::Proposal {
    actions::Proposal {
        action: action(&proposal.action),
        reason: proposal.reason.clone(),
        confidence: proposal.confidence,
        rests_on: each(&proposal.rests_on, evidence),
    }
}

pub(super) fn action(action: &Action) -> actions::Action {
    match action.clone() {
        Action::NoOp => actions::Action::NoOp,
        Action::ReplaceNode { node, node_type, config } => {
            actions::Action::ReplaceNode(actions::Replacement {
                node,
                node_type,
                config: config.map(|config| config.to_string()),
            })
        }
        Action::InsertNode { id, node_type, config, executor, after, before } => {
            actions::Action::InsertNode(actions::Insertion {
                id,
                node_type,
                config: config.to_string(),
                executor: executor.map(Into::into),
                after,
                before,
            })
        }
        Action::RemoveNode { node } => actions::Action::RemoveNode(node),
        Action::UpdateNodeConfig { node, patch } => {
            actions::Action::UpdateNodeConfig(actions::ConfigChange { node, patch: patch.to_string() })
        }
        Action::BypassNode { node, active } => actions::Action::BypassNode(actions::Bypass { node, active }),
        Action::SwitchExecutor { node, to } => {
            actions::Action::SwitchExecutor(actions::ExecutorChange { node, to: to.into() })
        }
        Action::RestartProcess { node } => actions::Action::RestartProcess(node),
        Action::ScaleNode { node, replicas } => {
            actions::Action::ScaleNode(actions::Scaling { node, replicas })
        }
        Action::AdjustBuffering { node, capacity } => {
            actions::Action::AdjustBuffering(actions::Buffering { node, capacity })
        }
    }
}
