//! What readings before an action lead to expect of readings after it.
//!
//! The readings before it are taken for a straight line with normal noise, fitted by least squares. The mean of `m` later
//! readings then lies, with probability 1 − α for each side, within the *prediction interval for the mean of m future
//! observations* of that line:
//!
//! ```text
//! ŷ(x) ± t(1 − α, n − 2) · s · √(1/m + 1/n + (x − x̄)²/Sxx)
//! ```
//!
//! Source: D. C. Montgomery, E. A. Peck, G. G. Vining, *Introduction to Linear Regression Analysis*, "Prediction of new
//! observations". The line is the drift that was there before, so what would have come of itself is not taken for the
//! action's effect; the last term widens the interval the further ahead it looks. α is the chance to call an unchanged
//! signal changed in one direction, where its noise is normal and its readings are independent: readings that rest on the
//! same samples must have been thinned before.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Fewer readings before an action than this lead to expect nothing.
pub(crate) const LEAST_READINGS: usize = 4;

/// A reading: seconds, value.
pub(crate) type Reading = (f64, f64);

/// The line through the readings before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Line {
    readings: f64,
    mean_at: f64,
    pub mean: f64,
    slope: f64,
    spread_at: f64,
    /// Standard deviation of the noise around the line.
    noise: f64,
}

/// Where the mean of later readings is expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Band {
    pub low: f64,
    pub expected: f64,
    pub high: f64,
}

impl Line {
    /// None: too few readings that are numbers, or all at one time.
    pub fn through(readings: &[Reading]) -> Option<Self> {
        let known: Vec<Reading> =
            readings.iter().copied().filter(|(at, value)| at.is_finite() && value.is_finite()).collect();
        if known.len() < LEAST_READINGS {
            return None;
        }
        let count = known.len() as f64;
        let mean_at = known.iter().map(|(at, _)| at).sum::<f64>() / count;
        let mean = known.iter().map(|(_, value)| value).sum::<f64>() / count;
        let spread_at: f64 = known.iter().map(|(at, _)| (at - mean_at).powi(2)).sum();
        let together: f64 = known.iter().map(|(at, value)| (at - mean_at) * (value - mean)).sum();
        if spread_at <= 0.0 {
            return None;
        }
        let slope = together / spread_at;
        let squares: f64 =
            known.iter().map(|(at, value)| (value - mean - slope * (at - mean_at)).powi(2)).sum();
        let noise = (squares / (count - 2.0)).sqrt();
        Some(Self { readings: count, mean_at, mean, slope, spread_at, noise })
    }

    /// What the mean of so many readings around this time is expected to be, each side missed with this probability.
    pub fn band(&self, at: f64, readings: usize, miss: f64) -> Option<Band> {
        let ahead = at - self.mean_at;
        let expected = self.mean + self.slope * ahead;
        let share = 1.0 / readings.max(1) as f64 + 1.0 / self.readings + ahead * ahead / self.spread_at;
        let reach = self.quantile(miss)? * self.noise * share.sqrt();
        Some(Band { low: expected - reach, expected, high: expected + reach })
    }

    /// Which way it was going before, where that is more than its noise.
    pub fn drift(&self, miss: f64) -> f64 {
        let doubt = self.noise / self.spread_at.sqrt();
        match self.quantile(miss) {
            Some(quantile) if self.slope.abs() > quantile * doubt => self.slope,
            _ => 0.0,
        }
    }

    fn quantile(&self, miss: f64) -> Option<f64> {
        let student = StudentsT::new(0.0, 1.0, self.readings - 2.0).ok()?;
        Some(student.inverse_cdf(1.0 - miss))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_band_is_that_of_the_textbook() {
        // y = 2, 4, 5, 4, 5 at x = 1…5: slope 0.6, intercept 2.2, s² = 0.8, Sxx = 10, t(0.975, 3) = 3.182446.
        let line = Line::through(&[(1.0, 2.0), (2.0, 4.0), (3.0, 5.0), (4.0, 4.0), (5.0, 5.0)]).unwrap();
        let band = line.band(6.0, 1, 0.025).unwrap();
        assert!((band.expected - 5.8).abs() < 1e-9, "{band:?}");
        let reach = 3.182_446 * (0.8_f64 * (1.0 + 0.2 + 0.9)).sqrt();
        assert!((band.high - 5.8 - reach).abs() < 1e-4, "{band:?}");
        assert!((5.8 - band.low - reach).abs() < 1e-4, "{band:?}");
    }

    #[test]
    fn what_is_not_a_number_is_no_reading() {
        let readings = [(1.0, 1.0), (2.0, f64::NAN), (3.0, 1.0), (4.0, 1.0)];
        assert_eq!(Line::through(&readings), None);
    }

    #[test]
    fn the_chance_to_miss_is_the_one_that_was_asked_for() {
        // 20,000 series of normal noise by Box and Muller, from a generator that is always the same.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let mut normal = move || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
        let mut over = 0;
        for _ in 0..20_000 {
            let before: Vec<Reading> = (0..6).map(|at| (f64::from(at), 10.0 + normal())).collect();
            let after = (0..3).map(|_| 10.0 + normal()).sum::<f64>() / 3.0;
            let band = Line::through(&before).unwrap().band(8.0, 3, 0.01).unwrap();
            over += u32::from(after > band.high);
        }
        let share = f64::from(over) / 20_000.0;
        assert!((0.007..0.013).contains(&share), "{share}");
    }

    proptest! {
        #[test]
        fn a_line_without_noise_goes_on_as_it_was(level in -1e3..1e3_f64, slope in -10.0..10.0_f64) {
            let before: Vec<Reading> = (0..8).map(|at| (f64::from(at), level + slope * f64::from(at))).collect();
            let band = Line::through(&before).unwrap().band(20.0, 2, 0.001).unwrap();
            prop_assert!((band.expected - level - slope * 20.0).abs() < 1e-6);
            prop_assert!(band.high - band.low < 1e-3);
        }
    }
}
