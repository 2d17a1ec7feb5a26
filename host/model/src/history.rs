use std::collections::VecDeque;
use std::sync::Arc;

use crate::{NodeColumns, NodeStatus, Observation, Trend};

/// The newest observations of a session before the present one: a bounded window, oldest first.
#[derive(Debug, Clone)]
pub struct History {
    kept: VecDeque<Arc<Observation>>,
    capacity: usize,
}

impl History {
    /// An empty window that keeps at most `capacity` observations.
    pub fn new(capacity: usize) -> Self {
        Self { kept: VecDeque::with_capacity(capacity), capacity }
    }

    /// Adds the newest; the oldest goes when the window is full.
    pub fn push(&mut self, observation: Arc<Observation>) {
        if self.capacity == 0 {
            return;
        }
        while self.kept.len() >= self.capacity {
            self.kept.pop_front();
        }
        self.kept.push_back(observation);
    }

    /// Changes how many are kept from now on; the oldest over it go.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
        while self.kept.len() > capacity {
            self.kept.pop_front();
        }
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// None kept yet.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The one `ticks_ago` before the present; 1 is the newest kept.
    pub fn at(&self, ticks_ago: usize) -> Option<&Arc<Observation>> {
        self.kept
            .len()
            .checked_sub(ticks_ago)
            .filter(|_| ticks_ago > 0)
            .and_then(|index| self.kept.get(index))
    }

    /// The newest `count`, oldest first.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = &Arc<Observation>> {
        self.kept.iter().skip(self.kept.len().saturating_sub(count))
    }

    /// One metric of one node over the newest `count`, oldest first, NaN where the node or the number is missing.
    pub fn series(&self, node: &str, metric: &str, count: usize) -> Vec<f64> {
        self.newest(count)
            .map(|seen| seen.nodes.find(node).map_or(f64::NAN, |index| seen.nodes.number(index, metric)))
            .collect()
    }

    /// One node's status over the newest `count`, oldest first, unknown where it was missing.
    pub fn statuses(&self, node: &str, count: usize) -> Vec<NodeStatus> {
        self.of_node(node, count, |nodes| &nodes.statuses)
    }

    /// One node's latency trend over the newest `count`, oldest first, stable where it was missing.
    pub fn trends(&self, node: &str, count: usize) -> Vec<Trend> {
        self.of_node(node, count, |nodes| &nodes.latency_trends)
    }

    fn of_node<T: Copy + Default>(
        &self,
        node: &str,
        count: usize,
        column: impl Fn(&NodeColumns) -> &[T],
    ) -> Vec<T> {
        let at = |nodes: &NodeColumns| column(nodes).get(nodes.find(node)?).copied();
        self.newest(count).map(|seen| at(&seen.nodes).unwrap_or_default()).collect()
    }
}
