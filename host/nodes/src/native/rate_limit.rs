use std::time::Duration;

use async_trait::async_trait;
use flyball_json::ItemLimits;
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use super::NodeConfig;
use crate::{Item, Processed, Processor};

/// Lets items through at no more than a rate. Each worker of the node has the whole rate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimit {
    /// Items a second.
    #[schemars(range(min = 0.001, max = 10_000_000.0))]
    per_second: f64,
}

impl NodeConfig for RateLimit {
    fn build(self, _: &ItemLimits) -> Result<Box<dyn Processor>, Problem> {
        let gap = Duration::try_from_secs_f64(1.0 / self.per_second).map_err(|_| {
            Problem::new("/per_second", format!("{} is no rate", self.per_second))
                .help("give a number above 0")
        })?;
        Ok(Box::new(Pace { gap, next: None }))
    }
}

/// Every item has its slot, one gap after the last; idle time is not saved up.
struct Pace {
    gap: Duration,
    next: Option<Instant>,
}

#[async_trait]
impl Processor for Pace {
    async fn process(&mut self, items: &[Item]) -> Vec<Processed> {
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            let now = Instant::now();
            let slot = self.next.map_or(now, |next| next.max(now));
            self.next = Some(slot + self.gap);
            if slot > now {
                sleep_until(slot).await;
            }
            answers.push(Ok(vec![item.body.clone()]));
        }
        answers
    }
}
