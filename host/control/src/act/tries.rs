//! What the loop has tried in a session, and what of it helped: the budgets that keep it from trying for ever.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use flyball_model::{Action, ActionKind, ActionRecord, Budget, Finding, NodeId, Outcome, Reason, Safety};
use tokio::time::Instant;

use crate::act::checks::reason;
use crate::gates::pace::seconds;

/// Tries that are remembered; the oldest go.
const KEPT: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct Tries {
    /// Oldest first.
    tries: VecDeque<Try>,
    /// Since when each fault that was answered in vain has not been found.
    gone: BTreeMap<String, Instant>,
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
    /// The earlier one that it took back: a change like any other, and no answer to a fault.
    undoes: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CameTo {
    /// It is not known yet.
    Open,
    Helped,
    InVain,
    /// It was in vain, and that says nothing any more: the fault has gone since, or somebody has changed the graph.
    Past,
}

/// What may be tried again after a rest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resting {
    pub kind: ActionKind,
    pub target: NodeId,
    pub opens: Instant,
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
    /// An action of the loop's own was tried, or the host took one back.
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
            undoes: action.undoes,
        });
    }

    /// When what this action takes back was tried, and the earlier steps of its undo: what does not count against it.
    pub fn taken_back(&self, action: &ActionRecord) -> Vec<Instant> {
        self.tries.iter().filter(|tried| tried.is_taken_back_by(action)).map(|tried| tried.at).collect()
    }

    /// What was tried against faults, oldest first.
    fn answers(&self) -> impl DoubleEndedIterator<Item = &Try> {
        self.tries.iter().filter(|tried| tried.undoes.is_none())
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
        count(self.in_vain_in_a_row())
    }

    fn in_vain_in_a_row(&self) -> impl Iterator<Item = &Try> {
        let counts = |tried: &&Try| !matches!(tried.came_to, CameTo::Open | CameTo::Past);
        self.answers().rev().filter(counts).take_while(|tried| tried.came_to == CameTo::InVain)
    }

    /// When the newest action that did not help was tried.
    pub fn newest_in_vain(&self) -> Option<Instant> {
        self.in_vain_in_a_row().next().map(|tried| tried.at)
    }

    /// Whether it is not known yet of some action whether it helped.
    pub fn is_open(&self) -> bool {
        self.answers().any(|tried| tried.came_to == CameTo::Open)
    }

    /// Whether anything was in vain that still counts.
    pub fn has_in_vain(&self) -> bool {
        self.answers().any(|tried| tried.came_to == CameTo::InVain)
    }

    /// These faults were found now, and no others. What was tried in vain for one that has been gone for so long counts no more.
    pub fn found(&mut self, faults: &BTreeSet<String>, gone_for: Duration, now: Instant) {
        let in_vain = self.tries.iter().filter(|tried| tried.came_to == CameTo::InVain);
        let absent: BTreeSet<&String> =
            in_vain.map(|tried| &tried.fault).filter(|fault| !faults.contains(*fault)).collect();
        self.gone.retain(|fault, _| absent.contains(fault));
        for fault in absent {
            self.gone.entry(fault.clone()).or_insert(now);
        }
        let is_over =
            |fault: &String| self.gone.get(fault).is_some_and(|since| now.duration_since(*since) >= gone_for);
        let over = self.tries.iter_mut().filter(|tried| tried.came_to == CameTo::InVain);
        over.filter(|tried| is_over(&tried.fault)).for_each(|tried| tried.came_to = CameTo::Past);
    }

    /// Nothing was looked at, so no fault is known to be gone.
    pub fn not_looked(&mut self) {
        self.gone.clear();
    }

    /// What was tried in vain counts no more.
    pub fn forgive(&mut self) {
        let in_vain = self.tries.iter_mut().filter(|tried| tried.came_to == CameTo::InVain);
        in_vain.for_each(|tried| tried.came_to = CameTo::Past);
    }

    /// Of what was tried in vain for this fault, the kind that may be tried again first.
    pub fn next_for(&self, fault: &str, safety: &Safety) -> Option<Resting> {
        let mut resting: Vec<Resting> = Vec::new();
        for tried in self.since_cured(fault).filter(|tried| tried.came_to == CameTo::InVain) {
            let Some(target) = &tried.target else { continue };
            if resting.iter().any(|known| known.kind == tried.kind && known.target == *target) {
                continue;
            }
            let opens = self.rest(fault, tried.kind, target, safety).unwrap_or(tried.at);
            resting.push(Resting { kind: tried.kind, target: target.clone(), opens });
        }
        // The newest come first: of those that may be tried at the same time the oldest is meant.
        resting.into_iter().rev().min_by_key(|resting| resting.opens)
    }

    /// Until when a kind of action rests, as its attempts at this fault are used up.
    fn rest(&self, fault: &str, kind: ActionKind, target: &NodeId, safety: &Safety) -> Option<Instant> {
        let mut in_vain = self.since_cured(fault).filter(|tried| {
            tried.came_to == CameTo::InVain && tried.kind == kind && tried.target.as_ref() == Some(target)
        });
        let newest = in_vain.next()?.at;
        let rounds = (count(in_vain) + 1).checked_sub(safety.attempts)?;
        Some(newest + safety.retry.pause(rounds))
    }

    /// How often this fault was answered in vain since it was last cured.
    pub fn in_vain(&self, fault: &str) -> u32 {
        count(self.since_cured(fault).filter(|tried| tried.came_to == CameTo::InVain))
    }

    fn since_cured<'a>(&'a self, fault: &str) -> impl Iterator<Item = &'a Try> {
        let fault = fault.to_owned();
        let of_it = self.answers().rev().filter(move |tried| tried.fault == fault);
        of_it.take_while(|tried| tried.came_to != CameTo::Helped)
    }

    /// What keeps one fault from being answered for ever, where this action would be over it.
    pub fn over_tries(
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
        let at_it = |tried: &Try| tried.kind == kind && tried.target.as_ref() == Some(target);
        let mut wrong = Vec::new();
        let in_vain =
            count(self.since_cured(&fault).filter(|tried| tried.came_to == CameTo::InVain && at_it(tried)));
        let opens = match self.rest(&fault, kind, target, safety) {
            Some(until) => until.checked_duration_since(now).filter(|left| !left.is_zero()),
            None => (safety.attempts == 0).then_some(Duration::MAX),
        };
        if let Some(left) = opens {
            let again = match left {
                Duration::MAX => String::new(),
                left => format!("; it may be tried again in {}", seconds(left)),
            };
            wrong.push(reason(
                "attempts-used-up",
                format!(
                    "{kind} on {target} was tried {in_vain} times for {fault} and did not help; the limit is {}{again}",
                    safety.attempts
                ),
            ));
        }
        let cures = self
            .answers()
            .filter(|tried| tried.came_to == CameTo::Helped && tried.fault == fault && at_it(tried));
        wrong.extend(over("cures-used-up", &safety.cures, now, cures));
        wrong.extend(self.flapping(action, target, kind, &safety.flaps, now));
        wrong.extend(too_many_targets(target, open_targets, safety.targets_at_once));
        wrong
    }

    /// How often a node, a kind and the session may be changed, where this action would be over it.
    pub fn over_changes(&self, action: &ActionRecord, safety: &Safety, now: Instant) -> Vec<Reason> {
        let kind = action.proposal.action.kind();
        let Some(target) = action.proposal.action.target() else {
            return Vec::new();
        };
        let changes = || self.tries.iter().filter(|tried| !tried.is_taken_back_by(action));
        let mut wrong = Vec::new();
        let of_target = changes().filter(|tried| tried.target.as_ref() == Some(target));
        wrong.extend(over("target-budget", &safety.target, now, of_target));
        if let Some(budget) = safety.kinds.get(&kind) {
            wrong.extend(over("kind-budget", budget, now, changes().filter(|tried| tried.kind == kind)));
        }
        wrong.extend(over("session-budget", &safety.session, now, changes()));
        wrong
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
            .answers()
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

/// Whether so many lie within the budget's window that one more is too many.
fn over<'a>(
    code: &str,
    budget: &Budget,
    now: Instant,
    counted: impl Iterator<Item = &'a Try>,
) -> Option<Reason> {
    let window = Duration::from_millis(budget.window_ms);
    let counted = count(counted.filter(|tried| now.duration_since(tried.at) < window));
    (counted >= budget.max).then(|| {
        reason(
            code,
            format!("{counted} such actions within {}; the limit is {}", seconds(window), budget.max),
        )
    })
}

fn too_many_targets(target: &NodeId, open: &BTreeSet<&NodeId>, most: u32) -> Option<Reason> {
    let new = usize::from(!open.contains(target));
    (open.len() + new > usize::try_from(most).unwrap_or(usize::MAX)).then(|| {
        let open: Vec<&str> = open.iter().map(|node| node.as_str()).collect();
        reason(
            "targets-at-once",
            format!(
                "actions on {} are not known yet to have helped; the limit is {most} nodes at once",
                open.join(", ")
            ),
        )
    })
}

impl Try {
    /// Whether the action undoes this one, or is a later step of the same undo.
    fn is_taken_back_by(&self, action: &ActionRecord) -> bool {
        action.undoes.is_some_and(|undone| self.id == undone || self.undoes == Some(undone))
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
