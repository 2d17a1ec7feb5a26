//! What a host is made of.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flyball_engine::{Engine, PolicySource};
use flyball_model::{ControllerSection as ControllerSettings, Manifest};
use flyball_pipeline::BuiltinChild;
use flyball_ports::{Clock, DataPlane, Listener, SystemClock};
use flyball_store::RecordingsOptions;

use crate::error::HostError;
use crate::host::Host;
use crate::library::Folders;
use crate::state_dir::StateDir;
use crate::threads::Threads;
use crate::webhook::Webhook;

/// A pipeline that is to be watched.
pub(crate) enum Given {
    /// An embedded pipeline, by its file.
    File(PathBuf),
    /// An embedded pipeline.
    Manifest(Box<Manifest>),
    /// What another data plane runs.
    Plane(Arc<dyn DataPlane>, ControllerSettings),
}

/// Says what a host is made of, and starts it. Without more than a state directory it judges by the built-in policy, keeps
/// what it does and records calls, and watches nothing yet.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use flyball_host::{Host, Threads};
///
/// let threads = Threads::start()?;
/// let host = Host::builder("state").policies("policies").manifest_file("pipeline.yaml").start(&threads).await?;
/// host.finished().await;
/// let report = host.stop().await;
/// # Ok(()) }
/// ```
pub struct HostBuilder {
    pub(crate) state: StateDir,
    pub(crate) folders: Folders,
    pub(crate) policies: Option<PolicySource>,
    pub(crate) engine: Option<Engine>,
    pub(crate) given: Vec<Given>,
    pub(crate) listeners: Vec<Arc<dyn Listener>>,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) recordings: Option<RecordingsOptions>,
    pub(crate) dead_letters: Option<PathBuf>,
    pub(crate) options: flyball_pipeline::PipelineOptions,
    pub(crate) drain: Duration,
    pub(crate) child: Option<BuiltinChild>,
    pub(crate) answer_within: Duration,
    pub(crate) dry_run: bool,
    pub(crate) watch: bool,
    pub(crate) control_socket: bool,
    pub(crate) hear_signals: bool,
    pub(crate) ticks_by_hand: bool,
}

impl HostBuilder {
    pub(crate) fn new(state: StateDir) -> Self {
        Self {
            state,
            folders: Folders::default(),
            policies: None,
            engine: None,
            given: Vec::new(),
            listeners: Vec::new(),
            webhook: None,
            clock: Arc::new(SystemClock),
            recordings: Some(RecordingsOptions::default()),
            dead_letters: None,
            options: flyball_pipeline::PipelineOptions::default(),
            drain: Duration::from_secs(10),
            child: None,
            answer_within: flyball_control::LoopOptions::default().answer_within,
            dry_run: false,
            watch: true,
            control_socket: false,
            hear_signals: false,
            ticks_by_hand: false,
        }
    }

    /// Judges by the policies of this directory, which is watched.
    #[must_use]
    pub fn policies(mut self, dir: impl AsRef<Path>) -> Self {
        self.folders.policies = Some(dir.as_ref().to_owned());
        self
    }

    /// Judges by these policies, whatever [`HostBuilder::policies`] says.
    #[must_use]
    pub fn policy_source(mut self, policies: PolicySource) -> Self {
        self.policies = Some(policies);
        self
    }

    /// Plugins of one's own lie in this directory, which is watched.
    #[must_use]
    pub fn plugins(mut self, dir: impl AsRef<Path>) -> Self {
        self.folders.plugins = Some(dir.as_ref().to_owned());
        self
    }

    /// Both directories.
    #[must_use]
    pub fn folders(mut self, folders: Folders) -> Self {
        self.folders = folders;
        self
    }

    /// Runs plugins by this engine, which others may use too. What such a host's plugins keep is not kept, and their calls are
    /// not recorded, as both are an engine's own.
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Runs the pipeline of this manifest, and watches it.
    #[must_use]
    pub fn manifest_file(mut self, file: impl AsRef<Path>) -> Self {
        self.given.push(Given::File(file.as_ref().to_owned()));
        self
    }

    /// Runs this pipeline, and watches it.
    #[must_use]
    pub fn manifest(mut self, manifest: Manifest) -> Self {
        self.given.push(Given::Manifest(Box::new(manifest)));
        self
    }

    /// Watches what this data plane runs.
    #[must_use]
    pub fn plane(mut self, plane: Arc<dyn DataPlane>, settings: ControllerSettings) -> Self {
        self.given.push(Given::Plane(plane, settings));
        self
    }

    /// Tells this, at once and in the loop's own time, so it must not block. Whoever may be slow reads
    /// [`Host::events`] instead.
    #[must_use]
    pub fn listener(mut self, listener: Arc<dyn Listener>) -> Self {
        self.listeners.push(listener);
        self
    }

    /// Posts notices to people there.
    #[must_use]
    pub fn webhook(mut self, webhook: Option<Webhook>) -> Self {
        self.webhook = webhook;
        self
    }

    /// What the time is; else the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Which calls of judges are recorded; none: none.
    #[must_use]
    pub fn recordings(mut self, options: Option<RecordingsOptions>) -> Self {
        self.recordings = options;
        self
    }

    /// Where items go that failed for good; else into the state directory.
    #[must_use]
    pub fn dead_letters(mut self, file: Option<PathBuf>) -> Self {
        self.dead_letters = file;
        self
    }

    /// Times and sizes of embedded pipelines.
    #[must_use]
    pub fn pipeline_options(mut self, options: flyball_pipeline::PipelineOptions) -> Self {
        self.options = options;
        self
    }

    /// How long what is on its way may take to arrive when the host stops.
    #[must_use]
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// The program that runs built-in node types as processes of their own: `flyball node`. Without it, manifests whose nodes
    /// want the executor `multiprocess` for a built-in type are refused. A host with it adopts, ends and reaps what its
    /// children leave behind.
    #[must_use]
    pub fn node_program(mut self, child: BuiltinChild) -> Self {
        self.child = Some(child);
        self
    }

    /// How long a tick waits for its deciders before it leaves them thinking.
    #[must_use]
    pub fn answer_within(mut self, limit: Duration) -> Self {
        self.answer_within = limit;
        self
    }

    /// Does nothing that changes a pipeline, whatever policies say.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Whether policies and plugins are watched, and replaced while the host runs; they are unless this says no.
    #[must_use]
    pub fn watch(mut self, watch: bool) -> Self {
        self.watch = watch;
        self
    }

    /// Whether `flyball status`, `halt` and the like can ask this host by a socket in its state directory.
    #[must_use]
    pub fn control_socket(mut self, open: bool) -> Self {
        self.control_socket = open;
        self
    }

    /// Signals that ask the program to stop are counted by [`Threads::asked`] from when the host can be stopped, and do not end
    /// the program at once.
    #[must_use]
    pub fn hear_signals(mut self, hear: bool) -> Self {
        self.hear_signals = hear;
        self
    }

    /// Nothing ticks by itself: whoever embeds the host calls [`Controller::tick`](flyball_control::Controller::tick), as
    /// where time is simulated.
    #[must_use]
    pub fn ticks_by_hand(mut self, by_hand: bool) -> Self {
        self.ticks_by_hand = by_hand;
        self
    }

    /// Starts everything, or nothing.
    ///
    /// # Errors
    ///
    /// Another host has the state directory, or a manifest, policy or plugin is wrong.
    pub async fn start(self, threads: &Threads) -> Result<Host, HostError> {
        Host::start(self, threads).await
    }
}

impl std::fmt::Debug for HostBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostBuilder").field("state", &self.state).finish_non_exhaustive()
    }
}
