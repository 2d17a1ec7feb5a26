//! From the model's types to the SDK's.

use flyball_model as model;
use flyball_plugin as sdk;
use flyball_plugin::testing;

pub fn executor(from: model::Executor) -> sdk::Executor {
    match from {
        model::Executor::Native => sdk::Executor::Native,
        model::Executor::Multiprocess => sdk::Executor::Multiprocess,
        model::Executor::Wasm => sdk::Executor::Wasm,
    }
}

pub fn seen(from: &model::CaseObservation) -> testing::Seen {
    let number = |id: &String| from.number(id);
    testing::Seen {
        session: from.session.clone().unwrap_or_else(|| "case".to_owned()),
        taken_at: from.taken_at,
        nodes: from.nodes.iter().map(node).collect(),
        totals: from.totals.iter().map(|(name, value)| (name.clone(), *value)).collect(),
        bottleneck: from.bottleneck.as_ref().and_then(number),
        critical_path: from.critical_path.iter().map(|id| number(id).unwrap()).collect(),
        errors: from.newest_errors().into_iter().map(|one| error(from, one)).collect(),
        ..testing::Seen::default()
    }
}

fn error(seen: &model::CaseObservation, from: &model::CaseError) -> sdk::SeenError {
    sdk::SeenError {
        at: from.at,
        node: from.node.as_ref().and_then(|node| seen.number_of(node)),
        message: from.message.clone(),
    }
}

fn node(from: &model::CaseNode) -> testing::SeenNode {
    testing::SeenNode {
        id: from.id.clone(),
        node_type: from.node_type.clone(),
        executor: executor(from.executor),
        status: match from.status {
            model::NodeStatus::Unknown => sdk::Status::Unknown,
            model::NodeStatus::Healthy => sdk::Status::Healthy,
            model::NodeStatus::Degraded => sdk::Status::Degraded,
            model::NodeStatus::Failed => sdk::Status::Failed,
        },
        latency_trend: match from.trend {
            model::Trend::Falling => sdk::Trend::Falling,
            model::Trend::Stable => sdk::Trend::Stable,
            model::Trend::Rising => sdk::Trend::Rising,
        },
        last_error: from.last_error.clone(),
        numbers: from.metrics.clone().into_iter().collect(),
    }
}

pub fn action(from: &model::Action) -> sdk::Action {
    use model::Action as A;
    match from.clone() {
        A::NoOp => sdk::Action::NoOp,
        A::ReplaceNode { node, node_type, config } => sdk::Action::ReplaceNode(sdk::Replacement {
            node,
            node_type,
            config: config.map(|it| it.to_string()),
        }),
        A::InsertNode { id, node_type, config, executor: on, after, before } => {
            let config = config.to_string();
            sdk::Action::InsertNode(sdk::Insertion {
                id,
                node_type,
                config,
                executor: on.map(executor),
                after,
                before,
            })
        }
        A::RemoveNode { node } => sdk::Action::RemoveNode(node),
        A::UpdateNodeConfig { node, patch } => {
            sdk::Action::UpdateNodeConfig(sdk::ConfigChange { node, patch: patch.to_string() })
        }
        A::BypassNode { node, active } => sdk::Action::BypassNode(sdk::Bypass { node, active }),
        A::SwitchExecutor { node, to } => {
            sdk::Action::SwitchExecutor(sdk::ExecutorChange { node, to: executor(to) })
        }
        A::RestartProcess { node } => sdk::Action::RestartProcess(node),
        A::ScaleNode { node, replicas } => sdk::Action::ScaleNode(sdk::Scaling { node, replicas }),
        A::AdjustBuffering { node, capacity } => {
            sdk::Action::AdjustBuffering(sdk::Buffering { node, capacity })
        }
    }
}

pub fn proposal(from: &model::Proposal) -> sdk::Proposal {
    sdk::Proposal::new(action(&from.action), from.reason.clone())
}

pub fn finding(from: &model::Finding) -> sdk::Finding {
    let severity = match from.severity {
        model::Severity::Info => sdk::Severity::Info,
        model::Severity::Warning => sdk::Severity::Warning,
        model::Severity::Critical => sdk::Severity::Critical,
    };
    let mut finding = sdk::Finding::new(severity, &from.code, from.message.clone());
    finding.target.clone_from(&from.target);
    finding.rests_on = from.rests_on.iter().map(evidence).collect();
    finding
}

fn evidence(from: &model::Evidence) -> sdk::Evidence {
    let model::Evidence { node, metric, value, limit, note } = from.clone();
    sdk::Evidence { node, metric, value, limit, note }
}

pub fn graph(from: &model::GraphSpec) -> sdk::GraphSpec {
    let node = |node: &model::NodeSpec| sdk::NodeSpec {
        id: node.id.clone(),
        node_type: node.node_type.clone(),
        executor: executor(node.executor),
        config: node.config.to_string(),
        replicas: node.replicas,
        queue_capacity: node.queue_capacity,
        bypassed: node.bypassed,
        optional: node.optional,
    };
    sdk::GraphSpec { nodes: from.nodes.iter().map(node).collect(), edges: from.edges.clone() }
}

pub fn past(from: &model::PastAction) -> sdk::PastAction {
    use model::Outcome as O;
    let outcome = match from.outcome {
        O::Unknown => sdk::Outcome::Unknown,
        O::Accepted => sdk::Outcome::Accepted,
        O::Effective => sdk::Outcome::Effective,
        O::Verified => sdk::Outcome::Verified,
        O::Ineffective => sdk::Outcome::Ineffective,
        O::Worse => sdk::Outcome::Worse,
        O::RolledBack => sdk::Outcome::RolledBack,
        O::RollbackFailed => sdk::Outcome::RollbackFailed,
        O::Rejected => sdk::Outcome::Rejected,
        O::Failed => sdk::Outcome::Failed,
    };
    let decided_by = from.decided_by.clone();
    sdk::PastAction { at: from.at, proposal: proposal(&from.proposal), outcome, decided_by }
}

pub fn node_type(from: &model::NodeType) -> sdk::NodeType {
    let offer = |offer: &model::NodeOffer| sdk::Offer {
        executor: executor(offer.executor),
        relative_speed: offer.relative_speed,
        relative_cost: offer.relative_cost,
    };
    sdk::NodeType {
        name: from.name.clone(),
        summary: from.summary.clone(),
        provides: from.provides.clone(),
        offers: from.offers.iter().map(offer).collect(),
        config_schema: from.config_schema.as_ref().map(ToString::to_string),
    }
}

pub fn constraints(case: &model::Case) -> sdk::Constraints {
    sdk::Constraints {
        max_latency_ms: case.constraints.max_latency_ms,
        min_throughput: case.constraints.min_throughput,
        mutation: match case.mutation {
            model::MutationPolicy::ReadOnly => sdk::MutationPolicy::ReadOnly,
            model::MutationPolicy::Heal => sdk::MutationPolicy::Heal,
            model::MutationPolicy::Optimize => sdk::MutationPolicy::Optimize,
            model::MutationPolicy::Full => sdk::MutationPolicy::Full,
        },
        protected: case.protected.clone(),
    }
}

pub fn learned(from: &model::Learned) -> sdk::Learned {
    sdk::Learned {
        finding: from.finding.clone(),
        kind: from.kind.name().to_owned(),
        node_type: from.node_type.clone(),
        verified: from.verified,
        ineffective: from.ineffective,
        worse: from.worse,
        unknown: from.unknown,
        failed: from.failed,
        rolled_back: from.rolled_back,
        newest: from.newest,
    }
}
