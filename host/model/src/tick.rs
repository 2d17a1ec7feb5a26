use std::borrow::Cow;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Action, Check, Cost, DeciderAnswer, Decision, Finding, Graph, Outcome, PluginId, PluginKind, Proposal,
    UnixMillis, Verdict,
};

/// Something said, and who said it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attributed<T> {
    /// Who said it.
    pub by: PluginId,
    /// What was said.
    #[serde(flatten)]
    pub said: T,
}

/// A judge that did not answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailedJudge {
    /// The judge.
    pub by: PluginId,
    /// Its kind.
    pub kind: PluginKind,
    /// Why, in the plugin's own words where it had any.
    pub error: String,
}

/// A gate that held the tick.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateRefusal {
    /// Which: `no-policy`, `disabled`, `read-only`, `halted`, `frozen`, `journal`, `approval`, `systemic-fault`,
    /// `escalation`, `deciding`, `applying`, `settling`, `cooldown`, `breaker`, `verifying`.
    pub gate: String,
    /// The value, the limit, and when it opens.
    pub message: String,
}

/// How a gate stands on a tick, whether anything came to it or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateState {
    /// Which, by the names of [`GateRefusal`].
    pub gate: Cow<'static, str>,
    /// Whether it would let an action through.
    pub open: bool,
    /// The value, the limit and when it opens; of an open one the numbers that it rests on, where it rests on any.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub message: Cow<'static, str>,
}

/// What one heuristic, or the host, looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    /// Who said it.
    pub by: PluginId,
    /// Its rules, one check for each.
    pub checks: Vec<Check>,
}

/// What one validator, or a check of the host's own, said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictRecord {
    /// Who said it.
    pub by: PluginId,
    /// In which group of validators, whose own verdict follows; none: it counts by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// Of which action; an amended one is judged again.
    pub action: Action,
    /// The verdict.
    pub verdict: Verdict,
}

/// How a tick ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Nothing was found.
    Quiet,
    /// Something was found, and a gate held.
    Held,
    /// Something was found, and a decider is thinking about it.
    Deciding,
    /// No decider had an answer.
    Undecided,
    /// A decider chose to do nothing.
    NoOp,
    /// A guard said no.
    Rejected,
    /// All allow it, and the policy wants it proposed only.
    Proposed,
    /// All allow it, and a person is asked.
    AwaitingApproval,
    /// The data plane is doing an action, and has not answered yet.
    Applying,
    /// An action was taken.
    Acted,
    /// An action was taken and the data plane refused it or broke off.
    Failed,
    /// The session could not be observed.
    Unobserved,
}

/// An action from intent to outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActionRecord {
    /// Its number in the journal.
    pub id: u64,
    /// Name of the session.
    pub session: Arc<str>,
    /// The tick whose findings it answers.
    pub tick: u64,
    /// The generation that judged.
    pub generation: u64,
    /// When the intent was journaled.
    pub at: UnixMillis,
    /// What was proposed, amended as the validators asked.
    pub proposal: Proposal,
    /// The decider, or `operator` for an undo that a person asked for.
    pub decided_by: PluginId,
    /// Every plugin that judged it.
    pub judged_by: Vec<PluginId>,
    /// The findings that it is for.
    pub findings: Vec<Finding>,
    /// The graph just before it.
    pub before: Arc<Graph>,
    /// The graph just after it; none: not applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Arc<Graph>>,
    /// What became of it, so far.
    pub outcome: Outcome,
    /// The numbers or the error behind the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When the outcome became this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<UnixMillis>,
    /// The action of which this is the undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u64>,
}

/// What undoes an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Reversal {
    /// By these, in this order.
    Reversible {
        /// The actions.
        actions: Vec<Action>,
    },
    /// Nothing does.
    Irreversible {
        /// The reason.
        why: String,
    },
}

/// Everything that is to be known of one tick: what was seen, who judged it and how, what was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TickRecord {
    /// Name of the session.
    pub session: Arc<str>,
    /// Its number, from 1.
    pub tick: u64,
    /// When it was observed.
    pub at: UnixMillis,
    /// The generation that judged it.
    pub generation: u64,
    /// How it ended.
    pub ending: Ending,
    /// What was found, worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Attributed<Finding>>,
    /// What was looked at, found or not; none: nobody was asked, or it was written before this was known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Checked>,
    /// How each gate stood when the tick began to be decided, from the most lasting to the shortest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateState>,
    /// Judges that did not answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailedJudge>,
    /// The gate that held, when one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateRefusal>,
    /// What was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Attributed<Decision>>,
    /// What each decider said, in the order of asking; shadows of earlier ticks first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<DeciderAnswer>,
    /// What the host's checks and the validators said, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<VerdictRecord>,
    /// What was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionRecord>,
    /// An error of the host's own: the observation or the journal failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// From the observation's start to the record, in nanoseconds; a decider's thinking included.
    pub took_ns: u64,
    /// Of each call that was waited for and answered, in the order of the calls; a shadow's is in `answers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub costs: Vec<(PluginId, Cost)>,
}

impl TickRecord {
    /// Whether there is no more to say of it than that all is well.
    pub fn is_quiet(&self) -> bool {
        self.ending == Ending::Quiet
            && self.findings.is_empty()
            && self.failures.is_empty()
            && self.answers.is_empty()
            && self.error.is_none()
    }
}
