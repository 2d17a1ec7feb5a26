use std::collections::BTreeSet;
use std::sync::Arc;

use flyball_model::{ControllerSection, Policy, Rules};

/// Narrows a policy by what a manifest says of itself. A manifest never widens.
pub fn rules(policy: &Policy, controller: &ControllerSection) -> Rules {
    let (ours, theirs) = (&policy.constraints, &controller.constraints);
    let mut seen = BTreeSet::new();
    let patterns = policy.protected_nodes.iter().chain(&controller.protected_nodes);
    let protected = patterns.filter(|pattern| seen.insert(pattern.as_str())).cloned().collect();
    Rules {
        enabled: controller.enabled,
        mutation: controller
            .mutation_policy
            .map_or(policy.mutation_policy, |asked| asked.min(policy.mutation_policy)),
        max_latency_ms: tighter(ours.max_latency_ms, theirs.max_latency_ms, f64::min),
        min_throughput: tighter(ours.min_throughput, theirs.min_throughput, f64::max),
        protected,
        cooldown_ms: policy.cooldown_ms.max(controller.action_cooldown_ms),
        max_actions: policy.breaker.max_actions,
        window_ms: policy.breaker.window_ms,
        history: usize::try_from(policy.history).unwrap_or(usize::MAX),
        safety: Arc::new(policy.safety.clone()),
    }
}

fn tighter(ours: Option<f64>, theirs: Option<f64>, pick: fn(f64, f64) -> f64) -> Option<f64> {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => Some(pick(ours, theirs)),
        (either, None) | (None, either) => either,
    }
}
