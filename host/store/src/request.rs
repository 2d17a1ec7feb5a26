use flyball_model::{ActionRecord, TickRecord, UnixMillis};
use tokio::sync::oneshot;

use crate::StoreError;

pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked. Whoever waits for a reply is answered after the commit.
pub(crate) enum Request {
    Intend(Box<ActionRecord>, Reply<u64>),
    Conclude(Box<ActionRecord>, Reply<()>),
    Tick(Box<TickRecord>),
    Undoable { session: String, count: usize, reply: Reply<Vec<ActionRecord>> },
    BeginRun { at: UnixMillis, reply: Reply<u64> },
    EndRun { run: u64, at: UnixMillis, reply: Reply<()> },
}
