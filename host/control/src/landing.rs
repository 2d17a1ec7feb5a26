use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use flyball_model::{
    Action, ActionRecord, Approval, Attributed, Ending, Event, Finding, NodeId, Outcome, PluginId, Reason,
    Rules, Safety, TickRecord, Verdict, VerdictRecord,
};
use flyball_ports::{DataPlane, Panel, Sight, Support};
use tokio::time::Instant;

use crate::applying::{Applying, PATIENCE};
use crate::approvals::{About, Asked};
use crate::assess::wakes;
use crate::checks::{Ground, answered, narrowed, reason, same, unresolved};
use crate::controller::{Controller, add_error, unread_graph};
use crate::deciding::Answer;
use crate::door::{Barred, Begun, Cleared, Origin, Wanted};
use crate::escalation;
use crate::follow_up::FollowUp;
use crate::measure::{Measure, Taken};
use crate::pace::{disabled, no_policy};
use crate::review::{Review, Reviewers, acted};
use crate::state::State;

/// Refusals that a decider should know of: what is proposed will be refused for a while.
const LASTING: [&str; 4] = ["attempts-used-up", "cures-used-up", "flapping", "kind-budget"];

/// The tick on which a decision lands.
pub(crate) struct Landing<'a> {
    /// Who judges now; the decision may come from an earlier panel.
    pub panel: Option<&'a Panel>,
    pub sight: &'a Sight,
    /// When the tick began.
    pub now: Instant,
    /// What a person has approved.
    pub approved: Option<Approval>,
}

/// What every judge has allowed.
pub(crate) struct Passed {
    pub intent: ActionRecord,
    /// Whose validators let it pass.
    panel: Arc<Panel>,
    findings: Vec<Attributed<Finding>>,
    settle: Duration,
    /// What a validator asks a person.
    asks: Option<Reason>,
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
        let Answer { panel, mut situation, types, findings, decision, answers, failures, costs } = answer;
        let mut judged_by: Vec<PluginId> = costs.iter().map(|(by, _)| by.clone()).collect();
        record.answers.extend(answers);
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
        situation.graph = match self.plane.graph().await {
            Ok(graph) => graph,
            Err(error) => {
                record.ending = Ending::Unobserved;
                add_error(record, unread_graph(&error));
                return;
            }
        };
        situation.past = state.past(landing.sight.now.taken_at);
        situation.rules = rules.as_shown();
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
                    node_types: &types,
                    plane: &self.plane,
                    restoring: None,
                },
                decided_by: &decided_by.name,
                approved: landing.approved.is_some(),
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
        let support = support.iter().find(|support| support.kind == proposal.action.kind()).copied();
        let passed = Passed {
            settle: support.map_or(Duration::ZERO, |support| Duration::from_millis(support.settle_ms)),
            panel: Arc::clone(&panel),
            asks: review.asked,
            intent: ActionRecord {
                id: 0,
                session: Arc::clone(&record.session),
                tick: record.tick,
                generation: panel.generation,
                at: self.clock.now(),
                proposal,
                decided_by,
                judged_by: distinct(judged_by),
                findings: answered_findings.iter().map(|found| found.said.clone()).collect(),
                before: Arc::clone(&situation.graph),
                after: None,
                outcome: Outcome::Unknown,
                note: None,
                settled_at: None,
                undoes: None,
            },
            findings: answered_findings,
        };
        let question = Answer {
            panel,
            situation,
            types,
            findings,
            decision: record.decision.clone(),
            answers: Vec::new(),
            failures: Vec::new(),
            costs: Vec::new(),
        };
        self.last_guards(state, passed, question, &rules, landing, record).await;
    }

    /// What is asked of an action that every judge has allowed: the budgets, and the door.
    async fn last_guards(
        &self,
        state: &mut State,
        passed: Passed,
        question: Answer,
        rules: &Rules,
        landing: &Landing<'_>,
        record: &mut TickRecord,
    ) {
        let over = self.over_budget(state, &passed, &rules.safety);
        if !over.is_empty() {
            if over.iter().any(|reason| LASTING.contains(&reason.code.as_str())) {
                state.remember_refused(&passed.intent, Instant::now());
            }
            refuse(record, &passed.intent.proposal.action, over);
            return;
        }
        let cleared = self.door(&Wanted {
            origin: Origin::Decider,
            intent: &passed.intent,
            rules,
            frozen: state.frozen.as_deref(),
            asks: passed.asks.as_ref(),
            approved: landing.approved.as_ref().map(|approved| (approved, &*passed.findings)),
        });
        match cleared {
            Ok(cleared) => self.act(state, cleared, passed, rules, record).await,
            Err(Barred::Proposed(_)) => record.ending = Ending::Proposed,
            Err(Barred::Refused(why)) => refuse(record, &passed.intent.proposal.action, vec![why]),
            Err(Barred::Unapproved(why)) => {
                self.ask_for(state, passed, why, question, &rules.safety, record).await;
            }
        }
    }

    /// A person must say yes; they are asked one question at a time, and not again what they did not approve.
    async fn ask_for(
        &self,
        state: &mut State,
        passed: Passed,
        why: Reason,
        question: Answer,
        safety: &Safety,
        record: &mut TickRecord,
    ) {
        let about = About::of(&passed.intent, &passed.findings);
        if state.asked.is_some() {
            let message = "a person is asked about another action already; one question at a time".to_owned();
            refuse(record, about.action, vec![reason("another-question-stands", message)]);
            return;
        }
        let expires_at = self.clock.now().saturating_add(safety.approval.expires_ms);
        let approval = about.question(why, record.tick, expires_at);
        let (now, gist) = (Instant::now(), Asked::gist(&approval));
        state.asked_in_vain.retain(|(_, until)| *until > now);
        if state.asked_in_vain.iter().any(|(asked, _)| *asked == gist) {
            let message = format!("a person was asked \"{gist}\" and did not say yes");
            refuse(record, about.action, vec![reason("asked-in-vain", message)]);
            return;
        }
        self.ask_people(state, approval, question, passed.findings, safety, record).await;
    }

    fn over_budget(&self, state: &State, passed: &Passed, safety: &Safety) -> Vec<Reason> {
        let now = Instant::now();
        let open: BTreeSet<&NodeId> =
            state.follow_ups.iter().filter_map(|open| open.record.proposal.action.target()).collect();
        let mut over = state.tries.refusals(&passed.intent, safety, &open, now);
        let target = passed.intent.proposal.action.target();
        over.extend(state.follow_ups.iter().find(|open| open.waits_at(target, now)).map(|open| {
            let action = &open.record;
            let message = format!(
                "whether action {} (\"{}\") helped is not known yet",
                action.id, action.proposal.action
            );
            reason("verifying", message)
        }));
        over.extend(self.fleet.over(&safety.host, now));
        over.extend(escalation::refusal(&passed.intent, safety, &state.tries));
        over
    }

    async fn ask_people(
        &self,
        state: &mut State,
        approval: Approval,
        question: Answer,
        findings: Vec<Attributed<Finding>>,
        safety: &Safety,
        record: &mut TickRecord,
    ) {
        let id = approval.id.clone();
        if let Err(error) =
            self.journal_event(record.tick, Event::ApprovalAsked(Box::new(approval.clone()))).await
        {
            record.ending = Ending::Failed;
            add_error(record, format!("nobody was asked, as the question could not be recorded: {error}"));
            return;
        }
        record.ending = Ending::AwaitingApproval;
        let message = format!(
            "\"{}\" on {} needs a person's approval: {}; `flyball approve {id}` or `flyball deny {id} --why TEXT`",
            approval.action,
            self.session,
            brief(&approval.reason.message)
        );
        state.asked = Some(Asked::new(approval, question, findings, Instant::now(), safety));
        self.notify(record, "approval-asked", message).await;
    }

    async fn act(
        &self,
        state: &mut State,
        cleared: Cleared,
        passed: Passed,
        rules: &Rules,
        record: &mut TickRecord,
    ) {
        let mut applying = match self.begin(cleared).await {
            Ok(Begun::Applying(intent, task)) => {
                Applying::new(task, Passed { intent: *intent, ..passed }, rules, state)
            }
            Ok(Begun::Halted(action, halted)) => {
                refuse(record, &action.proposal.action, vec![reason(&halted.gate, halted.message)]);
                if let Err(error) = self.journal.conclude(&action).await {
                    record.error = Some(format!("that nothing was done is not recorded: {error}"));
                }
                record.action = Some(*action);
                return;
            }
            Err(error) => {
                record.ending = Ending::Failed;
                record.error =
                    Some(format!("nothing was done, as its intent could not be recorded: {error}"));
                return;
            }
        };
        match applying.done_within((self.options.interval / 2).min(PATIENCE)).await {
            Some(action) => self.applied(state, applying, action, record).await,
            None => self.goes_on_applying(state, applying, record),
        }
    }

    /// The data plane has answered.
    pub(crate) async fn applied(
        &self,
        state: &mut State,
        applying: Applying,
        mut action: ActionRecord,
        record: &mut TickRecord,
    ) {
        action.settled_at.get_or_insert_with(|| self.clock.now());
        let Applying { passed, rules, before, .. } = &applying;
        acted(&passed.panel.validators, &self.session);
        let settle = passed.settle;
        let applied = Instant::now();
        state.pace.settles(applied, settle, action.proposal.action.to_string());
        state.remember(&action, applied);
        state.tries.add(&action, applied);
        self.fleet.tried(applied);
        if let Err(error) = self.journal.conclude(&action).await {
            record.error =
                Some(format!("the action was tried, and what became of it is not recorded: {error}"));
        }
        record.ending = if action.outcome == Outcome::Failed { Ending::Failed } else { Ending::Acted };
        if record.ending == Ending::Failed {
            self.fleet.learn(&action, None);
        }
        if record.ending == Ending::Acted {
            let taken = Taken {
                action: &action,
                at: applied,
                since: before.last_applied,
                newest: before.newest.as_deref(),
                findings: &action.findings,
            };
            let measure = Measure::new(&before.readings, &taken, settle, self.plane.reading_window());
            let findings: Vec<_> = passed.findings.iter().collect();
            state.follow_ups.push(FollowUp::new(action.clone(), &findings, applied, settle, measure));
            state.last_applied = Some(applied);
        }
        record.action = Some(action);
        state.pace.tried(Instant::now(), rules);
        self.freeze_if_futile(state, &rules.safety, record).await;
    }
}

/// What a plugin says in a notice, so short that the command behind it is read.
fn brief(text: &str) -> String {
    const LONGEST: usize = 500;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The host itself says no.
fn refuse(record: &mut TickRecord, action: &Action, reasons: Vec<Reason>) {
    record.ending = Ending::Rejected;
    record.verdicts.extend(reasons.into_iter().map(|reason| VerdictRecord {
        by: PluginId::host(),
        within: None,
        action: action.clone(),
        verdict: Verdict::Deny(reason),
    }));
}

/// Gates that have closed while the decider was thinking.
fn closed(state: &State, landing: &Landing<'_>, rules: &Rules) -> Option<Reason> {
    let applying = || state.applying.as_ref().map(|applying| applying.gate(landing.now));
    let refusal = match landing.panel {
        None => Some(no_policy()),
        Some(panel) if !rules.enabled => Some(disabled(&panel.policy)),
        Some(_) => applying().or_else(|| state.pace.closed(rules, landing.now)),
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
