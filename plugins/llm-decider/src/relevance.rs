//! Which nodes a prompt is about first.

use flyball_plugin::SeenNode;
use flyball_plugin::prelude::*;

/// Why a node is shown; what comes first is more relevant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Near {
    /// A finding is about it.
    Found,
    /// It is next to one of these.
    Beside,
    /// The bottleneck, or on the critical path.
    Path,
    Rest,
}

/// Every node's number, most relevant first.
pub(crate) fn ranked(now: &Observation, findings: &[Finding]) -> Vec<(u32, Near)> {
    let mut ranking = Ranking { near: vec![Near::Rest; now.len()], ranked: Vec::with_capacity(now.len()) };
    let bottleneck = now.bottleneck().map(SeenNode::index);
    for finding in findings {
        let found = match &finding.target {
            Some(id) => now.find(id).map(SeenNode::index),
            None => bottleneck,
        };
        found.into_iter().for_each(|index| ranking.add(index, Near::Found));
    }
    for (from, to) in now.edges() {
        if ranking.is(from, Near::Found) {
            ranking.add(to, Near::Beside);
        }
        if ranking.is(to, Near::Found) {
            ranking.add(from, Near::Beside);
        }
    }
    for index in bottleneck.into_iter().chain(now.critical_path()) {
        ranking.add(index, Near::Path);
    }
    let mut rest: Vec<SeenNode> = now.nodes().filter(|node| ranking.is(node.index(), Near::Rest)).collect();
    rest.sort_by(|one, other| worse(*other).total_cmp(&worse(*one)));
    ranking.ranked.extend(rest.into_iter().map(|node| (node.index(), Near::Rest)));
    ranking.ranked
}

struct Ranking {
    /// By the node's number.
    near: Vec<Near>,
    ranked: Vec<(u32, Near)>,
}

impl Ranking {
    fn is(&self, index: u32, near: Near) -> bool {
        self.near.get(index as usize) == Some(&near)
    }

    /// Unless it is ranked already.
    fn add(&mut self, index: u32, near: Near) {
        if let Some(known) = self.near.get_mut(index as usize).filter(|known| **known == Near::Rest) {
            *known = near;
            self.ranked.push((index, near));
        }
    }
}

/// How much trouble a node is in: by its status, then by its errors, its queue and its latency.
fn worse(node: SeenNode) -> f64 {
    let status = match node.status() {
        Status::Failed => 3e9,
        Status::Degraded => 2e9,
        Status::Unknown => 1e9,
        Status::Healthy => 0.0,
    };
    let bounded = |value: f64, most: f64| if value.is_finite() { value.clamp(0.0, most) } else { 0.0 };
    status
        + bounded(node.error_fraction(), 1.0) * 1e8
        + bounded(node.queue_fill(), 1.0) * 1e7
        + bounded(node.latency_p99_ms(), 1e6)
}

#[cfg(test)]
mod tests {
    use flyball_plugin::testing::{Seen, SeenNode};

    use super::*;

    #[test]
    fn what_was_found_goes_first_then_its_neighbours_then_the_path_then_the_rest_by_trouble() {
        let mut seen = Seen::default();
        for id in ["calm", "failing", "path", "before", "found", "after"] {
            let status = if id == "failing" { Status::Failed } else { Status::Healthy };
            seen = seen.with(SeenNode::new(id).status(status));
        }
        seen.edges = vec![(0, 2), (2, 3), (3, 4), (4, 5)];
        seen.critical_path = vec![2, 3, 4, 5];
        let now = Observation::for_test(seen);
        let finding = Finding::new(Severity::Critical, "node-failed", "").at("found");
        let ids: Vec<String> = ranked(&now, &[finding])
            .into_iter()
            .filter_map(|(index, _)| now.node(index))
            .map(|node| node.id())
            .collect();
        assert_eq!(ids, ["found", "before", "after", "path", "failing", "calm"]);
    }
}
