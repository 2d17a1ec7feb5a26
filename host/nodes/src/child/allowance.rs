//! Time that a child is given, counted only while the host itself runs.
//!
//! When the host is stopped (SIGSTOP, a frozen container, a suspended machine) the monotonic clock goes on. A child may
//! have answered meanwhile, or have been stopped as well; either way it must not be blamed for the host's gap. The host's
//! gap shows in its own timer, which fires that much late. A host that is starved has many small gaps, which are not
//! counted either.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How often the time is counted.
const STEP: Duration = Duration::from_millis(100);

/// No step counts for more: what its timer is later than that, the host did not run.
const LONGEST_STEP: Duration = Duration::from_millis(200);

/// A timer that is later than this: the host did not run for so long that what waited meanwhile is to be read first.
const LATE: Duration = Duration::from_secs(1);

/// What is left at least after a gap, for what waited meanwhile to be read.
const AFTER_A_GAP: Duration = Duration::from_millis(500);

/// What is left of the time that somebody is given.
#[derive(Debug)]
pub(super) struct Allowance {
    left: Duration,
    counted: Instant,
}

impl Allowance {
    pub(super) fn new(whole: Duration) -> Self {
        Self { left: whole, counted: Instant::now() }
    }

    /// At most this much, from now on.
    pub(super) fn at_most(&mut self, much: Duration) {
        self.left = self.left.min(much);
    }

    /// Until it is used up. Safe to cancel and to begin again.
    pub(super) async fn used_up(&mut self) {
        while !self.left.is_zero() {
            let due = self.counted + STEP.min(self.left);
            sleep_until(due).await;
            let now = Instant::now();
            if now.saturating_duration_since(due) > LATE {
                self.left = self.left.max(AFTER_A_GAP);
            } else {
                let step = now.saturating_duration_since(self.counted).min(LONGEST_STEP);
                self.left = self.left.saturating_sub(step);
            }
            self.counted = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_used_up_in_its_time_however_often_the_waiting_begins_anew() {
        let began = Instant::now();
        let mut allowance = Allowance::new(Duration::from_secs(3));
        while timeout(Duration::from_millis(30), allowance.used_up()).await.is_err() {}
        let took = began.elapsed();
        assert!((2_900..3_200).contains(&took.as_millis()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_runs_one_part_in_five_counts_what_it_runs() {
        let began = Instant::now();
        let mut allowance = Allowance::new(Duration::from_secs(3));
        while timeout(Duration::from_millis(1), allowance.used_up()).await.is_err() {
            advance(Duration::from_millis(900)).await;
        }
        assert!(began.elapsed() > Duration::from_secs(12), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_of_the_host_is_not_counted() {
        let mut allowance = Allowance::new(Duration::from_secs(3));
        assert!(timeout(Duration::from_secs(1), allowance.used_up()).await.is_err());
        advance(Duration::from_secs(60)).await;
        let after = Instant::now();
        allowance.used_up().await;
        assert!(after.elapsed() > Duration::from_millis(1_800), "{:?}", after.elapsed());
    }
}
