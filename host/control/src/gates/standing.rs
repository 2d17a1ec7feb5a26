//! How every gate stands, for whoever asks later why a tick ended as it did. Looking at a gate changes nothing.

use std::borrow::Cow;

use flyball_model::{GateRefusal, GateState, MutationPolicy, TickRecord};
use flyball_ports::Panel;
use tokio::time::Instant;

use crate::controller::Controller;
use crate::gates::pace::{deciding, disabled, no_policy, read_only};
use crate::observe::assess::wakes;
use crate::state::State;

/// The gate of a fault that many sessions show at once: it counts what it is asked of, so it is asked only when
/// something was found.
pub(crate) const SYSTEMIC: &str = "systemic-fault";

impl Controller {
    /// Every gate, from the most lasting to the shortest. Without a policy there are no others.
    pub(crate) fn gates(
        &self,
        state: &State,
        panel: Option<&Panel>,
        now: Instant,
        record: &TickRecord,
    ) -> Vec<GateState> {
        let Some(panel) = panel else {
            return vec![stands("no-policy", Some(no_policy()))];
        };
        let rules = &panel.rules;
        let asked = state.asked.as_ref().filter(|asked| !asked.is_given()).map(|asked| asked.gate(now));
        let others = record.findings.iter().any(|found| wakes(found) && !state.is_asked(&found.said));
        let pending = state.pending.as_ref().filter(|pending| !pending.task.is_finished());
        let mut gates = Vec::with_capacity(13);
        gates.extend([
            stands("no-policy", None),
            stands("disabled", (!rules.enabled).then(|| disabled(&panel.policy))),
            stands(
                "read-only",
                (rules.mutation == MutationPolicy::ReadOnly).then(|| read_only(&panel.policy)),
            ),
            stands("halted", self.fleet.halted(self.session())),
            stands("frozen", self.frozen_gate(state, now)),
            stands("journal", (!state.restored).then(unread)),
            stands(SYSTEMIC, None),
            // A question holds what it is about, and nothing else.
            match asked {
                Some(gate) if others => open("approval", gate.message),
                asked => stands("approval", asked),
            },
            stands("deciding", pending.map(|pending| deciding(pending.tick, pending.asked, now))),
        ]);
        // Only where one is under way: otherwise there is nothing that it could be held by.
        gates.extend(state.applying.as_ref().map(|applying| stands("applying", Some(applying.gate(now)))));
        gates.extend(state.pace.gates(rules, now));
        gates.push(stands("verifying", state.verifying(record, now)));
        gates
    }
}

/// Closed by this, or open.
pub(crate) fn stands(gate: &'static str, closed: Option<GateRefusal>) -> GateState {
    let open = closed.is_none();
    let message = closed.map_or(Cow::Borrowed(""), |closed| closed.message.into());
    GateState { gate: gate.into(), open, message }
}

/// Open, by these numbers.
pub(crate) fn open(gate: &'static str, message: String) -> GateState {
    GateState { gate: gate.into(), open: true, message: message.into() }
}

/// What the journal knows of the session is not known to the loop.
pub(crate) fn unread() -> GateRefusal {
    crate::gates::pace::refusal(
        "journal",
        "what the journal knows of the session could not be read; opens when it can be".to_owned(),
    )
}
