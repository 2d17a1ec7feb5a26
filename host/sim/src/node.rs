//! One node: what waits, who works on what, and what is to leave.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use flyball_control::ports::Loss;
use flyball_measure::{Sample, Window};
use flyball_model::{Executor, NodeSpec};
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use tokio::time::Instant;

use crate::agenda::{Agenda, Event, Nanos};
use crate::condition::Condition;
use crate::service::Clockwork;
use crate::tap::Tap;
use crate::world::{Role, Work};

/// Of a process of which nothing else is said.
const PROCESS_MB: f64 = 24.0;

/// An item, or a copy or part of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) ticket: usize,
    /// Since when it waits here.
    pub(crate) since: Nanos,
    /// How often it was tried here and failed.
    pub(crate) tries: u32,
}

/// What is to leave, as soon as all queues behind have room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaving {
    pub(crate) ticket: usize,
    /// The attempt whose worker is free when this has left.
    pub(crate) frees: Option<u64>,
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Filtered,
    Failed,
    /// A limit refused it.
    Refused,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) number: u64,
    pub(crate) piece: Piece,
    pub(crate) began: Nanos,
    pub(crate) done_at: Nanos,
    pub(crate) end: End,
    /// How long the piece waited, if this is its first attempt here.
    pub(crate) waited: Nanos,
}

/// What a worker does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Worker {
    Idle,
    Busy(Attempt),
    /// The attempt is over, and what came of it cannot leave yet.
    Handing(u64),
    /// Since then.
    Dead(Nanos),
}

/// What it did since the simulation began.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    pub(crate) finished: u64,
    pub(crate) failed: u64,
    /// Pieces that were begun, and how long they had waited together, in seconds.
    pub(crate) begun: u64,
    pub(crate) waited_s: f64,
    pub(crate) restarts: u64,
}

#[derive(Debug)]
pub(crate) struct Node {
    /// Its place among all nodes there ever were.
    pub(crate) number: usize,
    pub(crate) role: Role,
    pub(crate) spec: NodeSpec,
    pub(crate) name: Arc<str>,
    pub(crate) work: Work,
    pub(crate) retries: u32,
    pub(crate) clockwork: Clockwork,
    pub(crate) speed: f64,
    pub(crate) to: Vec<usize>,
    pub(crate) from: Vec<usize>,
    /// Taken out of the graph.
    pub(crate) gone: bool,
    pub(crate) waiting: VecDeque<Piece>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) leaving: VecDeque<Leaving>,
    /// Where something comes in.
    pub(crate) tap: Option<Tap>,
    pub(crate) window: Window,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) condition: Condition,
    pub(crate) paused_until: Nanos,
    /// Since when it has these workers, and a number for them.
    pub(crate) crew_since: Nanos,
    pub(crate) crew: u64,
    /// So many times slower, until it has new workers.
    pub(crate) scar: f64,
    pub(crate) last_error: Option<(Nanos, Arc<str>)>,
    pub(crate) done: Done,
    attempts: u64,
    /// Whose turn it is among those that feed it.
    pub(crate) turn: usize,
    /// It is in the list of nodes to be looked at.
    pub(crate) listed: bool,
}

/// How many attempts and crews there were at a node's place before it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Past {
    attempts: u64,
    crews: u64,
}

/// What a new node is made of.
pub(crate) struct Making {
    pub(crate) number: usize,
    pub(crate) past: Past,
    pub(crate) role: Role,
    pub(crate) spec: NodeSpec,
    pub(crate) work: Work,
    pub(crate) retries: u32,
    pub(crate) speed: f64,
    pub(crate) tap: Option<Tap>,
    pub(crate) window: Window,
    pub(crate) rng: ChaCha8Rng,
}

impl Node {
    pub(crate) fn new(making: Making, now: Nanos) -> Self {
        let Making { number, past, role, spec, work, retries, speed, tap, window, rng } = making;
        let mut node = Self {
            number,
            role,
            name: spec.id.as_str().into(),
            clockwork: Clockwork::new(work.service_ms).unwrap_or(Clockwork::Constant(0.0)),
            work,
            retries,
            speed,
            to: Vec::new(),
            from: Vec::new(),
            gone: false,
            waiting: VecDeque::new(),
            workers: Vec::new(),
            leaving: VecDeque::new(),
            tap,
            window,
            rng,
            condition: Condition::default(),
            paused_until: 0,
            crew_since: now,
            crew: past.crews + 1,
            scar: 1.0,
            last_error: None,
            done: Done::default(),
            attempts: past.attempts,
            turn: 0,
            listed: false,
            spec,
        };
        node.workers = vec![Worker::Idle; node.crew_size()];
        node
    }

    pub(crate) const fn past(&self) -> Past {
        Past { attempts: self.attempts, crews: self.crew }
    }

    /// Workers that it should have.
    pub(crate) fn crew_size(&self) -> usize {
        match (self.role, self.spec.bypassed) {
            (Role::Source, _) => 0,
            (_, true) => 1,
            (_, false) => self.spec.replicas.max(1) as usize,
        }
    }

    pub(crate) fn has_process(&self) -> bool {
        self.spec.executor == Executor::Multiprocess && !self.spec.bypassed && self.role != Role::Source
    }

    pub(crate) fn is_paused(&self, now: Nanos) -> bool {
        now < self.paused_until
    }

    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < self.spec.queue_capacity as usize
    }

    pub(crate) fn dead(&self) -> usize {
        self.workers.iter().filter(|worker| matches!(worker, Worker::Dead(_))).count()
    }

    /// Gives what waits to who is idle. Whether room was made by it.
    pub(crate) fn take_up(&mut self, now: Nanos, agenda: &mut Agenda) -> bool {
        if self.is_paused(now) {
            return false;
        }
        let was_full = !self.has_room();
        let mut next = 0;
        while !self.waiting.is_empty() {
            let idle = self.workers.iter().skip(next).position(|worker| matches!(worker, Worker::Idle));
            let Some(worker) = idle.map(|idle| next + idle) else { break };
            let Some(piece) = self.waiting.pop_front() else { break };
            let waited = now.saturating_sub(piece.since);
            self.done.begun += 1;
            self.done.waited_s += waited as f64 / 1e9;
            self.begin(worker, piece, waited, now, agenda);
            next = worker + 1;
        }
        was_full && self.has_room()
    }

    pub(crate) fn begin(
        &mut self,
        worker: usize,
        piece: Piece,
        waited: Nanos,
        now: Nanos,
        agenda: &mut Agenda,
    ) {
        let (takes, end) = self.attempt(now);
        self.attempts += 1;
        let attempt = Attempt {
            number: self.attempts,
            piece,
            began: now,
            done_at: now.saturating_add(takes),
            end,
            waited,
        };
        agenda.at(attempt.done_at, Event::Done { node: self.number, attempt: attempt.number });
        if let Some(worker) = self.workers.get_mut(worker) {
            *worker = Worker::Busy(attempt);
        }
    }

    /// How long an attempt takes that begins now, and how it ends.
    fn attempt(&mut self, now: Nanos) -> (Nanos, End) {
        if self.spec.bypassed {
            return (0, End::Done);
        }
        // Always as many draws, so that a fault moves nothing but what it is about.
        let ms = self.clockwork.draw(&mut self.rng);
        let (fails, filters) = (self.rng.random::<f64>(), self.rng.random::<f64>());
        let refused = self.condition.limits.iter_mut().find_map(|bucket| {
            let refusal_ms = bucket.limit.refusal_ms;
            (!bucket.take(now)).then_some(refusal_ms)
        });
        if let Some(refusal_ms) = refused {
            return (nanos_of_ms(refusal_ms), End::Refused);
        }
        let takes = nanos_of_ms(ms * self.slower(now));
        let share = 1.0 - (1.0 - self.work.errors) * (1.0 - self.condition.errors);
        let end = if fails < share {
            End::Failed
        } else if filters < self.work.filters && self.role != Role::Sink {
            End::Filtered
        } else {
            End::Done
        };
        (takes, end)
    }

    /// An attempt takes so many times as long as the world says.
    pub(crate) fn slower(&self, now: Nanos) -> f64 {
        let workers = (self.workers.len().saturating_sub(self.dead())).max(1) as f64;
        let shared =
            1.0 + self.work.contention * (workers - 1.0) + self.work.coherence * workers * (workers - 1.0);
        self.condition.slower(now, self.crew_since) * self.scar * shared / self.speed
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

    pub(crate) fn record(&mut self, attempt: &Attempt, failed: bool, now: Nanos, instant: Instant) {
        let each = Duration::from_nanos(now.saturating_sub(attempt.began));
        let (finished, failed) = (u64::from(!failed), u64::from(failed));
        self.done.finished += finished;
        self.done.failed += failed;
        let waited = Duration::from_nanos(attempt.waited);
        self.window.record(instant, Sample { each, finished, failed, waited });
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

    /// Resident memory of its workers together; none: it is not measured.
    pub(crate) fn memory_mb(&self, now: Nanos) -> Option<f64> {
        let leaked = self.condition.leaked_mb(now, self.crew_since);
        let own = self.work.memory_mb.or(self.has_process().then_some(PROCESS_MB));
        if self.role == Role::Source || self.spec.bypassed || (leaked.is_none() && own.is_none()) {
            return None;
        }
        let alive = self.workers.len() - self.dead();
        let each = own.unwrap_or(PROCESS_MB) + leaked.unwrap_or_default();
        (alive > 0).then_some(each * alive as f64)
    }

    /// What a worker begins with.
    pub(crate) fn began_with_mb(&self) -> f64 {
        self.work.memory_mb.unwrap_or(PROCESS_MB)
    }
}

/// What is negative or not a number is 0.
fn nanos_of_ms(ms: f64) -> Nanos {
    (ms * 1e6) as Nanos
}
