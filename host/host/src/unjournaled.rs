//! Halts that hold already and are not in the journal yet. A halt holds in memory at once; the journal is told after that, and
//! may be unable to take it: a full disk, a disk that does not answer, a file that is damaged. Then the halt is kept in the
//! reserve (`halt_reserve`), and told to the journal again and again until it is there.
//!
//! Called by `operations` for each halt, on the control thread as a rule, which must not wait for a disk: everything that touches
//! one is done by other threads.

use std::sync::Arc;
use std::time::Duration;

use flyball_model::{Event, EventRecord};
use flyball_ports::Journal;
use flyball_store::Store;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::halt_reserve::HaltReserve;

/// How long whoever halts waits for the journal.
const PATIENCE: Duration = Duration::from_millis(300);
/// How often the journal is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Where a halt is, beside memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In the journal.
    Journal,
    /// In the reserve, as the journal does not take it: why.
    Reserve(String),
    /// Nowhere yet: why.
    Memory(String),
}

pub(crate) struct Unjournaled {
    /// Where the journal is told again and again: the control thread, which is there until the host ends.
    control: Handle,
    store: Arc<Store>,
    reserve: Arc<Mutex<HaltReserve>>,
    /// Oldest first, each with the task that tells it to the journal.
    waiting: Arc<Mutex<Vec<(EventRecord, AbortHandle)>>>,
}

impl Unjournaled {
    pub(crate) fn new(control: Handle, store: Arc<Store>, reserve: HaltReserve) -> Self {
        Self { control, store, reserve: Arc::new(Mutex::new(reserve)), waiting: Arc::default() }
    }

    /// Tells the journal, and goes on doing so if it does not take it soon.
    pub(crate) async fn record(&self, halt: EventRecord) -> Kept {
        let (tell, told) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock();
            // The newer word on the same session counts.
            waiting.retain(|(other, telling)| {
                let stays = other.session != halt.session;
                if !stays {
                    telling.abort();
                }
                stays
            });
            let telling = self.control.spawn(tell_until_taken(
                self.store.clone(),
                halt.clone(),
                self.waiting.clone(),
                self.reserve.clone(),
                tell,
            ));
            waiting.push((halt, telling.abort_handle()));
        }
        let why = match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(Ok(()))) => return Kept::Journal,
            Ok(Ok(Err(why))) => why,
            Ok(Err(_)) => "a newer halt took its place".to_owned(),
            Err(_) => "the journal does not answer".to_owned(),
        };
        let kept = tokio::time::timeout(PATIENCE, keep(self.waiting.clone(), self.reserve.clone())).await;
        match kept {
            Ok(Ok(())) => Kept::Reserve(why),
            Ok(Err(error)) => Kept::Memory(format!("{why}; {error}")),
            Err(_) => Kept::Memory(format!("{why}; the disk does not answer")),
        }
    }

    /// Whether a halt of this session, or of the host, is still to be told to the journal.
    pub(crate) fn waits(&self, session: Option<&str>) -> bool {
        self.waiting.lock().iter().any(|(halt, _)| halt.session.as_deref() == session)
    }
}

/// Into the journal, whenever it takes it.
async fn tell_until_taken(
    store: Arc<Store>,
    halt: EventRecord,
    waiting: Arc<Mutex<Vec<(EventRecord, AbortHandle)>>>,
    reserve: Arc<Mutex<HaltReserve>>,
    first: oneshot::Sender<Result<(), String>>,
) {
    let mut first = Some(first);
    let was_late = loop {
        let taken = store.record(&halt).await.map_err(|error| error.to_string());
        let done = taken.is_ok();
        if done {
            waiting.lock().retain(|(other, _)| *other != halt);
        }
        let late = first.is_none();
        // Whoever asked may have stopped waiting.
        let unheard = first.take().is_some_and(|first| first.send(taken).is_err());
        if done {
            break late || unheard;
        }
        tokio::time::sleep(AGAIN).await;
    };
    if was_late && let Err(error) = keep(waiting, reserve).await {
        tracing::warn!(%error, "a halt is in the journal, and still in the reserve");
    }
}

/// Writes what waits into the reserve.
async fn keep(
    waiting: Arc<Mutex<Vec<(EventRecord, AbortHandle)>>>,
    reserve: Arc<Mutex<HaltReserve>>,
) -> Result<(), String> {
    let writing = Handle::current().spawn_blocking(move || {
        let reserve = reserve.lock();
        let halts: Vec<EventRecord> = waiting.lock().iter().map(|(halt, _)| short(halt)).collect();
        reserve.keep(&halts).map(|kept| kept == halts.len())
    });
    match writing.await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err("there is no room for more halts beside the journal".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// A reason of any length would leave no room for other halts.
fn short(halt: &EventRecord) -> EventRecord {
    let mut halt = halt.clone();
    if let Event::Halted { why, .. } = &mut halt.event
        && let Some((cut, _)) = why.char_indices().nth(400)
    {
        why.truncate(cut);
        why.push('…');
    }
    halt
}
