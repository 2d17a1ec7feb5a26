use std::sync::Arc;

use flyball_model::{ActionRecord, EventRecord, Halt, TickRecord, UnixMillis};
use tokio::sync::oneshot;

use crate::{ChainEnd, StoreError};

pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked.
pub(crate) enum Request {
    Write(Write),
    Read(Read),
}

/// Whoever waits for a reply is answered after the commit.
pub(crate) enum Write {
    Intend(Box<ActionRecord>, Reply<u64>),
    Conclude(Box<ActionRecord>, Reply<()>),
    Tick(Arc<TickRecord>),
    Event(Box<EventRecord>, Reply<()>),
    BeginRun { at: UnixMillis, reply: Reply<u64> },
    EndRun { run: u64, at: UnixMillis, reply: Reply<()> },
}

/// Answered from what is committed, also when nothing can be written.
pub(crate) enum Read {
    Recent { session: String, count: usize, reply: Reply<Vec<ActionRecord>> },
    OpenIntents { session: String, reply: Reply<Vec<ActionRecord>> },
    Halts(Reply<Vec<Halt>>),
    ResumedAt { session: String, reply: Reply<Option<UnixMillis>> },
    ChainEnd(Reply<ChainEnd>),
    Undoable { session: String, count: usize, reply: Reply<Vec<ActionRecord>> },
}
