//! What a worker works with: a processor in the host, a child process, or a sink.

use flyball_nodes::{ChildProcessor, Gathering, Item, ProcessError, Processed, Processor, Sink, Vitals};

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

    pub(crate) fn vitals(&self) -> Option<Vitals> {
        match self {
            Self::Child(child) => Some(child.vitals()),
            Self::Processor(_) | Self::Sink(_) => None,
        }
    }
}
