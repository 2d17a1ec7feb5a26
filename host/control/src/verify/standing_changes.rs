//! What the loop has done for a fault and what still stands: why, since when, and what would end it. A change is no longer needed when nothing
//! of what it was for was found for a while, and the numbers say that the pipeline can do without it: a fault that is gone *because of* the
//! change would come back. A change that was needed again soon after it was taken back is kept twice as long the next time.
//!
//! Filled by `landing` and `restoring`, asked by `give_back` and, for people, by [`Controller::changes`](crate::Controller::changes).

use std::time::Duration;

use flyball_model::{
    Action, ActionKind, ActionRecord, Attributed, Finding, GiveBack, NodeId, Observation, Outcome,
    StandingChange, TickRecord, metric,
};
use tokio::time::Instant;

use crate::act::tries::named;
use crate::gates::pace::seconds;
use crate::observe::assess::wakes;

/// Changes that are remembered; the oldest go.
const KEPT: usize = 256;
/// A change that is needed again within so many times of what it was waited before it was taken back was needed all the while.
const SOON: u32 = 3;
/// Where a guard said no, it is tried again after so long at the latest.
const RETRY: Duration = Duration::from_secs(30);
/// The longest that is waited.
const LONGEST: Duration = Duration::from_secs(86_400);
/// A node with fewer workers must be busy for no more than this part of its time, and a shorter queue be no fuller than this.
const WITH_ROOM: f64 = 0.6;

/// Times are measured by their median, and work is a matter of their mean: of exponential ones it is 1.44 times as large.
const MEAN_OF_MEDIAN: f64 = 1.44;

/// What still stands, oldest first, and what was taken back of late.
#[derive(Default)]
pub(crate) struct StandingChanges {
    changes: Vec<Change>,
    given: Vec<Given>,
}

struct Change {
    action: ActionRecord,
    /// What its node finished a second when it was done.
    finished: Option<f64>,
    /// For how long its reason must be gone.
    wait: Duration,
    /// Since when nothing of its reason is found.
    clear_since: Option<Instant>,
    /// Why it still stands, though its reason is gone.
    kept_because: Option<String>,
    /// It is not tried again before.
    not_before: Option<Instant>,
}

struct Given {
    change: Change,
    at: Instant,
}

impl StandingChanges {
    /// An action was done; `newest` is what was seen before.
    pub fn add(
        &mut self,
        action: &ActionRecord,
        newest: Option<&Observation>,
        give_back: &GiveBack,
        now: Instant,
    ) {
        let Some(node) = action.proposal.action.target() else { return };
        let changes = action.after.as_ref().is_some_and(|after| after.node(node) != action.before.node(node));
        if !changes || action.outcome == Outcome::Failed {
            return;
        }
        let finished = newest.and_then(|seen| finished(seen, node));
        let wait = self.wait_for(node, action.proposal.action.kind(), give_back, now);
        if self.changes.len() >= KEPT {
            self.changes.remove(0);
        }
        self.changes.push(Change {
            action: action.clone(),
            finished,
            wait,
            clear_since: None,
            kept_because: None,
            not_before: None,
        });
    }

    fn wait_for(&self, node: &str, kind: ActionKind, give_back: &GiveBack, now: Instant) -> Duration {
        let usual = Duration::from_millis(give_back.after_ms);
        let same = |given: &&Given| {
            let action = &given.change.action.proposal.action;
            action.kind() == kind && action.target().is_some_and(|target| target == node)
        };
        match self.given.iter().rev().find(same) {
            Some(given) if given.is_recent(now) => given.change.longer_wait().max(usual),
            _ => usual,
        }
    }

    /// It is known what became of it.
    pub fn concluded(&mut self, action: &ActionRecord) {
        if let Some(change) = self.change(action.id) {
            change.action = action.clone();
        }
    }

    /// It was undone, or somebody else has changed the node since.
    pub fn forget(&mut self, action: u64) {
        self.changes.retain(|change| change.action.id != action);
    }

    /// It was taken back.
    pub fn given_back(&mut self, action: u64, now: Instant) {
        self.given.retain(|given| given.is_recent(now));
        if let Some(at) = self.changes.iter().position(|change| change.action.id == action) {
            self.given.push(Given { change: self.changes.remove(at), at: now });
        }
    }

    /// That it was taken back made things worse, and was undone.
    pub fn stands_again(&mut self, action: u64) {
        let Some(at) = self.given.iter().position(|given| given.change.action.id == action) else { return };
        let Given { change, .. } = self.given.remove(at);
        let wait = change.longer_wait();
        self.changes.push(Change { wait, clear_since: None, kept_because: None, ..change });
    }

    /// It is not the time for it; the next tick looks again.
    pub fn waits(&mut self, action: u64, why: String) {
        if let Some(change) = self.change(action) {
            change.kept_because = Some(why);
        }
    }

    /// It could not be taken back, and is tried again after a while; each time that it broke, after twice as long.
    pub fn put_off(&mut self, action: u64, why: String, broke: bool, now: Instant) {
        if let Some(change) = self.change(action) {
            change.kept_because = Some(why);
            change.not_before = Some(now + if broke { change.wait } else { change.wait.min(RETRY) });
            if broke {
                change.wait = change.longer_wait();
            }
        }
    }

    fn change(&mut self, action: u64) -> Option<&mut Change> {
        self.changes.iter_mut().find(|change| change.action.id == action)
    }

    /// Takes in what one tick saw. A judge that failed has found nothing, which says nothing.
    pub fn look(&mut self, seen: &Observation, record: &TickRecord, now: Instant) {
        for change in &mut self.changes {
            let is_of_it = |found: &Attributed<Finding>| {
                let said = &found.said;
                let is_reason = |reason: &Finding| reason.code == said.code && reason.target == said.target;
                wakes(found)
                    && (change.action.findings.iter().any(is_reason)
                        || said.target.as_ref() == change.action.proposal.action.target())
            };
            if record.findings.iter().any(is_of_it) {
                change.clear_since = None;
            } else if record.failures.is_empty() {
                change.clear_since.get_or_insert(now);
            }
            if change.not_before.is_none_or(|at| now >= at) {
                change.kept_because = still_needed(change, seen);
            }
        }
    }

    /// The newest change that is no longer needed, of those kinds. A later change of the same node must be taken back before.
    pub fn no_longer_needed(&self, give_back: &GiveBack, now: Instant) -> Option<&ActionRecord> {
        let mut newer: Vec<&NodeId> = Vec::new();
        for change in self.changes.iter().rev() {
            let Some(node) = change.action.proposal.action.target() else { continue };
            let is_newest = !newer.contains(&node);
            newer.push(node);
            if is_newest && change.is_due(give_back, now) {
                return Some(&change.action);
            }
        }
        None
    }

    /// How many there are.
    pub const fn count(&self) -> usize {
        self.changes.len()
    }

    /// For people, oldest first.
    pub fn told(&self, give_back: &GiveBack, now: Instant) -> Vec<StandingChange> {
        self.changes.iter().map(|change| change.told(give_back, now)).collect()
    }
}

impl Given {
    fn is_recent(&self, now: Instant) -> bool {
        now.duration_since(self.at) < self.change.wait * SOON
    }
}

impl Change {
    fn longer_wait(&self) -> Duration {
        (self.wait * 2).min(LONGEST.max(self.wait))
    }

    fn is_due(&self, give_back: &GiveBack, now: Instant) -> bool {
        let clear = self.clear_since.is_some_and(|since| now.duration_since(since) >= self.wait);
        clear
            && self.kept_because.is_none()
            && self.not_before.is_none_or(|at| now >= at)
            && give_back.kinds.contains(&self.action.proposal.action.kind())
    }

    fn told(&self, give_back: &GiveBack, now: Instant) -> StandingChange {
        let action = &self.action;
        StandingChange {
            session: action.session.clone(),
            action: action.id,
            at: action.at,
            change: action.proposal.action.clone(),
            reasons: action.findings.iter().map(named).collect(),
            outcome: action.outcome,
            decided_by: action.decided_by.name.to_string(),
            ends: self.ends(give_back, now),
        }
    }

    fn ends(&self, give_back: &GiveBack, now: Instant) -> String {
        let kind = self.action.proposal.action.kind();
        if !give_back.kinds.contains(&kind) {
            return format!(
                "`flyball rollback`: the policy takes no {kind} back by itself (`safety.give_back.kinds`)"
            );
        }
        match (self.clear_since, &self.kept_because) {
            (None, _) => format!("{} after what it was for is gone", seconds(self.wait)),
            (_, Some(needed)) => format!("not yet: {needed}"),
            (Some(since), None) => {
                let left = self.wait.saturating_sub(now.duration_since(since));
                format!("in {}, if what it was for stays gone", seconds(left))
            }
        }
    }
}

/// Why the pipeline cannot do without the change, by its numbers, if it cannot. What was not measured is found out by trying.
fn still_needed(change: &Change, seen: &Observation) -> Option<String> {
    let Action::ScaleNode { node, replicas } = &change.action.proposal.action else {
        return queue_needed(change, seen);
    };
    let before = change.action.before.node(node)?.replicas;
    if *replicas <= before {
        return None;
    }
    let finished = finished(seen, node)?;
    let index = seen.nodes.find(node)?;
    let busy = finished * seen.nodes.number(index, metric::LATENCY_P50_MS) * MEAN_OF_MEDIAN / 1_000.0;
    let room = f64::from(before) * WITH_ROOM;
    if busy.is_finite() && busy > 0.0 {
        return (busy > room).then(|| {
            format!("{node} has work for {busy:.1} workers, and would have {before}, of which {room:.1} may be busy")
        });
    }
    let then = change.finished?;
    (finished > then * WITH_ROOM).then(|| {
        format!("{node} finishes {finished:.1} items a second, and did {then:.1} when that was too few")
    })
}

fn queue_needed(change: &Change, seen: &Observation) -> Option<String> {
    let Action::AdjustBuffering { node, capacity } = &change.action.proposal.action else { return None };
    let before = change.action.before.node(node)?.queue_capacity;
    let depth = seen.nodes.number(seen.nodes.find(node)?, metric::QUEUE_DEPTH);
    let room = f64::from(before) * WITH_ROOM;
    (*capacity > before && depth > room)
        .then(|| format!("{depth} items wait before {node}, and would have room for {before}"))
}

fn finished(seen: &Observation, node: &str) -> Option<f64> {
    let finished = seen.nodes.number(seen.nodes.find(node)?, metric::ITEMS_PER_SECOND);
    finished.is_finite().then_some(finished)
}
