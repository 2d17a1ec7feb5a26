//! Lets the embedded pipeline use the engine's node plugins; the two rooms do not know of each other.

use std::sync::Arc;

use async_trait::async_trait;
use flyball_engine::{Library, NodeWorker, WorkerError};
use flyball_model::{NodeType, Problem};
use flyball_nodes::{Item, ItemLimits, Json, ProcessError, Processed, Processor, WasmNodes};
use serde_json::Value;

/// The node plugins of a library.
pub(crate) struct LibraryNodes(pub(crate) Arc<Library>);

impl WasmNodes for LibraryNodes {
    fn types(&self) -> Vec<NodeType> {
        self.0.node_types()
    }

    fn worker(&self, node_type: &str, config: &Value) -> Result<Box<dyn Processor>, String> {
        let worker = self.0.node_worker(node_type, config).map_err(|fault| fault.to_string())?;
        Ok(Box::new(Component(worker)))
    }

    fn check(&self, node_type: &str, config: &Value) -> Vec<Problem> {
        match self.0.node_worker(node_type, config) {
            Ok(_) => Vec::new(),
            Err(WorkerError::Configuration { problems, .. }) => problems,
            Err(fault) => vec![Problem::new("", fault.to_string())],
        }
    }

    fn other_kind(&self, name: &str) -> Option<String> {
        self.0.plugin_kind(name).map(|kind| kind.to_string())
    }
}

struct Component(NodeWorker);

#[async_trait]
impl Processor for Component {
    async fn process(&mut self, items: &[Item]) -> Vec<Processed> {
        let given: Vec<_> = items.iter().map(|item| (item.id, item.body.to_bytes())).collect();
        match self.0.process(&given) {
            Ok(answers) => answers.into_iter().map(read).collect(),
            // One item that the component cannot bear must not fail the others: each is tried alone.
            Err(_) if given.len() > 1 => given.iter().map(|one| alone(&mut self.0, one)).collect(),
            Err(fault) => vec![Err(ProcessError::Item(fault.to_string()))],
        }
    }
}

fn alone(worker: &mut NodeWorker, item: &(u64, Vec<u8>)) -> Processed {
    match worker.process(std::slice::from_ref(item)) {
        Ok(answers) => answers
            .into_iter()
            .next()
            .map_or_else(|| Err(ProcessError::Item("the component gave no answer".to_owned())), read),
        Err(fault) => Err(ProcessError::Item(fault.to_string())),
    }
}

fn read(answer: Result<Vec<Vec<u8>>, String>) -> Processed {
    answer
        .map_err(ProcessError::Item)?
        .iter()
        .map(|body| {
            // What a manifest allows is no more than this, and the pipeline holds every answer against it.
            Json::read(body, &ItemLimits::LARGEST)
                .map_err(|fault| ProcessError::Item(format!("the component's answer is no item: {fault}")))
        })
        .collect()
}
