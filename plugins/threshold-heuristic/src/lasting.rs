//! How long something has been so without a break, by the times of the observations before this one.

use core::cell::OnceCell;

use flyball_plugin::prelude::*;

/// The window, and how much of it is long enough.
pub(crate) struct Lasting<'a> {
    now: &'a Observation<'a>,
    pub(crate) window: &'a Window<'a>,
    limit_ms: f64,
    needed: OnceCell<Option<u32>>,
}

/// How long something has been so.
pub(crate) struct Lasted {
    pub(crate) ms: f64,
    pub(crate) long_enough: bool,
}

impl<'a> Lasting<'a> {
    pub(crate) fn new(now: &'a Observation, window: &'a Window, limit_ms: f64) -> Self {
        Self { now, window, limit_ms, needed: OnceCell::new() }
    }

    /// Of what is so now, and was so at each of the last ticks as this tells, oldest first.
    pub(crate) fn lasted(&self, was: impl FnOnce(u32) -> Vec<bool>) -> Lasted {
        let on_end =
            was(self.counting()).into_iter().rev().take_while(|so| *so).fold(0, |count, _| count + 1);
        self.since_tick(Some(on_end))
    }

    /// How long ago a node got slower whose latency has not fallen since. It rises in the window for no longer than the
    /// window is, although the node stays as slow as it has become.
    pub(crate) fn since_it_rose(&self, node: &str, now: Trend) -> Lasted {
        let before = self.window.trend_series(node, self.counting());
        let newest_first = [now].into_iter().chain(before.into_iter().rev());
        let not_fallen = newest_first.take_while(|trend| *trend != Trend::Falling);
        let rose = not_fallen.zip(0..).filter(|(trend, _)| *trend == Trend::Rising).last();
        self.since_tick(rose.map(|(_, ticks_ago)| ticks_ago))
    }

    fn since_tick(&self, ticks_ago: Option<u32>) -> Lasted {
        Lasted {
            ms: ticks_ago.map_or(0.0, |ticks_ago| self.since(ticks_ago)),
            long_enough: ticks_ago.is_some() && ticks_ago == self.enough(),
        }
    }

    fn enough(&self) -> Option<u32> {
        *self.needed.get_or_init(|| self.needed())
    }

    /// The ticks that count: those that it takes, or all that there are.
    pub(crate) fn counting(&self) -> u32 {
        self.enough().unwrap_or_else(|| self.kept())
    }

    fn kept(&self) -> u32 {
        u32::try_from(self.window.len()).unwrap_or(u32::MAX)
    }

    /// How many ticks back it is long enough ago; none: the window does not reach so far back yet. One that never will
    /// is asked for all that it has.
    fn needed(&self) -> Option<u32> {
        if !(self.limit_ms > 0.0) {
            return Some(0);
        }
        let kept = self.kept();
        if !(self.since(kept) > self.limit_ms) {
            let cut_off = self.now.tick() > u64::from(kept) + 1;
            return cut_off.then_some(kept);
        }
        let (mut short, mut long) = (0, kept);
        while long - short > 1 {
            let between = short + (long - short) / 2;
            if self.since(between) > self.limit_ms { long = between } else { short = between }
        }
        Some(long)
    }

    /// Milliseconds since so many ticks ago.
    fn since(&self, ticks_ago: u32) -> f64 {
        let then = self.window.at(ticks_ago).map_or(self.now.taken_at(), |seen| seen.taken_at());
        self.now.taken_at().saturating_sub(then) as f64
    }
}
