//! The door in front of the data plane: the guards that are asked once the review has let an action pass, then the intent on disk, then
//! the halt once more, then the data plane. Every action passes it, whoever wants it, and only what it lets through can be begun:
//! [`Controller::begin`] takes a [`Cleared`], which nothing but this module makes. `origin` says which guard holds whom.
//!
//! The halt is asked twice: among the guards, and once more between the intent on disk and the data plane, under the lock that a halt
//! takes. So an action either was under way before the halt, and then the halt's answer names it, or it is not done.
//!
//! Called by `propose`.

use std::collections::BTreeSet;
use std::sync::Arc;

use flyball_model::{Action, ActionRecord, NodeId, Outcome, Reason, Rules};
use flyball_ports::DataPlane;
use tokio::time::Instant;

use crate::act::acting::read_back;
use crate::act::applying::Started;
use crate::act::checks::reason;
use crate::act::origin::{AFTER_REVIEW, Guard};
use crate::act::propose::{Fate, Passed, Request};
use crate::controller::Controller;
use crate::decide::escalation;
use crate::gates::approvals::About;
use crate::observe::masking::MaskedPlane;
use crate::state::State;
use crate::verify::inverse::{self, Undone};

/// An action that has passed the door. It is begun at once or not at all: it cannot be kept.
pub(crate) struct Cleared(ActionRecord);

/// A guard holds the action.
pub(crate) struct No {
    pub guard: Guard,
    pub why: Reason,
    /// What else holds it at this stage.
    pub also: Vec<Reason>,
}

impl Controller {
    /// Whether the action may be begun now.
    pub(crate) fn door(
        &self,
        state: &State,
        request: &Request<'_>,
        passed: &Passed,
    ) -> Result<Cleared, Box<No>> {
        for stage in AFTER_REVIEW {
            let held = stage.iter().filter(|guard| guard.holds(request.origin));
            let mut held = held.flat_map(|guard| {
                self.refusals(*guard, state, request, passed).into_iter().map(|why| (*guard, why))
            });
            if let Some((guard, why)) = held.next() {
                let also = held.map(|(_, why)| why).collect();
                return Err(Box::new(No { guard, why, also }));
            }
        }
        Ok(Cleared(passed.intent.clone()))
    }

    fn refusals(&self, guard: Guard, state: &State, request: &Request<'_>, passed: &Passed) -> Vec<Reason> {
        let (action, safety) = (&passed.intent.proposal.action, &passed.rules.safety);
        let refusal = match guard {
            Guard::Inverse => no_inverse(request.undone, passed),
            Guard::TryBudgets => return try_budgets(state, passed),
            Guard::ChangeBudgets => return self.change_budgets(state, passed),
            Guard::Halt => {
                self.fleet.halted(&self.session).map(|halted| reason(&halted.gate, halted.message))
            }
            Guard::Proposing => self.proposes_only(&passed.rules, action),
            Guard::Approval => passed.asks.clone().or_else(|| {
                let by_policy = safety.approval.kinds.contains(&action.kind());
                by_policy.then(|| approval_by_policy(action))
            }),
            Guard::SameQuestion => another_question(request, passed),
            Guard::Freeze => {
                self.frozen_gate(state, Instant::now()).map(|frozen| reason(&frozen.gate, frozen.message))
            }
            // Asked before.
            Guard::Enabled
            | Guard::OneAtATime
            | Guard::Pace
            | Guard::StillFound
            | Guard::Evidence
            | Guard::Review => None,
        };
        refusal.into_iter().collect()
    }

    /// A budget of changes counts an undo by the host as any other change. The action that is undone and the earlier steps of its undo are
    /// not counted against it: otherwise what used up a budget could not be taken back, or only by half.
    fn change_budgets(&self, state: &State, passed: &Passed) -> Vec<Reason> {
        let (now, safety) = (Instant::now(), &passed.rules.safety);
        let mut over = state.tries.over_changes(&passed.intent, safety, now);
        over.extend(self.fleet.over(&safety.host, &state.tries.taken_back(&passed.intent), now));
        over
    }

    fn proposes_only(&self, rules: &Rules, action: &Action) -> Option<Reason> {
        let safety = &rules.safety;
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
    /// changed. What became of the action is in the record that the task ends with, and still to be journaled.
    pub(crate) async fn begin(&self, cleared: Cleared, passed: Passed) -> Fate {
        let Cleared(mut record) = cleared;
        record.id = match self.journal.intend(&record).await {
            Ok(id) => id,
            Err(error) => return Fate::NotIntended(error),
        };
        let what = format!("action {} (\"{}\")", record.id, record.proposal.action);
        let under_way = match self.fleet.enter(&self.session, what) {
            Ok(under_way) => under_way,
            Err(halted) => {
                record.outcome = Outcome::Rejected;
                record.note = Some(format!("nothing was done: {}", halted.message));
                record.settled_at = Some(self.clock.now());
                let recorded = self.journal.conclude(&record).await;
                return Fate::Halted(Box::new(record), halted, recorded);
            }
        };
        let (plane, clock) = (Arc::clone(&self.plane), Arc::clone(&self.clock));
        let intent = record.clone();
        let doing = async move {
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
        };
        Fate::Begun(Box::new(Started::new(doing, Passed { intent, ..passed })))
    }
}

/// Why a step that validators amended is no part of the undo any more, if it is not.
fn no_inverse(undone: Option<&ActionRecord>, passed: &Passed) -> Option<Reason> {
    let undone = undone?;
    let after = undone.after.as_deref().unwrap_or(&passed.intent.before);
    let held = Undone { action: &undone.proposal.action, before: &undone.before, after };
    let fault = inverse::fault(&held, std::slice::from_ref(&passed.intent.proposal.action))?;
    Some(reason("no-inverse", fault))
}

fn try_budgets(state: &State, passed: &Passed) -> Vec<Reason> {
    let (now, safety) = (Instant::now(), &passed.rules.safety);
    let open: BTreeSet<&NodeId> =
        state.follow_ups.iter().filter_map(|open| open.record.proposal.action.target()).collect();
    let mut over = state.tries.over_tries(&passed.intent, safety, &open, now);
    let target = passed.intent.proposal.action.target();
    over.extend(state.follow_ups.iter().find(|open| open.waits_at(target, now)).map(|open| {
        let action = &open.record;
        let message =
            format!("whether action {} (\"{}\") helped is not known yet", action.id, action.proposal.action);
        reason("verifying", message)
    }));
    over.extend(escalation::refusal(&passed.intent, safety, &state.tries));
    over
}

/// A yes is to one question: session, tick, action, graph, findings and expiry are those that the person was shown.
fn another_question(request: &Request<'_>, passed: &Passed) -> Option<Reason> {
    let approved = request.approved?;
    let about = About::of(&passed.intent, &passed.findings);
    let question = about.question(approved.reason.clone(), approved.tick, approved.expires_at);
    let message = "what a person approved is not what would be done now".to_owned();
    (question.id != approved.id).then(|| reason("approval-for-another", message))
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

fn approval_by_policy(action: &Action) -> Reason {
    let kind = action.kind();
    reason("approval-by-policy", format!("the policy wants a person to approve each {kind}"))
}
