//! What deciders said and cost, and what incidents came to: from ticks, as they happen or from the journal.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use flyball_control::fault;
use flyball_model::{
    Action, ActionRecord, DeciderAnswer, DeciderSaid, LlmUse, Severity, TickRecord, UnixMillis,
};
use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A finding may come and go; after so many ticks without one that would wake a decider, an incident is over.
const TICKS_TO_BE_QUIET: u64 = 3;
/// Incidents that are kept; the oldest go.
const INCIDENTS_KEPT: usize = 1_000;
/// Faults and actions that are told of one incident.
const MOST_IN_INCIDENT: usize = 200;
/// Questions of a session whose answers may still be compared: a shadow may be late.
const QUESTIONS_OPEN: usize = 256;

/// What one decider said and cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeciderReport {
    /// What its policy calls it.
    pub decider: String,
    /// Its plugin.
    pub plugin: String,
    /// It is asked beside, and never followed.
    pub shadow: bool,
    /// How often it was asked.
    pub asked: u64,
    /// What came of that: it wanted an action.
    pub answered: u64,
    /// It left it to the next.
    pub abstained: u64,
    /// It failed.
    pub failed: u64,
    /// Its time was over.
    pub late: u64,
    /// The others had settled it.
    pub dropped: u64,
    /// How often it was not asked: another one answered before, a way of a route was not taken, a shadow still thought.
    pub not_asked: u64,
    /// How often what it wanted was taken to the guards.
    pub followed: u64,
    /// Answers to questions in which somebody was followed.
    pub compared: u64,
    /// Of these, answers that wanted the same action.
    pub agreed: u64,
    /// From question to answer, in milliseconds, of those that ended by themselves or by their deadline; none: none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// The 99th percentile of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    /// What it had of language models. Of a question that was given up nothing is known.
    #[serde(flatten)]
    pub llm: LlmUse,
}

/// Trouble in a session, from the first tick on which something was found that wakes deciders to the last one before it was
/// quiet.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct IncidentReport {
    /// In which session.
    pub session: String,
    /// The first tick on which it showed.
    pub first_tick: u64,
    /// The last one.
    pub last_tick: u64,
    /// When these were observed, in milliseconds since the Unix epoch.
    pub from: UnixMillis,
    /// When the last one was observed.
    pub until: UnixMillis,
    /// It was not known to be over.
    pub open: bool,
    /// What was wrong, each once.
    pub faults: BTreeSet<String>,
    /// Ticks on which it showed.
    pub ticks: u64,
    /// What was done, with what came of it.
    pub actions: Vec<IncidentAction>,
    /// Later actions that are not in `actions`, for length.
    pub actions_left_out: u64,
    /// What it took of language models, whoever asked.
    #[serde(flatten)]
    pub llm: LlmUse,
}

/// An action in an incident.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct IncidentAction {
    /// Its number in the journal.
    pub id: u64,
    /// What it did.
    pub action: String,
    /// So far.
    pub outcome: String,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Figures {
    /// By name, shadows last.
    pub deciders: Vec<DeciderReport>,
    /// Oldest first.
    pub incidents: Vec<IncidentReport>,
    /// Earlier incidents that are not in `incidents`, for length.
    pub incidents_left_out: u64,
    /// What was asked of language models outside of these incidents.
    pub llm_elsewhere: LlmUse,
}

/// Counts, tick by tick in the order of each session's ticks.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    deciders: BTreeMap<(bool, String), Decider>,
    sessions: BTreeMap<String, Session>,
    /// Those of this run that are over, oldest first.
    over: VecDeque<IncidentReport>,
    /// Those of the runs before.
    earlier: VecDeque<IncidentReport>,
    left_out: u64,
    elsewhere: LlmUse,
}

#[derive(Debug, Clone)]
struct Decider {
    report: DeciderReport,
    /// In microseconds; none: no histogram can be had.
    took: Option<Histogram<u64>>,
}

#[derive(Debug, Default, Clone)]
struct Session {
    open: Option<IncidentReport>,
    /// By the tick on which it was asked.
    questions: BTreeMap<u64, Question>,
}

/// A question, as far as answers to it are compared.
#[derive(Debug, Default, Clone)]
struct Question {
    followed: Option<Action>,
    /// Answers that came before it was known who is followed.
    waiting: Vec<((bool, String), Action)>,
}

impl Tally {
    /// One more tick.
    pub fn tick(&mut self, record: &TickRecord) {
        let session = self.sessions.entry(record.session.to_string()).or_default();
        let over = |open: &IncidentReport| record.tick > open.last_tick + TICKS_TO_BE_QUIET;
        if let Some(mut incident) = session.open.take_if(|open| over(open)) {
            incident.open = false;
            self.over.push_back(incident);
        }
        let mut faults = record
            .findings
            .iter()
            .filter(|found| found.said.severity >= Severity::Warning)
            .map(|found| fault(&found.said))
            .peekable();
        if faults.peek().is_some() {
            let incident = session.open.get_or_insert_with(|| IncidentReport::begun(record));
            incident.last_tick = record.tick;
            incident.until = record.at;
            incident.ticks += 1;
            for fault in faults {
                if incident.faults.len() < MOST_IN_INCIDENT {
                    incident.faults.insert(fault);
                }
            }
        }
        if let (Some(incident), Some(action)) = (&mut session.open, &record.action) {
            let outcome = action.outcome.name().to_owned();
            // One that the data plane takes its time for is told of on two ticks.
            let has_room = incident.actions.len() < MOST_IN_INCIDENT;
            match incident.actions.iter_mut().find(|known| known.id == action.id) {
                Some(known) => known.outcome = outcome,
                None if !has_room => incident.actions_left_out += 1,
                None => incident.actions.push(IncidentAction {
                    id: action.id,
                    action: action.proposal.action.to_string(),
                    outcome,
                }),
            }
        }
        self.spend(record);
        record.answers.iter().for_each(|answer| self.answer(&record.session, answer));
        while self.earlier.len() + self.over.len() > INCIDENTS_KEPT {
            drop(self.earlier.pop_front().or_else(|| self.over.pop_front()));
            self.left_out += 1;
        }
    }

    /// The next tick is another run's: it is numbered from 1 again, and nothing of it belongs to what was before.
    pub fn run_ended(&mut self) {
        let open = std::mem::take(&mut self.sessions).into_values().filter_map(|session| session.open);
        self.over.extend(open);
        self.earlier.append(&mut self.over);
    }

    /// It became known what came of an action.
    pub fn concluded(&mut self, action: &ActionRecord) {
        let open = self.sessions.get_mut(&*action.session).and_then(|session| session.open.as_mut());
        let over = self.over.iter_mut().rev().chain(self.earlier.iter_mut().rev());
        let known = open.into_iter().chain(over).flat_map(|one| &mut one.actions);
        for known in known.filter(|known| known.id == action.id) {
            action.outcome.name().clone_into(&mut known.outcome);
        }
    }

    /// What was counted so far.
    pub fn figures(&self) -> Figures {
        let open = self.sessions.values().filter_map(|session| session.open.clone());
        let mut incidents: Vec<_> = self.earlier.iter().chain(&self.over).cloned().chain(open).collect();
        incidents.sort_by_key(|incident| incident.from);
        Figures {
            deciders: self.deciders.values().map(Decider::report).collect(),
            incidents,
            incidents_left_out: self.left_out,
            llm_elsewhere: self.elsewhere,
        }
    }

    /// What was asked of models counts for the incident in which it was asked, however late the answer.
    fn spend(&mut self, record: &TickRecord) {
        let sum = |used: LlmUse, more: &LlmUse| used.plus(*more);
        let all = record.costs.iter().map(|(_, cost)| &cost.llm).fold(LlmUse::default(), sum);
        // Those of deciders that were waited for and answered are told twice.
        let twice = record.answers.iter().filter(|answer| {
            !answer.shadow && matches!(answer.said, DeciderSaid::Decision | DeciderSaid::Abstains)
        });
        let twice = twice.map(|answer| &answer.cost.llm).fold(LlmUse::default(), sum);
        self.spent(&record.session, record.tick, minus(all, twice));
        for answer in &record.answers {
            self.spent(&record.session, answer.tick, answer.cost.llm);
        }
    }

    fn spent(&mut self, session: &str, tick: u64, used: LlmUse) {
        let of_it = |incident: &IncidentReport| {
            incident.session == session
                && (incident.first_tick..=incident.last_tick + TICKS_TO_BE_QUIET).contains(&tick)
        };
        let open = self.sessions.get_mut(session).and_then(|session| session.open.as_mut());
        let mut incidents = open.into_iter().chain(self.over.iter_mut().rev());
        let account = incidents.find(|one| of_it(one)).map_or(&mut self.elsewhere, |one| &mut one.llm);
        *account = account.plus(used);
    }

    fn answer(&mut self, session: &str, answer: &DeciderAnswer) {
        let key = (answer.shadow, answer.decider().to_owned());
        self.deciders.entry(key.clone()).or_insert_with(|| Decider::new(answer)).count(answer);
        let Some(decision) = &answer.decision else { return };
        let action = &decision.proposal.action;
        let Some(session) = self.sessions.get_mut(session) else { return };
        let question = session.questions.entry(answer.tick).or_default();
        let mut compared = vec![(key, action.clone())];
        match (&question.followed, answer.followed) {
            (Some(_), _) => {}
            (None, true) => {
                question.followed = Some(action.clone());
                compared.append(&mut question.waiting);
            }
            (None, false) => question.waiting.append(&mut compared),
        }
        let followed = question.followed.clone();
        while session.questions.len() > QUESTIONS_OPEN {
            session.questions.pop_first();
        }
        for (key, action) in compared {
            if let Some(decider) = self.deciders.get_mut(&key) {
                decider.report.compared += 1;
                decider.report.agreed += u64::from(Some(action) == followed);
            }
        }
    }
}

fn minus(all: LlmUse, part: LlmUse) -> LlmUse {
    LlmUse {
        questions: all.questions.saturating_sub(part.questions),
        input_tokens: all.input_tokens.saturating_sub(part.input_tokens),
        output_tokens: all.output_tokens.saturating_sub(part.output_tokens),
        cost_millionths: all.cost_millionths.saturating_sub(part.cost_millionths),
    }
}

impl IncidentReport {
    fn begun(record: &TickRecord) -> Self {
        Self {
            session: record.session.to_string(),
            first_tick: record.tick,
            last_tick: record.tick,
            from: record.at,
            until: record.at,
            open: true,
            faults: BTreeSet::new(),
            ticks: 0,
            actions: Vec::new(),
            actions_left_out: 0,
            llm: LlmUse::default(),
        }
    }
}

impl Decider {
    fn new(answer: &DeciderAnswer) -> Self {
        Self {
            report: DeciderReport {
                decider: answer.decider().to_owned(),
                plugin: answer.by.name.to_string(),
                shadow: answer.shadow,
                asked: 0,
                answered: 0,
                abstained: 0,
                failed: 0,
                late: 0,
                dropped: 0,
                not_asked: 0,
                followed: 0,
                compared: 0,
                agreed: 0,
                p50_ms: None,
                p99_ms: None,
                llm: LlmUse::default(),
            },
            took: Histogram::new(3).ok(),
        }
    }

    fn count(&mut self, answer: &DeciderAnswer) {
        let report = &mut self.report;
        let came_to = match answer.said {
            DeciderSaid::Decision => &mut report.answered,
            DeciderSaid::Abstains => &mut report.abstained,
            DeciderSaid::Failed => &mut report.failed,
            DeciderSaid::Late => &mut report.late,
            DeciderSaid::Dropped => &mut report.dropped,
            DeciderSaid::NotAsked => &mut report.not_asked,
        };
        *came_to += 1;
        report.asked += u64::from(answer.said.is_asked());
        report.followed += u64::from(answer.followed);
        report.llm = report.llm.plus(answer.cost.llm);
        if let Some(took) = &mut self.took
            && !matches!(answer.said, DeciderSaid::Dropped | DeciderSaid::NotAsked)
        {
            // It grows as it must.
            let _ = took.record(answer.took_ns / 1_000);
        }
    }

    fn report(&self) -> DeciderReport {
        let took = self.took.as_ref().filter(|took| !took.is_empty());
        let at = |quantile: f64| took.map(|took| took.value_at_quantile(quantile) as f64 / 1_000.0);
        DeciderReport { p50_ms: at(0.5), p99_ms: at(0.99), ..self.report.clone() }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{from_value, json};

    use super::*;

    /// A tick on which something was found and an action had come to this.
    pub(crate) fn tick(tick: u64, ending: &str, outcome: &str) -> TickRecord {
        let by = json!({ "name": "rules", "version": "1", "digest": "d" });
        let action = json!({
            "id": 7, "session": "shop", "tick": 1, "generation": 1, "at": 1,
            "proposal": { "action": { "kind": "restart-process", "node": "map" }, "reason": "it failed" },
            "decided_by": by, "judged_by": [], "findings": [], "before": { "nodes": [], "edges": [] },
            "outcome": outcome,
        });
        let found = json!({
            "by": by, "code": "node-failed", "severity": "critical", "target": "map", "message": "it failed",
        });
        from_value(json!({
            "session": "shop", "tick": tick, "at": tick, "generation": 1, "ending": ending, "took_ns": 1,
            "findings": [found], "checks": [], "gates": [], "failures": [], "answers": [], "verdicts": [],
            "costs": [], "action": action,
        }))
        .unwrap()
    }

    #[test]
    fn an_action_that_took_its_time_is_one_of_its_incident() {
        let mut tally = Tally::default();
        tally.tick(&tick(1, "applying", "unknown"));
        tally.tick(&tick(2, "acted", "effective"));
        let incident = tally.sessions.values().find_map(|session| session.open.as_ref()).unwrap();
        let told: Vec<_> = incident.actions.iter().map(|action| (action.id, &*action.outcome)).collect();
        assert_eq!(told, [(7, "effective")]);
    }
}
