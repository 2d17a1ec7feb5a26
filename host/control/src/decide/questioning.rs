//! What deciders are asked, and at which step of the policy's escalation.

use std::sync::Arc;

use flyball_model::{ActionKind, Attributed, Event, Finding, Rules, Safety, TickRecord};
use flyball_ports::{DataPlane, Panel, PlaneError, Sight, Situation, UndoKind};

use crate::act::tries::fault;
use crate::controller::Controller;
use crate::decide::deciding::Question;
use crate::decide::escalation::{self, Stage};
use crate::observe::assess::wakes;
use crate::state::State;

impl Controller {
    pub(crate) async fn question(
        &self,
        state: &mut State,
        panel: &Arc<Panel>,
        sight: &Sight,
        record: &mut TickRecord,
    ) -> Result<Question, PlaneError> {
        let findings: Vec<Attributed<Finding>> = record
            .findings
            .iter()
            .filter(|found| wakes(found) && !state.is_asked(&found.said))
            .cloned()
            .collect();
        let stage = match findings.first() {
            Some(worst) => self.escalate(state, &worst.said, &panel.rules.safety, record).await,
            None => None,
        };
        let allowed = self.allowed(&panel.rules, stage);
        let first = stage.and_then(|stage| {
            escalation::taken(stage, &panel.rules.safety).iter().rev().find_map(|step| step.decider.clone())
        });
        let said: Vec<Finding> = findings.iter().map(|found| found.said.clone()).collect();
        let situation = Situation {
            learned: self.fleet.learned(&said),
            graph: self.plane.graph().await?,
            findings: said,
            allowed,
            node_types: self.plane.node_types(),
            past: state.recent_past(sight.now.taken_at),
            rules: panel.rules.as_shown(),
        };
        Ok(Question {
            panel: Arc::clone(panel),
            plane: Arc::clone(&self.plane),
            sight: sight.clone(),
            situation,
            findings,
            support: self.plane.support(),
            first,
        })
    }

    /// The kinds that a decider may choose from: supported, allowed, and of this stage of the escalation.
    fn allowed(&self, rules: &Rules, stage: Option<Stage>) -> Vec<ActionKind> {
        let support = self.plane.support();
        let kinds = escalation::kinds(stage, &rules.safety);
        let may = |kind: ActionKind| {
            support.iter().any(|support| {
                support.kind == kind
                    && (support.undo != UndoKind::Irreversible || rules.safety.irreversible.contains(&kind))
            }) && rules.mutation.allows(kind)
                && kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
        };
        ActionKind::ALL.into_iter().filter(|kind| *kind == ActionKind::NoOp || may(*kind)).collect()
    }

    /// Where the escalation of the worst finding is; a step that is new is journaled, and told where the policy says so.
    async fn escalate(
        &self,
        state: &mut State,
        worst: &Finding,
        safety: &Safety,
        record: &mut TickRecord,
    ) -> Option<Stage> {
        let stage = escalation::stage(worst, safety, &state.tries)?;
        let fault = fault(worst);
        let step = match stage {
            Stage::At(step) => u32::try_from(step).unwrap_or(u32::MAX) + 1,
            Stage::Exhausted => u32::MAX,
        };
        if state.escalated.insert(fault.clone(), step) == Some(step) || step == 1 {
            return Some(stage);
        }
        let (why, tell) = match stage {
            Stage::At(at) => (
                format!("what was tried for {fault} did not help, or it is critical"),
                safety.escalation.get(at).is_some_and(|step| step.notify),
            ),
            Stage::Exhausted => (format!("every step was tried for {fault}, in vain: people must"), true),
        };
        let step = step.min(u32::try_from(safety.escalation.len()).unwrap_or(u32::MAX));
        self.tell(record, Event::Escalated { fault, step, why: why.clone() }).await;
        if tell {
            self.notify(record, "escalated", format!("{}: {why}", self.session)).await;
        }
        Some(stage)
    }
}
