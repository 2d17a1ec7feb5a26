use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ActionKind, Creatable};

/// Permissions, budgets and stops for the actions of the loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Safety {
    /// Decide and judge, but apply nothing. The journal holds what would have been done.
    pub propose_only: bool,
    /// Kinds of action that are decided and judged, but not applied.
    pub dry_run: Vec<ActionKind>,
    /// Kinds of action that are allowed although the data plane cannot undo them.
    pub irreversible: Vec<ActionKind>,
    /// Nodes that reach outside (start processes, open files, reach addresses) and that actions may create, put in place of another
    /// node or reconfigure, each by type and configuration. By default actions create only nodes that reach nothing
    /// outside. Nodes of the manifest need no entry here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub may_create: Vec<Creatable>,
    /// Undo actions that made things worse, without asking anybody.
    pub undo_worse: bool,
    /// When what was done for a fault is taken back, once the fault is gone.
    pub give_back: GiveBack,
    /// Kinds of action that a person must approve.
    pub approval: ApprovalRules,
    /// Maximum number of unsuccessful tries of one kind of action, at one node, for one fault. After that the kind is not tried
    /// for it any more. A try is unsuccessful if it was ineffective, failed, made things worse, or could not be measured.
    #[schemars(range(min = 1))]
    pub attempts: u32,
    /// Maximum number of times that one kind of action may cure one fault at one node and the fault returns. After that the kind
    /// is not tried for it any more.
    pub cures: Budget,
    /// Number of unsuccessful actions in a row after which the session is frozen until a person resumes it.
    #[schemars(range(min = 1))]
    pub futile: u32,
    /// Budget of actions on one node.
    pub target: Budget,
    /// Budgets of actions by kind.
    pub kinds: BTreeMap<ActionKind, Budget>,
    /// Budget of actions in one session.
    pub session: Budget,
    /// Budget of actions in all sessions of the host together.
    pub host: Budget,
    /// Budget of actions that reverse an earlier action (flapping).
    pub flaps: Budget,
    /// Maximum number of nodes that may have an action whose outcome is not known yet.
    #[schemars(range(min = 1))]
    pub targets_at_once: u32,
    /// When a fault that many sessions show at once is left alone in all of them.
    pub systemic: Systemic,
    /// Steps of the escalation. The next step begins when the attempts at a fault are used up. Empty: all kinds that the
    /// policy allows may be tried from the beginning.
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
            give_back: GiveBack::default(),
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

/// When the host takes back what was done for a fault that is gone, by the way of every other action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GiveBack {
    /// Kinds of action that are taken back. Empty: none. That a bypassed node works again shows only once items go through it again,
    /// so a bypass is not among them by default.
    pub kinds: Vec<ActionKind>,
    /// For how long nothing may be found of what the action was for, in milliseconds. It doubles each time that the action is needed
    /// again soon after it was taken back.
    #[schemars(range(min = 1))]
    pub after_ms: u64,
}

impl Default for GiveBack {
    fn default() -> Self {
        Self { kinds: vec![ActionKind::ScaleNode, ActionKind::AdjustBuffering], after_ms: 120_000 }
    }
}

/// Maximum number of actions in a time window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Maximum number. Further ones are refused.
    #[schemars(range(min = 1))]
    pub max: u32,
    /// Length of the window, in milliseconds.
    #[schemars(range(min = 1))]
    pub window_ms: u64,
}

/// Which actions a person must approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalRules {
    /// Kinds of action that need approval. A validator may ask for approval of others.
    pub kinds: Vec<ActionKind>,
    /// How long a request for approval is valid, in milliseconds. If nobody answers in that time, the action is denied.
    #[schemars(range(min = 1))]
    pub expires_ms: u64,
}

impl Default for ApprovalRules {
    fn default() -> Self {
        Self { kinds: Vec::new(), expires_ms: 600_000 }
    }
}

/// When a fault counts as systemic: acting in single sessions would not cure it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Systemic {
    /// Minimum number of sessions with a finding of the same code. They must also be at least a quarter of the host's sessions.
    #[schemars(range(min = 2))]
    pub sessions: u32,
    /// Time window in which these sessions are counted, in milliseconds.
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
    /// Kinds of action that are allowed from this step on.
    pub kinds: Vec<ActionKind>,
    /// The decider that is asked first from this step on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decider: Option<String>,
    /// Critical findings start at this step. If several steps have this, the first counts.
    pub critical: bool,
    /// Send a notice to people.
    pub notify: bool,
}
