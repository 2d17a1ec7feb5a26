//! The contract's enumerations as prompts and answers name them.

use flyball_plugin::MutationPolicy;
use flyball_plugin::prelude::*;

use crate::quoted::quoted;

pub(crate) const fn executor(executor: Executor) -> &'static str {
    match executor {
        Executor::Native => "native",
        Executor::Multiprocess => "multiprocess",
        Executor::Wasm => "wasm",
    }
}

pub(crate) const fn status(status: Status) -> &'static str {
    match status {
        Status::Unknown => "unknown",
        Status::Healthy => "healthy",
        Status::Degraded => "degraded",
        Status::Failed => "failed",
    }
}

pub(crate) const fn trend(trend: Trend) -> &'static str {
    match trend {
        Trend::Falling => "falling",
        Trend::Stable => "stable",
        Trend::Rising => "rising",
    }
}

pub(crate) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

pub(crate) const fn mutation(policy: MutationPolicy) -> &'static str {
    match policy {
        MutationPolicy::ReadOnly => "read-only",
        MutationPolicy::Heal => "heal",
        MutationPolicy::Optimize => "optimize",
        MutationPolicy::Full => "full",
    }
}

pub(crate) const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unknown => "too little was measured to say",
        Outcome::Accepted | Outcome::Effective => "done, and not yet known whether it helped",
        Outcome::Verified => "helped",
        Outcome::Ineffective => "did not help",
        Outcome::Worse => "made it worse",
        Outcome::RolledBack => "was undone",
        Outcome::RollbackFailed => "could not be undone",
        Outcome::Rejected => "was refused by a guard",
        Outcome::Failed => "failed",
    }
}

/// An action in a line.
pub(crate) fn action(action: &Action, most: usize) -> String {
    let kind = action.kind();
    let name = |name: &str| quoted(name, most);
    let names = |names: &[String]| names.iter().map(|one| name(one)).collect::<Vec<_>>().join(", ");
    match action {
        Action::NoOp => kind.to_owned(),
        Action::RemoveNode(node) | Action::RestartProcess(node) => format!("{kind} {}", name(node)),
        Action::ReplaceNode(it) => format!("{kind} {} by type {}", name(&it.node), name(&it.node_type)),
        Action::InsertNode(it) => {
            format!("{kind} {} of type {} after {}", name(&it.id), name(&it.node_type), names(&it.after))
        }
        Action::UpdateNodeConfig(it) => format!("{kind} {} with {}", name(&it.node), name(&it.patch)),
        Action::BypassNode(it) => format!("{kind} {} active={}", name(&it.node), it.active),
        Action::SwitchExecutor(it) => format!("{kind} {} to {}", name(&it.node), executor(it.to)),
        Action::ScaleNode(it) => format!("{kind} {} to {} replicas", name(&it.node), it.replicas),
        Action::AdjustBuffering(it) => format!("{kind} {} to capacity {}", name(&it.node), it.capacity),
    }
}
