//! Recordings: what each judge was asked and what it said, so that a call can be made again and must say the same.
//!
//! They are in a file of their own beside the journal, as other rules hold for them: they are bounded in size and age,
//! they may be thrown away, and the loop never waits for them. What cannot be written is dropped and counted.

mod call;
mod error;
mod file;
mod found;
mod mask;
mod packed;
mod parts;
mod reader;
mod retention;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use flyball_model::HttpAnswer;
use flyball_ports::{CallRecord, Recorder};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use self::writer::Writer;

pub use error::RecordingsError;
pub use flyball_model::{MASKED, SECRET_FIELDS};
pub(crate) use packed::{packed, squeezed, whole};
pub use reader::{CallFilter, Listed, RecordedCall, RecordingsReader, same};

/// Calls that may wait for the writer.
const QUEUE: usize = 512;

/// What plugins sent and were sent over HTTP, of all calls that wait.
const QUEUE_BYTES: u64 = 64 << 20;

/// Which calls are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Which {
    /// All calls of a tick on which any judge said something or failed.
    #[default]
    Found,
    /// All.
    All,
}

/// What is recorded, and how much.
#[derive(Debug, Clone)]
pub struct RecordingsOptions {
    /// Which calls.
    pub which: Which,
    /// What the recordings may take of the disk, in bytes; the oldest go.
    pub most_bytes: u64,
    /// For how many days they are kept.
    pub days: u32,
    /// Names of fields whose values are masked, beside [`SECRET_FIELDS`].
    pub mask: Vec<String>,
}

impl Default for RecordingsOptions {
    fn default() -> Self {
        Self { which: Which::Found, most_bytes: 256 << 20, days: 7, mask: Vec::new() }
    }
}

/// What became of the calls that were recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecordingsStatus {
    /// Calls that are written.
    pub written: u64,
    /// Calls that are not, because the disk could not keep up or failed.
    pub dropped: u64,
    /// What was the matter last.
    pub trouble: Option<String>,
}

/// Records calls, in a thread of its own.
pub struct Recordings {
    /// None only while it is dropped.
    messages: Option<SyncSender<Message>>,
    writer: Option<JoinHandle<()>>,
    counts: Arc<Counts>,
}

pub(crate) enum Message {
    Call(Box<CallRecord>),
    /// To be answered when what was recorded before is written.
    Settle(SyncSender<()>),
}

#[derive(Default)]
pub(crate) struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
    waiting_bytes: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl Recordings {
    /// Records into this state directory. A file that cannot be opened is no error: calls are dropped and counted, and
    /// it is tried again.
    ///
    /// # Errors
    ///
    /// The machine gives no thread.
    pub fn start(directory: &Path, options: RecordingsOptions) -> std::io::Result<Self> {
        let (messages, received) = mpsc::sync_channel(QUEUE);
        let counts = Arc::<Counts>::default();
        let writer = Writer::new(directory.to_owned(), options, Arc::clone(&counts));
        let writer =
            thread::Builder::new().name("recordings".to_owned()).spawn(move || writer.serve(&received))?;
        Ok(Self { messages: Some(messages), writer: Some(writer), counts })
    }

    /// What became of the calls so far.
    pub fn status(&self) -> RecordingsStatus {
        RecordingsStatus {
            written: self.counts.written.load(Ordering::Relaxed),
            dropped: self.counts.dropped.load(Ordering::Relaxed),
            trouble: self.counts.trouble.lock().clone(),
        }
    }

    /// Waits until what was recorded before is written or dropped, but no longer than this. Whether it is.
    pub fn settle(&self, patience: Duration) -> bool {
        let (reply, answer) = mpsc::sync_channel(1);
        let asked = std::time::Instant::now();
        let mut message = Message::Settle(reply);
        while let Some(messages) = &self.messages {
            match messages.try_send(message) {
                Ok(()) => return answer.recv_timeout(patience.saturating_sub(asked.elapsed())).is_ok(),
                Err(TrySendError::Full(back)) if asked.elapsed() < patience => {
                    message = back;
                    thread::sleep(Duration::from_millis(5));
                }
                Err(_) => return false,
            }
        }
        false
    }
}

impl Recorder for Recordings {
    fn record(&self, call: CallRecord) {
        let bytes = bytes(&call);
        let waiting = self.counts.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let taken = bytes == 0 || waiting.saturating_add(bytes) <= QUEUE_BYTES;
        let taken = taken
            && self
                .messages
                .as_ref()
                .is_some_and(|messages| messages.try_send(Message::Call(Box::new(call))).is_ok());
        if !taken {
            self.counts.left(bytes);
            self.counts.dropped(1);
        }
    }
}

/// What may be large and is the call's own.
fn bytes(call: &CallRecord) -> u64 {
    let exchanges = call.http.iter().map(|exchange| {
        let answer = match &exchange.answer {
            HttpAnswer::Answered { body, .. } => body.len(),
            HttpAnswer::Refused(_) | HttpAnswer::Failed(_) => 0,
        };
        exchange.body.len() + answer
    });
    let questions = call.llm.iter().map(|exchange| {
        let wire = exchange.wire.as_ref().map_or(0, String::len);
        exchange.system.len() + exchange.user.len() + exchange.answer.text().len() + wire
    });
    u64::try_from(exchanges.chain(questions).sum::<usize>()).unwrap_or(u64::MAX)
}

impl Counts {
    pub(crate) fn wrote(&self, calls: usize) {
        self.written.fetch_add(calls as u64, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self, calls: usize) {
        self.dropped.fetch_add(calls as u64, Ordering::Relaxed);
    }

    /// It no longer waits.
    pub(crate) fn left(&self, bytes: u64) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Told in the log once, not for each call.
    pub(crate) fn trouble(&self, why: String) {
        let mut trouble = self.trouble.lock();
        if trouble.as_ref() != Some(&why) {
            tracing::warn!(%why, "calls are not recorded");
            *trouble = Some(why);
        }
    }
}

/// Waits for what is queued to be written.
impl Drop for Recordings {
    fn drop(&mut self) {
        drop(self.messages.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of recordings broke off");
        }
    }
}

impl fmt::Debug for Recordings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recordings").field("status", &self.status()).finish_non_exhaustive()
    }
}
