//! How each policy is: what serves, what should and does not, and which plugins it uses. For whoever shows policies beside
//! plugins; the plugins' own side is in `report.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Library;
use super::report::{PluginState, Subject};
use crate::Stage;

/// Everything there is to say of one policy's file.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyStatus {
    /// The file's name; of a policy that came with the host, its own.
    pub file: String,
    /// The name of the one that serves.
    pub name: Option<String>,
    /// The sessions that it judges, by name or pattern.
    pub sessions: Vec<String>,
    /// SHA-256 of the one that serves.
    pub running: Option<Arc<str>>,
    /// The generation that brought its judges together.
    pub generation: Option<u64>,
    /// How it is.
    pub state: PluginState,
    /// At which stage what should serve failed.
    pub stage: Option<Stage>,
    /// Why what should serve does not.
    pub error: Option<String>,
    /// The plugins that it uses.
    pub plugins: BTreeSet<String>,
}

impl Library {
    /// Every policy: what serves, and what should and does not.
    pub fn policy_status(&self) -> Vec<PolicyStatus> {
        let (serving, troubles) = (self.serving(), self.troubles());
        let trouble_of = |file: &str| {
            troubles.iter().find(|trouble| matches!(&trouble.subject, Subject::Policy(name) if name == file))
        };
        let mut files: BTreeSet<&String> = serving.policies.keys().collect();
        files.extend(troubles.iter().filter_map(|trouble| match &trouble.subject {
            Subject::Policy(file) => Some(file),
            Subject::Plugin(_) => None,
        }));
        let status = |file: &String| {
            let (bound, trouble) = (serving.policies.get(file), trouble_of(file));
            PolicyStatus {
                file: file.clone(),
                name: bound.map(|bound| bound.policy.name.clone()),
                sessions: bound.map(|bound| bound.policy.sessions.clone()).unwrap_or_default(),
                running: bound.map(|bound| Arc::clone(&bound.digest)),
                generation: bound.map(|bound| bound.generation),
                state: match (bound, trouble) {
                    (None, _) => PluginState::Failed,
                    (Some(_), Some(_)) => PluginState::HeldBack,
                    (Some(_), None) => PluginState::Running,
                },
                stage: trouble.map(|trouble| trouble.stage),
                error: trouble.map(|trouble| trouble.error.clone()),
                plugins: bound
                    .map(|bound| bound.judges().map(|judge| judge.plugin().id().name.to_string()).collect())
                    .unwrap_or_default(),
            }
        };
        files.into_iter().map(status).collect()
    }
}
