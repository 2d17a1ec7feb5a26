//! The one way of an action, whoever wants it: the gates that may have closed, the host's own checks, the validators, the budgets, halt,
//! dry run, approval, freeze, the intent on disk, and then the data plane. [`Controller::propose`] is that way, from the first guard to the
//! data plane's beginning; `origin` says which guard holds whom.
//!
//! It must uphold that nothing gets to the data plane by another way (`door` sees to that, by type), and that every no is told to
//! whoever proposed, with the guard that said it.
//!
//! Called by `landing` for what deciders want and people approve, and by `rollback` for the steps of an undo.

use std::sync::Arc;
use std::time::Duration;

use flyball_model::{
    Action, ActionRecord, Approval, Attributed, Cost, FailedJudge, Finding, GateRefusal, NodeType, Outcome,
    PluginId, Proposal, Reason, Rules, TickRecord, Verdict, VerdictRecord,
};
use flyball_ports::{DataPlane, JournalError, Panel, Sight, Situation, Support};
use tokio::time::Instant;

use crate::act::applying::Started;
use crate::act::checks::{Ground, reason, same, unresolved};
use crate::act::door::No;
use crate::act::origin::{BEFORE_REVIEW, Guard, Origin};
use crate::act::review::{Review, Reviewers};
use crate::controller::Controller;
use crate::gates::pace::{disabled, no_policy};
use crate::observe::assess::wakes;
use crate::state::State;

/// Refusals that a decider should know of: what is proposed will be refused for a while.
const LASTING: [&str; 4] = ["attempts-used-up", "cures-used-up", "flapping", "kind-budget"];

/// An action that somebody wants, and what it is to be judged by.
pub(crate) struct Request<'a> {
    pub origin: Origin,
    pub proposal: Proposal,
    /// In whose name the journal has it.
    pub decided_by: PluginId,
    /// Who had a part in it before the review.
    pub judged_by: Vec<PluginId>,
    /// Whose validators review it.
    pub panel: Arc<Panel>,
    /// Who judges the session now.
    pub newest: Option<&'a Panel>,
    /// What it must keep to.
    pub rules: Rules,
    pub sight: &'a Sight,
    /// What validators are shown.
    pub situation: &'a Situation,
    /// Every type of node that there is.
    pub types: &'a [NodeType],
    /// What it is for.
    pub findings: Vec<Attributed<Finding>>,
    /// What is found now.
    pub found: &'a [Attributed<Finding>],
    /// When the tick began on which it is proposed.
    pub now: Instant,
    /// What a person said yes to.
    pub approved: Option<&'a Approval>,
    /// The action that it takes back.
    pub undone: Option<&'a ActionRecord>,
}

/// An action that the host's own checks and every validator have allowed.
pub(crate) struct Passed {
    pub intent: ActionRecord,
    /// Whose validators let it pass.
    pub panel: Arc<Panel>,
    /// What it is held to.
    pub rules: Rules,
    pub findings: Vec<Attributed<Finding>>,
    pub settle: Duration,
    /// What a validator asks a person.
    pub asks: Option<Reason>,
}

/// What was said of a proposal on its way.
#[derive(Default)]
pub(crate) struct Trail {
    pub verdicts: Vec<VerdictRecord>,
    pub failures: Vec<FailedJudge>,
    pub costs: Vec<(PluginId, Cost)>,
}

/// Where the way of a proposal ended.
pub(crate) enum Fate {
    /// The validators made nothing of it.
    NoOp,
    /// It may not happen; every reason is in the trail, and this is the first.
    Refused(Guard, Reason),
    /// It may be proposed only.
    Proposed(Reason),
    /// A person must say yes first.
    Unapproved(Reason, Box<Passed>),
    /// The intent is not on disk, so nothing was done.
    NotIntended(JournalError),
    /// A halt came between the intent and the data plane, which was not touched. What the journal said to that.
    Halted(Box<ActionRecord>, GateRefusal, Result<(), JournalError>),
    /// The data plane is at it.
    Begun(Box<Started>),
}

impl Controller {
    /// Takes what somebody wants through every guard that holds them, and has the data plane begin with it.
    pub(crate) async fn propose(
        &self,
        state: &mut State,
        mut request: Request<'_>,
        trail: &mut Trail,
    ) -> Fate {
        let support = self.plane.support();
        let standing = standing(state, &request);
        let proposed = request.proposal.clone();
        let review = Review::of(
            proposed,
            standing.iter().map(|(_, reason)| reason.clone()).collect(),
            &self.reviewers(&request, &support),
        )
        .await;
        let refusal = review.refusal().cloned();
        let judged_by = review.verdicts.iter().map(|verdict| verdict.by.clone());
        request.judged_by.extend(judged_by);
        trail.verdicts.extend(review.verdicts);
        trail.failures.extend(review.failures);
        trail.costs.extend(review.costs);
        let Some(proposal) = review.passed else {
            let guard = standing.first().map_or(Guard::Review, |(guard, _)| *guard);
            return Fate::Refused(guard, refusal.unwrap_or_else(unexplained));
        };
        if proposal.action == Action::NoOp && !request.origin.is_undo() {
            return Fate::NoOp;
        }
        let passed = self.passed(state, &request, proposal, review.asked, &support);
        let no = match self.door(state, &request, &passed) {
            Ok(cleared) => return self.begin(cleared, passed).await,
            Err(no) => *no,
        };
        match no.guard {
            Guard::Proposing => Fate::Proposed(no.why),
            Guard::Approval => Fate::Unapproved(no.why, Box::new(passed)),
            _ => refused(state, &passed.intent, no, trail),
        }
    }

    fn reviewers<'a>(&'a self, request: &'a Request<'_>, support: &'a [Support]) -> Reviewers<'a> {
        Reviewers {
            validators: &request.panel.validators,
            sight: request.sight,
            situation: request.situation,
            ground: Ground {
                graph: &request.situation.graph,
                rules: &request.rules,
                support,
                node_types: request.types,
                plane: &self.plane,
                restoring: request.undone.map(|undone| &**undone.before),
            },
            decided_by: &request.decided_by.name,
            approved: request.origin.has_a_yes(),
        }
    }

    fn passed(
        &self,
        state: &State,
        request: &Request<'_>,
        proposal: Proposal,
        asks: Option<Reason>,
        support: &[Support],
    ) -> Passed {
        Passed {
            settle: settle_time(support, &proposal.action),
            panel: Arc::clone(&request.panel),
            rules: request.rules.clone(),
            asks,
            findings: request.findings.clone(),
            intent: ActionRecord {
                id: 0,
                session: Arc::clone(&self.session),
                tick: state.ticks,
                generation: request.panel.generation,
                at: self.clock.now(),
                proposal,
                decided_by: request.decided_by.clone(),
                judged_by: distinct(&request.judged_by),
                findings: request.findings.iter().map(|found| found.said.clone()).collect(),
                before: Arc::clone(&request.situation.graph),
                after: None,
                outcome: Outcome::Unknown,
                note: None,
                settled_at: None,
                undoes: request.undone.map(|undone| undone.id),
            },
        }
    }
}

impl Trail {
    /// What was said becomes part of the tick's record.
    pub fn told_in(self, record: &mut TickRecord) {
        record.verdicts.extend(self.verdicts);
        record.failures.extend(self.failures);
        record.costs.extend(self.costs);
    }
}

/// The host itself says no, which is told; a decider is shown what will be refused for a while, whoever proposed it.
fn refused(state: &mut State, intent: &ActionRecord, no: No, trail: &mut Trail) -> Fate {
    let No { guard, why, also } = no;
    let reasons: Vec<Reason> = std::iter::once(why.clone()).chain(also).collect();
    let is_budget = matches!(guard, Guard::TryBudgets | Guard::ChangeBudgets);
    if is_budget && reasons.iter().any(|reason| LASTING.contains(&reason.code.as_str())) {
        state.remember_refused(intent, Instant::now());
    }
    let action = &intent.proposal.action;
    trail.verdicts.extend(reasons.into_iter().map(|reason| host_denies(action, reason)));
    Fate::Refused(guard, why)
}

/// What holds the proposal before it is reviewed.
fn standing(state: &State, request: &Request<'_>) -> Vec<(Guard, Reason)> {
    let held = BEFORE_REVIEW.into_iter().filter(|guard| guard.holds(request.origin));
    held.filter_map(|guard| Some((guard, closed(guard, state, request)?))).collect()
}

/// Gates that have closed while the decider was thinking, and what the proposal was for or rests on and is not there any more.
fn closed(guard: Guard, state: &State, request: &Request<'_>) -> Option<Reason> {
    let gate = match guard {
        Guard::Enabled => match request.newest {
            None => Some(no_policy()),
            Some(panel) => (!request.rules.enabled).then(|| disabled(&panel.policy)),
        },
        Guard::OneAtATime => state.applying.as_ref().map(|applying| applying.gate(request.now)),
        Guard::Pace => state.pace.closed(&request.rules, request.now),
        Guard::StillFound => return gone(&request.findings, request.found, state.ticks),
        Guard::Evidence => return unresolved(&request.proposal, &request.sight.now),
        // Asked later.
        Guard::Review
        | Guard::Inverse
        | Guard::TryBudgets
        | Guard::ChangeBudgets
        | Guard::Halt
        | Guard::Proposing
        | Guard::Approval
        | Guard::SameQuestion
        | Guard::Freeze => None,
    };
    gate.map(|gate| reason(&gate.gate, gate.message))
}

/// What the proposal was for is no longer found.
fn gone(wanted_for: &[Attributed<Finding>], found: &[Attributed<Finding>], tick: u64) -> Option<Reason> {
    let stands = wanted_for
        .iter()
        .any(|finding| found.iter().any(|newest| wakes(newest) && same(&newest.said, &finding.said)));
    if stands {
        return None;
    }
    let codes: Vec<&str> = wanted_for.iter().map(|finding| finding.said.code.as_str()).collect();
    let message =
        format!("what the action is for is not found on tick {tick} any more: {}", codes.join(", "));
    Some(reason("finding-gone", message))
}

fn unexplained() -> Reason {
    reason("rejected", "a guard said no".to_owned())
}

/// The host itself says no.
pub(crate) fn host_denies(action: &Action, reason: Reason) -> VerdictRecord {
    VerdictRecord {
        by: PluginId::host(),
        within: None,
        action: action.clone(),
        verdict: Verdict::Deny(reason),
    }
}

pub(crate) fn settle_time(support: &[Support], action: &Action) -> Duration {
    let kind = action.kind();
    support
        .iter()
        .find(|support| support.kind == kind)
        .map_or(Duration::ZERO, |support| Duration::from_millis(support.settle_ms))
}

fn distinct(ids: &[PluginId]) -> Vec<PluginId> {
    let mut distinct: Vec<PluginId> = Vec::with_capacity(ids.len());
    for id in ids {
        if id.name.as_ref() != "host" && !distinct.contains(id) {
            distinct.push(id.clone());
        }
    }
    distinct
}
