//! The nodes and what moves between them, event by event.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use flyball_measure::{Sample, Window};
use flyball_model::{GraphSpec, Observation};
use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use tokio::time::Instant;

use crate::effect::Effect;
use crate::event_queue::{Event, EventQueue, MS, Nanos};
use crate::fault_effect::FaultEffect;
use crate::ledger::{Fate, Ledger};
use crate::load::WhenFull;
use crate::node::Node;
use crate::node_types::NodeTypes;
use crate::shape::Shape;
use crate::worker::{Attempt, End, Leaving, Piece, Worker};

/// How often rates that vary are looked at.
const RATES_EVERY: Nanos = 100 * MS;
/// How many errors are remembered.
const REMEMBERED: usize = 50;
/// Into how many slots a window is divided.
const SLOTS: u32 = 10;

/// An error that was met.
#[derive(Debug, Clone)]
pub(crate) struct Mishap {
    pub(crate) at: Nanos,
    pub(crate) node: Arc<str>,
    pub(crate) message: Arc<str>,
}

#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) now: Nanos,
    began: Instant,
    seed: u64,
    pub(crate) stock: Arc<NodeTypes>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) agenda: EventQueue,
    pub(crate) ledger: Ledger,
    pub(crate) mishaps: VecDeque<Mishap>,
    pub(crate) strikes: Vec<FaultEffect>,
    /// The graph as it is shown, and as everything behaves.
    pub(crate) shown: GraphSpec,
    pub(crate) running: GraphSpec,
    pub(crate) shape: Shape,
    pub(crate) effects: BTreeMap<usize, Effect>,
    pub(crate) effects_planned: usize,
    pub(crate) topology_empty_until: Nanos,
    /// What was seen when readings began to be stale, by fault.
    pub(crate) seen_last: BTreeMap<usize, Observation>,
    pub(crate) ghosts: BTreeMap<usize, crate::observe::Ghost>,
    /// Nodes to be looked at: something waits, somebody is free, or there is room behind.
    look: Vec<usize>,
}

impl Network {
    pub(crate) fn new(
        stock: Arc<NodeTypes>,
        graph: GraphSpec,
        strikes: Vec<FaultEffect>,
        seed: u64,
        began: Instant,
    ) -> Self {
        let mut network = Self {
            now: 0,
            began,
            seed,
            nodes: Vec::new(),
            agenda: EventQueue::default(),
            ledger: Ledger::new(window(&stock, began)),
            mishaps: VecDeque::new(),
            strikes,
            shown: graph.clone(),
            running: graph,
            shape: Shape::default(),
            effects: BTreeMap::new(),
            effects_planned: 0,
            topology_empty_until: 0,
            seen_last: BTreeMap::new(),
            ghosts: BTreeMap::new(),
            look: Vec::new(),
            stock,
        };
        network.plan_faults();
        network.follow_graph(flyball_ports::Loss::None);
        network.set_source_rates();
        let varies = |node: &Node| node.tap.as_ref().is_some_and(|tap| tap.load.rate.varies());
        if network.nodes.iter().any(varies) {
            network.agenda.at(RATES_EVERY, Event::Rates);
        }
        network
    }

    pub(crate) fn instant(&self) -> Instant {
        self.began + Duration::from_nanos(self.now)
    }

    pub(crate) fn window(&self) -> Window {
        window(&self.stock, self.instant())
    }

    /// A stream of chance of its own: what happens at one node does not change what is drawn at another.
    pub(crate) fn chance(&self, of: &str) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        // FNV-1a, which is the same everywhere and always.
        let stream = of.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        rng.set_stream(stream);
        rng
    }

    /// Everything that happens until then.
    pub(crate) fn run_until(&mut self, until: Nanos) {
        while let Some((time, event)) = self.agenda.due(until) {
            self.now = time;
            self.happen(event);
            self.look_around();
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Done { node, attempt } => self.done(node, attempt),
            Event::Arrival { node, planned } => {
                let (now, agenda) = (self.now, &mut self.agenda);
                let tap = self.nodes.get_mut(node).and_then(|node| node.tap.as_mut());
                if tap.is_some_and(|tap| tap.arrives(planned, now, node, agenda)) {
                    self.list(node);
                }
            }
            Event::Rates => {
                self.set_source_rates();
                self.agenda.at(self.now + RATES_EVERY, Event::Rates);
            }
            Event::Resume { node } => self.list(node),
            Event::MemoryFull { node, crew } => self.memory_full(node, crew),
            Event::Begin { strike } => self.begin(strike),
            Event::Again { strike } => self.again(strike),
            Event::End { strike } => self.end(strike),
            Event::Effect { number } => {
                if let Some(effect) = self.effects.remove(&number) {
                    self.take_effect(&effect);
                }
            }
        }
    }

    /// Has a node looked at before time goes on.
    pub(crate) fn list(&mut self, at: usize) {
        if let Some(node) = self.nodes.get_mut(at)
            && !node.listed
            && !node.gone
        {
            node.listed = true;
            self.look.push(at);
        }
    }

    pub(crate) fn list_all(&mut self) {
        for at in 0..self.nodes.len() {
            self.list(at);
        }
    }

    pub(crate) fn look_around(&mut self) {
        while let Some(at) = self.look.pop() {
            if let Some(node) = self.nodes.get_mut(at) {
                node.listed = false;
            }
            self.hand_on(at);
            self.take_in(at);
            let Some(node) = self.nodes.get_mut(at) else { continue };
            if node.take_up(self.now, &mut self.agenda) {
                self.room_before(at);
            }
        }
    }

    /// There is room before this node: those that feed it are looked at, each first in its turn.
    fn room_before(&mut self, at: usize) {
        let Some(node) = self.nodes.get_mut(at) else { return };
        node.turn = (node.turn + 1) % node.from.len().max(1);
        let from = std::mem::take(&mut node.from);
        let turn = node.turn;
        for feeding in from.iter().cycle().skip(turn).take(from.len()) {
            self.list(*feeding);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.from = from;
        }
    }

    /// Whether all queues behind have room: a copy is with all of them or with none.
    fn room_behind(&self, at: usize) -> bool {
        let Some(node) = self.nodes.get(at) else { return false };
        node.to.iter().all(|to| self.nodes.get(*to).is_some_and(Node::has_room))
    }

    /// Gives a copy to every node behind.
    pub(crate) fn give_out(&mut self, at: usize, ticket: usize) {
        let Some(node) = self.nodes.get_mut(at) else { return };
        let to = std::mem::take(&mut node.to);
        self.ledger.part(ticket, to.len().saturating_sub(1));
        for behind in &to {
            if let Some(node) = self.nodes.get_mut(*behind) {
                node.waiting.push_back(Piece { ticket, since: self.now, tries: 0 });
            }
            self.list(*behind);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.to = to;
        }
    }

    /// What is done leaves as far as there is room.
    fn hand_on(&mut self, at: usize) {
        while let Some(Leaving { ticket, frees }) =
            self.nodes.get(at).and_then(|node| node.leaving.front()).copied()
        {
            if !self.room_behind(at) {
                return;
            }
            self.give_out(at, ticket);
            if let Some(node) = self.nodes.get_mut(at) {
                node.leaving.pop_front();
                if let Some(attempt) = frees {
                    node.handed(attempt);
                }
            }
        }
    }

    /// A source takes in what waits outside, as far as there is room.
    fn take_in(&mut self, at: usize) {
        let (now, instant) = (self.now, self.instant());
        while let Some(node) = self.nodes.get(at)
            && let Some(tap) = &node.tap
            && tap.outside > 0
            && !tap.stopped
            && !node.is_paused(now)
            && node.leaving.is_empty()
            && self.room_behind(at)
        {
            let ticket = self.ledger.accept(instant);
            if let Some(node) = self.nodes.get_mut(at) {
                node.done.finished += 1;
                node.window.record(instant, Sample { finished: 1, ..Sample::default() });
                if let Some(tap) = &mut node.tap {
                    tap.outside -= 1;
                }
            }
            self.give_out(at, ticket);
        }
        if let Some(tap) = self.nodes.get_mut(at).and_then(|node| node.tap.as_mut())
            && tap.load.when_full == WhenFull::TurnAway
        {
            tap.turned_away += std::mem::take(&mut tap.outside);
        }
    }

    fn done(&mut self, at: usize, number: u64) {
        let (now, instant) = (self.now, self.instant());
        let Some(node) = self.nodes.get_mut(at) else { return };
        // Its worker was stopped, or hangs and is looked at again when it does not.
        let Some((worker, attempt)) = node.find(number) else { return };
        if node.condition.hung.is_some() {
            return;
        }
        self.list(at);
        match attempt.end {
            End::Failed | End::Refused => return self.failed(at, worker, attempt),
            End::Done | End::Filtered => {}
        }
        let Some(node) = self.nodes.get_mut(at) else { return };
        node.record(&attempt, false, now, instant);
        node.set(worker, Worker::Idle);
        let ticket = attempt.piece.ticket;
        if attempt.end == End::Filtered {
            self.ledger.end(ticket, Fate::Filtered, instant);
        } else if node.to.is_empty() {
            self.ledger.end(ticket, Fate::Delivered, instant);
        } else {
            let pieces = if node.spec.bypassed { 1 } else { node.work.pieces.max(1) };
            node.set(worker, Worker::Handing(number));
            let last = Leaving { ticket, frees: Some(number) };
            let others = (1..pieces).map(|_| Leaving { ticket, frees: None });
            node.leaving.extend(others.chain([last]));
            self.ledger.part(ticket, pieces as usize - 1);
        }
    }

    fn failed(&mut self, at: usize, worker: usize, attempt: Attempt) {
        let (now, instant) = (self.now, self.instant());
        let Some(node) = self.nodes.get_mut(at) else { return };
        let message: Arc<str> = match (&node.condition.message, attempt.end) {
            (_, End::Refused) => "429 Too Many Requests".into(),
            (Some(message), _) => Arc::clone(message),
            (None, _) => node.work.error.as_str().into(),
        };
        if attempt.piece.tries < node.retries {
            let piece = Piece { tries: attempt.piece.tries + 1, ..attempt.piece };
            node.begin(worker, piece, attempt.waited, now, &mut self.agenda);
        } else {
            node.record(&attempt, true, now, instant);
            node.set(worker, Worker::Idle);
            self.ledger.end(attempt.piece.ticket, Fate::DeadLettered, instant);
        }
        self.mishap(at, message);
    }

    pub(crate) fn mishap(&mut self, at: usize, message: Arc<str>) {
        let Some(node) = self.nodes.get_mut(at) else { return };
        node.last_error = Some((self.now, Arc::clone(&message)));
        self.mishaps.truncate(REMEMBERED - 1);
        self.mishaps.push_front(Mishap { at: self.now, node: Arc::clone(&node.name), message });
    }

    /// The pieces that are somewhere: in a queue, in hand, or about to leave.
    pub(crate) fn pieces(&self) -> u64 {
        let in_hand =
            |node: &Node| node.workers.iter().filter(|worker| matches!(worker, Worker::Busy(_))).count();
        let held = |node: &Node| node.waiting.len() + in_hand(node) + node.leaving.len();
        self.nodes.iter().map(held).sum::<usize>() as u64
    }

    pub(crate) fn lose(&mut self, pieces: impl IntoIterator<Item = Piece>) {
        let instant = self.instant();
        for piece in pieces {
            self.ledger.end(piece.ticket, Fate::Lost, instant);
        }
    }
}

fn window(stock: &NodeTypes, now: Instant) -> Window {
    let whole = Duration::from_millis(stock.world.window_ms);
    Window::new(now, whole / SLOTS, SLOTS as usize)
}
