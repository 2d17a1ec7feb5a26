//! One node: what waits, who works on what, and what is to leave.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use flyball_measure::{Sample, Window};
use flyball_model::{Executor, NodeSpec};
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use tokio::time::Instant;

use crate::condition::Condition;
use crate::event_queue::{Event, EventQueue, Nanos};
use crate::service::Clockwork;
use crate::simulated_source::SimulatedSource;
use crate::worker::{Attempt, End, Leaving, Piece, Worker};
use crate::world::{SimNodeRole, Work};

/// Of a process of which nothing else is said.
const PROCESS_MB: f64 = 24.0;

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
    pub(crate) role: SimNodeRole,
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
    pub(crate) tap: Option<SimulatedSource>,
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
    pub(crate) role: SimNodeRole,
    pub(crate) spec: NodeSpec,
    pub(crate) work: Work,
    pub(crate) retries: u32,
    pub(crate) speed: f64,
    pub(crate) tap: Option<SimulatedSource>,
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

    pub(crate) fn has_process(&self) -> bool {
        self.spec.executor == Executor::Multiprocess
            && !self.spec.bypassed
            && self.role != SimNodeRole::Source
    }

    pub(crate) fn is_paused(&self, now: Nanos) -> bool {
        now < self.paused_until
    }

    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < self.spec.queue_capacity as usize
    }

    /// Gives what waits to who is idle. Whether room was made by it.
    pub(crate) fn take_up(&mut self, now: Nanos, agenda: &mut EventQueue) -> bool {
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
        agenda: &mut EventQueue,
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
        } else if filters < self.work.filters && self.role != SimNodeRole::Sink {
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

    pub(crate) fn record(&mut self, attempt: &Attempt, failed: bool, now: Nanos, instant: Instant) {
        let each = Duration::from_nanos(now.saturating_sub(attempt.began));
        let (finished, failed) = (u64::from(!failed), u64::from(failed));
        self.done.finished += finished;
        self.done.failed += failed;
        let waited = Duration::from_nanos(attempt.waited);
        self.window.record(instant, Sample { each, finished, failed, waited });
    }

    /// Resident memory of its workers together; none: it is not measured.
    pub(crate) fn memory_mb(&self, now: Nanos) -> Option<f64> {
        let leaked = self.condition.leaked_mb(now, self.crew_since);
        let own = self.work.memory_mb.or(self.has_process().then_some(PROCESS_MB));
        if self.role == SimNodeRole::Source || self.spec.bypassed || (leaked.is_none() && own.is_none()) {
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
