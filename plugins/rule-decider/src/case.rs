//! One finding about one node, with all that the rules ask of it.

use flyball_plugin::prelude::*;
use flyball_plugin::{NodeSpec, PastAction, SeenNode, pipeline};

use crate::RuleDecider;
use crate::remedies::Remedy;

/// A pause is doubled at most so often: 32 times as long.
const MOST_DOUBLED: usize = 5;
const RESTART: &str = "restart-process";

pub(crate) struct Case<'a> {
    pub(crate) rules: &'a RuleDecider,
    pub(crate) finding: &'a Finding,
    pub(crate) node: SeenNode<'a>,
    pub(crate) spec: NodeSpec,
    pub(crate) now: &'a Observation<'a>,
    pub(crate) past: &'a Window<'a>,
    pub(crate) situation: &'a Situation,
}

impl<'a> Case<'a> {
    /// What is said of the whole pipeline is taken up at its bottleneck. None: the node is not there any more.
    pub(crate) fn of(
        rules: &'a RuleDecider,
        finding: &'a Finding,
        now: &'a Observation<'a>,
        past: &'a Window<'a>,
        situation: &'a Situation,
    ) -> Option<Self> {
        let node = match &finding.target {
            Some(id) => now.find(id)?,
            None => now.bottleneck().or_else(|| slowest(now))?,
        };
        let spec = pipeline::node(&node.id())?;
        Some(Self { rules, finding, node, spec, now, past, situation })
    }

    pub(crate) fn node_id(&self) -> &str {
        &self.spec.id
    }

    pub(crate) fn read(&self, metric: Metric) -> Evidence {
        Evidence::of_node(self.node_id(), metric, self.node.number(metric))
    }

    /// Errors that are more than a few.
    pub(crate) fn errs(&self) -> bool {
        self.node.error_fraction() > self.rules.error_fraction
    }

    /// The remedy, if the policy allows it and it may be tried again by now.
    pub(crate) fn fits(&self, remedy: Remedy) -> Result<Remedy, String> {
        let kind = remedy.action.kind();
        let id = self.node_id();
        if !self.situation.allowed.iter().any(|allowed| allowed.kind == kind) {
            return Err(format!("{kind} is not allowed"));
        }
        if self.situation.constraints.protected.iter().any(|protected| protected == id) {
            return Err("it is protected".to_owned());
        }
        match self.in_vain(kind).next() {
            Some(past) if self.since(past) < self.pause(kind) => Err(format!(
                "{kind} was tried and {}; it is tried again in {:.0} s",
                became(past.outcome),
                (self.pause(kind) - self.since(past)) / 1_000.0
            )),
            _ => Ok(remedy),
        }
    }

    /// What is tried first comes first: what was not in vain at this node lately, then what has helped elsewhere. Nothing is left out.
    pub(crate) fn order(&self, kind: &str) -> (usize, Helped) {
        let worn_out = kind == RESTART && self.recent(kind).count() >= self.rules.restart_limit as usize;
        let in_vain = self.in_vain(kind).count();
        (in_vain.max(usize::from(worn_out)), self.helped(kind))
    }

    /// How long a kind of action rests after it was in vain. Another restart costs little and changes nothing, so it may follow soon, after
    /// twice as long each time; all else rests for the window.
    fn pause(&self, kind: &str) -> f64 {
        let mut restarts = self.in_vain(RESTART).map(|past| past.outcome);
        if kind != RESTART || restarts.next() != Some(Outcome::Ineffective) {
            return self.rules.window_ms;
        }
        self.rules.retry_ms * f64::from(1_u32 << restarts.count().min(MOST_DOUBLED))
    }

    fn since(&self, past: &PastAction) -> f64 {
        self.now.taken_at().saturating_sub(past.at) as f64
    }

    /// Those of the recent actions of this kind on this node that did not help, newest first.
    fn in_vain<'b>(&'b self, kind: &'b str) -> impl Iterator<Item = &'b PastAction> {
        self.recent(kind).filter(|past| {
            matches!(
                past.outcome,
                Outcome::Ineffective
                    | Outcome::Worse
                    | Outcome::Failed
                    | Outcome::Rejected
                    | Outcome::RolledBack
                    | Outcome::RollbackFailed
            )
        })
    }

    /// What all sessions have learned of this kind of action against this finding on this type of node.
    pub(crate) fn helped(&self, kind: &str) -> Helped {
        let learned = self.situation.learned.iter().find(|learned| {
            learned.kind == kind
                && learned.finding == self.finding.code
                && learned.node_type.as_deref() == Some(&*self.spec.node_type)
        });
        let Some(learned) = learned else { return Helped::Unknown };
        let in_vain =
            learned.ineffective + learned.worse + learned.unknown + learned.failed + learned.rolled_back;
        let tries = learned.verified + in_vain;
        if tries < u64::from(self.rules.learn_from) {
            Helped::Unknown
        } else if learned.verified == 0 {
            Helped::Never
        } else if learned.verified * 2 < tries {
            Helped::Seldom
        } else {
            Helped::Often
        }
    }

    /// The recent actions of this kind on this node, newest first.
    fn recent<'b>(&'b self, kind: &'b str) -> impl Iterator<Item = &'b PastAction> {
        let id = self.node_id();
        self.situation.past.iter().filter(move |past| {
            self.since(past) < self.rules.window_ms
                && past.proposal.action.target() == Some(id)
                && past.proposal.action.kind() == kind
        })
    }

    pub(crate) fn node_type(&self) -> Option<NodeType> {
        pipeline::node_type(&self.spec.node_type)
    }

    /// The other executors of its type, fastest first, each with its speed against the present one's.
    pub(crate) fn other_executors(&self) -> Vec<(Executor, Option<f64>)> {
        let offers = self.node_type().map(|node_type| node_type.offers).unwrap_or_default();
        let present = offers.iter().find(|offer| offer.executor == self.spec.executor);
        let present = present.and_then(|offer| offer.relative_speed);
        let mut others: Vec<(Executor, Option<f64>)> = offers
            .iter()
            .filter(|offer| offer.executor != self.spec.executor)
            .map(|offer| (offer.executor, offer.relative_speed.zip(present).map(|(other, own)| other / own)))
            .collect();
        others.sort_by(|one, other| other.1.unwrap_or(0.0).total_cmp(&one.1.unwrap_or(0.0)));
        others
    }

    /// Another type that provides something that this one does, offered in the node's executor or another.
    pub(crate) fn alternative(&self) -> Option<NodeType> {
        let own = self.node_type()?;
        pipeline::node_types().into_iter().find(|other| {
            other.name != own.name
                && !own.provides.is_empty()
                && own.provides.iter().all(|it| other.provides.contains(it))
        })
    }

    /// Whether the pipeline stays right when items pass it unchanged: optional, or between two others and not on the
    /// critical path.
    pub(crate) fn dispensable(&self) -> Result<(), String> {
        let (index, edges) = (self.node.index(), self.now.edges());
        let between =
            edges.iter().any(|(_, to)| *to == index) && edges.iter().any(|(from, _)| *from == index);
        if !between {
            return Err("it is at an end of the graph, where nothing can pass it".to_owned());
        }
        if self.spec.bypassed {
            return Err("it is bypassed already".to_owned());
        }
        let path = self.now.critical_path();
        if self.spec.optional || (!path.is_empty() && !path.contains(&self.node.index())) {
            return Ok(());
        }
        Err("it is needed: on the critical path and not optional".to_owned())
    }

    /// Full because what follows it is full: the remedy belongs there.
    pub(crate) fn held_up_by(&self) -> Option<String> {
        let edges = self.now.edges();
        let followers = edges.iter().filter(|(from, _)| *from == self.node.index());
        followers
            .filter_map(|(_, to)| self.now.node(*to))
            .find(|node| node.queue_fill() > 0.8)
            .map(SeenNode::id)
    }
}

/// Of the nodes that work on items, the one in which an item spends most time.
fn slowest<'a>(now: &'a Observation<'a>) -> Option<SeenNode<'a>> {
    let edges = now.edges();
    let fed = now.nodes().filter(|node| edges.iter().any(|(_, to)| *to == node.index()));
    let timed = fed.filter(|node| node.number(Metric::LatencyP50Ms).is_finite());
    timed.max_by(|one, other| one.number(Metric::LatencyP50Ms).total_cmp(&other.number(Metric::LatencyP50Ms)))
}

/// How often something has helped, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Helped {
    /// In half of the tries or more.
    Often,
    /// It was not tried often enough to say.
    Unknown,
    /// In less than half of them.
    Seldom,
    Never,
}

fn became(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ineffective => "did not help",
        Outcome::Worse => "made it worse",
        Outcome::Rejected => "was refused",
        Outcome::RolledBack | Outcome::RollbackFailed => "was undone",
        _ => "failed",
    }
}
