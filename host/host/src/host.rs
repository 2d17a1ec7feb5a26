//! Puts a host together, and takes it apart again: library, journal, event log, pipelines, loops, control socket.
//!
//! It must uphold that a host starts whole or not at all; that whoever is answered is answered by a host that has started; and that
//! what was on its way when it is stopped has its time to arrive, under control as before.
//!
//! Called by whoever embeds a host: the program's `run` and `demo`, scenarios, tests.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flyball_control::{Controller, Fleet, LoopOptions, Sessions as Loops};
use flyball_documents::{policy_for, unmatched_nodes};
use flyball_engine::{Library, Reload};
use flyball_events::EventLog;
use flyball_model::{
    ActionRecord, ControllerSection as ControllerSettings, EntryNumber, Happened, Manifest, UnixMillis,
    Warning,
};
use flyball_pipeline::{BuiltinChild, Pipeline, PipelineInputs as PipelineParts};
use flyball_ports::{Clock, DataPlane, Judges, Listener};
use flyball_store::Store;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::builder::{Given, HostBuilder};
use crate::error::{Doing, HostError};
use crate::hearing::Hearing;
use crate::kept::Kept;
use crate::library::open_manifest;
use crate::listeners::Listeners;
use crate::operations::{Operations, Parts, halt_text};
use crate::recorder::Recorder;
use crate::report::{Report, SessionReport, plugin_reports, recordings_report, reload_record};
use crate::session::Session;
use crate::state_dir::{HeldDir, StateDir};
use crate::status::{JudgingStatus, Watched};
use crate::threads::Threads;
use crate::unjournaled::Unjournaled;
use crate::wasm_nodes::LibraryNodes;
use crate::webhook;

/// How long each part of a host that ends is waited for, once what was on its way had its time.
const STOPPING: Duration = Duration::from_secs(10);
/// How long the disk may take for what is to be kept.
const PATIENCE: Duration = Duration::from_secs(5);

/// A host that runs. One that is dropped and not stopped leaves what it was doing, as one that is killed does.
pub struct Host {
    operations: Operations,
    making: Making,
    loops: Arc<Loops>,
    recorder: Arc<Recorder>,
    kept: Kept,
    log: EventLog,
    run: u64,
    started: UnixMillis,
    drain: Duration,
    ticks_by_hand: bool,
    admission: Mutex<Admission>,
    tasks: Vec<JoinHandle<()>>,
    webhook: Option<JoinHandle<()>>,
    dir: Arc<HeldDir>,
    /// Ends what a killed supervisor of a child leaves behind.
    _adopting: Option<flyball_nodes::Adopting>,
}

/// Who may come in.
#[derive(Default)]
struct Admission {
    /// Nobody.
    stopping: bool,
    /// The names of sessions that are being made.
    coming: BTreeSet<String>,
}

/// A name that is one session's, for as long as that is being made.
struct Coming<'a> {
    admission: &'a Mutex<Admission>,
    name: String,
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.admission.lock().coming.remove(&self.name);
    }
}

/// What sessions are made of.
struct Making {
    library: Arc<Library>,
    store: Arc<Store>,
    fleet: Arc<Fleet>,
    clock: Arc<dyn Clock>,
    listener: Arc<dyn Listener>,
    dead_letters: PathBuf,
    pipeline: flyball_pipeline::PipelineOptions,
    child: Option<BuiltinChild>,
    answer_within: Duration,
    dry_run: bool,
    data: Handle,
    ticks: Handle,
}

/// What is to be watched, and can be.
struct Ready {
    manifest: String,
    watched: Watched,
    plane: Arc<dyn DataPlane>,
    pipeline: Option<Arc<Pipeline>>,
    settings: ControllerSettings,
}

impl Host {
    /// What a host is made of, which keeps what it does in this directory.
    pub fn builder(state: impl Into<PathBuf>) -> HostBuilder {
        Self::builder_in(StateDir::at(state.into()))
    }

    /// The same, of a state directory.
    pub fn builder_in(state: StateDir) -> HostBuilder {
        HostBuilder::new(state)
    }

    /// First of all the state directory is had, so that a second host does nothing; then all that may be wrong is looked at; and
    /// only when the host can be stopped does a source read its first item.
    pub(crate) async fn start(mut plan: HostBuilder, threads: &Threads) -> Result<Self, HostError> {
        let dir = Arc::new(plan.state.hold()?);
        let (kept, reserve, left) = Kept::open(&plan, &dir)?;
        let given = read(std::mem::take(&mut plan.given), &kept.library)?;
        let fleet = kept.fleet(&left).await?;
        // What an earlier host left is in the journal by now.
        reserve.keep(&[]).doing("cannot keep room on the disk for halts")?;
        let hearing = match plan.control_socket {
            true => Some(Hearing::open(Arc::clone(&dir), threads).await?),
            false => None,
        };
        if plan.hear_signals {
            threads.hear_signals();
        }
        let adopting = match plan.child {
            Some(_) => Some(flyball_nodes::adopt_orphans().doing("cannot learn when processes end")?),
            None => None,
        };
        let listeners = Arc::new(Listeners::default());
        let making = Making::of(&mut plan, &kept, &fleet, listeners.clone(), threads);
        let ready = making.prepare_all(given).await?;
        let run = kept.store.begin_run_at(plan.clock.now()).await.doing("cannot write to the journal")?;
        let log = EventLog::start(kept.log_run(run)?, Some(kept.entries.clone() as _))
            .doing("cannot start the event log")?;
        let recorder = Arc::new(Recorder::default());
        listeners.set(recorder.clone(), &kept.quiet, &log, std::mem::take(&mut plan.listeners));
        let unjournaled = Unjournaled::new(threads.control().clone(), Arc::clone(&kept.store), reserve);
        let operations = operations(&plan, &making, &kept, &listeners, unjournaled);
        // Whoever could not reach this host while it started has left a halt in its journal.
        for halt in kept.halts().await? {
            fleet.halt(halt);
        }
        let (entries, journal) = (Arc::clone(&kept.entries), Arc::clone(&kept.store));
        let webhook = match plan.webhook.take() {
            Some(webhook) => Some(webhook::start(webhook, &log, entries, journal, threads.ticks())?),
            None => {
                webhook::is_off(&entries)?;
                None
            }
        };
        let reloads = kept.library.subscribe();
        if plan.watch {
            kept.library.watch().doing("cannot watch the policies and plugins")?;
        }
        let host = Self {
            operations,
            making,
            loops: Arc::new(Loops::new()),
            recorder,
            kept,
            log,
            run,
            started: plan.clock.now(),
            drain: plan.drain,
            ticks_by_hand: plan.ticks_by_hand,
            admission: Mutex::default(),
            tasks: Vec::new(),
            webhook,
            dir,
            _adopting: adopting,
        };
        Ok(host.begun(ready, hearing, reloads))
    }

    /// Nothing can fail here: whoever is answered is answered by a host that has started.
    fn begun(
        mut self,
        ready: Vec<Ready>,
        hearing: Option<Hearing>,
        reloads: broadcast::Receiver<Reload>,
    ) -> Self {
        self.tasks.push(self.making.data.spawn(tell_reloads(reloads, self.log.clone())));
        for halt in self.making.fleet.halts() {
            self.warn(Warning::new("halted", halt_text(&halt)));
        }
        let begun: Vec<Session> = ready.into_iter().map(|ready| self.begin(ready)).collect();
        self.tell_missing();
        if let Some(hearing) = hearing {
            self.tasks.push(hearing.begin(self.operations.clone()));
        }
        for pipeline in begun.iter().filter_map(Session::pipeline) {
            pipeline.begin();
        }
        self
    }

    /// What may be asked of it.
    pub const fn operations(&self) -> &Operations {
        &self.operations
    }

    /// Everything that happens in it.
    pub const fn events(&self) -> &EventLog {
        &self.log
    }

    /// Before the first entry of this run.
    pub fn beginning(&self) -> EntryNumber {
        EntryNumber { place: 0, ..self.log.newest() }
    }

    /// Its policies and plugins.
    pub const fn library(&self) -> &Arc<Library> {
        &self.kept.library
    }

    /// Its journal.
    pub const fn journal(&self) -> &Arc<Store> {
        &self.kept.store
    }

    /// The sessions that it runs, in the order in which they came.
    pub fn sessions(&self) -> Vec<Session> {
        self.operations.parts.sessions.all()
    }

    /// The session of that name.
    pub fn session(&self, name: &str) -> Option<Session> {
        self.operations.parts.sessions.get(name)
    }

    /// The actions of this session so far in this run, oldest first, with their outcomes so far.
    pub fn actions(&self, session: &str) -> Vec<ActionRecord> {
        self.recorder.actions(session)
    }

    /// Runs another pipeline, and watches it.
    ///
    /// # Errors
    ///
    /// It is wrong, or one of that name runs already.
    pub async fn add(&self, manifest: Manifest) -> Result<Session, HostError> {
        self.take_in(Given::Manifest(Box::new(manifest))).await
    }

    /// Watches also what this data plane runs.
    ///
    /// # Errors
    ///
    /// One of that name is watched already.
    pub async fn add_plane(
        &self,
        plane: Arc<dyn DataPlane>,
        settings: ControllerSettings,
    ) -> Result<Session, HostError> {
        self.take_in(Given::Plane(plane, settings)).await
    }

    async fn take_in(&self, given: Given) -> Result<Session, HostError> {
        let given = Described::of(given, &self.kept.library)?;
        let coming = self.admit(&given)?;
        let ready = self.making.prepare(given).await;
        let ready = ready.inspect_err(|_| self.making.library.unregister(&coming.name))?;
        let begun = match self.admission.lock().stopping {
            true => Err(ready),
            false => Ok(self.begin(ready)),
        };
        match begun {
            Ok(session) => {
                self.tell_missing_of(&session);
                if let Some(pipeline) = session.pipeline() {
                    pipeline.begin();
                }
                Ok(session)
            }
            Err(ready) => {
                if let Some(pipeline) = ready.pipeline {
                    pipeline.shutdown().await;
                }
                self.making.library.unregister(&coming.name);
                Err(HostError::Stopping)
            }
        }
    }

    /// No other session has its name, nor gets it meanwhile.
    fn admit(&self, given: &Described) -> Result<Coming<'_>, HostError> {
        let name = given.name();
        let mut admission = self.admission.lock();
        if admission.stopping {
            return Err(HostError::Stopping);
        }
        if self.session(&name).is_some() || !admission.coming.insert(name.clone()) {
            return Err(HostError::SameName { manifest: given.label.clone(), name });
        }
        Ok(Coming { admission: &self.admission, name })
    }

    /// Lets what is on its way in this session arrive, under control as before, and ends it. What it did; none: there is no such
    /// session.
    pub async fn remove(&self, name: &str) -> Option<SessionReport> {
        let session = self.session(name)?;
        if let Some(pipeline) = session.pipeline() {
            pipeline.close();
            if tokio::time::timeout(self.drain, pipeline.finished()).await.is_err() {
                tracing::warn!(session = name, "not everything on its way arrived in time");
            }
        }
        self.end(&session).await;
        self.operations.parts.sessions.remove(name)?;
        self.making.library.unregister(name);
        Some(self.report_of(&session))
    }

    /// When every source has ended and every item has arrived. Never, when a source has no end; at once, when nothing is embedded.
    pub async fn finished(&self) {
        let sessions = self.sessions();
        futures::future::join_all(sessions.iter().filter_map(Session::pipeline).map(|one| one.finished()))
            .await;
    }

    /// Lets the items on their way arrive, under control as before, for as long as the plan says; then stops everything.
    pub async fn stop(self) -> Report {
        self.admission.lock().stopping = true;
        let sessions = self.sessions();
        for pipeline in sessions.iter().filter_map(Session::pipeline) {
            pipeline.close();
        }
        if tokio::time::timeout(self.drain, self.finished()).await.is_err() {
            tracing::warn!("not everything on its way arrived in time");
        }
        futures::future::join_all(sessions.iter().map(|session| self.end(session))).await;
        let reports = sessions.iter().map(|session| self.report_of(session)).collect();
        match tokio::time::timeout(STOPPING, self.kept.store.end_run(self.run)).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::error!(%fault, "the journal does not know that the run ended"),
            Err(_) => tracing::error!("the journal does not answer, and does not know that the run ended"),
        }
        let chain = tokio::time::timeout(STOPPING, self.kept.store.chain_end()).await;
        self.tasks.iter().for_each(JoinHandle::abort);
        self.dir.leave();
        self.settle().await;
        Report {
            version: 1,
            program: concat!("flyball ", env!("CARGO_PKG_VERSION")).to_owned(),
            started: self.started,
            ended: self.making.clock.now(),
            sessions: reports,
            plugins: plugin_reports(&self.kept.library),
            reloads: self.kept.library.reloads().iter().map(reload_record).collect(),
            recordings: self.kept.recordings.as_deref().map(recordings_report),
            journal: chain.ok().and_then(Result::ok),
            figures: self.recorder.figures(),
        }
    }

    /// When all that was kept, recorded and told is on its disk or at its reader; neither is waited for for ever.
    async fn settle(&self) {
        let (kept, log) = (self.kept.clone(), self.log.clone());
        let settling = tokio::task::spawn_blocking(move || {
            if !log.close(PATIENCE) {
                tracing::error!("the event log's newest entries are not on disk");
            }
            kept.settle(PATIENCE);
        });
        if let Err(error) = settling.await {
            tracing::error!(%error, "what is kept was not waited for");
        }
        if let Some(webhook) = &self.webhook {
            let until = tokio::time::Instant::now() + PATIENCE;
            while !webhook.is_finished() && tokio::time::Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // What it could not send, the next host sends.
            webhook.abort();
        }
    }

    fn begin(&self, ready: Ready) -> Session {
        let session = self.making.session(ready);
        self.operations.parts.sessions.add(session.clone());
        if !self.ticks_by_hand {
            let _on_the_ticks = self.making.ticks.enter();
            // Its name is its own: that was looked at.
            if let Err(error) = self.loops.start(Arc::clone(&session.controller)) {
                tracing::error!(%error, "a session is not watched");
            }
        }
        session
    }

    /// Its pipeline first, so that it is watched for as long as it runs.
    async fn end(&self, session: &Session) {
        if let Some(pipeline) = session.pipeline()
            && tokio::time::timeout(STOPPING, pipeline.shutdown()).await.is_err()
        {
            tracing::error!(
                session = session.name(),
                "it did not stop in time; what it holds stays in flight"
            );
        }
        if tokio::time::timeout(STOPPING, self.loops.stop(session.name())).await.is_err() {
            tracing::error!(session = session.name(), "the controller did not stop in time");
        }
    }

    fn report_of(&self, session: &Session) -> SessionReport {
        let account = session.pipeline().map(|pipeline| pipeline.account());
        self.recorder.session(session.name(), session.manifest(), account)
    }

    fn warn(&self, warning: Warning) {
        self.log.append(Happened::Warning(warning));
    }

    /// What is missing between all sessions, policies and plugins.
    fn tell_missing(&self) {
        for session in self.sessions() {
            self.tell_unmatched(&session);
        }
        let parts = &self.operations.parts;
        for warning in JudgingStatus::of(&parts.library, &parts.sessions.watched(), &parts.folders).warnings {
            self.warn(warning);
        }
    }

    /// What is missing for one that came later.
    fn tell_missing_of(&self, session: &Session) {
        self.tell_unmatched(session);
        let parts = &self.operations.parts;
        let status =
            JudgingStatus::of(&parts.library, std::slice::from_ref(&session.watched), &parts.folders);
        for warning in status.warnings.into_iter().filter(|warning| warning.code == "no-policy") {
            self.warn(warning);
        }
    }

    /// A guard of the policy that names no node of the session looks like one that holds.
    fn tell_unmatched(&self, session: &Session) {
        let policies = self.kept.library.policies();
        // Two that claim a session equally are told by the library.
        let Ok(Some(policy)) = policy_for(policies.iter(), session.name()) else { return };
        let nodes = session.watched.nodes.iter().map(String::as_str);
        for problem in unmatched_nodes(policy, nodes) {
            let message = format!("{}: policy {}: {problem}", session.name(), policy.name);
            self.warn(Warning::new("no-such-node", message));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.tasks.iter().chain(&self.webhook).for_each(JoinHandle::abort);
        // What is not written yet is written by the log's own thread, which nobody waits for here.
        self.log.close(Duration::ZERO);
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("run", &self.run)
            .field("sessions", &self.sessions())
            .finish_non_exhaustive()
    }
}

/// Something to be watched, and where it is described.
struct Described {
    label: String,
    what: What,
}

enum What {
    Manifest(Box<Manifest>),
    Plane(Arc<dyn DataPlane>, ControllerSettings),
}

impl Described {
    fn of(given: Given, library: &Arc<Library>) -> Result<Self, HostError> {
        Ok(match given {
            Given::File(file) => {
                let manifest = Box::new(open_manifest(&file, library)?);
                Self { label: file.display().to_string(), what: What::Manifest(manifest) }
            }
            Given::Manifest(manifest) => {
                Self { label: manifest.name.clone(), what: What::Manifest(manifest) }
            }
            Given::Plane(plane, settings) => {
                Self { label: plane.session().to_owned(), what: What::Plane(plane, settings) }
            }
        })
    }

    fn name(&self) -> String {
        match &self.what {
            What::Manifest(manifest) => manifest.name.clone(),
            What::Plane(plane, _) => plane.session().to_owned(),
        }
    }
}

/// All manifests, none of which has another's name.
fn read(given: Vec<Given>, library: &Arc<Library>) -> Result<Vec<Described>, HostError> {
    let mut read: Vec<Described> = Vec::new();
    for given in given {
        let described = Described::of(given, library)?;
        if read.iter().any(|other| other.name() == described.name()) {
            return Err(HostError::SameName { name: described.name(), manifest: described.label });
        }
        read.push(described);
    }
    Ok(read)
}

fn operations(
    plan: &HostBuilder,
    making: &Making,
    kept: &Kept,
    listeners: &Arc<Listeners>,
    unjournaled: Unjournaled,
) -> Operations {
    Operations {
        parts: Arc::new(Parts {
            library: Arc::clone(&kept.library),
            recordings: kept.recordings.clone(),
            store: Arc::clone(&kept.store),
            fleet: Arc::clone(&making.fleet),
            clock: Arc::clone(&making.clock),
            listeners: Arc::clone(listeners),
            sessions: Arc::default(),
            folders: plan.folders.clone(),
            unjournaled,
            ticks: making.ticks.clone(),
        }),
    }
}

impl Making {
    fn of(
        plan: &mut HostBuilder,
        kept: &Kept,
        fleet: &Arc<Fleet>,
        listener: Arc<dyn Listener>,
        threads: &Threads,
    ) -> Self {
        Self {
            library: Arc::clone(&kept.library),
            store: Arc::clone(&kept.store),
            fleet: Arc::clone(fleet),
            clock: Arc::clone(&plan.clock),
            listener,
            dead_letters: plan.dead_letters.take().unwrap_or_else(|| plan.state.dead_letters()),
            // The host waits for what is on its way, while it is still controlled.
            pipeline: flyball_pipeline::PipelineOptions { drain: Duration::ZERO, ..plan.options },
            child: plan.child.take(),
            answer_within: plan.answer_within,
            dry_run: plan.dry_run,
            data: threads.data().clone(),
            ticks: threads.ticks().clone(),
        }
    }

    async fn prepare_all(&self, given: Vec<Described>) -> Result<Vec<Ready>, HostError> {
        let mut ready = Vec::with_capacity(given.len());
        for given in given {
            ready.push(self.prepare(given).await?);
        }
        Ok(ready)
    }

    async fn prepare(&self, given: Described) -> Result<Ready, HostError> {
        let Described { label, what } = given;
        match what {
            What::Plane(plane, settings) => {
                let graph = plane.graph().await.ok();
                let watched = Watched::running(plane.session(), graph.as_deref());
                Ok(Ready { manifest: label, watched, plane, pipeline: None, settings })
            }
            What::Manifest(manifest) => {
                let watched = Watched::of(&manifest);
                let settings = manifest.controller.clone();
                self.library.register(&watched.name, settings.clone());
                let parts = PipelineParts {
                    wasm: Arc::new(LibraryNodes {
                        library: Arc::clone(&self.library),
                        session: watched.name.clone(),
                    }),
                    builtin_child: self.child.clone(),
                    dead_letters: Some(self.dead_letters.clone()),
                    options: self.pipeline,
                };
                let making = self.data.spawn(Pipeline::prepare(*manifest, parts)).await;
                let pipeline = making
                    .doing(format!("{label} cannot start"))?
                    .map_err(|problems| HostError::Pipeline { manifest: label.clone(), problems })?;
                Ok(Ready {
                    manifest: label,
                    watched,
                    plane: pipeline.clone(),
                    pipeline: Some(pipeline),
                    settings,
                })
            }
        }
    }

    fn session(&self, ready: Ready) -> Session {
        let Ready { manifest, watched, plane, pipeline, settings } = ready;
        let options = LoopOptions {
            interval: Duration::from_millis(settings.observation_interval_ms),
            answer_within: self.answer_within,
            dry_run: self.dry_run,
        };
        self.library.register(&watched.name, settings);
        let controller = Controller::new(
            plane,
            Arc::clone(&self.library) as Arc<dyn Judges>,
            self.store.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&self.listener),
            options,
        );
        let controller = Arc::new(controller.in_fleet(Arc::clone(&self.fleet)));
        Session { watched, manifest, pipeline, controller }
    }
}

async fn tell_reloads(mut reloads: broadcast::Receiver<Reload>, log: EventLog) {
    loop {
        match reloads.recv().await {
            Ok(reload) => drop(log.append(Happened::Reload(reload_record(&reload)))),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::error!(missed, "reloads are not in the event log, as there were too many at once");
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
