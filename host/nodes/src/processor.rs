use std::time::Duration;

use async_trait::async_trait;
use flyball_json::Json;
use flyball_model::{NodeType, Problem};
use serde_json::Value;

use crate::CustomMetrics;

/// One item as a node sees it.
#[derive(Debug, Clone)]
pub struct Item {
    /// The host's number for it: unique in its pipeline, kept through every node that maps one item to one.
    pub id: u64,
    /// What it carries.
    pub body: Json,
}

/// Why an item failed at a node.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProcessError {
    /// This item cannot be processed; others can.
    #[error("{0}")]
    Item(String),
    /// The worker is gone: its process died or its component cannot be run. The item was not answered.
    #[error("{0}")]
    Worker(String),
    /// What is outside cannot take the item now, and may later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The other side is down or busy, or a disk is full. A sink's items wait until that is over; elsewhere it counts as a
/// try that failed, after a pause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unavailable {
    /// What is the matter.
    pub why: String,
    /// When to come back, where the other side said so.
    pub retry_after: Option<Duration>,
    /// It may be this item that the other side cannot take: it answered, or did not come to an end with it.
    pub by_item: bool,
}

/// What becomes of one item at a node: the bodies that go on (none: it was filtered), or why it failed.
pub type Processed = Result<Vec<Json>, ProcessError>;

/// One worker of a node: a native function, a child process, a component. A batch is given whole so that the price of
/// crossing into a worker is shared; a batch of one is usual under light load.
#[async_trait]
pub trait Processor: Send {
    /// One answer for each item, in their order: the bodies that go on (none: it was filtered), or why it failed.
    async fn process(&mut self, items: &[Item]) -> Vec<Processed>;

    /// Set for a node that makes one item of many. What it gives out for a gathered batch stands for every item of it:
    /// it is the first item's answer, and the others' are empty.
    fn gathers(&self) -> Option<Gathering> {
        None
    }

    /// Numbers that the worker reports of itself, where it does: the same handle at each call.
    fn metrics(&self) -> Option<CustomMetrics> {
        None
    }

    /// The worker's process, where it has one.
    fn pid(&self) -> Option<u32> {
        None
    }
}

/// How many items a gathering node waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gathering {
    /// At most this many are given to it at once.
    pub size: usize,
    /// After this long since the first it is given what there is.
    pub linger: Duration,
}

/// Makes workers whose executor is `wasm`: whoever holds the components implements it.
pub trait WasmNodes: Send + Sync {
    /// The node types that it can make.
    fn types(&self) -> Vec<NodeType>;

    /// One worker. The error says what is wrong with the type or its configuration.
    fn worker(&self, node_type: &str, config: &Value) -> Result<Box<dyn Processor>, String>;

    /// What is wrong with a configuration; pointers lead into it.
    fn check(&self, node_type: &str, config: &Value) -> Vec<Problem> {
        self.worker(node_type, config).err().map(|error| Problem::new("", error)).into_iter().collect()
    }

    /// What a component is that has this name and is no node.
    fn other_kind(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }
}
