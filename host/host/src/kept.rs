//! What a host keeps and judges by: journal, event log, quiet ticks, recordings, what plugins keep, policies and plugins.
//!
//! Opened by `host` before anything runs.

use std::sync::Arc;
use std::time::Duration;

use flyball_control::Fleet;
use flyball_engine::{EngineOptions, Library, Versions};
use flyball_model::{EventRecord, Halt};
use flyball_ports::{Journal as _, Recorder};
use flyball_store::{EventEntries, PluginStates, QuietTicks, Recordings, Store};

use crate::builder::HostBuilder;
use crate::error::{Doing, HostError};
use crate::halt_reserve::{self, HaltReserve};
use crate::library::{library_of, open_engine_with};
use crate::state_dir::HeldDir;

/// What a host keeps and judges by.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) recordings: Option<Arc<Recordings>>,
    /// None: the engine is somebody else's.
    states: Option<Arc<PluginStates>>,
    pub(crate) quiet: Arc<QuietTicks>,
    pub(crate) library: Arc<Library>,
    pub(crate) store: Arc<Store>,
    pub(crate) entries: Arc<EventEntries>,
}

impl Kept {
    /// Beside it the room for halts on the disk, and halts that the journal of an earlier host did not take.
    pub(crate) fn open(
        plan: &HostBuilder,
        dir: &HeldDir,
    ) -> Result<(Self, HaltReserve, Vec<EventRecord>), HostError> {
        let state = plan.state.path();
        let versions = Versions::open(&plan.state.versions()).doing("cannot keep versions of plugins")?;
        let (engine, states, recordings) = match &plan.engine {
            Some(engine) => (engine.clone(), None, None),
            None => {
                let start = |options| Recordings::start(state, options).doing("cannot start recording");
                let recordings = plan.recordings.clone().map(start).transpose()?.map(Arc::new);
                let states = PluginStates::open(state).doing("cannot keep what plugins keep")?;
                let states = Arc::new(states);
                let options = EngineOptions {
                    keeper: Some(states.clone()),
                    recorder: recordings.clone().map(|recordings| recordings as Arc<dyn Recorder>),
                    ..EngineOptions::default()
                };
                (open_engine_with(&plan.state, options)?, Some(states), recordings)
            }
        };
        let policies = plan.policies.clone().unwrap_or_else(|| plan.folders.policy_source());
        let library = library_of(policies, plan.folders.plugins.clone(), engine, versions)?;
        let store = Arc::new(Store::open(state).doing("cannot open the journal")?);
        let entries = Arc::new(EventEntries::open(state).doing("cannot open the event log")?);
        let quiet = Arc::new(QuietTicks::start(state).doing("cannot keep quiet ticks")?);
        let (reserve, left) = HaltReserve::open(&dir.path().join(halt_reserve::NAME))?;
        Ok((Self { recordings, states, quiet, library, store, entries }, reserve, left))
    }

    /// The number of this run in the event log: the journal's, or a higher one where the log knows of later runs, as where the
    /// journal was taken away.
    pub(crate) fn log_run(&self, run: u64) -> Result<u64, HostError> {
        let newest = self.entries.newest().doing("cannot read the event log")?;
        Ok(newest.map_or(run, |newest| run.max(newest.run + 1)))
    }

    pub(crate) async fn halts(&self) -> Result<Vec<Halt>, HostError> {
        self.store.halts().await.doing("cannot read the journal")
    }

    /// What the sessions share, with the halts that are in force.
    pub(crate) async fn fleet(&self, left: &[EventRecord]) -> Result<Arc<Fleet>, HostError> {
        for halt in left {
            self.store
                .record(halt)
                .await
                .doing("the journal does not take a halt that an earlier host left; make room on its disk")?;
        }
        let learned = self.store.learned().await.doing("cannot read the journal")?;
        Ok(Fleet::with_learned(self.halts().await?, learned))
    }

    /// Waits until all of it is on disk, but for each part no longer than this.
    pub(crate) fn settle(&self, patience: Duration) {
        if self.states.as_ref().is_some_and(|states| !states.settle(patience)) {
            tracing::error!("not all that plugins keep is on disk");
        }
        if !self.quiet.settle(patience) {
            tracing::warn!("not every quiet tick is kept yet");
        }
        if self.recordings.as_ref().is_some_and(|recordings| !recordings.settle(patience)) {
            tracing::warn!("not every recorded call is written yet");
        }
    }
}
