//! How one use of a plugin fares: what its calls used at most, beside their limits, and whether it is asked at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_model::{Cost, Limits};
use parking_lot::Mutex;

use crate::CallError;

/// Failures in a row after which a plugin is not asked for a while.
const FAILURES: u32 = 5;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A call of more instructions, some milliseconds' worth, would hold up what else its thread has to do. Time itself would tell
/// how busy the machine is as well.
const QUICK_FUEL: u64 = 4_000_000;

/// A share of a limit that is worth a warning.
const NEAR: f64 = 0.8;

/// One of a call's limits, and the most that a call used of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimitUsage {
    /// Its name in a policy, under `limits`: `memory_mb`.
    pub name: &'static str,
    /// In the limit's unit.
    pub peak: f64,
    /// The limit.
    pub limit: f64,
}

impl LimitUsage {
    /// From 0 to 1, nearly: what ends a call may lie a little over.
    pub fn share(&self) -> f64 {
        self.peak / self.limit
    }

    /// Whether a limit is so near that one should raise it or see what is wrong.
    pub fn near(&self) -> bool {
        self.share() >= NEAR
    }
}

/// Of one use of a plugin. Whether it is asked is each session's own: what one session's telemetry makes of a plugin
/// must not take it from the others.
#[derive(Debug, Default)]
pub(crate) struct Health {
    sum: Mutex<Sum>,
    failing: Mutex<HashMap<Arc<str>, Failing>>,
}

/// What its calls so far say of a plugin's pace.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// It was not called yet.
    #[default]
    Unknown,
    /// Every call was quick.
    Quick,
    /// Some call was not; the next may not be either.
    Slow,
}

#[derive(Debug, Default)]
struct Sum {
    most: Cost,
    pace: Pace,
    warned: bool,
}

/// What happens to a plugin that fails in one session.
#[derive(Debug, Default)]
struct Failing {
    failures: u32,
    pauses: u32,
    until: Option<Instant>,
    last: String,
}

impl Health {
    /// Whether the plugin may be asked now for a session. After a pause one call is let through; the others wait for
    /// its end.
    pub(crate) fn admit(&self, session: &str, now: Instant) -> Result<(), CallError> {
        let mut failing = self.failing.lock();
        let Some(state) = failing.get_mut(session) else { return Ok(()) };
        let Some(until) = state.until else { return Ok(()) };
        if now >= until {
            state.until = Some(now + FIRST_PAUSE);
            return Ok(());
        }
        Err(state.quarantined(until.saturating_duration_since(now)))
    }

    /// What a call came to.
    pub(crate) fn called(
        &self,
        (plugin, session): (&str, &Arc<str>),
        cost: &Cost,
        limits: Limits,
        failed: Option<&CallError>,
    ) {
        self.bill(plugin, cost, limits);
        let mut failing = self.failing.lock();
        match failed {
            None => {
                if failing.remove(session).is_some_and(|state| state.until.is_some()) {
                    tracing::info!(plugin, %session, "a plugin answers again");
                }
            }
            // A host that has no room is no fault of the plugin.
            Some(CallError::Busy { .. }) => {}
            Some(error) => failing.entry(Arc::clone(session)).or_default().failed(plugin, session, error),
        }
    }

    fn bill(&self, plugin: &str, cost: &Cost, limits: Limits) {
        let mut sum = self.sum.lock();
        sum.most = most(sum.most, *cost);
        let quick = cost.fuel <= QUICK_FUEL;
        sum.pace = if quick && sum.pace != Pace::Slow { Pace::Quick } else { Pace::Slow };
        if !sum.warned
            && let Some(LimitUsage { name: limit, peak: most, limit: of }) =
                bills(&sum.most, limits).into_iter().find(LimitUsage::near)
        {
            sum.warned = true;
            tracing::warn!(plugin, limit, most, of, "a plugin is near a limit");
        }
    }

    /// Whether it was called, and every call was over soon.
    pub(crate) fn is_quick(&self) -> bool {
        self.sum.lock().pace == Pace::Quick
    }

    /// In which sessions the plugin is not asked at present, and why.
    pub(crate) fn quarantine(&self, now: Instant) -> Vec<(Arc<str>, String)> {
        let failing = self.failing.lock();
        let quarantined = |(session, state): (&Arc<str>, &Failing)| {
            let left = state.until?.saturating_duration_since(now);
            Some((Arc::clone(session), state.quarantined(left).to_string()))
        };
        let mut quarantined: Vec<_> = failing.iter().filter_map(quarantined).collect();
        quarantined.sort_unstable();
        quarantined
    }

    /// What its calls used at most, beside each limit.
    pub(crate) fn bills(&self, limits: Limits) -> Vec<LimitUsage> {
        bills(&self.sum.lock().most, limits)
    }
}

impl Failing {
    fn failed(&mut self, plugin: &str, session: &str, error: &CallError) {
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES {
            return;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.pauses.min(16)).min(LONGEST_PAUSE);
        self.pauses = self.pauses.saturating_add(1);
        self.last = error.to_string();
        self.until = Some(Instant::now() + pause);
        tracing::warn!(plugin, session, %error, failures = self.failures, ?pause, "a plugin is in quarantine");
    }

    fn quarantined(&self, left: Duration) -> CallError {
        let seconds = left.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX);
        CallError::Quarantined { failures: self.failures, seconds, last: self.last.clone() }
    }
}

fn most(one: Cost, other: Cost) -> Cost {
    Cost {
        wall_ns: one.wall_ns.max(other.wall_ns),
        memory_bytes: one.memory_bytes.max(other.memory_bytes),
        host_calls: one.host_calls.max(other.host_calls),
        host_bytes: one.host_bytes.max(other.host_bytes),
        log_bytes: one.log_bytes.max(other.log_bytes),
        fuel: one.fuel.max(other.fuel),
        llm: one.llm,
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people and for shares")]
fn bills(most: &Cost, limits: Limits) -> Vec<LimitUsage> {
    let bill = |limit, most: u64, unit: f64, of: u64| LimitUsage {
        name: limit,
        peak: most as f64 / unit,
        limit: of as f64,
    };
    let mut bills = vec![
        bill("time_ms", most.wall_ns, 1e6, limits.time_ms),
        bill("memory_mb", most.memory_bytes, 1_048_576.0, limits.memory_mb),
        bill("host_calls", most.host_calls, 1.0, limits.host_calls),
        bill("host_kb", most.host_bytes, 1024.0, limits.host_kb),
        bill("log_kb", most.log_bytes, 1024.0, limits.log_kb),
    ];
    bills.extend(limits.fuel.map(|fuel| bill("fuel", most.fuel, 1.0, fuel)));
    bills
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(health: &Health) {
        let error = CallError::StackOverflow;
        health.called(("p", &"s".into()), &Cost::default(), Limits::default(), Some(&error));
    }

    #[test]
    fn a_plugin_that_fails_five_times_in_a_row_is_not_asked_for_a_while() {
        let health = Health::default();
        for _ in 0..4 {
            failing(&health);
        }
        assert_eq!(health.admit("s", Instant::now()), Ok(()));
        health.called(("p", &"s".into()), &Cost::default(), Limits::default(), None);
        for _ in 0..5 {
            assert_eq!(health.admit("s", Instant::now()), Ok(()));
            failing(&health);
        }
        let Err(error) = health.admit("s", Instant::now()) else { unreachable!("it is asked") };
        let said = error.to_string();
        assert!(said.contains("5 failures in a row") && said.contains("too deep"), "{said}");
    }

    #[test]
    fn after_a_pause_one_call_is_let_through_and_a_failure_doubles_the_pause() {
        let health = Health::default();
        (0..5).for_each(|_| failing(&health));
        let later = Instant::now() + FIRST_PAUSE;
        assert_eq!(health.admit("s", later), Ok(()));
        assert!(health.admit("s", later).is_err(), "a second call does not follow on its heels");
        failing(&health);
        assert!(health.admit("s", Instant::now() + Duration::from_millis(1_900)).is_err());
        assert_eq!(health.admit("s", Instant::now() + Duration::from_secs(2)), Ok(()));
    }

    #[test]
    fn a_plugin_is_quick_until_one_call_was_not() {
        let health = Health::default();
        let called = |fuel| {
            health.called(("p", &"s".into()), &Cost { fuel, ..Cost::default() }, Limits::default(), None);
            health.is_quick()
        };
        assert!(!health.is_quick(), "nobody knows before the first call");
        assert!(called(10_000));
        assert!(!called(5_000_000));
        assert!(!called(10_000));
    }

    #[test]
    fn an_answer_ends_the_quarantine() {
        let health = Health::default();
        (0..5).for_each(|_| failing(&health));
        assert_eq!(health.quarantine(Instant::now()).len(), 1);
        assert_eq!(health.admit("other", Instant::now()), Ok(()), "other sessions go on");
        health.called(("p", &"s".into()), &Cost::default(), Limits::default(), None);
        assert!(health.quarantine(Instant::now()).is_empty());
        assert_eq!(health.admit("s", Instant::now()), Ok(()));
    }

    #[test]
    fn what_was_used_at_most_stands_beside_its_limit() {
        let health = Health::default();
        let cost = Cost { memory_bytes: 15 << 20, wall_ns: 1_000_000, ..Cost::default() };
        health.called(("p", &"s".into()), &cost, Limits::default(), None);
        health.called(("p", &"s".into()), &Cost::default(), Limits::default(), None);
        let near: Vec<LimitUsage> =
            health.bills(Limits::default()).into_iter().filter(LimitUsage::near).collect();
        assert_eq!(near, vec![LimitUsage { name: "memory_mb", peak: 15.0, limit: 16.0 }]);
    }
}
