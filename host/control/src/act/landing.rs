//! How a decision lands: what deciders answered, or a person approved, becomes a request that takes the one way of every action
//! (`propose`), and where that way ended is how the tick ends. A person is asked here, and what became of the action is taken in here.
//!
//! Called by `controller`, when an answer has come or a yes may be done, and by `applying`, when the data plane has answered.

use std::sync::Arc;

use flyball_model::{
    Action, ActionRecord, Approval, Attributed, Decision, Ending, Event, Finding, Outcome, PluginId, Reason,
    Rules, Safety, TickRecord,
};
use flyball_ports::{DataPlane, Panel, PlaneError, Sight, Situation};
use tokio::time::Instant;

use crate::act::applying::{Applying, Before};
use crate::act::checks::{answered, narrowed, reason};
use crate::act::origin::Origin;
use crate::act::propose::{Fate, Passed, Request, Trail, host_denies};
use crate::act::review::acted;
use crate::controller::Controller;
use crate::decide::deciding::Answer;
use crate::gates::approvals::{About, Asked};
use crate::observe::assess::wakes;
use crate::state::State;
use crate::telling::{add_error, unread_graph};
use crate::verify::follow_up::FollowUp;
use crate::verify::measure::{Measure, Taken};

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

impl Controller {
    /// Takes what deciders said to its end: nobody had an answer, no-op, rejected, acted or failed.
    pub(crate) async fn land(
        &self,
        state: &mut State,
        answer: Answer,
        landing: &Landing<'_>,
        record: &mut TickRecord,
    ) {
        let mut judged_by: Vec<PluginId> = answer.costs.iter().map(|(by, _)| by.clone()).collect();
        let Some((mut question, decided)) = heard(answer, record) else { return };
        let rules = match landing.panel {
            Some(newest) => narrowed(&question.panel.rules, &newest.rules),
            None => question.panel.rules.clone(),
        };
        if let Err(error) =
            self.bring_up_to_date(state, &mut question.situation, &rules, landing, record).await
        {
            record.ending = Ending::Unobserved;
            add_error(record, unread_graph(&error));
            return;
        }
        let findings: Vec<_> =
            answered(&decided.said.proposal, &question.findings).into_iter().cloned().collect();
        judged_by.extend(findings.iter().map(|found| found.by.clone()));
        let approved = landing.approved.as_ref();
        let request = Request {
            origin: if approved.is_some() { Origin::Approval } else { Origin::Decider },
            proposal: decided.said.proposal,
            decided_by: decided.by,
            judged_by,
            panel: Arc::clone(&question.panel),
            newest: landing.panel,
            rules,
            sight: landing.sight,
            situation: &question.situation,
            types: &question.types,
            findings,
            found: &record.findings,
            now: landing.now,
            approved,
            undone: None,
        };
        let mut trail = Trail::default();
        let fate = self.propose(state, request, &mut trail).await;
        trail.told_in(record);
        self.came_to(state, fate, question, record).await;
    }

    /// What is proposed is judged by the newest of what there is to know.
    async fn bring_up_to_date(
        &self,
        state: &State,
        situation: &mut Situation,
        rules: &Rules,
        landing: &Landing<'_>,
        record: &TickRecord,
    ) -> Result<(), PlaneError> {
        situation.graph = self.plane.graph().await?;
        let woken = record.findings.iter().filter(|found| wakes(found));
        situation.findings = woken.map(|found| found.said.clone()).collect();
        situation.past = state.past(landing.sight.now.taken_at);
        situation.rules = rules.as_shown();
        Ok(())
    }

    /// Where the way of a decided action ended is how its tick ends.
    async fn came_to(&self, state: &mut State, fate: Fate, question: Answer, record: &mut TickRecord) {
        match fate {
            Fate::NoOp => record.ending = Ending::NoOp,
            Fate::Refused(..) => record.ending = Ending::Rejected,
            Fate::Proposed(_) => record.ending = Ending::Proposed,
            Fate::Unapproved(why, passed) => self.ask_for(state, *passed, why, question, record).await,
            Fate::NotIntended(error) => {
                record.ending = Ending::Failed;
                record.error =
                    Some(format!("nothing was done, as its intent could not be recorded: {error}"));
            }
            Fate::Halted(action, halted, recorded) => {
                refuse(record, &action.proposal.action, reason(&halted.gate, halted.message));
                if let Err(error) = recorded {
                    record.error = Some(format!("that nothing was done is not recorded: {error}"));
                }
                record.action = Some(*action);
            }
            Fate::Begun(mut started) => {
                let before = Before::of(state);
                match started.ended_within(self.patience()).await {
                    Some(action) => self.applied(state, started.passed, before, action, record).await,
                    None => self.goes_on_applying(state, Applying::decided(*started, before), record),
                }
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
        record: &mut TickRecord,
    ) {
        let safety = &passed.rules.safety;
        let about = About::of(&passed.intent, &passed.findings);
        if state.asked.is_some() {
            let message = "a person is asked about another action already; one question at a time".to_owned();
            refuse(record, about.action, reason("another-question-stands", message));
            return;
        }
        let expires_at = self.clock.now().saturating_add(safety.approval.expires_ms);
        let approval = about.question(why, record.tick, expires_at);
        let (now, gist) = (Instant::now(), Asked::gist(&approval));
        state.asked_in_vain.retain(|(_, until)| *until > now);
        if state.asked_in_vain.iter().any(|(asked, _)| *asked == gist) {
            let message = format!("a person was asked \"{gist}\" and did not say yes");
            refuse(record, about.action, reason("asked-in-vain", message));
            return;
        }
        self.ask_people(state, approval, question, passed.findings, safety, record).await;
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

    /// The data plane has answered.
    pub(crate) async fn applied(
        &self,
        state: &mut State,
        passed: Passed,
        before: Before,
        mut action: ActionRecord,
        record: &mut TickRecord,
    ) {
        action.settled_at.get_or_insert_with(|| self.clock.now());
        let rules = &passed.rules;
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
            state.standing.add(&action, before.newest.as_deref(), &rules.safety.give_back, applied);
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
fn refuse(record: &mut TickRecord, action: &Action, reason: Reason) {
    record.ending = Ending::Rejected;
    record.verdicts.push(host_denies(action, reason));
}

/// What deciders said becomes part of the tick's record. None: nothing is to be done, and the record says why. Otherwise the question, as
/// it is kept where a person must be asked, and the decision.
fn heard(mut question: Answer, record: &mut TickRecord) -> Option<(Answer, Attributed<Decision>)> {
    record.answers.append(&mut question.answers);
    record.failures.append(&mut question.failures);
    record.costs.append(&mut question.costs);
    record.decision.clone_from(&question.decision);
    let Some(decided) = question.decision.clone() else {
        record.ending = Ending::Undecided;
        return None;
    };
    if decided.said.proposal.action == Action::NoOp {
        record.ending = Ending::NoOp;
        return None;
    }
    Some((question, decided))
}
