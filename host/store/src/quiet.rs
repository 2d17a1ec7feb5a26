//! Ticks on which nothing was found, so that they can be explained, too. There are many of them and hardly any is asked for,
//! so they are not in the journal, whose chain keeps something of each tick for good: they go round in a file of a bounded
//! size, which may be thrown away and is never waited for.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flyball_model::{ActionRecord, Outcome, TickRecord, UnixMillis};
use flyball_ports::Listener;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};

use crate::recordings::{packed, squeezed, whole};
use crate::rows::{int, uint};
use crate::side_file::{PATIENCE, open_to_write, version};

/// Its name in a state directory.
pub(crate) const FILE: &str = "quiet-ticks.db";

/// Of all sessions together; older ones are forgotten. Some 60 MB.
pub const QUIET_TICKS_KEPT: u64 = 100_000;

const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE ticks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session TEXT NOT NULL,
        tick INTEGER NOT NULL,
        at INTEGER NOT NULL,
        record BLOB NOT NULL
    ) STRICT;
    CREATE INDEX ticks_by_session ON ticks (session, tick);";

/// Ticks that may wait for the writer.
const QUEUE: usize = 16_384;

/// More than this are not written in one transaction.
const LARGEST_BATCH: usize = 4_096;

/// For so long ticks are gathered, so that many sessions share the price of one transaction.
const GATHERING: Duration = Duration::from_millis(250);

/// After the file could not be written, until that is tried again.
const PAUSE: Duration = Duration::from_secs(30);

/// Keeps quiet ticks, in a thread of its own. Tell it of all ticks: it takes those that are quiet.
pub struct QuietTicks {
    /// None only while it is dropped.
    messages: Option<SyncSender<Message>>,
    writer: Option<JoinHandle<()>>,
    dropped: Arc<AtomicU64>,
}

enum Message {
    Tick(Arc<TickRecord>),
    /// To be answered when what came before is written.
    Settle(SyncSender<()>),
}

impl QuietTicks {
    /// In this state directory. A file that cannot be opened is no error: ticks are dropped, and it is tried again.
    ///
    /// # Errors
    ///
    /// The machine gives no thread.
    pub fn start(directory: &Path) -> std::io::Result<Self> {
        Self::keeping(directory, QUIET_TICKS_KEPT)
    }

    /// Like [`QuietTicks::start`], and keeps this many.
    ///
    /// # Errors
    ///
    /// As for [`QuietTicks::start`].
    pub fn keeping(directory: &Path, kept: u64) -> std::io::Result<Self> {
        let (messages, received) = mpsc::sync_channel(QUEUE);
        let dropped = Arc::<AtomicU64>::default();
        let writer = Writer {
            path: path(directory),
            kept,
            dropped: Arc::clone(&dropped),
            db: None,
            open_at: Instant::now(),
        };
        let writer =
            thread::Builder::new().name("quiet-ticks".to_owned()).spawn(move || writer.serve(&received))?;
        Ok(Self { messages: Some(messages), writer: Some(writer), dropped })
    }

    /// Quiet ticks that are not kept, because the disk could not keep up or failed.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until what was told before is written or dropped, but no longer than this. Whether it is.
    pub fn settle(&self, patience: Duration) -> bool {
        let Some(messages) = &self.messages else { return false };
        let (reply, answer) = mpsc::sync_channel(1);
        messages.try_send(Message::Settle(reply)).is_ok() && answer.recv_timeout(patience).is_ok()
    }
}

impl Listener for QuietTicks {
    fn tick(&self, record: &Arc<TickRecord>) {
        if !record.is_quiet() {
            return;
        }
        let sent = self
            .messages
            .as_ref()
            .is_some_and(|messages| messages.try_send(Message::Tick(Arc::clone(record))).is_ok());
        if !sent {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn concluded(&self, _: &ActionRecord, _: Outcome) {}
}

/// Waits for what is queued to be written.
impl Drop for QuietTicks {
    fn drop(&mut self) {
        drop(self.messages.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of quiet ticks broke off");
        }
    }
}

impl fmt::Debug for QuietTicks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuietTicks").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

struct Writer {
    path: PathBuf,
    kept: u64,
    dropped: Arc<AtomicU64>,
    db: Option<Connection>,
    /// Not before this.
    open_at: Instant,
}

impl Writer {
    /// Until whoever tells is gone, and all that they told is written.
    fn serve(mut self, messages: &Receiver<Message>) {
        while let Ok(first) = messages.recv() {
            let until = Instant::now() + GATHERING;
            let mut ticks = VecDeque::new();
            let mut waiting = None;
            let mut next = Some(first);
            while let Some(message) = next.take() {
                match message {
                    Message::Tick(tick) => ticks.push_back(tick),
                    Message::Settle(reply) => {
                        waiting = Some(reply);
                        break;
                    }
                }
                if ticks.len() < LARGEST_BATCH {
                    next = messages.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
                }
            }
            self.write(&ticks);
            if let Some(reply) = waiting {
                // Who no longer waits needs no answer.
                let _ = reply.send(());
            }
        }
    }

    fn write(&mut self, ticks: &VecDeque<Arc<TickRecord>>) {
        let written = match self.open() {
            Some(mut db) => {
                let written = commit(&mut db, ticks, self.kept);
                if written.is_ok() {
                    self.db = Some(db);
                }
                written
            }
            // Why there is none was said when it was given up.
            None => {
                self.dropped.fetch_add(ticks.len() as u64, Ordering::Relaxed);
                return;
            }
        };
        if let Err(why) = written {
            self.dropped.fetch_add(ticks.len() as u64, Ordering::Relaxed);
            self.give_up(&why);
        }
    }

    fn open(&mut self) -> Option<Connection> {
        if let Some(db) = self.db.take() {
            return Some(db);
        }
        if Instant::now() < self.open_at {
            return None;
        }
        match open_to_write(&self.path, TABLES, VERSION) {
            Ok(db) => Some(db),
            Err(why) => {
                self.give_up(&why);
                None
            }
        }
    }

    /// For a while.
    fn give_up(&mut self, why: &str) {
        tracing::warn!(path = %self.path.display(), why, "quiet ticks are not kept, and cannot be explained");
        self.open_at = Instant::now() + PAUSE;
    }
}

fn commit(db: &mut Connection, ticks: &VecDeque<Arc<TickRecord>>, kept: u64) -> Result<(), String> {
    let mut rows = Vec::with_capacity(ticks.len());
    for tick in ticks {
        let record = TickRecord { costs: Vec::new(), ..TickRecord::clone(tick) };
        let record = packed(&record).map_err(|error| error.to_string())?;
        rows.push((tick, squeezed(&record).map_err(|error| error.to_string())?));
    }
    let mut committed = || -> rusqlite::Result<()> {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (tick, record) in &rows {
            transaction
                .prepare_cached("INSERT INTO ticks (session, tick, at, record) VALUES (?1, ?2, ?3, ?4)")?
                .execute((&*tick.session, int(tick.tick), int(tick.at), record))?;
        }
        let newest = transaction.last_insert_rowid();
        let oldest: Option<i64> = transaction.query_row("SELECT min(id) FROM ticks", (), |row| row.get(0))?;
        let kept = int(kept);
        if oldest.is_some_and(|oldest| newest - oldest > kept + kept / 100) {
            transaction.execute("DELETE FROM ticks WHERE id <= ?1", (newest - kept,))?;
        }
        transaction.commit()
    };
    committed().map_err(|error| error.to_string())
}

fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

/// The quiet ticks cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the quiet ticks in {path} cannot be read: {cause}; move it away, and new ones are kept")]
pub struct QuietTicksError {
    path: PathBuf,
    cause: String,
}

/// Reads quiet ticks while a host may be keeping more, also from another process.
#[derive(Debug)]
pub struct QuietTicksReader {
    path: PathBuf,
    db: Connection,
}

impl QuietTicksReader {
    /// Of this state directory; none: nothing was ever kept there.
    ///
    /// # Errors
    ///
    /// They cannot be read, or a newer Flyball kept them.
    pub fn open(directory: &Path) -> Result<Option<Self>, QuietTicksError> {
        let path = path(directory);
        if !path.exists() {
            return Ok(None);
        }
        let failed = |cause: String| QuietTicksError { path: path.clone(), cause };
        let opened = || -> rusqlite::Result<(Connection, i64)> {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let db = Connection::open_with_flags(&path, flags)?;
            db.busy_timeout(PATIENCE)?;
            let version = version(&db)?;
            Ok((db, version))
        };
        match opened().map_err(|error| failed(error.to_string()))? {
            (_, 0) => Ok(None),
            (db, VERSION) => Ok(Some(Self { path, db })),
            (_, newer) => {
                Err(failed(format!("it has version {newer} and this Flyball knows up to {VERSION}")))
            }
        }
    }

    /// The newest tick of a session, of that number or of any.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub fn newest(&self, session: &str, number: Option<u64>) -> Result<Option<TickRecord>, QuietTicksError> {
        let sql = "SELECT record FROM ticks WHERE session = ?1 AND (?2 IS NULL OR tick = ?2)
                   ORDER BY id DESC LIMIT 1";
        let found: Option<Vec<u8>> =
            self.asked(|db| db.query_row(sql, (session, number.map(int)), |row| row.get(0)).optional())?;
        let read = |record: Vec<u8>| whole(&record).map_err(|error| self.failed(error.to_string()));
        found.map(read).transpose()
    }

    /// The sessions of which ticks are kept, by name.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub fn sessions(&self) -> Result<Vec<String>, QuietTicksError> {
        self.asked(|db| {
            db.prepare("SELECT DISTINCT session FROM ticks ORDER BY session")?
                .query_map((), |row| row.get(0))?
                .collect()
        })
    }

    /// The lowest and the highest number of those of a session that were observed at this time or later.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub fn numbers(&self, session: &str, since: UnixMillis) -> Result<Option<(u64, u64)>, QuietTicksError> {
        let sql =
            "SELECT min(tick) AS lowest, max(tick) AS highest FROM ticks WHERE session = ?1 AND at >= ?2
                   HAVING count(*) > 0";
        self.asked(|db| {
            db.query_row(sql, (session, int(since)), |row| Ok((uint(row, "lowest")?, uint(row, "highest")?)))
                .optional()
        })
    }

    fn asked<T>(&self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, QuietTicksError> {
        ask(&self.db).map_err(|error| self.failed(error.to_string()))
    }

    fn failed(&self, cause: String) -> QuietTicksError {
        QuietTicksError { path: self.path.clone(), cause }
    }
}
