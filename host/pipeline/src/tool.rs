//! What a worker works with: a processor in the host, a child process, or a sink.

use flyball_nodes::{
    ChildProcessor, CustomMetrics, Gathering, Item, ProcessError, Processed, Processor, Sink, Vitals,
    WorkerEnd,
};

pub(crate) enum Tool {
    Processor(Box<dyn Processor>),
    Child(Box<ChildProcessor>),
    Sink(Box<dyn Sink>),
}

impl Tool {
    pub(crate) async fn process(&mut self, items: &[Item]) -> Vec<Processed> {
        match self {
            Self::Processor(processor) => processor.process(items).await,
            Self::Child(child) => child.process(items).await,
            Self::Sink(sink) => {
                sink.deliver(items).await.into_iter().map(|answer| answer.map(|()| Vec::new())).collect()
            }
        }
    }

    pub(crate) async fn finish(&mut self) -> Result<(), ProcessError> {
        match self {
            Self::Processor(_) | Self::Child(_) => Ok(()),
            Self::Sink(sink) => sink.finish().await,
        }
    }

    pub(crate) fn gathers(&self) -> Option<Gathering> {
        match self {
            Self::Processor(processor) => processor.gathers(),
            Self::Child(_) | Self::Sink(_) => None,
        }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            Self::Processor(processor) => processor.pid(),
            Self::Child(child) => child.pid(),
            Self::Sink(_) => None,
        }
    }

    /// The numbers that it reports of itself.
    pub(crate) fn metrics(&self) -> Option<CustomMetrics> {
        match self {
            Self::Processor(processor) => processor.metrics(),
            Self::Child(child) => child.metrics(),
            Self::Sink(_) => None,
        }
    }

    /// How it came to its end, when it answers no more.
    pub(crate) fn end(&self) -> WorkerEnd {
        match self {
            Self::Child(child) => child.worker_end().unwrap_or(WorkerEnd::Failed),
            Self::Processor(_) | Self::Sink(_) => WorkerEnd::Failed,
        }
    }

    /// What it does wrong that fails no item.
    pub(crate) fn complaint(&self) -> Option<String> {
        self.vitals().and_then(|vitals| vitals.take_complaint())
    }

    pub(crate) fn vitals(&self) -> Option<Vitals> {
        match self {
            Self::Child(child) => Some(child.vitals()),
            Self::Processor(_) | Self::Sink(_) => None,
        }
    }
}
