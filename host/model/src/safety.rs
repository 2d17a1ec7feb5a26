use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ActionKind, Creatable};

/// What keeps the loop from doing harm: what it may not do alone, how often it may try, and when it gives up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Safety {
    /// Decide and judge, and do nothing: what would have been done is in the journal.
    pub propose_only: bool,
    /// Kinds of action that are decided and judged, and not done.
    pub dry_run: Vec<ActionKind>,
    /// Kinds of action that may happen although the data plane cannot undo them.
    pub irreversible: Vec<ActionKind>,
    /// Nodes that start processes, open files or reach addresses, and that actions may make, put in another's place or
    /// configure anew: each by its type and its configuration. None: actions make only nodes that reach nothing outside.
    /// What the manifest names runs whatever stands here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub may_create: Vec<Creatable>,
    /// Undo by itself what made things worse.
    pub undo_worse: bool,
    /// Kinds of action that a person must approve.
    pub approval: ApprovalRules,
    /// How often one fault may be answered at one node by one kind of action without help, before that kind is not
    /// tried for it any more. What was ineffective, failed, made things worse, or could not be measured did not help.
    #[schemars(range(min = 1))]
    pub attempts: u32,
    /// How often one fault may be cured at one node by one kind of action and come back, before that is no cure.
    pub cures: Budget,
    /// Actions in a row that did not help; then the session is frozen until a person resumes it.
    #[schemars(range(min = 1))]
    pub futile: u32,
    /// Actions on one node.
    pub target: Budget,
    /// Actions of a kind.
    pub kinds: BTreeMap<ActionKind, Budget>,
    /// Actions in one session.
    pub session: Budget,
    /// Actions in all sessions of the host together.
    pub host: Budget,
    /// Actions that turn back what an earlier one did: there and back again.
    pub flaps: Budget,
    /// Nodes with an action of which it is not known yet whether it helped.
    #[schemars(range(min = 1))]
    pub targets_at_once: u32,
    /// A fault that so many sessions show at once is not theirs.
    pub systemic: Systemic,
    /// Steps, taken one by one as the attempts at a fault are used up. None: everything that is allowed is, at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub escalation: Vec<Step>,
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            propose_only: false,
            dry_run: Vec::new(),
            irreversible: Vec::new(),
            may_create: Vec::new(),
            undo_worse: true,
            approval: ApprovalRules::default(),
            attempts: 3,
            cures: Budget { max: 6, window_ms: 86_400_000 },
            futile: 5,
            target: Budget { max: 8, window_ms: 600_000 },
            kinds: BTreeMap::new(),
            session: Budget { max: 60, window_ms: 3_600_000 },
            host: Budget { max: 600, window_ms: 3_600_000 },
            flaps: Budget { max: 2, window_ms: 600_000 },
            targets_at_once: 3,
            systemic: Systemic::default(),
            escalation: Vec::new(),
        }
    }
}

/// So many within so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// How many; the next one is refused.
    #[schemars(range(min = 1))]
    pub max: u32,
    /// The window, in milliseconds.
    #[schemars(range(min = 1))]
    pub window_ms: u64,
}

/// What a person must approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalRules {
    /// Kinds of action; a validator may ask for others.
    pub kinds: Vec<ActionKind>,
    /// How long the question stands, in milliseconds; unanswered it is a no.
    #[schemars(range(min = 1))]
    pub expires_ms: u64,
}

impl Default for ApprovalRules {
    fn default() -> Self {
        Self { kinds: Vec::new(), expires_ms: 600_000 }
    }
}

/// When a fault is taken for one that healing a session does not cure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Systemic {
    /// So many sessions with a finding of the same code…
    #[schemars(range(min = 2))]
    pub sessions: u32,
    /// …within this time, in milliseconds: then none of them acts on it.
    #[schemars(range(min = 1))]
    pub window_ms: u64,
}

impl Default for Systemic {
    fn default() -> Self {
        Self { sessions: 10, window_ms: 10_000 }
    }
}

/// One step of an escalation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// Kinds of action that may be tried from this step on.
    pub kinds: Vec<ActionKind>,
    /// The decider that is asked first from this step on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decider: Option<String>,
    /// A critical finding begins here at the latest.
    pub critical: bool,
    /// Tell people.
    pub notify: bool,
}
