//! What comes in at a source.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What comes in at a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Items a second, over time. Everything but a constant is held for a tenth of a second at a time.
    pub rate: Rate,
    /// How the items of a second lie in it.
    #[serde(default)]
    pub spacing: Spacing,
    /// What happens to items that come while the queues behind the source are full.
    #[serde(default)]
    pub when_full: WhenFull,
}

impl Default for Load {
    fn default() -> Self {
        Self { rate: Rate::Constant(10.0), spacing: Spacing::default(), when_full: WhenFull::default() }
    }
}

/// Items a second, over time; seconds since the simulation began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Rate {
    /// Always the same.
    Constant(f64),
    /// From one rate to another.
    Ramp {
        /// Until it begins.
        from: f64,
        /// When it has ended.
        to: f64,
        /// When it begins, in seconds.
        #[serde(default)]
        at_s: f64,
        /// How long it lasts, in seconds.
        over_s: f64,
    },
    /// Up and down like day and night.
    Wave {
        /// The mean.
        mean: f64,
        /// How far it goes above and below; below nothing there is nothing.
        amplitude: f64,
        /// From crest to crest, in seconds: 86400 for a day.
        period_s: f64,
        /// The time of the first crest, in seconds.
        #[serde(default)]
        crest_s: f64,
    },
    /// Mostly the same.
    Spikes {
        /// Between the spikes.
        base: f64,
        /// Where several lie over each other, the highest counts.
        spikes: Vec<Spike>,
    },
    /// Pairs of seconds and rate, with straight lines between; before the first and after the last it stays as it is.
    Table(Vec<(f64, f64)>),
}

/// A while with another rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spike {
    /// When it begins, in seconds.
    pub at_s: f64,
    /// How long it lasts, in seconds.
    pub for_s: f64,
    /// Items a second.
    pub rate: f64,
}

/// How items lie in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Spacing {
    /// Each comes for itself: times between them are exponentially distributed.
    #[default]
    Poisson,
    /// At equal distances.
    Even,
}

/// What happens to items that cannot be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// They wait outside, as in a file or a log, and are taken in as soon as there is room.
    #[default]
    Wait,
    /// They are turned away, never accepted.
    TurnAway,
}

impl Rate {
    /// Items a second at this time.
    pub fn at(&self, seconds: f64) -> f64 {
        let rate = match self {
            Self::Constant(rate) => *rate,
            Self::Ramp { from, to, at_s, over_s } => {
                let share =
                    if *over_s > 0.0 { (seconds - at_s) / over_s } else { f64::from(seconds >= *at_s) };
                from + (to - from) * share.clamp(0.0, 1.0)
            }
            Self::Wave { mean, amplitude, period_s, crest_s } => {
                mean + amplitude * (std::f64::consts::TAU * (seconds - crest_s) / period_s).cos()
            }
            Self::Spikes { base, spikes } => spikes
                .iter()
                .filter(|spike| (spike.at_s..spike.at_s + spike.for_s).contains(&seconds))
                .map(|spike| spike.rate)
                .max_by(f64::total_cmp)
                .unwrap_or(*base),
            Self::Table(points) => between(points, seconds),
        };
        if rate.is_finite() { rate.max(0.0) } else { 0.0 }
    }

    /// Whether it changes with time.
    pub(crate) const fn varies(&self) -> bool {
        !matches!(self, Self::Constant(_))
    }

    /// What is wrong with its numbers.
    pub(crate) fn unsound(&self) -> Option<&'static str> {
        let sound = |number: &f64| number.is_finite() && *number >= 0.0;
        match self {
            Self::Constant(rate) if !sound(rate) => Some("a rate must not be negative"),
            Self::Ramp { from, to, at_s, over_s } if ![from, to, at_s, over_s].into_iter().all(sound) => {
                Some("a ramp's numbers must not be negative")
            }
            Self::Wave { period_s, .. } if !(sound(period_s) && *period_s > 0.0) => {
                Some("a wave's period must be more than 0")
            }
            Self::Table(points) if points.is_empty() => Some("a table needs at least one pair"),
            Self::Table(points) if !points.is_sorted_by(|(before, _), (after, _)| before < after) => {
                Some("a table's times must rise")
            }
            _ => None,
        }
    }
}

fn between(points: &[(f64, f64)], seconds: f64) -> f64 {
    let next = points.iter().position(|(time, _)| *time > seconds);
    let before = next.map_or(points.last(), |next| next.checked_sub(1).and_then(|last| points.get(last)));
    let after = next.and_then(|next| points.get(next));
    match (before, after) {
        (Some((from, low)), Some((to, high))) => low + (high - low) * (seconds - from) / (to - from),
        (Some((_, rate)), None) | (None, Some((_, rate))) => *rate,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_joined_by_straight_lines_and_stays_at_its_ends() {
        let table = Rate::Table(vec![(10.0, 5.0), (20.0, 15.0)]);
        assert_eq!([0.0, 10.0, 15.0, 20.0, 99.0].map(|time| table.at(time)), [5.0, 5.0, 10.0, 15.0, 15.0]);
    }

    #[test]
    fn a_ramp_a_wave_and_spikes_are_where_they_say() {
        let ramp = Rate::Ramp { from: 10.0, to: 30.0, at_s: 5.0, over_s: 10.0 };
        assert_eq!([0.0, 5.0, 10.0, 15.0, 50.0].map(|time| ramp.at(time)), [10.0, 10.0, 20.0, 30.0, 30.0]);
        let wave = Rate::Wave { mean: 10.0, amplitude: 20.0, period_s: 100.0, crest_s: 25.0 };
        assert!((wave.at(25.0) - 30.0).abs() < 1e-9);
        assert_eq!(wave.at(75.0), 0.0, "never below nothing");
        let spikes = Rate::Spikes { base: 1.0, spikes: vec![Spike { at_s: 5.0, for_s: 2.0, rate: 50.0 }] };
        assert_eq!([4.9, 5.0, 6.9, 7.0].map(|time| spikes.at(time)), [1.0, 50.0, 50.0, 1.0]);
    }
}
