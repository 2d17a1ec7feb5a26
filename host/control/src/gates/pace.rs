//! How often the loop may act: the gates that depend on what was done before (settling, cooldown, breaker), and those that depend on the policy
//! alone. Each says what it waits for, in numbers, and when it opens.
//!
//! Called by `closing` and `standing`, by `propose` for what was decided meanwhile, and by whoever acts or ends a tick.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use flyball_model::{Ending, GateRefusal, GateState, MutationPolicy, Rules, TickRecord};
use flyball_ports::Panel;
use tokio::time::Instant;

use crate::act::tries::fault;
use crate::gates::standing::{open, stands};
use crate::observe::assess::wakes;

/// A cooldown is doubled at most so often: 32 times as long.
const MOST_DOUBLED: u32 = 5;

/// How often the loop may act: the gates that depend on what was done before.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    ended: Option<Ended>,
    settling: Option<Settling>,
    /// When each action of the breaker's window was tried, oldest first.
    tried: VecDeque<Instant>,
    /// Decisions in a row about the same faults from which no action came.
    fruitless: u32,
    faults: BTreeSet<String>,
}

#[derive(Debug)]
struct Ended {
    at: Instant,
    what: &'static str,
    tick: u64,
}

#[derive(Debug)]
struct Settling {
    since: Instant,
    time: Duration,
    action: String,
}

impl Pace {
    /// A tick ended. What is not the end of a decision starts no cooldown.
    pub fn ended(&mut self, at: Instant, record: &TickRecord) {
        let tick = record.tick;
        match record.ending {
            Ending::Undecided | Ending::NoOp | Ending::Rejected | Ending::Proposed | Ending::Failed => {
                self.fruitless = self.fruitless.saturating_add(1);
                self.faults = record
                    .findings
                    .iter()
                    .filter(|found| wakes(found))
                    .map(|found| fault(&found.said))
                    .collect();
            }
            Ending::Quiet | Ending::Acted => self.fruitless = 0,
            Ending::Held
            | Ending::Deciding
            | Ending::Applying
            | Ending::AwaitingApproval
            | Ending::Unobserved => {}
        }
        let what = match record.ending {
            Ending::Quiet | Ending::Held | Ending::Deciding | Ending::Applying => return,
            Ending::Undecided => "no decider had an answer",
            Ending::NoOp => "a decider chose to do nothing",
            Ending::Rejected => "a guard rejected the proposal",
            Ending::Proposed => "an action was proposed only",
            Ending::AwaitingApproval => "a person was asked",
            Ending::Acted => "an action was taken",
            Ending::Failed => "an action failed",
            Ending::Unobserved => "the session could not be observed",
        };
        self.ended = Some(Ended { at, what, tick });
    }

    /// Decisions in a row about the same faults from which no action came.
    pub fn fruitless(&self) -> u32 {
        self.fruitless
    }

    /// An operator's undo was done, which the loop must not answer before it has shown.
    pub fn undone(&mut self, at: Instant, tick: u64) {
        self.ended = Some(Ended { at, what: "an operator undid an action", tick });
    }

    /// An action was tried, and is to be let settle.
    pub fn settles(&mut self, at: Instant, time: Duration, action: String) {
        let longer_left = self.settling.as_ref().is_some_and(|before| before.since + before.time > at + time);
        if !longer_left {
            self.settling = Some(Settling { since: at, time, action });
        }
    }

    /// An action of the loop's own was tried: it counts for the breaker, whatever became of it.
    pub fn tried(&mut self, at: Instant, rules: &Rules) {
        let window = Duration::from_millis(rules.window_ms);
        self.tried.retain(|tried| at.duration_since(*tried) < window);
        self.tried.push_back(at);
    }

    /// The first gate that holds now, where this is found. What is found anew need not wait for what was in vain.
    pub fn closed_for(
        &mut self,
        faults: &BTreeSet<String>,
        rules: &Rules,
        now: Instant,
    ) -> Option<GateRefusal> {
        if !faults.is_subset(&self.faults) {
            self.fruitless = self.fruitless.min(1);
        }
        self.closed(rules, now)
    }

    /// The first gate that holds now.
    pub fn closed(&self, rules: &Rules, now: Instant) -> Option<GateRefusal> {
        self.settling_gate(now).or_else(|| self.cooldown(rules, now)).or_else(|| self.breaker(rules, now))
    }

    /// How each of them stands now.
    pub fn gates(&self, rules: &Rules, now: Instant) -> [GateState; 3] {
        let settled = self.settling.as_ref().map(|settling| {
            let passed = seconds(now.duration_since(settling.since));
            format!(
                "{passed} have passed since \"{}\", {} were needed",
                settling.action,
                seconds(settling.time)
            )
        });
        let cooled = self.ended.as_ref().map(|ended| {
            let (passed, needed) = (now.duration_since(ended.at), self.cooldown_time(rules));
            format!(
                "{} have passed since tick {}, on which {}; {} were needed",
                seconds(passed),
                ended.tick,
                ended.what,
                seconds(needed)
            )
        });
        let tried = (!self.tried.is_empty()).then(|| {
            let window = Duration::from_millis(rules.window_ms);
            let within = self.tried_within(window, now).count();
            format!(
                "{within} actions were tried within {}, the limit is {}",
                seconds(window),
                rules.max_actions
            )
        });
        let stand = |gate, closed: Option<GateRefusal>, numbers: Option<String>| match (closed, numbers) {
            (None, Some(numbers)) => open(gate, numbers),
            (closed, _) => stands(gate, closed),
        };
        [
            stand("settling", self.settling_gate(now), settled),
            stand("cooldown", self.cooldown(rules, now), cooled),
            stand("breaker", self.breaker(rules, now), tried),
        ]
    }

    fn settling_gate(&self, now: Instant) -> Option<GateRefusal> {
        let settling = self.settling.as_ref()?;
        let passed = now.duration_since(settling.since);
        let left = settling.time.checked_sub(passed).filter(|left| !left.is_zero())?;
        Some(refusal(
            "settling",
            format!(
                "{} of {} have passed since \"{}\"; opens in {}",
                seconds(passed),
                seconds(settling.time),
                settling.action,
                seconds(left)
            ),
        ))
    }

    fn cooldown(&self, rules: &Rules, now: Instant) -> Option<GateRefusal> {
        let ended = self.ended.as_ref()?;
        let cooldown = self.cooldown_time(rules);
        let passed = now.duration_since(ended.at);
        let left = cooldown.checked_sub(passed).filter(|left| !left.is_zero())?;
        Some(refusal(
            "cooldown",
            format!(
                "{} of {} have passed since tick {}, on which {}; opens in {}",
                seconds(passed),
                seconds(cooldown),
                ended.tick,
                ended.what,
                seconds(left)
            ),
        ))
    }

    /// Whoever was asked in vain is asked half as often each time, as what is asked is the same.
    fn cooldown_time(&self, rules: &Rules) -> Duration {
        let doubled = self.fruitless.saturating_sub(1).min(MOST_DOUBLED);
        Duration::from_millis(rules.cooldown_ms) * 2_u32.pow(doubled)
    }

    fn tried_within(&self, window: Duration, now: Instant) -> impl Iterator<Item = Instant> {
        self.tried.iter().copied().filter(move |tried| now.duration_since(*tried) < window)
    }

    fn breaker(&self, rules: &Rules, now: Instant) -> Option<GateRefusal> {
        let window = Duration::from_millis(rules.window_ms);
        let limit = usize::try_from(rules.max_actions).unwrap_or(usize::MAX);
        let within: Vec<Instant> = self.tried_within(window, now).collect();
        let excess = within.len().checked_sub(limit)?;
        let opens = match within.get(excess) {
            Some(tried) => format!("in {}", seconds(window.saturating_sub(now.duration_since(*tried)))),
            None => "when the policy allows an action".to_owned(),
        };
        Some(refusal(
            "breaker",
            format!(
                "{} actions were tried within {}, the limit is {limit}; opens {opens}",
                within.len(),
                seconds(window)
            ),
        ))
    }
}

/// The gates that depend on the policy alone.
pub(crate) fn barred(panel: Option<&Panel>) -> Option<GateRefusal> {
    let Some(panel) = panel else {
        return Some(no_policy());
    };
    if !panel.rules.enabled {
        return Some(disabled(&panel.policy));
    }
    (panel.rules.mutation == MutationPolicy::ReadOnly).then(|| read_only(&panel.policy))
}

pub(crate) fn read_only(policy: &str) -> GateRefusal {
    refusal(
        "read-only",
        format!(
            "the mutation policy is read-only, by the policy {policy} or the manifest; opens at heal or more"
        ),
    )
}

pub(crate) fn no_policy() -> GateRefusal {
    refusal("no-policy", "no policy matches the session; opens when one does".to_owned())
}

pub(crate) fn disabled(policy: &str) -> GateRefusal {
    refusal(
        "disabled",
        format!("acting is switched off, by the policy {policy} or the manifest; opens when it is on again"),
    )
}

/// A decider is still thinking.
pub(crate) fn deciding(asked_at_tick: u64, asked: Instant, now: Instant) -> GateRefusal {
    refusal(
        "deciding",
        format!(
            "a decider has been thinking for {} about what was found on tick {asked_at_tick}; opens when it answers",
            seconds(now.duration_since(asked))
        ),
    )
}

pub(crate) fn refusal(gate: &str, message: String) -> GateRefusal {
    GateRefusal { gate: gate.to_owned(), message }
}

pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
