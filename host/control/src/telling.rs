//! What happens to the loop itself is journaled and told: events, notices to people, what went wrong on a tick. The loop goes on whether it could
//! be journaled or not, but for what must be on disk first.
//!
//! Called by every phase, and by people who thaw a session.

use std::sync::Arc;

use flyball_model::{Attributed, Ending, Event, EventRecord, Finding, Notice, Severity, TickRecord, Verdict};
use flyball_ports::{JournalError, Panel, PlaneError};

use crate::controller::Controller;
use crate::state::State;

/// The notice of a critical fault that nobody and nothing answers.
const UNANSWERED: &str = "unanswered";
/// The notice of a session that nobody judges.
const NO_POLICY: &str = "no-policy";
/// So many decisions in a row may come to nothing before people are told.
pub(crate) const IN_VAIN: u32 = 3;

impl Controller {
    /// On disk when it returns, and told.
    pub(crate) async fn journal_event(&self, tick: u64, event: Event) -> Result<(), JournalError> {
        let event =
            EventRecord { at: self.clock.now(), session: Some(Arc::clone(&self.session)), tick, event };
        let journaled = self.journal.record(&event).await;
        self.listener.event(&event);
        journaled
    }

    /// The same, where the loop goes on whether it could be journaled or not.
    pub(crate) async fn tell(&self, record: &mut TickRecord, event: Event) {
        if let Err(error) = self.journal_event(record.tick, event).await {
            add_error(record, format!("not all that happened is recorded: {error}"));
        }
    }

    /// Tells people.
    pub(crate) async fn notify(&self, record: &mut TickRecord, code: &str, message: String) {
        self.tell(record, Event::Notified(Notice { code: code.to_owned(), message })).await;
    }

    /// A session that no policy judges looks as calm as one in which all is well, so it is told; and so is each change of who
    /// judges: a policy whose file was taken away hands over to another, or to nobody.
    pub(crate) async fn tell_policy(
        &self,
        state: &mut State,
        panel: Option<&Panel>,
        record: &mut TickRecord,
    ) {
        let now = panel.map(|panel| Arc::clone(&panel.policy));
        let before = state.judged_by.replace(now.clone());
        let session = &self.session;
        let (code, message) = match (before, now) {
            (None, Some(_)) => return,
            (Some(before), now) if before == now => return,
            (None | Some(None), None) => (
                NO_POLICY,
                format!(
                    "no policy judges {session}: it is observed, and nothing is done in it; `flyball status` says which \
                     policies there are"
                ),
            ),
            (Some(Some(before)), None) => (
                NO_POLICY,
                format!(
                    "no policy judges {session} any more, the policy {before} did: it is observed, and nothing is done in it"
                ),
            ),
            (Some(None), Some(now)) => (
                "policy-changed",
                format!("{session} is judged by the policy {now} now; none judged it before"),
            ),
            (Some(Some(before)), Some(now)) => (
                "policy-changed",
                format!("{session} is judged by the policy {now} now; the policy {before} judged it before"),
            ),
        };
        self.notify(record, code, message).await;
    }

    /// A critical fault to which there is no answer is told to people, once for as long as it lasts.
    pub(crate) async fn tell_unanswered(
        &self,
        state: &mut State,
        panel: Option<&Panel>,
        record: &mut TickRecord,
    ) {
        let critical = |found: &&Attributed<Finding>| found.said.severity == Severity::Critical;
        let why = match record.ending {
            Ending::Quiet => {
                state.told.remove(UNANSWERED);
                return;
            }
            Ending::Undecided => "no decider had an answer".to_owned(),
            Ending::NoOp | Ending::Rejected => no_answer(record),
            _ => return,
        };
        // Where something was tried, it is told what came of it, and what is next.
        if self.tell_given_up(state, panel, &why, record).await {
            return;
        }
        let decisions = state.pace.fruitless();
        let Some(fault) = record.findings.iter().find(critical).filter(|_| decisions >= IN_VAIN) else {
            return;
        };
        let message = format!(
            "{}; {decisions} decisions in a row came to nothing, the last because {why}: a person must look at it",
            fault.said.message
        );
        if state.told.insert(UNANSWERED.to_owned()) {
            self.notify(record, UNANSWERED, message).await;
        }
    }

    /// A person lets the loop act again after a freeze, and begin anew. `false`: it was not frozen.
    pub async fn thaw(&self) -> bool {
        let mut state = self.state.lock().await;
        state.tries.forget();
        state.escalated.clear();
        state.told.clear();
        state.given_up = None;
        state.frozen.take().is_some()
    }

    /// Why the session is frozen, if it is.
    pub async fn frozen(&self) -> Option<String> {
        self.state.lock().await.frozen.as_ref().map(|frozen| frozen.why.clone())
    }
}

/// Why no action came of a decision.
fn no_answer(record: &TickRecord) -> String {
    let refused = record.verdicts.iter().find_map(|said| match &said.verdict {
        Verdict::Deny(reason) if said.within.is_none() => Some(format!("{}: {}", said.by, reason.message)),
        _ => None,
    });
    let chosen = || record.decision.as_ref().map(|decision| decision.said.proposal.reason.clone());
    refused.or_else(chosen).unwrap_or_else(|| "a guard said no".to_owned())
}

pub(crate) fn unread_graph(error: &PlaneError) -> String {
    format!("the graph could not be read: {error}")
}

pub(crate) fn add_error(record: &mut TickRecord, error: String) {
    tracing::warn!(session = %record.session, tick = record.tick, "{error}");
    match &mut record.error {
        Some(errors) => {
            errors.push_str("; ");
            errors.push_str(&error);
        }
        none => *none = Some(error),
    }
}
