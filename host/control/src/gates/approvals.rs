//! Questions to people: may this action happen? The answer is to exactly the question that was asked.

use std::time::Duration;

use flyball_model::{
    Action, ActionRecord, Approval, Attributed, Caller, Event, Finding, GateRefusal, Graph, PluginId, Reason,
    Safety, TickRecord,
};
use flyball_ports::{DataPlane, Panel};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::act::checks::same;
use crate::act::tries::named;
use crate::controller::Controller;
use crate::decide::deciding::Answer;
use crate::gates::pace::{refusal, seconds};
use crate::observe::assess::wakes;
use crate::state::State;
use crate::telling::{add_error, unread_graph};

/// A finding may come and go; after so many ticks without it in a row it is gone.
const TICKS_TO_BE_GONE: u32 = 3;
/// How much of a digest names a question.
const ID_CHARS: usize = 16;

/// A question that stands.
pub(crate) struct Asked {
    pub approval: Approval,
    /// What is taken to its end once it is approved.
    answer: Answer,
    findings: Vec<Attributed<Finding>>,
    asked: Instant,
    deadline: Instant,
    given: bool,
    /// Ticks in a row on which nothing was found of what it is for.
    gone: u32,
}

/// Why there is nothing to answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// It was answered, or has expired, or never was.
    #[error(
        "no question {id:?} stands in the session {session}; it was answered or has expired; `flyball approvals` lists those \
         that stand"
    )]
    Unknown {
        /// What was named.
        id: String,
        /// Where it was looked for.
        session: String,
    },
    /// The answer could not be journaled, so it does not count.
    #[error("the answer does not count, as it could not be journaled: {0}")]
    NotRecorded(String),
}

/// What a question is about.
pub(crate) struct About<'a> {
    pub session: &'a str,
    pub action: &'a Action,
    pub graph: &'a Graph,
    pub findings: &'a [Attributed<Finding>],
    pub decided_by: &'a PluginId,
}

impl<'a> About<'a> {
    /// An action, and what it is for.
    pub fn of(intent: &'a ActionRecord, findings: &'a [Attributed<Finding>]) -> Self {
        Self {
            session: &intent.session,
            action: &intent.proposal.action,
            graph: &intent.before,
            findings,
            decided_by: &intent.decided_by,
        }
    }

    /// The question, with the digest that the answer is bound to.
    pub fn question(&self, reason: Reason, tick: u64, expires_at: u64) -> Approval {
        let findings: Vec<String> = self.findings.iter().map(|finding| named(&finding.said)).collect();
        let graph = self.graph.digest().to_owned();
        let mut digest = Sha256::new();
        let action = serde_json::to_string(self.action).unwrap_or_default();
        let parts = [self.session, &tick.to_string(), &action, &graph, &expires_at.to_string()];
        for part in parts.into_iter().chain(findings.iter().map(String::as_str)) {
            digest.update(part.len().to_le_bytes());
            digest.update(part.as_bytes());
        }
        let id: String =
            digest.finalize().iter().map(|byte| format!("{byte:02x}")).take(ID_CHARS / 2).collect();
        Approval {
            id,
            tick,
            action: self.action.clone(),
            reason,
            decided_by: self.decided_by.name.to_string(),
            findings,
            graph,
            expires_at,
        }
    }
}

impl Asked {
    pub fn new(
        approval: Approval,
        answer: Answer,
        findings: Vec<Attributed<Finding>>,
        now: Instant,
        safety: &Safety,
    ) -> Self {
        let deadline = now + Duration::from_millis(safety.approval.expires_ms);
        Self { approval, answer, findings, asked: now, deadline, given: false, gone: 0 }
    }

    /// Why the answer would be to another question, if it would.
    fn void(&mut self, now: Instant, graph: Option<&Graph>, record: &TickRecord) -> Option<String> {
        if now >= self.deadline {
            return Some("nobody answered in time".to_owned());
        }
        if graph.is_some_and(|graph| graph.digest() != self.approval.graph) {
            return Some("the graph has changed since it was asked".to_owned());
        }
        let stands = self.stands(record);
        self.gone = if stands { 0 } else { self.gone + 1 };
        (self.gone >= TICKS_TO_BE_GONE).then(|| "what it was for is not found any more".to_owned())
    }

    /// Whether it is asked for the sake of this.
    pub fn is_for(&self, finding: &Finding) -> bool {
        self.findings.iter().any(|asked| same(&asked.said, finding))
    }

    /// The same action for the same findings, whenever.
    pub fn gist(approval: &Approval) -> String {
        format!("{} for {}", approval.action, approval.findings.join(", "))
    }

    /// Not to be asked again for as long as it might have stood.
    fn in_vain(&self, now: Instant) -> (String, Instant) {
        (Self::gist(&self.approval), now + self.deadline.duration_since(self.asked))
    }

    fn stands(&self, record: &TickRecord) -> bool {
        self.findings
            .iter()
            .any(|asked| record.findings.iter().any(|found| wakes(found) && same(&found.said, &asked.said)))
    }

    /// Whether a person said yes.
    pub fn is_given(&self) -> bool {
        self.given
    }

    pub fn gate(&self, now: Instant) -> GateRefusal {
        refusal(
            "approval",
            format!(
                "\"{}\" waits for a person: `flyball approve {}`; expires in {}",
                self.approval.action,
                self.approval.id,
                seconds(self.deadline.duration_since(now))
            ),
        )
    }
}

/// What a question that stands means for this tick.
pub(crate) enum Standing {
    /// There is none.
    None,
    /// Nobody has answered yet.
    Waits(GateRefusal),
    /// A person said yes: this is to be taken to its end, as far as it still may.
    Approved(Box<(Answer, Approval)>),
}

impl Controller {
    /// The questions that stand.
    pub async fn approvals(&self) -> Vec<Approval> {
        let state = self.state.lock().await;
        state.asked.iter().filter(|asked| !asked.given).map(|asked| asked.approval.clone()).collect()
    }

    /// A person says yes. What was decided is done on the next tick, if everything still allows it.
    ///
    /// # Errors
    /// No such question stands, or the answer cannot be journaled.
    pub async fn approve(&self, id: &str, by: Option<Caller>) -> Result<Approval, ApprovalError> {
        let mut state = self.state.lock().await;
        let approval = self.standing(&state, id)?;
        self.answer(&state, Event::ApprovalGiven { id: approval.id.clone(), by }).await?;
        if let Some(asked) = &mut state.asked {
            asked.given = true;
        }
        Ok(approval)
    }

    /// A person says no.
    ///
    /// # Errors
    /// No such question stands, or the answer cannot be journaled.
    pub async fn deny(&self, id: &str, why: &str, by: Option<Caller>) -> Result<Approval, ApprovalError> {
        let mut state = self.state.lock().await;
        let approval = self.standing(&state, id)?;
        let denied = Event::ApprovalDenied { id: approval.id.clone(), why: why.to_owned(), by };
        self.answer(&state, denied).await?;
        if let Some(asked) = state.asked.take() {
            state.asked_in_vain.push(asked.in_vain(Instant::now()));
        }
        Ok(approval)
    }

    fn standing(&self, state: &State, id: &str) -> Result<Approval, ApprovalError> {
        state
            .asked
            .as_ref()
            .filter(|asked| !asked.given && asked.approval.id == id)
            .map(|asked| asked.approval.clone())
            .ok_or_else(|| ApprovalError::Unknown { id: id.to_owned(), session: self.session.to_string() })
    }

    async fn answer(&self, state: &State, event: Event) -> Result<(), ApprovalError> {
        self.journal_event(state.ticks, event)
            .await
            .map_err(|error| ApprovalError::NotRecorded(error.to_string()))
    }

    /// Looks after the question that stands.
    pub(crate) async fn look_at_question(
        &self,
        state: &mut State,
        panel: Option<&Panel>,
        now: Instant,
        record: &mut TickRecord,
    ) -> Standing {
        let Some(asked) = &mut state.asked else {
            return Standing::None;
        };
        let graph = match self.plane.graph().await {
            Ok(graph) => Some(graph),
            Err(error) => {
                add_error(record, unread_graph(&error));
                None
            }
        };
        if let Some(why) = asked.void(now, graph.as_deref(), record) {
            let id = asked.approval.id.clone();
            if now >= asked.deadline {
                let in_vain = asked.in_vain(now);
                state.asked_in_vain.push(in_vain);
            }
            state.asked = None;
            self.tell(record, Event::ApprovalExpired { id, why }).await;
            return Standing::None;
        }
        if !asked.given || graph.is_none() {
            return Standing::Waits(asked.gate(now));
        }
        // A yes waits for what is only a matter of time.
        let applying = state.applying.as_ref().map(|applying| applying.gate(now));
        if let Some(gate) = applying.or_else(|| panel.and_then(|panel| state.pace.closed(&panel.rules, now)))
        {
            return Standing::Waits(gate);
        }
        if !asked.stands(record) {
            return Standing::Waits(asked.gate(now));
        }
        match state.asked.take() {
            Some(asked) => Standing::Approved(Box::new((asked.answer, asked.approval))),
            None => Standing::None,
        }
    }
}
