use std::time::Duration;

use async_trait::async_trait;
use flyball_json::ItemLimits;
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{NodeConfig, field, units};
use crate::path::FieldPath;
use crate::{Item, Processed, Processor};

/// Waits for a time that each item costs, without using a core: like a call to a slow service. One worker waits for one
/// item at a time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    /// Milliseconds for a unit.
    #[schemars(range(min = 0.0, max = 600_000.0))]
    ms_per_unit: f64,
    /// Where the item says how many units it costs. By default each costs one.
    field: Option<String>,
}

impl NodeConfig for Wait {
    fn build(self, _: &ItemLimits) -> Result<Box<dyn Processor>, Problem> {
        let path = self.field.map(|path| field("field", &path)).transpose()?;
        Ok(Box::new(Waiter { ms_per_unit: self.ms_per_unit, path }))
    }
}

struct Waiter {
    ms_per_unit: f64,
    path: Option<FieldPath>,
}

#[async_trait]
impl Processor for Waiter {
    async fn process(&mut self, items: &[Item]) -> Vec<Processed> {
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            answers.push(match units(self.path.as_ref(), &item.body) {
                Ok(units) => {
                    tokio::time::sleep(long(units * self.ms_per_unit / 1_000.0)).await;
                    Ok(vec![item.body.clone()])
                }
                Err(error) => Err(error),
            });
        }
        answers
    }
}

/// An item cannot ask for more than an hour.
pub(super) fn long(seconds: f64) -> Duration {
    const HOUR: f64 = 3_600.0;
    Duration::try_from_secs_f64(seconds.clamp(0.0, HOUR)).unwrap_or_default()
}
