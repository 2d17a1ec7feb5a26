//! Whether an action helped. It is looked at once a tick after it has settled, until enough was measured to say so. Accepted is not effective,
//! and no data is no success: what was not measured says nothing, one way or the other.
//!
//! Called by `aftermath`, which acts on what is found, and by `landing`, which begins to follow an action up.

use std::sync::Arc;
use std::time::Duration;

use flyball_model::{
    Action, ActionRecord, Attributed, Finding, NodeId, Observation, Outcome, Severity, TickRecord, metric,
};
use flyball_ports::Panel;
use tokio::time::Instant;

use crate::act::acting::seen;
use crate::gates::pace::seconds;
use crate::observe::assess::{LATENCY_OVER_LIMIT, THROUGHPUT_UNDER_LIMIT, wakes};
use crate::verify::measure::Measure;

/// Observations in a row that must agree before an outcome is believed.
const OBSERVATIONS_TO_AGREE: u32 = 3;
/// An action's outcome stays open for at least this many observations after it settled…
const LEAST_OBSERVATIONS: u32 = 30;
/// …and this many times its settle time.
const SETTLE_TIMES: u32 = 10;

/// An action of which it is not known yet whether it helped.
pub(crate) struct FollowUp {
    pub record: ActionRecord,
    /// It takes back what is no longer needed, and not what made things worse.
    gives_back: bool,
    watched: Vec<Watched>,
    measure: Measure,
    applied: Instant,
    settle: Duration,
    /// Observations since it settled.
    seen: u32,
    /// Of those with fresh samples, how many in a row found nothing of it, and the fewest samples among these.
    consecutive_clear: u32,
    fewest_samples: f64,
    /// How many in a row still found it.
    consecutive_found: u32,
    /// Observations since the action that were measured and found nothing of it, once there were enough of them in a row: what
    /// is found after that has come back.
    clear_since_action: u32,
    /// The worst that it was for.
    worst: Severity,
}

/// A finding that the action was for.
struct Watched {
    by: Arc<str>,
    code: String,
    target: Option<NodeId>,
    /// The action takes the target out of the items' way, so that only the graph's throughput can show that it helped.
    measured_by_graph: bool,
}

/// What one tick saw.
pub(crate) struct Look<'a> {
    pub at: Instant,
    pub panel: Option<&'a Panel>,
    pub now: &'a Observation,
    pub record: &'a TickRecord,
}

impl FollowUp {
    pub fn new(
        record: ActionRecord,
        findings: &[&Attributed<Finding>],
        applied: Instant,
        settle: Duration,
        measure: Measure,
    ) -> Self {
        let out_of_the_way = match &record.proposal.action {
            Action::RemoveNode { node } | Action::BypassNode { node, active: true } => Some(node.clone()),
            _ => None,
        };
        let watched = findings
            .iter()
            .map(|finding| Watched {
                by: Arc::clone(&finding.by.name),
                code: finding.said.code.clone(),
                target: finding.said.target.clone(),
                measured_by_graph: finding.said.target.is_none() || finding.said.target == out_of_the_way,
            })
            .collect();
        let worst = findings.iter().map(|finding| finding.said.severity).max().unwrap_or(Severity::Info);
        Self {
            record,
            gives_back: false,
            watched,
            worst,
            measure,
            applied,
            settle,
            seen: 0,
            consecutive_clear: 0,
            fewest_samples: f64::INFINITY,
            consecutive_found: 0,
            clear_since_action: 0,
        }
    }

    /// Of the undo of an action that made things worse: whether they are as they were.
    pub fn of_undo(undo: ActionRecord, undone: Instant, settle: Duration, measure: Measure) -> Self {
        let measure = measure.again(undone, settle);
        Self {
            record: undo,
            gives_back: false,
            worst: Severity::Info,
            watched: Vec::new(),
            measure,
            applied: undone,
            settle,
            seen: 0,
            consecutive_clear: 0,
            fewest_samples: f64::INFINITY,
            consecutive_found: 0,
            clear_since_action: 0,
        }
    }

    /// The same of what is taken back because it is no longer needed.
    #[must_use]
    pub fn giving_back(self) -> Self {
        Self { gives_back: true, ..self }
    }

    /// Whether it is this that the action was for, and the action has not had its time yet: twice its settling.
    pub fn is_waited_for(&self, finding: &Finding, now: Instant) -> bool {
        let watched = |watched: &Watched| watched.code == finding.code && watched.target == finding.target;
        self.waits(now) && self.watched.iter().any(watched) || self.waits_at(finding.target.as_ref(), now)
    }

    /// Whether it was done at this node, and has not had its time yet.
    pub fn waits_at(&self, node: Option<&NodeId>, now: Instant) -> bool {
        self.waits(now) && node.is_some() && node == self.record.proposal.action.target()
    }

    fn waits(&self, now: Instant) -> bool {
        now < self.applied + self.measure.settling(self.settle) * 2
    }

    /// The action, and how it is measured.
    pub fn into_parts(self) -> (ActionRecord, Measure) {
        (self.record, self.measure)
    }

    /// What an undo leaves behind is worse than what was to be expected, if it is.
    pub fn still_worse(&self) -> Option<String> {
        self.measure.worse()
    }

    fn look_after_undo(&self, over: bool, since: Duration) -> Option<(Outcome, String)> {
        if let (true, Some(worse)) = (self.gives_back, self.measure.worse()) {
            return Some((
                Outcome::Worse,
                format!("it was needed: {worse}, {} after it was taken back", seconds(since)),
            ));
        }
        let told = if let Some(worse) = self.measure.worse() {
            format!("the graph is as it was before, and things are not: {worse}")
        } else if self.measure.looks() >= OBSERVATIONS_TO_AGREE {
            format!("the graph is as it was before, and so is what was measured: {}", self.measure.numbers())
        } else if over {
            "the graph is as it was before; whether things are could not be measured".to_owned()
        } else {
            return None;
        };
        Some((Outcome::RolledBack, format!("{told}, {} after the undo", seconds(since))))
    }

    /// Looks at the session once more. Some: what became of the action, and the numbers behind it.
    pub fn look(&mut self, look: &Look<'_>) -> Option<(Outcome, String)> {
        let since = look.at.duration_since(self.applied);
        self.watch_for_return(look);
        if since < self.settle {
            return None;
        }
        self.seen = self.seen.saturating_add(1);
        self.measure.look(look.at, look.now);
        let over = self.seen >= LEAST_OBSERVATIONS && since >= self.settle * SETTLE_TIMES;
        if self.record.undoes.is_some() {
            return self.look_after_undo(over, since);
        }
        // What was broken and works again is worth some latency; that it fails is not.
        let cured = self.worst == Severity::Critical
            && self.reported(look.record).is_none_or(|left| left.severity < self.worst);
        if let Some(worse) = self.measure.worse_than(cured) {
            return Some((Outcome::Worse, format!("{worse}, {} after the action", seconds(since))));
        }
        if seen(&self.record.proposal.action, look.now) == Some(false) {
            self.consecutive_clear = 0;
            return over.then(|| (Outcome::Ineffective, self.never_took_effect(since)));
        }
        if let Some(reported) = self.reported(look.record) {
            // What is left of lesser trouble, such as what piled up meanwhile, may need its time.
            self.consecutive_found =
                if reported.severity >= self.worst { self.consecutive_found + 1 } else { 0 };
            self.consecutive_clear = 0;
            self.fewest_samples = f64::INFINITY;
            if self.consecutive_found >= OBSERVATIONS_TO_AGREE
                && self.clear_since_action >= self.well_enough()
            {
                return Some((Outcome::Unknown, self.came_back(since, reported)));
            }
            if self.consecutive_found >= OBSERVATIONS_TO_AGREE {
                return Some((Outcome::Ineffective, self.ineffective(since, reported)));
            }
        } else if let Some(waiting) = waits_beyond_old_queue(&self.record, look.now) {
            self.consecutive_clear = 0;
            if over {
                return Some((Outcome::Ineffective, self.only_more_room(since, waiting)));
            }
        } else if let Some(samples) = self.measured(look) {
            self.consecutive_found = 0;
            self.consecutive_clear += 1;
            self.fewest_samples = self.fewest_samples.min(samples);
            if self.consecutive_clear >= OBSERVATIONS_TO_AGREE
                && self.measure.looks() >= OBSERVATIONS_TO_AGREE
            {
                return Some(match self.measure.healed_by_itself() {
                    Some(healed) => (Outcome::Unknown, healed),
                    None => (Outcome::Verified, self.verified(since)),
                });
            }
        }
        // What was not measured says nothing, one way or the other.
        over.then(|| (Outcome::Unknown, self.unknown(since)))
    }

    fn reported<'a>(&self, record: &'a TickRecord) -> Option<&'a Finding> {
        record.findings.iter().filter(|finding| wakes(finding)).map(|finding| &finding.said).find(|said| {
            self.watched.iter().any(|watched| watched.code == said.code && watched.target == said.target)
        })
    }

    /// The least that was measured where a finding was; none: some finding could not have been made on this tick.
    fn measured(&self, look: &Look<'_>) -> Option<f64> {
        let mut least = f64::INFINITY;
        for watched in &self.watched {
            if !watched.could_be_reported(look) {
                return None;
            }
            least = least.min(watched.samples(look.now)?);
        }
        least.is_finite().then_some(least)
    }

    fn verified(&self, since: Duration) -> String {
        format!(
            "{} gone in {} observations in a row with at least {:.0} samples each, {} after the action; {}",
            self.codes(),
            self.consecutive_clear,
            self.fewest_samples.max(1.0),
            seconds(since),
            self.measure.numbers()
        )
    }

    fn ineffective(&self, since: Duration, reported: &Finding) -> String {
        format!(
            "still found in {} observations in a row, {} after the action: {}: {}",
            self.consecutive_found,
            seconds(since),
            reported.code,
            reported.message
        )
    }

    /// What was broken and has worked once was mended.
    fn well_enough(&self) -> u32 {
        if self.worst == Severity::Critical { 1 } else { OBSERVATIONS_TO_AGREE }
    }

    fn watch_for_return(&mut self, look: &Look<'_>) {
        if self.clear_since_action >= self.well_enough() {
            return;
        }
        self.clear_since_action = match (self.reported(look.record), self.measured(look)) {
            (None, Some(_)) => self.clear_since_action + 1,
            (None, None) => self.clear_since_action,
            (Some(_), _) => 0,
        };
    }

    fn came_back(&self, since: Duration, reported: &Finding) -> String {
        format!(
            "it was gone and came back before it was known whether the action had helped, {} after it: {}: {}",
            seconds(since),
            reported.code,
            reported.message
        )
    }

    fn never_took_effect(&self, since: Duration) -> String {
        format!(
            "the data plane took it, and the running pipeline does not show it in {} observations, {} after the action",
            self.seen,
            seconds(since)
        )
    }

    fn only_more_room(&self, since: Duration, waiting: f64) -> String {
        format!(
            "{waiting:.0} items wait there, more than its queue held before the action, {} after it: a longer queue cures no rate",
            seconds(since)
        )
    }

    fn unknown(&self, since: Duration) -> String {
        format!(
            "not enough was measured in {} observations, {} after the action, to say whether {} gone",
            self.seen,
            seconds(since),
            self.codes()
        )
    }

    fn codes(&self) -> String {
        let codes: Vec<String> = self
            .watched
            .iter()
            .map(|watched| match &watched.target {
                Some(target) => format!("{} at {target}", watched.code),
                None => watched.code.clone(),
            })
            .collect();
        format!("{} {}", codes.join(", "), if codes.len() == 1 { "is" } else { "are" })
    }
}

/// How many items wait where the action made a queue longer, if that is more than the queue held before: what was found is gone because
/// there is more room, and not because anything is better.
fn waits_beyond_old_queue(action: &ActionRecord, now: &Observation) -> Option<f64> {
    let Action::AdjustBuffering { node, capacity } = &action.proposal.action else { return None };
    let before = action.before.node(node)?.queue_capacity;
    let waiting = now.nodes.number(now.nodes.find(node)?, metric::QUEUE_DEPTH);
    (*capacity > before && waiting > f64::from(before)).then_some(waiting)
}

impl Watched {
    /// Whether whoever made the finding looked this time: a judge that failed, or that the policy no longer names, finds
    /// nothing, which is no good news.
    fn could_be_reported(&self, look: &Look<'_>) -> bool {
        let Some(panel) = look.panel else {
            return false;
        };
        let graph = &look.now.graph;
        match self.code.as_str() {
            LATENCY_OVER_LIMIT if self.by_host() => {
                panel.rules.max_latency_ms.is_some() && graph.end_to_end_latency_ms.is_finite()
            }
            THROUGHPUT_UNDER_LIMIT if self.by_host() => {
                panel.rules.min_throughput.is_some() && graph.throughput_per_second.is_finite()
            }
            _ => {
                panel.heuristics.iter().any(|judge| judge.id().name == self.by)
                    && !look.record.failures.iter().any(|failure| failure.by.name == self.by)
            }
        }
    }

    fn by_host(&self) -> bool {
        self.by.as_ref() == "host"
    }

    /// Fresh samples where the finding was; none: there are none.
    fn samples(&self, now: &Observation) -> Option<f64> {
        let value = match &self.target {
            Some(target) if !self.measured_by_graph => {
                now.nodes.number(now.nodes.find(target)?, metric::SAMPLES)
            }
            _ => now.graph.throughput_per_second,
        };
        (value > 0.0).then_some(value)
    }
}
