use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use flyball_model::{ActionRecord, EventRecord, Halt, Learned, TickRecord, UnixMillis};
use flyball_ports::{Clock, Journal, JournalError, SystemClock};
use rusqlite::Connection;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::chain::End;
use crate::request::{Read, Reply, Request, Write};
use crate::writer::{Now, Writer};
use crate::{ChainEnd, Reader, StoreError, file};

/// Older ticks are forgotten when there are more; actions are kept.
pub const TICKS_KEPT: u64 = 100_000;

/// Requests that may wait for the writer.
const QUEUE: usize = 1_024;

/// The journal of a running host.
pub struct Store {
    directory: PathBuf,
    /// None only while it is dropped.
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
    dropped_ticks: Arc<AtomicU64>,
}

impl Store {
    /// Opens the journal in this state directory, and begins it if there is none.
    ///
    /// # Errors
    ///
    /// It cannot be written, is damaged, was written by a newer Flyball, or is of version 1, which a person takes over by
    /// [`crate::migrate`].
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        Self::keeping(directory, TICKS_KEPT)
    }

    /// Like [`Store::open`], and keeps this many ticks.
    ///
    /// # Errors
    ///
    /// As for [`Store::open`].
    pub fn keeping(directory: &Path, ticks: u64) -> Result<Self, StoreError> {
        Self::on(directory, file::open_to_write(directory)?, ticks)
    }

    pub(crate) fn on(directory: &Path, connection: Connection, ticks: u64) -> Result<Self, StoreError> {
        let path = file::path(directory);
        let chain = End::of(&connection).map_err(|error| StoreError::of(&path, &error))?;
        let (requests, received) = mpsc::channel(QUEUE);
        let dropped_ticks = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            path: path.clone(),
            connection,
            ticks_kept: ticks,
            dropped_ticks: Arc::clone(&dropped_ticks),
            now: Now { run: None, chain },
            damaged: None,
        };
        let writer = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.serve(received))
            .map_err(|error| StoreError::unopenable(&path, &error))?;
        Ok(Self {
            directory: directory.to_owned(),
            requests: Some(requests),
            writer: Some(writer),
            dropped_ticks,
        })
    }

    /// Begins a run: what is recorded from now on is recorded as its. Its number.
    ///
    /// # Errors
    ///
    /// The journal cannot be written.
    pub async fn begin_run(&self) -> Result<u64, StoreError> {
        self.begin_run_at(SystemClock.now()).await
    }

    /// The same, where the time is simulated.
    ///
    /// # Errors
    ///
    /// As for [`Store::begin_run`].
    pub async fn begin_run_at(&self, at: UnixMillis) -> Result<u64, StoreError> {
        self.write(|reply| Write::BeginRun { at, reply }).await
    }

    /// Ends a run. All that was recorded before, ticks too, is on disk when it returns.
    ///
    /// # Errors
    ///
    /// There is no such run, or the journal cannot be written.
    pub async fn end_run(&self, run: u64) -> Result<(), StoreError> {
        let at = SystemClock.now();
        self.write(|reply| Write::EndRun { run, at, reply }).await
    }

    /// How far its chain goes, of what is committed.
    ///
    /// # Errors
    ///
    /// The journal's writer has stopped.
    pub async fn chain_end(&self) -> Result<ChainEnd, StoreError> {
        self.read(Read::ChainEnd).await
    }

    /// Ticks that are not in the journal because it could not keep up, or failed.
    pub fn dropped_ticks(&self) -> u64 {
        self.dropped_ticks.load(Ordering::Relaxed)
    }

    async fn write<T>(&self, write: impl FnOnce(Reply<T>) -> Write) -> Result<T, StoreError> {
        self.ask(|reply| Request::Write(write(reply))).await
    }

    async fn read<T>(&self, read: impl FnOnce(Reply<T>) -> Read) -> Result<T, StoreError> {
        self.ask(|reply| Request::Read(read(reply))).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, StoreError> {
        let requests = self.requests.as_ref().ok_or(StoreError::Stopped)?;
        let (reply, answer) = oneshot::channel();
        requests.send(request(reply)).await.map_err(|_| StoreError::Stopped)?;
        answer.await.unwrap_or(Err(StoreError::Stopped))
    }
}

#[async_trait]
impl Journal for Store {
    async fn intend(&self, intent: &ActionRecord) -> Result<u64, JournalError> {
        let intent = Box::new(intent.clone());
        self.write(|reply| Write::Intend(intent, reply)).await.map_err(told)
    }

    async fn conclude(&self, action: &ActionRecord) -> Result<(), JournalError> {
        let action = Box::new(action.clone());
        self.write(|reply| Write::Conclude(action, reply)).await.map_err(told)
    }

    /// A session never waits for its ticks to be written: what finds the queue full is dropped and counted.
    async fn tick(&self, record: &Arc<TickRecord>) -> Result<(), JournalError> {
        let requests = self.requests.as_ref().ok_or_else(|| told(StoreError::Stopped))?;
        match requests.try_reserve() {
            Ok(place) => {
                place.send(Request::Write(Write::Tick(Arc::clone(record))));
                Ok(())
            }
            Err(TrySendError::Full(())) => {
                self.dropped_ticks.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(TrySendError::Closed(())) => Err(told(StoreError::Stopped)),
        }
    }

    async fn record(&self, event: &EventRecord) -> Result<(), JournalError> {
        let event = Box::new(event.clone());
        self.write(|reply| Write::Event(event, reply)).await.map_err(told)
    }

    async fn recent(&self, session: &str, count: usize) -> Result<Vec<ActionRecord>, JournalError> {
        let session = session.to_owned();
        self.read(|reply| Read::Recent { session, count, reply }).await.map_err(told)
    }

    async fn open_intents(&self, session: &str) -> Result<Vec<ActionRecord>, JournalError> {
        let session = session.to_owned();
        self.read(|reply| Read::OpenIntents { session, reply }).await.map_err(told)
    }

    async fn resumed_at(&self, session: &str) -> Result<Option<UnixMillis>, JournalError> {
        let session = session.to_owned();
        self.read(|reply| Read::ResumedAt { session, reply }).await.map_err(told)
    }

    async fn halts(&self) -> Result<Vec<Halt>, JournalError> {
        self.read(Read::Halts).await.map_err(told)
    }

    /// It looks at everything that was ever done, so it does so beside the writer and not in its way.
    async fn learned(&self) -> Result<Vec<Learned>, JournalError> {
        let directory = self.directory.clone();
        let learned = tokio::task::spawn_blocking(move || Reader::open(&directory)?.learned());
        learned.await.unwrap_or(Err(StoreError::Stopped)).map_err(told)
    }

    async fn undoable(&self, session: &str, count: usize) -> Result<Vec<ActionRecord>, JournalError> {
        let session = session.to_owned();
        self.read(|reply| Read::Undoable { session, count, reply }).await.map_err(told)
    }
}

fn told(error: StoreError) -> JournalError {
    JournalError(error.to_string())
}

/// Waits for what is queued to be written.
impl Drop for Store {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the journal's writer broke off");
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("dropped_ticks", &self.dropped_ticks()).finish_non_exhaustive()
    }
}
