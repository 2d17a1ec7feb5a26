//! The sessions that a host runs. They come and go while it runs, each with a name of its own.
//!
//! Made and ended by `host`; looked at by `operations`.

use std::sync::Arc;

use flyball_control::Controller;
use flyball_pipeline::Pipeline;
use parking_lot::RwLock;

use crate::status::Watched;

/// One pipeline under control.
#[derive(Clone)]
pub struct Session {
    pub(crate) watched: Watched,
    pub(crate) manifest: String,
    pub(crate) pipeline: Option<Arc<Pipeline>>,
    pub(crate) controller: Arc<Controller>,
}

impl Session {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.watched.name
    }

    /// Where it is described: a manifest's file, or a name for what has none.
    pub fn manifest(&self) -> &str {
        &self.manifest
    }

    /// The embedded pipeline; none: another data plane runs it.
    pub fn pipeline(&self) -> Option<&Arc<Pipeline>> {
        self.pipeline.as_ref()
    }

    /// Its loop.
    pub fn controller(&self) -> &Arc<Controller> {
        &self.controller
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// All of a host, in the order in which they came.
#[derive(Default)]
pub(crate) struct Sessions(RwLock<Vec<Session>>);

impl Sessions {
    pub(crate) fn all(&self) -> Vec<Session> {
        self.0.read().clone()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Session> {
        self.0.read().iter().find(|session| session.name() == name).cloned()
    }

    pub(crate) fn add(&self, session: Session) {
        self.0.write().push(session);
    }

    /// None: there is none of that name.
    pub(crate) fn remove(&self, name: &str) -> Option<Session> {
        let mut sessions = self.0.write();
        let at = sessions.iter().position(|session| session.name() == name)?;
        Some(sessions.remove(at))
    }

    pub(crate) fn controllers(&self) -> Vec<(String, Arc<Controller>)> {
        let sessions = self.0.read();
        sessions.iter().map(|one| (one.name().to_owned(), Arc::clone(&one.controller))).collect()
    }

    pub(crate) fn watched(&self) -> Vec<Watched> {
        self.0.read().iter().map(|session| session.watched.clone()).collect()
    }
}
