use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::BreakerLimits;

/// Leaves a provider alone that fails in a row, then lets one question through to see.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Until then nothing passes; after it one does.
    closed_again: Option<Instant>,
    seeing: bool,
}

/// One question on its way. Dropped without a word it is as if it had never been sent.
#[derive(Debug)]
pub(crate) struct Passage<'a> {
    breaker: &'a Breaker,
    limits: BreakerLimits,
    to_see: bool,
}

impl Breaker {
    /// How long nothing passes; none: something does.
    pub(crate) fn shut_for(&self) -> Option<Duration> {
        self.0.lock().shut_for()
    }

    pub(crate) fn enter(&self, limits: BreakerLimits) -> Result<Passage<'_>, Duration> {
        let mut state = self.0.lock();
        match state.shut_for() {
            Some(left) => Err(left),
            None => {
                let to_see = state.closed_again.is_some();
                state.seeing = to_see;
                Ok(Passage { breaker: self, limits, to_see })
            }
        }
    }
}

impl State {
    /// One that goes to see keeps the others back, for as long as it takes; nobody knows how long that is.
    fn shut_for(&self) -> Option<Duration> {
        let left = self.closed_again?.saturating_duration_since(Instant::now());
        (self.seeing || !left.is_zero()).then_some(left)
    }
}

impl Passage<'_> {
    /// The provider answered.
    pub(crate) fn good(self) {
        *self.breaker.0.lock() = State::default();
    }

    /// The provider failed.
    pub(crate) fn bad(self) {
        let mut state = self.breaker.0.lock();
        state.failures = state.failures.saturating_add(1);
        if self.to_see || state.failures >= self.limits.failures {
            state.closed_again = Instant::now().checked_add(Duration::from_millis(self.limits.pause_ms));
        }
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if self.to_see {
            self.breaker.0.lock().seeing = false;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    const LIMITS: BreakerLimits = BreakerLimits { failures: 3, pause_ms: 1_000 };

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.enter(LIMITS).unwrap().bad();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_lets_one_through_after_a_pause() {
        let breaker = Breaker::default();
        fail(&breaker, 2);
        breaker.enter(LIMITS).unwrap().good();
        fail(&breaker, 3);
        assert_eq!(breaker.enter(LIMITS).unwrap_err(), Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        let seeing = breaker.enter(LIMITS).unwrap();
        assert!(breaker.enter(LIMITS).is_err(), "one is enough to see");
        seeing.bad();
        assert_eq!(breaker.shut_for(), Some(Duration::from_secs(1)), "one failure more is enough");
        tokio::time::advance(Duration::from_secs(1)).await;
        breaker.enter(LIMITS).unwrap().good();
        fail(&breaker, 2);
        assert_eq!(breaker.shut_for(), None, "it counts from the start again");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_went_to_see_and_was_given_up_lets_the_next_one_see() {
        let breaker = Breaker::default();
        fail(&breaker, 3);
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(breaker.enter(LIMITS).unwrap());
        breaker.enter(LIMITS).unwrap().good();
        assert_eq!(breaker.shut_for(), None);
    }
}
