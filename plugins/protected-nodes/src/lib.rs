//! Refuses every action that touches a protected node.
#![cfg_attr(target_family = "wasm", no_std)]

use flyball_plugin::prelude::*;

flyball_plugin::settings! {
    /// Which nodes no action may touch, beside those that the session's constraints protect.
    pub struct ProtectedNodes {
        /// Nodes that no action may touch, beside those that the session's constraints protect.
        nodes: Vec<String> = Vec::new();
    }
}

impl Validator for ProtectedNodes {
    fn review(&self, _now: &Observation, _past: &Window, proposed: &Proposed) -> Verdict {
        let protected =
            |node: &&str| proposed.constraints.protected.iter().chain(&self.nodes).any(|name| name == node);
        let Some(node) = touched(&proposed.proposal.action).into_iter().find(protected) else {
            return Verdict::Allow;
        };
        let message = format!("{} would touch {node}, which is protected", proposed.proposal.action.kind());
        Verdict::Deny(
            Reason::new("protected-node", message)
                .hint(format!("take {node} off the protected nodes of the policy or the manifest"))
                .because(Evidence::about(node).note("protected")),
        )
    }
}

/// The nodes that an action changes or whose edges it changes: the target, and an insertion's neighbours.
fn touched(action: &Action) -> Vec<&str> {
    match action {
        Action::InsertNode(insertion) => {
            insertion.after.iter().chain(&insertion.before).map(String::as_str).collect()
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
    "../cases/by-setting.json",
);
