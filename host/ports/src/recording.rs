//! What is kept of a call, so that it can be made again and must say the same.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use flyball_model::{
    Action, Assessment, Cost, Exchange, Graph, HttpExchange, LlmExchange, NodeType, PluginId, PluginKind,
    PluginUse, Proposal, Reversal, UnixMillis, Verdict,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::judges::{Decided, Sight, Situation};

/// What a plugin keeps between calls: values by key.
pub type Kept = Arc<BTreeMap<String, Vec<u8>>>;

/// What a call changed of what its plugin keeps; none: deleted.
pub type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// Keeps what plugins keep, across restarts.
pub trait Keeper: Send + Sync {
    /// Everything that the plugin keeps for the session.
    ///
    /// # Errors
    ///
    /// It cannot be read, and why.
    fn load(&self, plugin: &str, session: &str) -> Result<BTreeMap<String, Vec<u8>>, String>;

    /// Takes over changes, in the order of its calls. Need not be on disk when it returns.
    fn keep(&self, plugin: &str, session: &str, changes: Changes);
}

/// Is told of each call of a judge, and must not hold it up.
pub trait Recorder: Send + Sync {
    /// A call is over.
    fn record(&self, call: CallRecord);
}

/// One call of a judge, with everything that its answer is a function of.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// Who was asked.
    pub by: PluginId,
    /// Of which kind it is.
    pub kind: PluginKind,
    /// Version of the contract.
    pub contract: Cow<'static, str>,
    /// The generation in which the judge was bound to its policy.
    pub generation: u64,
    /// For which session; empty: for none (a catalog, a reverser).
    pub session: Arc<str>,
    /// On which tick; 0: on none.
    pub tick: u64,
    /// When the tick was observed.
    pub at: UnixMillis,
    /// Its settings, limits and grants, as the policy gives them.
    pub used: Arc<PluginUse>,
    /// What it was asked.
    pub asked: CallInput,
    /// What it had kept before; none: it has no such grant.
    pub kept: Option<Kept>,
    /// What it asked of HTTP servers and what they answered, in order.
    pub http: Vec<HttpExchange>,
    /// What it asked language models and what they answered, in order.
    pub llm: Vec<LlmExchange>,
    /// What it asked of capabilities beside those, and what they answered, in order.
    pub others: Vec<Exchange>,
    /// What it said, or why it did not.
    pub said: Result<Said, String>,
    /// What it cost.
    pub cost: Cost,
}

/// An item's number and its body, as a node is given it.
pub type ItemBytes = (u64, Vec<u8>);

/// What a node makes of one item: the bodies that go on (none: it was filtered), or why it failed.
pub type ProcessedBytes = Result<Vec<Vec<u8>>, String>;

/// What a judge is asked.
#[allow(clippy::large_enum_variant, reason = "one for each call; boxing would be an allocation for each")]
#[derive(Debug, Clone)]
pub enum CallInput {
    /// A heuristic.
    Assess(Sight),
    /// A catalog.
    List,
    /// A decider.
    Decide(Sight, Situation),
    /// A validator.
    Review {
        /// The session's present and past.
        sight: Sight,
        /// What is proposed.
        proposal: Proposal,
        /// By whom.
        decided_by: String,
        /// In which situation.
        situation: Situation,
    },
    /// A reverser.
    Reverse {
        /// What was done.
        action: Action,
        /// The graph before it.
        before: Arc<Graph>,
        /// And after it.
        after: Arc<Graph>,
    },
    /// A node: a batch of items.
    Process(Arc<[ItemBytes]>),
    /// A plugin of a kind that the loop does not ask itself: what its world makes of this is its own.
    Other {
        /// What it may look at; none: nothing.
        sight: Option<Sight>,
        /// The question.
        question: Value,
    },
}

impl CallInput {
    /// What the judge may look at.
    pub fn sight(&self) -> Option<&Sight> {
        match self {
            Self::Assess(sight) | Self::Decide(sight, _) | Self::Review { sight, .. } => Some(sight),
            Self::Other { sight, .. } => sight.as_ref(),
            Self::List | Self::Reverse { .. } | Self::Process(_) => None,
        }
    }

    /// The situation that it is asked in.
    pub fn situation(&self) -> Option<&Situation> {
        match self {
            Self::Decide(_, situation) | Self::Review { situation, .. } => Some(situation),
            Self::Assess(_) | Self::List | Self::Reverse { .. } | Self::Process(_) | Self::Other { .. } => {
                None
            }
        }
    }
}

/// What a judge says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Said {
    /// A heuristic.
    #[serde(alias = "Findings")]
    Assessed(Assessment),
    /// A catalog.
    NodeTypes(Vec<NodeType>),
    /// A decider.
    Decided(Decided),
    /// A validator.
    Verdict(Verdict),
    /// A reverser.
    Reversal(Reversal),
    /// A node: one answer for each item, in their order.
    Processed(Vec<ProcessedBytes>),
    /// A plugin of a kind that the loop does not ask itself.
    Other(Value),
}

impl From<Assessment> for Said {
    fn from(said: Assessment) -> Self {
        Self::Assessed(said)
    }
}

impl From<Vec<NodeType>> for Said {
    fn from(said: Vec<NodeType>) -> Self {
        Self::NodeTypes(said)
    }
}

impl From<Decided> for Said {
    fn from(said: Decided) -> Self {
        Self::Decided(said)
    }
}

impl From<Verdict> for Said {
    fn from(said: Verdict) -> Self {
        Self::Verdict(said)
    }
}

impl From<Reversal> for Said {
    fn from(said: Reversal) -> Self {
        Self::Reversal(said)
    }
}
