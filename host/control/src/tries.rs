//! What the loop has tried in a session, and what of it helped: the budgets that keep it from trying for ever.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use flyball_model::{Action, ActionKind, ActionRecord, Budget, Finding, NodeId, Outcome, Reason, Safety};
use tokio::time::Instant;

use crate::checks::reason;
use crate::pace::seconds;

/// Tries that are remembered; the oldest go.
const KEPT: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct Tries {
    /// Oldest first.
    tries: VecDeque<Try>,
}

#[derive(Debug)]
struct Try {
    id: u64,
    fault: String,
    target: Option<NodeId>,
    kind: ActionKind,
    turn: Option<Turn>,
    at: Instant,
    came_to: CameTo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CameTo {
    /// It is not known yet.
    Open,
    Helped,
    InVain,
}

/// A setting that an action turns.
#[derive(Debug, Clone, PartialEq)]
enum Turn {
    Number { was: u32, set: u32 },
    Word { was: String, set: String },
}

/// What a finding is called where people read of it.
pub(crate) fn named(finding: &Finding) -> String {
    match &finding.target {
        Some(target) => format!("{} at {target}", finding.code),
        None => finding.code.clone(),
    }
}

/// What a finding is counted as. What is wrong with one node is one fault, whatever heuristics call it at the moment.
pub fn fault(finding: &Finding) -> String {
    finding.target.as_ref().map_or_else(|| finding.code.clone(), |target| format!("trouble at {target}"))
}

/// What an action is for, in a word: the worst of what it answers.
fn fault_of(findings: &[Finding]) -> String {
    findings.iter().max_by_key(|finding| finding.severity).map(fault).unwrap_or_default()
}

impl Tries {
    /// An action of the loop's own was tried.
    pub fn add(&mut self, action: &ActionRecord, at: Instant) {
        if self.tries.len() >= KEPT {
            self.tries.pop_front();
        }
        self.tries.push_back(Try {
            id: action.id,
            fault: fault_of(&action.findings),
            target: action.proposal.action.target().cloned(),
            kind: action.proposal.action.kind(),
            turn: turn(action),
            at,
            came_to: came_to(action.outcome, action.settled_at.is_some()),
        });
    }

    /// It became known what became of it.
    pub fn conclude(&mut self, id: u64, outcome: Outcome) {
        if let Some(tried) = self.tries.iter_mut().find(|tried| tried.id == id) {
            tried.came_to = came_to(outcome, true);
        }
    }

    /// A person says: begin anew.
    pub fn forget(&mut self) {
        self.tries.clear();
    }

    /// The newest actions that did not help, with none between them that did.
    pub fn futile(&self) -> u32 {
        let concluded = self.tries.iter().rev().filter(|tried| tried.came_to != CameTo::Open);
        count(concluded.take_while(|tried| tried.came_to == CameTo::InVain))
    }

    /// How often this fault was answered in vain since it was last cured.
    pub fn in_vain(&self, fault: &str) -> u32 {
        count(self.since_cured(fault).filter(|tried| tried.came_to == CameTo::InVain))
    }

    fn since_cured<'a>(&'a self, fault: &str) -> impl Iterator<Item = &'a Try> {
        let fault = fault.to_owned();
        let of_it = self.tries.iter().rev().filter(move |tried| tried.fault == fault);
        of_it.take_while(|tried| tried.came_to != CameTo::Helped)
    }

    /// Every budget of the session's that this action would be over.
    pub fn refusals(
        &self,
        action: &ActionRecord,
        safety: &Safety,
        open_targets: &BTreeSet<&NodeId>,
        now: Instant,
    ) -> Vec<Reason> {
        let kind = action.proposal.action.kind();
        let Some(target) = action.proposal.action.target() else {
            return Vec::new();
        };
        let fault = fault_of(&action.findings);
        let mut wrong = Vec::new();
        let in_vain = count(self.since_cured(&fault).filter(|tried| {
            tried.came_to == CameTo::InVain && tried.kind == kind && tried.target.as_ref() == Some(target)
        }));
        if in_vain >= safety.attempts {
            wrong.push(reason(
                "attempts-used-up",
                format!(
                    "{kind} on {target} was tried {in_vain} times for {fault} and did not help; the limit is {}",
                    safety.attempts
                ),
            ));
        }
        wrong.extend(self.over("cures-used-up", &safety.cures, now, |tried| {
            tried.came_to == CameTo::Helped
                && tried.fault == fault
                && tried.kind == kind
                && tried.target.as_ref() == Some(target)
        }));
        wrong.extend(
            self.over("target-budget", &safety.target, now, |tried| tried.target.as_ref() == Some(target)),
        );
        if let Some(budget) = safety.kinds.get(&kind) {
            wrong.extend(self.over("kind-budget", budget, now, |tried| tried.kind == kind));
        }
        wrong.extend(self.over("session-budget", &safety.session, now, |_| true));
        wrong.extend(self.flapping(action, target, kind, &safety.flaps, now));
        let mut targets = open_targets.clone();
        targets.insert(target);
        if targets.len() > usize::try_from(safety.targets_at_once).unwrap_or(usize::MAX) {
            let open: Vec<&str> = open_targets.iter().map(|node| node.as_str()).collect();
            wrong.push(reason(
                "targets-at-once",
                format!(
                    "actions on {} are not known yet to have helped; the limit is {} nodes at once",
                    open.join(", "),
                    safety.targets_at_once
                ),
            ));
        }
        wrong
    }

    fn over(
        &self,
        code: &str,
        budget: &Budget,
        now: Instant,
        counts: impl Fn(&Try) -> bool,
    ) -> Option<Reason> {
        let window = Duration::from_millis(budget.window_ms);
        let counted =
            count(self.tries.iter().filter(|tried| now.duration_since(tried.at) < window && counts(tried)));
        (counted >= budget.max).then(|| {
            reason(
                code,
                format!("{counted} such actions within {}; the limit is {}", seconds(window), budget.max),
            )
        })
    }

    /// There and back again.
    fn flapping(
        &self,
        action: &ActionRecord,
        target: &NodeId,
        kind: ActionKind,
        budget: &Budget,
        now: Instant,
    ) -> Option<Reason> {
        let window = Duration::from_millis(budget.window_ms);
        let next = turn(action)?;
        let mut turns: Vec<&Turn> = self
            .tries
            .iter()
            .filter(|tried| now.duration_since(tried.at) < window && tried.kind == kind)
            .filter(|tried| tried.target.as_ref() == Some(target))
            .filter_map(|tried| tried.turn.as_ref())
            .collect();
        if !turns.last().is_some_and(|last| next.turns_back(last)) {
            return None;
        }
        turns.push(&next);
        let back = count(
            turns.iter().zip(turns.iter().skip(1)).filter(|(earlier, later)| later.turns_back(earlier)),
        );
        (back > budget.max).then(|| {
            reason(
                "flapping",
                format!(
                    "{kind} on {target} would go back for the {back}. time within {}; the limit is {}",
                    seconds(window),
                    budget.max
                ),
            )
        })
    }
}

impl Turn {
    fn turns_back(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::Number { was, set }, Self::Number { was: earlier_was, set: earlier_set }) => {
                (set > was && earlier_set < earlier_was) || (set < was && earlier_set > earlier_was)
            }
            (Self::Word { set, .. }, Self::Word { was, .. }) => set == was,
            _ => false,
        }
    }
}

fn turn(action: &ActionRecord) -> Option<Turn> {
    let turned = &action.proposal.action;
    let node = action.before.node(turned.target()?)?;
    let word = |was: String, set: String| Some(Turn::Word { was, set });
    match turned {
        Action::ScaleNode { replicas, .. } => Some(Turn::Number { was: node.replicas, set: *replicas }),
        Action::AdjustBuffering { capacity, .. } => {
            Some(Turn::Number { was: node.queue_capacity, set: *capacity })
        }
        Action::SwitchExecutor { to, .. } => word(node.executor.to_string(), to.to_string()),
        Action::ReplaceNode { node_type, .. } => word(node.node_type.clone(), node_type.clone()),
        Action::BypassNode { active, .. } => word(node.bypassed.to_string(), active.to_string()),
        _ => None,
    }
}

const fn came_to(outcome: Outcome, concluded: bool) -> CameTo {
    match outcome {
        Outcome::Verified => CameTo::Helped,
        Outcome::Accepted | Outcome::Effective => CameTo::Open,
        Outcome::Unknown if !concluded => CameTo::Open,
        _ => CameTo::InVain,
    }
}

fn count<T>(of: impl Iterator<Item = T>) -> u32 {
    u32::try_from(of.count()).unwrap_or(u32::MAX)
}
