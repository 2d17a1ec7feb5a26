//! Numbers entries, keeps the newest in memory, and has them written. It must uphold that an entry that is not in the store is in
//! memory, unless the store takes nothing for so long that memory would run out.
//!
//! Made by `flyball-host`; read by `reader`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use flyball_model::{ActionRecord, EntryNumber, EventRecord, Happened, LogEntry, Outcome, TickRecord};
use flyball_ports::{EventStore, Listener};
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::watch;

use crate::reader::{AheadOfLog, EventReader};

/// Entries in memory that are in the store, too: readers that keep up need no disk.
const TAIL: usize = 1_024;
/// Entries in memory, whether the store has them or not.
const MOST: usize = 16_384;
/// Entries that are written at once.
const BATCH: usize = 1_024;
/// For so long entries are gathered, so that many share the price of one transaction.
const GATHERING: Duration = Duration::from_millis(20);
/// After the store took nothing, until it is offered the same again.
const PAUSE: Duration = Duration::from_secs(1);
/// The same, when the log is closed and somebody waits.
const LAST_PAUSE: Duration = Duration::from_millis(50);

/// The log of one run of a host. Copies are the same log.
#[derive(Clone)]
pub struct EventLog {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    tail: Mutex<Tail>,
    /// Wakes the writer: there is something to write, or the log is closed.
    work: Condvar,
    /// Wakes whoever waits for the writer.
    written: Condvar,
    pub(crate) store: Option<Arc<dyn EventStore>>,
    /// The newest entry's number, and whether there will be no more.
    pub(crate) newest: watch::Sender<(EntryNumber, bool)>,
}

/// The newest entries, without a gap between them.
struct Tail {
    newest: EntryNumber,
    entries: VecDeque<Arc<LogEntry>>,
    /// The place up to which the store has them.
    stored: u64,
    lost: u64,
    /// Takes no more; until then what there is may be written.
    closed: Option<Instant>,
}

impl EventLog {
    /// Of this run, whose number was never given before. Without a store, entries are in memory only, and the oldest go.
    ///
    /// # Errors
    ///
    /// The machine gives no thread.
    pub fn start(run: u64, store: Option<Arc<dyn EventStore>>) -> std::io::Result<Self> {
        let newest = EntryNumber { run, place: 0 };
        let tail = Tail { newest, entries: VecDeque::new(), stored: 0, lost: 0, closed: None };
        let shared = Arc::new(Shared {
            tail: Mutex::new(tail),
            work: Condvar::new(),
            written: Condvar::new(),
            store,
            newest: watch::channel((newest, false)).0,
        });
        if let Some(store) = shared.store.clone() {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("event-log".to_owned())
                .spawn(move || shared.write_until_closed(&*store))?;
        }
        Ok(Self { shared })
    }

    /// Numbers it and hands it to readers. What comes after [`EventLog::close`] is not taken: none.
    pub fn append(&self, happened: Happened) -> Option<EntryNumber> {
        let mut tail = self.shared.tail.lock();
        if tail.closed.is_some() {
            return None;
        }
        tail.newest.place += 1;
        let number = tail.newest;
        tail.entries.push_back(Arc::new(LogEntry { number, happened }));
        tail.trim(self.shared.store.is_some());
        // Under the lock, so that numbers are told in order.
        self.shared.newest.send_replace((number, false));
        drop(tail);
        self.shared.work.notify_one();
        Some(number)
    }

    /// The number of the newest entry; place 0: there is none yet.
    pub fn newest(&self) -> EntryNumber {
        self.shared.tail.lock().newest
    }

    /// Reads what comes after this number.
    ///
    /// # Errors
    ///
    /// No entry has that number yet, so nobody can have read it.
    pub fn reader(&self, after: EntryNumber) -> Result<EventReader, AheadOfLog> {
        let newest = self.newest();
        if after > newest {
            return Err(AheadOfLog { after, newest });
        }
        Ok(EventReader::new(self.clone(), after))
    }

    /// Entries that no disk had when they had to go from memory.
    pub fn lost(&self) -> u64 {
        self.shared.tail.lock().lost
    }

    /// Takes no more entries, and waits no longer than this until those that there are have been written. Whether they have;
    /// `true` also where there is no store. Readers get what there is, and then the end.
    pub fn close(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut tail = self.shared.tail.lock();
        tail.closed = Some(until);
        self.shared.newest.send_replace((tail.newest, true));
        self.shared.work.notify_one();
        while self.shared.store.is_some() && tail.stored < tail.newest.place {
            if self.shared.written.wait_until(&mut tail, until).timed_out() {
                return tail.stored >= tail.newest.place;
            }
        }
        true
    }
}

impl Tail {
    /// Lets go what need not, or can no longer, be in memory.
    fn trim(&mut self, is_stored: bool) {
        while let Some(oldest) = self.entries.front() {
            let has_it = !is_stored || oldest.number.place <= self.stored;
            if self.entries.len() <= TAIL || (!has_it && self.entries.len() <= MOST) {
                return;
            }
            self.lost += u64::from(!has_it);
            self.entries.pop_front();
        }
    }
}

/// Where a reader finds what comes after a number.
pub(crate) enum Found {
    /// In memory.
    Entry(Arc<LogEntry>),
    /// In the store, if anywhere. If the store has nothing up to this number, what comes after it is in memory.
    Store(EntryNumber),
    /// There is none yet.
    Nothing,
}

impl Shared {
    pub(crate) fn find(&self, after: EntryNumber) -> Found {
        let tail = self.tail.lock();
        if after >= tail.newest {
            return Found::Nothing;
        }
        let in_memory = u64::try_from(tail.entries.len()).unwrap_or(u64::MAX);
        let before = EntryNumber { place: tail.newest.place - in_memory, ..tail.newest };
        if after < before {
            return Found::Store(before);
        }
        let index = usize::try_from(after.place - before.place).unwrap_or(usize::MAX);
        tail.entries.get(index).map_or(Found::Nothing, |entry| Found::Entry(Arc::clone(entry)))
    }

    /// For so long, whatever is appended meanwhile; less when the log is closed.
    fn rest(&self, tail: &mut MutexGuard<'_, Tail>, time: Duration) {
        let until = Instant::now() + time;
        while tail.closed.is_none() && !self.work.wait_until(tail, until).timed_out() {}
    }

    fn write_until_closed(&self, store: &dyn EventStore) {
        let mut failing = false;
        loop {
            let batch = {
                let mut tail = self.tail.lock();
                while tail.closed.is_none() && tail.stored >= tail.newest.place {
                    self.work.wait(&mut tail);
                }
                self.rest(&mut tail, GATHERING);
                let stored = tail.stored;
                let waiting = tail.entries.iter().filter(|entry| entry.number.place > stored);
                waiting.take(BATCH).cloned().collect::<Vec<_>>()
            };
            let Some(last) = batch.last().map(|entry| entry.number.place) else { break };
            match store.write(&batch) {
                Ok(()) => {
                    let mut tail = self.tail.lock();
                    if std::mem::take(&mut failing) && tail.lost > 0 {
                        tracing::error!(
                            entries = tail.lost,
                            "entries are not in the event log, as it could not be written"
                        );
                    }
                    tail.stored = last;
                    tail.trim(true);
                    self.written.notify_all();
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "the event log is in memory only, until it can be written again");
                    }
                    failing = true;
                    let mut tail = self.tail.lock();
                    self.rest(&mut tail, PAUSE);
                    match tail.closed {
                        Some(until) if Instant::now() >= until => {
                            let entries = tail.newest.place - tail.stored;
                            tracing::error!(entries, "the event log could not be written to its end");
                            break;
                        }
                        Some(_) => drop(self.work.wait_for(&mut tail, LAST_PAUSE)),
                        None => {}
                    }
                }
            }
        }
    }
}

/// What the loop tells is an entry, but for quiet ticks.
impl Listener for EventLog {
    fn tick(&self, record: &Arc<TickRecord>) {
        if !record.is_quiet() {
            self.append(Happened::Tick(Arc::clone(record)));
        }
    }

    fn concluded(&self, action: &ActionRecord, outcome: Outcome) {
        self.append(Happened::Concluded(Arc::new(ActionRecord { outcome, ..action.clone() })));
    }

    fn event(&self, event: &EventRecord) {
        self.append(Happened::Event(event.clone()));
    }
}

impl std::fmt::Debug for EventLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLog").field("newest", &self.newest()).finish_non_exhaustive()
    }
}
