use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Cost, Decision, PluginId};

/// What one decider of a policy said to a question, whether it was followed, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeciderAnswer {
    /// Who.
    pub by: PluginId,
    /// What its policy calls it, where that is not the plugin's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
    /// In which group, the innermost one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// It is asked beside, and never followed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// The tick whose findings it was asked about. It may have answered on a later one: a followed decider's answer stands
    /// with the tick on which its decision landed, a shadow's with the first tick after it came.
    pub tick: u64,
    /// What came of asking it.
    pub said: DeciderSaid,
    /// What it wants, where it has decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// Whether what it wants was taken to the guards.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub followed: bool,
    /// Why it was followed or not, or why it has no decision.
    pub why: String,
    /// From the question to the answer, in nanoseconds.
    pub took_ns: u64,
    /// What it cost. Of a question that was given up nothing is known.
    #[serde(default)]
    pub cost: Cost,
}

/// What came of asking a decider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeciderSaid {
    /// It wants an action; doing nothing is one.
    Decision,
    /// It leaves it to the next.
    Abstains,
    /// It failed.
    Failed,
    /// It had not answered when its time was over, and was asked no more.
    Late,
    /// It had not answered when the others had settled it, and was asked no more.
    Dropped,
    /// It was not asked.
    NotAsked,
}

impl DeciderAnswer {
    /// What reports call the decider.
    pub fn decider(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.by.name)
    }
}

impl DeciderSaid {
    /// Whether it was asked at all.
    pub const fn is_asked(self) -> bool {
        !matches!(self, Self::NotAsked)
    }
}
