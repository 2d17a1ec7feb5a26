//! One node of the running graph: its queue, its crew, the edges behind it, and what is known of its work.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use flyball_measure::{Sample, Window};
use flyball_model::NodeSpec;
use flyball_nodes::{Gathering, ItemLimits, Json, Size};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::awake::Awake;
use crate::mishaps::Mishaps;
use crate::piece::{Piece, Tag, Tickets};
use crate::queue::{Queue, Taking, Weight};
use crate::replacing::Blame;
use crate::stock::{Role, Stock};
use crate::worker::Crew;

/// A worker takes no more at once than it can do in about this time, so that waiting items show as waiting and a
/// worker that is to be swapped is soon free.
const STINT: Duration = Duration::from_millis(10);
/// And never more than this many.
const BATCH: usize = 64;
/// What is assumed of an item's time before one is measured.
const FIRST_GUESS_NS: u64 = 1_000_000;

pub(crate) struct Node {
    /// Names the queue in the order in which several are locked.
    pub(crate) number: u64,
    pub(crate) role: Role,
    pub(crate) retries: u32,
    pub(crate) spec: Mutex<NodeSpec>,
    pub(crate) queue: Queue,
    edges: Mutex<Edges>,
    /// The edges changed, or there is no more need to wait.
    edges_changed: Notify,
    /// Full queues stop nobody any more: the pipeline ends.
    flooding: AtomicBool,
    pub(crate) crew: Crew,
    pub(crate) window: Mutex<Window>,
    item_ns: AtomicU64,
    /// The newest error, and when it was met.
    pub(crate) last_error: Mutex<Option<(Instant, Arc<str>)>>,
    /// When it was last told that a worker waits.
    told_waiting: Mutex<Option<Instant>>,
    /// A source that broke off.
    pub(crate) broken: AtomicBool,
    /// How often its process was started again.
    pub(crate) restarts: AtomicU64,
    pub(crate) blame: Mutex<Blame>,
    /// Of its processes together, as last read.
    pub(crate) usage: Mutex<Option<Usage>>,
    pub(crate) shared: Arc<Shared>,
}

/// What the node's processes use of the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) memory_mb: f64,
    pub(crate) cpu_percent: f64,
}

/// What all nodes of a pipeline share.
pub(crate) struct Shared {
    pub(crate) ids: AtomicU64,
    pub(crate) mishaps: Mishaps,
    /// What an item may be, wherever it comes from.
    pub(crate) limits: ItemLimits,
    /// What waits in all queues.
    pub(crate) weight: Arc<Weight>,
    pub(crate) stock: Arc<Stock>,
    pub(crate) awake: Awake,
}

struct Edges {
    to: Vec<Arc<Node>>,
    held: bool,
}

enum Offer {
    Taken,
    Full(Arc<Node>),
    Held,
}

impl Node {
    pub(crate) fn new(
        number: u64,
        role: Role,
        retries: u32,
        spec: NodeSpec,
        keep_order: bool,
        window: Window,
        shared: Arc<Shared>,
    ) -> Arc<Self> {
        Arc::new(Self {
            number,
            role,
            retries,
            queue: Queue::new(spec.queue_capacity.max(1) as usize, keep_order, Arc::clone(&shared.weight)),
            spec: Mutex::new(spec),
            edges: Mutex::new(Edges { to: Vec::new(), held: false }),
            edges_changed: Notify::new(),
            flooding: AtomicBool::new(false),
            crew: Crew::default(),
            window: Mutex::new(window),
            item_ns: AtomicU64::new(FIRST_GUESS_NS),
            last_error: Mutex::new(None),
            told_waiting: Mutex::new(None),
            broken: AtomicBool::new(false),
            restarts: AtomicU64::new(0),
            blame: Mutex::default(),
            usage: Mutex::new(None),
            shared,
        })
    }

    pub(crate) fn id(&self) -> String {
        self.spec.lock().id.clone()
    }

    /// Says in the log that a worker begins to wait, now and then, as a server that comes and goes begins it often.
    pub(crate) fn tell_waiting(&self) {
        const SELDOM: Duration = Duration::from_secs(10);
        let now = Instant::now();
        let mut told = self.told_waiting.lock();
        if told.is_some_and(|told| now.saturating_duration_since(told) < SELDOM) {
            return;
        }
        *told = Some(now);
        let why = self.last_error.lock().as_ref().map(|(_, why)| Arc::clone(why));
        tracing::warn!(
            node = self.id(),
            why = why.as_deref(),
            "the node waits, with its items, and tries again"
        );
    }

    /// A worker waits for what is outside.
    pub(crate) fn is_waiting(&self) -> bool {
        self.crew.any_waiting()
    }

    pub(crate) fn taking(&self, gathering: Option<Gathering>) -> Taking {
        let each = self.item_ns.load(Ordering::Relaxed).max(1);
        let fits = u64::try_from(STINT.as_nanos()).unwrap_or(u64::MAX) / each;
        let most = usize::try_from(fits).unwrap_or(BATCH).clamp(1, BATCH);
        Taking { most, ahead: 2 * self.crew.len().max(1), gathering, limits: self.shared.limits }
    }

    /// Notes how long a batch took, for the size of the next.
    pub(crate) fn note_pace(&self, each: Duration) {
        let each = u64::try_from(each.as_nanos()).unwrap_or(u64::MAX);
        let before = self.item_ns.load(Ordering::Relaxed);
        // Slower is believed at once, faster step by step.
        let now = if each > before { each } else { before - (before - each) / 4 };
        self.item_ns.store(now, Ordering::Relaxed);
    }

    pub(crate) fn record(&self, now: Instant, sample: Sample) {
        self.window.lock().record(now, sample);
    }

    /// Notes an error that was met here.
    pub(crate) fn mishap(&self, message: &str) {
        let message = self.shared.mishaps.note(&self.id(), message);
        *self.last_error.lock() = Some((Instant::now(), message));
    }

    /// Another worker works here: what was measured of the one before says nothing of it.
    pub(crate) fn forget(&self) {
        self.window.lock().reset(Instant::now());
        *self.last_error.lock() = None;
        self.item_ns.store(FIRST_GUESS_NS, Ordering::Relaxed);
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.shared.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn piece(&self, body: Json, size: Size, id: u64, tickets: Tickets, slot: usize) -> Piece {
        let item = flyball_nodes::Item { id, body };
        let since = Instant::now();
        Piece { item, tag: Tag { tickets, tries: 0, deaths: 0, passed_over: false, since, size, slot } }
    }

    /// Hands a finished batch on: at once, or in its turn where order is kept.
    pub(crate) async fn hand_on(&self, turn: u64, out: Vec<Piece>) {
        if !self.queue.keeps_order() {
            self.emit(out).await;
            self.queue.handed_on();
            return;
        }
        self.queue.done(turn, out);
        while let Some(out) = self.queue.next_out() {
            self.emit(out).await;
            self.queue.handed_on();
        }
    }

    /// Gives pieces to every node behind this one, each as soon as all of those have room for it. An edge that changes
    /// meanwhile counts from the next piece on.
    pub(crate) async fn emit(&self, pieces: Vec<Piece>) {
        if pieces.is_empty() {
            return;
        }
        let mut pieces = VecDeque::from(pieces);
        loop {
            let changed = self.edges_changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.offer(&mut pieces) {
                Offer::Taken => return,
                Offer::Held => changed.await,
                Offer::Full(node) => {
                    let room = node.queue.room.notified();
                    tokio::pin!(room);
                    room.as_mut().enable();
                    if pieces.front().is_none_or(|next| node.queue.lock().admits(next)) {
                        continue;
                    }
                    tokio::select! {
                        () = changed => {}
                        () = room => {}
                    }
                }
            }
        }
    }

    /// Never waits, so the edges are never locked for long; all queues behind are locked at once, so that a copy is
    /// either with all of them or with none.
    fn offer(&self, pieces: &mut VecDeque<Piece>) -> Offer {
        let flooding = self.flooding.load(Ordering::Relaxed);
        let edges = self.edges.lock();
        if edges.held && !flooding {
            return Offer::Held;
        }
        let now = Instant::now();
        let mut queues: Vec<_> = edges.to.iter().map(|node| (node, node.queue.lock())).collect();
        let (mut given, mut full) = (false, None);
        while let Some(next) = pieces.front() {
            if !flooding && let Some((node, _)) = queues.iter().find(|(_, held)| !held.admits(next)) {
                full = Some(Arc::clone(node));
                break;
            }
            let Some(mut piece) = pieces.pop_front() else { break };
            given = true;
            piece.tag.since = now;
            piece.tag.tries = 0;
            piece.tag.deaths = 0;
            piece.tag.passed_over = false;
            let Some(((_, last), others)) = queues.split_last_mut() else { continue };
            for (_, other) in others {
                other.push(piece.clone());
            }
            last.push(piece);
        }
        drop(queues);
        if given {
            edges.to.iter().for_each(|node| node.queue.wake_one());
        }
        full.map_or(Offer::Taken, Offer::Full)
    }

    /// The nodes behind this one.
    pub(crate) fn behind(&self) -> Vec<Arc<Self>> {
        self.edges.lock().to.clone()
    }

    /// Lets nothing out until the edges change or it is let go.
    pub(crate) fn hold(&self, held: bool) {
        self.edges.lock().held = held;
        self.edges_changed.notify_waiters();
    }

    /// Puts other edges behind this node and lets go.
    pub(crate) fn lead_to(&self, mut to: Vec<Arc<Self>>) {
        // Always locked in this order, so that two nodes with the same successors cannot wait for each other.
        to.sort_by_key(|node| node.number);
        *self.edges.lock() = Edges { to, held: false };
        self.edges_changed.notify_waiters();
    }

    /// Until full queues stop nobody any more.
    pub(crate) async fn flooded(&self) {
        loop {
            let changed = self.edges_changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.flooding.load(Ordering::Relaxed) {
                return;
            }
            changed.await;
        }
    }

    /// From now on full queues stop nobody: what is under way must come to rest in a queue.
    pub(crate) fn flood(&self) {
        self.flooding.store(true, Ordering::Relaxed);
        self.edges_changed.notify_waiters();
    }
}
