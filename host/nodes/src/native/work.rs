use std::hint::black_box;
use std::time::Duration;

use async_trait::async_trait;
use flyball_json::ItemLimits;
use flyball_model::Problem;
use nix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{NodeConfig, failed, field, units, wait::long};
use crate::path::FieldPath;
use crate::{Item, ProcessError, Processed, Processor};

/// Uses a core for a time that each item costs: a model of load. One worker works on one item at a time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Work {
    /// Microseconds of CPU time for a unit.
    #[schemars(range(min = 0.0, max = 60_000_000.0))]
    us_per_unit: f64,
    /// Where the item says how many units it costs. By default each costs one.
    field: Option<String>,
}

impl NodeConfig for Work {
    fn build(self, _: &ItemLimits) -> Result<Box<dyn Processor>, Problem> {
        let path = self.field.map(|path| field("field", &path)).transpose()?;
        Ok(Box::new(Worker { us_per_unit: self.us_per_unit, path }))
    }
}

struct Worker {
    us_per_unit: f64,
    path: Option<FieldPath>,
}

#[async_trait]
impl Processor for Worker {
    async fn process(&mut self, items: &[Item]) -> Vec<Processed> {
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            answers.push(match units(self.path.as_ref(), &item.body) {
                Ok(units) => {
                    burn(long(units * self.us_per_unit / 1_000_000.0)).await.map(|()| vec![item.body.clone()])
                }
                Err(error) => Err(error),
            });
        }
        answers
    }
}

/// Works in slices and lets others run between them: a work of seconds must not hold up the runtime's thread. What counts
/// is the thread's CPU time within the slices, so that two works on one core take twice as long, as real ones do.
async fn burn(cost: Duration) -> Result<(), ProcessError> {
    const SLICE: Duration = Duration::from_micros(200);
    let mut left = cost;
    while !left.is_zero() {
        left = left.saturating_sub(spin(left.min(SLICE))?);
        if !left.is_zero() {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Works until this much CPU time is used, and says how much was.
fn spin(cost: Duration) -> Result<Duration, ProcessError> {
    let start = cpu_time()?;
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    loop {
        for _ in 0..64 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        black_box(state);
        let used = cpu_time()?.saturating_sub(start);
        if used >= cost {
            return Ok(used);
        }
    }
}

fn cpu_time() -> Result<Duration, ProcessError> {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map(Duration::from)
        .map_err(|error| failed(format!("the thread's CPU time cannot be read: {error}")))
}
