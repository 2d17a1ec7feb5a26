//! What a run did, as one JSON document, and what a host says of its plugins.
//!
//! Filled in by `host` and `recorder`; written by whoever embeds a host.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use flyball_engine::{Library, LimitUsage, PluginStatus, Reload, Trouble};
use flyball_model::{Account, ActionRecord, EventRecord, PluginKind, ReloadRecord, TickRecord, UnixMillis};
use flyball_store::{ChainEnd, Recordings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tally::Figures;

/// What a run did.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Report {
    /// The version of this document's schema.
    pub version: u32,
    /// The program that wrote it.
    pub program: String,
    /// When the run began and ended, in milliseconds since the Unix epoch.
    pub started: UnixMillis,
    /// When it ended.
    pub ended: UnixMillis,
    /// Each session, in the order in which they came.
    pub sessions: Vec<SessionReport>,
    /// Every plugin that was loaded, with what its calls cost.
    pub plugins: Vec<PluginReport>,
    /// Every change of a policy or plugin that was seen, taken or refused.
    pub reloads: Vec<ReloadRecord>,
    /// What became of the calls that were to be recorded; none: none were to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recordings: Option<RecordingsReport>,
    /// How far the journal's chain goes, for `flyball journal verify --head`; none: the journal did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<ChainEnd>,
    /// What deciders said and cost, and what each incident took.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What became of the calls that were to be recorded.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RecordingsReport {
    /// Calls that `flyball replay` can make again.
    pub written: u64,
    /// Calls that are lost, because the disk could not keep up or failed.
    pub dropped: u64,
    /// What was the matter last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// What happened to one pipeline.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SessionReport {
    /// Its name.
    pub name: String,
    /// Where it is described.
    pub manifest: String,
    /// What became of every item.
    ///
    /// None: its data plane keeps no such account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// Whether nothing disappeared, as far as its data plane says: accepted = delivered + filtered + dead-lettered + in flight.
    pub balanced: bool,
    /// Ticks by how they ended.
    pub endings: BTreeMap<String, u64>,
    /// The newest generations that judged, each with its first and last tick.
    pub generations: VecDeque<GenerationReport>,
    /// The newest actions with their outcomes, oldest first.
    pub actions: VecDeque<ActionRecord>,
    /// Earlier actions that are not in `actions`, for length; the journal has them.
    pub actions_left_out: u64,
    /// Ticks on which something was found or failed, oldest first. Of ticks in a row that tell the same the first.
    pub ticks: VecDeque<Arc<TickRecord>>,
    /// Such ticks that are not in `ticks`, as they tell the same or for length; the journal has them.
    pub ticks_left_out: u64,
    /// What happened to the loop itself, oldest first: halts, approvals, escalations, freezes, notices.
    pub events: VecDeque<EventRecord>,
    /// Earlier ones that are not in `events`, for length; the journal has them.
    pub events_left_out: u64,
}

/// One generation's time in a session.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GenerationReport {
    /// Its number.
    pub generation: u64,
    /// The first tick that it judged.
    pub first_tick: u64,
    /// The last one.
    pub last_tick: u64,
}

/// One plugin.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PluginReport {
    /// Its name.
    pub name: String,
    /// Its kind; none: nothing of that name ever loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<PluginKind>,
    /// Its version, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where it is from: a file, or `first-party`.
    pub from: String,
    /// `running`, `failed` (nothing of that name serves) or `held back` (an older version serves).
    pub state: String,
    /// SHA-256 of what should run; none: its file is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<String>,
    /// SHA-256 of what runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// At which stage what should run failed: `read`, `verify`, `compile`, `world`, `link`, `settings`, `cases`, `swap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Why what should run does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// SHA-256 of what its file holds and a person rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<String>,
    /// The sessions in which it is not asked at present, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantined: Vec<String>,
    /// The most that its calls used of each limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitReport>,
    /// Calls so far.
    pub calls: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Wall time of a call, host calls included; none without calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<f64>,
    /// The 99th percentile of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_us: Option<f64>,
}

/// One limit of a call, and the most that a call used of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LimitReport {
    /// Its name in a policy, under `limits`.
    pub limit: String,
    /// In the limit's unit.
    pub most: f64,
    /// The limit.
    pub of: f64,
    /// Whether it came to 80 % of it.
    pub near: bool,
}

/// The JSON Schema of a report.
pub fn schema() -> Value {
    schemars::schema_for!(Report).to_value()
}

pub(crate) fn recordings_report(recordings: &Recordings) -> RecordingsReport {
    let status = recordings.status();
    RecordingsReport { written: status.written, dropped: status.dropped, trouble: status.trouble }
}

pub(crate) fn reload_record(reload: &Reload) -> ReloadRecord {
    let changed = reload.changes.iter().map(ToString::to_string);
    let troubled = reload.troubles.iter().map(|trouble| trouble.subject.to_string());
    ReloadRecord {
        at: reload.at,
        what: changed.chain(troubled).collect(),
        generation: reload.generation,
        sessions: reload.sessions.clone(),
        took_ms: millis(reload.took),
        stages_ms: reload
            .stages
            .iter()
            .map(|(stage, took)| (stage.name().to_owned(), millis(*took)))
            .collect(),
        errors: reload.troubles.iter().map(trouble_text).collect(),
    }
}

fn trouble_text(trouble: &Trouble) -> String {
    format!("{} at stage {}: {}", trouble.subject, trouble.stage, trouble.error)
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Every plugin, with what its calls cost.
pub fn plugin_reports(library: &Library) -> Vec<PluginReport> {
    library.status().into_iter().map(plugin_report).collect()
}

fn plugin_report(status: PluginStatus) -> PluginReport {
    let figures = status.figures;
    // A hundred nanoseconds is finer than the histogram is.
    let micros = |time: Duration| (figures.calls > 0).then(|| (time.as_secs_f64() * 1e7).round() / 10.0);
    PluginReport {
        name: status.name,
        kind: status.kind,
        version: status.version.map(|version| version.to_string()),
        from: status.path.map_or_else(|| "first-party".to_owned(), |path| path.display().to_string()),
        state: status.state.name().to_owned(),
        desired: status.desired.map(|digest| digest.to_string()),
        running: status.running.map(|digest| digest.to_string()),
        stage: status.stage.map(|stage| stage.name().to_owned()),
        error: status.error,
        passed_over: status.passed_over.map(|digest| digest.to_string()),
        quarantined: status
            .quarantined
            .into_iter()
            .map(|(session, why)| format!("{session}: {why}"))
            .collect(),
        limits: status.bills.iter().map(limit_report).collect(),
        calls: figures.calls,
        errors: figures.errors,
        p50_us: micros(figures.p50),
        p99_us: micros(figures.p99),
    }
}

fn limit_report(bill: &LimitUsage) -> LimitReport {
    let rounded = |number: f64| (number * 1e3).round() / 1e3;
    LimitReport {
        limit: bill.name.to_owned(),
        most: rounded(bill.peak),
        of: rounded(bill.limit),
        near: bill.near(),
    }
}
