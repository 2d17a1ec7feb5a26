//! The running pipeline from outside: starting it, watching it, ending it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flyball_measure::Window;
use flyball_model::{
    Account, Action, ActionKind, Graph, ItemSizes, Manifest, NodeId, NodeSpec, NodeType, Observation,
    Problem, printable_path,
};
use flyball_nodes::{ItemLimits, SourceProgress, WasmNodes};
use flyball_ports::{ApplyError, DataPlane, PlaneError, Support};
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::awake::Awake;
use crate::dead_letters::DeadLetters;
use crate::intake::Intake;
use crate::ledger::Ledger;
use crate::mishaps::Mishaps;
use crate::node::{Node, Shared};
use crate::queue::Weight;
use crate::replacing::WorkerHistory;
use crate::stock::{BuiltinChild, Role, Stock, role};
use crate::tool::Tool;
use crate::topology::Topology;
use crate::worker::employ;
use crate::{check::check, observe, pulse};

/// What a pipeline is given beside its manifest.
pub struct PipelineInputs {
    /// Makes workers whose executor is wasm.
    pub wasm: Arc<dyn WasmNodes>,
    /// Runs built-in types as child processes; none: no node has a process of its own.
    pub builtin_child: Option<BuiltinChild>,
    /// Where items go that failed for good: a line of JSON each, appended (`item`, `node`, `error`, `at`), for this user alone.
    pub dead_letters: Option<PathBuf>,
    /// Times and sizes.
    pub options: PipelineOptions,
}

/// Times and sizes of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PipelineOptions {
    /// How far back observations look.
    pub window: Duration,
    /// Into how many slots the window is divided; it moves by one at a time.
    pub slots: u32,
    /// How long a worker that is to go may take to end what it has in hand; then it is killed and its items go back.
    pub patience: Duration,
    /// How long [`Pipeline::shutdown`] waits for what is on its way.
    pub drain: Duration,
    /// How long the file of dead letters may get; what fails for good then stays in flight at its node until there is room.
    pub dead_letters_most_bytes: u64,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(5),
            slots: 10,
            patience: Duration::from_secs(5),
            drain: Duration::from_secs(10),
            dead_letters_most_bytes: 256 << 20,
        }
    }
}

/// How far a pipeline is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PipelineProgress {
    /// Of its items.
    pub account: Account,
    /// Of its sources.
    pub sources: Vec<ReadProgress>,
}

/// How far a source is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReadProgress {
    /// Which.
    pub node: NodeId,
    /// Items given so far.
    pub items: u64,
    /// Items there will have been, where that is known.
    pub total: Option<u64>,
    /// From 0 to 1, for a source that has an end.
    pub fraction: Option<f64>,
    /// It gives nothing more.
    pub ended: bool,
}

/// A running pipeline. It goes on until it is shut down or dropped, also when its sources have ended.
pub struct Pipeline {
    pub(crate) running: Arc<Running>,
}

pub(crate) struct Running {
    session: Arc<str>,
    pub(crate) keep_order: bool,
    pub(crate) stock: Arc<Stock>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) shared: Arc<Shared>,
    topology: RwLock<Arc<Topology>>,
    intakes: Vec<Intake>,
    pub(crate) options: PipelineOptions,
    /// One action at a time.
    pub(crate) acting: tokio::sync::Mutex<()>,
    pub(crate) ended: AtomicBool,
    numbers: AtomicU64,
    pulse: Mutex<Option<AbortHandle>>,
    /// Whether sources may be read.
    begun: watch::Sender<bool>,
    /// Where the pipeline was started, and where all of it runs, whoever acts on it.
    runtime: Handle,
}

impl Pipeline {
    /// Checks the manifest, makes every node, and lets the items in. To be called within a tokio runtime. When it does
    /// not start, nothing of it is left running.
    pub async fn start(manifest: Manifest, parts: PipelineInputs) -> Result<Arc<Self>, Vec<Problem>> {
        let pipeline = Self::prepare(manifest, parts).await?;
        pipeline.begin();
        Ok(pipeline)
    }

    /// The same, and no source is read before [`Pipeline::begin`].
    pub async fn prepare(manifest: Manifest, parts: PipelineInputs) -> Result<Arc<Self>, Vec<Problem>> {
        let problems = check(&manifest, parts.wasm.as_ref());
        if !problems.is_empty() {
            return Err(problems);
        }
        let PipelineInputs { wasm, builtin_child, dead_letters, options } = parts;
        let letters = dead_letters.map(|path| {
            DeadLetters::open(&path, options.dead_letters_most_bytes).map_err(|error| {
                let path = printable_path(&path);
                vec![Problem::new("", format!("dead letters cannot be written to {path}: {error}"))]
            })
        });
        let mishaps = Mishaps::new(letters.transpose()?);
        let limits = item_limits(&manifest.items);
        let stock = Arc::new(Stock::new(wasm, builtin_child, limits));
        let ledger = Ledger::new(options.window / options.slots.max(2), options.slots as usize);
        let shared = Arc::new(Shared {
            ids: AtomicU64::new(1),
            mishaps,
            limits,
            weight: waiting(&manifest.items),
            stock: Arc::clone(&stock),
            awake: Awake::new(Instant::now()),
        });
        let mut running = Running {
            session: manifest.name.as_str().into(),
            keep_order: manifest.keep_order,
            stock,
            ledger,
            shared,
            topology: RwLock::new(Arc::new(Topology::new(Vec::new()))),
            intakes: Vec::new(),
            options,
            acting: tokio::sync::Mutex::new(()),
            ended: AtomicBool::new(false),
            numbers: AtomicU64::new(0),
            pulse: Mutex::new(None),
            begun: watch::Sender::new(false),
            runtime: Handle::current(),
        };
        let (tools, sources) = running.made(&manifest)?;
        running.link(&manifest);
        for (node, tools) in running.topology().nodes.iter().zip(tools) {
            node.staff(tools);
        }
        let topology = running.topology();
        for (node, source) in sources {
            if let Some(node) = topology.nodes.get(node) {
                let begun = running.begun.subscribe();
                running.intakes.push(Intake::of(node, &running.ledger, source, begun));
            }
        }
        let running = Arc::new(running);
        *running.pulse.lock() = Some(pulse::begin(&running));
        Ok(Arc::new(Self { running }))
    }

    /// Lets the sources be read.
    pub fn begin(&self) {
        self.running.begun.send_replace(true);
    }

    /// What became of every item so far.
    pub fn account(&self) -> Account {
        self.running.ledger.account()
    }

    /// Items that ended without any outcome. Always 0: anything else is a bug of the data plane, and the account does
    /// not balance then.
    pub fn lost(&self) -> u64 {
        self.running.ledger.lost()
    }

    /// How far it is.
    pub fn progress(&self) -> PipelineProgress {
        let sources = self.running.intakes.iter().map(|intake| {
            let SourceProgress { items, total, fraction } = intake.progress();
            ReadProgress { node: intake.node.id(), items, total, fraction, ended: intake.has_ended() }
        });
        PipelineProgress { account: self.account(), sources: sources.collect() }
    }

    /// Until every source has ended and nothing is on its way any more.
    pub async fn finished(&self) {
        for intake in &self.running.intakes {
            intake.ended().await;
        }
        self.running.ledger.empty().await;
    }

    /// Stops the sources. What is on its way goes on, and actions are taken as before.
    pub fn close(&self) {
        for intake in &self.running.intakes {
            intake.stop();
        }
        for node in &self.running.topology().nodes {
            node.queue.set_hurry(true);
            node.crew.hurry();
        }
    }

    /// Stops the sources, lets what is on its way arrive (for no longer than [`Options::drain`]), and stops the workers.
    /// What has not arrived then stays in flight in the account.
    pub async fn shutdown(&self) {
        let _acting = self.running.acting.lock().await;
        self.running.ended.store(true, Ordering::Release);
        self.close();
        let topology = self.running.topology();
        let _ = timeout(self.running.options.drain, self.finished()).await;
        for node in &topology.nodes {
            node.flood();
        }
        futures::future::join_all(topology.nodes.iter().map(|node| node.crew.dismiss(0, Duration::ZERO)))
            .await;
    }

    /// The processes of a node's workers, those that still run.
    pub fn worker_pids(&self, node: &str) -> Vec<u32> {
        let mut pids = Vec::new();
        if let Some(node) = self.running.topology().find(node) {
            node.crew.each(|state| pids.extend(state.pid.filter(|_| !state.is_gone())));
        }
        pids
    }

    /// Where the sources listen that take items over the network.
    pub fn addresses(&self) -> BTreeMap<NodeId, SocketAddr> {
        let at = |intake: &Intake| Some((intake.node.id(), intake.address?));
        self.running.intakes.iter().filter_map(at).collect()
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if let Some(pulse) = self.running.pulse.lock().take() {
            pulse.abort();
        }
        for intake in &self.running.intakes {
            intake.stop();
        }
        for node in &self.running.topology().nodes {
            node.flood();
            node.crew.abandon();
        }
    }
}

/// What the manifest says that an item may be.
fn item_limits(sizes: &ItemSizes) -> ItemLimits {
    ItemLimits {
        depth: sizes.depth as usize,
        encoded: (sizes.encoded_kb as usize) << 10,
        decoded: (sizes.memory_kb as usize) << 10,
    }
}

fn waiting(sizes: &ItemSizes) -> Arc<Weight> {
    Weight::new((sizes.queue_mb as usize) << 20, (sizes.pipeline_mb as usize) << 20)
}

type Made = (Vec<Vec<Tool>>, Vec<(usize, Box<dyn flyball_nodes::Source>)>);

impl Running {
    pub(crate) fn topology(&self) -> Arc<Topology> {
        Arc::clone(&self.topology.read())
    }

    /// The graph as it is seen from outside, made anew of these nodes: to be called after every change of one.
    pub(crate) fn show(&self, nodes: Vec<Arc<Node>>) {
        *self.topology.write() = Arc::new(Topology::new(nodes));
    }

    pub(crate) fn node(&self, spec: NodeSpec, retries: u32) -> Arc<Node> {
        let PipelineOptions { window, slots, .. } = self.options;
        let window = Window::new(Instant::now(), window / slots.max(2), slots as usize);
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let role = role(&spec.node_type);
        Node::new(number, role, retries, spec, self.keep_order, window, Arc::clone(&self.shared))
    }

    /// Makes the workers and the sources of every node before anything runs.
    fn made(&mut self, manifest: &Manifest) -> Result<Made, Vec<Problem>> {
        let mut problems = Vec::new();
        let (mut nodes, mut tools, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        for (index, declared) in manifest.nodes.iter().enumerate() {
            let spec = declared.spec();
            let mut fault = |error| problems.push(Problem::new(format!("/nodes/{index}"), error));
            if role(&spec.node_type) == Role::Source {
                match self.stock.source(&spec) {
                    Ok(source) => sources.push((index, source)),
                    Err(error) => fault(error),
                }
                tools.push(Vec::new());
            } else {
                match self.stock.tools(&spec) {
                    Ok(made) => tools.push(made),
                    Err(error) => fault(error),
                }
            }
            nodes.push(self.node(spec, declared.retries));
        }
        self.show(nodes);
        if problems.is_empty() { Ok((tools, sources)) } else { Err(problems) }
    }

    fn link(&self, manifest: &Manifest) {
        let topology = self.topology();
        for node in &topology.nodes {
            let id = node.id();
            let edges = manifest.connections.iter().filter(|edge| edge.from == id);
            node.lead_to(edges.filter_map(|edge| topology.find(&edge.to)).cloned().collect());
        }
        self.show(topology.nodes.clone());
    }
}

impl Node {
    pub(crate) fn staff(self: &Arc<Self>, tools: Vec<Tool>) {
        for tool in tools {
            let history = Arc::new(Mutex::new(WorkerHistory::new(Instant::now())));
            self.crew.add(employ(self, tool, history));
        }
    }
}

#[async_trait]
impl DataPlane for Pipeline {
    fn session(&self) -> &str {
        &self.running.session
    }

    async fn observe(&self) -> Result<Observation, PlaneError> {
        let running = &self.running;
        Ok(observe::observe(
            &running.session,
            &running.topology(),
            &running.ledger,
            &running.shared.mishaps,
            running.options.window,
        ))
    }

    async fn graph(&self) -> Result<Arc<Graph>, PlaneError> {
        Ok(Arc::clone(&self.running.topology().graph))
    }

    fn support(&self) -> Vec<Support> {
        // What a reading looks back on must lie behind the change, whatever it was.
        let window = u64::try_from(self.running.options.window.as_millis()).unwrap_or(u64::MAX);
        let settle = |kind| if kind == ActionKind::NoOp { 0 } else { window };
        ActionKind::ALL.map(|kind| Support::live(kind, settle(kind))).to_vec()
    }

    fn reading_window(&self) -> Duration {
        self.running.options.window
    }

    fn node_types(&self) -> Arc<[NodeType]> {
        self.running.stock.types()
    }

    async fn apply(&self, action: &Action) -> Result<(), ApplyError> {
        let (running, action) = (Arc::clone(&self.running), action.clone());
        // In a task of its own: a caller that gives up waiting must not leave an action half done. And where the pipeline
        // runs: the workers that it makes must not run among those who watch over them.
        let runtime = running.runtime.clone();
        runtime
            .spawn(async move { running.apply(action).await })
            .await
            .unwrap_or_else(|error| Err(ApplyError::Failed(format!("the action broke off: {error}"))))
    }
}
