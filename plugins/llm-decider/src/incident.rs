//! When the model is asked: once for a fault, and again when something about it has changed or when it is known what came
//! of the last action; a few times an incident and an hour, whatever happens.

use flyball_plugin::json;
use flyball_plugin::prelude::*;
use flyball_plugin::state;
use serde::{Deserialize, Serialize};

use crate::Own;
use crate::quoted::{is_presentable, quoted};
use crate::words;

const KEY: &str = "incidents";

const HOUR_MS: u64 = 3_600_000;

/// Bounds of what is kept.
const MOST_INCIDENTS: usize = 4;
const MOST_FAULTS: usize = 32;
const MOST_WATCHED: usize = 8;
const MOST_ASKED: usize = 1_000;

/// A number that is so many times as large, or as small, is another one.
const CHANGED: f64 = 2.0;

/// What is kept between calls.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// When questions were asked, oldest first.
    asked: Vec<u64>,
    incidents: Vec<Incident>,
}

/// Findings that hang together: those of a later tick belong to it while one of them is about a node that one of the
/// earlier was about.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Incident {
    /// When one of its findings was there last.
    seen_at: u64,
    /// Digests of the nodes that its findings are about.
    targets: Vec<u64>,
    /// How often the model was asked.
    questions: u32,
    /// None: it was not asked yet.
    known: Option<Known>,
    answer: Option<Answered>,
}

/// What was material when the model was asked last.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Known {
    at: u64,
    tick: u64,
    /// Digests of the findings' codes and nodes, each with the highest severity so far.
    faults: Vec<(u64, u8)>,
    /// Digests of nodes with findings, each with its status.
    statuses: Vec<(u64, u8)>,
    /// Digest of the kinds that were allowed.
    allowed: u64,
    /// Digest of the newest action of which it is known what came of it.
    outcome: u64,
    watched: Vec<Watched>,
}

/// A number that the findings or the answer rest on.
#[derive(Debug, Serialize, Deserialize)]
struct Watched {
    node: Option<String>,
    metric: String,
    value: f64,
}

/// What the model answered last.
#[derive(Debug, Serialize, Deserialize)]
struct Answered {
    at: u64,
    tick: u64,
    /// Digest of the action's kind and node.
    action: u64,
    /// In a line, quoted.
    told: String,
}

/// What a question is asked of.
pub(crate) struct Asking<'a> {
    pub now: &'a Observation<'a>,
    pub situation: &'a Situation,
    pub own: &'a Own,
    /// The name under which past actions are known as this plugin's.
    pub name: &'a str,
}

/// Findings that a decision may be about.
pub(crate) fn faults(situation: &Situation) -> impl Iterator<Item = &Finding> {
    situation.findings.iter().filter(|finding| finding.severity != Severity::Info).take(MOST_FAULTS)
}

impl Memory {
    /// Without what is too old to count.
    pub(crate) fn load(now: u64, own: &Own) -> Self {
        let mut memory: Self =
            state::get(KEY).and_then(|kept| json::from_slice(&kept).ok()).unwrap_or_default();
        // A clock that was put back must not hold questions up.
        memory.asked.retain(|at| *at <= now && now - at < HOUR_MS);
        memory.incidents.retain(|it| it.seen_at <= now && (now - it.seen_at) as f64 <= own.quiet_ms);
        memory
    }

    pub(crate) fn keep(&self) -> Result<(), String> {
        let text = json::to_vec(self).map_err(|error| error.to_string())?;
        state::set(KEY, &text)
    }

    /// The number of the incident that the findings belong to; a new one where they belong to none.
    pub(crate) fn incident(&mut self, asking: &Asking) -> usize {
        let now = asking.now.taken_at();
        let targets: Vec<u64> = faults(asking.situation).map(target).collect();
        let known =
            self.incidents.iter().position(|it| it.targets.iter().any(|known| targets.contains(known)));
        let place = known.unwrap_or_else(|| {
            if self.incidents.len() >= MOST_INCIDENTS {
                let oldest = self.incidents.iter().enumerate().min_by_key(|(_, it)| it.seen_at);
                oldest.map(|(at, _)| at).map(|at| self.incidents.remove(at));
            }
            self.incidents.push(Incident::default());
            self.incidents.len() - 1
        });
        if let Some(incident) = self.incidents.get_mut(place) {
            incident.seen_at = now;
            for target in targets {
                if !incident.targets.contains(&target) && incident.targets.len() < MOST_FAULTS {
                    incident.targets.push(target);
                }
            }
        }
        place
    }

    /// Why the model is not asked now, if it is not.
    pub(crate) fn holds(&self, place: usize, asking: &Asking) -> Option<String> {
        let incident = self.incidents.get(place)?;
        let Some(known) = &incident.known else { return self.spent(incident, asking.own) };
        let waited = asking.now.taken_at().saturating_sub(known.at) as f64;
        if known.changed(asking).is_none() {
            return Some(format!("nothing changed since tick {}, when the model was asked", known.tick));
        }
        if waited < asking.own.again_ms {
            let again = asking.own.again_ms / 1_000.0;
            return Some(format!("the model was asked at tick {}, less than {again} s ago", known.tick));
        }
        self.spent(incident, asking.own)
    }

    fn spent(&self, incident: &Incident, own: &Own) -> Option<String> {
        if incident.questions >= own.questions_per_incident {
            let asked = incident.questions;
            return Some(format!("the model was asked {asked} times in this incident, and may not be again"));
        }
        (self.asked.len() >= own.questions_per_hour as usize).then(|| {
            format!("the model was asked {} times within the hour, and may not be again", self.asked.len())
        })
    }

    /// Whether one more question may be asked in the same call.
    pub(crate) fn allows(&self, place: usize, own: &Own) -> bool {
        self.incidents.get(place).is_some_and(|incident| self.spent(incident, own).is_none())
    }

    /// A question is asked; what was known at the one before it.
    pub(crate) fn ask(&mut self, place: usize, asking: &Asking) -> Option<Known> {
        if self.asked.len() < MOST_ASKED {
            self.asked.push(asking.now.taken_at());
        }
        let incident = self.incidents.get_mut(place)?;
        incident.questions = incident.questions.saturating_add(1);
        let known = Known::of(asking, incident.known.as_ref());
        incident.known.replace(known)
    }

    /// The question was not sent after all.
    pub(crate) fn not_asked(&mut self, place: usize, before: Option<Known>) {
        self.asked.pop();
        if let Some(incident) = self.incidents.get_mut(place) {
            incident.questions = incident.questions.saturating_sub(1);
            incident.known = before;
        }
    }

    /// The model decided so.
    pub(crate) fn answered(&mut self, place: usize, asking: &Asking, decision: &Decision) {
        let Some(incident) = self.incidents.get_mut(place) else { return };
        let proposal = &decision.proposal;
        let most = (asking.own.text_limit as usize).min(300);
        let told =
            format!("{} because {}", words::action(&proposal.action, most), quoted(&proposal.reason, most));
        incident.answer = Some(Answered {
            at: asking.now.taken_at(),
            tick: asking.now.tick(),
            action: of_action(&proposal.action),
            told,
        });
        if let Some(known) = &mut incident.known {
            for evidence in &proposal.rests_on {
                known.watch(evidence);
            }
        }
    }

    /// What the model is told of its last answer in this incident, and of what came of it.
    pub(crate) fn last(&self, place: usize, asking: &Asking) -> String {
        let Some(answer) = self.incidents.get(place).and_then(|incident| incident.answer.as_ref()) else {
            return "none".to_owned();
        };
        let followed = asking.situation.past.iter().find(|past| {
            past.at >= answer.at
                && past.decided_by == asking.name
                && of_action(&past.proposal.action) == answer.action
        });
        let came = match followed {
            Some(past) => words::outcome(past.outcome),
            None => "nothing was done for it",
        };
        let ago = asking.now.taken_at().saturating_sub(answer.at) / 1_000;
        format!("{ago} s ago, at tick {}: {} → {came}", answer.tick, answer.told)
    }
}

impl Known {
    fn of(asking: &Asking, before: Option<&Self>) -> Self {
        let mut known = Self {
            at: asking.now.taken_at(),
            tick: asking.now.tick(),
            faults: before.map(|before| before.faults.clone()).unwrap_or_default(),
            statuses: Vec::new(),
            allowed: allowed(asking.situation),
            outcome: outcome(asking.situation),
            watched: Vec::new(),
        };
        for finding in faults(asking.situation) {
            let (fault, severity) = (fault(finding), finding.severity as u8);
            let room = known.faults.len() < 2 * MOST_FAULTS;
            match known.faults.iter_mut().find(|one| one.0 == fault) {
                Some(one) => one.1 = one.1.max(severity),
                None if room => known.faults.push((fault, severity)),
                None => {}
            }
            if let Some(node) = finding.target.as_deref().and_then(|id| asking.now.find(id)) {
                known.statuses.push((target(finding), node.status() as u8));
            }
            for evidence in &finding.rests_on {
                known.watch(evidence);
            }
        }
        known
    }

    fn watch(&mut self, evidence: &Evidence) {
        let Evidence { node, metric: Some(metric), value: Some(value), .. } = evidence else { return };
        let fits = is_presentable(metric) && node.as_deref().is_none_or(is_presentable);
        let known = self.watched.iter().any(|it| it.node == *node && it.metric == *metric);
        if value.is_finite() && fits && !known && self.watched.len() < MOST_WATCHED {
            self.watched.push(Watched { node: node.clone(), metric: metric.clone(), value: *value });
        }
    }

    /// What has changed, if something has.
    fn changed(&self, asking: &Asking) -> Option<&'static str> {
        if outcome(asking.situation) != self.outcome {
            return Some("an outcome");
        }
        if allowed(asking.situation) != self.allowed {
            return Some("what is allowed");
        }
        for finding in faults(asking.situation) {
            let (own, severity) = (fault(finding), finding.severity as u8);
            if !self.faults.iter().any(|(known, worst)| *known == own && *worst >= severity) {
                return Some("the findings");
            }
            let status =
                finding.target.as_deref().and_then(|id| asking.now.find(id)).map(|node| node.status());
            let before = self.statuses.iter().find(|(known, _)| *known == target(finding)).map(|(_, it)| *it);
            if let (Some(status), Some(before)) = (status, before)
                && status == Status::Failed
                && before != status as u8
            {
                return Some("a status");
            }
        }
        self.watched.iter().any(|it| it.changed(asking.now)).then_some("a number")
    }
}

impl Watched {
    /// Whether it is another number by far; one that is not there now is none.
    fn changed(&self, now: &Observation) -> bool {
        let value = match &self.node {
            Some(node) => now.find(node).and_then(|node| {
                now.column(&self.metric).and_then(|column| column.get(node.index() as usize).copied())
            }),
            None => now.total(&self.metric),
        };
        let Some(value) = value.filter(|value| value.is_finite()) else { return false };
        let (small, large) = (value.abs().min(self.value.abs()), value.abs().max(self.value.abs()));
        large > small * CHANGED
    }
}

/// The digest of the newest action of which it is known what came of it.
fn outcome(situation: &Situation) -> u64 {
    let known =
        situation.past.iter().find(|past| !matches!(past.outcome, Outcome::Accepted | Outcome::Effective));
    known.map_or(0, |past| {
        let at = past.at.to_string();
        digest([&*at, words::outcome(past.outcome), past.proposal.action.kind()])
    })
}

fn allowed(situation: &Situation) -> u64 {
    digest(situation.allowed.iter().map(|allowed| allowed.kind.as_str()))
}

fn fault(finding: &Finding) -> u64 {
    digest([finding.code.as_str(), finding.target.as_deref().unwrap_or_default()])
}

fn target(finding: &Finding) -> u64 {
    digest([finding.target.as_deref().unwrap_or_default()])
}

fn of_action(action: &Action) -> u64 {
    digest([action.kind(), action.target().unwrap_or_default()])
}

/// FNV-1a of texts, each with its end.
fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let bytes = texts.into_iter().flat_map(|text| text.bytes().chain([0xff]));
    bytes
        .fold(0xcbf2_9ce4_8422_2325, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
