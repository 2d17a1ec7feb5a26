//! What faults and settings do to a node now.

use std::sync::Arc;

use flyball_model::NodeSpec;

use crate::event_queue::{Nanos, nanos};
use crate::fault::What;
use crate::fault_effect::FaultEffect;
use crate::world::{RateLimit, Work};

/// What faults and settings do to a node now.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    /// Attempts take so many times as long, whatever grows left out.
    slower: f64,
    growing: Vec<Growing>,
    /// Share of attempts that fail.
    pub(crate) errors: f64,
    /// What those say.
    pub(crate) message: Option<Arc<str>>,
    pub(crate) limits: Vec<Bucket>,
    /// Since when nothing is done.
    pub(crate) hung: Option<Nanos>,
    pub(crate) leaks: Vec<Leak>,
}

#[derive(Debug, Clone, Copy)]
struct Growing {
    factor: f64,
    since: Nanos,
    over: Nanos,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Leak {
    mb_per_second: f64,
    since: Nanos,
    pub(crate) killed_at_mb: Option<f64>,
}

/// A token bucket that holds a second's worth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    pub(crate) limit: RateLimit,
    tokens: f64,
    filled: Nanos,
}

impl Bucket {
    fn new(limit: RateLimit, now: Nanos) -> Self {
        Self { limit, tokens: limit.per_second.max(1.0), filled: now }
    }

    /// Whether an attempt is let through.
    pub(crate) fn take(&mut self, now: Nanos) -> bool {
        let size = self.limit.per_second.max(1.0);
        let seconds = now.saturating_sub(self.filled) as f64 / 1e9;
        self.tokens = (self.tokens + seconds * self.limit.per_second).min(size);
        self.filled = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return true;
        }
        if self.limit.counts_refused {
            // Whoever goes on asking waits the longer, at most as long as for a full bucket.
            self.tokens = (self.tokens - 1.0).max(-size);
        }
        false
    }
}

impl Leak {
    fn grown_mb(&self, now: Nanos, crew_since: Nanos) -> f64 {
        self.mb_per_second * now.saturating_sub(self.since.max(crew_since)) as f64 / 1e9
    }

    /// When memory is full, for workers that began then with that much.
    pub(crate) fn full_at(&self, crew_since: Nanos, began_with_mb: f64) -> Option<Nanos> {
        let seconds = (self.killed_at_mb? - began_with_mb).max(0.0) / self.mb_per_second;
        seconds.is_finite().then(|| self.since.max(crew_since).saturating_add(nanos(seconds)))
    }
}

impl Condition {
    pub(crate) fn of(spec: &NodeSpec, work: &Work, strikes: &[FaultEffect], now: Nanos) -> Self {
        let mut condition = Self { slower: 1.0, ..Self::default() };
        condition.limits.extend(work.limit.map(|limit| Bucket::new(limit, now)));
        for setting in &work.settings {
            if spec.config.pointer(&setting.at) == Some(&setting.is) {
                condition.slower *= setting.slower;
                condition.fail(setting.errors, &work.error);
            }
        }
        for strike in strikes {
            if let Some(since) = strike.affects_since(spec) {
                condition.add_fault(&strike.fault.what, since, now, spec);
            }
        }
        condition
    }

    /// What a limit had let through counts on, whatever else changes.
    pub(crate) fn keep_buckets(&mut self, before: &[Bucket]) {
        for (bucket, before) in self.limits.iter_mut().zip(before) {
            if bucket.limit == before.limit {
                *bucket = *before;
            }
        }
    }

    fn add_fault(&mut self, what: &What, since: Nanos, now: Nanos, spec: &NodeSpec) {
        match what {
            What::Slow { factor, over_s: None, .. } => self.slower *= factor,
            What::Slow { factor, over_s: Some(over), .. } => {
                self.growing.push(Growing { factor: *factor, since, over: nanos(*over).max(1) });
            }
            What::Errors { share, message, .. } => self.fail(*share, message),
            What::Hang { .. } => self.hung = self.hung.or(Some(since)),
            What::RateLimit { limit, .. } => self.limits.push(Bucket::new(*limit, now)),
            What::MemoryLeak { mb_per_second, killed_at_mb, .. } => {
                let (mb_per_second, killed_at_mb) = (*mb_per_second, *killed_at_mb);
                self.leaks.push(Leak { mb_per_second, since, killed_at_mb });
            }
            What::Poison { key, value, errors, slower, .. } if spec.config.get(key) == Some(value) => {
                self.slower *= slower;
                self.fail(*errors, &format!("\"{key}\" is {value}, and nothing works with that"));
            }
            _ => {}
        }
    }

    fn fail(&mut self, share: f64, message: &str) {
        if share > 0.0 {
            self.errors = 1.0 - (1.0 - self.errors) * (1.0 - share.clamp(0.0, 1.0));
            self.message = Some(message.into());
        }
    }

    /// So many times as long, for workers that began then.
    pub(crate) fn slower(&self, now: Nanos, crew_since: Nanos) -> f64 {
        let grown = self.growing.iter().map(|growing| {
            let age = now.saturating_sub(growing.since.max(crew_since)) as f64;
            1.0 + (growing.factor - 1.0) * (age / growing.over as f64).min(1.0)
        });
        self.slower * grown.product::<f64>()
    }

    /// What leaked from each worker; none: there is no leak.
    pub(crate) fn leaked_mb(&self, now: Nanos, crew_since: Nanos) -> Option<f64> {
        let leaked: f64 = self.leaks.iter().map(|leak| leak.grown_mb(now, crew_since)).sum();
        (!self.leaks.is_empty()).then_some(leaked)
    }
}
