//! Refuses every action that touches a protected node.
#![cfg_attr(target_family = "wasm", no_std)]

use flyball_plugin::matches;
use flyball_plugin::prelude::*;

flyball_plugin::settings! {
    /// Which nodes no action may touch, beside those that the session's constraints protect.
    pub struct ProtectedNodes {
        /// Nodes that no action may touch, beside those that the session's constraints protect: names, in which * stands for
        /// any text.
        nodes: Vec<String> = Vec::new();
    }
}

impl Validator for ProtectedNodes {
    fn review(&self, _now: &Observation, _past: &Window, proposed: &Proposed) -> Verdict {
        let patterns = || proposed.constraints.protected.iter().chain(&self.nodes);
        let by = |node: &str| patterns().find(|pattern| matches(pattern, node)).map(String::as_str);
        let touched = touched(&proposed.proposal.action).into_iter();
        let Some((node, by)) = touched.filter_map(|node| Some((node, by(node)?))).next() else {
            return Verdict::Allow;
        };
        let message = format!("{} would touch {node}, which is protected", proposed.proposal.action.kind());
        Verdict::Deny(
            Reason::new("protected-node", message)
                .hint(format!("take {by} off the protected nodes of the policy or the manifest"))
                .because(Evidence::about(node).note("protected")),
        )
    }
}

/// The nodes that an action changes or whose edges it changes: the target, an insertion's neighbours, and the name that it
/// would give.
fn touched(action: &Action) -> Vec<&str> {
    match action {
        Action::InsertNode(insertion) => {
            let names = insertion.after.iter().chain(&insertion.before).chain([&insertion.id]);
            names.map(String::as_str).collect()
        }
        other => other.target().into_iter().collect(),
    }
}

flyball_plugin::validator!(ProtectedNodes);

flyball_plugin::cases!(
    "../cases/another.json",
    "../cases/bad-settings.json",
    "../cases/beside.json",
    "../cases/by-constraint.json",
    "../cases/by-pattern.json",
    "../cases/by-pattern-of-the-session.json",
    "../cases/by-setting.json",
    "../cases/other-pattern.json",
);
