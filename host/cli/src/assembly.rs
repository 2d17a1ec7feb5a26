//! Puts a host together: library, journal, pipelines, controllers, control socket; and takes it apart again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use flyball_control::{Controller, Fleet, Options};
use flyball_documents::{Source, locate, policy_for, read_manifest, unmatched_nodes};
use flyball_engine::{
    Bill, Engine, EngineOptions, Library, LibraryOptions, OpenError, PluginStatus, PolicySource, Reload,
    Trouble, Versions,
};
use flyball_model::{EventRecord, Halt, Manifest, UnixMillis, printable_path};
use flyball_pipeline::{BuiltinChild, Parts, Pipeline};
use flyball_ports::{Clock, Journal as _, Judges, Keeper, Listener, SystemClock};
use flyball_store::{PluginStates, QuietTicks, Recordings, RecordingsOptions, Store, Which};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::args::{Judging, Notify, Record, Recording};
use crate::coverage::{Status, Warning, Watched};
use crate::exit::Failure;
use crate::files;
use crate::halt_reserve::{self, HaltReserve};
use crate::hearing::Hearing;
use crate::narrator::{Both, Narrator};
use crate::operator::{Operator, halt_text};
use crate::report::{LimitReport, PluginReport, Recorder, RecordingsReport, ReloadReport, Report};
use crate::state_dir::{HeldDir, StateDir};
use crate::threads::Threads;
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
    pub(crate) dead_letters_max_mb: u64,
    /// How long what is on its way may take to arrive at the end.
    pub(crate) drain: Duration,
    /// Which calls of judges are recorded.
    pub(crate) recording: Recording,
    /// Nothing is done that changes a pipeline.
    pub(crate) dry_run: bool,
    pub(crate) notify: Notify,
    pub(crate) narrator: Arc<Narrator>,
    /// Signals that ask the program to stop are counted from when something runs, and do not end it at once.
    pub(crate) hear_signals: bool,
}

/// How long each part of a host that ends is waited for, once what was on its way had its time.
const STOPPING: Duration = Duration::from_secs(10);

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
    /// What people are heard by.
    hearing: JoinHandle<()>,
    dir: Arc<HeldDir>,
    /// Ends what a killed supervisor of a child leaves behind.
    _adopting: flyball_nodes::Adopting,
}

/// One pipeline under control.
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) controller: Arc<Controller>,
    controlling: JoinHandle<()>,
}

/// The WebAssembly engine, with its cache of compiled plugins in the state directory; without one where there is no such
/// directory, as whoever only looks at something makes none.
pub(crate) fn open_engine(state: &StateDir) -> Result<Engine> {
    open_engine_with(state, None, None)
}

/// One that records its calls and keeps what plugins keep, as a run's does.
fn open_engine_with(
    state: &StateDir,
    keeper: Option<Arc<dyn Keeper>>,
    recordings: Option<&Arc<Recordings>>,
) -> Result<Engine> {
    let recorder = recordings.map(|recordings| recordings.clone() as Arc<dyn flyball_ports::Recorder>);
    let cache_dir = state.path().is_dir().then(|| state.compiled());
    let options = EngineOptions { cache_dir, keeper, recorder, ..EngineOptions::default() };
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
    let source = files::document(file)?;
    let manifest = read_manifest(&source)?;
    let problems = flyball_pipeline::check(
        &manifest,
        &LibraryNodes { library: library.clone(), session: manifest.name.clone() },
    );
    if problems.is_empty() { Ok(manifest) } else { Err(locate(&source, problems).into()) }
}

impl Host {
    /// Starts everything, or nothing. First of all the state directory is had, so that a second host does nothing; then all that
    /// may be wrong is looked at; and only when the host can be stopped does a source read its first item.
    pub(crate) async fn start(plan: Plan, threads: &Threads) -> Result<Self, Failure> {
        let dir = Arc::new(plan.state.hold()?);
        let kept = Kept::open(&plan, &dir)?;
        let manifests = open_manifests(&plan.manifests, &kept.library)?;
        let recorder = Arc::new(Recorder::default());
        let fleet = kept.fleet(&plan.narrator).await?;
        let listener = listener(&plan, &recorder, &kept)?;
        let hearing = Hearing::open(dir.clone(), threads).await?;
        if plan.hear_signals {
            threads.hear_signals();
        }
        let (stop, stopped) = watch::channel(false);
        let common = Common {
            library: kept.library.clone(),
            store: kept.store.clone(),
            listener: listener.clone(),
            fleet: fleet.clone(),
            dry_run: plan.dry_run,
            dead_letters: plan.dead_letters.clone(),
            dead_letters_max_mb: plan.dead_letters_max_mb,
            stopped,
        };
        let watched: Vec<Watched> = manifests.iter().map(|(_, manifest)| Watched::of(manifest)).collect();
        let adopting = flyball_nodes::adopt_orphans().context("cannot learn when processes end")?;
        let mut made = Vec::new();
        for (file, manifest) in manifests {
            tell_unmatched(&manifest, &kept.library, &plan.narrator);
            made.push(make_session(file, manifest, &common, threads).await?);
        }
        for warning in Status::of(&kept.library, &watched, &plan.judging).warnings {
            plan.narrator.warn(&warning);
        }
        let run = kept.store.begin_run().await.context("cannot write to the journal")?;
        let sessions: Vec<Session> = made.into_iter().map(|made| made.start(&common, threads)).collect();
        let operator = Operator {
            watched,
            judging: plan.judging.clone(),
            library: kept.library.clone(),
            recordings: kept.recordings.clone(),
            store: kept.store.clone(),
            fleet: fleet.clone(),
            listener: listener.clone(),
            controllers: sessions.iter().map(|one| (one.name.clone(), one.controller.clone())).collect(),
            ticks: threads.ticks().clone(),
        };
        // Whoever could not reach this host while it started has left a halt in its journal.
        for halt in kept.halts().await? {
            fleet.halt(halt);
        }
        kept.library.watch().context("cannot watch the policies and plugins")?;
        // From here on nothing can fail: whoever is answered is answered by a host that has started.
        let hearing = hearing.begin(operator);
        let telling_reloads = threads.data().spawn(tell_reloads(kept.library.clone(), plan.narrator.clone()));
        for session in &sessions {
            session.pipeline.begin();
        }
        Ok(Self {
            sessions,
            library: kept.library,
            recorder,
            recordings: kept.recordings,
            states: kept.states,
            quiet: kept.quiet,
            store: kept.store,
            run,
            started: SystemClock.now(),
            drain: plan.drain,
            stop,
            telling_reloads,
            hearing,
            dir,
            _adopting: adopting,
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
        let shutting = futures::future::join_all(self.sessions.iter().map(|one| one.pipeline.shutdown()));
        if tokio::time::timeout(STOPPING, shutting).await.is_err() {
            tracing::error!("a pipeline did not stop in time; what it holds stays in flight");
        }
        // Whoever listens for it may be gone already.
        let _ = self.stop.send(true);
        let mut reports = Vec::new();
        for session in self.sessions {
            match tokio::time::timeout(STOPPING, session.controlling).await {
                Ok(Ok(())) => {}
                Ok(Err(fault)) => tracing::error!(%fault, session = session.name, "the controller broke off"),
                Err(_) => tracing::error!(session = session.name, "the controller did not stop in time"),
            }
            reports.push(self.recorder.session(
                &session.name,
                &session.manifest.display().to_string(),
                session.pipeline.account(),
            ));
        }
        self.telling_reloads.abort();
        match tokio::time::timeout(STOPPING, self.store.end_run(self.run)).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::error!(%fault, "the journal does not know that the run ended"),
            Err(_) => tracing::error!("the journal does not answer, and does not know that the run ended"),
        }
        let journal = tokio::time::timeout(STOPPING, self.store.chain_end()).await.ok().and_then(Result::ok);
        self.hearing.abort();
        self.dir.leave();
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
            journal,
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

pub(crate) fn recordings_report(recordings: &Recordings) -> RecordingsReport {
    let status = recordings.status();
    RecordingsReport { written: status.written, dropped: status.dropped, trouble: status.trouble }
}

/// A guard of the policy that names no node of the session looks like one that holds.
fn tell_unmatched(manifest: &Manifest, library: &Library, narrator: &Narrator) {
    let policies = library.policies();
    // Two that claim a session equally are told by the library.
    let Ok(Some(policy)) = policy_for(policies.iter(), &manifest.name) else { return };
    for problem in unmatched_nodes(policy, manifest.nodes.iter().map(|node| node.id.as_str())) {
        let message = format!("{}: policy {}: {problem}", manifest.name, policy.name);
        narrator.warn(&Warning::new("no-such-node", message));
    }
}

/// What every session of a host is given.
struct Common {
    library: Arc<Library>,
    store: Arc<Store>,
    listener: Arc<dyn Listener>,
    fleet: Arc<Fleet>,
    dry_run: bool,
    dead_letters: PathBuf,
    dead_letters_max_mb: u64,
    stopped: watch::Receiver<bool>,
}

/// A session of which nothing runs yet.
struct Made {
    name: String,
    manifest: PathBuf,
    pipeline: Arc<Pipeline>,
    controller: Arc<Controller>,
}

async fn make_session(
    file: PathBuf,
    manifest: Manifest,
    common: &Common,
    threads: &Threads,
) -> Result<Made, Failure> {
    let name = manifest.name.clone();
    let interval = Duration::from_millis(manifest.controller.observation_interval_ms);
    common.library.register(&name, manifest.controller.clone());
    let parts = Parts {
        wasm: Arc::new(LibraryNodes { library: common.library.clone(), session: name.clone() }),
        builtin_child: this_program_as_a_node()?,
        dead_letters: Some(common.dead_letters.clone()),
        // The host waits for what is on its way, while it is still controlled.
        options: flyball_pipeline::Options {
            drain: Duration::ZERO,
            dead_letters_most_bytes: common.dead_letters_max_mb << 20,
            ..flyball_pipeline::Options::default()
        },
    };
    let making = threads.data().spawn(Pipeline::prepare(manifest, parts));
    let pipeline = making.await.map_err(anyhow::Error::from)?.map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{} cannot start: {}", printable_path(&file), problems.join("; "))
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
    Ok(Made { name, manifest: file, pipeline, controller })
}

impl Made {
    fn start(self, common: &Common, threads: &Threads) -> Session {
        let Self { name, manifest, pipeline, controller } = self;
        let controlling = threads.ticks().spawn({
            let (controller, mut stopped) = (controller.clone(), common.stopped.clone());
            // A sender that is gone means that the host is.
            async move { controller.run(async move { drop(stopped.wait_for(|stop| *stop).await) }).await }
        });
        Session { name, manifest, pipeline, controller, controlling }
    }
}

/// What a host keeps and judges by, before any of it is used.
struct Kept {
    recordings: Option<Arc<Recordings>>,
    states: Arc<PluginStates>,
    quiet: Arc<QuietTicks>,
    library: Arc<Library>,
    store: Arc<Store>,
    /// Halts that the journal of an earlier host did not take.
    left: Vec<EventRecord>,
}

impl Kept {
    fn open(plan: &Plan, dir: &HeldDir) -> Result<Self, Failure> {
        let versions = Versions::open(&plan.state.versions()).context("cannot keep versions of plugins")?;
        let recordings = open_recordings(&plan.state, &plan.recording)?;
        let states = PluginStates::open(plan.state.path()).context("cannot keep what plugins keep")?;
        let states = Arc::new(states);
        let engine = open_engine_with(&plan.state, Some(states.clone()), recordings.as_ref())?;
        let library = library_of(policies(&plan.judging), plan.judging.plugins.clone(), engine, versions)?;
        let store = Arc::new(Store::open(plan.state.path()).context("cannot open the journal")?);
        let quiet = QuietTicks::start(plan.state.path()).context("cannot keep quiet ticks")?;
        let (_, left) = HaltReserve::open(&dir.path().join(halt_reserve::NAME))?;
        Ok(Self { recordings, states, quiet: Arc::new(quiet), library, store, left })
    }

    async fn halts(&self) -> Result<Vec<Halt>> {
        self.store.halts().await.map_err(|error| anyhow!(error)).context("cannot read the journal")
    }

    /// What the sessions share, with the halts that are in force.
    async fn fleet(&self, narrator: &Narrator) -> Result<Arc<Fleet>, Failure> {
        for halt in &self.left {
            let taken = self.store.record(halt).await.map_err(|error| anyhow!(error));
            taken.context(
                "the journal does not take a halt that an earlier host left; make room on its disk",
            )?;
        }
        let halts = self.halts().await?;
        for halt in &halts {
            narrator.say(&halt_text(halt));
        }
        let learned =
            self.store.learned().await.map_err(|error| anyhow!(error)).context("cannot read the journal")?;
        Ok(Fleet::with_learned(halts, learned))
    }
}

fn open_manifests(files: &[PathBuf], library: &Arc<Library>) -> Result<Vec<(PathBuf, Manifest)>, Failure> {
    let mut manifests = Vec::new();
    for file in files {
        let manifest = open_manifest(file, library)?;
        if manifests.iter().any(|(_, other): &(_, Manifest)| other.name == manifest.name) {
            return Err(anyhow!(
                "{}: another manifest's session is called {:?} too; give each its own `name`",
                printable_path(file),
                manifest.name
            )
            .into());
        }
        manifests.push((file.clone(), manifest));
    }
    Ok(manifests)
}

/// Whoever is told what happens.
fn listener(plan: &Plan, recorder: &Arc<Recorder>, kept: &Kept) -> Result<Arc<dyn Listener>> {
    let told = Arc::new(Both(recorder.clone(), Arc::new(Both(plan.narrator.clone(), kept.quiet.clone()))));
    Ok(match Webhook::open(&plan.notify, kept.store.clone())? {
        Some(webhook) => Arc::new(Both(told, Arc::new(webhook))),
        None => told,
    })
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
    let changed = reload.changes.iter().map(ToString::to_string);
    let troubled = reload.troubles.iter().map(|trouble| trouble.subject.to_string());
    ReloadReport {
        at: reload.at,
        what: changed.chain(troubled).collect(),
        generation: reload.generation,
        sessions: reload.sessions.clone(),
        took_ms: millis(reload.took),
        stages_ms: reload
            .stages
            .iter()
            .map(|(stage, took)| (stage.name().to_owned(), millis(*took)))
            .collect(),
        errors: reload.troubles.iter().map(trouble_text).collect(),
    }
}

fn trouble_text(trouble: &Trouble) -> String {
    format!("{} at stage {}: {}", trouble.subject, trouble.stage, trouble.error)
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
