//! The one thread that writes. It takes whatever waits into one transaction, so that a hundred sessions that act at
//! once wait for one commit and not for a hundred.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flyball_control::ports::{Clock, SystemClock};
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::mpsc;

use crate::request::{Reply, Request};
use crate::{StoreError, events, rows};

/// More than this does not go into one transaction, so that nobody waits long for it.
const LARGEST_BATCH: usize = 256;

pub(crate) struct Writer {
    pub(crate) path: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) ticks_kept: u64,
    pub(crate) dropped_ticks: Arc<AtomicU64>,
    pub(crate) run: Option<i64>,
}

/// Answers whoever waits, once it is known whether the commit succeeded.
type Answer = Box<dyn FnOnce(Result<(), StoreError>)>;

impl Writer {
    /// Until every sender is gone and all that they sent is written.
    pub(crate) fn serve(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < LARGEST_BATCH
                && let Ok(next) = requests.try_recv()
            {
                batch.push(next);
            }
            self.write(batch);
        }
    }

    fn write(&mut self, batch: Vec<Request>) {
        let ticks = batch.iter().filter(|request| matches!(request, Request::Tick(_))).count();
        let mut answers: Vec<Answer> = Vec::new();
        let written = self.transact(batch, ticks > 0, &mut answers);
        if let Err(error) = &written
            && ticks > 0
        {
            tracing::error!(%error, ticks, "ticks are not in the journal");
            self.dropped_ticks.fetch_add(ticks as u64, Ordering::Relaxed);
        }
        for answer in answers {
            answer(written.clone());
        }
    }

    /// All of the batch is committed or none of it.
    fn transact(
        &mut self,
        batch: Vec<Request>,
        prune: bool,
        answers: &mut Vec<Answer>,
    ) -> Result<(), StoreError> {
        let Self { path, connection, run, dropped_ticks, ticks_kept } = self;
        let failed = |error: rusqlite::Error| StoreError::of(path, &error);
        let mut run_now = *run;
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = match begun.map_err(failed) {
            Ok(transaction) => transaction,
            Err(error) => {
                answers.extend(batch.into_iter().filter_map(refused));
                return Err(error);
            }
        };
        let mut batch = batch.into_iter();
        while let Some(request) = batch.next() {
            // SQLite itself rolls back when its disk fails; what came next would then be committed alone.
            if transaction.is_autocommit() {
                answers.extend(std::iter::once(request).chain(batch).filter_map(refused));
                let cause = "the transaction was rolled back".to_owned();
                return Err(StoreError::Failed { path: path.clone(), cause });
            }
            match perform(&transaction, &mut run_now, request, &failed) {
                Performed::Answer(answer) => answers.push(answer),
                Performed::Tick(Ok(())) => {}
                Performed::Tick(Err(error)) => {
                    tracing::error!(%error, "a tick is not in the journal");
                    dropped_ticks.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        if prune {
            forget_old_ticks(&transaction, *ticks_kept).map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        *run = run_now;
        Ok(())
    }
}

enum Performed {
    Answer(Answer),
    Tick(Result<(), StoreError>),
}

fn perform(
    db: &Connection,
    run: &mut Option<i64>,
    request: Request,
    failed: &impl Fn(rusqlite::Error) -> StoreError,
) -> Performed {
    match request {
        Request::Intend(action, reply) => {
            later(reply, rows::insert_action(db, *run, &action).map_err(failed))
        }
        Request::Conclude(action, reply) => {
            let known = rows::conclude_action(db, SystemClock.now(), &action).map_err(failed);
            later(reply, known.and_then(|known| known_or(known, "action", action.id)))
        }
        Request::Tick(tick) => Performed::Tick(rows::insert_tick(db, *run, &tick).map_err(failed)),
        Request::Event(event, reply) => later(reply, events::insert(db, *run, &event).map_err(failed)),
        Request::Recent { session, count, reply } => {
            later(reply, rows::recent(db, &session, count).map_err(failed))
        }
        Request::OpenIntents { session, reply } => {
            later(reply, rows::open_intents(db, &session).map_err(failed))
        }
        Request::Halts(reply) => later(reply, events::halts(db).map_err(failed)),
        Request::Undoable { session, count, reply } => {
            later(reply, rows::undoable(db, &session, count).map_err(failed))
        }
        Request::BeginRun { at, reply } => {
            let begun = rows::begin_run(db, at).map_err(failed);
            if let Ok(id) = &begun {
                *run = Some(rows::int(*id));
            }
            later(reply, begun)
        }
        Request::EndRun { run: id, at, reply } => {
            let known = rows::end_run(db, id, at).map_err(failed);
            if *run == Some(rows::int(id)) {
                *run = None;
            }
            later(reply, known.and_then(|known| known_or(known, "run", id)))
        }
    }
}

fn known_or(known: bool, what: &'static str, id: u64) -> Result<(), StoreError> {
    if known { Ok(()) } else { Err(StoreError::Unknown { what, id }) }
}

/// Whoever no longer waits needs no answer.
fn later<T: 'static>(reply: Reply<T>, said: Result<T, StoreError>) -> Performed {
    Performed::Answer(Box::new(move |committed| drop(reply.send(committed.and(said)))))
}

fn refused(request: Request) -> Option<Answer> {
    fn answer<T: 'static>(reply: Reply<T>) -> Option<Answer> {
        Some(Box::new(move |committed| {
            if let Err(error) = committed {
                drop(reply.send(Err(error)));
            }
        }))
    }
    match request {
        Request::Tick(_) => None,
        Request::Intend(_, reply) | Request::BeginRun { reply, .. } => answer(reply),
        Request::Conclude(_, reply) | Request::Event(_, reply) | Request::EndRun { reply, .. } => {
            answer(reply)
        }
        Request::Recent { reply, .. }
        | Request::OpenIntents { reply, .. }
        | Request::Undoable { reply, .. } => answer(reply),
        Request::Halts(reply) => answer(reply),
    }
}

/// Numbers have no gaps, so that the newest `kept` are those above this.
fn forget_old_ticks(db: &Connection, kept: u64) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM ticks WHERE id <= (SELECT max(id) FROM ticks) - ?1")?
        .execute((rows::int(kept),))?;
    Ok(())
}
