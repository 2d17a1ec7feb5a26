//! The workers of a node: who works on what, and what becomes of that when workers come and go.

use flyball_ports::Loss;
use tokio::time::Instant;

use crate::event_queue::Nanos;
use crate::node::Node;
use crate::worker::{Attempt, Piece, Worker};
use crate::world::SimNodeRole;

impl Node {
    /// Workers that it should have.
    pub(crate) fn crew_size(&self) -> usize {
        match (self.role, self.spec.bypassed) {
            (SimNodeRole::Source, _) => 0,
            (_, true) => 1,
            (_, false) => self.spec.replicas.max(1) as usize,
        }
    }

    pub(crate) fn dead(&self) -> usize {
        self.workers.iter().filter(|worker| matches!(worker, Worker::Dead(_))).count()
    }

    pub(crate) fn find(&self, attempt: u64) -> Option<(usize, Attempt)> {
        self.workers.iter().enumerate().find_map(|(index, worker)| match worker {
            Worker::Busy(busy) if busy.number == attempt => Some((index, *busy)),
            _ => None,
        })
    }

    /// What came of an attempt has left.
    pub(crate) fn handed(&mut self, attempt: u64) {
        let handing = |worker: &&mut Worker| matches!(worker, Worker::Handing(own) if *own == attempt);
        if let Some(worker) = self.workers.iter_mut().find(handing) {
            *worker = Worker::Idle;
        }
    }

    pub(crate) fn set(&mut self, worker: usize, does: Worker) {
        if let Some(worker) = self.workers.get_mut(worker) {
            *worker = does;
        }
    }

    /// Stops a worker. What it had in hand goes back to where it waited, or is given to whoever says that it is lost.
    pub(crate) fn stop(&mut self, worker: usize, becomes: Worker, loses: Loss) -> Option<Piece> {
        let stopped = self.workers.get_mut(worker).map(|worker| std::mem::replace(worker, becomes));
        let Some(Worker::Busy(attempt)) = stopped else { return None };
        if loses != Loss::None {
            return Some(attempt.piece);
        }
        self.waiting.push_front(attempt.piece);
        None
    }

    /// New workers for old. What is lost by it.
    pub(crate) fn restaff(&mut self, now: Nanos, instant: Instant, loses: Loss) -> Vec<Piece> {
        let mut lost: Vec<Piece> =
            (0..self.workers.len()).filter_map(|worker| self.stop(worker, Worker::Idle, loses)).collect();
        if loses == Loss::Waiting {
            lost.extend(self.waiting.drain(..));
        }
        self.workers = vec![Worker::Idle; self.crew_size()];
        self.crew += 1;
        self.crew_since = now;
        self.scar = 1.0;
        self.last_error = None;
        self.window.reset(instant);
        lost
    }

    /// Where nobody lives any more, whoever comes now is a crew of its own: nothing has grown for it yet.
    pub(crate) fn begin_anew_if_dead(&mut self, now: Nanos) {
        if self.dead() == self.workers.len() {
            self.crew += 1;
            self.crew_since = now;
        }
    }

    /// More workers or fewer; the dead go first, then the idle. What is lost by it.
    pub(crate) fn resize(&mut self, now: Nanos, loses: Loss) -> Vec<Piece> {
        let size = self.crew_size();
        self.begin_anew_if_dead(now);
        let mut lost = Vec::new();
        if self.workers.len() < size {
            self.workers.resize(size, Worker::Idle);
        }
        // Whoever is kept longest comes first.
        self.workers.sort_by_key(|worker| match worker {
            Worker::Busy(_) => 0,
            Worker::Handing(_) => 1,
            Worker::Idle => 2,
            Worker::Dead(_) => 3,
        });
        while self.workers.len() > size {
            lost.extend(self.stop(self.workers.len() - 1, Worker::Idle, loses));
            self.workers.pop();
        }
        lost
    }
}
