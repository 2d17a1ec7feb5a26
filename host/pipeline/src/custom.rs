//! The numbers that nodes report of themselves, as columns beside the ones that the host measures.
//!
//! Names come from outside. Each worker bounds its own ([`flyball_nodes::CustomMetrics`]); here their number in one
//! observation is bounded, so that it cannot grow with the nodes, and nothing that the host measures is replaced.
//! [`crate::observe`] calls this once for each observation.

use std::collections::BTreeMap;
use std::sync::Arc;

use flyball_model::Metrics;

use crate::node::Node;

/// The most names in an observation; of more, the first by name are shown.
const MOST_COLUMNS: usize = 128;

/// Adds a column for each name: of each node the sum over its workers, none where no worker reports it.
pub(crate) fn add(mut metrics: Metrics, nodes: &[Arc<Node>]) -> Metrics {
    let mut columns: BTreeMap<Arc<str>, Vec<f64>> = BTreeMap::new();
    for (index, node) in nodes.iter().enumerate() {
        node.crew.each(|state| {
            let Some(reported) = state.metrics.as_ref().filter(|_| !state.is_gone()) else { return };
            for (name, value) in reported.values() {
                let column = columns.entry(name).or_insert_with(|| vec![f64::NAN; nodes.len()]);
                let Some(sum) = column.get_mut(index) else { continue };
                *sum = if sum.is_nan() { value } else { *sum + value };
            }
        });
    }
    for (name, column) in columns
        .into_iter()
        .filter(|(name, _)| metrics.get(name).is_none())
        .take(MOST_COLUMNS)
        .collect::<Vec<_>>()
    {
        metrics.set(name.to_string(), column);
    }
    metrics
}
