use std::borrow::Cow;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::UnixMillis;

/// Where a node's work is done.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Executor {
    /// Rust code in the host.
    #[default]
    Native,
    /// A child process that speaks JSON lines.
    Multiprocess,
    /// A WebAssembly component of world `node`.
    Wasm,
}

/// Where a node's latency is heading over the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trend {
    /// Getting faster.
    Falling,
    /// Neither, or too few samples to say.
    #[default]
    Stable,
    /// Getting slower.
    Rising,
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NodeStatus {
    /// There is no fresh sample: never a reason to be calm.
    #[default]
    Unknown,
    /// It works.
    Healthy,
    /// It works, badly.
    Degraded,
    /// It does not work: its process is gone, or every item fails.
    Failed,
}

/// The well-known metrics of a node; each name carries its unit.
pub mod metric {
    /// Median time in the node for an item, over the sliding window.
    pub const LATENCY_P50_MS: &str = "latency-p50-ms";
    /// 99th percentile of the time in the node for an item, over the sliding window.
    pub const LATENCY_P99_MS: &str = "latency-p99-ms";
    /// Items finished a second.
    pub const ITEMS_PER_SECOND: &str = "items-per-second";
    /// Items waiting before the node.
    pub const QUEUE_DEPTH: &str = "queue-depth";
    /// Items that may wait before the node.
    pub const QUEUE_CAPACITY: &str = "queue-capacity";
    /// Items that failed a second.
    pub const ERRORS_PER_SECOND: &str = "errors-per-second";
    /// Items, finished or failed, that the window's numbers rest on.
    pub const SAMPLES: &str = "samples";
    /// Resident memory of the node's process.
    pub const MEMORY_MB: &str = "memory-mb";
    /// Processor time of the node's process; 100 is one core.
    pub const CPU_PERCENT: &str = "cpu-percent";
    /// How often the node's process was started again.
    pub const RESTARTS: &str = "restarts";
    /// Since the node's process was last heard of.
    pub const HEARTBEAT_AGE_MS: &str = "heartbeat-age-ms";
    /// Workers of the node.
    pub const REPLICAS: &str = "replicas";

    /// All of them. A node cannot report a number of its own by one of these names.
    pub const ALL: [&str; 12] = [
        LATENCY_P50_MS,
        LATENCY_P99_MS,
        ITEMS_PER_SECOND,
        QUEUE_DEPTH,
        QUEUE_CAPACITY,
        ERRORS_PER_SECOND,
        SAMPLES,
        MEMORY_MB,
        CPU_PERCENT,
        RESTARTS,
        HEARTBEAT_AGE_MS,
        REPLICAS,
    ];
}

/// The well-known numbers of a whole graph.
pub mod total {
    /// 99th percentile of the time from a source to the last sink.
    pub const END_TO_END_LATENCY_MS: &str = "end-to-end-latency-ms";
    /// Items delivered a second.
    pub const THROUGHPUT_PER_SECOND: &str = "throughput-per-second";

    /// All of them.
    pub const ALL: [&str; 2] = [END_TO_END_LATENCY_MS, THROUGHPUT_PER_SECOND];
}

/// Columns of numbers by name: one number for each node, NaN where there is none.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metrics(Vec<Column>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Column {
    name: Cow<'static, str>,
    #[serde(with = "crate::number::column")]
    values: Vec<f64>,
}

impl Metrics {
    /// Adds a column, or replaces the one of that name.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, values: Vec<f64>) {
        let name = name.into();
        match self.0.iter_mut().find(|column| column.name == name) {
            Some(column) => column.values = values,
            None => self.0.push(Column { name, values }),
        }
    }

    /// The column of that name.
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        self.0.iter().find(|column| column.name == name).map(|column| column.values.as_slice())
    }

    /// Every column's name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|column| column.name.as_ref())
    }
}

/// What was seen of the nodes, by column: the n-th entry of each column is the n-th node's.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NodeColumns {
    /// Names. Shared between ticks, as they seldom change.
    pub ids: Arc<[Arc<str>]>,
    /// Types, as the catalog names them.
    pub types: Arc<[Arc<str>]>,
    /// Where each node's work is done.
    pub executors: Vec<Executor>,
    /// How each node is.
    pub statuses: Vec<NodeStatus>,
    /// Where each node's latency is heading.
    pub latency_trends: Vec<Trend>,
    /// Each node's newest error in the window.
    pub last_errors: Vec<Option<Arc<str>>>,
    /// The numbers.
    pub metrics: Metrics,
}

impl NodeColumns {
    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// No node at all, as in a redeploy.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The number of the node of that name.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.ids.iter().position(|have| have.as_ref() == id)
    }

    /// One number of one node; NaN where there is none.
    pub fn number(&self, node: usize, name: &str) -> f64 {
        self.metrics.get(name).and_then(|values| values.get(node)).copied().unwrap_or(f64::NAN)
    }
}

/// What was seen of the graph as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GraphMetrics {
    /// 99th percentile of the time from a source to the last sink; NaN when nothing was delivered in the window.
    #[serde(with = "crate::number")]
    pub end_to_end_latency_ms: f64,
    /// Items delivered a second.
    #[serde(with = "crate::number")]
    pub throughput_per_second: f64,
    /// The node that holds the others up, when one does.
    pub bottleneck: Option<u32>,
    /// From a source to a sink, by the time an item spends; optional nodes are never on it.
    pub critical_path: Vec<u32>,
    /// The pipeline's own numbers.
    pub others: Vec<(String, f64)>,
}

impl Default for GraphMetrics {
    fn default() -> Self {
        Self {
            end_to_end_latency_ms: f64::NAN,
            throughput_per_second: f64::NAN,
            bottleneck: None,
            critical_path: Vec::new(),
            others: Vec::new(),
        }
    }
}

/// An error that the pipeline met.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SeenError {
    /// When.
    pub at: UnixMillis,
    /// At which node of this observation; none when that node is gone or the error is the whole pipeline's.
    pub node: Option<u32>,
    /// What it said. Text from outside: hostile until quoted.
    pub message: Arc<str>,
}

/// What was seen of a session at one tick.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Observation {
    /// Whose.
    pub session: Arc<str>,
    /// The tick's number in its session, from 1.
    pub tick: u64,
    /// When.
    pub taken_at: UnixMillis,
    /// The nodes, by column.
    pub nodes: NodeColumns,
    /// The whole.
    pub graph: GraphMetrics,
    /// From node, to node.
    pub edges: Arc<[(u32, u32)]>,
    /// Newest first.
    pub errors: Vec<SeenError>,
}

impl Observation {
    /// A number of the whole graph by name; none when there is no such number or no sample.
    pub fn total(&self, name: &str) -> Option<f64> {
        let value = match name {
            total::END_TO_END_LATENCY_MS => self.graph.end_to_end_latency_ms,
            total::THROUGHPUT_PER_SECOND => self.graph.throughput_per_second,
            _ => self.graph.others.iter().find(|(own, _)| own == name)?.1,
        };
        value.is_finite().then_some(value)
    }
}
