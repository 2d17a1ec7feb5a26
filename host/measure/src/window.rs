//! What happened in the last few seconds: counts and a histogram of times in a ring of slots that time turns.

use std::time::Duration;

use flyball_model::Trend;
use hdrhistogram::Histogram;
use tokio::time::Instant;

/// Times are kept in units of 100 ns, to two digits.
const UNIT_NS: u128 = 100;
const UNITS_A_MS: f64 = 10_000.0;
/// An hour; longer times count as that.
const LONGEST: u64 = 36_000_000_000;
/// Of each half of the window, before a trend is spoken of.
const TREND_SAMPLES: u64 = 20;
/// A trend is a change by more than this share.
const TREND_CHANGE: f64 = 0.2;

/// What one batch adds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// Time for each item.
    pub each: Duration,
    /// Items that were done.
    pub finished: u64,
    /// Items that failed for good.
    pub failed: u64,
    /// Time that all items together waited before it.
    pub waited: Duration,
}

/// What the window says.
#[derive(Debug, Clone, Copy)]
pub struct Summary {
    /// Median time for an item; NaN without samples.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Mean time for an item.
    pub mean_ms: f64,
    /// Mean wait of an item in the queue before.
    pub wait_ms: f64,
    /// Items done a second.
    pub finished_per_second: f64,
    /// Items failed a second.
    pub failed_per_second: f64,
    /// Items done.
    pub finished: u64,
    /// Items failed.
    pub failed: u64,
    /// Where the time for an item is heading.
    pub trend: Trend,
}

/// The last few seconds of a node, or of the whole pipeline.
#[derive(Debug)]
pub struct Window {
    slot: Duration,
    slots: Vec<Slot>,
    /// The slot that is being filled, and since when.
    current: usize,
    turned: Instant,
    /// Nothing before this counts.
    began: Instant,
    /// The sum of all slots' histograms, so that asking costs no merging.
    whole: Histogram<u32>,
}

#[derive(Debug)]
struct Slot {
    times: Histogram<u32>,
    units: u128,
    waited: Duration,
    finished: u64,
    failed: u64,
}

impl Slot {
    fn clear(&mut self) {
        self.times.reset();
        self.units = 0;
        self.waited = Duration::ZERO;
        self.finished = 0;
        self.failed = 0;
    }

    fn samples(&self) -> u64 {
        self.finished + self.failed
    }
}

fn histogram() -> Histogram<u32> {
    #[allow(clippy::expect_used, reason = "two digits are always a valid precision")]
    Histogram::new(2).expect("valid precision")
}

impl Window {
    /// Of so many slots of that length, empty.
    pub fn new(now: Instant, slot: Duration, slots: usize) -> Self {
        let slots = (0..slots.max(2))
            .map(|_| Slot { times: histogram(), units: 0, waited: Duration::ZERO, finished: 0, failed: 0 })
            .collect();
        Self { slot, slots, current: 0, turned: now, began: now, whole: histogram() }
    }

    /// Forgets everything: what comes now is another worker's.
    pub fn reset(&mut self, now: Instant) {
        self.slots.iter_mut().for_each(Slot::clear);
        self.whole.reset();
        self.turned = now;
        self.began = now;
    }

    fn turn(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.turned);
        if since < self.slot {
            return;
        }
        let due = since.as_nanos() / self.slot.as_nanos().max(1);
        for _ in 0..due.min(self.slots.len() as u128) {
            self.current = (self.current + 1) % self.slots.len();
            if let Some(oldest) = self.slots.get_mut(self.current) {
                if self.whole.subtract(&oldest.times).is_err() {
                    self.whole.reset();
                }
                oldest.clear();
            }
        }
        self.turned += self.slot.saturating_mul(u32::try_from(due).unwrap_or(u32::MAX));
    }

    /// Adds what was done.
    pub fn record(&mut self, now: Instant, sample: Sample) {
        self.turn(now);
        let units = u64::try_from(sample.each.as_nanos() / UNIT_NS).unwrap_or(LONGEST).clamp(1, LONGEST);
        let count = sample.finished + sample.failed;
        let Some(slot) = self.slots.get_mut(self.current) else { return };
        slot.finished += sample.finished;
        slot.failed += sample.failed;
        slot.waited += sample.waited;
        slot.units += u128::from(units) * u128::from(count);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if slot.times.record_n(units, count).is_ok() && self.whole.record_n(units, count).is_err() {
            slot.times.reset();
        }
    }

    /// How much time the window covers now.
    fn covered(&self, now: Instant) -> Duration {
        let full = self.slot * u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX);
        let covered = full + now.saturating_duration_since(self.turned);
        // Rates over less than a slot say more of chance than of the node.
        covered.min(now.saturating_duration_since(self.began)).max(self.slot)
    }

    /// What it says now.
    pub fn summary(&mut self, now: Instant) -> Summary {
        self.turn(now);
        let (mut finished, mut failed, mut units, mut waited) = (0, 0, 0, Duration::ZERO);
        for slot in &self.slots {
            finished += slot.finished;
            failed += slot.failed;
            units += slot.units;
            waited += slot.waited;
        }
        let samples = finished + failed;
        let seconds = self.covered(now).as_secs_f64();
        let quantile = |q| {
            if samples == 0 { f64::NAN } else { self.whole.value_at_quantile(q) as f64 / UNITS_A_MS }
        };
        let mean = |sum: f64| if samples == 0 { f64::NAN } else { sum / samples as f64 };
        Summary {
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            mean_ms: mean(units as f64 / UNITS_A_MS),
            wait_ms: mean(waited.as_secs_f64() * 1e3),
            finished_per_second: finished as f64 / seconds,
            failed_per_second: failed as f64 / seconds,
            finished,
            failed,
            trend: self.trend(),
        }
    }

    /// The mean time of the newer half of the window against the older half's.
    fn trend(&self) -> Trend {
        let half = self.slots.len() / 2;
        let mut sums = [(0u64, 0u128); 2];
        for (index, slot) in self.slots.iter().enumerate() {
            let age = (self.current + self.slots.len() - index) % self.slots.len();
            let [older, newer] = &mut sums;
            let sum = if age < half { newer } else { older };
            sum.0 += slot.samples();
            sum.1 += slot.units;
        }
        let [(older_count, older), (newer_count, newer)] = sums;
        if older_count < TREND_SAMPLES || newer_count < TREND_SAMPLES {
            return Trend::Stable;
        }
        let (older, newer) = (older as f64 / older_count as f64, newer as f64 / newer_count as f64);
        if newer > older * (1.0 + TREND_CHANGE) {
            Trend::Rising
        } else if newer < older * (1.0 - TREND_CHANGE) {
            Trend::Falling
        } else {
            Trend::Stable
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Duration = Duration::from_millis(500);

    fn items(each_ms: u64, finished: u64, failed: u64) -> Sample {
        Sample { each: Duration::from_millis(each_ms), finished, failed, waited: Duration::ZERO }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_the_window_is_forgotten() {
        let start = Instant::now();
        let mut window = Window::new(start, SLOT, 10);
        window.record(start, items(500, 100, 0));
        window.record(start + SLOT * 5, items(10, 100, 0));
        let both = window.summary(start + SLOT * 5);
        assert_eq!(both.finished, 200);
        assert!(both.p99_ms > 490.0);
        let newer = window.summary(start + SLOT * 12);
        assert_eq!(newer.finished, 100);
        assert!((newer.p99_ms - 10.0).abs() < 0.2, "{}", newer.p99_ms);
        let none = window.summary(start + SLOT * 5_000);
        assert_eq!(none.finished, 0);
        assert!(none.p50_ms.is_nan());
    }

    #[tokio::test(start_paused = true)]
    async fn rates_are_over_the_time_that_was_watched() {
        let start = Instant::now();
        let mut window = Window::new(start, SLOT, 10);
        window.record(start + SLOT, items(1, 90, 10));
        let young = window.summary(start + SLOT * 2);
        assert!((young.finished_per_second - 90.0).abs() < 1e-6);
        assert!((young.failed_per_second - 10.0).abs() < 1e-6);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trend_needs_a_fifth_and_twenty_samples_in_each_half() {
        let start = Instant::now();
        let trend = |older: (u64, u64), newer: (u64, u64)| {
            let mut window = Window::new(start, SLOT, 10);
            window.record(start, items(older.0, older.1, 0));
            window.record(start + SLOT * 8, items(newer.0, newer.1, 0));
            window.summary(start + SLOT * 8).trend
        };
        assert_eq!(trend((10, 20), (13, 20)), Trend::Rising);
        assert_eq!(trend((10, 20), (7, 20)), Trend::Falling);
        assert_eq!(trend((100, 20), (115, 20)), Trend::Stable);
        assert_eq!(trend((10, 19), (50, 20)), Trend::Stable);
        assert_eq!(trend((10, 20), (50, 19)), Trend::Stable);
    }
}
