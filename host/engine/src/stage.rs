//! The stages by which a file becomes a plugin that serves, and how long each took.

use std::time::{Duration, Instant};

use crate::LoadError;

/// A stage of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Finding files, reading them whole and taking their digests.
    Read,
    /// Telling a component from anything else; parsing policies; checking signatures.
    Verify,
    /// Compiling, or taking the compiled form from the cache.
    Compile,
    /// Checking that the component is of a world of this contract, and asking it what it is.
    World,
    /// Linking it with exactly what the policy grants.
    Link,
    /// Checking the settings, by the plugin's schema and by the plugin.
    Settings,
    /// Running the plugin's own golden cases.
    Cases,
    /// Putting everything together: one policy for each session, and the swap.
    Swap,
}

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::Verify,
        Self::Compile,
        Self::World,
        Self::Link,
        Self::Settings,
        Self::Cases,
        Self::Swap,
    ];

    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Verify => "verify",
            Self::Compile => "compile",
            Self::World => "world",
            Self::Link => "link",
            Self::Settings => "settings",
            Self::Cases => "cases",
            Self::Swap => "swap",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl LoadError {
    /// At which stage a plugin fails with it.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Empty | Self::TooLarge { .. } | Self::Truncated { .. } => Stage::Read,
            Self::Older { .. } | Self::NotWasm { .. } | Self::CoreModule | Self::OtherFormat { .. } => {
                Stage::Verify
            }
            Self::Invalid { .. } | Self::TooComplex { .. } | Self::Broke { .. } => Stage::Compile,
            Self::NotGranted { .. } | Self::Grant { .. } | Self::MoreGrants { .. } => Stage::Link,
            Self::Cases { .. } | Self::Case { .. } => Stage::Cases,
            _ => Stage::World,
        }
    }
}

/// Takes the time of each stage.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    stage: Stage,
    since: Instant,
    taken: [Duration; Stage::ALL.len()],
}

impl Stopwatch {
    pub(crate) fn start(stage: Stage) -> Self {
        Self { stage, since: Instant::now(), taken: Default::default() }
    }

    /// From now on it is this stage's time.
    pub(crate) fn at(&mut self, stage: Stage) {
        let now = Instant::now();
        if let Some(taken) = self.taken.get_mut(self.stage as usize) {
            *taken += now - self.since;
        }
        self.stage = stage;
        self.since = now;
    }

    /// How long each stage took.
    pub(crate) fn stop(mut self) -> Vec<(Stage, Duration)> {
        self.at(self.stage);
        Stage::ALL.into_iter().zip(self.taken).collect()
    }
}
