//! What a session's loop remembers from tick to tick. It lies under one lock (`controller`), which a tick, an answer of a person and the steps
//! of an undo take in turn, and which nobody holds while a decider thinks or, for longer than a moment, while the data plane acts.
//!
//! Called by every phase; each changes its own part.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use flyball_model::{
    ActionRecord, Finding, GateRefusal, History, Observation, Outcome, PastAction, TickRecord, UnixMillis,
};
use flyball_ports::Sight;

use tokio::time::Instant;

use crate::act::applying::Applying;
use crate::act::tries::Tries;
use crate::decide::deciding::Pending;
use crate::decide::shadows::Shadows;
use crate::gates::approvals::Asked;
use crate::gates::giving_up::{Freeze, GraphsSeen};
use crate::gates::pace::{Pace, refusal, seconds};
use crate::observe::assess::{Breaches, wakes};
use crate::verify::follow_up::FollowUp;
use crate::verify::measure::Readings;
use crate::verify::standing_changes::StandingChanges;

/// A data plane that reads seldom shows the same for a while.
const LONGEST_WITHOUT_NEWS: Duration = Duration::from_secs(10);
/// Readings before an action that it is measured against, at most.
const READINGS_KEPT: usize = 8;
/// Past actions that deciders are told of.
const SHOWN_TO_DECIDERS: usize = 20;
/// Past actions that validators are told of: a quota of a day is counted by these. What is to hold beyond that is the
/// policy's own budgets' business.
pub(crate) const PAST_ACTIONS: usize = 256;

/// What a session's loop remembers from tick to tick.
pub(crate) struct State {
    /// Ticks so far.
    pub ticks: u64,
    /// The newest tick.
    pub last: Option<Arc<TickRecord>>,
    /// The newest observation.
    pub newest: Option<Arc<Observation>>,
    /// Those before it.
    history: Arc<History>,
    /// How many of them are kept.
    history_capacity: usize,
    pub breaches: Breaches,
    pub pace: Pace,
    /// The decision that is being thought about.
    pub pending: Option<Pending>,
    /// What their shadows think about.
    pub shadows: Shadows,
    /// The action that the data plane is doing.
    pub applying: Option<Applying>,
    /// Actions of which it is not known yet whether they helped.
    pub follow_ups: Vec<FollowUp>,
    /// What was done and still stands.
    pub standing: StandingChanges,
    past: VecDeque<Past>,
    /// When the newest reading says that it was taken, and when it was first seen.
    read: Option<(UnixMillis, Instant)>,
    /// Of the newest observations, those that rest on samples of their own, by when they were made.
    pub readings: Readings,
    /// When an action of anybody's was last applied: what was read before is another pipeline's.
    pub last_applied: Option<Instant>,
    pub tries: Tries,
    /// The question to a person that stands.
    pub asked: Option<Asked>,
    /// What people were asked and did not approve, and until when they are not asked it again.
    pub asked_in_vain: Vec<(String, Instant)>,
    /// Why the session is frozen, if it is.
    pub frozen: Option<Freeze>,
    /// What people were told to be given up: the fault, and how many tries had been in vain.
    pub given_up: Option<(String, u32)>,
    /// The graphs that were seen since something was tried in vain, by digest.
    pub graphs: GraphsSeen,
    /// Whether what the journal knows of the session was taken in.
    pub restored: bool,
    /// How far each fault's escalation went, counted from 1.
    pub escalated: BTreeMap<String, u32>,
    /// Gates that people were told of.
    pub told: BTreeSet<String>,
    /// The policy of the tick before; the outer none: there was no tick.
    pub judged_by: Option<Option<Arc<str>>>,
}

struct Past {
    id: u64,
    at: Instant,
    said: PastAction,
}

impl State {
    pub fn new() -> Self {
        Self {
            ticks: 0,
            last: None,
            newest: None,
            history: Arc::new(History::new(0)),
            history_capacity: 0,
            breaches: Breaches::default(),
            pace: Pace::default(),
            pending: None,
            shadows: Shadows::default(),
            applying: None,
            follow_ups: Vec::new(),
            standing: StandingChanges::default(),
            past: VecDeque::new(),
            read: None,
            readings: VecDeque::new(),
            last_applied: None,
            tries: Tries::default(),
            asked: None,
            asked_in_vain: Vec::new(),
            frozen: None,
            given_up: None,
            graphs: GraphsSeen::default(),
            restored: false,
            escalated: BTreeMap::new(),
            told: BTreeSet::new(),
            judged_by: None,
        }
    }

    /// Takes in the newest observation; the one before it becomes history.
    pub fn see(&mut self, now: Arc<Observation>, history_capacity: usize, window: Duration) -> Sight {
        // Nobody holds the window between ticks, so this copies nothing, unless a decider still looks at it.
        let history = Arc::make_mut(&mut self.history);
        if self.history_capacity != history_capacity {
            self.history_capacity = history_capacity;
            history.set_capacity(history_capacity);
        }
        if let Some(before) = self.newest.replace(Arc::clone(&now)) {
            history.push(before);
        }
        self.keep_reading(&now, window);
        self.sight(now)
    }

    /// A reading that was taken when the one before was says nothing new: there is nothing to judge. When that goes on, it is
    /// an error.
    pub fn old_reading(
        &mut self,
        taken_at: UnixMillis,
        now: Instant,
        window: Duration,
    ) -> Option<Option<String>> {
        let fresh = taken_at == 0 || self.read.is_none_or(|(last, _)| last != taken_at);
        let since = match self.read {
            Some((_, since)) if !fresh => since,
            _ => {
                self.read = Some((taken_at, now));
                return None;
            }
        };
        let old = now.duration_since(since);
        Some(
            (old > (window * 2).max(LONGEST_WITHOUT_NEWS))
                .then(|| format!("what is seen was taken {} ago, and nothing newer comes", seconds(old))),
        )
    }

    /// One of each window: those between rest on the same samples.
    fn keep_reading(&mut self, now: &Arc<Observation>, window: Duration) {
        let at = Instant::now();
        if self.readings.back().is_some_and(|(last, _)| at.duration_since(*last) < window) {
            return;
        }
        if self.readings.len() >= READINGS_KEPT {
            self.readings.pop_front();
        }
        self.readings.push_back((at, Arc::clone(now)));
    }

    /// The session as it is to be judged, at this observation.
    pub fn sight(&self, now: Arc<Observation>) -> Sight {
        Sight { now, past: Arc::clone(&self.history) }
    }

    /// What was tried before this host ran, oldest last.
    pub fn recall(&mut self, action: &ActionRecord, at: Instant) {
        if self.past.len() < PAST_ACTIONS {
            self.past.push_back(past(action, at));
        }
    }

    /// The gate of a fault that was answered and of which it is not known yet whether that helped.
    pub fn verifying(&self, record: &TickRecord, now: Instant) -> Option<GateRefusal> {
        let mut open = None;
        for found in record.findings.iter().filter(|found| wakes(found)) {
            open = Some(self.follow_ups.iter().find(|open| open.is_waited_for(&found.said, now))?);
        }
        let action = &open?.record;
        Some(refusal(
            "verifying",
            format!(
                "whether action {} (\"{}\") helped is not known yet; opens when it is, or has had twice its settle time",
                action.id, action.proposal.action
            ),
        ))
    }

    /// Whether something is decided, done or followed up.
    pub fn is_at_something(&self) -> bool {
        self.pending.is_some() || self.applying.is_some() || !self.follow_ups.is_empty()
    }

    /// Whether a person is asked about this already.
    pub fn is_asked(&self, finding: &Finding) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.is_for(finding))
    }

    /// The newest of the past actions, as deciders are told of them.
    pub fn recent_past(&self, taken_at: UnixMillis) -> Vec<PastAction> {
        let mut past = self.past(taken_at);
        past.truncate(SHOWN_TO_DECIDERS);
        past
    }

    /// The past actions, newest first.
    ///
    /// Each is as long before the observation as it was in truth, whatever the clocks said meanwhile.
    pub fn past(&self, taken_at: UnixMillis) -> Vec<PastAction> {
        let now = Instant::now();
        let age = |past: &Past| u64::try_from(now.duration_since(past.at).as_millis()).unwrap_or(u64::MAX);
        let told = |past: &Past| PastAction { at: taken_at.saturating_sub(age(past)), ..past.said.clone() };
        self.past.iter().map(told).collect()
    }

    /// An action was tried.
    pub fn remember(&mut self, action: &ActionRecord, at: Instant) {
        self.past.truncate(PAST_ACTIONS - 1);
        self.past.push_front(past(action, at));
    }

    /// An action was refused, and would be again: deciders see it among the past actions, once.
    pub fn remember_refused(&mut self, action: &ActionRecord, at: Instant) {
        let refused = |past: &Past| {
            past.said.outcome == Outcome::Rejected && past.said.proposal.action == action.proposal.action
        };
        self.past.retain(|past| !refused(past));
        self.remember(action, at);
        if let Some(newest) = self.past.front_mut() {
            newest.said.outcome = Outcome::Rejected;
        }
    }

    /// It became known what became of it.
    pub fn learn(&mut self, id: u64, outcome: Outcome) {
        if let Some(past) = self.past.iter_mut().find(|past| past.id == id) {
            past.said.outcome = outcome;
        }
    }
}

fn past(action: &ActionRecord, at: Instant) -> Past {
    Past {
        id: action.id,
        at,
        said: PastAction {
            at: action.at,
            proposal: action.proposal.clone(),
            outcome: action.outcome,
            decided_by: action.decided_by.name.to_string(),
        },
    }
}
