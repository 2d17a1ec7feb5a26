//! What the loop needs of the rest of the house: a data plane to watch and change, judges to ask, a journal to keep.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_model::{
    Action, ActionKind, ActionRecord, Assessment, Cost, Decision, EventRecord, Finding, GraphSpec, Halt,
    History, Learned, NodeType, Observation, OnFailure, Outcome, PastAction, PluginId, Proposal, Reversal,
    Rule, Rules, TickRecord, Turn, UnixMillis, Verdict,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A running pipeline: what the loop watches and changes.
#[async_trait]
pub trait DataPlane: Send + Sync {
    /// The session's name.
    fn session(&self) -> &str;

    /// What is seen now. The loop numbers the ticks: `tick` is set by it.
    async fn observe(&self) -> Result<Observation, PlaneError>;

    /// The graph as it is configured now.
    fn graph(&self) -> GraphSpec;

    /// The kinds of action that the data plane supports, and how each behaves. What is not here is never offered.
    fn support(&self) -> Vec<Support>;

    /// How far back one reading looks. Readings that are less than this apart rest on the same samples, so that they
    /// count as one. Zero: each reading stands for itself.
    fn reading_window(&self) -> Duration;

    /// The node types that the data plane itself offers.
    fn node_types(&self) -> Vec<NodeType>;

    /// Does it. Returns when the data plane has taken it; whether it helped is seen later.
    async fn apply(&self, action: &Action) -> Result<(), ApplyError>;
}

/// How a data plane does one kind of action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    /// Which kind.
    pub kind: ActionKind,
    /// How long until its effect can be measured, in milliseconds.
    pub settle_ms: u64,
    /// What goes on meanwhile.
    pub change: Change,
    /// Whether it can be undone.
    pub undo: UndoKind,
    /// What work may be lost by it.
    pub loss: Loss,
}

impl Support {
    /// A change while everything runs, that can be undone and loses nothing.
    pub const fn live(kind: ActionKind, settle_ms: u64) -> Self {
        Self { kind, settle_ms, change: Change::Live, undo: UndoKind::Reversible, loss: Loss::None }
    }
}

/// What goes on while a data plane makes a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Everything else.
    Live,
    /// The node stops for a while.
    Restart,
    /// The whole pipeline stops for a while; its topology may look empty.
    Redeploy,
}

/// Whether a data plane can undo a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UndoKind {
    /// Wholly, or it leaves the graph as it was.
    Reversible,
    /// The graph, and not the work that was lost.
    Lossy,
    /// It cannot.
    Irreversible,
}

/// What work may be lost by a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// None.
    None,
    /// What the node has in hand.
    InHand,
    /// What waits before the node, too.
    Waiting,
}

/// A session that could not be observed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PlaneError(pub String);

/// Why an action was not applied. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The data plane will not: the node is unknown, the configuration is invalid, the type has no such executor.
    #[error("{0}")]
    Refused(String),
    /// It tried and broke off; the graph is as it was.
    #[error("{0}")]
    Failed(String),
}

/// Whoever judges one session in one generation, and what they must keep to. Immutable: a tick runs wholly in one.
pub struct Panel {
    /// The generation's number.
    pub generation: u64,
    /// The policy's name.
    pub policy: Arc<str>,
    /// What the session must keep to: the policy's, narrowed by the manifest's.
    pub rules: Rules,
    /// Asked at every tick; all of them.
    pub heuristics: Vec<Arc<dyn Heuristic>>,
    /// Merged with what the data plane itself offers.
    pub catalogs: Vec<Arc<dyn Catalog>>,
    /// Asked in order, until one answers.
    pub deciders: Vec<Turn<Arc<dyn Decider>>>,
    /// Asked beside them, and never followed.
    pub shadows: Vec<Shadow>,
    /// Asked in order; all of them must allow.
    pub validators: Vec<Rule<Arc<dyn Validator>>>,
    /// Asked in order, until one knows the reverse.
    pub reversers: Vec<Arc<dyn Reverser>>,
}

/// A decider that is asked beside the others.
#[derive(Clone)]
pub struct Shadow {
    /// Who.
    pub decider: Arc<dyn Decider>,
    /// How long it may think.
    pub within: Duration,
}

/// Finds the panel that judges a session now. A change of policy or plugin shows as another panel.
pub trait Judges: Send + Sync {
    /// None: no policy matches the session, so it is only observed.
    fn panel(&self, session: &str) -> Option<Arc<Panel>>;
}

/// An answer, and what it cost.
#[derive(Debug, Clone)]
pub struct Judged<T> {
    /// The answer.
    pub said: T,
    /// What it cost.
    pub cost: Cost,
    /// What it tried and may not, a sentence each.
    pub refused: Vec<String>,
}

/// A judge that did not answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{why}")]
pub struct JudgeError {
    /// Why.
    pub why: String,
    /// What it cost all the same.
    pub cost: Cost,
}

impl From<String> for JudgeError {
    fn from(why: String) -> Self {
        Self { why, cost: Cost::default() }
    }
}

pub use crate::recording::{Asked, CallRecord, Changes, Keeper, Kept, Recorder, Said};

/// What any judge has.
pub trait Judge: Send + Sync {
    /// Exactly which it is.
    fn id(&self) -> &PluginId;

    /// What its policy calls it.
    fn name(&self) -> &str {
        &self.id().name
    }

    /// What its failure means.
    fn on_failure(&self) -> OnFailure {
        OnFailure::Closed
    }
}

/// The session's present and past, as every judge of a session may look at them.
#[derive(Debug, Clone)]
pub struct Sight {
    /// The newest observation.
    pub now: Arc<Observation>,
    /// Those before it.
    pub past: Arc<History>,
}

/// Says what needs attention.
#[async_trait]
pub trait Heuristic: Judge {
    /// Without findings: all is well.
    async fn assess(&self, sight: &Sight) -> Result<Judged<Assessment>, JudgeError>;
}

/// Lists node types.
#[async_trait]
pub trait Catalog: Judge {
    /// All that it knows of.
    async fn list(&self) -> Result<Judged<Vec<NodeType>>, JudgeError>;
}

/// What a decider is told, beside what it sees.
#[derive(Debug, Clone)]
pub struct Situation {
    /// Worst first.
    pub findings: Vec<Finding>,
    /// The graph as it is configured.
    pub graph: Arc<GraphSpec>,
    /// What the policy allows and the data plane supports.
    pub allowed: Vec<ActionKind>,
    /// What the catalogs and the data plane offer.
    pub node_types: Arc<[NodeType]>,
    /// Newest first.
    pub past: Vec<PastAction>,
    /// What came of actions against findings like these, in all sessions and runs.
    pub learned: Vec<Learned>,
    /// What the session must keep to.
    pub rules: Rules,
}

/// What a decider says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "one for each decision; boxing it would only burden whoever decides"
)]
pub enum Decided {
    /// This one action.
    For(Decision),
    /// Let the next decider say, for this reason.
    Abstains(String),
}

/// Picks one action.
#[async_trait]
pub trait Decider: Judge {
    /// May take long; the loop goes on observing meanwhile.
    async fn decide(&self, sight: &Sight, situation: &Situation) -> Result<Judged<Decided>, JudgeError>;
}

/// Says whether an action may happen.
#[async_trait]
pub trait Validator: Judge {
    /// Of the proposal, by whom it was made, in the situation.
    async fn review(
        &self,
        sight: &Sight,
        proposal: &Proposal,
        decided_by: &str,
        situation: &Situation,
    ) -> Result<Judged<Verdict>, JudgeError>;

    /// The action that it let pass last in this session is done. A validator that counts what it lets pass counts only that:
    /// it is asked of one action several times, and much of what it lets pass is not done.
    fn acted(&self, session: &str) {
        let _ = session;
    }
}

/// Says what undoes an action.
#[async_trait]
pub trait Reverser: Judge {
    /// The action, and the graph just before and just after it.
    async fn reverse(
        &self,
        action: &Action,
        before: &GraphSpec,
        after: &GraphSpec,
    ) -> Result<Judged<Reversal>, JudgeError>;
}

/// Keeps what is done, durably. What `intend` has returned for is on disk.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Records that this is about to be done, and numbers it: `id` of the record given is ignored.
    async fn intend(&self, intent: &ActionRecord) -> Result<u64, JournalError>;

    /// Records what became of it: outcome, note, the graph after, when.
    async fn conclude(&self, action: &ActionRecord) -> Result<(), JournalError>;

    /// Records a tick on which something was found. Need not be on disk when it returns.
    async fn tick(&self, record: &TickRecord) -> Result<(), JournalError>;

    /// Records what happened to the loop itself. On disk when it returns.
    async fn record(&self, event: &EventRecord) -> Result<(), JournalError>;

    /// The newest actions of a session, newest first, whatever became of them.
    async fn recent(&self, session: &str, count: usize) -> Result<Vec<ActionRecord>, JournalError>;

    /// The actions of a session that were intended and of which nothing more is known: a host was killed. Oldest first.
    async fn open_intents(&self, session: &str) -> Result<Vec<ActionRecord>, JournalError>;

    /// When a person last let this session act again and begin anew; none: never.
    async fn resumed_at(&self, session: &str) -> Result<Option<UnixMillis>, JournalError>;

    /// The halts that are in force, of the host and of sessions.
    async fn halts(&self) -> Result<Vec<Halt>, JournalError>;

    /// What came of actions so far, in all sessions and runs.
    async fn learned(&self) -> Result<Vec<Learned>, JournalError>;

    /// The newest actions of a session that were applied and neither undone nor themselves an undo, newest first.
    async fn undoable(&self, session: &str, count: usize) -> Result<Vec<ActionRecord>, JournalError>;
}

/// The journal does not take it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the journal failed: {0}")]
pub struct JournalError(pub String);

/// Wall time, for what is written down. What is waited for is tokio's time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> UnixMillis;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .ok()
            .and_then(|since| u64::try_from(since.as_millis()).ok())
            .unwrap_or_default()
    }
}

/// Whoever wants to be told what happens, as it happens: the terminal, the report.
pub trait Listener: Send + Sync {
    /// Each tick, quiet ones too.
    fn tick(&self, record: &TickRecord);

    /// An earlier action whose outcome became known or whose undo was done.
    fn concluded(&self, action: &ActionRecord, outcome: Outcome);

    /// What happened to the loop itself.
    fn event(&self, event: &EventRecord) {
        let _ = event;
    }
}

impl fmt::Debug for Panel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panel").field("generation", &self.generation).field("policy", &self.policy).finish()
    }
}
