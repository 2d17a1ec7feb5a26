//! The workers of a node: each takes batches, has them processed, and hands on what comes of them. A worker that dies
//! gives back what it had not answered and stays dead: giving the node a new one is the controller's decision.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flyball_nodes::{ChildProcessor, Gathering, Item, ProcessError, Processed, Processor, Sink, Vitals};
use futures::FutureExt as _;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::ledger::Fate;
use crate::node::Node;
use crate::piece::{Batch, Piece, Tag, Tickets};
use crate::stock::Role;
use crate::window::Sample;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Work,
    /// Finish what is in hand, then go.
    Stop,
    /// Go now; what is in hand goes back.
    Leave,
}

/// What is known of a worker from outside.
#[derive(Debug)]
pub(crate) struct State {
    /// Of its process, where it has one.
    pub(crate) pid: Option<u32>,
    vitals: Option<Vitals>,
    dead: AtomicBool,
    busy: AtomicBool,
    heard: Mutex<Instant>,
}

impl State {
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    fn hear(&self) {
        *self.heard.lock() = Instant::now();
    }

    /// How long nothing was heard of it although something could have been: an idle worker that lives owes nobody a word.
    pub(crate) fn silent_for(&self, now: Instant) -> Duration {
        if !self.is_dead() && !self.is_busy() {
            return Duration::ZERO;
        }
        let heard = *self.heard.lock();
        let beat = self.vitals.as_ref().map_or(heard, Vitals::last_heartbeat);
        now.saturating_duration_since(heard.max(beat))
    }

    /// Until its process is gone; for ever, when it has none.
    async fn bereft(&self) -> String {
        let ended = match &self.vitals {
            Some(vitals) => vitals.ended().await,
            None => None,
        };
        match ended {
            Some(exit) => format!("the process {exit} while it was idle"),
            None => std::future::pending().await,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) state: Arc<State>,
    orders: watch::Sender<Order>,
    /// Closed when the worker has let go of its processor.
    released: oneshot::Receiver<()>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A worker that still hands something on must do so; it ends by itself after that.
        self.orders.send_replace(Order::Leave);
    }
}

/// The workers of a node.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    workers: Mutex<Vec<Worker>>,
}

impl Crew {
    pub(crate) fn len(&self) -> usize {
        self.workers.lock().len()
    }

    pub(crate) fn any_dead(&self) -> bool {
        self.workers.lock().iter().any(|worker| worker.state.is_dead())
    }

    pub(crate) fn add(&self, worker: Worker) {
        self.workers.lock().push(worker);
    }

    /// Looks at every worker.
    pub(crate) fn each(&self, mut look: impl FnMut(&State)) {
        self.workers.lock().iter().for_each(|worker| look(&worker.state));
    }

    fn take_from(&self, first: usize) -> Vec<Worker> {
        let mut workers = self.workers.lock();
        // The dead go first.
        workers.sort_by_key(|worker| worker.state.is_dead());
        let first = first.min(workers.len());
        workers.split_off(first)
    }

    /// Stops all but the first `keep`: each ends what it has in hand, or gives it back after `patience`.
    pub(crate) async fn dismiss(&self, keep: usize, patience: Duration) {
        let mut leaving = self.take_from(keep);
        for worker in &leaving {
            worker.orders.send_replace(Order::Stop);
        }
        let ended = timeout(patience, all_released(&mut leaving)).await;
        if ended.is_err() {
            for worker in &leaving {
                worker.orders.send_replace(Order::Leave);
            }
            // Leaving is immediate unless a processor holds its thread; then it gives its batch back when it lets go.
            let _ = timeout(Duration::from_secs(1), all_released(&mut leaving)).await;
        }
    }

    /// Tells all to leave now and forgets them.
    pub(crate) fn abandon(&self) {
        drop(self.take_from(0));
    }
}

async fn all_released(workers: &mut [Worker]) {
    for worker in workers {
        if !worker.released.is_terminated() {
            let _ = (&mut worker.released).await;
        }
    }
}

/// What a worker works with.
pub(crate) enum Tool {
    Processor(Box<dyn Processor>),
    Child(Box<ChildProcessor>),
    Sink(Box<dyn Sink>),
}

impl Tool {
    async fn process(&mut self, items: &[Item]) -> Vec<Processed> {
        match self {
            Self::Processor(processor) => processor.process(items).await,
            Self::Child(child) => child.process(items).await,
            Self::Sink(sink) => {
                sink.deliver(items).await.into_iter().map(|answer| answer.map(|()| Vec::new())).collect()
            }
        }
    }

    async fn finish(&mut self) -> Result<(), ProcessError> {
        match self {
            Self::Processor(_) | Self::Child(_) => Ok(()),
            Self::Sink(sink) => sink.finish().await,
        }
    }

    pub(crate) fn gathers(&self) -> Option<Gathering> {
        match self {
            Self::Processor(processor) => processor.gathers(),
            Self::Child(_) | Self::Sink(_) => None,
        }
    }

    fn pid(&self) -> Option<u32> {
        match self {
            Self::Processor(processor) => processor.pid(),
            Self::Child(child) => child.pid(),
            Self::Sink(_) => None,
        }
    }

    fn vitals(&self) -> Option<Vitals> {
        match self {
            Self::Child(child) => Some(child.vitals()),
            Self::Processor(_) | Self::Sink(_) => None,
        }
    }
}

/// Sets somebody to work at a node.
pub(crate) fn employ(node: &Arc<Node>, tool: Tool) -> Worker {
    let (orders, heard) = watch::channel(Order::Work);
    let (release, released) = oneshot::channel();
    let state = Arc::new(State {
        pid: tool.pid(),
        vitals: tool.vitals(),
        dead: AtomicBool::new(false),
        busy: AtomicBool::new(false),
        heard: Mutex::new(Instant::now()),
    });
    let shift = Shift {
        node: Arc::clone(node),
        state: Arc::clone(&state),
        orders: heard,
        tools: Some((tool, release)),
    };
    tokio::spawn(shift.run());
    Worker { state, orders, released }
}

struct Shift {
    node: Arc<Node>,
    state: Arc<State>,
    orders: watch::Receiver<Order>,
    /// Dropped together: who waits for the release knows that the processor is gone.
    tools: Option<(Tool, oneshot::Sender<()>)>,
}

enum End {
    Answered,
    Died(String),
    Left,
}

async fn ordered(orders: &mut watch::Receiver<Order>, at_least: fn(Order) -> bool) {
    // A dropped sender cannot happen before `Leave` was sent.
    let _ = orders.wait_for(|order| at_least(*order)).await;
}

impl Shift {
    async fn run(mut self) {
        let gathering = self.tools.as_ref().and_then(|(tool, _)| tool.gathers());
        loop {
            let (node, state) = (Arc::clone(&self.node), Arc::clone(&self.state));
            let mut batch = tokio::select! {
                biased;
                () = ordered(&mut self.orders, |order| order != Order::Work) => return self.close().await,
                error = state.bereft() => return self.die(&error),
                batch = node.queue.take(|| node.taking(gathering)) => batch,
            };
            self.state.hear();
            self.state.busy.store(true, Ordering::Release);
            let end = self.work(&mut batch, gathering.is_some()).await;
            self.state.busy.store(false, Ordering::Release);
            match end {
                End::Answered => self.hand_on(batch.turn, batch.take_out()).await,
                End::Left => return self.give_back(batch).await,
                End::Died(error) => {
                    self.die(&error);
                    return self.give_back(batch).await;
                }
            }
            if self.tools.is_none() {
                return;
            }
        }
    }

    fn die(&mut self, error: &str) {
        self.state.dead.store(true, Ordering::Release);
        self.node.mishap(error);
        drop(self.tools.take());
    }

    /// The end of a worker that was not killed.
    async fn close(&mut self) {
        if let Some((tool, _)) = &mut self.tools
            && let Err(error) = tool.finish().await
        {
            self.node.mishap(&error.to_string());
        }
    }

    /// A worker that is told to stop while it hands on lets go of its processor at once, so that a full queue behind
    /// the node does not keep the node from its next worker.
    async fn hand_on(&mut self, turn: u64, out: Vec<Piece>) {
        let node = Arc::clone(&self.node);
        let handing = node.hand_on(turn, out);
        tokio::pin!(handing);
        tokio::select! {
            biased;
            () = &mut handing => return,
            () = ordered(&mut self.orders, |order| order != Order::Work) => {}
        }
        self.close().await;
        drop(self.tools.take());
        handing.await;
    }

    async fn give_back(&mut self, mut batch: Batch) {
        drop(self.tools.take());
        if batch.items.is_empty() {
            return self.node.hand_on(batch.turn, batch.take_out()).await;
        }
        // Where order does not matter, what was answered need not wait for the rest.
        let out = if self.node.queue.keeps_order() { Vec::new() } else { batch.take_out() };
        self.node.queue.give_back(batch);
        self.node.emit(out).await;
    }

    /// Until every item of the batch is answered for good.
    async fn work(&mut self, batch: &mut Batch, gathers: bool) -> End {
        let Some((tool, _)) = &mut self.tools else { return End::Left };
        let began = Instant::now();
        let mut waited: Duration =
            batch.tags.iter().map(|tag| began.saturating_duration_since(tag.since)).sum();
        while !batch.items.is_empty() {
            let began = Instant::now();
            let asked = if batch.careful { 1 } else { batch.items.len() };
            let (asking, _) = batch.items.split_at(asked);
            let answers = tokio::select! {
                biased;
                answers = AssertUnwindSafe(tool.process(asking)).catch_unwind() => answers,
                () = ordered(&mut self.orders, |order| order == Order::Leave) => return End::Left,
            };
            self.state.hear();
            let now = Instant::now();
            let each = (now - began) / u32::try_from(asked).unwrap_or(u32::MAX);
            let answers =
                answers.unwrap_or_else(|_| vec![Err(ProcessError::Worker("it panicked".to_owned()))]);
            let settled = settle(&self.node, batch, asked, answers, gathers);
            self.node.note_pace(each);
            let Settled { finished, failed, died } = settled;
            if finished + failed > 0 {
                self.node.record(now, Sample { each, finished, failed, waited });
                waited = Duration::ZERO;
            }
            if let Some(error) = died {
                // A gathering node makes something else of fewer items.
                batch.careful = !gathers;
                return End::Died(error);
            }
        }
        End::Answered
    }
}

struct Settled {
    finished: u64,
    failed: u64,
    died: Option<String>,
}

/// Books the answers: what goes on into `out`, what is to be tried again back into the batch.
fn settle(node: &Node, batch: &mut Batch, asked: usize, answers: Vec<Processed>, gathers: bool) -> Settled {
    let blame = asked == 1 || gathers;
    let given = answers.len();
    let mut items = std::mem::take(&mut batch.items);
    let mut tags = std::mem::take(&mut batch.tags);
    let rest = items.split_off(asked).into_iter().zip(tags.split_off(asked));
    let mut answers = answers.into_iter();
    let mut settled = Settled { finished: 0, failed: 0, died: None };
    let mut whole = Gathered::default();
    batch.mixed |= !batch.out.is_empty();
    for (item, tag) in items.into_iter().zip(tags) {
        match answers.next() {
            Some(Ok(bodies)) => {
                settled.finished += 1;
                if gathers {
                    whole.add(bodies, tag);
                } else {
                    pass(node, batch, &item, tag, bodies);
                }
            }
            Some(Err(ProcessError::Item(error))) => {
                node.mishap(&error);
                settled.failed += u64::from(!again(node, batch, item, tag, &error));
            }
            Some(Err(ProcessError::Worker(error))) => {
                settled.failed += unanswered(node, batch, &mut settled.died, item, tag, error, blame);
            }
            None => {
                let error = format!("it answered {given} of {asked} items");
                settled.failed += unanswered(node, batch, &mut settled.died, item, tag, error, blame);
            }
        }
    }
    whole.pass(node, batch);
    rest.for_each(|(item, tag)| batch.keep(item, tag));
    settled
}

/// Whether the item is tried again; when not, it is dead-lettered.
fn again(node: &Node, batch: &mut Batch, item: Item, mut tag: Tag, error: &str) -> bool {
    if tag.tries < node.retries {
        tag.tries += 1;
        batch.keep(item, tag);
        return true;
    }
    bury(node, &item, &tag.tickets, error);
    false
}

pub(crate) fn bury(node: &Node, item: &Item, tickets: &Tickets, error: &str) {
    node.shared.mishaps.bury(&node.id(), &item.body, error);
    tickets.mark(Fate::DeadLettered);
}

/// An item that a dead worker did not answer. Its tries count only where it is to blame: where it was given alone, or
/// is the first of a gathering. The others just go back.
fn unanswered(
    node: &Node,
    batch: &mut Batch,
    died: &mut Option<String>,
    item: Item,
    tag: Tag,
    error: String,
    blame: bool,
) -> u64 {
    if died.is_some() || !blame {
        batch.keep(item, tag);
        died.get_or_insert(error);
        return 0;
    }
    let kept = again(node, batch, item, tag, &error);
    *died = Some(error);
    u64::from(!kept)
}

fn pass(node: &Node, batch: &mut Batch, item: &Item, tag: Tag, mut bodies: Vec<Value>) {
    if node.role == Role::Sink {
        tag.tickets.mark(Fate::Delivered);
        return;
    }
    if bodies.len() == 1
        && let Some(body) = bodies.pop()
    {
        batch.out.push(Piece { item: Item { id: item.id, body }, tag });
        return;
    }
    if bodies.is_empty() {
        tag.tickets.mark(Fate::Filtered);
    }
    for body in bodies {
        batch.out.push(node.piece(body, node.next_id(), tag.tickets.clone(), tag.slot));
    }
}

/// What a gathering node makes of a batch stands for all of it.
#[derive(Default)]
struct Gathered {
    bodies: Vec<Value>,
    tickets: Vec<Tickets>,
    slot: usize,
}

impl Gathered {
    fn add(&mut self, bodies: Vec<Value>, tag: Tag) {
        if self.tickets.is_empty() {
            self.slot = tag.slot;
        }
        self.bodies.extend(bodies);
        self.tickets.push(tag.tickets);
    }

    fn pass(self, node: &Node, batch: &mut Batch) {
        if self.tickets.is_empty() {
            return;
        }
        let tickets = Tickets::Many(self.tickets.into());
        if self.bodies.is_empty() {
            tickets.mark(Fate::Filtered);
        }
        for body in self.bodies {
            batch.out.push(node.piece(body, node.next_id(), tickets.clone(), self.slot));
        }
    }
}
