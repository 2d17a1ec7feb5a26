//! Loaded components and parsed policies by digest, so that the same bytes are loaded once, whether they are good or bad.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_documents::{DocumentFaults, DocumentText, read_policy};
use flyball_model::Policy;

use super::folder::Found;
use crate::stage::{Stage, Stopwatch};
use crate::{CallError, Engine, LoadError, Plugin};

/// A plugin that took too long to say what it is has burnt its time: it is not asked again at every look.
const AGAIN: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Shelf {
    busy: HashMap<Arc<str>, (Instant, LoadError)>,
    plugins: HashMap<Arc<str>, Result<Arc<Plugin>, LoadError>>,
    policies: HashMap<(String, Arc<str>), Result<Policy, DocumentFaults>>,
}

impl Shelf {
    pub(super) fn plugin(
        &mut self,
        engine: &Engine,
        digest: &Arc<str>,
        bytes: &[u8],
        watch: &mut Stopwatch,
    ) -> Result<Arc<Plugin>, LoadError> {
        if let Some(known) = self.plugins.get(digest) {
            return known.clone();
        }
        if let Some((at, error)) = self.busy.get(digest)
            && at.elapsed() < AGAIN
        {
            return Err(error.clone());
        }
        let loaded = Plugin::load(engine, bytes, watch).map(Arc::new).and_then(|plugin| {
            watch.at(Stage::Cases);
            plugin.check_cases().map(|()| plugin)
        });
        // A machine that was too busy for it now may have time for it later.
        match &loaded {
            Err(error @ LoadError::Describing(CallError::TimedOut { .. } | CallError::Busy { .. })) => {
                self.busy.insert(Arc::clone(digest), (Instant::now(), error.clone()));
            }
            _ => drop(self.plugins.insert(Arc::clone(digest), loaded.clone())),
        }
        loaded
    }

    pub(super) fn policy(
        &mut self,
        source: &DocumentText,
        digest: &Arc<str>,
    ) -> Result<Policy, DocumentFaults> {
        let key = (source.name.clone(), Arc::clone(digest));
        self.policies.entry(key).or_insert_with(|| read_policy(source)).clone()
    }

    /// Forgets what is neither wanted nor serves, so that memory does not grow with each reload.
    pub(super) fn keep(&mut self, wanted: impl Fn(&str) -> bool) {
        self.plugins.retain(|digest, _| wanted(digest));
        self.busy.retain(|digest, _| wanted(digest));
        self.policies.retain(|(_, digest), _| wanted(digest));
    }
}

/// A policy's text. It was read as UTF-8.
pub(super) fn source(found: &Found) -> DocumentText {
    DocumentText::new(found.path.display().to_string(), String::from_utf8_lossy(&found.bytes).into_owned())
}
