use flyball_model::{Controller, MutationPolicy, NodeId, Policy};

/// What a session must keep to: its policy's rules, narrowed by its manifest's. The loop's own rules have the same
/// fields; this crate knows nothing of the loop.
#[derive(Debug, Clone, PartialEq)]
pub struct Narrowed {
    /// Whether to act at all.
    pub enabled: bool,
    /// The stricter of both.
    pub mutation: MutationPolicy,
    /// End-to-end latency (p99), in milliseconds: the lower of both.
    pub max_latency_ms: Option<f64>,
    /// Items delivered a second: the higher of both.
    pub min_throughput: Option<f64>,
    /// The nodes of both, the policy's first, each once.
    pub protected: Vec<NodeId>,
    /// In milliseconds: the longer of both.
    pub cooldown_ms: u64,
    /// Actions within the window; the next one is held.
    pub max_actions: u32,
    /// The window, in milliseconds.
    pub window_ms: u64,
    /// How many earlier observations judges may look at.
    pub history: usize,
}

/// Narrows a policy by what a manifest says of itself. A manifest never widens.
pub fn rules(policy: &Policy, controller: &Controller) -> Narrowed {
    let (ours, theirs) = (&policy.constraints, &controller.constraints);
    let mut protected: Vec<NodeId> = Vec::new();
    for node in policy.protected_nodes.iter().chain(&controller.protected_nodes) {
        if !protected.contains(node) {
            protected.push(node.clone());
        }
    }
    Narrowed {
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
    }
}

fn tighter(ours: Option<f64>, theirs: Option<f64>, pick: fn(f64, f64) -> f64) -> Option<f64> {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => Some(pick(ours, theirs)),
        (either, None) | (None, either) => either,
    }
}
