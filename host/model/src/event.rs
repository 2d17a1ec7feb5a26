use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Action, LearnedFilter, Outcome, Reason, UnixMillis};

/// Something that the journal keeps beside ticks and actions: what people and guards did to the loop itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventRecord {
    /// Time of the event.
    pub at: UnixMillis,
    /// Whose session; none: the whole host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Arc<str>>,
    /// On which tick of the session; 0: on none.
    #[serde(default)]
    pub tick: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// Who asked a host for something, as the kernel tells it of the other end of the control socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Caller {
    /// Number of the user.
    pub uid: u32,
    /// Number of the process.
    pub pid: u32,
    /// The program's name; it is the process's own word.
    pub program: String,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}, process {} ({})", self.uid, self.pid, self.program)
    }
}

/// What happened to the loop itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Event {
    /// Somebody stopped all acting.
    Halted {
        /// In the person's words.
        why: String,
        /// Who; none: it is not known, as in journals of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Caller>,
    },
    /// Somebody let it act again, after a halt or a freeze.
    Resumed {
        /// In the person's words.
        why: String,
        /// Who; none: it is not known, as in journals of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Caller>,
    },
    /// The loop stopped acting by itself: what it does does not help.
    Frozen {
        /// The numbers that led to it.
        why: String,
    },
    /// A person is asked whether an action may happen.
    ApprovalAsked(Box<Approval>),
    /// A person said yes.
    ApprovalGiven {
        /// Identifier of the question.
        id: String,
        /// Who; none: it is not known, as in journals of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Caller>,
    },
    /// A person said no.
    ApprovalDenied {
        /// Identifier of the question.
        id: String,
        /// In the person's words.
        why: String,
        /// Who; none: it is not known, as in journals of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Caller>,
    },
    /// Nobody answered in time, or what was observed has changed so that the answer would be to another question.
    ApprovalExpired {
        /// Identifier of the question.
        id: String,
        /// The reason.
        why: String,
    },
    /// An intent that was left open when a host was killed was held against what the data plane shows.
    Reconciled {
        /// The action.
        action: u64,
        /// What it is known to be now.
        outcome: Outcome,
        /// What the data plane shows.
        note: String,
    },
    /// The next step of the policy's escalation was taken.
    Escalated {
        /// The fault.
        fault: String,
        /// Number of the step, from 1.
        step: u32,
        /// The reason.
        why: String,
    },
    /// Somebody had what was learnt forgotten.
    Forgotten {
        /// Which of it; nothing named: all.
        learned: LearnedFilter,
        /// Who; none: it is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Caller>,
    },
    /// A notice was sent to people.
    Notified(Notice),
}

/// A question to a person: whether this action may happen, on what is seen now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// The beginning of the digest of everything that the answer is bound to: session, tick, action with all parameters,
    /// the graph, the findings, and when it expires.
    pub id: String,
    /// The tick on which it was asked: the same asked again is another question. Of another name than the record's own
    /// tick, beside which it stands when an [`EventRecord`] is written.
    #[serde(rename = "asked_on")]
    pub tick: u64,
    /// The action.
    pub action: Action,
    /// Code and text of the reason for asking.
    pub reason: Reason,
    /// The decider.
    pub decided_by: String,
    /// The codes and targets of what the action is for.
    pub findings: Vec<String>,
    /// The digest of the graph that was seen.
    pub graph: String,
    /// Unanswered until then, it is a no.
    pub expires_at: UnixMillis,
}

/// A notice to people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// Stable, for machines: `frozen`, `approval-asked`, `rollback-failed`, `escalated`, `systemic-fault`, `unanswered`, `given-up`, `begins-anew`,
    /// `state-directory`, `still-applying`, `give-back-failed`.
    pub code: String,
    /// One sentence for people.
    pub message: String,
}

/// A halt that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Halt {
    /// Of this session; none: of the whole host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Arc<str>>,
    /// Time of its beginning.
    pub at: UnixMillis,
    /// In the person's words.
    pub why: String,
}
