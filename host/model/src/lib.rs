//! Flyball's plain data: what is seen of a pipeline, what is said of it, what may be done to it and what became of
//! that. No I/O and no behaviour beyond asking the data about itself; everything here is serde, and the report, the
//! journal and the control socket are made of it.

mod account;
mod action;
mod action_kind;
mod case;
mod decider_answer;
mod deciders;
mod decimal;
mod event;
mod finding_kind;
mod graph;
mod history;
mod judgement;
mod learned;
mod llm_grant;
mod log_entry;
mod manifest;
mod marks;
mod mask;
mod merge;
mod number;
mod observation;
mod outcome;
mod pattern;
mod plugin;
mod policy;
mod printable;
mod problem;
mod reach;
mod rule;
mod safety;
mod session_now;
mod standing_change;
mod tick;

pub use account::Account;
pub use action::{Action, Carried, MutationPolicy, Proposal};
pub use action_kind::ActionKind;
pub use case::{
    Case, CaseAnswer, CaseApplied, CaseBody, CaseError, CaseGraph, CaseHttp, CaseNode, CaseNodeRef,
    CaseNodeSpec, CaseObservation, CaseRequest,
};
pub use decider_answer::{DeciderAnswer, DeciderSaid};
pub use deciders::{
    DeciderBranch, DeciderForm, DeciderGroup, DeciderRole, DeciderRule, DeciderUse, SHADOW_WITHIN_MS, Turn,
    Way, Who,
};
pub use decimal::{Decimal, NoDecimal};
pub use event::{Approval, Caller, Event, EventRecord, Halt, Notice};
pub use finding_kind::FindingKind;
pub use graph::{Graph, GraphSpec, NodeSpec};
pub use history::History;
pub use judgement::{
    Amendment, Assessment, Check, Decision, Evidence, Finding, Reason, Severity, Side, Verdict,
};
pub use learned::{Learned, LearnedFilter, LearnedTable};
pub use llm_grant::{
    AnswerBy, BreakerLimits, BudgetPerHour, Budgets, CacheLimits, LlmGrant, LlmLimits, Prices, Provider,
    TokenLimit,
};
pub use log_entry::{EntryNumber, Happened, LogEntry, NotAnEntryNumber, ReloadRecord, Warning};
pub use manifest::{Connection, ControllerSection, ItemSizes, LlmSection, Manifest, NodeDeclaration};
pub use marks::{DECIDES_REACH, Mark, SECRET, marks};
pub use mask::{
    MASKED, SECRET_FIELDS, SecretNames, is_placeholder, mask_config, mask_in, mask_number, mask_plainly,
    mask_url,
};
pub use merge::merge;
pub use observation::{
    Executor, GraphMetrics, Metrics, NodeColumns, NodeStatus, Observation, SeenError, Trend, metric, total,
};
pub use outcome::{Outcome, PastAction};
pub use pattern::{matches, matching};
pub use plugin::{
    Cost, Exchange, HttpAnswer, HttpExchange, LlmAnswer, LlmExchange, LlmUse, NodeOffer, NodeType, PluginId,
    PluginKind,
};
pub use policy::{
    BreakerPolicy, Constraints, Grants, HttpGrant, JudgesSection, Limits, OnDowngrade, OnFailure, OnMissing,
    PluginRules, PluginUse, Policy, Rules, SecretGrant, SecretSource, StateGrant,
};
pub use printable::{hidden_in, is_hidden, printable, printable_lines, printable_path, shell_word};
pub use problem::Problem;
pub use reach::{Creatable, Reach, touched};
pub use rule::{DEEPEST_RULE, GroupForm, Members, Rule, ValidatorGroup, ValidatorRule};
pub use safety::{ApprovalRules, Budget, GiveBack, Retry, Safety, Step, Systemic};
pub use session_now::{FoundNow, NodeNow, SessionNow};
pub use standing_change::StandingChange;
pub use tick::{
    ActionRecord, Attributed, Checked, Ending, FailedJudge, GateRefusal, GateState, Reversal, TickRecord,
    VerdictRecord,
};

/// A node's name, unique in its pipeline.
pub type NodeId = String;

/// Milliseconds since the Unix epoch.
pub type UnixMillis = u64;
