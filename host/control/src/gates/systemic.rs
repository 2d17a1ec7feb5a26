//! Which sessions of a host show the same fault at about the same time. What one session shows costs the same however many others
//! there are: it is asked under one lock by all of them, on each of their ticks.
//!
//! It must uphold that nothing grows without end: a plugin may give each of its findings a code of its own.
//!
//! Called by `fleet`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Codes that are remembered; of more the one goes that was not shown for longest.
const MOST_CODES: usize = 1_024;

/// By code of finding.
#[derive(Debug, Default)]
pub(crate) struct Showings(BTreeMap<String, Showing>);

/// The sessions that show one code.
#[derive(Debug, Default)]
struct Showing {
    /// When each showed it last.
    latest: BTreeMap<Arc<str>, Instant>,
    /// The same, oldest first.
    by_time: BTreeSet<(Instant, Arc<str>)>,
    /// The longest time that anybody has looked back so far. Who looks back further for the first time, as a policy has changed,
    /// finds from then on what is that old.
    window: Duration,
}

impl Showings {
    /// A session shows this code now. How many have within this time, itself included.
    pub(crate) fn show(&mut self, session: &Arc<str>, code: &str, window: Duration, now: Instant) -> usize {
        let showing = match self.0.get_mut(code) {
            Some(showing) => showing,
            None => {
                if self.0.len() >= MOST_CODES {
                    self.forget_one();
                }
                self.0.entry(code.to_owned()).or_default()
            }
        };
        showing.show(session, window, now)
    }

    fn forget_one(&mut self) {
        let newest = |showing: &Showing| showing.by_time.last().map(|(at, _)| *at);
        let oldest = self.0.iter().min_by_key(|(_, showing)| newest(showing)).map(|(code, _)| code.clone());
        if let Some(code) = oldest {
            self.0.remove(&code);
        }
    }
}

impl Showing {
    fn show(&mut self, session: &Arc<str>, window: Duration, now: Instant) -> usize {
        self.window = self.window.max(window);
        if let Some(before) = self.latest.insert(Arc::clone(session), now) {
            self.by_time.remove(&(before, Arc::clone(session)));
        }
        self.by_time.insert((now, Arc::clone(session)));
        while let Some((at, _)) = self.by_time.first()
            && now.duration_since(*at) >= self.window
            && let Some((_, gone)) = self.by_time.pop_first()
        {
            self.latest.remove(&gone);
        }
        if window == self.window {
            return self.latest.len();
        }
        // Policies that look back for different times are few, and so is what is newer than that.
        self.by_time.iter().rev().take_while(|(at, _)| now.duration_since(*at) < window).count()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test")]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Each step: who shows the fault, after how many milliseconds, looking back how far.
        #[test]
        fn as_many_are_counted_as_showed_it_within_the_time(
            steps in prop::collection::vec((0_usize..6, 0_u64..40, prop::sample::select(vec![50_u64, 100])), 1..80),
        ) {
            let names: Vec<Arc<str>> = ["a", "b", "c", "d", "e", "f"].map(Arc::from).into();
            let (mut showings, mut now) = (Showings::default(), Instant::now());
            let mut last = BTreeMap::new();
            showings.show(&names[0], "slow", Duration::from_millis(100), now);
            now += Duration::from_secs(1);
            for (who, after, window) in steps {
                now += Duration::from_millis(after);
                let window = Duration::from_millis(window);
                last.insert(who, now);
                let within = last.values().filter(|at| now.duration_since(**at) < window).count();
                prop_assert_eq!(showings.show(&names[who], "slow", window, now), within);
            }
        }
    }

    #[test]
    fn codes_without_end_are_not_remembered_without_end() {
        let (mut showings, session, mut now) = (Showings::default(), Arc::from("s"), Instant::now());
        let window = Duration::from_secs(60);
        for number in 0..3 * MOST_CODES {
            now += Duration::from_millis(1);
            assert_eq!(showings.show(&session, &format!("code-{number}"), window, now), 1);
            assert_eq!(showings.show(&session, "lasting", window, now), 1);
        }
        assert_eq!(showings.0.len(), MOST_CODES);
        assert!(showings.0.contains_key("lasting"), "what is shown goes last");
    }
}
