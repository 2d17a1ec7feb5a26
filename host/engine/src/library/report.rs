//! What a person is told of the library: what runs, what was reloaded, what it cost.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flyball_model::{PluginId, PluginKind, UnixMillis, printable};

use super::generation::Generation;
use crate::{CallStatistics, CallStats, LimitUsage, Stage};

/// As many reloads are remembered.
const MOST_RELOADS: usize = 1_000;

/// As many components' figures are remembered. Each is a histogram of some 20 KB.
const MOST_COMPONENTS: usize = 128;

/// A plugin or a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// By its name.
    Plugin(String),
    /// By its file.
    Policy(String),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plugin(name) => write!(f, "plugin {}", printable(name)),
            Self::Policy(file) => write!(f, "policy {}", printable(file)),
        }
    }
}

/// Something that should serve and does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What.
    pub subject: Subject,
    /// SHA-256 of what should serve; none: its file is gone.
    pub desired: Option<Arc<str>>,
    /// At which stage it failed.
    pub stage: Stage,
    /// Why it does not.
    pub error: String,
}

/// One thing that a reload replaced, brought or took away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadChange {
    /// What.
    pub subject: Subject,
    /// SHA-256 of what served before; none: nothing.
    pub from: Option<Arc<str>>,
    /// SHA-256 of what serves now; none: nothing. The same as before: only what vouches for it changed.
    pub to: Option<Arc<str>>,
    /// Of a plugin, the version that served before.
    pub from_version: Option<Arc<str>>,
    /// Of a plugin, the version that serves now.
    pub to_version: Option<Arc<str>>,
}

impl ReloadChange {
    /// What it is and how it changed, in versions and digests.
    fn words(&self) -> String {
        let one = |version: &Option<Arc<str>>, digest: &Arc<str>| {
            let digest = digest.get(..12).unwrap_or(digest);
            match version {
                Some(version) => format!("{version} ({digest})"),
                None => digest.to_owned(),
            }
        };
        let subject = &self.subject;
        match (&self.from, &self.to) {
            (Some(from), Some(to)) if from == to => {
                format!("{subject} {}: its signature changed", one(&self.to_version, to))
            }
            (Some(from), Some(to)) => {
                format!(
                    "{subject} {} in place of {}",
                    one(&self.to_version, to),
                    one(&self.from_version, from)
                )
            }
            (None, Some(to)) => format!("{subject} {} is new", one(&self.to_version, to)),
            (Some(from), None) => format!("{subject} {} was taken away", one(&self.from_version, from)),
            (None, None) => subject.to_string(),
        }
    }
}

impl std::fmt::Display for ReloadChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words())
    }
}

/// One look for changes that found some.
#[derive(Debug, Clone, PartialEq)]
pub struct Reload {
    /// When it began.
    pub at: UnixMillis,
    /// What serves otherwise since. Empty: nothing, because nothing that changed loads.
    pub changes: Vec<ReloadChange>,
    /// What newly does not load; the last good one of it serves on.
    pub troubles: Vec<Trouble>,
    /// The generation that served before.
    pub from: u64,
    /// The generation that serves since; none: the one before serves on.
    pub generation: Option<u64>,
    /// The sessions whose next tick is judged by that generation. The others' ticks go on by the one that brought their judges.
    pub sessions: Vec<String>,
    /// How long each stage took.
    pub stages: Vec<(Stage, Duration)>,
    /// How long all of it took.
    pub took: Duration,
}

/// How a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PluginState {
    /// What should run runs.
    Running,
    /// What should run does not load; an older version serves on.
    HeldBack,
    /// What should run does not load, and nothing of that name serves.
    Failed,
}

impl PluginState {
    /// In a word or two.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::HeldBack => "held back",
            Self::Failed => "failed",
        }
    }
}

/// Everything there is to say of one plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginStatus {
    /// Its name.
    pub name: String,
    /// Of which kind the running one is.
    pub kind: Option<PluginKind>,
    /// The running one's version.
    pub version: Option<Arc<str>>,
    /// SHA-256 of what should run; none: its file is gone.
    pub desired: Option<Arc<str>>,
    /// SHA-256 of what runs.
    pub running: Option<Arc<str>>,
    /// How it is.
    pub state: PluginState,
    /// At which stage what should run failed.
    pub stage: Option<Stage>,
    /// Why what should run does not.
    pub error: Option<String>,
    /// The sessions in which the running one is not asked at present, and why.
    pub quarantined: Vec<(Arc<str>, String)>,
    /// The most that calls of the running one used of each limit, over all policies.
    pub bills: Vec<LimitUsage>,
    /// The digest that was rolled back and is passed over.
    pub passed_over: Option<Arc<str>>,
    /// Its file; none: it came with the host.
    pub path: Option<PathBuf>,
    /// What the running one's calls cost so far.
    pub figures: CallStatistics,
}

/// What the calls of one component cost.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginUsage {
    /// Which.
    pub id: PluginId,
    /// Of which kind.
    pub kind: PluginKind,
    /// The figures.
    pub figures: CallStatistics,
}

/// What was.
#[derive(Debug, Default)]
pub(super) struct Past {
    reloads: VecDeque<Reload>,
    components: VecDeque<(PluginId, PluginKind, Arc<CallStats>)>,
}

impl Past {
    pub(super) fn reloaded(&mut self, reload: Reload) {
        self.reloads.push_back(reload);
        while self.reloads.len() > MOST_RELOADS {
            self.reloads.pop_front();
        }
    }

    pub(super) fn reloads(&self) -> Vec<Reload> {
        self.reloads.iter().cloned().collect()
    }

    /// The components of a generation come to the end, so that the longest unused are forgotten first.
    pub(super) fn used(&mut self, generation: &Generation) {
        for serving in generation.plugins.values() {
            let plugin = &serving.plugin;
            self.components.retain(|(.., stats)| !Arc::ptr_eq(stats, plugin.stats()));
            self.components.push_back((plugin.id().clone(), plugin.kind(), Arc::clone(plugin.stats())));
        }
        while self.components.len() > MOST_COMPONENTS {
            self.components.pop_front();
        }
    }

    pub(super) fn usage(&self) -> Vec<PluginUsage> {
        self.components
            .iter()
            .map(|(id, kind, stats)| PluginUsage { id: id.clone(), kind: *kind, figures: stats.figures() })
            .collect()
    }
}
