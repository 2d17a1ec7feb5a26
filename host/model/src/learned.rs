//! What came of actions so far, by what was found, what was done and which program it was done to. It orders what deciders try and forbids
//! nothing: what was in vain weighs half after an hour, half when the same helped another program, and nothing once it is forgotten.
//!
//! Called by the loop, which adds what it sees, and by the store, which adds what the journal has; both come to the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ActionKind, ActionRecord, Finding, GraphSpec, NodeSpec, Outcome, UnixMillis};

/// After this time an outcome weighs half.
const HALF_AFTER_MS: f64 = 3_600_000.0;
/// Entries that are kept; of more the one goes that is oldest.
const MOST: usize = 4_096;

/// What came of one kind of action against one finding on one program, over all sessions and runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Learned {
    /// The code of the finding that it was for.
    pub finding: String,
    /// What was done.
    pub kind: ActionKind,
    /// The type of the node it was done to, as it was before; none: a node that was not there, or no node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_type: Option<String>,
    /// What that node ran: its command line, or else the digest of its configuration; none: there was no node, or several are told
    /// as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// How often it helped.
    pub verified: u64,
    /// How often it did not.
    pub ineffective: u64,
    /// How often it made things worse.
    pub worse: u64,
    /// How often too little was measured to say.
    pub unknown: u64,
    /// How often the data plane refused it or broke off.
    pub failed: u64,
    /// How often it was undone.
    pub rolled_back: u64,
    /// When the newest of these was intended.
    pub newest: UnixMillis,
    /// What those that helped weighed at that time.
    #[serde(default)]
    pub helped_weight: f64,
    /// What the others weighed at that time.
    #[serde(default)]
    pub in_vain_weight: f64,
}

impl Learned {
    /// Nothing yet.
    pub const fn nothing(finding: String, kind: ActionKind, node_type: Option<String>) -> Self {
        Self {
            finding,
            kind,
            node_type,
            program: None,
            verified: 0,
            ineffective: 0,
            worse: 0,
            unknown: 0,
            failed: 0,
            rolled_back: 0,
            newest: 0,
            helped_weight: 0.0,
            in_vain_weight: 0.0,
        }
    }

    /// Where this outcome is counted; none: it is none that says whether the action helped.
    pub const fn count_of(&mut self, outcome: Outcome) -> Option<&mut u64> {
        match outcome {
            Outcome::Verified => Some(&mut self.verified),
            Outcome::Ineffective => Some(&mut self.ineffective),
            Outcome::Worse => Some(&mut self.worse),
            Outcome::Unknown => Some(&mut self.unknown),
            Outcome::Failed => Some(&mut self.failed),
            Outcome::RolledBack => Some(&mut self.rolled_back),
            Outcome::Accepted | Outcome::Effective | Outcome::RollbackFailed | Outcome::Rejected => None,
        }
    }

    /// How often it did not help, whatever came of it.
    pub const fn in_vain(&self) -> u64 {
        self.ineffective + self.worse + self.unknown + self.failed + self.rolled_back
    }

    /// What it weighs at this time: more than nothing where it helped more than it was in vain, less than nothing otherwise.
    pub fn weight(&self, now: UnixMillis) -> f64 {
        (self.helped_weight - self.in_vain_weight) * faded(now.saturating_sub(self.newest))
    }

    fn add(&mut self, outcome: Outcome, at: UnixMillis) {
        let Some(count) = self.count_of(outcome) else { return };
        *count = count.saturating_add(1);
        let since = faded(at.saturating_sub(self.newest));
        self.helped_weight *= since;
        self.in_vain_weight *= since;
        let weight = faded(self.newest.saturating_sub(at));
        self.newest = self.newest.max(at);
        *self.weight_of(outcome) += weight;
    }

    /// It was thought before that this had come of it.
    fn take_back(&mut self, outcome: Outcome) {
        let Some(count) = self.count_of(outcome) else { return };
        *count = count.saturating_sub(1);
        let weight = self.weight_of(outcome);
        *weight = (*weight - 1.0).max(0.0);
    }

    fn weight_of(&mut self, outcome: Outcome) -> &mut f64 {
        if outcome == Outcome::Verified { &mut self.helped_weight } else { &mut self.in_vain_weight }
    }

    /// The same with each count as it weighs at this time, of no program in particular.
    fn weighed(&self, now: UnixMillis) -> Self {
        let since = faded(now.saturating_sub(self.newest));
        let share = |weight: f64, count: u64| if count == 0 { 0.0 } else { weight * since / count as f64 };
        let in_vain = share(self.in_vain_weight, self.in_vain());
        let of = |count: u64, share: f64| (count as f64 * share).round() as u64;
        Self {
            program: None,
            verified: of(self.verified, share(self.helped_weight, self.verified)),
            ineffective: of(self.ineffective, in_vain),
            worse: of(self.worse, in_vain),
            unknown: of(self.unknown, in_vain),
            failed: of(self.failed, in_vain),
            rolled_back: of(self.rolled_back, in_vain),
            helped_weight: 0.0,
            in_vain_weight: 0.0,
            ..self.clone()
        }
    }

    fn add_counts(&mut self, other: &Self) {
        self.verified += other.verified;
        self.ineffective += other.ineffective;
        self.worse += other.worse;
        self.unknown += other.unknown;
        self.failed += other.failed;
        self.rolled_back += other.rolled_back;
        self.newest = self.newest.max(other.newest);
    }
}

/// What is left of a weight of one after so many milliseconds.
fn faded(after_ms: u64) -> f64 {
    0.5_f64.powf(after_ms as f64 / HALF_AFTER_MS)
}

/// Which of what was learnt is meant: what agrees with each that is named; none of them: all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LearnedFilter {
    /// The code of the finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// The kind of action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ActionKind>,
    /// The type of the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_type: Option<String>,
    /// The program, as it is listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

impl LearnedFilter {
    /// Whether this is meant.
    pub fn matches(&self, learned: &Learned) -> bool {
        let is = |wanted: &Option<String>, has: Option<&String>| {
            wanted.as_ref().is_none_or(|wanted| has == Some(wanted))
        };
        is(&self.finding, Some(&learned.finding))
            && self.kind.is_none_or(|kind| kind == learned.kind)
            && is(&self.node_type, learned.node_type.as_ref())
            && is(&self.program, learned.program.as_ref())
    }
}

impl fmt::Display for LearnedFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.map(|kind| kind.name().to_owned());
        let named = [
            ("kind", &kind),
            ("finding", &self.finding),
            ("node type", &self.node_type),
            ("program", &self.program),
        ];
        let named: Vec<String> = named
            .into_iter()
            .filter_map(|(name, value)| Some(format!("the {name} {}", value.as_ref()?)))
            .collect();
        if named.is_empty() { f.write_str("all actions") } else { f.write_str(&named.join(", ")) }
    }
}

/// Code of finding, kind of action, type of node, program.
type Key = (String, ActionKind, Option<String>, Option<String>);

/// All that was learnt.
#[derive(Debug, Clone, Default)]
pub struct LearnedTable(BTreeMap<Key, Learned>);

impl LearnedTable {
    /// What came of an action, after what was thought of it before.
    pub fn add(&mut self, action: &ActionRecord, before: Option<Outcome>) {
        if action.undoes.is_some() {
            return;
        }
        let node = action.proposal.action.target().and_then(|target| action.before.node(target));
        let kind = action.proposal.action.kind();
        let codes: BTreeSet<&str> = action.findings.iter().map(|finding| finding.code.as_str()).collect();
        for code in codes {
            self.add_one(code, kind, node, action.outcome, before, action.at);
        }
    }

    /// The same of one of its findings, and of the node that it was done to.
    pub fn add_one(
        &mut self,
        code: &str,
        kind: ActionKind,
        node: Option<&NodeSpec>,
        outcome: Outcome,
        before: Option<Outcome>,
        at: UnixMillis,
    ) {
        let (node_type, program) = (node.map(|node| node.node_type.clone()), node.map(NodeSpec::program));
        let key = (code.to_owned(), kind, node_type.clone(), program.clone());
        if !self.0.contains_key(&key) && self.0.len() >= MOST {
            self.drop_oldest();
        }
        let entry = self
            .0
            .entry(key.clone())
            .or_insert_with(|| Learned { program, ..Learned::nothing(code.to_owned(), kind, node_type) });
        if let Some(before) = before {
            entry.take_back(before);
        }
        entry.add(outcome, at);
        if outcome == Outcome::Verified {
            let elsewhere = self.0.iter_mut().filter(|(other, _)| **other != key);
            elsewhere
                .filter(|(_, other)| other.finding == code && other.kind == kind)
                .for_each(|(_, other)| other.in_vain_weight /= 2.0);
        }
    }

    fn drop_oldest(&mut self) {
        let oldest = self.0.iter().min_by_key(|(_, learned)| learned.newest).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            self.0.remove(&oldest);
        }
    }

    /// Forgets what is meant. How many there were.
    pub fn forget(&mut self, filter: &LearnedFilter) -> usize {
        let before = self.0.len();
        self.0.retain(|_, learned| !filter.matches(learned));
        before - self.0.len()
    }

    /// What deciders are told who are to answer these findings in this graph: what concerns the programs that the findings are about, with
    /// each count as it weighs at this time. Programs of one type are told as one.
    pub fn told(
        &self,
        findings: &[Finding],
        graph: &GraphSpec,
        now: UnixMillis,
        most: usize,
    ) -> Vec<Learned> {
        let mut told: BTreeMap<_, Learned> = BTreeMap::new();
        for learned in self.0.values().filter(|learned| concerns(learned, findings, graph)) {
            let weighed = learned.weighed(now);
            if weighed.verified + weighed.in_vain() == 0 {
                continue;
            }
            told.entry((learned.finding.clone(), learned.kind, learned.node_type.clone()))
                .and_modify(|before| before.add_counts(&weighed))
                .or_insert(weighed);
        }
        told.into_values().take(most).collect()
    }
}

/// Whether it is of such a finding, and of a program that the finding is about.
fn concerns(learned: &Learned, findings: &[Finding], graph: &GraphSpec) -> bool {
    let is_it = |node: &NodeSpec| {
        learned.node_type.as_deref() == Some(&*node.node_type) && learned.program == Some(node.program())
    };
    findings.iter().filter(|finding| finding.code == learned.finding).any(|finding| {
        learned.node_type.is_none()
            || match &finding.target {
                Some(target) => graph.node(target).is_some_and(is_it),
                None => graph.nodes.iter().any(is_it),
            }
    })
}

impl From<Vec<Learned>> for LearnedTable {
    fn from(all: Vec<Learned>) -> Self {
        let key = |one: &Learned| (one.finding.clone(), one.kind, one.node_type.clone(), one.program.clone());
        Self(all.into_iter().map(|learned| (key(&learned), learned)).collect())
    }
}

impl From<LearnedTable> for Vec<Learned> {
    fn from(table: LearnedTable) -> Self {
        table.0.into_values().collect()
    }
}
