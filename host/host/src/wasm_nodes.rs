//! Lets the embedded pipeline use the engine's node plugins; the two rooms do not know of each other.

use std::sync::Arc;

use async_trait::async_trait;
use flyball_engine::{CallError, Library, MetricSink, NodeWorker, WorkerError};
use flyball_model::{NodeType, Problem, printable};
use flyball_nodes::{CustomMetrics, Item, ItemLimits, Json, ProcessError, Processed, Processor, WasmNodes};
use serde_json::Value;
use tokio::runtime::{Handle, RuntimeFlavor};

/// The node plugins of a library, for one session.
pub struct LibraryNodes {
    /// The plugins.
    pub library: Arc<Library>,
    /// The session's name.
    pub session: String,
}

impl WasmNodes for LibraryNodes {
    fn types(&self) -> Vec<NodeType> {
        self.library.node_types()
    }

    fn worker(&self, node_type: &str, config: &Value) -> Result<Box<dyn Processor>, String> {
        // The component is asked about its configuration, and may take as long as it is given.
        let worker = letting_others_go_on(|| self.library.node_worker(&self.session, node_type, config));
        let worker = worker.map_err(|fault| fault.to_string())?;
        let metrics = CustomMetrics::default();
        let taken = metrics.clone();
        worker.report_to(MetricSink::new(move |name, value| {
            taken.set(name, value).map_err(|error| error.to_string())
        }));
        Ok(Box::new(Component { worker, metrics }))
    }

    fn check(&self, node_type: &str, config: &Value) -> Vec<Problem> {
        match letting_others_go_on(|| self.library.node_worker(&self.session, node_type, config)) {
            Ok(_) => Vec::new(),
            Err(WorkerError::Configuration { problems, .. }) => problems,
            Err(fault) => vec![Problem::new("", fault.to_string())],
        }
    }

    fn other_kind(&self, name: &str) -> Option<String> {
        self.library.plugin_kind(name).map(|kind| kind.to_string())
    }
}

/// Does something that may block: what else this thread of the runtime has to do, another one does meanwhile.
fn letting_others_go_on<R>(work: impl FnOnce() -> R) -> R {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

struct Component {
    worker: NodeWorker,
    metrics: CustomMetrics,
}

#[async_trait]
impl Processor for Component {
    async fn process(&mut self, items: &[Item]) -> Vec<Processed> {
        let given: Vec<_> = items.iter().map(|item| (item.id, item.body.to_bytes())).collect();
        if given.len() == 1 {
            return vec![self.alone(given).await];
        }
        match self.worker.process(given.clone()).await {
            Ok(answers) => answers.into_iter().map(read).collect(),
            Err(fault @ CallError::Quarantined { .. }) => {
                given.iter().map(|_| Err(ProcessError::Item(fault.to_string()))).collect()
            }
            // One item that the component cannot bear must not fail the others: each is tried alone.
            Err(_) => {
                let mut answers = Vec::with_capacity(given.len());
                for one in given {
                    answers.push(self.alone(vec![one]).await);
                }
                answers
            }
        }
    }

    fn metrics(&self) -> Option<CustomMetrics> {
        Some(self.metrics.clone())
    }
}

impl Component {
    async fn alone(&mut self, item: Vec<(u64, Vec<u8>)>) -> Processed {
        match self.worker.process(item).await {
            Ok(answers) => answers
                .into_iter()
                .next()
                .map_or_else(|| Err(ProcessError::Item("the component gave no answer".to_owned())), read),
            Err(fault) => Err(ProcessError::Item(fault.to_string())),
        }
    }
}

fn read(answer: Result<Vec<Vec<u8>>, String>) -> Processed {
    answer
        // Why an item failed is the component's own text, and ends in a log and in the dead letters.
        .map_err(|why| ProcessError::Item(printable(&why).into_owned()))?
        .iter()
        .map(|body| {
            // What a manifest allows is no more than this, and the pipeline holds every answer against it.
            Json::read(body, &ItemLimits::LARGEST)
                .map_err(|fault| ProcessError::Item(format!("the component's answer is no item: {fault}")))
        })
        .collect()
}
