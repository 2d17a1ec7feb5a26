use async_trait::async_trait;
use flyball_json::{ItemLimits, Json, Object};
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep_until};

use super::{BATCH_BYTES, SourceConfig};
use crate::template::{Missing, Template};
use crate::{Source, SourceError, SourceProgress, Taken};

/// Makes items by a template at a rate. When the pipeline does not keep up, those that are due wait and are given later:
/// the load does not yield.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Generate {
    /// Items a second; 0: as fast as they are taken.
    #[schemars(range(min = 0.0, max = 10_000_000.0))]
    per_second: f64,
    /// Ends after so many.
    limit: Option<u64>,
    /// Each item's body, in whose texts `{{n}}` stands for the item's number, from 0.
    #[serde(default = "numbered")]
    body: Value,
    /// Times with another rate. Where two overlap, the one listed first holds.
    #[serde(default)]
    bursts: Vec<Burst>,
}

/// A time with another rate.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Burst {
    /// Seconds after the start.
    #[schemars(range(min = 0.0, max = 31_536_000.0))]
    at_s: f64,
    /// How long, in seconds.
    #[schemars(range(min = 0.0, max = 31_536_000.0))]
    for_s: f64,
    /// Items a second meanwhile.
    #[schemars(range(min = 0.0, max = 10_000_000.0))]
    per_second: f64,
}

fn numbered() -> Value {
    json!({"n": "{{n}}"})
}

fn numbered_item(number: u64) -> Json {
    Json::Object(Object::from_iter([("n", number)]))
}

impl Generate {
    fn template(&self) -> Result<Template, Problem> {
        let template = Template::new(&self.body).map_err(|error| Problem::new("/body", error))?;
        template.fill(&numbered_item(0), Missing::Fails, &ItemLimits::default()).map_err(|error| {
            Problem::new("/body", error).help("only {{n}}, the item's number, can stand in it")
        })?;
        Ok(template)
    }
}

impl SourceConfig for Generate {
    fn check(&self) -> Result<(), Problem> {
        if self.per_second == 0.0 && !self.bursts.is_empty() {
            return Err(Problem::new("/bursts", "there is no rate above \"as fast as they are taken\"")
                .help("give a per_second above 0, or no bursts"));
        }
        self.template().map(drop)
    }

    fn open(self, limits: &ItemLimits) -> Result<Box<dyn Source>, Problem> {
        self.check()?;
        Ok(Box::new(Generator {
            template: self.template()?,
            schedule: (self.per_second > 0.0).then(|| Schedule::new(self.per_second, &self.bursts)),
            limit: self.limit,
            limits: *limits,
            start: None,
            made: 0,
            ended: false,
        }))
    }
}

/// How many items are due by when: a rate for each stretch of time.
struct Schedule(Vec<Stretch>);

#[derive(Debug, Clone, Copy)]
struct Stretch {
    from_s: f64,
    per_second: f64,
    due_before: f64,
}

impl Schedule {
    fn new(usual: f64, bursts: &[Burst]) -> Self {
        let mut turns: Vec<f64> =
            bursts.iter().flat_map(|burst| [burst.at_s, burst.at_s + burst.for_s]).collect();
        turns.push(0.0);
        turns.sort_unstable_by(f64::total_cmp);
        turns.dedup();
        let rate_at = |moment: f64| {
            let burst = bursts.iter().find(|burst| (burst.at_s..burst.at_s + burst.for_s).contains(&moment));
            burst.map_or(usual, |burst| burst.per_second)
        };
        let mut stretches: Vec<Stretch> = Vec::with_capacity(turns.len());
        for from_s in turns {
            let due_before = stretches.last().map_or(0.0, |last| last.due_at(from_s));
            stretches.push(Stretch { from_s, per_second: rate_at(from_s), due_before });
        }
        Self(stretches)
    }

    /// Items due in the first so many seconds. The first is due at once.
    fn due(&self, seconds: f64) -> u64 {
        let stretch = self.0.iter().rev().find(|stretch| stretch.from_s <= seconds);
        // A sum of many small parts may end a hair below the whole number that it means.
        stretch.map_or(0, |stretch| (stretch.due_at(seconds) + 1e-6).floor() as u64 + 1)
    }

    /// When the item of that number (from 0) is due, in seconds; none: never.
    fn when(&self, number: u64) -> Option<f64> {
        let number = number as f64;
        let stretch =
            self.0.iter().rev().find(|stretch| stretch.due_before <= number && stretch.per_second > 0.0)?;
        let seconds = stretch.from_s + (number - stretch.due_before) / stretch.per_second;
        seconds.is_finite().then_some(seconds)
    }
}

impl Stretch {
    fn due_at(&self, seconds: f64) -> f64 {
        self.due_before + (seconds - self.from_s) * self.per_second
    }
}

struct Generator {
    template: Template,
    /// None: as fast as they are taken.
    schedule: Option<Schedule>,
    limit: Option<u64>,
    limits: ItemLimits,
    start: Option<Instant>,
    made: u64,
    ended: bool,
}

impl Generator {
    /// Waits until at least one is due: how many are.
    async fn due(&self, start: Instant) -> u64 {
        let Some(schedule) = &self.schedule else { return u64::MAX };
        loop {
            let due = schedule.due(start.elapsed().as_secs_f64()).saturating_sub(self.made);
            if due > 0 {
                return due;
            }
            let next = schedule.when(self.made).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            match next.and_then(|after| start.checked_add(after)) {
                // Never twice at the same moment, however the numbers are rounded.
                Some(moment) => sleep_until(moment.max(Instant::now() + Duration::from_micros(1))).await,
                None => std::future::pending().await,
            }
        }
    }
}

#[async_trait]
impl Source for Generator {
    async fn next(&mut self, max: usize) -> Result<Option<Vec<Taken>>, SourceError> {
        let left = self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.made));
        if self.ended || left == 0 {
            self.ended = true;
            return Ok(None);
        }
        let start = *self.start.get_or_insert_with(Instant::now);
        let count = self.due(start).await.min(left).min(max.max(1) as u64);
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while (taken.len() as u64) < count && bytes < BATCH_BYTES {
            let item = numbered_item(self.made);
            let body = self.template.fill(&item, Missing::Fails, &self.limits).map_err(SourceError)?;
            bytes += self.limits.check(&body).map_err(|limit| SourceError(limit.to_string()))?.decoded;
            taken.push(Ok(body));
            self.made += 1;
        }
        Ok(Some(taken))
    }

    fn stop(&mut self) {
        self.ended = true;
    }

    fn progress(&self) -> SourceProgress {
        SourceProgress::of_items(self.made, self.limit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_changes_the_rate_for_its_time_only() {
        let schedule = Schedule::new(10.0, &[Burst { at_s: 1.0, for_s: 2.0, per_second: 100.0 }]);
        assert_eq!(schedule.due(0.0), 1);
        assert_eq!(schedule.due(1.0), 11);
        assert_eq!(schedule.due(2.0), 111);
        assert_eq!(schedule.due(3.0), 211);
        assert_eq!(schedule.due(4.0), 221);
    }

    #[test]
    fn in_a_silence_nothing_is_due_until_it_ends() {
        let schedule = Schedule::new(10.0, &[Burst { at_s: 1.0, for_s: 2.0, per_second: 0.0 }]);
        assert_eq!(schedule.due(1.0), schedule.due(2.9));
        let next = schedule.when(schedule.due(2.0)).unwrap();
        assert!(next > 3.0 && next < 3.2, "{next}");
    }

    proptest! {
        #[test]
        fn an_item_is_due_at_its_time_and_not_before(
            usual in 0.5f64..5_000.0,
            bursts in prop::collection::vec((0.0f64..20.0, 0.1f64..5.0, 0.5f64..5_000.0), 0..4),
            number in 0u64..50_000,
        ) {
            let bursts: Vec<Burst> =
                bursts.into_iter().map(|(at_s, for_s, per_second)| Burst { at_s, for_s, per_second }).collect();
            let schedule = Schedule::new(usual, &bursts);
            let when = schedule.when(number).unwrap();
            prop_assert!(schedule.due(when + 1e-6) > number);
            prop_assert!(schedule.due((when - 1e-3).max(0.0)) <= number + 1 || when < 1e-3 || schedule.due(when - 1e-3) <= number + 6);
        }
    }
}
