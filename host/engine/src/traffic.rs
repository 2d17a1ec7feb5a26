//! What passes between a plugin and the host in one call: counted, and bounded.

use serde_json::Value;

use crate::bindings::{actions, http, llm, observed, offers, settings};
use crate::call::{Call, Over};

#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) calls: u64,
    pub(crate) bytes: usize,
    most_calls: u64,
    most_bytes: usize,
}

impl Traffic {
    pub(crate) fn new(most_calls: u64, most_bytes: usize) -> Self {
        Self { calls: 0, bytes: 0, most_calls, most_bytes }
    }
}

impl Call {
    /// One more call of the host.
    pub(crate) fn enter(&mut self) -> wasmtime::Result<()> {
        self.traffic.calls += 1;
        if self.traffic.calls > self.traffic.most_calls { Err(Over::HostCalls.into()) } else { Ok(()) }
    }

    /// Something that passes, in either direction.
    pub(crate) fn gave<T: Weight>(&mut self, value: T) -> wasmtime::Result<T> {
        let bytes = self.traffic.bytes.saturating_add(value.bytes());
        self.traffic.bytes = bytes;
        if bytes > self.traffic.most_bytes { Err(Over::HostBytes.into()) } else { Ok(value) }
    }
}

/// How much memory of the guest a value takes, nearly: what is in its lists and texts.
pub(crate) trait Weight {
    fn bytes(&self) -> usize;
}

impl Weight for String {
    fn bytes(&self) -> usize {
        self.len()
    }
}

impl Weight for Value {
    fn bytes(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => size_of::<f64>(),
            Self::String(text) => text.len(),
            Self::Array(items) => {
                items.iter().map(|item| item.bytes().saturating_add(size_of::<u64>())).sum()
            }
            Self::Object(entries) => {
                entries.iter().map(|(key, value)| key.len().saturating_add(value.bytes())).sum()
            }
        }
    }
}

impl<T: Weight> Weight for Option<T> {
    fn bytes(&self) -> usize {
        self.as_ref().map_or(0, Weight::bytes)
    }
}

impl<T: Weight> Weight for Vec<T> {
    fn bytes(&self) -> usize {
        self.iter().map(|item| item.bytes().saturating_add(size_of::<T>())).sum()
    }
}

impl<T: Weight, U: Weight> Weight for (T, U) {
    fn bytes(&self) -> usize {
        self.0.bytes().saturating_add(self.1.bytes())
    }
}

/// What lies flat has its size in the list that holds it.
macro_rules! flat {
    ($($flat:ty),*) => {
        $(impl Weight for $flat {
            fn bytes(&self) -> usize {
                0
            }
        })*
    };
}

flat!(u8, u32, f64, observed::Executor, observed::Status, observed::Trend, offers::Offer);

impl Weight for observed::SeenError {
    fn bytes(&self) -> usize {
        self.message.bytes()
    }
}

impl Weight for settings::Value {
    fn bytes(&self) -> usize {
        match self {
            Self::Boolean(_) | Self::Number(_) => 0,
            Self::Text(text) | Self::Other(text) => text.len(),
            Self::Texts(texts) => Weight::bytes(texts),
        }
    }
}

impl Weight for actions::NodeSpec {
    fn bytes(&self) -> usize {
        self.id.len().saturating_add(self.node_type.len()).saturating_add(self.config.len())
    }
}

impl Weight for actions::GraphSpec {
    fn bytes(&self) -> usize {
        Weight::bytes(&self.nodes).saturating_add(Weight::bytes(&self.edges))
    }
}

impl Weight for offers::NodeType {
    fn bytes(&self) -> usize {
        let texts = self.name.len().saturating_add(self.summary.len());
        let lists = Weight::bytes(&self.provides).saturating_add(Weight::bytes(&self.offers));
        texts.saturating_add(lists).saturating_add(Weight::bytes(&self.config_schema))
    }
}

impl Weight for http::Request {
    fn bytes(&self) -> usize {
        let texts = self.method.len().saturating_add(self.url.len());
        texts.saturating_add(Weight::bytes(&self.headers)).saturating_add(self.body.len())
    }
}

impl Weight for http::Response {
    fn bytes(&self) -> usize {
        Weight::bytes(&self.headers).saturating_add(self.body.len())
    }
}

impl Weight for llm::Question {
    fn bytes(&self) -> usize {
        let texts = self.system.len().saturating_add(self.user.len());
        texts.saturating_add(Weight::bytes(&self.schema))
    }
}
