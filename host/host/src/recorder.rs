//! Keeps what a run's report tells. It hears each tick itself, quiet ones too, as it counts them.
//!
//! Made by `host`, for each run.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use flyball_model::{Account, ActionRecord, Ending, EventRecord, Outcome, TickRecord};
use flyball_ports::Listener;
use parking_lot::Mutex;

use crate::report::{GenerationReport, SessionReport};
use crate::tally::{Figures, Tally};

/// A long run has more eventful ticks than a document can hold: the newest of each session are kept whole, the others
/// are in the journal and counted here.
const TICKS_KEPT: usize = 5_000;

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
    ticks: VecDeque<Arc<TickRecord>>,
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
    pub(crate) fn session(&self, name: &str, manifest: &str, account: Option<Account>) -> SessionReport {
        let kept = self.sessions.lock().get(name).cloned().unwrap_or_default();
        SessionReport {
            name: name.to_owned(),
            manifest: manifest.to_owned(),
            account,
            balanced: account.is_none_or(|account| account.balances()),
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
    fn tick(&self, record: &Arc<TickRecord>) {
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
        kept.ticks.push_back(Arc::clone(record));
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
