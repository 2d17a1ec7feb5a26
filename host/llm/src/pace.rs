use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::LlmLimits;
use crate::error::{Fault, Kind};

const MINUTE: Duration = Duration::from_secs(60);

/// How many questions a provider has at once, and had in the last minute. Each grant holds the sum to limits of its
/// own.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    at_once: watch::Sender<u32>,
    sent: Mutex<VecDeque<Instant>>,
}

/// One question's turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Pace);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.at_once.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Pace {
    /// Waits for a turn, if there is one before `ends`.
    pub(crate) async fn turn(&self, limits: &LlmLimits, ends: Instant) -> Result<Turn<'_>, Fault> {
        let turn = timeout_at(ends, self.place(limits.at_once)).await.map_err(|_| {
            let cause = format!("{} questions are under way, and none ended in time", limits.at_once);
            Fault::new(Kind::Busy, cause)
        })?;
        while let Err(when) = self.count(limits.per_minute) {
            if when >= ends {
                let cause = format!("{} questions were sent in the last minute", limits.per_minute);
                let after = when.saturating_duration_since(Instant::now());
                return Err(Fault::new(Kind::Busy, cause).after(Some(after)));
            }
            sleep_until(when).await;
        }
        Ok(turn)
    }

    async fn place(&self, most: u32) -> Turn<'_> {
        let mut count = self.at_once.subscribe();
        loop {
            let taken = self.at_once.send_if_modified(|count| {
                let free = *count < most;
                if free {
                    *count += 1;
                }
                free
            });
            if taken {
                return Turn(self);
            }
            // The sender is ours, so it is not gone.
            let _ = count.wait_for(|count| *count < most).await;
        }
    }

    /// Counts one, or says when it may be.
    fn count(&self, per_minute: u32) -> Result<(), Instant> {
        let mut sent = self.sent.lock();
        let now = Instant::now();
        while sent.front().is_some_and(|first| now.duration_since(*first) >= MINUTE) {
            sent.pop_front();
        }
        let most = usize::try_from(per_minute).unwrap_or(usize::MAX);
        match sent.len().checked_sub(most).and_then(|beyond| sent.get(beyond)) {
            Some(leaves) => Err(*leaves + MINUTE),
            None => {
                sent.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn limits(at_once: u32, per_minute: u32) -> LlmLimits {
        LlmLimits { at_once, per_minute, ..LlmLimits::default() }
    }

    fn within(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_waits_until_another_ends() {
        let pace = Pace::default();
        let limits = limits(2, 100);
        let first = pace.turn(&limits, within(1)).await.unwrap();
        let _second = pace.turn(&limits, within(1)).await.unwrap();
        assert_eq!(pace.turn(&limits, within(1)).await.unwrap_err().kind, Kind::Busy);
        let ends = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            drop(first);
        };
        let begun = Instant::now();
        let (third, ()) = tokio::join!(pace.turn(&limits, within(10)), ends);
        assert!(third.is_ok());
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_waits_for_the_minute_if_there_is_time() {
        let pace = Pace::default();
        let limits = limits(9, 2);
        for _ in 0..2 {
            pace.turn(&limits, within(1)).await.unwrap();
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        let begun = Instant::now();
        let fault = pace.turn(&limits, within(30)).await.unwrap_err();
        assert_eq!((fault.kind, fault.after), (Kind::Busy, Some(Duration::from_secs(40))));
        assert_eq!(begun.elapsed(), Duration::ZERO, "it is told at once");
        pace.turn(&limits, within(60)).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(40));
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_is_given_up_is_the_next_ones() {
        let pace = Pace::default();
        let limits = limits(1, 100);
        drop(pace.turn(&limits, within(1)).await.unwrap());
        let held = pace.turn(&limits, within(1)).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(5), pace.turn(&limits, within(9))).await;
        assert!(waiting.is_err());
        drop(held);
        pace.turn(&limits, within(1)).await.unwrap();
    }
}
