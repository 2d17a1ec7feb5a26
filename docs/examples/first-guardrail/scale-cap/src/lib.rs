//! A validator that caps how many workers a node may have. The host calls it once for each proposed action.
#![cfg_attr(target_family = "wasm", no_std)]
use flyball_plugin::prelude::*;

flyball_plugin::settings! {
    /// How many workers a node may have.
    pub struct ScaleCap {
        /// The most workers of any node.
        most: u32 = 1, in 1..=256;
    }
}

impl Validator for ScaleCap {
    fn review(&self, _now: &Observation, _past: &Window, proposed: &Proposed) -> Verdict {
        match &proposed.proposal.action {
            Action::ScaleNode(scaling) if scaling.replicas > self.most => {
                let message = format!("{} workers for {}, at most {}", scaling.replicas, scaling.node, self.most);
                Verdict::Deny(Reason::new("too-many-workers", message).hint("raise `most` in the policy"))
            }
            _ => Verdict::Allow,
        }
    }
}

flyball_plugin::validator!(ScaleCap);
