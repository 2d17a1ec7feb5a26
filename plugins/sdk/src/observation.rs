//! What was seen of a session, node by node; a column crosses from the host when the first node is asked for it.

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::OnceCell;

use crate::bindings::observed::{self, Executor, SeenError, Status, Trend};
use crate::source::Source;

/// The metrics that every node may have; each name carries its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Median time in the node for an item, over the sliding window.
    LatencyP50Ms,
    /// 99th percentile of the time in the node for an item, over the sliding window.
    LatencyP99Ms,
    /// Items finished a second.
    ItemsPerSecond,
    /// Items waiting before the node.
    QueueDepth,
    /// Items that may wait before the node.
    QueueCapacity,
    /// Items that failed a second.
    ErrorsPerSecond,
    /// Items, finished or failed, that the window's numbers rest on.
    Samples,
    /// Resident memory of the node's process.
    MemoryMb,
    /// Processor time of the node's process; 100 is one core.
    CpuPercent,
    /// How often the node's process was started again.
    Restarts,
    /// Since the node's process was last heard of.
    HeartbeatAgeMs,
    /// Workers of the node.
    Replicas,
}

impl Metric {
    const COUNT: usize = 12;

    /// The name in the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LatencyP50Ms => "latency-p50-ms",
            Self::LatencyP99Ms => "latency-p99-ms",
            Self::ItemsPerSecond => "items-per-second",
            Self::QueueDepth => "queue-depth",
            Self::QueueCapacity => "queue-capacity",
            Self::ErrorsPerSecond => "errors-per-second",
            Self::Samples => "samples",
            Self::MemoryMb => "memory-mb",
            Self::CpuPercent => "cpu-percent",
            Self::Restarts => "restarts",
            Self::HeartbeatAgeMs => "heartbeat-age-ms",
            Self::Replicas => "replicas",
        }
    }
}

/// One tick of one session.
pub struct Observation<'host> {
    source: Source<'host>,
    statuses: OnceCell<Vec<Status>>,
    trends: OnceCell<Vec<Trend>>,
    executors: OnceCell<Vec<Executor>>,
    numbers: [OnceCell<Vec<f64>>; Metric::COUNT],
}

impl<'host> Observation<'host> {
    pub(crate) fn lent(handle: &'host observed::Observation) -> Self {
        Self::from_source(Source::Lent(handle))
    }

    pub(crate) fn from_source(source: Source<'host>) -> Self {
        Self {
            source,
            statuses: OnceCell::new(),
            trends: OnceCell::new(),
            executors: OnceCell::new(),
            numbers: [const { OnceCell::new() }; Metric::COUNT],
        }
    }

    /// The session's name.
    pub fn session(&self) -> String {
        self.source.session()
    }

    /// The tick's number in this session, from 1.
    pub fn tick(&self) -> u64 {
        self.source.tick()
    }

    /// Milliseconds since the Unix epoch.
    pub fn taken_at(&self) -> u64 {
        self.source.taken_at()
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.source.len() as usize
    }

    /// No node at all, as in a redeploy.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every node.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        (0..self.source.len()).map(|index| Node { of: self, index })
    }

    /// The node of that name.
    pub fn find(&self, id: &str) -> Option<Node<'_>> {
        self.source.find(id).map(|index| Node { of: self, index })
    }

    /// The node of that number.
    pub fn node(&self, index: u32) -> Option<Node<'_>> {
        (index < self.source.len()).then_some(Node { of: self, index })
    }

    /// A number for each node, NaN where there is none; also of the pipeline's own metrics. None: there is no such metric.
    pub fn column(&self, metric: &str) -> Option<Vec<f64>> {
        self.source.column(metric)
    }

    /// A number of the whole graph.
    pub fn total(&self, metric: &str) -> Option<f64> {
        self.source.total(metric)
    }

    /// 99th percentile of the time from a source to the last sink.
    pub fn end_to_end_latency_ms(&self) -> Option<f64> {
        self.total("end-to-end-latency-ms")
    }

    /// Items delivered a second.
    pub fn throughput_per_second(&self) -> Option<f64> {
        self.total("throughput-per-second")
    }

    /// From node, to node.
    pub fn edges(&self) -> Vec<(u32, u32)> {
        self.source.edges()
    }

    /// The node that holds the others up, when one does.
    pub fn bottleneck(&self) -> Option<Node<'_>> {
        self.source.bottleneck().map(|index| Node { of: self, index })
    }

    /// Numbers of the nodes from a source to a sink, by the time an item spends; optional nodes are never on it.
    pub fn critical_path(&self) -> Vec<u32> {
        self.source.critical_path()
    }

    /// Newest first.
    pub fn errors(&self, limit: u32) -> Vec<SeenError> {
        self.source.errors(limit)
    }
}

/// One node of an observation.
#[derive(Clone, Copy)]
pub struct Node<'seen> {
    of: &'seen Observation<'seen>,
    index: u32,
}

impl Node<'_> {
    fn of<T: Copy>(self, column: &[T], missing: T) -> T {
        column.get(self.index as usize).copied().unwrap_or(missing)
    }

    /// Its number in this observation.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Its name.
    pub fn id(self) -> String {
        self.of.source.id(self.index)
    }

    /// Its type, as the catalog names it.
    pub fn node_type(self) -> String {
        self.of.source.node_type(self.index)
    }

    /// How it is; unknown is never a reason to be calm.
    pub fn status(self) -> Status {
        self.of(self.of.statuses.get_or_init(|| self.of.source.statuses()), Status::Unknown)
    }

    /// Where its latency is heading.
    pub fn latency_trend(self) -> Trend {
        self.of(self.of.trends.get_or_init(|| self.of.source.latency_trends()), Trend::Stable)
    }

    /// Where its work is done.
    pub fn executor(self) -> Executor {
        self.of(self.of.executors.get_or_init(|| self.of.source.executors()), Executor::Native)
    }

    /// Its newest error in the window.
    pub fn last_error(self) -> Option<String> {
        self.of.source.last_error(self.index)
    }

    /// A number of it, NaN where there is none. NaN is neither above nor below a threshold.
    pub fn number(self, metric: Metric) -> f64 {
        let Some(column) = self.of.numbers.get(metric as usize) else { return f64::NAN };
        self.of(column.get_or_init(|| self.of.source.column(metric.name()).unwrap_or_default()), f64::NAN)
    }

    /// Median time in the node for an item.
    pub fn latency_p50_ms(self) -> f64 {
        self.number(Metric::LatencyP50Ms)
    }

    /// 99th percentile of the time in the node for an item.
    pub fn latency_p99_ms(self) -> f64 {
        self.number(Metric::LatencyP99Ms)
    }

    /// Items finished a second.
    pub fn items_per_second(self) -> f64 {
        self.number(Metric::ItemsPerSecond)
    }

    /// Items waiting before the node.
    pub fn queue_depth(self) -> f64 {
        self.number(Metric::QueueDepth)
    }

    /// Items that may wait before the node.
    pub fn queue_capacity(self) -> f64 {
        self.number(Metric::QueueCapacity)
    }

    /// The part of its queue that is taken: from 0 to 1, NaN when unknown.
    pub fn queue_fill(self) -> f64 {
        self.queue_depth() / self.queue_capacity()
    }

    /// Items that failed a second.
    pub fn errors_per_second(self) -> f64 {
        self.number(Metric::ErrorsPerSecond)
    }

    /// Of the items that it was done with, the part that failed: from 0 to 1, NaN when it was done with none.
    pub fn error_fraction(self) -> f64 {
        self.errors_per_second() / (self.items_per_second() + self.errors_per_second())
    }

    /// Items, finished or failed, that the window's numbers rest on.
    pub fn samples(self) -> f64 {
        self.number(Metric::Samples)
    }

    /// Resident memory of its process.
    pub fn memory_mb(self) -> f64 {
        self.number(Metric::MemoryMb)
    }

    /// Processor time of its process; 100 is one core.
    pub fn cpu_percent(self) -> f64 {
        self.number(Metric::CpuPercent)
    }

    /// How often its process was started again.
    pub fn restarts(self) -> f64 {
        self.number(Metric::Restarts)
    }

    /// Since its process was last heard of.
    pub fn heartbeat_age_ms(self) -> f64 {
        self.number(Metric::HeartbeatAgeMs)
    }

    /// Its workers.
    pub fn replicas(self) -> f64 {
        self.number(Metric::Replicas)
    }
}
