//! The queue before a node, and the order behind it. Workers take batches; each batch gets a turn as it is taken, under
//! the queue's lock. Where order is kept, what comes of the batches leaves in the order of their turns: a batch that is
//! done early waits here, not in its worker, so the worker is free for a batch that another one gave back.
//!
//! What may wait is bounded by items and by the memory that they take; an item alone is always taken, so that nothing
//! stands still for ever. What waits in all queues of a pipeline is bounded too, where items come in: there alone, as
//! what is inside can always go on and leave.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flyball_nodes::{Gathering, ItemLimits, Size};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::piece::{Batch, Piece};

#[derive(Debug)]
pub(crate) struct Queue {
    held: Mutex<Held>,
    /// Something to take, or a reason to look again.
    work: Notify,
    /// Room for more.
    pub(crate) room: Notify,
    keep_order: bool,
}

/// How much memory may wait in a pipeline's queues, and does.
#[derive(Debug)]
pub(crate) struct Weight {
    /// The most in one queue.
    each: usize,
    /// The most in all of them.
    all: usize,
    waiting: AtomicUsize,
    lighter: Notify,
}

impl Weight {
    pub(crate) fn new(each: usize, all: usize) -> Arc<Self> {
        Arc::new(Self { each, all, waiting: AtomicUsize::new(0), lighter: Notify::new() })
    }

    fn add(&self, bytes: usize) {
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
    }

    fn take(&self, bytes: usize) {
        let before = self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        if before > self.all {
            self.lighter.notify_waiters();
        }
    }

    /// Until no more waits than may.
    pub(crate) async fn bearable(&self) {
        loop {
            let lighter = self.lighter.notified();
            tokio::pin!(lighter);
            lighter.as_mut().enable();
            if self.waiting.load(Ordering::Relaxed) <= self.all {
                return;
            }
            lighter.await;
        }
    }
}

fn carried(piece: &Piece) -> usize {
    piece.tag.size.decoded + Size::CARRIED
}

#[derive(Debug)]
pub(crate) struct Held {
    waiting: VecDeque<Piece>,
    /// How large they are together.
    size: Size,
    weight: Arc<Weight>,
    /// Batches whose worker was stopped or died: taken before anything else.
    returned: BTreeMap<u64, Batch>,
    capacity: usize,
    next_turn: u64,
    /// Batches taken and not yet handed on whole.
    out: usize,
    /// The turn that may leave now; only where order is kept.
    leaving: u64,
    /// Somebody is handing that turn on.
    handing: bool,
    done: BTreeMap<u64, Vec<Piece>>,
    /// Gathering nodes take what there is instead of waiting for more.
    hurry: bool,
}

/// How a worker takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taking {
    /// At most this many.
    pub(crate) most: usize,
    /// Where order is kept: how many batches may be under way.
    pub(crate) ahead: usize,
    pub(crate) gathering: Option<Gathering>,
    /// What is taken at once takes no more memory than one item may, and what is gathered can be one item.
    pub(crate) limits: ItemLimits,
}

enum Look {
    Batch(Batch),
    Later,
    At(Instant),
}

impl Held {
    /// Whether there is room for it.
    pub(crate) fn admits(&self, piece: &Piece) -> bool {
        let fits = self.size.decoded.saturating_add(carried(piece)) <= self.weight.each;
        self.waiting.len() < self.capacity && (fits || self.waiting.is_empty())
    }

    pub(crate) fn push(&mut self, piece: Piece) {
        let bytes = carried(&piece);
        self.size = self.size.and(Size { encoded: piece.tag.size.encoded + 1, decoded: bytes });
        self.weight.add(bytes);
        self.waiting.push_back(piece);
    }

    /// How many of the oldest are taken at once: at least one.
    fn fitting(&self, most: usize, limits: &ItemLimits) -> usize {
        let mut together = ROOM_AROUND;
        let fits = |piece: &&Piece| {
            together = together.and(Size { encoded: piece.tag.size.encoded + 1, decoded: carried(piece) });
            within(together, limits)
        };
        self.waiting.iter().take(most).take_while(fits).count().max(1)
    }

    fn take_out(&mut self, count: usize) -> Vec<Piece> {
        let pieces: Vec<Piece> = self.waiting.drain(..count.min(self.waiting.len())).collect();
        let bytes = pieces.iter().map(carried).sum();
        self.size.decoded -= bytes;
        self.size.encoded -= pieces.iter().map(|piece| piece.tag.size.encoded + 1).sum::<usize>();
        self.weight.take(bytes);
        pieces
    }

    fn look(&mut self, taking: Taking, keep_order: bool) -> Look {
        if let Some((_, batch)) = self.returned.pop_first() {
            return Look::Batch(batch);
        }
        let Some(oldest) = self.waiting.front() else { return Look::Later };
        if keep_order && self.out >= taking.ahead {
            return Look::Later;
        }
        let mut most = taking.most;
        if let Some(gathering) = taking.gathering {
            // A queue shorter than a gathering never holds a whole one.
            most = gathering.size.clamp(1, self.capacity);
            let due = oldest.tag.since + gathering.linger;
            let more = self.waiting.len() < most && within(self.size.and(ROOM_AROUND), &taking.limits);
            if more && !self.hurry && Instant::now() < due {
                return Look::At(due);
            }
        }
        let turn = self.next_turn;
        self.next_turn += 1;
        self.out += 1;
        let count = self.fitting(most, &taking.limits);
        Look::Batch(Batch::new(turn, self.take_out(count).into_iter()))
    }
}

/// What a gathering node writes around what it gathered.
const ROOM_AROUND: Size = Size { encoded: 64, decoded: 1_024 };

const fn within(size: Size, limits: &ItemLimits) -> bool {
    size.encoded <= limits.encoded && size.decoded <= limits.decoded
}

impl Drop for Held {
    fn drop(&mut self) {
        self.weight.take(self.size.decoded);
    }
}

impl Queue {
    pub(crate) fn new(capacity: usize, keep_order: bool, weight: Arc<Weight>) -> Self {
        let held = Held {
            waiting: VecDeque::new(),
            size: Size::default(),
            weight,
            returned: BTreeMap::new(),
            capacity,
            next_turn: 0,
            out: 0,
            leaving: 0,
            handing: false,
            done: BTreeMap::new(),
            hurry: false,
        };
        Self { held: Mutex::new(held), work: Notify::new(), room: Notify::new(), keep_order }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock()
    }

    /// Something was pushed: one worker is enough, it wakes the next if it leaves anything.
    pub(crate) fn wake_one(&self) {
        self.work.notify_one();
    }

    fn wake_all(&self) {
        self.work.notify_waiters();
        self.work.notify_one();
    }

    /// Waits for a batch. Safe to cancel: nothing is taken by a call that does not return.
    pub(crate) async fn take(&self, taking: impl Fn() -> Taking) -> Batch {
        loop {
            let work = self.work.notified();
            tokio::pin!(work);
            work.as_mut().enable();
            let taking = taking();
            let (look, left) = {
                let mut held = self.held.lock();
                let look = held.look(taking, self.keep_order);
                (look, !held.waiting.is_empty() || !held.returned.is_empty())
            };
            match look {
                Look::Batch(batch) => {
                    self.room.notify_waiters();
                    if left {
                        self.wake_one();
                    }
                    return batch;
                }
                Look::Later => work.await,
                Look::At(due) => {
                    let _ = tokio::time::timeout_at(due, work).await;
                }
            }
        }
    }

    /// The next item, for a worker that has a batch already.
    pub(crate) fn take_one(&self) -> Option<Piece> {
        self.take_one_if(|_| true)
    }

    /// The same, for one whose batch may leave with it: where order is kept, nothing taken later is under way.
    pub(crate) fn take_one_in_turn(&self) -> Option<Piece> {
        self.take_one_if(|held| !self.keep_order || held.out <= 1)
    }

    fn take_one_if(&self, may: impl FnOnce(&Held) -> bool) -> Option<Piece> {
        let piece = {
            let mut held = self.held.lock();
            may(&held).then(|| held.take_out(1).pop()).flatten()
        };
        if piece.is_some() {
            self.room.notify_waiters();
        }
        piece
    }

    /// A batch whose worker could not finish it: it is taken next, in its own turn.
    pub(crate) fn give_back(&self, batch: Batch) {
        self.held.lock().returned.insert(batch.turn, batch);
        self.wake_all();
    }

    /// A batch is done. Where order is not kept, the caller hands `out` on himself and then says `handed_on`.
    pub(crate) fn done(&self, turn: u64, out: Vec<Piece>) {
        self.held.lock().done.insert(turn, out);
    }

    /// What leaves now, where order is kept; the caller hands it on and then says `handed_on`.
    pub(crate) fn next_out(&self) -> Option<Vec<Piece>> {
        let mut held = self.held.lock();
        if held.handing {
            return None;
        }
        let turn = held.leaving;
        let out = held.done.remove(&turn)?;
        held.handing = true;
        Some(out)
    }

    pub(crate) fn handed_on(&self) {
        {
            let mut held = self.held.lock();
            held.out -= 1;
            held.leaving += 1;
            held.handing = false;
        }
        if self.keep_order {
            self.wake_all();
        }
        self.room.notify_waiters();
    }

    pub(crate) const fn keeps_order(&self) -> bool {
        self.keep_order
    }

    /// Items that wait, those given back included.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let held = self.held.lock();
        let returned: usize =
            held.returned.values().map(|batch| batch.items.len() + batch.letters.len()).sum();
        (held.waiting.len() + returned, held.capacity)
    }

    /// Never drops what waits: a queue that holds more takes nothing until it is below.
    pub(crate) fn set_capacity(&self, capacity: usize) {
        self.held.lock().capacity = capacity;
        self.room.notify_waiters();
        self.wake_all();
    }

    /// Whether gathering nodes take what there is.
    pub(crate) fn set_hurry(&self, hurry: bool) {
        self.held.lock().hurry = hurry;
        self.wake_all();
    }

    /// Until nothing waits here and everything taken was handed on.
    pub(crate) async fn idle(&self) {
        loop {
            let changed = self.room.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let held = self.held.lock();
                if held.waiting.is_empty() && held.returned.is_empty() && held.out == 0 {
                    return;
                }
            }
            changed.await;
        }
    }
}
