//! What a run did, as one JSON document.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context, Result};
use flyball_model::{
    Account, ActionRecord, Ending, EventRecord, Outcome, PluginKind, TickRecord, UnixMillis,
};
use flyball_ports::Listener;
use flyball_store::ChainEnd;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::report_file::ReportFile;
use crate::tally::{Figures, Tally};

/// A long run has more eventful ticks than a document can hold: the newest of each session are kept whole, the others
/// are in the journal and counted here.
const TICKS_KEPT: usize = 5_000;

/// What a run did.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// The version of this document's schema.
    pub(crate) version: u32,
    /// The program that wrote it.
    pub(crate) program: String,
    /// When the run began and ended, in milliseconds since the Unix epoch.
    pub(crate) started: UnixMillis,
    pub(crate) ended: UnixMillis,
    pub(crate) sessions: Vec<SessionReport>,
    /// Every plugin that was loaded, with what its calls cost.
    pub(crate) plugins: Vec<PluginReport>,
    /// Every change of a policy or plugin that was seen, taken or refused.
    pub(crate) reloads: Vec<ReloadReport>,
    /// What became of the calls that were to be recorded; none: none were to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recordings: Option<RecordingsReport>,
    /// How far the journal's chain goes, for `flyball journal verify --head`; none: the journal did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) journal: Option<ChainEnd>,
    /// What deciders said and cost, and what each incident took.
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// What became of the calls that were to be recorded.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RecordingsReport {
    /// Calls that `flyball replay` can make again.
    pub(crate) written: u64,
    /// Calls that are lost, because the disk could not keep up or failed.
    pub(crate) dropped: u64,
    /// What was the matter last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
}

/// What happened to one pipeline.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct SessionReport {
    pub(crate) name: String,
    pub(crate) manifest: String,
    /// What became of every item.
    pub(crate) account: Account,
    /// Whether nothing disappeared: accepted = delivered + filtered + dead-lettered + in flight.
    pub(crate) balanced: bool,
    /// Ticks by how they ended.
    pub(crate) endings: BTreeMap<String, u64>,
    /// Generations that judged, each with its first and last tick.
    pub(crate) generations: Vec<GenerationReport>,
    /// Actions with their outcomes, oldest first.
    pub(crate) actions: Vec<ActionRecord>,
    /// Ticks on which something was found or failed, oldest first.
    pub(crate) ticks: VecDeque<TickRecord>,
    /// Eventful ticks that are not in `ticks`, for length; the journal has them.
    pub(crate) ticks_left_out: u64,
    /// What happened to the loop itself, oldest first: halts, approvals, escalations, freezes, notices.
    pub(crate) events: Vec<EventRecord>,
}

/// One generation's time in a session.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct GenerationReport {
    pub(crate) generation: u64,
    pub(crate) first_tick: u64,
    pub(crate) last_tick: u64,
}

/// One plugin.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PluginReport {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<PluginKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Where it is from: a file, or `first-party`.
    pub(crate) from: String,
    /// `running`, `failed` (nothing of that name serves) or `held back` (an older version serves).
    pub(crate) state: String,
    /// SHA-256 of what should run; none: its file is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) desired: Option<String>,
    /// SHA-256 of what runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) running: Option<String>,
    /// At which stage what should run failed: `read`, `verify`, `compile`, `world`, `link`, `settings`, `cases`, `swap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stage: Option<String>,
    /// Why what should run does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// SHA-256 of what its file holds and a person rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) passed_over: Option<String>,
    /// The sessions in which it is not asked at present, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) quarantined: Vec<String>,
    /// The most that its calls used of each limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) limits: Vec<LimitReport>,
    pub(crate) calls: u64,
    pub(crate) errors: u64,
    /// Wall time of a call, host calls included; none without calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p50_us: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p99_us: Option<f64>,
}

/// One limit of a call, and the most that a call used of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct LimitReport {
    /// Its name in a policy, under `limits`.
    pub(crate) limit: String,
    /// In the limit's unit.
    pub(crate) most: f64,
    pub(crate) of: f64,
    /// Whether it came to 80 % of it.
    pub(crate) near: bool,
}

/// One change of a policy or plugin.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct ReloadReport {
    pub(crate) at: UnixMillis,
    /// What changed, taken or refused.
    pub(crate) what: Vec<String>,
    /// The generation that serves since; none: the one before goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generation: Option<u64>,
    /// The sessions whose next tick is judged by it.
    pub(crate) sessions: Vec<String>,
    /// From the change being seen to the new generation serving.
    pub(crate) took_ms: f64,
    /// How long each stage of it took.
    pub(crate) stages_ms: Vec<(String, f64)>,
    /// What did not load, and why; the last good one goes on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<String>,
}

/// The JSON Schema of a report.
pub(crate) fn schema() -> Value {
    schemars::schema_for!(Report).to_value()
}

impl Report {
    pub(crate) fn write(&self, file: ReportFile) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self).context("the report has no JSON")?;
        text.push(b'\n');
        file.write(&text)
    }
}

/// Listens to the sessions of a run and keeps what the report tells.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    sessions: Mutex<BTreeMap<String, Kept>>,
    tally: Mutex<Tally>,
}

#[derive(Debug, Default, Clone)]
struct Kept {
    endings: BTreeMap<String, u64>,
    generations: Vec<GenerationReport>,
    actions: Vec<ActionRecord>,
    ticks: VecDeque<TickRecord>,
    ticks_left_out: u64,
    events: Vec<EventRecord>,
}

impl Recorder {
    /// The session's actions so far, oldest first, with their outcomes so far.
    pub(crate) fn actions(&self, session: &str) -> Vec<ActionRecord> {
        self.sessions.lock().get(session).map(|kept| kept.actions.clone()).unwrap_or_default()
    }

    /// What deciders said and cost so far, and what incidents came to.
    pub(crate) fn figures(&self) -> Figures {
        self.tally.lock().figures()
    }

    /// What was kept of one session.
    pub(crate) fn session(&self, name: &str, manifest: &str, account: Account) -> SessionReport {
        let kept = self.sessions.lock().get(name).cloned().unwrap_or_default();
        SessionReport {
            name: name.to_owned(),
            manifest: manifest.to_owned(),
            account,
            balanced: account.balances(),
            endings: kept.endings,
            generations: kept.generations,
            actions: kept.actions,
            ticks: kept.ticks,
            ticks_left_out: kept.ticks_left_out,
            events: kept.events,
        }
    }
}

impl Kept {
    fn count(&mut self, record: &TickRecord) {
        *self.endings.entry(ending_name(record.ending)).or_default() += 1;
        match self.generations.last_mut() {
            Some(last) if last.generation == record.generation => last.last_tick = record.tick,
            _ => self.generations.push(GenerationReport {
                generation: record.generation,
                first_tick: record.tick,
                last_tick: record.tick,
            }),
        }
    }

    fn action(&mut self, action: &ActionRecord) {
        match self.actions.iter_mut().find(|kept| kept.id == action.id) {
            Some(kept) => *kept = action.clone(),
            None => self.actions.push(action.clone()),
        }
    }
}

impl Listener for Recorder {
    fn tick(&self, record: &TickRecord) {
        self.tally.lock().tick(record);
        let mut sessions = self.sessions.lock();
        let kept = match sessions.get_mut(record.session.as_ref()) {
            Some(kept) => kept,
            None => sessions.entry(record.session.to_string()).or_default(),
        };
        kept.count(record);
        if let Some(action) = &record.action {
            kept.action(action);
        }
        if record.ending == Ending::Quiet
            && record.findings.is_empty()
            && record.failures.is_empty()
            && record.answers.is_empty()
        {
            return;
        }
        if kept.ticks.len() >= TICKS_KEPT {
            kept.ticks.pop_front();
            kept.ticks_left_out += 1;
        }
        kept.ticks.push_back(record.clone());
    }

    fn concluded(&self, action: &ActionRecord, _: Outcome) {
        self.tally.lock().concluded(action);
        let mut sessions = self.sessions.lock();
        sessions.entry(action.session.to_string()).or_default().action(action);
    }

    fn event(&self, event: &EventRecord) {
        let Some(session) = &event.session else { return };
        let mut sessions = self.sessions.lock();
        let events = &mut sessions.entry(session.to_string()).or_default().events;
        if events.len() < TICKS_KEPT {
            events.push(event.clone());
        }
    }
}

fn ending_name(ending: Ending) -> String {
    serde_json::to_value(ending).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
