//! Numbers that a node reports of itself, beside the ones that the host measures of every node.
//!
//! A worker sets a name to a number at any time, and the newest number counts until the worker is gone. A node's number is
//! the sum over its workers, as its memory and its processor time are; a ratio is therefore reported as two numbers. All of
//! it comes from outside, so names and their count are bounded, only finite numbers are taken, and no name that the host
//! measures itself can be set.
//!
//! A child's numbers come by the protocol ([`crate::child`]), a component's by the contract's interface `metrics`, a native
//! node's through [`crate::Processor::metrics`].

use std::collections::BTreeMap;
use std::sync::Arc;

use flyball_model::{metric, total};
use parking_lot::Mutex;

/// How many names a worker may set.
pub const MOST_METRICS: usize = 32;

/// The longest name, in bytes.
pub const LONGEST_METRIC: usize = 64;

/// The numbers that one worker reports: a handle, of which each copy is the same.
#[derive(Debug, Clone, Default)]
pub struct CustomMetrics(Arc<Mutex<BTreeMap<Arc<str>, f64>>>);

/// Why a number is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// The name is none.
    #[error(
        "{name:?} is no name for a metric: it takes a small letter and then small letters, digits and dashes, \
         {LONGEST_METRIC} bytes at most"
    )]
    Name {
        /// How it begins.
        name: String,
    },
    /// The host measures that.
    #[error("the host measures {name:?} itself; choose another name")]
    Taken {
        /// The name.
        name: String,
    },
    /// It is infinite or no number.
    #[error("the metric {name:?} is not a finite number")]
    NotFinite {
        /// The name.
        name: String,
    },
    /// There are too many.
    #[error("a node reports {MOST_METRICS} metrics at most, and {name:?} would be one more")]
    TooMany {
        /// The name.
        name: String,
    },
}

/// Whether a node may report a number by this name.
pub fn check_metric_name(name: &str) -> Result<(), MetricError> {
    let mut bytes = name.bytes();
    let fits = bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && name.len() <= LONGEST_METRIC;
    if !fits {
        return Err(MetricError::Name { name: name.chars().take(LONGEST_METRIC).collect() });
    }
    if metric::ALL.contains(&name) || total::ALL.contains(&name) {
        return Err(MetricError::Taken { name: name.to_owned() });
    }
    Ok(())
}

impl CustomMetrics {
    /// Sets a number; it counts until it is set again.
    pub fn set(&self, name: &str, value: f64) -> Result<(), MetricError> {
        check_metric_name(name)?;
        if !value.is_finite() {
            return Err(MetricError::NotFinite { name: name.to_owned() });
        }
        let mut values = self.0.lock();
        if let Some(have) = values.get_mut(name) {
            *have = value;
        } else if values.len() < MOST_METRICS {
            values.insert(name.into(), value);
        } else {
            return Err(MetricError::TooMany { name: name.to_owned() });
        }
        Ok(())
    }

    /// What was set, by name.
    pub fn values(&self) -> Vec<(Arc<str>, f64)> {
        self.0.lock().iter().map(|(name, value)| (Arc::clone(name), *value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_newest_number_counts() {
        let metrics = CustomMetrics::default();
        metrics.set("cache-hits", 1.0).unwrap();
        metrics.set("cache-hits", 2.5).unwrap();
        assert_eq!(metrics.values(), [("cache-hits".into(), 2.5)]);
    }

    #[test]
    fn what_the_host_measures_and_what_is_no_number_or_no_name_is_refused() {
        let metrics = CustomMetrics::default();
        for name in metric::ALL.into_iter().chain(total::ALL) {
            assert_eq!(metrics.set(name, 0.0), Err(MetricError::Taken { name: name.to_owned() }));
        }
        for name in ["", "Hits", "1-hit", "a b", "a\u{1b}[2J", "hit_rate", "é", &"a".repeat(65)] {
            assert!(matches!(metrics.set(name, 0.0), Err(MetricError::Name { .. })), "{name:?}");
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(metrics.set("a", value), Err(MetricError::NotFinite { .. })), "{value}");
        }
        assert!(metrics.values().is_empty());
    }

    #[test]
    fn one_name_too_many_is_refused_and_the_others_still_change() {
        let metrics = CustomMetrics::default();
        for number in 0..MOST_METRICS {
            metrics.set(&format!("m{number}"), 0.0).unwrap();
        }
        assert!(matches!(metrics.set("one-more", 0.0), Err(MetricError::TooMany { .. })));
        metrics.set("m0", 7.0).unwrap();
        assert_eq!(metrics.values().len(), MOST_METRICS);
    }

    proptest! {
        #[test]
        fn whatever_is_set_stays_bounded_and_finite(set in prop::collection::vec((".{0,80}", any::<f64>()), 0..100)) {
            let metrics = CustomMetrics::default();
            for (name, value) in set {
                let _ = metrics.set(&name, value);
            }
            let values = metrics.values();
            prop_assert!(values.len() <= MOST_METRICS);
            prop_assert!(values.iter().all(|(name, value)| value.is_finite() && name.len() <= LONGEST_METRIC));
        }
    }
}
