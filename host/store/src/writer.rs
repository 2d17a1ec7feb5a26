//! The one thread that writes. It takes whatever waits into one transaction, so that a hundred sessions that act at
//! once wait for one commit and not for a hundred.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flyball_ports::{Clock, SystemClock};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::mpsc;

use crate::chain::End;
use crate::content::What;
use crate::request::{Read, Reply, Request, Write};
use crate::{ChainEnd, StoreError, events, rows};

/// More than this does not go into one transaction, so that nobody waits long for it.
const LARGEST_BATCH: usize = 256;

pub(crate) struct Writer {
    pub(crate) path: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) ticks_kept: u64,
    pub(crate) dropped_ticks: Arc<AtomicU64>,
    pub(crate) now: Now,
    /// Nothing more is written to a file that was found damaged: what is still whole in it stays so.
    pub(crate) damaged: Option<StoreError>,
}

/// What the next row goes on from; of what is committed only.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    pub(crate) run: Option<i64>,
    pub(crate) chain: End,
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
            self.answer(batch);
        }
    }

    /// Writes first, so that what is read is not older than what was asked before.
    fn answer(&mut self, batch: Vec<Request>) {
        let (mut writes, mut reads) = (Vec::new(), Vec::new());
        for request in batch {
            match request {
                Request::Write(write) => writes.push(write),
                Request::Read(read) => reads.push(read),
            }
        }
        if !writes.is_empty() {
            self.write(writes);
        }
        for read in reads {
            self.read(read);
        }
    }

    fn write(&mut self, batch: Vec<Write>) {
        let ticks = batch.iter().filter(|write| matches!(write, Write::Tick(_))).count();
        let mut answers: Vec<Answer> = Vec::new();
        let written = self.transact(batch, ticks > 0, &mut answers);
        if let Err(error) = &written {
            if ticks > 0 {
                tracing::error!(%error, ticks, "ticks are not in the journal");
                self.dropped_ticks.fetch_add(ticks as u64, Ordering::Relaxed);
            }
            if matches!(error, StoreError::Damaged { .. }) {
                self.damaged = Some(error.clone());
            }
        }
        for answer in answers {
            answer(written.clone());
        }
    }

    /// Whoever no longer waits needs no answer.
    fn read(&self, read: Read) {
        let db = &self.connection;
        let failed = |error| StoreError::of(&self.path, &error);
        match read {
            Read::Recent { session, count, reply } => {
                drop(reply.send(rows::recent(db, &session, count).map_err(failed)));
            }
            Read::OpenIntents { session, reply } => {
                drop(reply.send(rows::open_intents(db, &session).map_err(failed)));
            }
            Read::ResumedAt { session, reply } => {
                drop(reply.send(events::resumed_at(db, &session).map_err(failed)));
            }
            Read::ChainEnd(reply) => {
                let End { id, hash } = self.now.chain;
                drop(reply.send(Ok(ChainEnd { entries: id.cast_unsigned(), head: hash })));
            }
            Read::Halts(reply) => drop(reply.send(events::halts(db).map_err(failed))),
            Read::Undoable { session, count, reply } => {
                drop(reply.send(rows::undoable(db, &session, count).map_err(failed)));
            }
        }
    }

    /// All of the batch is committed or none of it; what fails by itself is left out, whole.
    fn transact(
        &mut self,
        batch: Vec<Write>,
        prune: bool,
        answers: &mut Vec<Answer>,
    ) -> Result<(), StoreError> {
        let Self { path, connection, now, dropped_ticks, ticks_kept, damaged } = self;
        let trouble = RefCell::new(damaged.clone());
        let failed = |error: rusqlite::Error| {
            let error = StoreError::of(path, &error);
            trouble.replace(Some(error.clone()));
            error
        };
        let begun = match damaged {
            Some(error) => Err(error.clone()),
            None => begin(connection, *now).map_err(failed),
        };
        let (mut transaction, mut next) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                answers.extend(batch.into_iter().filter_map(refused));
                return Err(error);
            }
        };
        let mut lost_ticks = 0;
        let mut batch = batch.into_iter();
        while let Some(write) = batch.next() {
            match perform(&mut transaction, &mut next, write, &failed) {
                Performed::Answer(answer) => answers.push(answer),
                Performed::Tick(Ok(())) => {}
                Performed::Tick(Err(error)) => {
                    tracing::error!(%error, "a tick is not in the journal");
                    lost_ticks += 1;
                }
            }
            // SQLite itself rolls back when its disk fails; what came next would then be committed alone. And nothing
            // is committed to a file that shows itself as damaged.
            let last = trouble.borrow().clone();
            if let Some(error) = last
                && (transaction.is_autocommit() || matches!(error, StoreError::Damaged { .. }))
            {
                answers.extend(batch.filter_map(refused));
                return Err(error);
            }
        }
        if prune
            && let Err(error) = forget_old_ticks(&mut transaction, &mut next, *ticks_kept).map_err(failed)
        {
            tracing::error!(%error, "old ticks are still in the journal");
        }
        transaction.commit().map_err(failed)?;
        *now = next;
        dropped_ticks.fetch_add(lost_ticks, Ordering::Relaxed);
        Ok(())
    }
}

fn begin(connection: &mut Connection, now: Now) -> rusqlite::Result<(Transaction<'_>, Now)> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let chain = now.chain.again(&transaction)?;
    Ok((transaction, Now { chain, ..now }))
}

/// All of it is written, or nothing: no row without its entry in the chain.
fn whole<T>(
    transaction: &mut Transaction<'_>,
    now: &mut Now,
    write: impl FnOnce(&Connection, &mut Now) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let savepoint = transaction.savepoint()?;
    let mut next = *now;
    let written = write(&savepoint, &mut next)?;
    savepoint.commit()?;
    *now = next;
    Ok(written)
}

enum Performed {
    Answer(Answer),
    Tick(Result<(), StoreError>),
}

fn perform(
    transaction: &mut Transaction<'_>,
    now: &mut Now,
    write: Write,
    failed: &impl Fn(rusqlite::Error) -> StoreError,
) -> Performed {
    let at = SystemClock.now();
    match write {
        Write::Intend(action, reply) => {
            let intended = whole(transaction, now, |db, now| {
                let id = rows::insert_action(db, now.run, &action)?;
                now.chain.add(db, at, What::Intent, id).map(|()| id.cast_unsigned())
            });
            later(reply, intended.map_err(failed))
        }
        Write::Conclude(action, reply) => {
            let known = whole(transaction, now, |db, now| {
                let known = rows::conclude_action(db, at, &action)?;
                if known {
                    now.chain.add(db, at, What::Outcome, rows::int(action.id))?;
                }
                Ok(known)
            });
            later(reply, known.map_err(failed).and_then(|known| known_or(known, "action", action.id)))
        }
        Write::Tick(tick) => {
            let written = whole(transaction, now, |db, now| {
                let id = rows::insert_tick(db, now.run, &tick)?;
                now.chain.add(db, at, What::Tick, id)
            });
            Performed::Tick(written.map_err(failed))
        }
        Write::Event(event, reply) => {
            let written = whole(transaction, now, |db, now| {
                let id = events::insert(db, now.run, &event)?;
                now.chain.add(db, at, What::Event, id)
            });
            later(reply, written.map_err(failed))
        }
        Write::BeginRun { at, reply } => {
            let begun = whole(transaction, now, |db, now| {
                let id = rows::begin_run(db, at)?;
                now.run = Some(id);
                now.chain.add(db, at, What::Run, id).map(|()| id.cast_unsigned())
            });
            later(reply, begun.map_err(failed))
        }
        Write::EndRun { run: id, at, reply } => {
            let known = whole(transaction, now, |db, now| {
                let known = rows::end_run(db, id, at)?;
                if known {
                    now.chain.add(db, at, What::RunEnded, rows::int(id))?;
                }
                if now.run == Some(rows::int(id)) {
                    now.run = None;
                }
                Ok(known)
            });
            later(reply, known.map_err(failed).and_then(|known| known_or(known, "run", id)))
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

fn refused(write: Write) -> Option<Answer> {
    fn answer<T: 'static>(reply: Reply<T>) -> Option<Answer> {
        Some(Box::new(move |committed| {
            if let Err(error) = committed {
                drop(reply.send(Err(error)));
            }
        }))
    }
    match write {
        Write::Tick(_) => None,
        Write::Intend(_, reply) | Write::BeginRun { reply, .. } => answer(reply),
        Write::Conclude(_, reply) | Write::Event(_, reply) | Write::EndRun { reply, .. } => answer(reply),
    }
}

/// Numbers have no gaps, so that the newest `kept` are those above this. Many are forgotten at once, as it is an entry of
/// the chain each time.
fn forget_old_ticks(transaction: &mut Transaction<'_>, now: &mut Now, kept: u64) -> rusqlite::Result<()> {
    let (oldest, newest): (Option<i64>, Option<i64>) = transaction
        .prepare_cached("SELECT (SELECT min(id) FROM ticks), (SELECT max(id) FROM ticks)")?
        .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(oldest), Some(newest)) = (oldest, newest) else { return Ok(()) };
    let last = newest.saturating_sub(rows::int(kept));
    if last - oldest < rows::int(kept / 100) {
        return Ok(());
    }
    whole(transaction, now, |db, now| {
        db.prepare_cached("DELETE FROM ticks WHERE id <= ?1")?.execute((last,))?;
        now.chain.add(db, SystemClock.now(), What::ForgotTicks, last)
    })
}
