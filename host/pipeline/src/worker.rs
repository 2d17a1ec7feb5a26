//! The workers of a node: each takes batches, has them processed, and hands on what comes of them. A worker that dies
//! gives back what it had not answered, and another takes its place: when, [`crate::replacing`] says.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flyball_measure::Sample;
use flyball_nodes::{CustomMetrics, ProcessError, Processed, Vitals, WorkerEnd};
use futures::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::awake::Awake;
use crate::backoff::pause;
use crate::node::Node;
use crate::piece::{Batch, Piece, Tag};
use crate::replacing::{Culprit, STEADY, WorkerHistory, succeed};
use crate::settle::{Refusal, Settled, bury_rest, is_suspect, settle};
use crate::stock::Role;
use crate::tool::Tool;

/// How long a sink that is to go now may take to say what became of what it has under way.
const LAST_WORD: Duration = Duration::from_secs(5);
/// So many items that may all be to blame are held at once.
const MOST_SUSPECTS: usize = 64;
/// And so much longer is waited for a worker that leaves.
const MARGIN: Duration = Duration::from_millis(250);

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
    /// The numbers that it reports of itself.
    pub(crate) metrics: Option<CustomMetrics>,
    /// It has no processor any more, and another is to take its place.
    gone: AtomicBool,
    /// Of its place.
    pub(crate) history: Arc<Mutex<WorkerHistory>>,
    busy: AtomicBool,
    /// What is outside cannot take what it has in hand.
    waiting: AtomicBool,
    born: Instant,
    heard: Mutex<Instant>,
}

impl State {
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Workers of its place keep ending, for longer than this.
    pub(crate) fn is_failing(&self, now: Instant, than: Duration) -> bool {
        self.history.lock().is_failing(now, than, self.is_idle())
    }

    fn is_idle(&self) -> bool {
        !self.is_gone() && !self.is_busy()
    }

    /// Its place has no worker, after an end that was not expected, or its workers end again and again.
    pub(crate) fn is_troubled(&self, now: Instant, window: Duration) -> bool {
        let history = self.history.lock();
        self.is_gone() && history.has_ended() || history.ends_often(now, window, self.is_idle())
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    fn hear(&self) {
        *self.heard.lock() = Instant::now();
    }

    /// How long nothing was heard of it although something could have been: an idle worker that lives owes nobody a word.
    pub(crate) fn silent_for(&self, awake: &Awake, now: Instant) -> Duration {
        if !self.is_gone() && !self.is_busy() {
            return Duration::ZERO;
        }
        let heard = *self.heard.lock();
        let beat = self.vitals.as_ref().map_or(heard, Vitals::last_heartbeat);
        awake.silence(heard.max(beat), now)
    }

    /// Until its process is gone; for ever, when it has none.
    async fn bereft(&self) -> (String, WorkerEnd) {
        let ended = match &self.vitals {
            Some(vitals) => vitals.ended().await.zip(vitals.end()),
            None => None,
        };
        match ended {
            // It had nothing to do, and is replaced when there is something again.
            Some((exit, _)) if exit.code == Some(0) && self.born.elapsed() >= STEADY => {
                (String::new(), WorkerEnd::Recycled)
            }
            Some((exit, end)) => (format!("the process {exit} while it was idle"), end),
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
    /// Those who wait to put another worker in a place wait no longer.
    hurry: Notify,
}

impl Crew {
    pub(crate) fn len(&self) -> usize {
        self.workers.lock().len()
    }

    /// Whether a worker of it ended and none works well in its place yet.
    pub(crate) fn any_ended(&self) -> bool {
        self.workers.lock().iter().any(|worker| worker.state.history.lock().has_ended())
    }

    pub(crate) fn any_failing(&self, now: Instant, than: Duration) -> bool {
        self.workers.lock().iter().any(|worker| worker.state.is_failing(now, than))
    }

    /// Workers that are waited for are started now: somebody acted, or the pipeline is to end.
    pub(crate) fn hurry(&self) {
        self.hurry.notify_waiters();
    }

    /// Until [`Crew::hurry`].
    pub(crate) async fn wait_no_more(&self) {
        self.hurry.notified().await;
    }

    pub(crate) fn any_waiting(&self) -> bool {
        self.workers.lock().iter().any(|worker| worker.state.is_waiting())
    }

    pub(crate) fn add(&self, worker: Worker) {
        self.workers.lock().push(worker);
    }

    /// Whether this worker is still one of the node's.
    pub(crate) fn has(&self, old: &Arc<State>) -> bool {
        self.workers.lock().iter().any(|worker| Arc::ptr_eq(&worker.state, old))
    }

    /// Puts another in its place, unless it was taken away.
    pub(crate) fn replace(&self, old: &Arc<State>, employ: impl FnOnce() -> Worker) {
        let mut workers = self.workers.lock();
        if let Some(place) = workers.iter_mut().find(|worker| Arc::ptr_eq(&worker.state, old)) {
            *place = employ();
        }
    }

    /// Looks at every worker.
    pub(crate) fn each(&self, mut look: impl FnMut(&State)) {
        self.workers.lock().iter().for_each(|worker| look(&worker.state));
    }

    fn take_from(&self, first: usize) -> Vec<Worker> {
        let mut workers = self.workers.lock();
        // Places without a worker go first.
        workers.sort_by_key(|worker| worker.state.is_gone());
        let first = first.min(workers.len());
        let leaving = workers.split_off(first);
        drop(workers);
        self.hurry();
        leaving
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
            // Leaving is immediate unless a processor holds its thread, or a sink has something under way; then its batch
            // is given back when it lets go.
            let _ = timeout(LAST_WORD + MARGIN, all_released(&mut leaving)).await;
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

/// Sets somebody to work at a node, in a place that others may have had before.
pub(crate) fn employ(node: &Arc<Node>, tool: Tool, history: Arc<Mutex<WorkerHistory>>) -> Worker {
    let (orders, heard) = watch::channel(Order::Work);
    let (release, released) = oneshot::channel();
    let state = Arc::new(State {
        pid: tool.pid(),
        vitals: tool.vitals(),
        metrics: tool.metrics(),
        gone: AtomicBool::new(false),
        history,
        busy: AtomicBool::new(false),
        waiting: AtomicBool::new(false),
        born: Instant::now(),
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
    Died(Death),
    Left,
}

struct Death {
    error: String,
    end: WorkerEnd,
    /// It had nothing in hand.
    idle: bool,
    culprit: Culprit,
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
                (error, end) = state.bereft() => {
                    return self.die(Death { error, end, idle: true, culprit: Culprit::None });
                }
                batch = node.queue.take(|| node.taking(gathering)) => batch,
            };
            self.state.hear();
            self.state.busy.store(true, Ordering::Release);
            let end = self.work(&mut batch, gathering.is_some()).await;
            self.state.busy.store(false, Ordering::Release);
            self.state.waiting.store(false, Ordering::Release);
            match end {
                End::Answered => self.hand_on(batch.turn, batch.take_out()).await,
                End::Left => return self.give_back(batch).await,
                End::Died(death) => {
                    self.die(death);
                    return self.give_back(batch).await;
                }
            }
            if self.tools.is_none() {
                return;
            }
        }
    }

    fn die(&mut self, Death { error, end, idle, culprit }: Death) {
        drop(self.tools.take());
        let expected = end == WorkerEnd::Recycled;
        if !expected {
            self.node.mishap(&error);
            self.node.blame.lock().ended();
        }
        self.state.gone.store(true, Ordering::Release);
        let pause = self.state.history.lock().ends(Instant::now(), end, idle, culprit);
        tokio::spawn(succeed(Arc::clone(&self.node), Arc::clone(&self.state), pause, expected));
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
        if batch.is_answered() {
            return self.node.hand_on(batch.turn, batch.take_out()).await;
        }
        // Where order does not matter, what was answered need not wait for the rest.
        let out = if self.node.queue.keeps_order() { Vec::new() } else { batch.take_out() };
        self.node.queue.give_back(batch);
        self.node.emit(out).await;
    }

    /// How the worker came to its end, if it did; what it does wrong beside its answers is noted.
    fn end_and_complaint(&self) -> WorkerEnd {
        let Some((tool, _)) = &self.tools else { return WorkerEnd::Failed };
        if let Some(complaint) = tool.complaint() {
            self.node.mishap(&complaint);
        }
        tool.end()
    }

    /// Until every item of the batch is answered for good.
    async fn work(&mut self, batch: &mut Batch, gathers: bool) -> End {
        let began = Instant::now();
        let mut waited: Duration =
            batch.tags.iter().map(|tag| self.node.shared.awake.took(tag.since, began)).sum();
        while !batch.is_answered() {
            let mut refused = bury_rest(&self.node, batch);
            let passing = self.pass_over_first(batch);
            self.put_least_suspect_first(batch);
            // Of what waits at a sink one is enough to see whether it is over.
            let tries_one = batch.careful || self.node.role == Role::Sink && batch.refusals > 0;
            let asked = if tries_one { 1 } else { batch.items.len() };
            if !batch.items.is_empty() {
                let began = Instant::now();
                let Some(answers) = self.ask(batch, asked).await else { return End::Left };
                let now = Instant::now();
                let each = self.node.shared.awake.took(began, now) / u32::try_from(asked).unwrap_or(u32::MAX);
                let end = self.end_and_complaint();
                let settled = settle(&self.node, batch, asked, answers, gathers, end);
                if let Some(from) = passing {
                    note_passing(batch, from, &settled);
                }
                let Settled { finished, failed, died, answered, culprit, refused: for_now } = settled;
                if answered > 0 {
                    self.node.blame.lock().answered();
                    self.state.history.lock().answers(now);
                }
                refused = for_now.or(refused);
                if finished + failed > 0 {
                    self.node.note_pace(each);
                    self.node.record(now, Sample { each, finished, failed, waited });
                    waited = Duration::ZERO;
                }
                if let Some(error) = died {
                    // A gathering node makes something else of fewer items.
                    batch.careful |= !gathers && end != WorkerEnd::Recycled;
                    return End::Died(Death { error, end, idle: false, culprit });
                }
            }
            if let Some(refusal) = refused
                && !batch.is_answered()
                && !self.wait(batch, refusal).await
            {
                return End::Left;
            }
            if refused.is_none() {
                batch.refusals = 0;
                self.state.waiting.store(false, Ordering::Release);
            }
        }
        End::Answered
    }

    /// None: it is to leave. What a sink has under way is out of the host's hands, so that it is given a while to say what
    /// became of it: given back, it would be delivered twice.
    async fn ask(&mut self, batch: &Batch, asked: usize) -> Option<Vec<Processed>> {
        let (tool, _) = self.tools.as_mut()?;
        let gives_in = !matches!(tool, Tool::Sink(_));
        let (asking, _) = batch.items.split_at(asked.min(batch.items.len()));
        let answers = {
            let answering = AssertUnwindSafe(tool.process(asking)).catch_unwind();
            tokio::pin!(answering);
            tokio::select! {
                biased;
                answers = &mut answering => answers,
                () = ordered(&mut self.orders, |order| order == Order::Leave) => {
                    if gives_in {
                        return None;
                    }
                    timeout(LAST_WORD, answering).await.ok()?
                }
            }
        };
        self.state.hear();
        Some(answers.unwrap_or_else(|_| vec![Err(ProcessError::Worker("it panicked".to_owned()))]))
    }

    /// Waits until what is outside may be asked again: whether it may. A worker that is to go does not wait.
    async fn wait(&mut self, batch: &mut Batch, refusal: Refusal) -> bool {
        batch.refusals = batch.refusals.saturating_add(1);
        self.state.waiting.store(true, Ordering::Release);
        self.node.tell_waiting();
        tokio::select! {
            biased;
            () = ordered(&mut self.orders, |order| order != Order::Work) => false,
            () = tokio::time::sleep(pause(batch.refusals, refusal.retry_after)) => {
                self.state.hear();
                true
            }
        }
    }

    /// Where the first item may be the reason why nothing is taken: puts one before it that was not tried as often, and
    /// says from where that came.
    fn pass_over_first(&self, batch: &mut Batch) -> Option<usize> {
        let suspect = |tag: &Tag| is_suspect(&self.node, tag);
        if batch.refusals == 0 || !batch.tags.first().is_some_and(|tag| suspect(tag) && !tag.passed_over) {
            return None;
        }
        let another = batch.tags.iter().position(|tag| !suspect(tag)).or_else(|| {
            let room = batch.tags.len() < MOST_SUSPECTS;
            batch.join(room.then(|| self.node.queue.take_one()).flatten()?);
            batch.tags.len().checked_sub(1)
        })?;
        batch.move_item(another, 0);
        Some(another)
    }

    /// Where items are given one by one as workers ended over the batch: the next is the one over which fewest ended. Where
    /// none can be blamed before the node answers another, one that waits is tried first, if its turn allows that.
    fn put_least_suspect_first(&self, batch: &mut Batch) {
        if !batch.careful || batch.refusals > 0 {
            return;
        }
        let fewest = |batch: &Batch| {
            let deaths = batch.tags.iter().map(|tag| tag.deaths).enumerate();
            deaths.min_by_key(|(_, deaths)| *deaths)
        };
        let Some((mut first, deaths)) = fewest(batch) else { return };
        if deaths > 0
            && !self.node.blame.lock().may_fall()
            && batch.tags.len() < MOST_SUSPECTS
            && let Some(another) = self.node.queue.take_one_in_turn()
        {
            batch.join(another);
            first = batch.tags.len().saturating_sub(1);
        }
        batch.move_item(first, 0);
    }
}

/// An item from there was asked before those that may be to blame: if it was answered for good, they are held against that.
fn note_passing(batch: &mut Batch, from: usize, settled: &Settled) {
    if settled.finished + settled.failed == 0 {
        batch.move_item(0, from);
    } else {
        batch.tags.iter_mut().take(from).for_each(|tag| tag.passed_over = true);
    }
}
