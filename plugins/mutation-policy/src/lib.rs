//! Refuses the kinds of action that the session's mutation policy does not allow.
#![cfg_attr(target_family = "wasm", no_std)]

use flyball_plugin::prelude::*;
use flyball_plugin::{Bypass, MutationPolicy};

flyball_plugin::settings! {
    /// The level itself is the policy's, in the session's constraints.
    pub struct MutationLevels {
    }
}

impl Validator for MutationLevels {
    fn review(&self, now: &Observation, _past: &Window, proposed: &Proposed) -> Verdict {
        let action = &proposed.proposal.action;
        let level = proposed.constraints.mutation;
        let needed = needed_for(action);
        if rank(level) < rank(needed) {
            return Verdict::Deny(refusal(action, level, needed));
        }
        match action {
            Action::BypassNode(Bypass { node, active: true })
                if level != MutationPolicy::Full && !fails(node, now, proposed) =>
            {
                let message = format!("{node} is not failing: to bypass it is no healing");
                Verdict::Deny(
                    Reason::new("bypass-of-healthy-node", message)
                        .hint("the mutation policy `full` allows it")
                        .because(Evidence::about(node).note("no status and no finding says that it fails")),
                )
            }
            _ => Verdict::Allow,
        }
    }
}

fn refusal(action: &Action, level: MutationPolicy, needed: MutationPolicy) -> Reason {
    let message = format!("the mutation policy `{}` does not allow {}", name(level), action.kind());
    Reason::new("mutation-policy", message).hint(format!("`{}` and above allow it", name(needed)))
}

/// By its status, or by what a heuristic found.
fn fails(node: &str, now: &Observation, proposed: &Proposed) -> bool {
    let status = now.find(node).map_or(Status::Unknown, |node| node.status());
    let found = proposed
        .findings
        .iter()
        .any(|finding| finding.target.as_deref() == Some(node) && finding.severity != Severity::Info);
    matches!(status, Status::Failed | Status::Degraded) || found
}

/// The lowest level that allows this kind.
fn needed_for(action: &Action) -> MutationPolicy {
    match action {
        Action::NoOp => MutationPolicy::ReadOnly,
        Action::RestartProcess(_) | Action::BypassNode(_) | Action::ReplaceNode(_) => MutationPolicy::Heal,
        Action::SwitchExecutor(_)
        | Action::ScaleNode(_)
        | Action::AdjustBuffering(_)
        | Action::UpdateNodeConfig(_) => MutationPolicy::Optimize,
        Action::InsertNode(_) | Action::RemoveNode(_) => MutationPolicy::Full,
    }
}

fn rank(level: MutationPolicy) -> u8 {
    match level {
        MutationPolicy::ReadOnly => 0,
        MutationPolicy::Heal => 1,
        MutationPolicy::Optimize => 2,
        MutationPolicy::Full => 3,
    }
}

fn name(level: MutationPolicy) -> &'static str {
    match level {
        MutationPolicy::ReadOnly => "read-only",
        MutationPolicy::Heal => "heal",
        MutationPolicy::Optimize => "optimize",
        MutationPolicy::Full => "full",
    }
}

flyball_plugin::validator!(MutationLevels);

flyball_plugin::cases!(
    "../cases/bypass-healthy.json",
    "../cases/full-bypass-healthy.json",
    "../cases/heal-bypass-failing.json",
    "../cases/heal-bypass-found.json",
    "../cases/heal-restart.json",
    "../cases/heal-scale.json",
    "../cases/no-op.json",
    "../cases/optimize-remove.json",
    "../cases/read-only.json",
);
