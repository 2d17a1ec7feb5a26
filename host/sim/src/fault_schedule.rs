//! Faults as they begin, go on and end.

use flyball_model::Action;
use flyball_ports::Loss;
use serde_json::json;

use crate::condition::Condition;
use crate::edit::edit;
use crate::event_queue::{Event, nanos};
use crate::fault::What;
use crate::fault_effect::{FaultEffect, FaultStage};
use crate::network::Network;
use crate::worker::Worker;

impl Network {
    pub(crate) fn plan_faults(&mut self) {
        for (strike, FaultEffect { fault, .. }) in self.strikes.iter().enumerate() {
            let begins = nanos(fault.at_s);
            self.agenda.at(begins, Event::Begin { strike });
            if let Some(seconds) = fault.for_s {
                self.agenda.at(begins.saturating_add(nanos(seconds)), Event::End { strike });
            }
        }
    }

    fn what(&self, strike: usize) -> Option<What> {
        self.strikes.get(strike).filter(|strike| strike.is_on()).map(|strike| strike.fault.what.clone())
    }

    pub(crate) fn begin(&mut self, number: usize) {
        let befallen = self.strikes.get(number).and_then(|strike| strike.fault.what.node());
        let node_type = befallen.and_then(|id| self.running.node(id)).map(|spec| spec.node_type.clone());
        if let Some(strike) = self.strikes.get_mut(number) {
            strike.stage = FaultStage::On { since: self.now, node_type };
        }
        match self.what(number) {
            Some(What::Crash { node, workers, loses }) => {
                if let Some(at) = self.find(&node) {
                    let loses = if loses { Loss::InHand } else { Loss::None };
                    self.kill(at, workers, loses, "a worker died");
                }
            }
            Some(What::Poison { node, key, value, .. }) => {
                self.change_by_others(&Action::UpdateNodeConfig { node, patch: json!({ key: value }) });
            }
            Some(What::Change { .. }) => self.again(number),
            Some(What::Stale { .. }) => {
                let seen = self.see();
                self.seen_last.insert(number, seen);
            }
            Some(What::Ghost { node }) => self.haunt(number, &node),
            _ => {}
        }
        self.apply_faults();
    }

    /// Somebody else changes the graph, and perhaps again in a while.
    pub(crate) fn again(&mut self, number: usize) {
        let Some(What::Change { action, every_s }) = self.what(number) else { return };
        self.change_by_others(&action);
        if let Some(seconds) = every_s {
            self.agenda.at(self.now.saturating_add(nanos(seconds).max(1)), Event::Again { strike: number });
        }
    }

    fn change_by_others(&mut self, action: &Action) {
        // What is so already is no change.
        let _ = edit(&mut self.shown, action, &self.stock);
        self.carry_out(action, Loss::None);
        self.apply_faults();
    }

    pub(crate) fn end(&mut self, number: usize) {
        let what = self.what(number);
        if let Some(strike) = self.strikes.get_mut(number) {
            strike.stage = FaultStage::Over;
        }
        match what {
            Some(What::Crash { node, .. }) => {
                if let Some(at) = self.find(&node) {
                    self.revive(at);
                }
            }
            Some(What::SourceRestart { source }) => {
                let instant = self.instant();
                if let Some(node) = self.find(&source).and_then(|at| self.nodes.get_mut(at)) {
                    node.done.restarts += 1;
                    node.window.reset(instant);
                }
            }
            _ => {}
        }
        self.seen_last.remove(&number);
        self.ghosts.remove(&number);
        self.apply_faults();
    }

    /// Ends what an action ends.
    pub(crate) fn relieve(&mut self, action: &Action) {
        for strike in &mut self.strikes {
            if strike.is_on() && strike.fault.is_ended_by(action) {
                strike.stage = FaultStage::Over;
            }
        }
    }

    /// So many workers die, or all.
    fn kill(&mut self, at: usize, workers: Option<u32>, loses: Loss, why: &str) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(at) else { return };
        if node.spec.bypassed {
            return;
        }
        let alive: Vec<usize> = (0..)
            .zip(&node.workers)
            .filter(|(_, worker)| !matches!(worker, Worker::Dead(_)))
            .map(|(index, _)| index)
            .collect();
        let count = workers.map_or(alive.len(), |workers| workers as usize);
        let lost: Vec<_> = alive
            .iter()
            .take(count)
            .filter_map(|worker| node.stop(*worker, Worker::Dead(now), loses))
            .collect();
        self.lose(lost);
        if !alive.is_empty() && count > 0 {
            self.mishap(at, why.into());
        }
        self.list(at);
    }

    /// The plane starts the dead again by itself.
    fn revive(&mut self, at: usize) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(at) else { return };
        if node.dead() == 0 {
            return;
        }
        node.begin_anew_if_dead(now);
        for worker in &mut node.workers {
            if matches!(worker, Worker::Dead(_)) {
                *worker = Worker::Idle;
            }
        }
        node.done.restarts += 1;
        self.list(at);
    }

    pub(crate) fn memory_full(&mut self, at: usize, crew: u64) {
        let Some(node) = self.nodes.get(at) else { return };
        if node.crew != crew || node.spec.bypassed {
            return;
        }
        let began_with = node.began_with_mb();
        let full =
            node.condition.leaks.iter().any(|leak| {
                leak.full_at(node.crew_since, began_with).is_some_and(|full_at| full_at <= self.now)
            });
        if full {
            self.kill(at, None, Loss::None, "a worker was killed: it had no memory left");
        }
    }

    /// What faults and settings do to every node from now on.
    pub(crate) fn apply_faults(&mut self) {
        for at in self.shape.at.clone() {
            self.apply_faults_to(at);
        }
        self.set_source_rates();
    }

    fn apply_faults_to(&mut self, at: usize) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(at) else { return };
        let mut condition = Condition::of(&node.spec, &node.work, &self.strikes, now);
        condition.keep_buckets(&node.condition.limits);
        let woke = node.condition.hung.is_some() && condition.hung.is_none();
        node.condition = condition;
        if woke {
            for worker in &node.workers {
                if let Worker::Busy(attempt) = worker {
                    let event = Event::Done { node: at, attempt: attempt.number };
                    self.agenda.at(attempt.done_at.max(now), event);
                }
            }
        }
        for leak in &node.condition.leaks {
            if let Some(full_at) = leak.full_at(node.crew_since, node.began_with_mb()) {
                self.agenda.at(full_at.max(now), Event::MemoryFull { node: at, crew: node.crew });
            }
        }
        self.list(at);
    }

    /// Every source gives what it gives now.
    pub(crate) fn set_source_rates(&mut self) {
        let (now, seconds) = (self.now, self.now as f64 / 1e9);
        for at in self.shape.at.clone() {
            let Some(node) = self.nodes.get_mut(at) else { continue };
            let Some(tap) = &mut node.tap else { continue };
            let (mut factor, mut stopped) = (1.0, false);
            for strike in self.strikes.iter().filter(|strike| strike.is_on()) {
                match &strike.fault.what {
                    What::Load { source, factor: more } if *source == node.spec.id => factor *= more,
                    What::SourceRestart { source } if *source == node.spec.id => stopped = true,
                    _ => {}
                }
            }
            let started = tap.stopped && !stopped;
            tap.stopped = stopped;
            tap.set_rate(tap.load.rate.at(seconds) * factor, now, at, &mut self.agenda);
            if started {
                self.list(at);
            }
        }
    }
}
