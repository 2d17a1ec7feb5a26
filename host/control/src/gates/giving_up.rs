//! What becomes of trying in vain. A session whose actions do not help is frozen, and after a pause that grows each time a single action may be
//! tried again; people are told what it would be, and when. What was tried in vain stops counting when the fault has gone, when an
//! action helps, and when somebody else changes the graph: then all may be tried as if for the first time, within the budgets.
//!
//! It must uphold that nothing but a person ends a freeze that follows a failed undo.
//!
//! Called by `controller` on each tick, and by whoever learns what became of an action.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use flyball_model::{Event, GateRefusal, Safety, TickRecord, shell_word};
use flyball_ports::{DataPlane, Panel};
use tokio::time::Instant;

use crate::act::tries::{Resting, fault};
use crate::controller::Controller;
use crate::gates::pace::{refusal, seconds};
use crate::observe::assess::wakes;
use crate::state::State;
use crate::telling::IN_VAIN;

/// The notice of a fault for which nothing may be tried for a while.
const GIVEN_UP: &str = "given-up";
/// The notice that the loop begins anew.
const BEGINS_ANEW: &str = "begins-anew";
/// Graphs that are remembered.
const MOST_GRAPHS: usize = 16;

/// A session acts no more.
#[derive(Debug, Clone)]
pub(crate) struct Freeze {
    pub why: String,
    opens: Opens,
    /// Actions in a row that had not helped.
    futile: u32,
}

/// What ends a freeze, beside a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opens {
    /// Nothing does.
    Never,
    /// A single action may be tried then.
    At(Instant),
    /// First it must be known of an action whether it helped.
    WhenJudged,
}

impl Freeze {
    /// Only a person ends it.
    pub const fn until_resumed(why: String) -> Self {
        Self { why, opens: Opens::Never, futile: 0 }
    }
}

/// The graphs of a session since something was tried in vain.
#[derive(Debug, Default)]
pub(crate) struct GraphsSeen {
    digests: VecDeque<String>,
    /// Whether the graph was looked at on the tick before, too.
    looking: bool,
    /// When an action was last applied, as this was looked at last.
    last_applied: Option<Instant>,
}

impl GraphsSeen {
    /// Whether somebody else has made a graph of this one that was not there before.
    fn is_changed(&mut self, digest: &str, last_applied: Option<Instant>) -> bool {
        let own = self.last_applied != last_applied || !self.looking;
        self.looking = true;
        self.last_applied = last_applied;
        if self.digests.iter().any(|seen| seen == digest) {
            return false;
        }
        if self.digests.len() >= MOST_GRAPHS {
            self.digests.pop_front();
        }
        self.digests.push_back(digest.to_owned());
        !own
    }
}

impl Controller {
    /// The gate of a session that is frozen, where not a single action may be tried by now.
    pub(crate) fn frozen_gate(&self, state: &State, now: Instant) -> Option<GateRefusal> {
        let Freeze { why, opens, .. } = state.frozen.as_ref()?;
        let resume = format!("`flyball resume {}`", shell_word(&self.session));
        let opens = match opens {
            Opens::Never => format!("opens with {resume}"),
            Opens::At(at) if *at <= now => return None,
            Opens::At(at) => {
                format!(
                    "a single action may be tried in {}; opens with {resume}",
                    seconds(at.duration_since(now))
                )
            }
            Opens::WhenJudged => {
                format!("whether the last action helped is not known yet; opens with {resume}")
            }
        };
        Some(refusal("frozen", format!("{why}; {opens}")))
    }

    /// Actions that do not help come to an end, for a while that grows.
    pub(crate) async fn freeze_if_futile(&self, state: &mut State, safety: &Safety, record: &mut TickRecord) {
        if state.frozen.as_ref().is_some_and(|freeze| freeze.opens == Opens::Never) {
            return;
        }
        let (futile, limit) = (state.tries.futile(), safety.futile);
        let frozen_at = state.frozen.as_ref().map(|freeze| freeze.futile);
        if futile < limit && frozen_at.is_none_or(|before| futile < before) {
            if state.frozen.take().is_some() {
                let message =
                    format!("{} is not frozen any more: what was tried in vain counts no more", self.session);
                self.notify(record, BEGINS_ANEW, message).await;
            }
            return;
        }
        let newest = state.tries.newest_in_vain().unwrap_or_else(Instant::now);
        let until = newest + safety.retry.pause(futile.saturating_sub(limit));
        let opens = if state.tries.is_open() { Opens::WhenJudged } else { Opens::At(until) };
        let why = format!("{futile} actions in a row did not help; the limit is {limit}");
        match &mut state.frozen {
            Some(freeze) if freeze.futile == futile => {
                freeze.opens = opens;
                return;
            }
            freeze => *freeze = Some(Freeze { why: why.clone(), opens, futile }),
        }
        self.tell(record, Event::Frozen { why: why.clone() }).await;
        let next = self.next_text(state, safety, record, Some(until));
        let message = format!(
            "{} is frozen: {why}; {next}; `flyball resume {}` ends it",
            self.session,
            shell_word(&self.session)
        );
        self.notify(record, "frozen", message).await;
    }

    /// Takes in what was found and how the graph is: whether what was tried in vain still counts.
    pub(crate) async fn look_whether_in_vain(
        &self,
        state: &mut State,
        panel: Option<&Panel>,
        now: Instant,
        record: &mut TickRecord,
    ) {
        let Some(panel) = panel else { return };
        if record.failures.is_empty() {
            state.tries.found(&faults(record), panel.rules.safety.retry.pause(0), now);
        } else {
            state.tries.not_looked();
        }
        if !state.tries.has_in_vain() || state.applying.is_some() {
            state.graphs.looking = false;
        } else if let Ok(graph) = self.plane.graph().await
            && state.graphs.is_changed(graph.digest(), state.last_applied)
        {
            state.tries.forgive();
        }
        if state.frozen.is_some() {
            self.freeze_if_futile(state, &panel.rules.safety, record).await;
        }
        if let Some((fault, _)) = &state.given_up
            && state.tries.in_vain(fault) == 0
        {
            let message = format!(
                "{}: {fault} is not given up any more: it is gone, was answered, or somebody changed the graph",
                self.session
            );
            state.given_up = None;
            self.notify(record, BEGINS_ANEW, message).await;
        }
    }

    /// People are told of a fault that was answered in vain and for which nothing may be done now. `false`: it is none.
    pub(crate) async fn tell_given_up(
        &self,
        state: &mut State,
        panel: Option<&Panel>,
        why: &str,
        record: &mut TickRecord,
    ) -> bool {
        let Some(panel) = panel else { return false };
        let in_vain = |fault: &String| state.tries.in_vain(fault);
        let answered = faults(record).into_iter().map(|fault| (in_vain(&fault), fault)).max();
        let Some((in_vain, fault)) = answered.filter(|(in_vain, _)| *in_vain > 0) else { return false };
        // An escalation has notices of its own, and its last step is people.
        if !panel.rules.safety.escalation.is_empty() {
            return false;
        }
        let now = (fault, in_vain);
        if state.pace.fruitless() >= IN_VAIN && state.given_up.as_ref() != Some(&now) {
            let next = self.next_text(state, &panel.rules.safety, record, None);
            let message = format!(
                "{}: {} stands, and {in_vain} actions did not help; {next}; a person should look at it. Nothing is done now, as {why}",
                self.session, now.0
            );
            state.given_up = Some(now);
            self.notify(record, GIVEN_UP, message).await;
        }
        true
    }

    /// What would be tried next, and when at the earliest.
    fn next_text(
        &self,
        state: &State,
        safety: &Safety,
        record: &TickRecord,
        until: Option<Instant>,
    ) -> String {
        let now = Instant::now();
        let resting = faults(record).into_iter().filter_map(|fault| state.tries.next_for(&fault, safety));
        match resting.min_by_key(|resting| resting.opens) {
            Some(Resting { kind, target, opens }) => {
                let at = until.map_or(opens, |until| until.max(opens));
                let left = at.checked_duration_since(now).filter(|left| *left > Duration::ZERO);
                let when = left.map_or_else(
                    || "as soon as it may".to_owned(),
                    |left| format!("in {} at the earliest", seconds(left)),
                );
                format!("{kind} on {target} is tried next, {when}")
            }
            None => "what is tried next is for the deciders to say".to_owned(),
        }
    }
}

fn faults(record: &TickRecord) -> BTreeSet<String> {
    record.findings.iter().filter(|found| wakes(found)).map(|found| fault(&found.said)).collect()
}
