//! The numbers by which an action is measured, read from observations.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use flyball_model::{Action, Finding, GraphSpec, NodeId, Observation, metric};

/// A number that shows how the pipeline is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Signal {
    /// Of all that was worked on at these nodes, the part that failed: where the action was done, and behind.
    Errors(BTreeSet<NodeId>),
    /// Of the whole, in milliseconds.
    Latency,
    /// Delivered a second.
    Throughput,
    /// Waiting anywhere.
    Queued,
    /// What a finding rests on.
    Own { node: NodeId, metric: String, bad: Direction },
}

/// Where worse is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// What must not get worse, whatever the action was for.
pub(crate) fn guards(action: &Action, graph: &GraphSpec) -> [Signal; 4] {
    [Signal::Errors(at_and_behind(action, graph)), Signal::Latency, Signal::Throughput, Signal::Queued]
}

/// What an action can make fail: its node, and all that is fed by it.
fn at_and_behind(action: &Action, graph: &GraphSpec) -> BTreeSet<NodeId> {
    let mut fed: HashMap<&NodeId, Vec<&NodeId>> = HashMap::new();
    for (from, to) in &graph.edges {
        fed.entry(from).or_default().push(to);
    }
    let mut reached: BTreeSet<&NodeId> = action.touches().into_iter().chain(action.target()).collect();
    let mut next: Vec<&NodeId> = reached.iter().copied().collect();
    while let Some(node) = next.pop() {
        for behind in fed.get(node).into_iter().flatten() {
            if reached.insert(behind) {
                next.push(behind);
            }
        }
    }
    reached.into_iter().cloned().collect()
}

impl Signal {
    /// What the finding rests on, where that is a number of a node held against a limit.
    pub fn of(finding: &Finding) -> Option<Self> {
        finding.rests_on.iter().find_map(|evidence| {
            let (value, limit) = (evidence.value?, evidence.limit?);
            // How much was measured is no sign of how things are.
            if evidence.metric.as_deref() == Some(metric::SAMPLES) {
                return None;
            }
            let bad = if value >= limit { Direction::Up } else { Direction::Down };
            Some(Self::Own { node: evidence.node.clone()?, metric: evidence.metric.clone()?, bad })
        })
    }

    /// Now; NaN where nothing was measured.
    pub fn read(&self, now: &Observation) -> f64 {
        match self {
            Self::Errors(nodes) => {
                let ids = now.nodes.ids.iter().enumerate();
                let meant = ids.filter(|(_, id)| nodes.contains(&***id)).map(|(node, _)| node);
                let meant: Vec<usize> = meant.collect();
                let of = |name| {
                    let column = column(now, name);
                    known(meant.iter().map(|node| at(column, *node)))
                };
                let (failed, done) = (of(metric::ERRORS_PER_SECOND), of(metric::ITEMS_PER_SECOND));
                failed / (failed + done)
            }
            Self::Latency => now.graph.end_to_end_latency_ms,
            Self::Throughput => now.graph.throughput_per_second,
            Self::Queued => sum(now, metric::QUEUE_DEPTH),
            Self::Own { node, metric, .. } => {
                now.nodes.find(node).map_or(f64::NAN, |index| now.nodes.number(index, metric))
            }
        }
    }

    pub const fn bad(&self) -> Direction {
        match self {
            Self::Errors(_) | Self::Latency | Self::Queued => Direction::Up,
            Self::Throughput => Direction::Down,
            Self::Own { bad, .. } => *bad,
        }
    }

    /// Differences smaller than this are of no interest, however certain they are.
    pub fn margin(&self, before: f64) -> f64 {
        match self {
            Self::Errors(_) => 0.02,
            Self::Latency => (before * 0.25).max(1.0),
            Self::Throughput => before * 0.2,
            Self::Queued => (before * 0.25).max(10.0),
            Self::Own { .. } => before.abs() * 0.25,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errors(_) => f.write_str("the part that fails there and behind"),
            Self::Latency => f.write_str("the end-to-end latency in ms"),
            Self::Throughput => f.write_str("what is delivered a second"),
            Self::Queued => f.write_str("what waits in all queues"),
            Self::Own { node, metric, .. } => write!(f, "{metric} of {node}"),
        }
    }
}

/// Items that come in a second: what the nodes pass on that have nothing before them.
pub(crate) fn load(now: &Observation) -> f64 {
    let fed: BTreeSet<u32> = now.edges.iter().map(|(_, to)| *to).collect();
    let sources =
        (0..now.nodes.len()).filter(|node| u32::try_from(*node).is_ok_and(|node| !fed.contains(&node)));
    let finished = column(now, metric::ITEMS_PER_SECOND);
    known(sources.map(|node| at(finished, node)))
}

/// Whether a queue is so full that it holds back what comes in.
pub(crate) fn held_back(now: &Observation) -> bool {
    let (depths, capacities) = (column(now, metric::QUEUE_DEPTH), column(now, metric::QUEUE_CAPACITY));
    depths.iter().zip(capacities).any(|(depth, capacity)| *depth > 0.0 && *depth >= 0.9 * capacity)
}

/// Of all nodes; NaN where none has it.
fn sum(now: &Observation, name: &str) -> f64 {
    known(column(now, name).iter().copied())
}

/// A number of each node; empty: there is no such.
fn column<'a>(now: &'a Observation, name: &str) -> &'a [f64] {
    now.nodes.metrics.get(name).unwrap_or_default()
}

fn at(column: &[f64], node: usize) -> f64 {
    column.get(node).copied().unwrap_or(f64::NAN)
}

/// The sum of what was measured; NaN: nothing was.
fn known(values: impl Iterator<Item = f64>) -> f64 {
    values.filter(|value| value.is_finite()).reduce(|sum, value| sum + value).unwrap_or(f64::NAN)
}
