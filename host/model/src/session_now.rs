use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Ending, NodeId, NodeStatus, Severity, UnixMillis};

/// A session as it was on its newest tick, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionNow {
    /// The tick's number.
    pub tick: u64,
    /// When it was, in milliseconds since the Unix epoch.
    pub at: UnixMillis,
    /// How it ended.
    pub ending: Ending,
    /// Items delivered a second; none: not measured.
    pub delivered_per_second: Option<f64>,
    /// 99th percentile of the time from a source to the last sink; none: not measured.
    pub end_to_end_latency_ms: Option<f64>,
    /// Items that wait in all queues; none: not measured.
    pub waiting: Option<f64>,
    /// What was found, worst first.
    pub findings: Vec<FoundNow>,
    /// Which gate held, and until when, if one did.
    pub held_by: Option<String>,
    /// What is under way: an action that the data plane is doing, deciders that think, an action that is not judged yet.
    pub under_way: Vec<String>,
    /// Changes by the loop that still stand.
    pub changes: usize,
    /// Each node.
    pub nodes: Vec<NodeNow>,
}

/// Something that was found on a session's newest tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FoundNow {
    /// How bad it is.
    pub severity: Severity,
    /// Its code.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// A node on its session's newest tick. What was not measured is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeNow {
    /// Its name.
    pub node: NodeId,
    /// How it is.
    pub status: NodeStatus,
    /// Items that it finishes a second.
    pub items_per_second: Option<f64>,
    /// Items that fail a second.
    pub errors_per_second: Option<f64>,
    /// Items that wait before it.
    pub waiting: Option<f64>,
    /// How many may.
    pub capacity: Option<f64>,
    /// 99th percentile of the time in the node.
    pub latency_p99_ms: Option<f64>,
}
