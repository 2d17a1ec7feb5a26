//! Those who judge a session, and what they are asked. Implemented by `engine`; called by the loop.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_model::{
    Action, ActionKind, Assessment, Cost, Decision, Finding, Graph, History, Learned, NodeType, Observation,
    OnFailure, PastAction, PluginId, Proposal, Reversal, Rule, Rules, Turn, Verdict,
};
use serde::{Deserialize, Serialize};

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
    pub graph: Arc<Graph>,
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
        before: &Arc<Graph>,
        after: &Arc<Graph>,
    ) -> Result<Judged<Reversal>, JudgeError>;
}

impl fmt::Debug for Panel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panel").field("generation", &self.generation).field("policy", &self.policy).finish()
    }
}
