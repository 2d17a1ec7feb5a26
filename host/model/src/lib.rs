//! Flyball's plain data: what is seen of a pipeline, what is said of it, what may be done to it and what became of
//! that. No I/O and no behaviour beyond asking the data about itself; everything here is serde, and the report, the
//! journal and the control socket are made of it.

mod account;
mod action;
mod event;
mod graph;
mod history;
mod judgement;
mod learned;
mod manifest;
mod merge;
mod number;
mod observation;
mod outcome;
mod plugin;
mod policy;
mod problem;
mod rule;
mod safety;
mod tick;

pub use account::Account;
pub use action::{Action, ActionKind, MutationPolicy, Proposal};
pub use event::{Approval, Event, EventRecord, Halt, Notice};
pub use graph::{GraphSpec, NodeSpec};
pub use history::History;
pub use judgement::{
    Amendment, Assessment, Check, Decision, Evidence, Finding, Reason, Severity, Side, Verdict,
};
pub use learned::Learned;
pub use manifest::{Connection, Controller, LlmSection, Manifest, NodeDeclaration};
pub use merge::merge;
pub use observation::{
    Executor, GraphMetrics, Metrics, NodeColumns, Observation, SeenError, Status, Trend, metric, total,
};
pub use outcome::{Outcome, PastAction};
pub use plugin::{Cost, HttpAnswer, HttpExchange, NodeOffer, NodeType, PluginId, PluginKind};
pub use policy::{
    BreakerPolicy, Constraints, Grants, HttpGrant, Judges, Limits, OnFailure, PluginUse, Policy, Rules,
    SecretGrant, SecretSource, StateGrant,
};
pub use problem::Problem;
pub use rule::{DEEPEST_RULE, GroupForm, Members, Rule, ValidatorGroup, ValidatorRule};
pub use safety::{ApprovalRules, Budget, Safety, Step, Systemic};
pub use tick::{
    ActionRecord, Attributed, Checked, Ending, FailedJudge, GateRefusal, GateState, Reversal, TickRecord,
    VerdictRecord,
};

/// A node's name, unique in its pipeline.
pub type NodeId = String;

/// Milliseconds since the Unix epoch.
pub type UnixMillis = u64;
