//! Actions as they take effect.

use flyball_model::{Action, Executor};
use flyball_ports::{Loss, PlaneChange};

use crate::action_behaviour::ActionBehaviour;
use crate::edit::edit;
use crate::event_queue::{Event, MS, Nanos};
use crate::network::Network;
use crate::worker::Worker;

/// What was accepted, and how the plane does it.
#[derive(Debug, Clone)]
pub(crate) struct Effect {
    pub(crate) action: Action,
    pub(crate) habit: ActionBehaviour,
}

impl Network {
    /// Takes effect at once or later.
    pub(crate) fn plan_effect(&mut self, effect: Effect) {
        let after = effect.habit.effective_after_ms.saturating_mul(MS);
        if after == 0 {
            self.take_effect(&effect);
            self.look_around();
            return;
        }
        self.effects_planned += 1;
        self.effects.insert(self.effects_planned, effect);
        let number = self.effects_planned;
        self.agenda.at(self.now.saturating_add(after), Event::Effect { number });
    }

    pub(crate) fn take_effect(&mut self, effect: &Effect) {
        let Effect { action, habit } = effect;
        self.stand_still(action, habit);
        self.carry_out(action, habit.really_loses());
        self.relieve(action);
        let target = action.target().and_then(|id| self.find(id));
        if let Some(node) = target.and_then(|at| self.nodes.get_mut(at)) {
            node.scar *= habit.slower_after;
        }
        self.apply_faults();
        self.list_all();
    }

    /// Changes the running graph and makes the network follow. What cannot be done there any more is not.
    pub(crate) fn carry_out(&mut self, action: &Action, loses: Loss) {
        if edit(&mut self.running, action, &self.stock).is_err() {
            return;
        }
        if let Action::RestartProcess { node } = action {
            let (now, instant) = (self.now, self.instant());
            let Some(node) = self.find(node).and_then(|at| self.nodes.get_mut(at)) else { return };
            node.done.restarts += 1;
            let lost = node.restaff(now, instant, loses);
            self.lose(lost);
            return;
        }
        self.follow_graph(loses);
    }

    /// What stops while the plane changes it.
    pub(crate) fn stand_still(&mut self, action: &Action, habit: &ActionBehaviour) {
        let empty = self.now.saturating_add(habit.topology_empty_ms.saturating_mul(MS));
        self.topology_empty_until = self.topology_empty_until.max(empty);
        let until = self.now.saturating_add(habit.stops_ms.saturating_mul(MS));
        match habit.change {
            _ if until == self.now => {}
            PlaneChange::Live => {}
            PlaneChange::Restart => {
                if let Some(at) = action.target().and_then(|id| self.find(id)) {
                    self.pause(at, until, habit.really_loses());
                }
            }
            PlaneChange::Redeploy => {
                for at in self.shape.at.clone() {
                    self.pause(at, until, habit.really_loses());
                }
            }
        }
    }

    fn pause(&mut self, at: usize, until: Nanos, loses: Loss) {
        let Some(node) = self.nodes.get_mut(at) else { return };
        node.paused_until = node.paused_until.max(until);
        let busy: Vec<usize> = (0..)
            .zip(&node.workers)
            .filter(|(_, worker)| matches!(worker, Worker::Busy(_)))
            .map(|(index, _)| index)
            .collect();
        let mut lost: Vec<_> =
            busy.into_iter().filter_map(|worker| node.stop(worker, Worker::Idle, loses)).collect();
        if loses == Loss::Waiting {
            lost.extend(node.waiting.drain(..));
        }
        self.lose(lost);
        self.agenda.at(until, Event::Resume { node: at });
    }

    /// Why a node's process cannot be started anew, when it cannot.
    pub(crate) fn unrestartable(&self, action: &Action) -> Option<String> {
        let Action::RestartProcess { node: id } = action else { return None };
        let node = self.nodes.get(self.find(id)?)?;
        let broken = node.dead() > 0 || node.condition.hung.is_some();
        (node.spec.executor != Executor::Multiprocess && !broken)
            .then(|| format!("{id} works in the host ({}); it has no process to restart", node.spec.executor))
    }
}
