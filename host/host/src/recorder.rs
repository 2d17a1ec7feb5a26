//! Keeps what a run's report tells, within bounds, as a run may be long and its sessions many: of what stands still the first tick, and of
//! all sessions together the newest. It hears each tick itself, quiet ones too, as it counts them.
//!
//! Made by `host`, for each run.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use flyball_model::{Account, ActionRecord, Ending, EventRecord, Outcome, TickRecord};
use flyball_ports::Listener;
use parking_lot::Mutex;

use crate::report::{GenerationReport, SessionReport};
use crate::tally::{Figures, Tally};

/// Of all sessions together, the newest of each are kept whole; the others are in the journal and counted here.
const MOST: Bounds = Bounds { ticks: 5_000, actions: 2_500, events: 2_500 };
/// Generations of one session.
const MOST_GENERATIONS: usize = 1_000;

/// How many are kept of all sessions together.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    ticks: usize,
    actions: usize,
    events: usize,
}

/// Listens to the sessions of a run and keeps what the report tells.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    kept: Mutex<Kept>,
    tally: Mutex<Tally>,
}

#[derive(Debug)]
struct Kept {
    bounds: Bounds,
    sessions: BTreeMap<Arc<str>, OfSession>,
    /// Whose each tick, action and event is that is kept, oldest first.
    ticks: VecDeque<Arc<str>>,
    actions: VecDeque<Arc<str>>,
    events: VecDeque<Arc<str>>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            bounds: MOST,
            sessions: BTreeMap::new(),
            ticks: VecDeque::new(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
        }
    }
}

#[derive(Debug, Default, Clone)]
struct OfSession {
    endings: BTreeMap<String, u64>,
    generations: VecDeque<GenerationReport>,
    actions: VecDeque<ActionRecord>,
    actions_left_out: u64,
    ticks: VecDeque<Arc<TickRecord>>,
    ticks_left_out: u64,
    /// The newest eventful tick, kept or not.
    newest: Option<Arc<TickRecord>>,
    events: VecDeque<EventRecord>,
    events_left_out: u64,
}

impl Recorder {
    /// The session's actions so far that are kept, oldest first, with their outcomes so far.
    pub(crate) fn actions(&self, session: &str) -> Vec<ActionRecord> {
        let kept = self.kept.lock();
        kept.sessions.get(session).map(|kept| kept.actions.iter().cloned().collect()).unwrap_or_default()
    }

    /// What deciders said and cost so far, and what incidents came to.
    pub(crate) fn figures(&self) -> Figures {
        self.tally.lock().figures()
    }

    /// What was kept of one session.
    pub(crate) fn session(&self, name: &str, manifest: &str, account: Option<Account>) -> SessionReport {
        let kept = self.kept.lock().sessions.get(name).cloned().unwrap_or_default();
        SessionReport {
            name: name.to_owned(),
            manifest: manifest.to_owned(),
            account,
            balanced: account.is_none_or(|account| account.balances()),
            endings: kept.endings,
            generations: kept.generations,
            actions: kept.actions,
            actions_left_out: kept.actions_left_out,
            ticks: kept.ticks,
            ticks_left_out: kept.ticks_left_out,
            events: kept.events,
            events_left_out: kept.events_left_out,
        }
    }
}

impl Kept {
    fn of(&mut self, session: &Arc<str>) -> &mut OfSession {
        self.sessions.entry(Arc::clone(session)).or_default()
    }

    fn tick(&mut self, record: &Arc<TickRecord>) {
        let kept = self.of(&record.session);
        kept.count(record);
        if !is_eventful(record) {
            kept.newest = None;
            return;
        }
        let stands = kept.newest.as_deref().is_some_and(|newest| tells_the_same(newest, record));
        kept.newest = Some(Arc::clone(record));
        if stands {
            kept.ticks_left_out += 1;
            return;
        }
        kept.ticks.push_back(Arc::clone(record));
        self.ticks.push_back(Arc::clone(&record.session));
        if self.ticks.len() > self.bounds.ticks
            && let Some(oldest) = self.ticks.pop_front()
        {
            let of = self.of(&oldest);
            of.ticks.pop_front();
            of.ticks_left_out += 1;
        }
    }

    fn action(&mut self, action: &ActionRecord) {
        let kept = self.of(&action.session);
        // It was left out, and has come to its end since.
        if kept.actions.front().is_some_and(|oldest| action.id < oldest.id) {
            return;
        }
        match kept.actions.iter_mut().rev().find(|kept| kept.id == action.id) {
            Some(kept) => *kept = action.clone(),
            None => {
                kept.actions.push_back(action.clone());
                self.actions.push_back(Arc::clone(&action.session));
            }
        }
        if self.actions.len() > self.bounds.actions
            && let Some(oldest) = self.actions.pop_front()
        {
            let of = self.of(&oldest);
            of.actions.pop_front();
            of.actions_left_out += 1;
        }
    }

    fn event(&mut self, session: &Arc<str>, event: &EventRecord) {
        self.of(session).events.push_back(event.clone());
        self.events.push_back(Arc::clone(session));
        if self.events.len() > self.bounds.events
            && let Some(oldest) = self.events.pop_front()
        {
            let of = self.of(&oldest);
            of.events.pop_front();
            of.events_left_out += 1;
        }
    }
}

impl OfSession {
    fn count(&mut self, record: &TickRecord) {
        *self.endings.entry(ending_name(record.ending)).or_default() += 1;
        match self.generations.back_mut() {
            Some(last) if last.generation == record.generation => last.last_tick = record.tick,
            _ => self.generations.push_back(GenerationReport {
                generation: record.generation,
                first_tick: record.tick,
                last_tick: record.tick,
            }),
        }
        if self.generations.len() > MOST_GENERATIONS {
            self.generations.pop_front();
        }
    }
}

fn is_eventful(record: &TickRecord) -> bool {
    record.ending != Ending::Quiet
        || !record.findings.is_empty()
        || !record.failures.is_empty()
        || !record.answers.is_empty()
}

/// Nothing came or went since: the same is found, by the same judges, and held by the same gate, and nobody was asked or did anything.
fn tells_the_same(before: &TickRecord, now: &TickRecord) -> bool {
    let nothing_done = |record: &TickRecord| {
        record.action.is_none()
            && record.answers.is_empty()
            && record.verdicts.is_empty()
            && record.decision.is_none()
    };
    let found = |record: &TickRecord| -> Vec<_> {
        let findings = record.findings.iter();
        findings
            .map(|found| {
                (
                    Arc::clone(&found.by.name),
                    found.said.code.clone(),
                    found.said.target.clone(),
                    found.said.severity,
                )
            })
            .collect()
    };
    let gate = |record: &TickRecord| record.gate.as_ref().map(|gate| gate.gate.clone());
    let failed = |record: &TickRecord| -> Vec<_> {
        record.failures.iter().map(|failure| Arc::clone(&failure.by.name)).collect()
    };
    nothing_done(before)
        && nothing_done(now)
        && before.ending == now.ending
        && before.generation == now.generation
        && before.error == now.error
        && gate(before) == gate(now)
        && found(before) == found(now)
        && failed(before) == failed(now)
}

impl Listener for Recorder {
    fn tick(&self, record: &Arc<TickRecord>) {
        self.tally.lock().tick(record);
        let mut kept = self.kept.lock();
        if let Some(action) = &record.action {
            kept.action(action);
        }
        kept.tick(record);
    }

    fn concluded(&self, action: &ActionRecord, _: Outcome) {
        self.tally.lock().concluded(action);
        self.kept.lock().action(action);
    }

    fn event(&self, event: &EventRecord) {
        if let Some(session) = &event.session {
            self.kept.lock().event(session, event);
        }
    }
}

fn ending_name(ending: Ending) -> String {
    serde_json::to_value(ending).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::tally::tests::tick;

    /// A tick of this session on which this node was found to have failed, and nothing was done.
    fn held(session: &str, number: u64, node: &str) -> Arc<TickRecord> {
        let mut record =
            TickRecord { action: None, session: session.into(), ..tick(number, "held", "unknown") };
        record.findings[0].said.target = Some(node.to_owned());
        Arc::new(record)
    }

    fn report(recorder: &Recorder, session: &str) -> SessionReport {
        recorder.session(session, "", None)
    }

    #[test]
    fn a_fault_that_stands_is_one_tick_and_the_others_are_counted() {
        let recorder = Recorder::default();
        for number in 1..=10_000 {
            recorder.tick(&held("shop", number, if number < 9_000 { "map" } else { "sink" }));
        }
        let told = report(&recorder, "shop");
        let kept: Vec<u64> = told.ticks.iter().map(|tick| tick.tick).collect();
        assert_eq!((kept, told.ticks_left_out), (vec![1, 9_000], 9_998));
        assert_eq!(told.endings["held"], 10_000);
    }

    #[test]
    fn a_fault_that_comes_back_is_told_again() {
        let recorder = Recorder::default();
        recorder.tick(&held("shop", 1, "map"));
        let calm = TickRecord {
            ending: Ending::Quiet,
            findings: vec![],
            ..TickRecord::clone(&held("shop", 2, "map"))
        };
        recorder.tick(&Arc::new(calm));
        recorder.tick(&held("shop", 3, "map"));
        assert_eq!(report(&recorder, "shop").ticks.len(), 2);
    }

    #[test]
    fn all_sessions_together_keep_no_more_than_so_much_and_the_newest_of_it() {
        let recorder = Recorder::default();
        recorder.kept.lock().bounds = Bounds { ticks: 10, actions: 4, events: 4 };
        for number in 1..=100 {
            for session in ["a", "b"] {
                recorder.tick(&held(session, number, &format!("node-{number}")));
                let mut action = tick(number, "acted", "effective").action.unwrap();
                action.id = number;
                action.session = session.into();
                recorder.concluded(&action, Outcome::Verified);
            }
        }
        // That an old one has come to its end makes no room for it.
        let mut old = tick(1, "acted", "verified").action.unwrap();
        (old.id, old.session) = (1, "a".into());
        recorder.concluded(&old, Outcome::Verified);
        for session in ["a", "b"] {
            let told = report(&recorder, session);
            assert_eq!((told.ticks.len(), told.ticks_left_out), (5, 95));
            assert_eq!((told.actions.len(), told.actions_left_out), (2, 98));
            assert_eq!((told.ticks[4].tick, told.actions[1].id), (100, 100));
        }
    }
}
