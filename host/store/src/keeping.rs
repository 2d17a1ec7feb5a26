//! What plugins keep between calls, in a file of its own: it is small, and recordings may be thrown away and a journal
//! moved without it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flyball_model::printable_path;
use flyball_ports::{Changes, Keeper};
use parking_lot::Mutex;
use rusqlite::{Connection, TransactionBehavior};

use crate::side_file::open_to_write;

const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE kept (
        plugin TEXT NOT NULL,
        session TEXT NOT NULL,
        key TEXT NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (plugin, session, key)
    ) STRICT, WITHOUT ROWID;";

/// After changes could not be written, until that is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// A plugin and a session.
type Owner = (String, String);

/// What is not on disk yet. It is bounded as what plugins keep is: a key that is changed twice waits once.
#[derive(Default)]
struct Waiting {
    changes: Mutex<HashMap<Owner, Changes>>,
    /// Held while changes are on their way from here to the disk, where whoever loads would miss them.
    under_way: Mutex<()>,
}

/// Keeps what plugins keep, on disk. Changes are written by a thread of its own, so that no call waits for the disk.
pub struct PluginStates {
    path: PathBuf,
    waiting: Arc<Waiting>,
    /// None only while it is dropped.
    wake: Option<SyncSender<()>>,
    writer: Option<JoinHandle<()>>,
}

impl PluginStates {
    /// In this state directory. Whether its file is sound shows when something is loaded.
    ///
    /// # Errors
    ///
    /// The machine gives no thread.
    pub fn open(directory: &Path) -> std::io::Result<Self> {
        let path = directory.join("plugin-state.db");
        let waiting = Arc::<Waiting>::default();
        // One waiting call to wake up is as good as many.
        let (wake, woken) = mpsc::sync_channel(1);
        let writer = Writer { path: path.clone(), waiting: Arc::clone(&waiting), db: None };
        let writer =
            thread::Builder::new().name("plugin-state".to_owned()).spawn(move || writer.serve(&woken))?;
        Ok(Self { path, waiting, wake: Some(wake), writer: Some(writer) })
    }
}

impl PluginStates {
    /// Waits until what was kept before is on disk, but no longer than this. Whether it is.
    pub fn settle(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            let under_way = self.waiting.under_way.try_lock_until(until);
            if under_way.is_some() && self.waiting.changes.lock().is_empty() {
                return true;
            }
            drop(under_way);
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Keeper for PluginStates {
    fn load(&self, plugin: &str, session: &str) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let explained = |error: String| {
            let path = printable_path(&self.path);
            format!("{path}: {error}; make it readable, or move it away and the plugin begins anew")
        };
        let _written = self.waiting.under_way.lock();
        let mut kept = open_to_write(&self.path, TABLES, VERSION)
            .and_then(|db| stored(&db, plugin, session).map_err(|error| error.to_string()))
            .map_err(explained)?;
        if let Some(changes) = self.waiting.changes.lock().get(&(plugin.to_owned(), session.to_owned())) {
            for (key, value) in changes {
                match value {
                    Some(value) => drop(kept.insert(key.clone(), value.clone())),
                    None => drop(kept.remove(key)),
                }
            }
        }
        Ok(kept)
    }

    fn keep(&self, plugin: &str, session: &str, changes: Changes) {
        let owner = (plugin.to_owned(), session.to_owned());
        self.waiting.changes.lock().entry(owner).or_default().extend(changes);
        if let Some(wake) = &self.wake {
            // When it is full the writer is about to look.
            let _ = wake.try_send(());
        }
    }
}

struct Writer {
    path: PathBuf,
    waiting: Arc<Waiting>,
    db: Option<Connection>,
}

impl Writer {
    fn serve(mut self, woken: &Receiver<()>) {
        let mut said = None;
        loop {
            let ended = match woken.recv_timeout(PAUSE) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            match self.write() {
                Ok(()) => said = None,
                Err(why) => {
                    self.db = None;
                    if said.as_ref() != Some(&why) {
                        tracing::error!(path = %self.path.display(), %why, "what plugins keep is not on disk");
                        said = Some(why);
                    }
                }
            }
            if ended {
                return;
            }
        }
    }

    /// What could not be written waits on, under what was changed since.
    fn write(&mut self) -> Result<(), String> {
        let all = Arc::clone(&self.waiting);
        let _under_way = all.under_way.lock();
        let taken = std::mem::take(&mut *all.changes.lock());
        if taken.is_empty() {
            return Ok(());
        }
        let written = self.commit(&taken);
        if written.is_err() {
            let mut waiting = all.changes.lock();
            for (owner, mut changes) in taken {
                let newer = waiting.entry(owner).or_default();
                changes.append(newer);
                *newer = changes;
            }
        }
        written
    }

    fn commit(&mut self, all: &HashMap<Owner, Changes>) -> Result<(), String> {
        let db = match &mut self.db {
            Some(db) => db,
            none => none.insert(open_to_write(&self.path, TABLES, VERSION)?),
        };
        let mut committed = || -> rusqlite::Result<()> {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for ((plugin, session), changes) in all {
                for (key, value) in changes {
                    match value {
                        Some(value) => transaction
                            .prepare_cached("INSERT OR REPLACE INTO kept VALUES (?1, ?2, ?3, ?4)")?
                            .execute((plugin, session, key, value))?,
                        None => transaction
                            .prepare_cached(
                                "DELETE FROM kept WHERE plugin = ?1 AND session = ?2 AND key = ?3",
                            )?
                            .execute((plugin, session, key))?,
                    };
                }
            }
            transaction.commit()
        };
        committed().map_err(|error| error.to_string())
    }
}

fn stored(db: &Connection, plugin: &str, session: &str) -> rusqlite::Result<BTreeMap<String, Vec<u8>>> {
    db.prepare("SELECT key, value FROM kept WHERE plugin = ?1 AND session = ?2")?
        .query_map((plugin, session), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Waits for what is waiting to be written.
impl Drop for PluginStates {
    fn drop(&mut self) {
        drop(self.wake.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of plugin state broke off");
        }
    }
}

impl fmt::Debug for PluginStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginStates").field("path", &self.path).finish_non_exhaustive()
    }
}
