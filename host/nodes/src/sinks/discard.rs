use async_trait::async_trait;
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::SinkConfig;
use crate::{Item, ProcessError, Sink};

/// Takes items and keeps nothing.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Discard {}

impl SinkConfig for Discard {
    fn check(&self) -> Result<(), Problem> {
        Ok(())
    }

    fn open(self) -> Result<Box<dyn Sink>, Problem> {
        Ok(Box::new(self))
    }
}

#[async_trait]
impl Sink for Discard {
    async fn deliver(&mut self, items: &[Item]) -> Vec<Result<(), ProcessError>> {
        items.iter().map(|_| Ok(())).collect()
    }
}
