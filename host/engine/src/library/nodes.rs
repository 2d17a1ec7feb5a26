//! Plugins of kind `node`: pipeline nodes that a library makes workers for.
//!
//! A worker's calls run on threads of their own ([`crate::pool`]), so that a component that loops holds up no tick, and what
//! its calls come to is kept as it is for judges: all workers of one session's node with one configuration share what was
//! used beside each limit and the failures in a row. After five of those the component is in quarantine: items given to it
//! fail at once with that reason, so that neither they nor the end of a run wait for a component that does not answer.
//!
//! A session's policy that asks for signers asks for them of its nodes' components as well.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use flyball_model::{Executor, Limits, NodeOffer, NodeType, PluginKind, PluginUse, Problem, Reach};
use flyball_ports::ItemBytes;
use parking_lot::Mutex;
use serde_json::Value;

use super::Library;
use super::bind::{signers, vouched};
use super::generation::{Serving, nearest};
use crate::health::Health;
use crate::pool::Owner;
use crate::signature::SignatureError;
use crate::{CallError, LimitUsage, LoadError, MetricSink, Plugin, PluginJudge, ProcessedBytes};

/// How often, and after which pause, a call is tried for which the engine has no room.
const ROOM_TRIES: u32 = 100;
const ROOM_PAUSE: Duration = Duration::from_millis(20);

/// What a call of a node may use.
fn limits() -> Limits {
    Limits { time_ms: 1_000, output_kb: 4_096, ..Limits::default() }
}

/// A node worker that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// No node plugin has that name.
    #[error("no plugin of kind node is called {name:?}")]
    Unknown {
        /// The name.
        name: String,
    },
    /// Its configuration is no object.
    #[error("the configuration of {name:?} is not an object")]
    NotAnObject {
        /// The plugin's name.
        name: String,
    },
    /// Its configuration is wrong.
    #[error(
        "the configuration of {name:?} is wrong: {}",
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Configuration {
        /// The plugin's name.
        name: String,
        /// What is wrong; pointers lead into the configuration.
        problems: Vec<Problem>,
    },
    /// It wants more than a node is given.
    #[error("{name:?} cannot be a node: {error}")]
    NotGranted {
        /// The plugin's name.
        name: String,
        /// What it wants.
        error: Box<LoadError>,
    },
    /// No signer of the session's policy vouches for it.
    #[error(
        "{name:?} may not be a node of {session}, whose policy asks for signers: {error}; sign it with a signer's key: \
         `flyball sign {name}.wasm --key KEY`"
    )]
    Unsigned {
        /// The plugin's name.
        name: String,
        /// The session.
        session: String,
        /// Why not.
        error: SignatureError,
    },
    /// It failed at looking at its configuration.
    #[error("{name:?} failed at checking its configuration: {error}")]
    Failed {
        /// The plugin's name.
        name: String,
        /// How.
        error: CallError,
    },
}

/// By name, digest and configuration.
type Uses = BTreeMap<(String, Arc<str>, String), Weak<Health>>;

/// Where nodes run, and how they fare.
#[derive(Debug)]
pub(super) struct Nodes {
    threads: Owner,
    uses: Mutex<Uses>,
}

impl Nodes {
    pub(super) fn new() -> Self {
        Self { threads: Owner::new(), uses: Mutex::default() }
    }

    /// What all workers of this component with this configuration share.
    fn health(&self, plugin: &Plugin, used: &PluginUse) -> Arc<Health> {
        let id = plugin.id();
        let settings = serde_json::to_string(&used.settings).unwrap_or_default();
        let mut uses = self.uses.lock();
        uses.retain(|_, health| health.strong_count() > 0);
        let shared = uses.entry((id.name.to_string(), Arc::clone(&id.digest), settings)).or_default();
        shared.upgrade().unwrap_or_else(|| {
            let made = Arc::new(Health::default());
            *shared = Arc::downgrade(&made);
            made
        })
    }

    /// The sessions in which a plugin is not asked at present and why, and the most that its calls used of each limit.
    pub(super) fn fares(&self, name: &str) -> (Vec<(Arc<str>, String)>, Vec<LimitUsage>) {
        let uses = self.uses.lock();
        let shared: Vec<Arc<Health>> = uses
            .iter()
            .filter(|((of, ..), _)| of == name)
            .filter_map(|(_, health)| health.upgrade())
            .collect();
        let now = Instant::now();
        let quarantined = shared.iter().flat_map(|health| health.quarantine(now)).collect();
        (quarantined, nearest(shared.iter().flat_map(|health| health.bills(limits()))))
    }
}

/// A worker of a node. It takes over a new version of its plugin between two batches.
#[derive(Debug)]
pub struct NodeWorker {
    library: Arc<Library>,
    asked: Arc<Mutex<Asked>>,
}

/// What a call on another thread needs.
#[derive(Debug)]
struct Asked {
    session: Arc<str>,
    name: String,
    used: PluginUse,
    judge: PluginJudge,
    /// A newer version that this node cannot take; it is not tried again.
    refused: Option<Arc<str>>,
    /// Where its own numbers go.
    metrics: Option<MetricSink>,
}

impl Library {
    /// The node types that plugins bring.
    pub fn node_types(&self) -> Vec<NodeType> {
        let generation = self.serving();
        let nodes = generation.plugins.values().filter(|one| one.plugin.kind() == PluginKind::Node);
        nodes.map(|serving| node_type(&serving.plugin)).collect()
    }

    /// A worker of this type for a session's node, configured like this. Asks the component to check the configuration, so it
    /// is not for an async thread.
    ///
    /// # Errors
    ///
    /// There is no such type, the session's policy asks for a signature that it does not have, or the configuration does not
    /// suit it.
    pub fn node_worker(
        self: &Arc<Self>,
        session: &str,
        node_type: &str,
        config: &Value,
    ) -> Result<NodeWorker, WorkerError> {
        let name = node_type.to_owned();
        let serving = self.node_plugin(&name).ok_or_else(|| WorkerError::Unknown { name: name.clone() })?;
        let Value::Object(settings) = config else { return Err(WorkerError::NotAnObject { name }) };
        let used = PluginUse {
            plugin: name.clone(),
            settings: settings.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            limits: limits(),
            grants: Default::default(),
            on_failure: Default::default(),
        };
        let judge = self.configured(session, &name, serving, &used)?;
        let asked = Asked { session: session.into(), name, used, judge, refused: None, metrics: None };
        Ok(NodeWorker { library: Arc::clone(self), asked: Arc::new(Mutex::new(asked)) })
    }

    /// Of which kind the plugin of that name is.
    pub fn plugin_kind(&self, name: &str) -> Option<PluginKind> {
        self.serving().plugins.get(name).map(|serving| serving.plugin.kind())
    }

    fn node_plugin(&self, name: &str) -> Option<Serving> {
        let generation = self.serving();
        let serving = generation.plugins.get(name)?;
        (serving.plugin.kind() == PluginKind::Node).then(|| serving.clone())
    }

    fn configured(
        &self,
        session: &str,
        name: &str,
        serving: Serving,
        used: &PluginUse,
    ) -> Result<PluginJudge, WorkerError> {
        self.check_signers(session, name, &serving)?;
        let judge = PluginJudge::new(serving.plugin, used, 0)
            .map_err(|error| WorkerError::NotGranted { name: name.to_owned(), error: Box::new(error) })?;
        let problems = judge
            .plugin()
            .check_settings(judge.settings(), used.limits)
            .map_err(|error| WorkerError::Failed { name: name.to_owned(), error })?;
        if problems.is_empty() {
            let health = self.nodes.health(judge.plugin(), used);
            return Ok(judge.sharing(health));
        }
        Err(WorkerError::Configuration { name: name.to_owned(), problems })
    }

    /// What the policy of the session asks of judges, it asks of nodes.
    fn check_signers(&self, session: &str, name: &str, serving: &Serving) -> Result<(), WorkerError> {
        let Some(bound) = self.serving().judges(session) else { return Ok(()) };
        // Keys that are none were refused with the policy.
        let (Some(signers), _) = signers(&bound.policy.signers) else { return Ok(()) };
        vouched(serving, &signers).map_err(|error| WorkerError::Unsigned {
            name: name.to_owned(),
            session: session.to_owned(),
            error,
        })
    }
}

impl NodeWorker {
    /// Processes a batch in one fresh instance, on a thread that is there for nodes: one answer for each item, in their order.
    /// A future that is dropped leaves a call that is under way to its limits.
    ///
    /// # Errors
    ///
    /// The call failed as a whole; no item was answered.
    pub async fn process(&mut self, items: Vec<ItemBytes>) -> Result<Vec<ProcessedBytes>, CallError> {
        let items: Arc<[ItemBytes]> = items.into();
        for _ in 0..ROOM_TRIES {
            match self.once(&items).await {
                // What merely waits for room did not fail.
                Err(CallError::Busy { .. }) => tokio::time::sleep(ROOM_PAUSE).await,
                answer => return answer,
            }
        }
        self.once(&items).await
    }

    /// Where the numbers go that it reports of itself, also those of a newer version of its plugin.
    pub fn report_to(&self, sink: MetricSink) {
        let mut asked = self.asked.lock();
        asked.judge.report_to(sink.clone());
        asked.metrics = Some(sink);
    }

    async fn once(&self, items: &Arc<[ItemBytes]>) -> Result<Vec<ProcessedBytes>, CallError> {
        let (library, asked, items) = (Arc::clone(&self.library), Arc::clone(&self.asked), Arc::clone(items));
        let threads = self.library.nodes.threads.pool();
        let answer = threads.run(move || asked.lock().process(&library, &items)).await;
        answer.unwrap_or_else(|| Err(CallError::Busy { why: "the machine gives it no thread".to_owned() }))
    }
}

impl Asked {
    fn process(
        &mut self,
        library: &Library,
        items: &Arc<[ItemBytes]>,
    ) -> Result<Vec<ProcessedBytes>, CallError> {
        self.take_newest(library);
        self.judge.process_for(&self.session, items)
    }

    fn take_newest(&mut self, library: &Library) {
        let Some(newest) = library.node_plugin(&self.name) else { return };
        let digest = Arc::clone(newest.digest());
        if digest == self.judge.plugin().id().digest || self.refused.as_ref() == Some(&digest) {
            return;
        }
        match library.configured(&self.session, &self.name, newest, &self.used) {
            Ok(judge) => {
                self.judge = judge;
                if let Some(sink) = &self.metrics {
                    self.judge.report_to(sink.clone());
                }
            }
            Err(error) => {
                tracing::warn!(session = &*self.session, %error, "the node goes on with the version that it has");
                self.refused = Some(digest);
            }
        }
    }
}

fn node_type(plugin: &Plugin) -> NodeType {
    let description = plugin.description();
    NodeType {
        name: description.name.clone(),
        summary: description.summary.clone(),
        provides: vec![description.name.clone()],
        offers: vec![NodeOffer { executor: Executor::Wasm, relative_speed: None, relative_cost: None }],
        config_schema: Some(description.settings_schema.clone()),
        // A component is given nothing that it could reach outside with.
        reach: Reach::Pure,
    }
}
