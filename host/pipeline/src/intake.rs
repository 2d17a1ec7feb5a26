//! The sources at work: each is asked for items as long as there is room for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flyball_measure::Sample;
use flyball_nodes::{Item, Json, Size, Source, SourceError, SourceProgress, Taken, Unreadable};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::backoff::pause;
use crate::ledger::Ledger;
use crate::node::Node;
use crate::piece::{Letter, Tickets};
use crate::settle::is_buried;

/// Items asked for at once.
const BATCH: usize = 64;

/// A source from outside.
pub(crate) struct Intake {
    pub(crate) node: Arc<Node>,
    pub(crate) address: Option<SocketAddr>,
    progress: Arc<Mutex<SourceProgress>>,
    stop: watch::Sender<bool>,
    ended: watch::Receiver<bool>,
}

impl Intake {
    /// Makes ready to take in from a source, once the pipeline has begun.
    pub(crate) fn of(
        node: &Arc<Node>,
        ledger: &Arc<Ledger>,
        source: Box<dyn Source>,
        begun: watch::Receiver<bool>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = watch::channel(false);
        let address = source.address();
        let progress = Arc::new(Mutex::new(source.progress()));
        let pump = Pump {
            node: Arc::clone(node),
            ledger: Arc::clone(ledger),
            source,
            progress: Arc::clone(&progress),
            stopped,
            begun,
        };
        tokio::spawn(async move {
            pump.run().await;
            end.send_replace(true);
        });
        Self { node: Arc::clone(node), address, progress, stop, ended }
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) fn progress(&self) -> SourceProgress {
        *self.progress.lock()
    }

    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Until it gives nothing more.
    pub(crate) async fn ended(&self) {
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }
}

struct Pump {
    node: Arc<Node>,
    ledger: Arc<Ledger>,
    source: Box<dyn Source>,
    progress: Arc<Mutex<SourceProgress>>,
    stopped: watch::Receiver<bool>,
    begun: watch::Receiver<bool>,
}

impl Pump {
    async fn run(mut self) {
        let mut stopping = false;
        // Nothing is read before the pipeline may run; what is stopped before that has nothing to read.
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stop| *stop) => {}
            _ = self.begun.wait_for(|begun| *begun) => {}
        }
        loop {
            // What waits already must leave first; but what was promised to somebody is taken in at the end.
            if !stopping {
                tokio::select! {
                    biased;
                    _ = self.stopped.wait_for(|stop| *stop) => {}
                    () = self.node.shared.weight.bearable() => {}
                }
            }
            let next = tokio::select! {
                biased;
                // A pipeline that is dropped stops its sources too.
                _ = self.stopped.wait_for(|stop| *stop), if !stopping => None,
                next = self.source.next(BATCH) => Some(next),
            };
            match next {
                None => {
                    stopping = true;
                    self.source.stop();
                }
                Some(Ok(Some(taken))) => self.take_in(taken).await,
                Some(Ok(None)) => break,
                Some(Err(SourceError(error))) => {
                    self.node.mishap(&error);
                    self.node.broken.store(true, Ordering::Relaxed);
                    break;
                }
            }
        }
        *self.progress.lock() = self.source.progress();
    }

    /// Sources hold to the limits themselves; whether they do is not taken on trust.
    fn measured(&self, body: Json) -> Result<(Json, Size), Unreadable> {
        match self.node.shared.limits.check(&body) {
            Ok(size) => Ok((body, size)),
            Err(limit) => {
                let bytes = body.to_bytes();
                let error = format!("too large for an item: {limit}");
                Err(Unreadable { length: bytes.len() as u64, bytes, error })
            }
        }
    }

    async fn take_in(&mut self, taken: Vec<Taken>) {
        let mut pieces = Vec::with_capacity(taken.len());
        let mut failed = 0;
        let tickets = self.ledger.accept(taken.len());
        for (taken, ticket) in taken.into_iter().zip(tickets) {
            let tickets = Tickets::One(ticket);
            match taken.and_then(|body| self.measured(body)) {
                Ok((body, size)) => pieces.push(self.node.piece(body, size, self.node.next_id(), tickets, 0)),
                Err(unreadable) => {
                    failed += 1;
                    self.node.mishap(&unreadable.error);
                    let error = unreadable.error.clone();
                    let item = Item { id: self.node.next_id(), body: unreadable.into_item() };
                    bury(&self.node, Letter { item, tickets, error }).await;
                }
            }
        }
        *self.progress.lock() = self.source.progress();
        let finished = pieces.len() as u64;
        self.node.record(Instant::now(), Sample { finished, failed, ..Sample::default() });
        self.node.emit(pieces).await;
    }
}

/// What cannot be kept yet is waited for, and nothing more is taken in meanwhile. At the end of the pipeline it stays in
/// flight.
async fn bury(node: &Node, letter: Letter) {
    let mut tries = 0;
    while !is_buried(node, &letter) {
        tries += 1;
        node.tell_waiting();
        tokio::select! {
            () = tokio::time::sleep(pause(tries, None)) => {}
            () = node.flooded() => {
                let piece = node.piece(letter.item.body, Size { encoded: 0, decoded: 0 }, letter.item.id, letter.tickets, 0);
                node.queue.lock().push(piece);
                return;
            }
        }
    }
}
