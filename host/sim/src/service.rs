use rand::Rng;
use rand_distr::{Distribution, Exp, LogNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long an item takes, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Service {
    /// Always this long.
    Constant(f64),
    /// Exponentially distributed, with this mean.
    Exponential(f64),
    /// Log-normally distributed: most are quick, some take very long.
    LogNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation divided by the mean.
        cv: f64,
    },
}

impl Service {
    /// The mean, in milliseconds.
    pub const fn mean_ms(self) -> f64 {
        match self {
            Self::Constant(mean) | Self::Exponential(mean) | Self::LogNormal { mean, .. } => mean,
        }
    }
}

/// Draws service times. Each draw takes what it takes of its generator, so that a node's times are a stream of their own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clockwork {
    Constant(f64),
    Exponential(f64),
    LogNormal(LogNormal<f64>),
}

impl Clockwork {
    /// None: the figures make no distribution.
    pub(crate) fn new(service: Service) -> Option<Self> {
        let sound = |ms: f64| (ms.is_finite() && ms >= 0.0).then_some(ms);
        match service {
            Service::Constant(ms) => sound(ms).map(Self::Constant),
            Service::Exponential(mean) => sound(mean).map(Self::Exponential),
            Service::LogNormal { mean, cv } => {
                sound(cv)?;
                if sound(mean)? == 0.0 {
                    return Some(Self::Constant(0.0));
                }
                LogNormal::from_mean_cv(mean, cv).ok().map(Self::LogNormal)
            }
        }
    }

    /// Milliseconds.
    pub(crate) fn draw(&self, rng: &mut impl Rng) -> f64 {
        match self {
            Self::Constant(ms) => *ms,
            Self::Exponential(mean) => mean * unit(rng),
            Self::LogNormal(times) => times.sample(rng),
        }
    }
}

/// Exponentially distributed with mean 1.
pub(crate) fn unit(rng: &mut impl Rng) -> f64 {
    Exp::new(1.0).map_or(1.0, |one| one.sample(rng))
}
