//! Gaps in which this process itself did not run: it was stopped, its container frozen, the machine suspended.
//!
//! The clock goes on in a gap, and nobody could be heard in it. So silence is counted from its end, and it is no part of the
//! time that an item took. A gap shows in somebody looking at the clock much later than he meant to: the pipeline's pulse
//! looks twice a second, and whoever measures looks too, so that a gap is known before anything is measured over it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Somebody looks at least this often while the process runs and the machine is not out of breath.
const LONGEST_APART: Duration = Duration::from_millis(1_500);

#[derive(Debug)]
pub(crate) struct Awake(Mutex<Seen>);

#[derive(Debug)]
struct Seen {
    last: Instant,
    /// When the newest gap ended, and how long it was.
    gap: Option<(Instant, Duration)>,
}

impl Awake {
    pub(crate) fn new(now: Instant) -> Self {
        Self(Mutex::new(Seen { last: now, gap: None }))
    }

    /// Looks at the clock. The newest gap: when it ended, and how long it was.
    pub(crate) fn look(&self, now: Instant) -> Option<(Instant, Duration)> {
        let mut seen = self.0.lock();
        let apart = now.saturating_duration_since(seen.last);
        if apart > LONGEST_APART {
            seen.gap = Some((now, apart));
        }
        seen.last = seen.last.max(now);
        seen.gap
    }

    /// How long it is since then that somebody could have been heard.
    pub(crate) fn silence(&self, heard: Instant, now: Instant) -> Duration {
        let since = self.look(now).map_or(heard, |(end, _)| heard.max(end));
        now.saturating_duration_since(since)
    }

    /// How long something took, without a gap in it.
    pub(crate) fn took(&self, began: Instant, now: Instant) -> Duration {
        let whole = now.saturating_duration_since(began);
        match self.look(now) {
            Some((end, gap)) if end > began => whole.saturating_sub(gap),
            _ => whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_end_of_a_gap() {
        let began = Instant::now();
        let awake = Awake::new(began);
        assert_eq!(awake.silence(began, began + SECOND), SECOND);
        let resumed = began + 60 * SECOND;
        assert_eq!(awake.silence(began, resumed), Duration::ZERO);
        assert_eq!(awake.silence(began, resumed + SECOND), SECOND);
        assert_eq!(awake.silence(resumed + SECOND, resumed + 2 * SECOND), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_is_no_part_of_what_an_item_took() {
        let began = Instant::now();
        let awake = Awake::new(began);
        awake.look(began + SECOND);
        let took = awake.took(began + SECOND / 2, began + 61 * SECOND);
        assert_eq!(took, SECOND / 2);
        let later = began + 61 * SECOND;
        assert_eq!(awake.took(later, later + SECOND), SECOND);
    }
}
