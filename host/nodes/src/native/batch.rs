use std::time::Duration;

use async_trait::async_trait;
use flyball_json::{ItemLimits, Json, Object};
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::NodeConfig;
use crate::{Gathering, Item, Processed, Processor};

/// Makes one item of many: `{"items": [...], "count": n}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    /// At most this many items in one.
    #[schemars(range(min = 1, max = 10_000))]
    size: usize,
    /// How long the first item waits for others, in milliseconds.
    #[serde(default = "default_linger")]
    #[schemars(range(max = 600_000))]
    linger_ms: u64,
}

fn default_linger() -> u64 {
    100
}

impl NodeConfig for Batch {
    fn build(self, _: &ItemLimits) -> Result<Box<dyn Processor>, Problem> {
        let linger = Duration::from_millis(self.linger_ms);
        Ok(Box::new(Gatherer(Gathering { size: self.size.max(1), linger })))
    }
}

struct Gatherer(Gathering);

#[async_trait]
impl Processor for Gatherer {
    async fn process(&mut self, items: &[Item]) -> Vec<Processed> {
        let bodies: Vec<Json> = items.iter().map(|item| item.body.clone()).collect();
        let mut gathered = Object::new();
        gathered.insert("count", bodies.len() as u64);
        gathered.insert("items", bodies);
        let mut answers: Vec<Processed> = Vec::with_capacity(items.len());
        answers.push(Ok(vec![gathered.into()]));
        answers.resize_with(items.len(), || Ok(Vec::new()));
        answers
    }

    fn gathers(&self) -> Option<Gathering> {
        Some(self.0)
    }
}
