use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// Longer calls count as this long.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// What the calls of one component cost, over all sessions and policies that use it.
#[derive(Debug)]
pub struct CallStats {
    errors: AtomicU64,
    wall: Mutex<Option<Histogram<u64>>>,
}

/// The figures of some component's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallStatistics {
    /// How many there were.
    pub calls: u64,
    /// How many of them failed.
    pub errors: u64,
    /// Median wall time.
    pub p50: Duration,
    /// 99th percentile of the wall time.
    pub p99: Duration,
}

impl CallStats {
    pub(crate) fn new() -> Self {
        // Two significant digits are enough for a person and cost a few KiB.
        Self {
            errors: AtomicU64::new(0),
            wall: Mutex::new(Histogram::new_with_bounds(1, LONGEST_NS, 2).ok()),
        }
    }

    pub(crate) fn record(&self, wall_ns: u64, failed: bool) {
        if failed {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(wall) = self.wall.lock().as_mut() {
            wall.saturating_record(wall_ns.max(1));
        }
    }

    /// What there is to say of them so far.
    pub fn figures(&self) -> CallStatistics {
        let errors = self.errors.load(Ordering::Relaxed);
        let wall = self.wall.lock();
        let at = |quantile| wall.as_ref().map_or(0, |wall| wall.value_at_quantile(quantile));
        CallStatistics {
            calls: wall.as_ref().map_or(0, Histogram::len),
            errors,
            p50: Duration::from_nanos(at(0.5)),
            p99: Duration::from_nanos(at(0.99)),
        }
    }
}
