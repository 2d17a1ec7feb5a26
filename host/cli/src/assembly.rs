//! Puts a host together: library, journal, pipelines, controllers, control socket; and takes it apart again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use async_trait::async_trait;
use flyball_control::ports::{self, Clock, Journal as _, Judges, Keeper, Listener, SystemClock};
use flyball_control::{Controller, Fleet, Options, Undo};
use flyball_documents::{Source, locate, read_manifest};
use flyball_engine::{
    Bill, Engine, EngineOptions, Library, LibraryOptions, OpenError, PluginStatus, PolicySource, Reload,
    Versions,
};
use flyball_model::{Event, EventRecord, Halt, Manifest, UnixMillis};
use flyball_pipeline::{BuiltinChild, Parts, Pipeline};
use flyball_store::{PluginStates, QuietTicks, Recordings, RecordingsOptions, Store, Which};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::args::{Judging, Notify, Record, Recording};
use crate::control_socket::{Answers, ControlSocket, Request};
use crate::coverage::{Status, Watched};
use crate::exit::Failure;
use crate::narrator::{Both, Narrator};
use crate::report::{LimitReport, PluginReport, Recorder, RecordingsReport, ReloadReport, Report};
use crate::state_dir::StateDir;
use crate::wasm_nodes::LibraryNodes;
use crate::webhook::Webhook;

/// The policy of whoever names none.
pub(crate) const DEFAULT_POLICY: &str = include_str!("../../../policies/default.yaml");

/// What a host is made of.
pub(crate) struct Plan {
    pub(crate) manifests: Vec<PathBuf>,
    pub(crate) judging: Judging,
    pub(crate) state: StateDir,
    pub(crate) dead_letters: PathBuf,
    /// How long what is on its way may take to arrive at the end.
    pub(crate) drain: Duration,
    /// Which calls of judges are recorded.
    pub(crate) recording: Recording,
    /// Nothing is done that changes a pipeline.
    pub(crate) dry_run: bool,
    pub(crate) notify: Notify,
    pub(crate) narrator: Arc<Narrator>,
}

/// A host that runs.
pub(crate) struct Host {
    pub(crate) sessions: Vec<Session>,
    pub(crate) library: Arc<Library>,
    pub(crate) recorder: Arc<Recorder>,
    recordings: Option<Arc<Recordings>>,
    states: Arc<PluginStates>,
    quiet: Arc<QuietTicks>,
    store: Arc<Store>,
    run: u64,
    started: UnixMillis,
    drain: Duration,
    stop: watch::Sender<bool>,
    telling_reloads: JoinHandle<()>,
    _socket: ControlSocket,
}

/// One pipeline under control.
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) controller: Arc<Controller>,
    controlling: JoinHandle<()>,
}

/// The WebAssembly engine, with its cache of compiled plugins in the state directory.
pub(crate) fn open_engine(state: &StateDir) -> Result<Engine> {
    open_engine_with(state, None, None)
}

/// One that records its calls and keeps what plugins keep, as a run's does.
fn open_engine_with(
    state: &StateDir,
    keeper: Option<Arc<dyn Keeper>>,
    recordings: Option<&Arc<Recordings>>,
) -> Result<Engine> {
    let recorder = recordings.map(|recordings| recordings.clone() as Arc<dyn ports::Recorder>);
    let options =
        EngineOptions { cache_dir: Some(state.compiled()), keeper, recorder, ..EngineOptions::default() };
    Engine::new(options).context("cannot start the WebAssembly engine")
}

fn open_recordings(state: &StateDir, recording: &Recording) -> Result<Option<Arc<Recordings>>> {
    let which = match recording.record {
        Record::Found => Which::Found,
        Record::All => Which::All,
        Record::Off => return Ok(None),
    };
    let options = RecordingsOptions {
        which,
        most_bytes: recording.record_max_mb << 20,
        days: recording.record_days,
        mask: recording.record_mask.clone(),
    };
    let recordings = Recordings::start(state.path(), options).context("cannot start recording")?;
    Ok(Some(Arc::new(recordings)))
}

/// The plugins and policies that a run with these arguments judges by.
pub(crate) fn open_library(judging: &Judging, state: &StateDir) -> Result<Arc<Library>, Failure> {
    let policies = policies(judging);
    library_of(policies, judging.plugins.clone(), open_engine(state)?, Versions::look_at(&state.versions()))
}

fn policies(judging: &Judging) -> PolicySource {
    match &judging.policy {
        Some(dir) => PolicySource::Dir(dir.clone()),
        None => PolicySource::Text(vec![Source::new("built-in policy", DEFAULT_POLICY)]),
    }
}

/// The plugins, with these policies.
pub(crate) fn library_of(
    policies: PolicySource,
    plugins_dir: Option<PathBuf>,
    engine: Engine,
    versions: Versions,
) -> Result<Arc<Library>, Failure> {
    let first_party =
        flyball_first_party::ALL.iter().map(|plugin| (plugin.name.to_owned(), plugin.wasm.into())).collect();
    let options = LibraryOptions { engine, first_party, plugins_dir, policies, versions: Some(versions) };
    Library::open(options).map_err(|fault| match fault {
        OpenError::Documents(faults) => Failure::Documents(faults),
        other => Failure::Failed(other.into()),
    })
}

/// Reads a manifest whole: as a document, and as a pipeline of nodes that exist.
pub(crate) fn open_manifest(file: &Path, library: &Arc<Library>) -> Result<Manifest, Failure> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let source = Source::new(file.display().to_string(), text);
    let manifest = read_manifest(&source)?;
    let problems = flyball_pipeline::check(&manifest, &LibraryNodes(library.clone()));
    if problems.is_empty() { Ok(manifest) } else { Err(locate(&source, problems).into()) }
}

impl Host {
    /// Starts everything, or nothing.
    pub(crate) async fn start(plan: Plan) -> Result<Self, Failure> {
        plan.state.make()?;
        let versions = Versions::open(&plan.state.versions()).context("cannot keep versions of plugins")?;
        let policies = policies(&plan.judging);
        let recordings = open_recordings(&plan.state, &plan.recording)?;
        let states = PluginStates::open(plan.state.path()).context("cannot keep what plugins keep")?;
        let states = Arc::new(states);
        let engine = open_engine_with(&plan.state, Some(states.clone()), recordings.as_ref())?;
        let library = library_of(policies, plan.judging.plugins.clone(), engine, versions)?;
        let mut manifests = Vec::new();
        for file in &plan.manifests {
            let manifest = open_manifest(file, &library)?;
            if manifests.iter().any(|(_, other): &(_, Manifest)| other.name == manifest.name) {
                return Err(anyhow!(
                    "{}: another manifest's session is called {:?} too; give each its own `name`",
                    file.display(),
                    manifest.name
                )
                .into());
            }
            manifests.push((file.clone(), manifest));
        }

        let store = Arc::new(Store::open(plan.state.path()).context("cannot open the journal")?);
        let run = store.begin_run().await.context("cannot write to the journal")?;
        let recorder = Arc::new(Recorder::default());
        let halts = store.halts().await.map_err(|error| anyhow!(error)).context("cannot read the journal")?;
        for halt in &halts {
            plan.narrator.say(&halt_text(halt));
        }
        let learned =
            store.learned().await.map_err(|error| anyhow!(error)).context("cannot read the journal")?;
        let fleet = Fleet::with_learned(halts, learned);
        let quiet = Arc::new(QuietTicks::start(plan.state.path()).context("cannot keep quiet ticks")?);
        let told = Arc::new(Both(recorder.clone(), Arc::new(Both(plan.narrator.clone(), quiet.clone()))));
        let listener: Arc<dyn Listener> = match Webhook::open(&plan.notify)? {
            Some(webhook) => Arc::new(Both(told, Arc::new(webhook))),
            None => told,
        };
        let (stop, stopped) = watch::channel(false);
        let common = Common {
            library: library.clone(),
            store: store.clone(),
            listener: listener.clone(),
            fleet: fleet.clone(),
            dry_run: plan.dry_run,
            dead_letters: plan.dead_letters.clone(),
            stopped,
        };
        let watched: Vec<Watched> = manifests.iter().map(|(_, manifest)| Watched::of(manifest)).collect();
        let mut sessions = Vec::new();
        for (file, manifest) in manifests {
            sessions.push(start_session(file, manifest, &common).await?);
        }
        for warning in Status::of(&library, &watched, plan.judging.policy.as_deref()).warnings {
            plan.narrator.warn(&warning);
        }
        let answers = Arc::new(Operator {
            watched,
            policy_folder: plan.judging.policy.clone(),
            library: library.clone(),
            recordings: recordings.clone(),
            store: store.clone(),
            fleet,
            listener,
            controllers: sessions.iter().map(|one| (one.name.clone(), one.controller.clone())).collect(),
        });
        let socket = ControlSocket::open(plan.state.socket(), answers)?;
        library.watch().context("cannot watch the policies and plugins")?;
        let telling_reloads = tokio::spawn(tell_reloads(library.clone(), plan.narrator.clone()));
        Ok(Self {
            sessions,
            library,
            recorder,
            recordings,
            states,
            quiet,
            store,
            run,
            started: SystemClock.now(),
            drain: plan.drain,
            stop,
            telling_reloads,
            _socket: socket,
        })
    }

    /// When every source has ended and every item has arrived. Never, when a source has no end.
    pub(crate) async fn finished(&self) {
        futures::future::join_all(self.sessions.iter().map(|session| session.pipeline.finished())).await;
    }

    /// Lets the items on their way arrive, under control as before, for as long as the plan says; then stops everything.
    pub(crate) async fn stop(self) -> Report {
        for session in &self.sessions {
            session.pipeline.close();
        }
        if tokio::time::timeout(self.drain, self.finished()).await.is_err() {
            tracing::warn!("not everything on its way arrived in time");
        }
        futures::future::join_all(self.sessions.iter().map(|session| session.pipeline.shutdown())).await;
        // Whoever listens for it may be gone already.
        let _ = self.stop.send(true);
        let mut reports = Vec::new();
        for session in self.sessions {
            if let Err(fault) = session.controlling.await {
                tracing::error!(%fault, session = session.name, "the controller broke off");
            }
            reports.push(self.recorder.session(
                &session.name,
                &session.manifest.display().to_string(),
                session.pipeline.account(),
            ));
        }
        self.telling_reloads.abort();
        if let Err(fault) = self.store.end_run(self.run).await {
            tracing::error!(%fault, "the journal does not know that the run ended");
        }
        let recordings = settled(self.states, self.quiet, self.recordings).await;
        Report {
            version: 1,
            program: concat!("flyball ", env!("CARGO_PKG_VERSION")).to_owned(),
            started: self.started,
            ended: SystemClock.now(),
            sessions: reports,
            plugins: plugin_reports(&self.library),
            reloads: self.library.reloads().iter().map(reload_report).collect(),
            recordings,
            figures: self.recorder.figures(),
        }
    }
}

/// When all that was kept and recorded is written; a disk that is too slow for that is waited for no longer than this.
async fn settled(
    states: Arc<PluginStates>,
    quiet: Arc<QuietTicks>,
    recordings: Option<Arc<Recordings>>,
) -> Option<RecordingsReport> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let settling = tokio::task::spawn_blocking(move || {
        if !states.settle(PATIENCE) {
            tracing::error!("not all that plugins keep is on disk");
        }
        if !quiet.settle(PATIENCE) {
            tracing::warn!("not every quiet tick is kept yet");
        }
        let recordings = recordings?;
        if !recordings.settle(PATIENCE) {
            tracing::warn!("not every recorded call is written yet");
        }
        Some(recordings_report(&recordings))
    });
    settling.await.ok().flatten()
}

fn recordings_report(recordings: &Recordings) -> RecordingsReport {
    let status = recordings.status();
    RecordingsReport { written: status.written, dropped: status.dropped, trouble: status.trouble }
}

/// What every session of a host is given.
struct Common {
    library: Arc<Library>,
    store: Arc<Store>,
    listener: Arc<dyn Listener>,
    fleet: Arc<Fleet>,
    dry_run: bool,
    dead_letters: PathBuf,
    stopped: watch::Receiver<bool>,
}

async fn start_session(file: PathBuf, manifest: Manifest, common: &Common) -> Result<Session, Failure> {
    let name = manifest.name.clone();
    let interval = Duration::from_millis(manifest.controller.observation_interval_ms);
    common.library.register(&name, manifest.controller.clone());
    let parts = Parts {
        wasm: Arc::new(LibraryNodes(common.library.clone())),
        builtin_child: this_program_as_a_node()?,
        dead_letters: Some(common.dead_letters.clone()),
        // The host waits for what is on its way, while it is still controlled.
        options: flyball_pipeline::Options { drain: Duration::ZERO, ..flyball_pipeline::Options::default() },
    };
    let pipeline = Pipeline::start(manifest, parts).await.map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{} cannot start: {}", file.display(), problems.join("; "))
    })?;
    let controller = Controller::new(
        pipeline.clone(),
        common.library.clone() as Arc<dyn Judges>,
        common.store.clone(),
        Arc::new(SystemClock),
        common.listener.clone(),
        Options { interval, dry_run: common.dry_run, ..Options::default() },
    );
    let controller = Arc::new(controller.in_fleet(common.fleet.clone()));
    let controlling = tokio::spawn({
        let (controller, mut stopped) = (controller.clone(), common.stopped.clone());
        // A sender that is gone means that the host is.
        async move { controller.run(async move { drop(stopped.wait_for(|stop| *stop).await) }).await }
    });
    Ok(Session { name, manifest: file, pipeline, controller, controlling })
}

/// Built-in node types run under `multiprocess` as this very program.
pub(crate) fn this_program_as_a_node() -> Result<BuiltinChild> {
    let program =
        std::env::current_exe().context("cannot find this program, which multiprocess nodes run")?;
    Ok(BuiltinChild { program, args: vec!["node".to_owned()] })
}

async fn tell_reloads(library: Arc<Library>, narrator: Arc<Narrator>) {
    let mut reloads = library.subscribe();
    while let Ok(reload) = reloads.recv().await {
        narrator.reload(&reload_report(&reload));
    }
}

fn reload_report(reload: &Reload) -> ReloadReport {
    let changed = reload.changes.iter().map(|change| match (&change.from, &change.to) {
        (_, None) => format!("{} (taken away)", change.subject),
        (None, Some(_)) => format!("{} (new)", change.subject),
        (Some(_), Some(_)) => change.subject.to_string(),
    });
    let troubled = reload.troubles.iter().map(|trouble| trouble.subject.to_string());
    ReloadReport {
        at: reload.at,
        what: changed.chain(troubled).collect(),
        generation: reload.generation,
        took_ms: millis(reload.took),
        stages_ms: reload
            .stages
            .iter()
            .map(|(stage, took)| (stage.name().to_owned(), millis(*took)))
            .collect(),
        errors: reload
            .troubles
            .iter()
            .map(|trouble| format!("{} at stage {}: {}", trouble.subject, trouble.stage, trouble.error))
            .collect(),
    }
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Every plugin, with what its calls cost.
pub(crate) fn plugin_reports(library: &Library) -> Vec<PluginReport> {
    library.status().into_iter().map(plugin_report).collect()
}

fn plugin_report(status: PluginStatus) -> PluginReport {
    let figures = status.figures;
    // A hundred nanoseconds is finer than the histogram is.
    let micros = |time: Duration| (figures.calls > 0).then(|| (time.as_secs_f64() * 1e7).round() / 10.0);
    PluginReport {
        name: status.name,
        kind: status.kind,
        version: status.version.map(|version| version.to_string()),
        from: status.path.map_or_else(|| "first-party".to_owned(), |path| path.display().to_string()),
        state: status.state.name().to_owned(),
        desired: status.desired.map(|digest| digest.to_string()),
        running: status.running.map(|digest| digest.to_string()),
        stage: status.stage.map(|stage| stage.name().to_owned()),
        error: status.error,
        passed_over: status.passed_over.map(|digest| digest.to_string()),
        quarantined: status
            .quarantined
            .into_iter()
            .map(|(session, why)| format!("{session}: {why}"))
            .collect(),
        limits: status.bills.iter().map(limit_report).collect(),
        calls: figures.calls,
        errors: figures.errors,
        p50_us: micros(figures.p50),
        p99_us: micros(figures.p99),
    }
}

fn limit_report(bill: &Bill) -> LimitReport {
    let rounded = |number: f64| (number * 1e3).round() / 1e3;
    LimitReport {
        limit: bill.limit.to_owned(),
        most: rounded(bill.most),
        of: rounded(bill.of),
        near: bill.near(),
    }
}

fn undo_answer(undo: &Undo) -> Value {
    let result = match &undo.result {
        Ok(done) => {
            let steps: Vec<_> = done.iter().map(|step| step.proposal.action.to_string()).collect();
            format!("undone: {}; the graph is as it was before", steps.join(", "))
        }
        Err(error) => error.to_string(),
    };
    json!({
        "action": undo.action.id,
        "what": undo.action.proposal.action.to_string(),
        "undone": undo.result.is_ok(),
        "result": result,
    })
}

/// Answers whoever asks over the control socket.
struct Operator {
    library: Arc<Library>,
    recordings: Option<Arc<Recordings>>,
    store: Arc<Store>,
    fleet: Arc<Fleet>,
    listener: Arc<dyn Listener>,
    controllers: Vec<(String, Arc<Controller>)>,
    watched: Vec<Watched>,
    policy_folder: Option<PathBuf>,
}

impl Operator {
    fn controller(&self, session: Option<&str>) -> Result<&Controller, String> {
        let names: Vec<_> = self.controllers.iter().map(|(name, _)| name.as_str()).collect();
        match (session, self.controllers.as_slice()) {
            (None, [(_, only)]) => Ok(only),
            (None, _) => Err(format!("name one of the sessions with --session: {}", names.join(", "))),
            (Some(name), all) => all
                .iter()
                .find(|(have, _)| have == name)
                .map(|(_, controller)| controller.as_ref())
                .ok_or_else(|| format!("no session is called {name:?}; there are: {}", names.join(", "))),
        }
    }
}

impl Operator {
    async fn status(&self) -> Status {
        let mut status = Status::of(&self.library, &self.watched, self.policy_folder.as_deref());
        for (session, controller) in &self.controllers {
            let halts = self.fleet.halts();
            let of_it = |halt: &&Halt| halt.session.as_deref().is_none_or(|halted| halted == session);
            let halted = halts.iter().find(of_it).map(|halt| format!("halted: {}", halt.why));
            let frozen = controller.frozen().await.map(|why| format!("frozen: {why}"));
            if let Some(one) = status.sessions.iter_mut().find(|one| one.session == *session) {
                one.stopped = halted.or(frozen);
            }
        }
        status
    }

    /// A session that runs, or the whole host.
    fn known(&self, session: Option<&str>) -> Result<(), String> {
        session.map_or(Ok(()), |name| self.controller(Some(name)).map(drop))
    }

    /// Journaled first: what is not on disk would not outlive the host.
    async fn record(&self, session: Option<&str>, event: Event) -> Result<UnixMillis, String> {
        let at = SystemClock.now();
        let record = EventRecord { at, session: session.map(Into::into), tick: 0, event };
        self.store.record(&record).await.map_err(|fault| fault.to_string())?;
        self.listener.event(&record);
        Ok(at)
    }

    async fn halt(&self, session: Option<String>, why: String) -> Result<Value, String> {
        self.known(session.as_deref())?;
        let at = self.record(session.as_deref(), Event::Halted { why: why.clone() }).await?;
        self.fleet.halt(Halt { session: session.as_deref().map(Into::into), at, why });
        Ok(json!({ "halted": session }))
    }

    async fn resume(&self, session: Option<String>, why: String) -> Result<Value, String> {
        self.known(session.as_deref())?;
        let halted = self.fleet.halts().iter().any(|halt| halt.session.as_deref() == session.as_deref());
        let frozen = match &session {
            Some(name) => self.controller(Some(name))?.frozen().await.is_some(),
            None => false,
        };
        if !halted && !frozen {
            let halts: Vec<String> = self.fleet.halts().iter().map(halt_text).collect();
            let rest = if halts.is_empty() { "nothing is halted".to_owned() } else { halts.join("; ") };
            return Err(format!("there is nothing to resume there; {rest}"));
        }
        self.record(session.as_deref(), Event::Resumed { why }).await?;
        self.fleet.resume(session.as_deref());
        if let Some(name) = &session {
            self.controller(Some(name))?.thaw().await;
        }
        Ok(json!({ "resumed": session }))
    }

    async fn approvals(&self) -> Vec<Value> {
        let mut standing = Vec::new();
        for (session, controller) in &self.controllers {
            for approval in controller.approvals().await {
                standing.push(json!({ "session": session, "approval": approval }));
            }
        }
        standing
    }

    /// The session in which that question stands.
    async fn asking(&self, id: &str) -> Result<&Controller, String> {
        for (_, controller) in &self.controllers {
            if controller.approvals().await.iter().any(|approval| approval.id == id) {
                return Ok(controller);
            }
        }
        Err(format!(
            "no question {id:?} stands; it was answered or has expired; `flyball approvals` lists those that stand"
        ))
    }
}

fn halt_text(halt: &Halt) -> String {
    match &halt.session {
        Some(session) => format!("{session} is halted: {}; `flyball resume {session}` ends it", halt.why),
        None => format!("the host is halted: {}; `flyball resume` ends it", halt.why),
    }
}

#[async_trait]
impl Answers for Operator {
    async fn answer(&self, request: Request) -> Result<Value, String> {
        match request {
            Request::Status => serde_json::to_value(self.status().await).map_err(|fault| fault.to_string()),
            Request::Plugins => {
                serde_json::to_value(plugin_reports(&self.library)).map_err(|fault| fault.to_string())
            }
            Request::Recordings => serde_json::to_value(self.recordings.as_deref().map(recordings_report))
                .map_err(|fault| fault.to_string()),
            Request::Halt { session, why } => self.halt(session, why).await,
            Request::Resume { session, why } => self.resume(session, why).await,
            Request::Approvals => Ok(self.approvals().await.into()),
            Request::Approve { id } => {
                let approval =
                    self.asking(&id).await?.approve(&id).await.map_err(|fault| fault.to_string())?;
                serde_json::to_value(approval).map_err(|fault| fault.to_string())
            }
            Request::Deny { id, why } => {
                let approval =
                    self.asking(&id).await?.deny(&id, &why).await.map_err(|fault| fault.to_string())?;
                serde_json::to_value(approval).map_err(|fault| fault.to_string())
            }
            Request::Rollback { session, count } => {
                let controller = self.controller(session.as_deref())?;
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                let undone = controller.rollback(count).await.map_err(|fault| fault.to_string())?;
                Ok(undone.iter().map(undo_answer).collect())
            }
        }
    }
}
