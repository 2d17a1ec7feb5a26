//! Which gate holds the deciders on this tick, from the most lasting to the shortest. What people are told of a gate is told here.
//!
//! It upholds that nothing is decided where it could not be done. What a decision passes later, gates that have closed meanwhile among it,
//! is in `act`.
//!
//! Called by `controller`, when something was found and nobody thinks about it yet.

use std::collections::BTreeSet;

use flyball_model::{GateRefusal, Systemic, TickRecord};
use flyball_ports::Panel;
use tokio::time::Instant;

use crate::act::tries::fault;
use crate::controller::Controller;
use crate::gates::pace::{barred, refusal};
use crate::gates::standing::{SYSTEMIC, stands, unread};
use crate::observe::assess::wakes;
use crate::state::State;

impl Controller {
    /// The first gate that holds, from the most lasting to the shortest.
    pub(crate) async fn closed_gate(
        &self,
        state: &mut State,
        panel: Option<&Panel>,
        now: Instant,
        record: &mut TickRecord,
    ) -> Option<GateRefusal> {
        if let Some(barred) = barred(panel) {
            return Some(barred);
        }
        let rules = &panel?.rules;
        if let Some(halted) = self.fleet.halted(&self.session) {
            return Some(halted);
        }
        if let Some(frozen) = self.frozen_gate(state, now) {
            return Some(frozen);
        }
        if !state.restored {
            return Some(unread());
        }
        if let Some(applying) = &state.applying {
            return Some(applying.gate(now));
        }
        let faults =
            record.findings.iter().filter(|found| wakes(found)).map(|found| fault(&found.said)).collect();
        let closed = state.pace.closed_for(&faults, rules, now).or_else(|| state.verifying(record, now));
        let ready = closed.is_none();
        if let Some(systemic) = self.systemic_fault(state, &rules.safety.systemic, ready, now, record).await {
            return Some(systemic);
        }
        // What is found anew may have opened one.
        record.gates = self.gates(state, panel, now, record);
        closed
    }

    /// A fault that many sessions show at once is none of theirs; people are told once. One session at a time may try all the same.
    async fn systemic_fault(
        &self,
        state: &mut State,
        systemic: &Systemic,
        ready: bool,
        now: Instant,
        record: &mut TickRecord,
    ) -> Option<GateRefusal> {
        let found = record.findings.iter().filter(|found| wakes(found));
        let codes: BTreeSet<&str> = found.map(|found| found.said.code.as_str()).collect();
        // Each must be counted, also where the first is systemic already.
        let shown: Vec<String> = codes
            .into_iter()
            .filter_map(|code| self.fleet.shows(&self.session, code, systemic, now))
            .collect();
        let Some(why) = shown.into_iter().next() else {
            state.told.remove(SYSTEMIC);
            return None;
        };
        if state.told.insert(SYSTEMIC.to_owned()) {
            self.notify(record, SYSTEMIC, why.clone()).await;
        }
        let held = self.fleet.may_try_alone(&self.session, ready, now).err()?;
        let gate = refusal(SYSTEMIC, format!("{why}; {held}"));
        if let Some(stood) = record.gates.iter_mut().find(|stood| stood.gate == SYSTEMIC) {
            *stood = stands(SYSTEMIC, Some(gate.clone()));
        }
        Some(gate)
    }
}
