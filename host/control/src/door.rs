//! The one door in front of the data plane. Every action passes it, whoever wants it, and only what it lets through can be
//! carried out: [`Controller::carry_out`] takes a [`Cleared`], which nothing but this module makes.
//!
//! | asked | a decider's action, an approved one too | undo by the host | undo by a person |
//! |---|---|---|---|
//! | a halt, a state directory that is lost | refused | not done, people are told | refused, with the command that ends it |
//! | acting switched off by the policy | refused | not done, people are told | not asked |
//! | dry run, propose only | proposed | not done, people are told | not done, and said |
//! | approval | a person is asked; their yes is to one question | not done, people are told | the person's word is the approval |
//! | a freeze | refused | not asked: putting back is no new try | not asked |
//!
//! The halt is asked twice: here, and once more between the intent on disk and the data plane, under the lock that a halt
//! takes. So an action either was under way before the halt, and then the halt's answer names it, or it is not done.
//!
//! Called by `landing` and `rollback`.

use std::sync::Arc;

use flyball_model::{
    Action, ActionRecord, Approval, Attributed, Finding, GateRefusal, Outcome, Reason, Rules,
};
use flyball_ports::{DataPlane, JournalError};

use crate::acting::read_back;
use crate::approvals::About;
use crate::checks::reason;
use crate::controller::Controller;
use crate::masking::MaskedPlane;
use crate::pace::disabled;
use tokio::task::{JoinError, JoinHandle};

/// Who wants an action done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A decider; validators have allowed it.
    Decider,
    /// The host itself, of an action that made things worse.
    Undo,
    /// A person, by `flyball rollback`.
    Operator,
}

/// What is to pass the door.
pub(crate) struct Wanted<'a> {
    pub origin: Origin,
    pub intent: &'a ActionRecord,
    pub rules: &'a Rules,
    /// Why the session is frozen, if it is.
    pub frozen: Option<&'a str>,
    /// What a validator asks a person.
    pub asks: Option<&'a Reason>,
    /// What a person said yes to, and what the action is for now.
    pub approved: Option<(&'a Approval, &'a [Attributed<Finding>])>,
}

/// An action that has passed the door. It is done at once or not at all: it cannot be kept.
pub(crate) struct Cleared(ActionRecord);

/// Why an action does not pass.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Barred {
    /// It may be proposed only.
    Proposed(Reason),
    /// A person must say yes first.
    Unapproved(Reason),
    /// It may not happen.
    Refused(Reason),
}

impl Barred {
    pub fn into_reason(self) -> Reason {
        match self {
            Self::Proposed(reason) | Self::Unapproved(reason) | Self::Refused(reason) => reason,
        }
    }
}

/// An action that had passed the door.
pub(crate) enum Begun {
    /// The data plane is at it: the record of the intent, and the task, which ends with what became of it.
    Applying(Box<ActionRecord>, JoinHandle<ActionRecord>),
    /// A halt came between the intent and the data plane, which was not touched.
    Halted(Box<ActionRecord>, GateRefusal),
}

/// What became of an action that had passed the door.
#[derive(Debug)]
pub(crate) enum Carried {
    /// The data plane was asked; the record says what it answered.
    Tried(ActionRecord),
    /// A halt came between the intent and the data plane, which was not touched.
    Halted(ActionRecord, GateRefusal),
}

impl Controller {
    /// Whether the action may be carried out now.
    pub(crate) fn door(&self, wanted: &Wanted<'_>) -> Result<Cleared, Barred> {
        let (safety, action) = (&wanted.rules.safety, &wanted.intent.proposal.action);
        if let Some(halted) = self.fleet.halted(&self.session) {
            return Err(Barred::Refused(reason(&halted.gate, halted.message)));
        }
        if wanted.origin == Origin::Undo && !wanted.rules.enabled {
            let off = disabled("in force");
            return Err(Barred::Refused(reason(&off.gate, off.message)));
        }
        if let Some(why) = self.proposes_only(wanted, action) {
            return Err(Barred::Proposed(why));
        }
        let asked = wanted.asks.cloned().or_else(|| {
            let by_policy = safety.approval.kinds.contains(&action.kind());
            by_policy.then(|| approval_by_policy(action))
        });
        match (asked, wanted.origin, wanted.approved) {
            (None, ..) | (_, Origin::Operator, _) => {}
            (Some(why), _, None) => return Err(Barred::Unapproved(why)),
            (Some(why), _, Some((approved, findings))) => {
                let question =
                    About::of(wanted.intent, findings).question(why, approved.tick, approved.expires_at);
                if question.id != approved.id {
                    let message = "what a person approved is not what would be done now".to_owned();
                    return Err(Barred::Refused(reason("approval-for-another", message)));
                }
            }
        }
        if let (Origin::Decider, Some(why)) = (wanted.origin, wanted.frozen) {
            let frozen = self.frozen_gate(why);
            return Err(Barred::Refused(reason(&frozen.gate, frozen.message)));
        }
        Ok(Cleared(wanted.intent.clone()))
    }

    fn proposes_only(&self, wanted: &Wanted<'_>, action: &Action) -> Option<Reason> {
        let safety = &wanted.rules.safety;
        if self.options.dry_run {
            return Some(reason("dry-run", "the host runs with --dry-run, so nothing is done".to_owned()));
        }
        if safety.propose_only {
            let message = "the policy says `safety.propose_only`, so nothing is done".to_owned();
            return Some(reason("propose-only", message));
        }
        let kind = action.kind();
        safety.dry_run.contains(&kind).then(|| {
            reason("dry-run", format!("the policy says `safety.dry_run: [{kind}]`, so that kind is not done"))
        })
    }

    /// Intent, the last question after a halt, and a task that acts and reads back. The only place in which the data plane is
    /// changed. An error: the intent is not on disk, so nothing was done. What became of the action is in the record that
    /// the task ends with, and still to be journaled.
    pub(crate) async fn begin(&self, cleared: Cleared) -> Result<Begun, JournalError> {
        let Cleared(mut record) = cleared;
        record.id = self.journal.intend(&record).await?;
        let what = format!("action {} (\"{}\")", record.id, record.proposal.action);
        let under_way = match self.fleet.enter(&self.session, what) {
            Ok(under_way) => under_way,
            Err(halted) => {
                record.outcome = Outcome::Rejected;
                record.note = Some(format!("nothing was done: {}", halted.message));
                record.settled_at = Some(self.clock.now());
                return Ok(Begun::Halted(Box::new(record), halted));
            }
        };
        let (plane, clock) = (Arc::clone(&self.plane), Arc::clone(&self.clock));
        let intent = record.clone();
        let task = tokio::spawn(async move {
            match plane.apply(&record.proposal.action).await {
                Ok(()) => show_effect(&plane, &mut record).await,
                Err(error) => {
                    record.outcome = Outcome::Failed;
                    record.note = Some(error.to_string());
                }
            }
            drop(under_way);
            record.settled_at = Some(clock.now());
            record
        });
        Ok(Begun::Applying(Box::new(intent), task))
    }

    /// The same, to its end.
    pub(crate) async fn carry_out(&self, cleared: Cleared) -> Result<Carried, JournalError> {
        Ok(match self.begin(cleared).await? {
            Begun::Halted(record, halted) => Carried::Halted(*record, halted),
            Begun::Applying(intent, task) => Carried::Tried(ended(*intent, task.await)),
        })
    }
}

/// Accepted is not effective: what changes the configuration must show in it.
async fn show_effect(plane: &MaskedPlane, record: &mut ActionRecord) {
    match plane.graph().await {
        Ok(after) => {
            (record.outcome, record.note) = read_back(&record.proposal.action, &record.before, &after);
            record.after = Some(after);
        }
        Err(error) => {
            record.outcome = Outcome::Accepted;
            record.note = Some(format!("the data plane took it, and its graph could not be read: {error}"));
        }
    }
}

/// What became of an action whose task has ended.
pub(crate) fn ended(intent: ActionRecord, done: Result<ActionRecord, JoinError>) -> ActionRecord {
    done.unwrap_or_else(|error| {
        // The data plane panicked, or the runtime is going away.
        let note = Some(format!("the data plane broke off, and what it has done is not known: {error}"));
        ActionRecord { outcome: Outcome::Unknown, note, ..intent }
    })
}

fn approval_by_policy(action: &Action) -> Reason {
    let kind = action.kind();
    reason("approval-by-policy", format!("the policy wants a person to approve each {kind}"))
}
