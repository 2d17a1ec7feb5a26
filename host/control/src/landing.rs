use std::sync::Arc;
use std::time::Duration;

use flyball_model::{
    Action, ActionRecord, Attributed, Ending, Finding, GraphSpec, Outcome, PluginId, Proposal, Reason, Rules,
    TickRecord,
};
use tokio::time::Instant;

use crate::acting::carry_out;
use crate::assess::wakes;
use crate::checks::{Ground, answered, narrowed, reason, same, unresolved};
use crate::controller::Controller;
use crate::deciding::Answer;
use crate::follow_up::FollowUp;
use crate::pace::{disabled, no_policy};
use crate::ports::{Panel, Sight, Support};
use crate::review::{Review, Reviewers};
use crate::state::State;

/// The tick on which a decision lands.
pub(crate) struct Landing<'a> {
    /// Who judges now; the decision may come from an earlier panel.
    pub panel: Option<&'a Panel>,
    pub sight: &'a Sight,
    /// When the tick began.
    pub now: Instant,
}

/// What has passed every guard.
struct Passed {
    proposal: Proposal,
    decided_by: PluginId,
    judged_by: Vec<PluginId>,
    findings: Vec<Attributed<Finding>>,
    before: GraphSpec,
    settle: Duration,
}

impl Controller {
    /// Takes what deciders said to its end: nobody had an answer, no-op, rejected, acted or failed.
    pub(crate) async fn land(
        &self,
        state: &mut State,
        answer: Answer,
        landing: &Landing<'_>,
        record: &mut TickRecord,
    ) {
        let Answer { panel, mut situation, findings, decision, failures, costs } = answer;
        let mut judged_by: Vec<PluginId> = costs.iter().map(|(by, _)| by.clone()).collect();
        record.failures.extend(failures);
        record.costs.extend(costs);
        record.decision = decision;
        let Some(Attributed { by: decided_by, said: decision }) = record.decision.clone() else {
            record.ending = Ending::Undecided;
            return;
        };
        if decision.proposal.action == Action::NoOp {
            record.ending = Ending::NoOp;
            return;
        }
        let rules = match landing.panel {
            Some(newest) => narrowed(&panel.rules, &newest.rules),
            None => panel.rules.clone(),
        };
        situation.findings =
            record.findings.iter().filter(|found| wakes(found)).map(|found| found.said.clone()).collect();
        situation.graph = Arc::new(self.plane.graph());
        situation.past = state.past();
        situation.rules = rules.clone();
        let answered_findings: Vec<_> =
            answered(&decision.proposal, &findings).into_iter().cloned().collect();
        let standing = closed(state, landing, &situation.rules)
            .into_iter()
            .chain(gone(&answered_findings, record))
            .chain(unresolved(&decision.proposal, &landing.sight.now))
            .collect();
        let support = self.plane.support();
        let review = Review::of(
            decision.proposal,
            standing,
            &Reviewers {
                validators: &panel.validators,
                sight: landing.sight,
                situation: &situation,
                ground: Ground {
                    graph: &situation.graph,
                    rules: &rules,
                    support: &support,
                    node_types: &situation.node_types,
                },
                decided_by: &decided_by.name,
            },
        )
        .await;
        judged_by.extend(answered_findings.iter().map(|found| found.by.clone()));
        judged_by.extend(review.verdicts.iter().map(|verdict| verdict.by.clone()));
        record.verdicts = review.verdicts;
        record.failures.extend(review.failures);
        record.costs.extend(review.costs);
        let Some(proposal) = review.passed else {
            record.ending = Ending::Rejected;
            return;
        };
        if proposal.action == Action::NoOp {
            record.ending = Ending::NoOp;
            return;
        }
        let passed = Passed {
            settle: settle_time(&support, &proposal.action),
            proposal,
            decided_by,
            judged_by: distinct(judged_by),
            findings: answered_findings,
            before: Arc::unwrap_or_clone(situation.graph),
        };
        self.act(state, &panel, passed, record).await;
        if record.action.is_some() {
            state.pace.tried(Instant::now(), &rules);
        }
    }

    async fn act(&self, state: &mut State, panel: &Panel, passed: Passed, record: &mut TickRecord) {
        let Passed { proposal, decided_by, judged_by, findings, before, settle } = passed;
        let intent = ActionRecord {
            id: 0,
            session: Arc::clone(&record.session),
            tick: record.tick,
            generation: panel.generation,
            at: self.clock.now(),
            proposal,
            decided_by,
            judged_by,
            findings: findings.iter().map(|found| found.said.clone()).collect(),
            before,
            after: None,
            outcome: Outcome::Unknown,
            note: None,
            settled_at: None,
            undoes: None,
        };
        let action = match carry_out(&*self.plane, &*self.journal, &*self.clock, intent).await {
            Ok(action) => action,
            Err(error) => {
                record.ending = Ending::Failed;
                record.error =
                    Some(format!("nothing was done, as its intent could not be recorded: {error}"));
                return;
            }
        };
        let applied = Instant::now();
        state.pace.settles(applied, settle, action.proposal.action.to_string());
        state.remember(&action);
        if let Err(error) = self.journal.conclude(&action).await {
            record.error =
                Some(format!("the action was tried, and what became of it is not recorded: {error}"));
        }
        record.ending = if action.outcome == Outcome::Failed { Ending::Failed } else { Ending::Acted };
        if record.ending == Ending::Acted {
            let findings: Vec<_> = findings.iter().collect();
            state.follow_ups.push(FollowUp::new(action.clone(), &findings, applied, settle));
        }
        record.action = Some(action);
    }
}

/// Gates that have closed while the decider was thinking.
fn closed(state: &State, landing: &Landing<'_>, rules: &Rules) -> Option<Reason> {
    let refusal = match landing.panel {
        None => Some(no_policy()),
        Some(panel) if !rules.enabled => Some(disabled(&panel.policy)),
        Some(_) => state.pace.closed(rules, landing.now),
    }?;
    Some(reason(&refusal.gate, refusal.message))
}

/// What the proposal was for is no longer found.
fn gone(answered: &[Attributed<Finding>], record: &TickRecord) -> Option<Reason> {
    let stands = answered.iter().any(|finding| {
        record.findings.iter().any(|newest| wakes(newest) && same(&newest.said, &finding.said))
    });
    if stands {
        return None;
    }
    let codes: Vec<&str> = answered.iter().map(|finding| finding.said.code.as_str()).collect();
    let message =
        format!("what the action is for is not found on tick {} any more: {}", record.tick, codes.join(", "));
    Some(reason("finding-gone", message))
}

pub(crate) fn settle_time(support: &[Support], action: &Action) -> Duration {
    let kind = action.kind();
    support
        .iter()
        .find(|support| support.kind == kind)
        .map_or(Duration::ZERO, |support| Duration::from_millis(support.settle_ms))
}

pub(crate) fn distinct(ids: Vec<PluginId>) -> Vec<PluginId> {
    let mut distinct: Vec<PluginId> = Vec::with_capacity(ids.len());
    for id in ids {
        if id.name.as_ref() != "host" && !distinct.contains(&id) {
            distinct.push(id);
        }
    }
    distinct
}
