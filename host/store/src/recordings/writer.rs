//! The one thread that writes recordings.

use std::cell::Cell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use flyball_ports::{CallRecord, Clock, SystemClock};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::call::CallRow;
use super::file::{self, Room};
use super::found::Found;
use super::parts::{Batch, Parts, Unwritable};
use super::{Counts, Message, RecordingsError, RecordingsOptions, Which, retention};

/// More calls than this are not taken from the queue at once.
const LARGEST_BATCH: usize = 64;

/// How long it does without a file that could not be opened or written, before it tries again.
const PAUSE: Duration = Duration::from_secs(30);

/// How often calls are looked at for their age.
const AGEING: Duration = Duration::from_secs(600);

pub(crate) struct Writer {
    directory: PathBuf,
    options: RecordingsOptions,
    room: Room,
    counts: Arc<Counts>,
    db: Option<Connection>,
    /// Not before this.
    open_at: Instant,
    aged: Option<Instant>,
    parts: Parts,
    found: Found,
    batch: i64,
}

impl Writer {
    pub(crate) fn new(directory: PathBuf, options: RecordingsOptions, counts: Arc<Counts>) -> Self {
        Self {
            directory,
            room: Room::of(options.most_bytes),
            parts: Parts::new(super::mask::Mask::new(&options.mask)),
            options,
            counts,
            db: None,
            open_at: Instant::now(),
            aged: None,
            found: Found::default(),
            batch: 0,
        }
    }

    /// Until whoever records is gone, and all that they recorded is written.
    pub(crate) fn serve(mut self, messages: &Receiver<Message>) {
        // So that what is wrong with the file is known before a call needs it.
        self.open();
        loop {
            match messages.recv_timeout(AGEING) {
                Ok(message) => self.take(message, messages),
                Err(RecvTimeoutError::Timeout) => self.tidy(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, first: Message, messages: &Receiver<Message>) {
        let mut calls = VecDeque::new();
        let mut waiting = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next.take() {
            match message {
                Message::Call(call) => {
                    self.counts.left(super::bytes(&call));
                    match self.options.which {
                        Which::Found => calls.extend(self.found.sort(*call)),
                        Which::All => calls.push_back(*call),
                    }
                }
                Message::Settle(reply) => waiting.push(reply),
            }
            if calls.len() < LARGEST_BATCH {
                next = messages.try_recv().ok();
            }
        }
        if !calls.is_empty() {
            self.write(calls);
            self.tidy();
        }
        for reply in waiting {
            // Who no longer waits needs no answer.
            let _ = reply.send(());
        }
    }

    fn open(&mut self) {
        if self.db.is_some() || Instant::now() < self.open_at {
            return;
        }
        let opened = file::open_to_write(&self.directory, self.room).and_then(|db| {
            let newest = db.query_row("SELECT coalesce(max(batch), 0) FROM calls", (), |row| row.get(0));
            Ok((newest.map_err(|error| self.explained(&error))?, db))
        });
        match opened {
            Ok((newest, db)) => {
                self.batch = newest;
                self.db = Some(db);
                self.tidy();
            }
            Err(error) => self.give_up(error.to_string()),
        }
    }

    /// For a while.
    fn give_up(&mut self, why: String) {
        self.counts.trouble(why);
        self.db = None;
        self.aged = None;
        self.parts.clear();
        self.open_at = Instant::now() + PAUSE;
    }

    fn write(&mut self, mut calls: VecDeque<CallRecord>) {
        self.open();
        // Why there is none was said when it was given up.
        let Some(mut db) = self.db.take() else { return self.counts.dropped(calls.len()) };
        let mut most = LARGEST_BATCH;
        while !calls.is_empty() {
            match self.commit(&mut db, &calls, most) {
                Ok(written) => {
                    calls.drain(..written.min(calls.len()));
                    self.counts.wrote(written);
                }
                Err(Unwritable::Database(error)) if is_full(&error) => {
                    self.parts.clear();
                    // A call that does not fit alone does not fit; the others may.
                    let forgot = retention::forget_oldest(&mut db).unwrap_or(false);
                    if !forgot && most == 1 {
                        calls.pop_front();
                        self.counts.dropped(1);
                        self.counts.trouble(self.explained(&error).to_string());
                    }
                    most = 1;
                }
                Err(error @ Unwritable::TooLarge { .. }) => {
                    self.parts.clear();
                    calls.pop_front();
                    self.counts.dropped(1);
                    self.counts.trouble(error.to_string());
                }
                // What holds it may let go at once.
                Err(Unwritable::Database(error)) if !is_busy(&error) => {
                    self.counts.dropped(calls.len());
                    return self.give_up(self.explained(&error).to_string());
                }
                Err(error) => {
                    self.parts.clear();
                    self.counts.dropped(calls.len());
                    self.counts.trouble(error.to_string());
                    break;
                }
            }
        }
        self.db = Some(db);
        self.parts.tidy();
    }

    /// Commits as many of the first calls as one transaction may hold. How many that were.
    fn commit(
        &mut self,
        db: &mut Connection,
        calls: &VecDeque<CallRecord>,
        most: usize,
    ) -> Result<usize, Unwritable> {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let batch = Batch { db: &transaction, number: self.batch + 1, added: Cell::new(0) };
        let now = SystemClock.now();
        let mut written = 0;
        for call in calls.iter().take(most) {
            let (row, seal) = CallRow::of(&mut self.parts, &batch, now, call.clone())?;
            // Room would be made for it by forgetting all others.
            if row.size() > self.room.call() {
                if written == 0 {
                    return Err(Unwritable::TooLarge { bytes: row.size(), most: self.room.call() });
                }
                break;
            }
            row.insert(&batch, seal)?;
            written += 1;
            if batch.added.get() > self.room.batch() {
                break;
            }
        }
        transaction.commit()?;
        self.batch += 1;
        Ok(written)
    }

    /// Keeps the file within its limits.
    fn tidy(&mut self) {
        let Some(db) = &mut self.db else { return };
        let (room, path) = (self.room, file::path(&self.directory));
        let ageing = self.aged.is_none_or(|aged| aged.elapsed() >= AGEING);
        let oldest = SystemClock.now().saturating_sub(u64::from(self.options.days) * 86_400_000);
        let mut tidied = || -> rusqlite::Result<bool> {
            let mut forgot = ageing;
            if ageing {
                retention::forget_before(db, oldest)?;
            }
            forgot |= retention::forget_for_room(db, room)?;
            if forgot {
                retention::give_back(db, room)?;
                retention::set_bound(db, room)?;
            }
            retention::bound_log(db, &path, room)?;
            Ok(forgot)
        };
        match tidied() {
            Ok(forgot) => {
                if forgot {
                    self.parts.clear();
                }
                if ageing {
                    self.aged = Some(Instant::now());
                }
            }
            // A reader that is busy is no trouble; the bound of the file holds meanwhile.
            Err(error) if is_busy(&error) => self.parts.clear(),
            Err(error) => self.give_up(self.explained(&error).to_string()),
        }
    }

    fn explained(&self, error: &rusqlite::Error) -> RecordingsError {
        RecordingsError::of(&file::path(&self.directory), error)
    }
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
